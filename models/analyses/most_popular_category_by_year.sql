-- title: Most popular category in each year
-- description: The category with the most posts in each year of posting. Categories that share
--   the highest count are all listed.
-- chart: bar
SELECT post_year, category, category_count
FROM (
	SELECT
		post_year,
		category,
		count(*) AS category_count,
		rank() OVER (PARTITION BY post_year ORDER BY count(*) DESC) AS place
	FROM pin JOIN (SELECT ind, year(timestamp) AS post_year FROM geo) AS posted USING (ind)
	GROUP BY post_year, category
) AS counted
WHERE place = 1
ORDER BY post_year NULLS LAST, category NULLS LAST
