/* The engine with records in memory, as the streaming path uses it: whatever fails, it goes on. */
#include "engine/engine.h"
#include "fetched.h"
#include "base/json.h"
#include "base/mem.h"
#include "scratch.h"
#include "testing.h"

#include <unistd.h>

enum { RECORDS = 5000, PATH_LEN_MAX = 200 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct models models;
	struct engine *engine;
};

struct records {
	struct raw_list list;		/* first */
	int dead;
	int dead_max;			/* then it fails */
};

static enum err_code bury(struct raw_input *input, const struct raw_record *record,
			  const char *reason, struct err *err)
{
	struct records *records = (struct records *)input;

	assert_non_null(record->offset.ptr);
	assert_true(*reason);
	if (++records->dead > records->dead_max)
		return err_set(err, ERR_SPACE, "no room for dead letters");
	return ERR_OK;
}

static int set_up(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	struct engine_options options = { .memory_bytes_max = 256 << 20, .threads = 2 };
	struct err err;

	scratch_dir(fixture->dir);
	options.temp_dir = fixture->dir;
	assert_ok(models_load(TEST_MODELS, &fixture->models, &err));
	assert_ok(engine_duckdb_new(&options, &fixture->engine, &err));
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	engine_free(fixture->engine);
	models_free(&fixture->models);
	scratch_remove(fixture->dir);
	free(fixture);
	return 0;
}

/* Clean `count` users; every `dead_every`-th of them is no JSON. */
static enum err_code clean(struct fixture *fixture, size_t count, size_t dead_every, int dead_max,
			   const char *path, struct clean_result *ret_result, struct err *err)
{
	static char values[RECORDS][128];
	static char offsets[RECORDS][24];
	static struct raw_record list[RECORDS];
	struct records records = { .dead_max = dead_max };

	for (size_t i = 0; i < count; i++) {
		(void)snprintf(values[i], sizeof(values[i]), "%s\"ind\":%zu,\"age\":\"%s\"}",
			       i % dead_every == dead_every - 1 ? "" : "{", i, i % 2 ? "30" : "x");
		(void)snprintf(offsets[i], sizeof(offsets[i]), "%020zu", i);
		list[i] = (struct raw_record){ .value = slice_str(values[i]),
					       .partition = slice_str("0"),
					       .offset = slice_str(offsets[i]) };
	}
	raw_list_init(&records.list, list, count, false, bury);
	return engine_clean(fixture->engine, models_clean(&fixture->models, "user"),
			    &records.list.input, path, ret_result, err);
}

static void test_clean_and_ask(void **state)
{
	struct fixture *fixture = *state;
	const struct model question = { .file = "q", .line = 1, .sql =
		"SELECT count(*), count(age), min(_offset), max(ind) FROM user_all" };
	char path[PATH_LEN_MAX];
	const char *paths[] = { path };
	struct engine_table table = { .model = models_clean(&fixture->models, "user"),
				      .file_count = 1 };
	struct clean_result result;
	struct answer answer;
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/a.parquet", fixture->dir);
	assert_ok(clean(fixture, RECORDS, 10, RECORDS, path, &result, &err));
	assert_int_equal(result.rows, RECORDS * 9 / 10);
	assert_int_equal(result.dead, RECORDS / 10);
	assert_int_equal(result.unreadable, RECORDS / 2);
	assert_non_null(strstr(buf_cstr(&result.stats), "\"numRecords\":4500"));
	buf_release(&result.stats);
	table.files = fetched_of(paths, table.file_count);
	assert_ok(engine_attach(fixture->engine, &table, 1, &err));
	assert_ok(engine_ask(fixture->engine, &question, NULL, &answer, &err));
	assert_int_equal(answer_cell(&answer, 0, 0)->i, RECORDS * 9 / 10);
	assert_int_equal(answer_cell(&answer, 0, 1)->i, RECORDS * 4 / 10);
	assert_true(slice_is(answer_cell(&answer, 0, 2)->text, "00000000000000000000"));
	assert_int_equal(answer_cell(&answer, 0, 3)->i, RECORDS - 2);
	answer_release(&answer);
}

