-- The functions of the models (docs/models.md) for Spark 4: what src/engine/read.c makes of a text, and no more.
-- engine.py makes each of these its session's own. ANSI mode, time zone UTC.
-- A text is held against a pattern first: CAST reads blanks over, and takes "1d", "NaN" and "Infinity".
-- \A and \z, as $ would let the end of a line through.

CREATE TEMPORARY FUNCTION as_int(t STRING) RETURNS INT RETURN CASE
	WHEN t RLIKE r'\A[+-]?[0-9]{1,9}\z' THEN try_cast(t AS INT)
	WHEN t RLIKE r'\A[+-]?0{1,20}(\.0{1,18})?([eE]\+?[0-9]{1,2})?\z' THEN 0
	WHEN t RLIKE r'\A[+-]?[0-9]{1,20}(\.[0-9]{1,18})?([eE]\+?[0-9]{1,2})?\z'
		AND try_cast(t AS DECIMAL(38, 18)) % 1 = 0 THEN try_cast(try_cast(t AS DECIMAL(38, 18)) AS INT)
END;

CREATE TEMPORARY FUNCTION as_long(t STRING) RETURNS BIGINT RETURN CASE
	WHEN t RLIKE r'\A[+-]?[0-9]{1,18}\z' THEN try_cast(t AS BIGINT)
	WHEN t RLIKE r'\A[+-]?0{1,20}(\.0{1,18})?([eE]\+?[0-9]{1,2})?\z' THEN 0
	WHEN t RLIKE r'\A[+-]?[0-9]{1,20}(\.[0-9]{1,18})?([eE]\+?[0-9]{1,2})?\z'
		AND try_cast(t AS DECIMAL(38, 18)) % 1 = 0 THEN try_cast(try_cast(t AS DECIMAL(38, 18)) AS BIGINT)
END;

-- 27 digits times 7 are less than the 38 that a DECIMAL has.
CREATE TEMPORARY FUNCTION as_count(t STRING) RETURNS BIGINT RETURN CASE
	WHEN t RLIKE r'\A[0-9]{1,18}\z' THEN try_cast(t AS BIGINT)
	WHEN t RLIKE r'\A\+?[0-9]{1,18}(\.[0-9]{1,9})?[kKmM]?\z'
		AND CAST(rtrim('kKmM', t) AS DECIMAL(27, 9)) * CASE lower(right(t, 1))
			WHEN 'k' THEN 1000 WHEN 'm' THEN 1000000 ELSE 1 END % 1 = 0
		THEN try_cast(CAST(rtrim('kKmM', t) AS DECIMAL(27, 9)) * CASE lower(right(t, 1))
			WHEN 'k' THEN 1000 WHEN 'm' THEN 1000000 ELSE 1 END AS BIGINT)
END;

CREATE TEMPORARY FUNCTION as_double(t STRING) RETURNS DOUBLE RETURN CASE
	WHEN t RLIKE r'\A[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z' AND length(t) <= 400
		AND abs(try_cast(t AS DOUBLE)) < double('Infinity') THEN try_cast(t AS DOUBLE)
END;

CREATE TEMPORARY FUNCTION as_boolean(t STRING) RETURNS BOOLEAN RETURN CASE
	WHEN t RLIKE r'(?i)\A(true|t|yes|y|1)\z' THEN true
	WHEN t RLIKE r'(?i)\A(false|f|no|n|0)\z' THEN false
END;

-- Each form becomes the one that CAST reads, which wants seconds before a zone. Year 0 is none here.
CREATE TEMPORARY FUNCTION as_timestamp(t STRING) RETURNS TIMESTAMP RETURN CASE
	WHEN t RLIKE r'\A(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}\z' THEN try_cast(t AS TIMESTAMP)
	WHEN t RLIKE r'\A\s*(?!0000)[0-9]{4}(-[0-9]{1,2}-|:[0-9]{1,2}:)[0-9]{1,2}([ T][0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]+)?)?( ?(Z|UTC|GMT|[+-]([0-9]{1,2}|[0-9]{1,2}:[0-9]{2}|[0-9]{4})))?)?\s*\z'
		THEN try_cast(regexp_replace(regexp_replace(t, r'([ T][0-9]{1,2}:[0-9]{1,2})(?= ?[-+ZUG])', '$1:00'),
			r'\A\s*([0-9]{4})[-:]([0-9]{1,2})[-:]([0-9]{1,2})(?:[ T]([0-9:.]+))? ?(.*?)\s*\z',
			'$1-$2-$3 $4$5') AS TIMESTAMP)
	WHEN t RLIKE r'\A\s*[0-9]{2}/[0-9]{2}/(?!0000)[0-9]{4}, [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]+)?)?( ?(Z|UTC|GMT|[+-]([0-9]{1,2}|[0-9]{1,2}:[0-9]{2}|[0-9]{4})))?\s*\z'
		THEN try_cast(regexp_replace(regexp_replace(t, r'( [0-9]{1,2}:[0-9]{1,2})(?= ?[-+ZUG])', '$1:00'),
			r'\A\s*([0-9]{2})/([0-9]{2})/([0-9]{4}), ([0-9:.]+) ?(.*?)\s*\z',
			'$3-$1-$2 $4$5') AS TIMESTAMP)
END;

-- Latitude and longitude, say.
CREATE TEMPORARY FUNCTION as_pair(a DOUBLE, b DOUBLE) RETURNS ARRAY<DOUBLE> RETURN array(a, b);
CREATE TEMPORARY FUNCTION first_of(pair ARRAY<DOUBLE>) RETURNS DOUBLE RETURN try_element_at(pair, 1);
CREATE TEMPORARY FUNCTION second_of(pair ARRAY<DOUBLE>) RETURNS DOUBLE RETURN try_element_at(pair, 2);
