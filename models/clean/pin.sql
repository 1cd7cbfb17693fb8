-- title: Pins
-- key: index AS ind
-- fields: index unique_id title description poster_name follower_count tag_list
--   is_image_or_video image_src downloaded save_location category
-- columns: ind int, unique_id string, title string, description string, follower_count long,
--   poster_name string, tag_list string, is_image_or_video string, image_src string,
--   save_location string, category string
SELECT
	as_int(index) AS ind,
	unique_id,
	nullif(title, 'No Title Data Available') AS title,
	CASE
		WHEN description IN ('No description available Story format', 'No description available') THEN NULL
		ELSE description
	END AS description,
	as_count(nullif(follower_count, 'User Info Error')) AS follower_count,
	nullif(poster_name, 'User Info Error') AS poster_name,
	nullif(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') AS tag_list,
	is_image_or_video,
	nullif(image_src, 'Image src error.') AS image_src,
	CASE
		WHEN save_location LIKE 'Local save in %' THEN nullif(substr(save_location, 15), '')
		ELSE save_location
	END AS save_location,
	category,
	_partition,
	_offset
FROM raw
