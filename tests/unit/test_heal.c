/* Rows that another program's OPTIMIZE doubled: how that shows, and what is left of them. */
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "flow/heal.h"
#include "scratch.h"
#include "store/layer.h"
#include "testing.h"

#include <inttypes.h>

#define ROOT "tables/t"
enum { SQL_MAX = 1 << 16 };

static const struct delta_column columns[] = {
	{ "ind", DELTA_INTEGER },	{ "title", DELTA_STRING },   { "pair", DELTA_ARRAY_DOUBLE },
	{ "_partition", DELTA_STRING }, { "_offset", DELTA_STRING },
};
static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };
static const struct delta_schema bare = { columns, 2 };

static char dir[SCRATCH_NAME_MAX];
static struct duck duck; /* writes and reads the files */
static struct store *store;
static struct delta_table *table;
static struct compactor compactor;

static struct delta_table *open_it(const struct delta_schema *create, int64_t look_back)
{
	struct delta_options options = { .create = create, .look_back = look_back };
	struct delta_table *opened = NULL;
	struct err err = { 0 };

	assert_ok(delta_open(store, ROOT, &options, &opened, &err));
	return opened;
}

static int setup(void **state)
{
	const struct duck_options options = { .memory_bytes_max = 256 << 20, .threads = 1 };
	struct err err;

	(void)state;
	scratch_dir(dir);
	assert_ok(duck_open(&options, &duck, &err));
	assert_ok(store_file_new(dir, &store, &err));
	table = open_it(&schema, 0);
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

/* ---- What others write ---- */

#define ROW(ind, title, offset) \
	"SELECT " ind " AS ind, " title \
	" AS title, [1.5, NULL] AS pair, 'p' AS _partition, '" offset "' AS _offset"
#define ROW_1 ROW("1", "'a'", "01")
#define ROW_2 ROW("2", "NULL", "02")
#define ROW_3 ROW("3", "'c'", "03")

static void make_file(const char *name, const char *select)
{
	struct buf sql;
	struct err err;

	buf_init(&sql, SQL_MAX);
	buf_addf(&sql, "COPY (%s) TO '%s/" ROOT "/%s' (FORMAT parquet)", select, dir, name);
	assert_ok(duck_run(&duck, buf_cstr(&sql), &err));
	buf_release(&sql);
}

/* A commit like that of another program, at the table's next version: the file `add` of so many
 * rows and bytes in place of those of `removes`, names with a blank between. */
static void commit_as(const char *info, const char *change, const char *removes, const char *add,
		      int rows, int size)
{
	char key[200], names[200];
	char *left = names;
	struct err err = { 0 };
	struct buf text;

	buf_init(&text, SQL_MAX);
	buf_addf(&text, "{\"commitInfo\":{\"timestamp\":%" PRId64 ",%s}}\n", clock_wall_ms(), info);
	(void)snprintf(names, sizeof(names), "%s", removes);
	for (char *name = strtok_r(left, " ", &left); name; name = strtok_r(NULL, " ", &left))
		buf_addf(&text,
			 "{\"remove\":{\"path\":\"%s\",\"deletionTimestamp\":1,"
			 "\"dataChange\":%s}}\n",
			 name, change);
	if (add)
		buf_addf(&text,
			 "{\"add\":{\"path\":\"%s\",\"partitionValues\":{},\"size\":%d,"
			 "\"modificationTime\":1,\"dataChange\":%s,"
			 "\"stats\":\"{\\\"numRecords\\\":%d}\"}}\n",
			 add, size, change, rows);
	(void)snprintf(key, sizeof(key), ROOT "/_delta_log/%020" PRId64 ".json",
		       delta_version(table) + 1);
	assert_ok(store_put(store, key, buf_slice(&text), STORE_CREATE, &err));
	buf_release(&text);
	assert_ok(delta_refresh(table, &err));
}

static void append_file(const char *name, const char *select, int rows)
{
	make_file(name, select);
	commit_as("\"operation\":\"WRITE\"", "true", "", name, rows, 1000);
}

#define OPTIMIZE_OF(version) \
	"\"operation\":\"OPTIMIZE\",\"engineInfo\":\"delta-rs:py-1.6.6\",\"readVersion\":" #version

/* a and b, of rows 1, 2 and 3, are merged into m at version 4; z was there before. */
static void merge_them(void)
{
	append_file("z.parquet", ROW("9", "'z'", "09"), 1);
	append_file("a.parquet", ROW_1 " UNION ALL " ROW_2, 2);
	append_file("b.parquet", ROW_3, 1);
	make_file("m.parquet", ROW_1 " UNION ALL " ROW_2 " UNION ALL " ROW_3);
	commit_as("\"operation\":\"OPTIMIZE\",\"engineInfo\":\"pinpipe/1\"", "false",
		  "a.parquet b.parquet", "m.parquet", 3, 2000);
	assert_int_equal(delta_doubled(table).at, -1);
	assert_int_equal(delta_others_optimized_ms(table), 0);
}

/* Then who has read version 3 does the same, into n, at version 5. */
static void double_them(void)
{
	merge_them();
	make_file("n.parquet", ROW_1 " UNION ALL " ROW_2 " UNION ALL " ROW_3);
	commit_as(OPTIMIZE_OF(3), "false", "a.parquet b.parquet", "n.parquet", 3, 3000);
	assert_int_equal(delta_doubled(table).at, 5);
	assert_int_equal(delta_doubled(table).since, 3);
	assert_in_range(delta_others_optimized_ms(table), clock_wall_ms() - 60000, clock_wall_ms());
}

/* ---- What is there then ---- */

static void assert_live(const char *paths, uint64_t rows)
{
	char live[400] = "";

	for (size_t i = 0; i < delta_file_count(table); i++) {
		(void)strncat(live, delta_file(table, i)->path, 100);
		(void)strncat(live, " ", 2);
	}
	assert_string_equal(live, paths);
	assert_int_equal(delta_rows(table), rows);
}

/* "ind title" of all rows. */
static void assert_rows(const char *rows)
{
	duckdb_result result;
	struct buf sql;
	struct err err;
	char *text;

	buf_init(&sql, SQL_MAX);
	buf_addf(&sql, "SELECT string_agg(ind || coalesce(title, '-'), ' ' ORDER BY ind, title) "
		       "FROM read_parquet([");
	for (size_t i = 0; i < delta_file_count(table); i++)
		buf_addf(&sql, "'%s/" ROOT "/%s',", dir, delta_file(table, i)->path);
	buf_add_str(&sql, "])");
	assert_ok(duck_query(&duck, buf_cstr(&sql), &result, &err));
	buf_release(&sql);
	text = duckdb.value_varchar(&result, 0, 0);
	assert_string_equal(text, rows);
	duckdb.free(text);
	duckdb.destroy_result(&result);
}

static struct heal_step heal(void)
{
	struct heal_step step;
	struct err err = { 0 };

	assert_ok(heal_step(&compactor, table, ROOT, false, &step, &err));
	return step;
}

static void assert_nothing_to_do(void)
{
	int64_t version = delta_version(table);

	assert_int_equal(delta_doubled(table).at, -1);
	assert_false(heal().done);
	assert_int_equal(delta_version(table), version);
}

/* The smaller of two files with the same rows goes, and nothing has to be written for it. */
static void test_a_file_that_is_there_twice(void **state)
{
	int64_t healed = metric_get(METRIC_HEALED);
	struct heal_step step;

	(void)state;
	double_them();
	step = heal();
	assert_true(step.done);
	assert_int_equal(step.rows, 3);
	assert_int_equal(step.differing, 0);
	assert_live("z.parquet n.parquet ", 4);
	assert_rows("1a 2- 3c 9z");
	assert_int_equal(metric_get(METRIC_HEALED), healed + 3);
	assert_nothing_to_do();
}

/* Of what has more than the doubled rows the others stay, with and without a lineage. */
static void test_what_is_left_of_a_file(void **state)
{
	static const char none[] =
		" UNION ALL SELECT 7, 'n', NULL, NULL, NULL UNION ALL SELECT 7, 'n', NULL, NULL, NULL";
	char select[1000];

	(void)state;
	append_file("a.parquet", ROW_1, 1);
	append_file("b.parquet", ROW_2, 1);
	(void)snprintf(select, sizeof(select), "%s UNION ALL %s%s", ROW_1, ROW_3, none);
	make_file("m.parquet", select);
	make_file("n.parquet", ROW_1 " UNION ALL " ROW_2);
	commit_as("\"operation\":\"OPTIMIZE\"", "false", "a.parquet", "m.parquet", 4, 2000);
	commit_as(OPTIMIZE_OF(2), "false", "a.parquet b.parquet", "n.parquet", 2, 3000);
	assert_int_equal(heal().rows, 1);
	assert_int_equal(delta_file_count(table), 2);
	assert_int_equal(delta_rows(table), 5);
	assert_rows("1a 2- 3c 7n 7n");
	assert_nothing_to_do();
}

/* Somebody has merged both copies before. */
static void test_both_in_one_file(void **state)
{
	(void)state;
	double_them();
	make_file("o.parquet", ROW_1 " UNION ALL " ROW_2 " UNION ALL " ROW_3 " UNION ALL " ROW_1
				     " UNION ALL " ROW_2 " UNION ALL " ROW_3);
	commit_as(OPTIMIZE_OF(5), "false", "m.parquet n.parquet", "o.parquet", 6, 4000);
	assert_int_equal(heal().rows, 3);
	assert_int_equal(delta_file_count(table), 2);
	assert_rows("1a 2- 3c 9z");
	assert_nothing_to_do();
}

/* One of the two is another by now: nobody but who updated it knows which one is right. */
static void test_rows_that_differ_stay(void **state)
{
	struct heal_step step;

	(void)state;
	double_them();
	make_file("u.parquet", ROW_1 " UNION ALL " ROW("2", "'new'", "02") " UNION ALL " ROW_3);
	commit_as("\"operation\":\"UPDATE\"", "true", "m.parquet", "u.parquet", 3, 2000);
	step = heal();
	assert_int_equal(step.rows, 2);
	assert_int_equal(step.differing, 1);
	assert_rows("1a 2new 2- 3c 9z");
	assert_nothing_to_do();
}

static void test_only_what_came_since_is_looked_at(void **state)
{
	struct err err;

	(void)state;
	double_them();
	assert_ok(store_remove(store, ROOT "/z.parquet", &err)); /* or it would be missed */
	assert_int_equal(heal().rows, 3);
	assert_live("z.parquet n.parquet ", 4);
}

static void write_checkpoint(void)
{
	struct delta_options options = { .checkpoints = true, .checkpoint_interval = 1 };
	struct delta_table *writer = NULL;
	struct err err = { 0 };

	assert_ok(delta_open(store, ROOT, &options, &writer, &err));
	delta_checkpoint_if_due(writer, 1);
	delta_close(writer);
}

/* When the files went is behind a checkpoint: then it counts what the other one says to have read.
 */
static void test_by_the_version_that_was_read(void **state)
{
	(void)state;
	merge_them();
	write_checkpoint();
	delta_close(table);
	table = open_it(NULL, 0);
	make_file("n.parquet", ROW_1 " UNION ALL " ROW_2 " UNION ALL " ROW_3);
	commit_as(OPTIMIZE_OF(2), "false", "a.parquet b.parquet", "n.parquet", 3, 3000);
	assert_int_equal(delta_doubled(table).since, 2);
	assert_int_equal(heal().rows, 3);
	assert_live("z.parquet n.parquet ", 4);
}

/* Files that are removed once more, of which nothing new is made, are no sign. */
static void test_what_is_no_sign(void **state)
{
	(void)state;
	append_file("a.parquet", ROW_1, 1);
	append_file("b.parquet", ROW_2, 1);
	commit_as("\"operation\":\"DELETE\"", "true", "a.parquet", NULL, 0, 0);
	commit_as("\"operation\":\"FSCK\"", "false", "a.parquet", NULL, 0, 0);
	make_file("c.parquet", ROW_3);
	commit_as("\"operation\":\"MERGE\"", "true", "a.parquet", "c.parquet", 1, 1000);
	commit_as(OPTIMIZE_OF(5), "false", "b.parquet", "b.parquet", 1, 1000);
	assert_nothing_to_do();
}

static void test_without_a_lineage(void **state)
{
	struct err err;

	(void)state;
	delta_close(table);
	assert_ok(store_remove(store, ROOT "/_delta_log/00000000000000000000.json", &err));
	table = open_it(&bare, 0);
	double_them();
	assert_false(heal().done);
	assert_live("z.parquet m.parquet n.parquet ", 7);
	assert_nothing_to_do();
}

static void test_appendable_meanwhile(void **state)
{
	struct delta_table *healer = table;
	struct heal_step step;
	struct err err = { 0 };

	(void)state;
	double_them();
	table = open_it(NULL, 100);
	append_file("y.parquet", ROW("8", "'y'", "08"), 1);
	assert_ok(heal_step(&compactor, healer, ROOT, false, &step, &err));
	delta_close(healer);
	assert_ok(delta_refresh(table, &err));
	assert_rows("1a 2- 3c 8y 9z");
}

/* While it is at work another program takes a file away: the one that goes, or the one that is to
 * have what stays. Nothing is made of it then, and it is looked at anew. */
static void assert_lost(const char *gone, const char *instead, const char *select)
{
	struct delta_table *healer;
	struct heal_step step;
	struct err err = { 0 };

	double_them();
	healer = open_it(NULL, 100);
	make_file(instead, select);
	commit_as("\"operation\":\"DELETE\"", "true", gone, instead, 2, 500);
	assert_int_equal(heal_step(&compactor, healer, ROOT, false, &step, &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, gone));
	assert_int_equal(delta_version(healer), 6);
	assert_ok(heal_step(&compactor, healer, ROOT, false, &step, &err));
	assert_int_equal(step.rows, 2);
	delta_close(healer);
	assert_ok(delta_refresh(table, &err));
}

static void test_deleted_from_what_goes(void **state)
{
	(void)state;
	assert_lost("m.parquet", "d.parquet", ROW_1 " UNION ALL " ROW_2);
	assert_rows("1a 2- 3c 9z");
}

static void test_deleted_from_what_stays(void **state)
{
	(void)state;
	assert_lost("n.parquet", "d.parquet", ROW_1 " UNION ALL " ROW_2);
	assert_rows("1a 2- 3c 9z");
}

/* Who lost too often makes others fail: they see by the log that the table's metadata is written.
 */
static void test_others_are_barred(void **state)
{
	struct heal_step step;
	struct err err = { 0 };
	struct buf text;

	(void)state;
	double_them();
	assert_ok(heal_step(&compactor, table, ROOT, true, &step, &err));
	assert_int_equal(step.rows, 3);
	assert_int_equal(delta_version(table), 7);
	for (int version = 6; version <= 7; version++) {
		char key[200];

		(void)snprintf(key, sizeof(key), ROOT "/_delta_log/%020d.json", version);
		buf_init(&text, SQL_MAX);
		assert_ok(store_get(store, key, 0, UINT64_MAX, &text, &err));
		assert_non_null(strstr(buf_cstr(&text), "\"metaData\""));
		assert_non_null(strstr(buf_cstr(&text), DELTA_HEALED));
		assert_null(strstr(buf_cstr(&text), "\"dataChange\":true"));
		buf_release(&text);
	}
}

/* A checkpoint behind the commit hides it, unless one looks back. */
static void test_looking_back(void **state)
{
	struct delta_table *reader;

	(void)state;
	double_them();
	write_checkpoint();
	reader = open_it(NULL, 0);
	assert_int_equal(delta_doubled(reader).at, -1);
	delta_close(reader);
	reader = open_it(NULL, 100);
	assert_int_equal(delta_doubled(reader).at, 5);
	delta_close(reader);
}

/* By hand it is done before files are put together. */
static void test_optimize_heals_first(void **state)
{
	struct compact_report report;
	struct err err = { 0 };

	(void)state;
	double_them();
	assert_ok(compactor_run(&compactor, ROOT, "t", &report, &err));
	assert_int_equal(report.commits, 2);
	assert_int_equal(report.files_after, 1);
	assert_ok(delta_refresh(table, &err));
	assert_rows("1a 2- 3c 9z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_file_that_is_there_twice),
		TEST(test_what_is_left_of_a_file),
		TEST(test_both_in_one_file),
		TEST(test_rows_that_differ_stay),
		TEST(test_only_what_came_since_is_looked_at),
		TEST(test_by_the_version_that_was_read),
		TEST(test_what_is_no_sign),
		TEST(test_without_a_lineage),
		TEST(test_appendable_meanwhile),
		TEST(test_deleted_from_what_goes),
		TEST(test_deleted_from_what_stays),
		TEST(test_others_are_barred),
		TEST(test_looking_back),
		TEST(test_optimize_heals_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
