/* Statistics of a data file: what DuckDB reports, as Delta wants it. */
#include "sql/duck.h"
#include "base/mem.h"
#include "delta/delta_stats.h"
#include "testing.h"

#include <string.h>
#include <unistd.h>

static const struct delta_column columns[] = {
	{ "i", DELTA_INTEGER }, { "l", DELTA_LONG }, { "d", DELTA_DOUBLE }, { "s", DELTA_STRING },
	{ "b", DELTA_BOOLEAN }, { "t", DELTA_TIMESTAMP }, { "a", DELTA_ARRAY_DOUBLE },
};
static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };

static struct duck duck;
static char path[] = "/tmp/test_delta_stats.XXXXXX";

static int open_duck(void **state)
{
	struct err err = { 0 };
	struct duck_options options = { .memory_bytes_max = 256 << 20, .threads = 1 };
	int fd = mkstemp(path);

	(void)state;
	return fd >= 0 && close(fd) == 0 && duck_open(&options, &duck, &err) == ERR_OK ? 0 : -1;
}

static int close_duck(void **state)
{
	(void)state;
	duck_close(&duck);
	return unlink(path);
}

/* The statistics of a file with these rows (SQL); the caller releases `out`. */
static uint64_t stats_of(const char *select, struct buf *out)
{
	struct err err = { 0 };
	uint64_t rows = 0;
	uint64_t bytes = 0;
	duckdb_result result;
	char sql[2000];

	(void)snprintf(sql, sizeof(sql), "COPY (%s) TO '%s' (FORMAT parquet, RETURN_STATS)",
		       select, path);
	buf_init(out, 1 << 20);
	assert_ok(duck_query(&duck, sql, &result, &err));
	assert_ok(delta_stats_put(out, &result, &schema, &rows, &bytes, &err));
	duckdb.destroy_result(&result);
	assert_true(bytes > 0);
	return rows;
}

static void test_every_type(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(stats_of(
		"SELECT 7 - range::INTEGER AS i, (range - 9007199254740993)::BIGINT AS l, "
		"CASE range WHEN 1 THEN NULL ELSE range / 4 END AS d, 'x\"' || range AS s, "
		"range = 1 AS b, TIMESTAMPTZ '2020-02-29 23:59:59.999001+00' + "
		"INTERVAL (range) HOUR AS t, [1.5::DOUBLE] AS a FROM range(3)", &out), 3);
	assert_string_equal(buf_cstr(&out),
		"{\"numRecords\":3,"
		"\"minValues\":{\"i\":5,\"l\":-9007199254740993,\"s\":\"x\\\"0\","
		"\"t\":\"2020-02-29T23:59:59.999Z\"},"
		"\"maxValues\":{\"i\":7,\"l\":-9007199254740991,\"s\":\"x\\\"2\","
		"\"t\":\"2020-03-01T02:00:00.000Z\"},"
		"\"nullCount\":{\"i\":0,\"l\":0,\"d\":1,\"s\":0,\"b\":0,\"t\":0}}");
	buf_release(&out);
}

static void test_what_has_no_bound_is_left_out(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(stats_of(
		"SELECT NULL::INTEGER AS i, 'nan'::DOUBLE AS d, NULL::VARCHAR AS s, "
		"'infinity'::TIMESTAMPTZ AS t, 1 AS other FROM range(2)", &out), 2);
	assert_string_equal(buf_cstr(&out),
		"{\"numRecords\":2,\"minValues\":{},\"maxValues\":{},"
		"\"nullCount\":{\"i\":2,\"d\":0,\"s\":2,\"t\":0}}");
	buf_release(&out);
}

/* Wherever it is: a reader that looks for more than the maximum would pass the file over. */
static void test_a_nan_among_numbers(void **state)
{
	static const char *const cases[] = {
		"SELECT unnest(['nan'::DOUBLE, 1, 2]) AS d",
		"SELECT if(range = 5, 'nan'::DOUBLE, range) AS d FROM range(200000)",
		"SELECT if(range = 199999, 'nan'::DOUBLE, range) AS d FROM range(200000)",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out;

		(void)stats_of(cases[i], &out);
		assert_non_null(strstr(buf_cstr(&out), "\"minValues\":{},\"maxValues\":{},"));
		buf_release(&out);
	}
}

/* Cut at 32 characters, the bounds still bound. */
static void test_long_strings(void **state)
{
	static const char *const last = "\xf4\x8f\xbf\xbf";
	static const struct { const char *sql; const char *head; bool bounded; } cases[] = {
		{ "repeat('x', 32)", "\"maxValues\":{\"s\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}", true },
		{ "repeat('x', 33)", "\"maxValues\":{\"s\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xf4", true },
		{ "repeat('\xc3\xa9', 40)", "\"minValues\":{\"s\":\"\xc3\xa9\xc3\xa9", true },
		{ "repeat('\xf0\x9f\x92\xa9', 50)", "\"maxValues\":{\"s\":\"\xf0\x9f\x92\xa9", true },
		{ "repeat(chr(1114111), 40)", "\"maxValues\":{}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out;
		char sql[200];

		(void)snprintf(sql, sizeof(sql), "SELECT %s AS s", cases[i].sql);
		assert_int_equal(stats_of(sql, &out), 1);
		assert_non_null(strstr(buf_cstr(&out), cases[i].head));
		assert_int_equal(strstr(buf_cstr(&out), last) != NULL, i > 0);
		buf_release(&out);
	}
}

static void test_no_row(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(stats_of("SELECT 1::INTEGER AS i FROM range(0)", &out), 0);
	buf_release(&out);
}

static void test_another_result_is_refused(void **state)
{
	struct err err = { 0 };
	uint64_t rows = 7;
	uint64_t bytes;
	duckdb_result result;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_ok(duck_query(&duck, "SELECT 1", &result, &err));
	assert_int_equal(delta_stats_put(&out, &result, &schema, &rows, &bytes, &err), ERR_SHAPE);
	assert_int_equal(rows, 7);
	duckdb.destroy_result(&result);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_what_has_no_bound_is_left_out),
		cmocka_unit_test(test_a_nan_among_numbers),
		cmocka_unit_test(test_long_strings),
		cmocka_unit_test(test_no_row),
		cmocka_unit_test(test_another_result_is_refused),
	};

	return cmocka_run_group_tests(tests, open_duck, close_duck);
}
