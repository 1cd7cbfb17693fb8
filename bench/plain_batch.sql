-- The limit of batch: what someone who knows DuckDB would type into its shell. The raw objects become
-- Parquet, then come the eight analyses. It keeps no lineage and no dead letters, asks for no repeats,
-- knows no increments, and writes no answers.
-- Runs in a lake (topics/ in the sink's layout) that has an empty folder plain/.
SET timezone = 'UTC';
COPY (
	SELECT
		"index" AS ind,
		unique_id,
		nullif(nullif(title, 'No Title Data Available'), '') AS title,
		CASE
			WHEN description IN ('', 'No description available', 'No description available Story format') THEN NULL
			ELSE description
		END AS description,
		CASE
			WHEN regexp_full_match(follower_count, '[0-9]+') THEN follower_count::BIGINT
			WHEN follower_count LIKE '%k' THEN (replace(follower_count, 'k', '')::DOUBLE * 1000)::BIGINT
			WHEN follower_count LIKE '%M' THEN (replace(follower_count, 'M', '')::DOUBLE * 1000000)::BIGINT
		END AS follower_count,
		nullif(nullif(poster_name, 'User Info Error'), '') AS poster_name,
		nullif(nullif(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e'), '') AS tag_list,
		is_image_or_video,
		nullif(nullif(image_src, 'Image src error.'), '') AS image_src,
		replace(save_location, 'Local save in ', '') AS save_location,
		category
	FROM read_json('topics/124df56aef51.pin/partition=0/*.json', format = 'newline_delimited', columns = {
		'index': 'INT', unique_id: 'VARCHAR', title: 'VARCHAR', description: 'VARCHAR', poster_name: 'VARCHAR',
		follower_count: 'VARCHAR', tag_list: 'VARCHAR', is_image_or_video: 'VARCHAR', image_src: 'VARCHAR',
		save_location: 'VARCHAR', category: 'VARCHAR'})
) TO 'plain/pin.parquet';
COPY (
	SELECT ind, country, [latitude, longitude] AS coordinates, "timestamp"::TIMESTAMP AS "timestamp"
	FROM read_json('topics/124df56aef51.geo/partition=0/*.json', format = 'newline_delimited', columns = {
		ind: 'INT', "timestamp": 'VARCHAR', latitude: 'DOUBLE', longitude: 'DOUBLE', country: 'VARCHAR'})
) TO 'plain/geo.parquet';
COPY (
	SELECT ind, first_name || ' ' || last_name AS user_name, age, date_joined::TIMESTAMP AS date_joined
	FROM read_json('topics/124df56aef51.user/partition=0/*.json', format = 'newline_delimited', columns = {
		ind: 'INT', first_name: 'VARCHAR', last_name: 'VARCHAR', age: 'INT', date_joined: 'VARCHAR'})
) TO 'plain/user.parquet';
CREATE VIEW pin AS FROM 'plain/pin.parquet';
CREATE VIEW geo AS FROM 'plain/geo.parquet';
CREATE VIEW usr AS
	SELECT *, CASE WHEN age < 25 THEN '18-24' WHEN age < 36 THEN '25-35' WHEN age < 51 THEN '36-50' ELSE '50+' END AS age_group
	FROM 'plain/user.parquet';
SELECT country, category, count(*) AS n FROM pin JOIN geo USING (ind) GROUP BY 1, 2
	QUALIFY rank() OVER (PARTITION BY country ORDER BY n DESC) = 1 ORDER BY ALL;
SELECT year("timestamp") AS y, category, count(*) AS n FROM pin JOIN geo USING (ind) GROUP BY 1, 2
	QUALIFY rank() OVER (PARTITION BY y ORDER BY n DESC) = 1 ORDER BY ALL;
SELECT country, poster_name, max(follower_count) AS f FROM pin JOIN geo USING (ind)
	WHERE poster_name IS NOT NULL AND follower_count IS NOT NULL GROUP BY 1, 2
	QUALIFY rank() OVER (PARTITION BY country ORDER BY f DESC) = 1 ORDER BY ALL;
SELECT age_group, category, count(*) AS n FROM pin JOIN usr USING (ind) GROUP BY 1, 2
	QUALIFY rank() OVER (PARTITION BY age_group ORDER BY n DESC) = 1 ORDER BY ALL;
SELECT age_group, quantile_disc(follower_count, 0.5) FROM pin JOIN usr USING (ind) GROUP BY ALL ORDER BY ALL;
SELECT year(date_joined) AS y, count(*) FROM usr GROUP BY ALL ORDER BY ALL;
SELECT year(date_joined) AS y, quantile_disc(follower_count, 0.5) FROM pin JOIN usr USING (ind) GROUP BY ALL ORDER BY ALL;
SELECT age_group, year(date_joined) AS y, quantile_disc(follower_count, 0.5) FROM pin JOIN usr USING (ind)
	GROUP BY ALL ORDER BY ALL;
