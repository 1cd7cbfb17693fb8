-- title: Users who joined in each year
-- description: How many users joined in each year.
-- chart: line
SELECT year(date_joined) AS year_joined, count(*) AS number_users_joined
FROM user
GROUP BY year(date_joined)
ORDER BY year_joined NULLS LAST
