-- title: Most popular category in each country
-- description: The category with the most posts in each country. Categories that share the
--   highest count are all listed.
-- chart: bar
SELECT country, category, category_count
FROM (
	SELECT
		country,
		category,
		count(*) AS category_count,
		rank() OVER (PARTITION BY country ORDER BY count(*) DESC) AS place
	FROM pin JOIN geo USING (ind)
	GROUP BY country, category
) AS counted
WHERE place = 1
ORDER BY country NULLS LAST, category NULLS LAST
