/* Tables of the engine: which rows are current by which key, whatever their files are called and
 * have, and what a table that cannot be read does to the others. */
#include "base/mem.h"
#include "engine/engine.h"
#include "fetched.h"
#include "scratch.h"
#include "sql/duck.h"
#include "testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LEN_MAX = 400 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct duck duck;		/* writes the files */
	struct engine *engine;
};

static int set_up(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	const struct duck_options duck = { .memory_bytes_max = 256 << 20, .threads = 1 };
	struct engine_options options = { .memory_bytes_max = 256 << 20, .threads = 2,
					  .progress = true };
	struct err err;

	scratch_dir(fixture->dir);
	options.temp_dir = fixture->dir;
	assert_ok(duck_open(&duck, &fixture->duck, &err));
	assert_ok(engine_duckdb_new(&options, &fixture->engine, &err));
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	engine_free(fixture->engine);
	duck_close(&fixture->duck);
	scratch_remove(fixture->dir);
	free(fixture);
	return 0;
}

static const char *make_file(struct fixture *fixture, const char *name, const char *select,
			     char path[PATH_LEN_MAX])
{
	struct buf sql;
	struct err err;

	(void)snprintf(path, PATH_LEN_MAX, "%s/%s", fixture->dir, name);
	buf_init(&sql, 1 << 20);
	buf_addf(&sql, "COPY (%s) TO ", select);
	duck_put_literal(&sql, slice_str(path));
	buf_add_str(&sql, " (FORMAT parquet)");
	assert_ok(duck_run(&fixture->duck, buf_cstr(&sql), &err));
	buf_release(&sql);
	return path;
}

/* A table "t" of k, v, _partition and _offset. */
static struct clean_model model_of(const struct delta_column *columns, size_t count,
				   const char *key)
{
	return (struct clean_model){ .model = { .name = "t", .file = "t.sql", .line = 1, .sql = "" },
				     .key = key, .schema = { columns, count } };
}

static struct answer asked(struct fixture *fixture, const char *sql)
{
	const struct model question = { .file = "q", .line = 1, .sql = sql };
	struct answer answer;
	struct err err;

	assert_ok(engine_ask(fixture->engine, &question, NULL, &answer, &err));
	return answer;
}

static void assert_asked(struct fixture *fixture, const char *sql, const char *json)
{
	struct answer answer = asked(fixture, sql);
	struct buf text;

	buf_init(&text, 1 << 20);
	answer_put_members(&text, &answer);
	assert_string_equal(strstr(buf_cstr(&text), "\"rows\":") + strlen("\"rows\":"), json);
	buf_release(&text);
	answer_release(&answer);
}

static void attach(struct fixture *fixture, const struct clean_model *model,
		   const char *const *paths, size_t count)
{
	struct engine_table table = { .files = fetched_of(paths, count), .file_count = count,
				      .model = model };
	struct err err;

	assert_ok(engine_attach(fixture->engine, &table, 1, &err));
}

/* Keys at the ends of their ranges, some of them twice; `many` versions of each. */
static void try_keys(struct fixture *fixture, enum delta_type type, const char *sql_type,
		     const char *least, const char *most, const char *third)
{
	const struct delta_column columns[] = {
		{ .name = "k", .type = type }, { .name = "v", .type = DELTA_STRING },
		{ .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), "k");

	for (int versions = 1; versions <= 9; versions += 4) {
		char select[2000], expected[400], path[PATH_LEN_MAX], name[40];
		const char *paths[1];

		(void)snprintf(name, sizeof(name), "keys-%d-%d.parquet", (int)type, versions);
		(void)snprintf(select, sizeof(select),
			       "SELECT CAST(c.k AS %s) AS k, 'v' || i AS v, '0' AS _partition,"
			       " lpad(CAST(i * 3 + c.n AS VARCHAR), 20, '0') AS _offset FROM (VALUES"
			       " (0, %s), (1, %s), (2, %s)) AS c(n, k), range(%d) AS r(i)"
			       " WHERE c.n < 2 OR i = 0", sql_type, least, most, third, versions);
		paths[0] = make_file(fixture, name, select, path);
		attach(fixture, &model, paths, 1);
		(void)snprintf(expected, sizeof(expected), "[[\"v%d\"],[\"v%d\"],[\"v0\"]]",
			       versions - 1, versions - 1);
		(void)snprintf(select, sizeof(select), "SELECT v FROM t ORDER BY k = %s DESC,"
			       " k = %s DESC", least, most);
		assert_asked(fixture, select, expected);
		(void)snprintf(expected, sizeof(expected), "[[3,%d]]", versions * 2 + 1);
		assert_asked(fixture, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM t_all)",
			     expected);
	}
}

static void test_int_keys(void **state)
{
	try_keys(*state, DELTA_INTEGER, "INTEGER", "-2147483648", "2147483647", "0");
}

