-- title: Users
-- key: ind
-- fields: ind first_name last_name age date_joined
-- columns: ind int, user_name string, age int, date_joined timestamp
SELECT
	as_int(ind) AS ind,
	first_name || ' ' || last_name AS user_name,
	as_int(age) AS age,
	as_timestamp(date_joined) AS date_joined,
	_partition,
	_offset
FROM raw
