-- title: Places and times of posts
-- key: ind
-- fields: ind timestamp latitude longitude country
-- columns: ind int, country string, coordinates array<double>, timestamp timestamp
SELECT
	as_int(ind) AS ind,
	country,
	as_pair(as_double(latitude), as_double(longitude)) AS coordinates,
	as_timestamp(timestamp) AS timestamp,
	_partition,
	_offset
FROM raw