static void test_long_keys(void **state)
{
	try_keys(*state, DELTA_LONG, "BIGINT", "-9223372036854775808", "9223372036854775807", "0");
	/* Alike in their lower 32 bits. */
	try_keys(*state, DELTA_LONG, "BIGINT", "1", "4294967297", "8589934593");
}

static void test_text_keys(void **state)
{
	try_keys(*state, DELTA_STRING, "VARCHAR", "'a'", "'a '", "repeat('x', 100000)");
	try_keys(*state, DELTA_STRING, "VARCHAR", "'0'", "'00'", "'it''s \"ü\"'");
}

static void test_the_key_is_where_the_model_says(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "v", .type = DELTA_STRING }, { .name = "k", .type = DELTA_LONG },
		{ .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	struct clean_model model = model_of(columns, ARRAY_LEN(columns), "the field");
	char path[PATH_LEN_MAX];
	const char *paths[] = { make_file(fixture, "second.parquet",
		"SELECT 'same' AS v, CAST(i AS BIGINT) AS k, '0' AS _partition, '0' || i AS _offset"
		" FROM range(3) AS r(i)", path) };

	model.key_column = 1;
	attach(fixture, &model, paths, 1);
	assert_asked(fixture, "SELECT count(*) FROM t", "[[3]]");
}

static void test_without_a_key_every_row_is_current(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_BOOLEAN }, { .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), NULL);
	char path[PATH_LEN_MAX];
	const char *paths[] = { make_file(fixture, "no-key.parquet",
		"SELECT i = 1 AS k, '0' AS _partition, '0' AS _offset FROM range(5) AS r(i)", path) };
	struct answer answer;

	attach(fixture, &model, paths, 1);
	assert_asked(fixture, "SELECT count(*), count(*) FILTER (k) FROM t", "[[5,1]]");
	answer = asked(fixture, "FROM t");
	assert_int_equal(answer.column_count, 1);	/* without lineage */
	answer_release(&answer);
}

/* One row a file, "right"; what DuckDB would rather open or believe says "wrong". */
static void test_paths_are_paths(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {
		"country=Peru/a.parquet", "a*b/x.parquet", "a?b/x.parquet", "a[1]b/x.parquet",
		"it's/x.parquet", "{a,b}/x.parquet", "back\\slash/x.parquet", "a[*]b/x.parquet",
		"**/x.parquet", "-x.parquet", "a]b/%41.parquet", "a!b/[!a].parquet",
	};
	static const char *const decoys[] = { "axb/x.parquet", "a1b/x.parquet", "a!b/b.parquet",
					      "A.parquet" };
	static const char *const dirs[] = { "country=Peru", "a*b", "a?b", "a[1]b", "it's", "{a,b}",
					    "back\\slash", "a[*]b", "**", "a]b", "a!b", "axb", "a1b" };
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_INTEGER }, { .name = "country", .type = DELTA_STRING },
		{ .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), "k");
	char paths[ARRAY_LEN(names)][PATH_LEN_MAX], decoy[PATH_LEN_MAX];
	const char *list[ARRAY_LEN(names)];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(decoy, sizeof(decoy), "%s/%s", fixture->dir, dirs[i]);
		assert_int_equal(mkdir(decoy, 0700), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(decoys); i++)
		(void)make_file(fixture, decoys[i], "SELECT 99 AS k, 'wrong' AS country, '0' AS"
				" _partition, '0' AS _offset", decoy);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char select[200];

		(void)snprintf(select, sizeof(select), "SELECT %zu AS k, 'right' AS country, '0' AS"
			       " _partition, '%zu' AS _offset", i, i);
		list[i] = make_file(fixture, names[i], select, paths[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char expected[40];

		attach(fixture, &model, &list[i], 1);
		(void)snprintf(expected, sizeof(expected), "[[%zu,\"right\"]]", i);
		assert_asked(fixture, "SELECT k, country FROM t", expected);
	}
	attach(fixture, &model, list, ARRAY_LEN(list));
	assert_asked(fixture, "SELECT count(*), count(DISTINCT k), min(country), max(country) FROM t",
		     "[[12,12,\"right\",\"right\"]]");
}

