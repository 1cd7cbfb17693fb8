#include "delta/delta_stats.h"

#include "sql/duck.h"
#include "base/json.h"
#include "base/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum { STRING_CHARS_MAX = 32 };

/* A map of DuckDB, as the entries [at, end) of its two vectors. */
struct map {
	duckdb_vector keys;
	duckdb_vector values;
	idx_t at;
	idx_t end;
};

static struct map map_at(duckdb_vector vector, idx_t row)
{
	duckdb_list_entry entry = ((duckdb_list_entry *)duckdb.vector_get_data(vector))[row];
	duckdb_vector pairs = duckdb.list_vector_get_child(vector);

	return (struct map){
		.keys = duckdb.struct_vector_get_child(pairs, 0),
		.values = duckdb.struct_vector_get_child(pairs, 1),
		.at = entry.offset,
		.end = entry.offset + entry.length,
	};
}

static struct slice text_at(duckdb_vector vector, idx_t row)
{
	duckdb_string_t *strings = duckdb.vector_get_data(vector);

	return slice_of(duckdb.string_t_data(&strings[row]), duckdb.string_t_length(strings[row]));
}

static bool map_find(struct map map, struct slice key, idx_t *ret_row)
{
	for (idx_t i = map.at; i < map.end; i++) {
		if (slice_eq(text_at(map.keys, i), key)) {
			*ret_row = i;
			return true;
		}
	}
	return false;
}

/* What DuckDB says about one column: "min", "max", "null_count", … */
static struct slice column_value(struct map columns, const char *column, const char *what)
{
	struct slice none = { 0 };
	struct buf name;
	idx_t row = 0;
	bool found;

	buf_init(&name, 4096);
	duck_put_name(&name, slice_str(column));
	found = map_find(columns, buf_slice(&name), &row);
	buf_release(&name);
	if (!found)
		return none;
	columns = map_at(columns.values, row);
	return map_find(columns, slice_str(what), &row) ? text_at(columns.values, row) : none;
}

/* The bytes of the first `chars` characters of UTF-8 text, or all of it. */
static size_t utf8_cut(struct slice text, size_t chars)
{
	for (size_t i = 0; i < text.len; i++)
		if (((unsigned char)text.ptr[i] & 0xc0) != 0x80 && chars-- == 0)
			return i;
	return text.len;
}

/* False: no bound that short. */
static bool put_string(struct buf *out, struct slice text, bool upper)
{
	static const char last_char[] = "\xf4\x8f\xbf\xbf";	/* U+10FFFF */
	char bound[STRING_CHARS_MAX * 4 + sizeof(last_char)];
	size_t len = utf8_cut(text, STRING_CHARS_MAX);

	if (len > STRING_CHARS_MAX * 4 || (upper && slice_starts(slice_from(text, len), last_char)))
		return false;
	memcpy(bound, text.ptr, len);
	if (upper && len < text.len) {
		memcpy(bound + len, last_char, sizeof(last_char) - 1);
		len += sizeof(last_char) - 1;
	}
	json_put_string(out, slice_of(bound, len));
	return true;
}

/* Digits after the point, as microseconds; *text moves behind them. */
static int64_t fraction_us(const char **text)
{
	int64_t us = 0;

	if (**text != '.')
		return 0;
	(*text)++;
	for (int64_t unit = 100000; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
		us += (**text - '0') * unit;
	return us;
}

/* "2020-08-28 03:52:47.123456+00", which is how DuckDB writes it whatever its time zone. */
static bool delta_stats_put_timestamp(struct buf *out, const char *text, bool upper)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	int64_t us;

	if (!rest || tm.tm_year + 1900 > 9998)
		return false;
	us = fraction_us(&rest);
	if (strcmp(rest, "+00") != 0)
		return false;
	us += upper ? 999 : 0;
	buf_add_char(out, '"');
	time_put_iso(out, (int64_t)timegm(&tm) * 1000 + us / 1000);
	buf_add_char(out, '"');
	return true;
}

static bool put_integer(struct buf *out, const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text)
		return false;
	buf_add_i64(out, value);
	return true;
}

