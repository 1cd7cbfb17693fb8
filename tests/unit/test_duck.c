/* DuckDB behind our errors: what it may do, what its failures are called. */
#include "scratch.h"
#include "sql/duck.h"
#include "testing.h"

#include <string.h>

static struct duck duck;

static int open_duck(void **state)
{
	struct err err = { 0 };
	struct duck_options options = { .memory_bytes_max = 64 << 20, .threads = 1 };

	(void)state;
	return duck_open(&options, &duck, &err) == ERR_OK ? 0 : -1;
}

static int close_duck(void **state)
{
	(void)state;
	duck_close(&duck);
	return 0;
}

static void test_runs(void **state)
{
	struct err err = { 0 };
	duckdb_result result;

	(void)state;
	assert_ok(duck_run(&duck, "CREATE TABLE t AS SELECT range AS n FROM range(10)", &err));
	assert_ok(duck_query(&duck, "SELECT sum(n)::BIGINT FROM t", &result, &err));
	assert_int_equal(duckdb.value_int64(&result, 0, 0), 45);
	duckdb.destroy_result(&result);
}

static void test_errors_say_what_and_where(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(duck_run(&duck, "SELECT 1,\n  nothing\nFROM range(1)", &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "\"nothing\""));
	assert_null(strchr(err.msg, '\n'));
	assert_int_equal(duck.error_line, 2);
	assert_non_null(strstr(duck.error_hint, "LINE 2:   nothing\n"));
	assert_int_equal(duck_run(&duck, "SELECT 1 FROM rang(1)", &err), ERR_USAGE);
	assert_memory_equal(duck.error_hint, "Did you mean", strlen("Did you mean"));
	assert_int_equal(duck_run(&duck, "SELECT CAST('x' AS INTEGER)", &err), ERR_SHAPE);
	assert_int_equal(duck_run(&duck, "COPY (SELECT 1) TO '/dev/full' (FORMAT csv)", &err),
			 ERR_SPACE);
	assert_int_equal(duck_run(&duck, "FROM read_csv('/nowhere/x.csv')", &err), ERR_IO);
	/* What was interrupted while it was prepared has no kind of its own. */
	assert_int_equal(
		duck_error(&duck, DUCKDB_ERROR_BINDER, "INTERRUPT Error: Interrupted!", &err),
		ERR_STOPPED);
}

static void test_memory_is_bounded(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(duck_run(&duck, "CREATE TABLE big AS SELECT hash(range) AS h, "
				  "hash(range + 1) AS g FROM range(20000000)", &err), ERR_LIMIT);
}

static void test_nothing_is_fetched(void **state)
{
	struct err err = { 0 };
	duckdb_result result;

	(void)state;
	assert_ok(duck_query(&duck, "SELECT string_agg(value, ',' ORDER BY name) FROM duckdb_settings() "
			     "WHERE name LIKE 'auto%_known_extensions'", &result, &err));
	char *text = duckdb.value_varchar(&result, 0, 0);

	assert_string_equal(text, "false,false");
	duckdb.free(text);
	duckdb.destroy_result(&result);
	assert_int_equal(duck_run(&duck, "FROM read_xlsx('x.xlsx')", &err), ERR_USAGE);
}

static void test_lock_keeps_settings(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_ok(duck_run(&duck, "SET preserve_insertion_order = false", &err));
	assert_ok(duck_lock(&duck, &err));
	assert_int_not_equal(duck_run(&duck, "SET threads = 2", &err), ERR_OK);
}

static void test_confined_it_finds_no_files(void **state)
{
	static const char *const refused[] = {
		"FROM read_text('/etc/hostname')", "COPY (SELECT 1) TO '/tmp/pinpipe-was-here' (FORMAT csv)",
		"ATTACH '/tmp/pinpipe-was-here'", "INSTALL httpfs", "LOAD httpfs", "FROM glob('/*')",
		"FROM '/etc/x.csv'", "SET enable_external_access = true",
		"SET allowed_directories = ['/']", "EXPORT DATABASE '/tmp/pinpipe-was-here'",
	};
	char dir[SCRATCH_NAME_MAX], sql[SCRATCH_NAME_MAX + 100];
	const char *dirs[] = { dir };
	struct err err = { 0 };

	(void)state;
	scratch_dir(dir);
	assert_ok(duck_confine(&duck, dirs, 1, &err));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_not_equal(duck_run(&duck, refused[i], &err), ERR_OK);
	(void)snprintf(sql, sizeof(sql), "FROM read_text('%s/../../etc/hostname')", dir);
	assert_int_not_equal(duck_run(&duck, sql, &err), ERR_OK);
	(void)snprintf(sql, sizeof(sql), "COPY (SELECT 1) TO '%s/x.csv' (FORMAT csv)", dir);
	assert_ok(duck_run(&duck, sql, &err));
	scratch_remove(dir);
}

static void test_quotes(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	duck_put_literal(&out, slice_str("it's"));
	duck_put_name(&out, slice_str("a\"b"));
	assert_string_equal(buf_cstr(&out), "'it''s'\"a\"\"b\"");
	buf_release(&out);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_duck, close_duck)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_runs),
		TEST(test_errors_say_what_and_where),
		TEST(test_memory_is_bounded),
		TEST(test_nothing_is_fetched),
		TEST(test_lock_keeps_settings),
		TEST(test_confined_it_finds_no_files),
		cmocka_unit_test(test_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