static void test_columns_that_files_lack_are_null(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_INTEGER }, { .name = "new", .type = DELTA_TIMESTAMP },
		{ .name = "newer", .type = DELTA_LONG },
		{ .name = "newest", .type = DELTA_ARRAY_DOUBLE },
		{ .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), "k");
	char paths[2][PATH_LEN_MAX];
	const char *list[] = {
		make_file(fixture, "old.parquet", "SELECT 1 AS k, '0' AS _partition, '0' AS _offset",
			  paths[0]),
		make_file(fixture, "new.parquet", "SELECT '0' AS _partition, '1' AS _offset, 7::INT AS newer,"
			  " TIMESTAMPTZ '2020-01-02 00:00:00+00' AS new, 2 AS k", paths[1]),
	};

	attach(fixture, &model, list, 2);
	assert_asked(fixture, "SELECT * FROM t ORDER BY k",
		     "[[1,null,null,null],[2,\"2020-01-02 00:00:00\",7,null]]");
	assert_asked(fixture, "SELECT typeof(newer), typeof(newest) FROM t LIMIT 1",
		     "[[\"BIGINT\",\"DOUBLE[]\"]]");
	attach(fixture, &model, list, 1);
	assert_asked(fixture, "SELECT * FROM t", "[[1,null,null,null]]");
}

/* The last file is what the log holds beyond the table, which is older than a column of it. */
static void test_a_live_view_has_the_tail(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_INTEGER },
		{ .name = "new", .type = DELTA_LONG },
		{ .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), "k");
	char paths[2][PATH_LEN_MAX];
	const char *list[] = {
		make_file(fixture, "table.parquet",
			  "SELECT 1 AS k, '0' AS _partition, '0' AS _offset", paths[0]),
		make_file(fixture, "tail.parquet",
			  "SELECT 1 AS k, 7::BIGINT AS new, '0' AS _partition, '1' AS _offset",
			  paths[1]),
	};
	static const struct model question = { .file = "q", .line = 1, .sql = "FROM t_live" };
	struct answer answer;
	struct err err;

	for (int live = 0; live < 2; live++) {
		struct engine_table table = { .model = &model,
					      .files = fetched_of(list, 2),
					      .file_count = 2,
					      .tail_count = 1,
					      .live = live };

		assert_ok(engine_attach(fixture->engine, &table, 1, &err));
		assert_asked(fixture, "SELECT k, new FROM t_live ORDER BY _offset",
			     "[[1,null],[1,7]]");
		assert_asked(fixture, "SELECT * FROM t", live ? "[[1,7]]" : "[[1,null]]");
		assert_asked(fixture, "SELECT count(*) FROM t_all", live ? "[[2]]" : "[[1]]");
	}
	assert_ok(engine_attach(fixture->engine,
				&(struct engine_table){ .model = &model,
							.no_live = "there is none",
							.files = fetched_of(list, 1),
							.file_count = 1 },
				1, &err));
	assert_asked(fixture, "SELECT k FROM t", "[[1]]");
	assert_int_equal(engine_ask(fixture->engine, &question, NULL, &answer, &err),
			 ERR_UNSUPPORTED);
	assert_string_equal(err.msg, "q:1: \"t_live\" cannot be read: there is none");
}

static const char *write_torn(struct fixture *fixture, char path[PATH_LEN_MAX])
{
	FILE *file;

	(void)snprintf(path, PATH_LEN_MAX, "%s/torn.parquet", fixture->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs("PAR1, and no more of it than this", file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void test_a_broken_table_takes_no_other_with_it(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_INTEGER }, { .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	struct clean_model models[] = { model_of(columns, ARRAY_LEN(columns), "k"),
					model_of(columns, ARRAY_LEN(columns), "k"),
					model_of(columns, ARRAY_LEN(columns), "k") };
	char path[PATH_LEN_MAX];
	const char *good[] = { make_file(fixture, "good.parquet", "SELECT 1 AS k, '0' AS _partition,"
					 " '0' AS _offset", path) };
	char torn_path[PATH_LEN_MAX];
	const char *torn[] = { write_torn(fixture, torn_path) };
	struct engine_table tables[] = {
		{ .model = &models[0], .broken = "it asks for more" },
		{ .model = &models[1], .files = fetched_of(torn, 1), .file_count = 1 },
		{ .model = &models[2], .files = fetched_of(good, 1), .file_count = 1 },
	};
	static const char *const refused[] = { "SELECT * FROM old", "SELECT 1 FROM t JOIN old_all USING (k)",
					       "SELECT (SELECT max(k) FROM OLD)" };
	struct answer answer;
	struct err err;

	models[0].model.name = "old";
	models[1].model.name = "torn";
	assert_ok(engine_attach(fixture->engine, tables, 3, &err));
	assert_asked(fixture, "SELECT k FROM t", "[[1]]");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const struct model question = { .file = "q", .line = 1, .sql = refused[i] };

		assert_int_equal(engine_ask(fixture->engine, &question, NULL, &answer, &err),
				 ERR_UNSUPPORTED);
		assert_string_equal(err.msg, "q:1: table \"old\" cannot be read: it asks for more");
	}
	assert_int_equal(engine_ask(fixture->engine, &(struct model){ .file = "q", .line = 1,
				    .sql = "FROM torn" }, NULL, &answer, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "/torn.parquet'"));	/* not as DuckDB was told it */
}

/* Descriptors' numbers come again, and both files are of one size and one time. */
static void test_what_was_read_is_of_the_file_that_is_attached(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_INTEGER }, { .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), "k");
	static const struct timespec times[2] = { { .tv_sec = 1000000000 },
						  { .tv_sec = 1000000000 } };
	char paths[2][PATH_LEN_MAX];

	for (int i = 0; i < 2; i++) {
		char select[200], name[20];

		(void)snprintf(name, sizeof(name), "alike-%d.parquet", i);
		(void)snprintf(select, sizeof(select), "SELECT %d AS k, '0' AS _partition, '0' AS _offset",
			       i + 7);
		(void)make_file(fixture, name, select, paths[i]);
		assert_int_equal(utimensat(AT_FDCWD, paths[i], times, 0), 0);
	}
	for (int i = 0; i < 6; i++) {
		const char *path = paths[i % 2];

		attach(fixture, &model, &path, 1);
		assert_asked(fixture, "SELECT k, count(*) FROM t GROUP BY k",
			     i % 2 ? "[[8,1]]" : "[[7,1]]");
	}
}