/* False, and nothing written: Delta has no such bound. */
static bool put_bound(struct buf *out, enum delta_type type, struct slice text, bool upper)
{
	char copy[64];

	if (!text.ptr)
		return false;
	if (type == DELTA_STRING)
		return put_string(out, text, upper);
	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	switch (type) {
	case DELTA_INTEGER: case DELTA_LONG:
		return put_integer(out, copy);
	case DELTA_TIMESTAMP:
		return delta_stats_put_timestamp(out, copy, upper);
	case DELTA_BOOLEAN: case DELTA_DOUBLE: case DELTA_STRING: case DELTA_ARRAY_DOUBLE:
		return false;
	}
	return false;
}

enum kind { KIND_MIN, KIND_MAX, KIND_NULLS };

static bool delta_stats_put_value(struct buf *out, struct map columns,
				  const struct delta_column *column, enum kind kind)
{
	static const char *const what[] = { "min", "max", "null_count" };
	struct slice text = column_value(columns, column->name, what[kind]);

	if (kind == KIND_NULLS)
		return put_bound(out, DELTA_LONG, text, false);
	return put_bound(out, column->type, text, kind == KIND_MAX);
}

/* ,"minValues":{…} with a member for every column that has one. */
static void put_object(struct buf *out, struct map columns, const struct delta_schema *schema,
		       enum kind kind)
{
	static const char *const name[] = { "minValues", "maxValues", "nullCount" };
	bool first = true;
	struct buf value;

	buf_init(&value, 4096);
	buf_addf(out, ",\"%s\":{", name[kind]);
	for (size_t i = 0; i < schema->count; i++) {
		buf_clear(&value);
		if (!delta_stats_put_value(&value, columns, &schema->columns[i], kind))
			continue;
		if (!first)
			buf_add_char(out, ',');
		first = false;
		json_put_string(out, slice_str(schema->columns[i].name));
		buf_add_char(out, ':');
		buf_add_slice(out, buf_slice(&value));
	}
	buf_add_char(out, '}');
	buf_release(&value);
}

/* The columns of such a COPY's result, by number. */
enum { COPY_COUNT = 1, COPY_BYTES = 2, COPY_STATISTICS = 4, COPY_COLUMNS = 6 };

static void put_stats(struct buf *out, duckdb_data_chunk chunk, const struct delta_schema *schema,
		      uint64_t *ret_rows, uint64_t *ret_bytes)
{
	duckdb_vector rows = duckdb.data_chunk_get_vector(chunk, COPY_COUNT);
	duckdb_vector bytes = duckdb.data_chunk_get_vector(chunk, COPY_BYTES);
	struct map columns = map_at(duckdb.data_chunk_get_vector(chunk, COPY_STATISTICS), 0);

	*ret_rows = *(uint64_t *)duckdb.vector_get_data(rows);
	*ret_bytes = *(uint64_t *)duckdb.vector_get_data(bytes);
	buf_addf(out, "{\"numRecords\":%" PRIu64, *ret_rows);
	put_object(out, columns, schema, KIND_MIN);
	put_object(out, columns, schema, KIND_MAX);
	put_object(out, columns, schema, KIND_NULLS);
	buf_add_char(out, '}');
}

static bool is_copy_result(duckdb_result *result)
{
	return duckdb.column_count(result) == COPY_COLUMNS &&
	       strcmp(duckdb.column_name(result, COPY_STATISTICS), "column_statistics") == 0 &&
	       duckdb.column_type(result, COPY_COUNT) == DUCKDB_TYPE_UBIGINT &&
	       duckdb.column_type(result, COPY_BYTES) == DUCKDB_TYPE_UBIGINT;
}

enum err_code delta_stats_put(struct buf *out, duckdb_result *result,
			      const struct delta_schema *schema, uint64_t *ret_rows,
			      uint64_t *ret_bytes, struct err *err)
{
	duckdb_data_chunk chunk;
	enum err_code code = ERR_OK;

	if (!is_copy_result(result))
		return err_set(err, ERR_SHAPE, "no statistics came back from a copy to parquet");
	chunk = duckdb.fetch_chunk(*result);
	if (!chunk) {		/* no row, no file */
		*ret_rows = *ret_bytes = 0;
		return ERR_OK;
	}
	if (duckdb.data_chunk_get_size(chunk) == 1)
		put_stats(out, chunk, schema, ret_rows, ret_bytes);
	else
		code = err_set(err, ERR_SHAPE, "a copy to parquet made more than one file");
	duckdb.destroy_data_chunk(&chunk);
	return code;
}
