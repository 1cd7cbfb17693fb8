-- title: Most popular category in each age group
-- description: The category with the most posts by users of each age group. Users without an age
--   are left out, categories that share the highest count are all listed.
-- chart: bar
SELECT age_group, category, category_count
FROM (
	SELECT
		age_group,
		category,
		count(*) AS category_count,
		rank() OVER (PARTITION BY age_group ORDER BY count(*) DESC) AS place
	FROM pin JOIN (
		SELECT
			ind,
			CASE
				WHEN age < 25 THEN '18-24'
				WHEN age < 36 THEN '25-35'
				WHEN age < 51 THEN '36-50'
				ELSE '50+'
			END AS age_group
		FROM user
		WHERE age IS NOT NULL
	) AS aged USING (ind)
	GROUP BY age_group, category
) AS counted
WHERE place = 1
ORDER BY age_group, category NULLS LAST