/* Else a join of dense inds is done by a hash table, at twice the cost. */
static void test_the_range_of_inds_is_known_over_files(void **state)
{
	struct fixture *fixture = *state;
	const struct model question = { .file = "q", .line = 1,
					.sql = "SELECT stats(ind) FROM user LIMIT 1" };
	char names[2][PATH_LEN_MAX];
	const char *paths[] = { names[0], names[1] };
	struct engine_table table = { .model = models_clean(&fixture->models, "user"),
				      .file_count = 2 };
	struct clean_result result;
	struct answer answer;
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s/range%zu.parquet", fixture->dir, i);
		assert_ok(clean(fixture, i ? 300 : 200, RECORDS, 0, names[i], &result, &err));
		buf_release(&result.stats);
	}
	table.files = fetched_of(paths, table.file_count);
	assert_ok(engine_attach(fixture->engine, &table, 1, &err));
	assert_ok(engine_ask(fixture->engine, &question, NULL, &answer, &err));
	assert_true(slice_starts(answer_cell(&answer, 0, 0)->text, "[Min: 0, Max: 299]"));
	answer_release(&answer);
}

static void test_no_row_no_file(void **state)
{
	struct fixture *fixture = *state;
	struct clean_result result;
	char path[PATH_LEN_MAX];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/b.parquet", fixture->dir);
	assert_ok(clean(fixture, 7, 1, 7, path, &result, &err));
	assert_int_equal(result.rows, 0);
	assert_int_equal(result.dead, 7);
	assert_int_equal(access(path, F_OK), -1);
	buf_release(&result.stats);
}

/* What the input says comes out as it was, there is no file, and the engine goes on. */
static void test_an_input_that_fails(void **state)
{
	struct fixture *fixture = *state;
	struct clean_result result;
	char path[PATH_LEN_MAX];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/c.parquet", fixture->dir);
	assert_int_equal(clean(fixture, RECORDS, 10, 3, path, &result, &err), ERR_SPACE);
	assert_string_equal(err.msg, "no room for dead letters");
	assert_int_equal(access(path, F_OK), -1);
	assert_ok(clean(fixture, 10, 10, 1, path, &result, &err));
	assert_int_equal(result.rows, 9);
	buf_release(&result.stats);
}

static void test_an_answer_as_json_and_csv(void **state)
{
	struct fixture *fixture = *state;
	const struct model question = { .file = "q", .line = 1, .sql =
		"SELECT 'a,\"b' AS t, NULL AS n, '' AS e, true AS b, 1.5 AS d, [1,2] AS l, DATE '2020-01-02' AS day,"
		" CAST(7 AS HUGEINT) AS h" };
	struct answer answer;
	struct buf text;
	struct err err;

	assert_ok(engine_ask(fixture->engine, &question, NULL, &answer, &err));
	buf_init(&text, 4096);
	answer_put_json(&text, &answer);
	assert_string_equal(buf_cstr(&text), "{\"columns\":[\"t\",\"n\",\"e\",\"b\",\"d\",\"l\",\"day\",\"h\"],"
			    "\"rows\":[[\"a,\\\"b\",null,\"\",true,1.5,[1,2],\"2020-01-02\",7]]}");
	buf_clear(&text);
	answer_put_csv(&text, &answer);
	assert_string_equal(buf_cstr(&text), "t,n,e,b,d,l,day,h\r\n"
			    "\"a,\"\"b\",,\"\",true,1.5,\"[1,2]\",2020-01-02,7\r\n");
	buf_release(&text);
	answer_release(&answer);
}

/* One row of one column, as JSON; the same by way of a file. */
static void assert_json(struct fixture *fixture, const char *sql, const char *json)
{
	const struct model question = { .file = "q", .line = 1, .sql = sql };
	char path[PATH_LEN_MAX];

	(void)snprintf(path, sizeof(path), "%s/answer.parquet", fixture->dir);
	for (int filed = 0; filed < 2; filed++) {
		struct answer answer;
		struct buf text;
		struct err err;

		assert_ok(engine_ask(fixture->engine, &question, filed ? path : NULL, &answer,
				     &err));
		buf_init(&text, 4096);
		answer_put_cell(&text, answer_cell(&answer, 0, 0));
		assert_string_equal(buf_cstr(&text), json);
		buf_release(&text);
		answer_release(&answer);
	}
	assert_int_equal(unlink(path), 0);
}