/* What is open is read, whatever becomes of its name. */
static void test_a_file_that_lost_its_name_is_read(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_INTEGER }, { .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), "k");
	char path[PATH_LEN_MAX];
	const char *list[] = { make_file(fixture, "leaving.parquet", "SELECT 5 AS k, '0' AS _partition,"
					 " '0' AS _offset", path) };

	attach(fixture, &model, list, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_asked(fixture, "SELECT k FROM t", "[[5]]");
}

static void *interrupt_it(void *engine)
{
	for (int i = 0; i < 100; i++) {
		struct timespec pause = { .tv_nsec = 10000000 };

		engine_interrupt(engine);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static void test_an_interrupt_ends_what_runs(void **state)
{
	struct fixture *fixture = *state;
	const struct model question = { .file = "q", .line = 1,
					.sql = "SELECT count(*) FROM range(1000000000000000000)" };
	struct answer answer;
	pthread_t thread;
	struct err err;

	assert_int_equal(pthread_create(&thread, NULL, interrupt_it, fixture->engine), 0);
	assert_int_equal(engine_ask(fixture->engine, &question, NULL, &answer, &err), ERR_STOPPED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_asked(fixture, "SELECT 1", "[[1]]");
}

/* What another thread saw of a question's progress. */
struct watch {
	struct engine *engine;
	atomic_bool over;
	double least, most;
};

static void *watch_it(void *user)
{
	struct watch *watch = user;

	while (!atomic_load(&watch->over)) {
		double now = engine_progress(watch->engine);

		(void)usleep(1000);
		if (now < 0)
			continue;
		watch->least = now < watch->least ? now : watch->least;
		watch->most = now > watch->most ? now : watch->most;
	}
	return NULL;
}

static void test_progress_can_be_asked(void **state)
{
	struct fixture *fixture = *state;
	const struct delta_column columns[] = {
		{ .name = "k", .type = DELTA_LONG }, { .name = "_partition", .type = DELTA_STRING },
		{ .name = "_offset", .type = DELTA_STRING },
	};
	const struct clean_model model = model_of(columns, ARRAY_LEN(columns), NULL);
	char path[PATH_LEN_MAX];
	const char *list[] = { make_file(fixture, "long.parquet", "SELECT CAST(i AS BIGINT) AS k, '0' AS"
					 " _partition, '0' AS _offset FROM range(2000000) AS r(i)", path) };
	struct watch watch = { .engine = fixture->engine, .least = 1 };
	pthread_t thread;

	assert_true(engine_progress(fixture->engine) < 0);
	attach(fixture, &model, list, 1);
	assert_int_equal(pthread_create(&thread, NULL, watch_it, &watch), 0);
	assert_asked(fixture, "SELECT count(*) FROM t WHERE md5(md5(md5(k::VARCHAR))) <> ''",
		     "[[2000000]]");
	atomic_store(&watch.over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(watch.least < 0.5 && watch.most > 0.5 && watch.most <= 1);
	assert_true(engine_progress(fixture->engine) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_int_keys),
		cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_text_keys),
		cmocka_unit_test(test_the_key_is_where_the_model_says),
		cmocka_unit_test(test_without_a_key_every_row_is_current),
		cmocka_unit_test(test_paths_are_paths),
		cmocka_unit_test(test_columns_that_files_lack_are_null),
		cmocka_unit_test(test_a_live_view_has_the_tail),
		cmocka_unit_test(test_a_broken_table_takes_no_other_with_it),
		cmocka_unit_test(test_what_was_read_is_of_the_file_that_is_attached),
		cmocka_unit_test(test_a_file_that_lost_its_name_is_read),
		cmocka_unit_test(test_an_interrupt_ends_what_runs),
		cmocka_unit_test(test_progress_can_be_asked),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
