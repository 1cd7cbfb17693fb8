/* Real files become one: which rows, columns and order it has, and what stops it. */
#include "base/mem.h"
#include "base/metrics.h"
#include "flow/compact.h"
#include "scratch.h"
#include "store/layer.h"
#include "testing.h"

#include <inttypes.h>
#include <sys/stat.h>

#define ROOT "tables/t"
enum { SQL_MAX = 1 << 16 };

static const struct delta_column columns[] = {
	{ "ind", DELTA_INTEGER },	{ "title", DELTA_STRING },	{ "at", DELTA_TIMESTAMP },
	{ "pair", DELTA_ARRAY_DOUBLE }, { "_partition", DELTA_STRING }, { "_offset", DELTA_STRING },
};
static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };

static char dir[SCRATCH_NAME_MAX];
static struct duck duck; /* writes and reads the files */
static struct store *store;
static struct delta_table *table;
static struct compactor compactor;

static int setup(void **state)
{
	const struct duck_options options = { .memory_bytes_max = 256 << 20, .threads = 1 };
	struct delta_options delta = { .create = &schema };
	struct err err;

	(void)state;
	scratch_dir(dir);
	assert_ok(duck_open(&options, &duck, &err));
	assert_ok(duck_run(&duck, "SET TimeZone = 'UTC'", &err));
	assert_ok(store_file_new(dir, &store, &err));
	assert_ok(delta_open(store, ROOT, &delta, &table, &err));
	compactor_init(&compactor, &(struct compact_options){
					   .store = store,
					   .dir = dir,
					   .memory_bytes_max = 256 << 20,
					   .threads = 1,
					   .policy = { .target_bytes = 1 << 20, .all = true } });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	compactor_release(&compactor);
	delta_close(table);
	store_free(store);
	duck_close(&duck);
	scratch_remove(dir);
	return 0;
}

static uint64_t size_of(const char *path)
{
	struct stat found;

	assert_int_equal(stat(path, &found), 0);
	return (uint64_t)found.st_size;
}

/* A data file of these rows, and its commit, which says that there are so many. */
static void add_file(const char *name, const char *select, uint64_t rows)
{
	char path[200];
	struct delta_add add = { .path = (char *)(uintptr_t)name, .modified_ms = 1, .rows = rows };
	struct delta_commit commit = { .operation = "WRITE", .adds = &add, .add_count = 1 };
	int64_t version;
	struct buf sql;
	struct err err;

	buf_init(&sql, SQL_MAX);
	(void)snprintf(path, sizeof(path), "%s/" ROOT "/%s", dir, name);
	buf_addf(&sql, "COPY (%s) TO '%s' (FORMAT parquet)", select, path);
	assert_ok(duck_run(&duck, buf_cstr(&sql), &err));
	buf_release(&sql);
	add.size = size_of(path);
	assert_ok(delta_commit(table, &commit, &version, &err));
}

#define ROW(ind, offset) \
	"SELECT " ind " AS ind, 'a' AS title, TIMESTAMPTZ '2020-01-02 03:04:05+00' AS at," \
	" [1.5, NULL] AS pair, '0' AS _partition, '" offset "' AS _offset"

/* All rows of the only file, as text. */
static void assert_only_file(const char *rows)
{
	struct buf sql;
	struct err err;
	duckdb_result result;
	char *text;

	assert_int_equal(delta_file_count(table), 1);
	buf_init(&sql, SQL_MAX);
	buf_addf(
		&sql,
		"SELECT string_agg(concat_ws(' ', ind, coalesce(title, '-'), \"at\", pair, _offset), '; ')"
		" FROM '%s/" ROOT "/%s'",
		dir, delta_file(table, 0)->path);
	assert_ok(duck_query(&duck, buf_cstr(&sql), &result, &err));
	text = duckdb.value_varchar(&result, 0, 0);
	assert_string_equal(text, rows);
	duckdb.free(text);
	duckdb.destroy_result(&result);
	buf_release(&sql);
}

static enum err_code step(struct compact_step *ret_step, struct err *err)
{
	return compactor_step(&compactor, &compactor.options.policy, table, ROOT, ret_step, err);
}

static void assert_nothing_done(enum err_code code, const char *why, int64_t version)
{
	struct compact_step done = { 0 };
	struct err err = { 0 };

	assert_int_equal(step(&done, &err), code);
	assert_non_null(strstr(err.msg, why));
	assert_int_equal(delta_version(table), version);
}