static void test_values_keep_their_shape_and_digits(void **state)
{
	assert_json(*state, "SELECT [1.5::DOUBLE, NULL]", "[1.5,null]");
	assert_json(*state, "SELECT [[1, 2], NULL, []]", "[[1,2],null,[]]");
	assert_json(*state, "SELECT [1, 2]::INT[2]", "[1,2]");
	assert_json(*state, "SELECT {'a': 'x\"y', 'b': [true], 'c': NULL}",
		    "{\"a\":\"x\\\"y\",\"b\":[true],\"c\":null}");
	assert_json(*state, "SELECT MAP {'k': 1}", "{\"k\":1}");
	assert_json(*state, "SELECT '{\"a\":\n[1e400, \"NaN\"]}'::JSON", "{\"a\": [1e400, \"NaN\"]}");
	assert_json(*state, "SELECT ['nan'::DOUBLE, '-inf'::DOUBLE, 1]", "[null,null,1.0]");
	assert_json(*state, "SELECT ['NaN', 'a\\\"inf']", "[\"NaN\",\"a\\\\\\\"inf\"]");
	assert_json(*state, "SELECT [DATE '2020-01-02']", "[\"2020-01-02\"]");
	assert_json(*state, "SELECT 18446744073709551615::UBIGINT", "18446744073709551615");
	assert_json(*state, "SELECT -170141183460469231731687303715884105727::HUGEINT",
		    "-170141183460469231731687303715884105727");
	assert_json(*state, "SELECT 340282366920938463463374607431768211455::UHUGEINT",
		    "340282366920938463463374607431768211455");
	assert_json(*state, "SELECT 12345678901234567890.123456789::DECIMAL(38, 9)",
		    "12345678901234567890.123456789");
	assert_json(*state, "SELECT [12345678901234567890.123456789::DECIMAL(38, 9)]",
		    "[12345678901234567890.123456789]");
	assert_json(*state, "SELECT 'nan'::DOUBLE", "null");
	assert_json(*state, "SELECT NULL::INT[]", "null");
	assert_json(*state, "SELECT NULL::DECIMAL(4, 2)", "null");
}

static void test_longs_and_booleans_are_read(void **state)
{
	assert_json(*state, "SELECT [as_long('9223372036854775807'), as_long('-9223372036854775808'),"
		    " as_long('9223372036854775808'), as_long('-9223372036854775809'), as_long('7.0'),"
		    " as_long('1.5'), as_long(''), as_long(NULL)]",
		    "[9223372036854775807,-9223372036854775808,null,null,7,null,null,null]");
	assert_json(*state, "SELECT [as_int('2147483647'), as_int('-2147483648'),"
		    " as_int('2147483648'), as_int('-2147483649')]", "[2147483647,-2147483648,null,null]");
	assert_json(*state, "SELECT [as_boolean('true'), as_boolean('False'), as_boolean('1'),"
		    " as_boolean('0'), as_boolean('2'), as_boolean(' true'), as_boolean(''),"
		    " as_boolean(NULL)]", "[true,false,true,false,null,null,null,null]");
}

static void check_clean(struct fixture *fixture, const char *sql, const char *said)
{
	struct clean_model model = *models_clean(&fixture->models, "user");
	struct err err = { .msg = "" };
	enum err_code code;

	model.model.sql = sql;
	model.model.file = "user.sql";
	model.model.line = 10;
	code = engine_check_clean(fixture->engine, &model, &err);
	if ((code == ERR_OK) != !*said)
		fail_msg("\"%s\": %s", sql, err.msg);
	assert_int_equal(code, *said ? ERR_USAGE : ERR_OK);
	if (*said && !strstr(err.msg, said))
		fail_msg("\"%s\" lacks \"%s\"", err.msg, said);
}

#define LINEAGE ", _partition, _offset FROM raw"

static void test_clean_models_are_checked(void **state)
{
	struct fixture *fixture = *state;
	static const char *const not_selects[] = {
		"COPY raw TO 'x'", "SELECT 1; SELECT 2", "DESCRIBE raw", "SUMMARIZE raw",
		"EXPLAIN SELECT 1", "CREATE TABLE x (a INT)", "SHOW TABLES", "PRAGMA version",
		"SELECT 1)) TO '/tmp/x' (FORMAT csv) --", "",
	};
	struct err err;

	for (size_t i = 0; i < fixture->models.clean_count; i++)
		assert_ok(engine_check_clean(fixture->engine, &fixture->models.clean[i], &err));
	for (size_t i = 0; i < ARRAY_LEN(not_selects); i++)
		check_clean(fixture, not_selects[i], "user.sql:10: ");
	check_clean(fixture, "SELECT as_int(ind) AS ind, 'x' AS user_name, 1 AS age,\n"
		    " as_timestamp(date_joined) AS date_joined" LINEAGE, "");
	check_clean(fixture, "WITH a AS (SELECT * FROM raw) SELECT as_int(ind) AS ind, '' AS user_name,"
		    " 1 AS age, as_timestamp(date_joined) AS date_joined, _partition, _offset FROM a", "");
	check_clean(fixture, "SELECT as_int(ind) AS ind,\n as_foo(age) AS age" LINEAGE, "user.sql:11: ");
	check_clean(fixture, "SELECT as_int(ind) AS ind,\n\n agee AS age" LINEAGE, "user.sql:12: ");
	check_clean(fixture, "SELECT as_int(ind) AS ind, '' AS user_name, 1 AS age" LINEAGE,
		    "user.sql:10: the SELECT lacks the column \"date_joined\"");
	check_clean(fixture, "SELECT as_int(ind) AS ind, '' AS user_name, 1 AS age, 2 AS more,"
		    " as_timestamp(date_joined) AS date_joined" LINEAGE, "has a column \"more\"");
	check_clean(fixture, "SELECT as_int(ind) AS ind, '' AS user_name, [1] AS age,"
		    " as_timestamp(date_joined) AS date_joined" LINEAGE, "user.sql:10: ");
	check_clean(fixture, "SELECT *\nFROM user_all", "user.sql:11: reads \"user_all\"");
	check_clean(fixture, "SELECT *\nFROM read_text('/etc/hostname')", "user.sql:11: ");
	check_clean(fixture, "SELECT * FROM raw_records()", "\"raw_records\" is not allowed");
}

