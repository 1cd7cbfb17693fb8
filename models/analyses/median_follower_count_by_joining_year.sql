-- title: Median follower count by joining year
-- description: The lower median of the follower counts on pins by users who joined in each year.
--   Unknown follower counts are ignored.
-- chart: line
SELECT year_joined, CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY follower_count) AS BIGINT) AS median_follower_count
FROM pin JOIN (SELECT ind, year(date_joined) AS year_joined FROM user) AS joined USING (ind)
GROUP BY year_joined
ORDER BY year_joined NULLS LAST