static void test_rows_in_order_of_lineage(void **state)
{
	struct compact_step done = { 0 };
	struct err err;

	(void)state;
	add_file("b.parquet", ROW("3", "03") " UNION ALL " ROW("1", "01"), 2);
	add_file("a.parquet", ROW("2", "02"), 1);
	assert_ok(step(&done, &err));
	assert_int_equal(done.files_in, 2);
	assert_int_equal(done.files_out, 1);
	assert_only_file(
		"1 a 2020-01-02 03:04:05+00 [1.5, NULL] 01; 2 a 2020-01-02 03:04:05+00 [1.5, NULL] 02; "
		"3 a 2020-01-02 03:04:05+00 [1.5, NULL] 03");
	assert_int_equal(delta_rows(table), 3);
	assert_int_equal(delta_file(table, 0)->size, done.bytes_out);
	assert_ok(step(&done, &err)); /* there is one, so nothing is left to do */
	assert_int_equal(done.files_in, 0);
	assert_int_equal(delta_version(table), 3);
}

/* Columns by name: one that came later is null before, one that only a file has is no column of
 * the table, a name may be written otherwise, and a type of others' files is the table's. */
static void test_files_of_other_columns(void **state)
{
	struct compact_step done;
	struct err err;

	(void)state;
	add_file("old.parquet",
		 "SELECT '01' AS _offset, '0' AS _partition, CAST(1 AS BIGINT) AS IND,"
		 " 7 AS extra, TIMESTAMP '2020-01-02 03:04:05' AS at",
		 1);
	add_file("older.parquet",
		 "SELECT '02' AS _offset, '0' AS _partition, CAST(2 AS SMALLINT) AS ind", 1);
	assert_ok(step(&done, &err));
	assert_only_file("1 - 2020-01-02 03:04:05+00 01; 2 - 02");
}

/* Of other writers: the log does not say how many rows there are. */
static void test_a_file_without_statistics(void **state)
{
	struct compact_step done;
	struct err err;

	(void)state;
	add_file("a.parquet", ROW("1", "01") " UNION ALL " ROW("2", "02"), 0);
	add_file("b.parquet", ROW("3", "03"), 1);
	assert_ok(step(&done, &err));
	assert_int_equal(delta_rows(table), 3);
}

static void test_files_without_rows(void **state)
{
	struct compact_step done;
	struct err err;

	(void)state;
	add_file("a.parquet", "SELECT * FROM (" ROW("1", "01") ") WHERE false", 0);
	add_file("b.parquet", "SELECT * FROM (" ROW("1", "01") ") WHERE false", 0);
	assert_ok(step(&done, &err));
	assert_int_equal(done.files_in, 2);
	assert_int_equal(done.files_out, 0);
	assert_int_equal(delta_file_count(table), 0);
}

static void add_large_files(int count)
{
	for (int i = 0; i < count; i++) {
		char name[32], select[400];

		(void)snprintf(name, sizeof(name), "%d.parquet", i);
		(void)snprintf(select, sizeof(select),
			       "SELECT CAST(i AS INTEGER) AS ind, '0' AS _partition,"
			       " CAST(i AS VARCHAR) AS _offset, (SELECT string_agg("
			       "md5(concat(i, ' ', j)), '') FROM range(32) AS r(j)) AS title"
			       " FROM range(%d, %d) AS r(i)",
			       i * 4000, (i + 1) * 4000);
		add_file(name, select, 4000);
	}
}

/* Ten files of 4 MiB, and memory in which ten are not sorted: they become several. */
static void test_more_than_the_memory_is_enough_for(void **state)
{
	struct compact_step done = { .files_in = 1 };
	struct err err;

	(void)state;
	compactor.options.memory_bytes_max = 32 << 20;
	compactor.options.policy.target_bytes = 128 << 20;
	add_large_files(10);
	while (done.files_in > 0)
		assert_ok(step(&done, &err));
	assert_int_equal(delta_rows(table), 40000);
	assert_in_range(delta_file_count(table), 2, 9);
	assert_true(compactor.options.policy.target_bytes < 128 << 20);
}

