/* Versions of tables in SQL texts, found where DuckDB would read a name. */
#include "base/mem.h"
#include "engine/sql_at.h"
#include "testing.h"

static struct clean_model clean[] = {
	{ .model = { .name = "clicks" } },
	{ .model = { .name = "geo" } },
	{ .model = { .name = "my-own" } },
};
static const struct models models = { .clean = clean, .clean_count = ARRAY_LEN(clean) };

static void assert_becomes(const char *sql, const char *wanted, size_t views)
{
	struct sql_at at, again;
	struct err err = { 0 };

	assert_ok(sql_at_read(sql, &models, &at, &err));
	assert_string_equal(buf_cstr(&at.sql), wanted);
	assert_int_equal(at.count, views);
	assert_ok(sql_at_read(wanted, &models, &again, &err));
	assert_string_equal(buf_cstr(&again.sql), wanted);
	sql_at_release(&again);
	sql_at_release(&at);
}

static void assert_same(const char *sql) { assert_becomes(sql, sql, 0); }

static void assert_refused(const char *sql, const char *says)
{
	struct sql_at at;
	struct err err = { 0 };

	assert_int_equal(sql_at_read(sql, &models, &at, &err), ERR_USAGE);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" says nothing of \"%s\"", err.msg, says);
	sql_at_release(&at);
}

static void test_names(void **state)
{
	(void)state;
	assert_becomes("FROM clicks@v3", "FROM \"clicks@v3\"", 1);
	assert_becomes("FROM CLICKS@V3 c, clicks@v3", "FROM \"clicks@V3\" c, \"clicks@V3\"", 1);
	assert_becomes("FROM clicks_all@v3", "FROM \"clicks@v3_all\"", 1);
	assert_becomes("FROM \"my-own@v3\", \"my-own_all@v3\"",
		       "FROM \"my-own@v3\", \"my-own@v3_all\"", 1);
	assert_becomes("FROM clicks@v3 EXCEPT FROM clicks@v5",
		       "FROM \"clicks@v3\" EXCEPT FROM \"clicks@v5\"", 2);
	assert_becomes("SELECT geo@v3.ind FROM(geo@v3)", "SELECT \"geo@v3\".ind FROM(\"geo@v3\")",
		       1);
	assert_becomes("FROM geo@v3--geo@v4\n,geo@v5", "FROM \"geo@v3\"--geo@v4\n,\"geo@v5\"", 2);
	assert_same("FROM clicks, geo_all");
	assert_same("SELECT \"mail@v3\", a@b, 1@v3, @ clicks, clicks @v3, clicks@ v3");
	assert_same("SELECT 1 AS \"clicks@never\"");
}

static void test_times(void **state)
{
	struct sql_at at;
	struct err err = { 0 };

	(void)state;
	assert_ok(
		sql_at_read("FROM geo@2026-11-27, geo@2026-11-27T10:00, geo@2026-11-27T10:00:01.5Z,"
			    " geo@2026-11-27T10:00+01:00.ind, \"geo@2026-11-27 10:00\"--x",
			    &models, &at, &err));
	assert_int_equal(at.count, 5);
	assert_int_equal(at.list[0].at.value, INT64_C(1795737600000));
	assert_int_equal(at.list[1].at.value, INT64_C(1795773600000));
	assert_int_equal(at.list[2].at.value, INT64_C(1795773601500));
	assert_int_equal(at.list[3].at.value, INT64_C(1795770000000));
	assert_int_equal(at.list[4].at.value, INT64_C(1795773600000));
	for (size_t i = 0; i < at.count; i++) {
		assert_int_equal(at.list[i].at.kind, DELTA_AT_TIME);
		assert_int_equal(at.list[i].table, 1);
	}
	assert_string_equal(at.list[4].model.model.name, "geo@2026-11-27 10:00");
	sql_at_release(&at);
}

/* What DuckDB does not read as a name. */
static void test_texts_and_comments(void **state)
{
	(void)state;
	assert_same("SELECT 'geo@v1', 'it''s geo@v1'");
	assert_same("SELECT E'\\'geo@v1', e'\\\\'");
	assert_same("SELECT $$geo@v1$$, $t$ $$ geo@v1 $t$, $1");
	assert_same("SELECT 1 -- geo@v1");
	assert_same("SELECT 1 /* geo@v1 /* */ geo@v1 */");
	assert_becomes("SELECT '\\', geo@v1", "SELECT '\\', \"geo@v1\"", 1);
	assert_becomes("SELECT fooE'\\', geo@v1", "SELECT fooE'\\', \"geo@v1\"", 1);
	assert_becomes("/* /* */ */ geo@v1", "/* /* */ */ \"geo@v1\"", 1);
	assert_becomes("SELECT a$$b, geo@v1", "SELECT a$$b, \"geo@v1\"", 1);
	assert_becomes("SELECT '-- ', geo@v1", "SELECT '-- ', \"geo@v1\"", 1);
	assert_same("SELECT 'geo@v1");
	assert_same("SELECT \"geo@v1");
	assert_same("/* geo@v1");
	assert_same("");
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused("FROM clics@v3",
		       "SQL:1: there is no table \"clics\", did you mean \"clicks\"?");
	assert_refused("FROM geo\n, clicks@yesterday", "SQL:2: \"yesterday\" is neither a version");
	assert_refused("FROM clicks@2026-13-01", "neither");
	assert_refused("FROM clicks@v", "neither");
	assert_refused("FROM clicks@v9999999999999999999", "neither");
	assert_refused("FROM clicks@2026-11-27T10:00x", "neither");
	assert_refused("FROM clicks@2026", "neither");
}

/* The names of versions do not make the table itself one that is read. */
static void test_others(void **state)
{
	struct sql_at at;
	struct err err = { 0 };

	(void)state;
	assert_ok(sql_at_read("FROM clicks@v3, geo", &models, &at, &err));
	assert_string_equal(buf_cstr(&at.others), "FROM , geo");
	sql_at_release(&at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_texts_and_comments),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
