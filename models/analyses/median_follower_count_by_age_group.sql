-- title: Median follower count of each age group
-- description: The lower median of the follower counts on pins by users of each age group. Users
--   without an age are left out, unknown follower counts are ignored.
-- chart: bar
SELECT age_group, CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY follower_count) AS BIGINT) AS median_follower_count
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
GROUP BY age_group
ORDER BY age_group
