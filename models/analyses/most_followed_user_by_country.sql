-- title: Most followed user in each country
-- description: The poster with the most followers in each country, by the highest count seen on
--   any of their pins. Pins without a name or a count are left out, ties are kept.
-- chart: bar
SELECT country, poster_name, follower_count
FROM (
	SELECT
		country,
		poster_name,
		max(follower_count) AS follower_count,
		rank() OVER (PARTITION BY country ORDER BY max(follower_count) DESC) AS place
	FROM pin JOIN geo USING (ind)
	WHERE poster_name IS NOT NULL AND follower_count IS NOT NULL
	GROUP BY country, poster_name
) AS counted
WHERE place = 1
ORDER BY country NULLS LAST, poster_name