/* As where the disk is nearly full. */
static void test_no_room_to_spill_makes_no_smaller_files(void **state)
{
	struct compact_step unused;
	struct err err;

	(void)state;
	compactor.options.memory_bytes_max = 64 << 20;
	compactor.options.policy.target_bytes = 128 << 20;
	add_file("a.parquet", "SELECT 1 AS ind, '0' AS _partition, '1' AS _offset", 1);
	add_file("b.parquet", "SELECT 2 AS ind, '0' AS _partition, '2' AS _offset", 1);
	assert_ok(step(&unused, &err));
	assert_ok(duck_run(&compactor.duck, "SET max_temp_directory_size = '1MB'", &err));
	add_large_files(10);
	assert_int_equal(step(&unused, &err), ERR_LIMIT);
	assert_int_equal(compactor.options.policy.target_bytes, 128 << 20);
}

static void test_rows_that_are_not_what_the_log_says(void **state)
{
	(void)state;
	add_file("a.parquet", ROW("1", "01"), 2);
	add_file("b.parquet", ROW("2", "02"), 1);
	assert_nothing_done(ERR_CORRUPT, "hold 2 rows, and 3 by the log", 2);
}

static void test_a_file_that_is_gone(void **state)
{
	struct err err;

	(void)state;
	add_file("a.parquet", ROW("1", "01"), 1);
	add_file("b.parquet", ROW("2", "02"), 1);
	assert_ok(store_remove(store, ROOT "/a.parquet", &err));
	assert_nothing_done(ERR_ABSENT, "a.parquet", 2);
}

static void test_a_file_that_is_none(void **state)
{
	struct err err;

	(void)state;
	add_file("a.parquet", ROW("1", "01"), 1);
	add_file("b.parquet", ROW("2", "02"), 1);
	assert_ok(store_put(store, ROOT "/a.parquet", slice_str("PAR0"), STORE_REPLACE, &err));
	assert_nothing_done(ERR_SHAPE, "a.parquet", 2);
}

/* ---- Others at the same time ---- */

/* While the merged file is put, another program takes one of its files away. */
struct deleting {
	struct store_layer layer;
	bool did;
};

static void take_away(struct store *from)
{
	struct err err;

	assert_ok(store_put(from, ROOT "/_delta_log/00000000000000000003.json",
			    slice_str("{\"remove\":{\"path\":\"a.parquet\",\"deletionTimestamp\":1,"
				      "\"dataChange\":true}}\n"),
			    STORE_CREATE, &err));
}

static enum err_code deleting_put(struct store *it, const struct store_put *put, struct err *err)
{
	struct deleting *deleting = (struct deleting *)it;

	if (!deleting->did)
		take_away(deleting->layer.inner);
	deleting->did = true;
	return store_layer_put(it, put, err);
}

static void deleting_free(struct store *it) { (void)it; }

static void test_deleted_while_it_is_merged(void **state)
{
	static const struct store_ops ops = { .name = "deleting",
					      .layer = true,
					      .put = deleting_put,
					      .get = store_layer_get,
					      .stat = store_layer_stat,
					      .list = store_layer_list,
					      .remove = store_layer_remove,
					      .fetch = store_layer_fetch,
					      .fetch_dir = store_layer_fetch_dir,
					      .can = store_layer_can,
					      .free = deleting_free };
	struct deleting deleting = { .layer.base.ops = &ops, .layer.inner = store };
	int64_t lost = metric_get(METRIC_COMPACT_LOST);

	(void)state;
	add_file("a.parquet", ROW("1", "01"), 1);
	add_file("b.parquet", ROW("2", "02"), 1);
	compactor.options.store = &deleting.layer.base;
	assert_nothing_done(ERR_BUSY, "a.parquet", 3);
	assert_int_equal(metric_get(METRIC_COMPACT_LOST), lost + 1);
	assert_only_file("2 a 2020-01-02 03:04:05+00 [1.5, NULL] 02");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_rows_in_order_of_lineage),
		TEST(test_files_of_other_columns),
		TEST(test_a_file_without_statistics),
		TEST(test_files_without_rows),
		TEST(test_more_than_the_memory_is_enough_for),
		TEST(test_no_room_to_spill_makes_no_smaller_files),
		TEST(test_rows_that_are_not_what_the_log_says),
		TEST(test_a_file_that_is_gone),
		TEST(test_a_file_that_is_none),
		TEST(test_deleted_while_it_is_merged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