static void check_analysis(struct fixture *fixture, const char *sql, const char *said)
{
	const struct analysis_model analysis = { .model = { .file = "a.sql", .line = 3, .sql = sql } };
	struct err err = { .msg = "" };
	enum err_code code;

	code = engine_check_analysis(fixture->engine, &fixture->models, &analysis, &err);
	assert_int_equal(code, *said ? ERR_USAGE : ERR_OK);
	if (*said && !strstr(err.msg, said))
		fail_msg("\"%s\" lacks \"%s\"", err.msg, said);
}

static void test_analyses_are_checked(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < fixture->models.analysis_count; i++)
		check_analysis(fixture, fixture->models.analyses[i].model.sql, "");
	check_analysis(fixture, "SELECT ind\nFROM pins", "a.sql:4: ");
	check_analysis(fixture, "SELECT agee FROM user", "a.sql:3: ");
	check_analysis(fixture, "DESCRIBE user", "a.sql:3: a model is a SELECT");
	check_analysis(fixture, "SELECT 1;\nDROP VIEW user", "a.sql:3: a model is one SELECT");
	check_analysis(fixture, "SELECT 1\nFROM 'x.parquet'", "a.sql:4: \"x.parquet\" is no view");
	check_analysis(fixture, "SELECT * FROM raw", "a.sql:3: ");
}

/* What a clean model may not do is refused before it reads a record. */
static void test_no_model_writes_a_file(void **state)
{
	struct fixture *fixture = *state;
	struct clean_model model = *models_clean(&fixture->models, "user");
	struct records records = { .dead_max = 0 };
	struct clean_result result;
	struct raw_record none = { .partition = slice_str("0") };
	char path[PATH_LEN_MAX];
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/d.parquet", fixture->dir);
	model.model.sql = "SELECT 1)) TO '/tmp/pinpipe-was-here' (FORMAT csv) --";
	raw_list_init(&records.list, &none, 0, false, bury);
	assert_int_equal(engine_clean(fixture->engine, &model, &records.list.input, path, &result,
				      &err), ERR_USAGE);
	assert_int_equal(access("/tmp/pinpipe-was-here", F_OK), -1);
}

static void test_an_error_has_file_and_line(void **state)
{
	struct fixture *fixture = *state;
	const struct model question = { .file = "models/x.sql", .line = 10,
					.sql = "SELECT\n\tnothing\nFROM nowhere" };
	struct answer answer;
	struct err err;

	assert_int_equal(engine_ask(fixture->engine, &question, NULL, &answer, &err), ERR_USAGE);
	assert_memory_equal(err.msg, "models/x.sql:12: ", strlen("models/x.sql:12: "));
	assert_non_null(strstr(fixture->engine->hint, "LINE 3: FROM nowhere"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_and_ask),
		cmocka_unit_test(test_the_range_of_inds_is_known_over_files),
		cmocka_unit_test(test_no_row_no_file),
		cmocka_unit_test(test_an_input_that_fails),
		cmocka_unit_test(test_an_answer_as_json_and_csv),
		cmocka_unit_test(test_values_keep_their_shape_and_digits),
		cmocka_unit_test(test_longs_and_booleans_are_read),
		cmocka_unit_test(test_clean_models_are_checked),
		cmocka_unit_test(test_analyses_are_checked),
		cmocka_unit_test(test_no_model_writes_a_file),
		cmocka_unit_test(test_an_error_has_file_and_line),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
