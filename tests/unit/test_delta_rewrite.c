/* The same rows in other files, beside writers who append, delete and merge meanwhile. */
#include "backends/backends.h"
#include "delta_fixture.h"
#include "store/layer.h"

static struct store *store;
static struct delta_table *table;

static int setup(void **state)
{
	(void)state;
	store = store_memory_new(64 << 20);
	table = open_table(store);
	for (int n = 0; n < 4; n++)
		append_ok(table, "app", n);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	delta_close(table);
	store_free(store);
	return 0;
}

/* As who only merges opens it. */
static struct delta_table *open_to_merge(void)
{
	struct delta_options options = { .checkpoints = true };
	struct delta_table *opened = NULL;
	struct err err = { 0 };

	assert_ok(delta_open(store, ROOT, &options, &opened, &err));
	return opened;
}

/* Files 0 and 1 of the fixture, which have 3 rows, as one. */
static enum err_code merge_two(struct delta_table *by, const char *path, struct err *err)
{
	static const char *const removes[] = { "app-0.parquet", "app-1.parquet" };
	char name[80];
	struct delta_add add = { .path = name,
				 .size = 1500,
				 .modified_ms = 1,
				 .rows = 3,
				 .stats = (char[]){ "{\"numRecords\":3}" } };
	const struct delta_rewrite rewrite = { .schema = &fixture_schema,
					       .adds = &add,
					       .add_count = 1,
					       .removes = removes,
					       .remove_count = ARRAY_LEN(removes) };
	int64_t version = -1;
	enum err_code code;

	(void)snprintf(name, sizeof(name), "%s", path);
	code = delta_rewrite(by, &rewrite, &version, err);
	if (code == ERR_OK)
		assert_int_equal(version, delta_version(by));
	return code;
}

static void assert_table(size_t files, uint64_t rows, int64_t version)
{
	struct delta_table *read = open_to_merge();

	assert_int_equal(delta_file_count(read), files);
	assert_int_equal(delta_rows(read), rows);
	assert_int_equal(delta_version(read), version);
	assert_int_equal(delta_txn_version(read, "app"), rows == 15 ? 4 : 3);
	delta_close(read);
}

static void test_what_the_log_says(void **state)
{
	struct err err = { 0 };
	char *text;

	(void)state;
	assert_ok(merge_two(table, "merged.parquet", &err));
	text = get_text(store, log_key(5, ".json"));
	assert_non_null(strstr(text, "\"operation\":\"OPTIMIZE\""));
	assert_non_null(strstr(text, "\"isBlindAppend\":false"));
	assert_non_null(strstr(text, "\"readVersion\":4"));
	assert_non_null(strstr(text, "\"numRemovedFiles\":\"2\",\"numRemovedBytes\":\"2001\","
				     "\"numAddedFiles\":\"1\",\"numAddedBytes\":\"1500\""));
	assert_non_null(
		strstr(text, "{\"remove\":{\"path\":\"app-1.parquet\",\"deletionTimestamp\":"));
	assert_non_null(strstr(text, "\"dataChange\":false,\"extendedFileMetadata\":true,"
				     "\"partitionValues\":{},\"size\":1001}}"));
	assert_non_null(strstr(text, "{\"add\":{\"path\":\"merged.parquet\""));
	assert_null(strstr(text, "\"dataChange\":true"));
	assert_null(strstr(text, "\"txn\""));
	assert_null(strstr(text, "metaData"));
	free(text);
	assert_table(3, 10, 5);
}

/* What others append, and a column that they add, leaves it true. */
static void test_appended_meanwhile(void **state)
{
	static const struct delta_column wide_columns[] = {
		{ "ind", DELTA_INTEGER },
		{ "coordinates", DELTA_ARRAY_DOUBLE },
		{ "title", DELTA_STRING },
	};
	static const struct delta_schema wide = { wide_columns, ARRAY_LEN(wide_columns) };
	struct delta_options evolve = { .create = &wide, .columns = DELTA_COLUMNS_EVOLVE };
	struct delta_table *merger = open_to_merge(), *other = NULL;
	struct err err = { 0 };

	(void)state;
	assert_ok(delta_open(store, ROOT, &evolve, &other, &err));
	assert_ok(merge_two(merger, "merged.parquet", &err));
	assert_int_equal(delta_version(merger), 6);
	delta_close(other);
	delta_close(merger);
	assert_table(3, 10, 6);
}

static void test_several_appended_meanwhile(void **state)
{
	struct delta_table *merger = open_to_merge();
	struct err err = { 0 };

	(void)state;
	append_ok(table, "app", 4);
	assert_ok(merge_two(merger, "merged.parquet", &err));
	delta_close(merger);
	assert_table(4, 15, 6);
	append_ok(table, "app", 5); /* the stream goes on where it was */
}

/* A DELETE by another program: its row is in neither file, and must not come back. */
static void test_deleted_meanwhile(void **state)
{
	struct delta_table *merger = open_to_merge();
	struct err err = { 0 };

	(void)state;
	put_text(
		store, log_key(5, ".json"),
		"{\"commitInfo\":{\"timestamp\":1,\"operation\":\"DELETE\"}}\n"
		"{\"remove\":{\"path\":\"app-1.parquet\",\"deletionTimestamp\":1,\"dataChange\":true}}\n");
	assert_int_equal(merge_two(merger, "merged.parquet", &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, "app-1.parquet"));
	assert_int_equal(delta_version(merger), 5);
	delta_close(merger);
	assert_table(3, 8, 5);
}

static void test_merged_by_another_meanwhile(void **state)
{
	struct delta_table *first = open_to_merge(), *second = open_to_merge();
	struct err err = { 0 };

	(void)state;
	assert_ok(merge_two(first, "first.parquet", &err));
	assert_int_equal(merge_two(second, "second.parquet", &err), ERR_BUSY);
	delta_close(first);
	delta_close(second);
	assert_table(3, 10, 5);
}

#define OTHER_COLUMNS(fields) \
	"{\"metaData\":{\"id\":\"a\",\"format\":{\"provider\":\"parquet\",\"options\":{}}," \
	"\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" fields "]}\"," \
	"\"partitionColumns\":[],\"configuration\":{}}}\n"
#define OTHER_COLUMN(name, type) \
	"{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"" type \
	"\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}"

/* A column that went: the merged file would bring it back if it ever came again. */
static void test_columns_changed_meanwhile(void **state)
{
	static const char *const changes[] = {
		OTHER_COLUMNS(OTHER_COLUMN("ind", "integer")),
		OTHER_COLUMNS(
			OTHER_COLUMN("ind", "string") "," OTHER_COLUMN("coordinates", "string")),
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct delta_table *merger = open_to_merge();

		put_text(store, log_key(5, ".json"), changes[i]);
		assert_int_equal(merge_two(merger, "merged.parquet", &err), ERR_BUSY);
		assert_false(has_key(store, log_key(6, ".json")));
		remove_key(store, log_key(5, ".json"));
		delta_close(merger);
	}
}

static void test_a_table_that_asks_for_more(void **state)
{
	struct delta_table *merger = open_to_merge();
	struct err err = { 0 };

	(void)state;
	put_text(store, log_key(5, ".json"),
		 "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":4}}\n");
	assert_int_equal(merge_two(merger, "merged.parquet", &err), ERR_UNSUPPORTED);
	assert_false(has_key(store, log_key(6, ".json")));
	delta_close(merger);
}

/* clang-format off */
#define ONLY_GROWS \
	"{\"metaData\":{\"id\":\"a\",\"format\":{\"provider\":\"parquet\",\"options\":{}}," \
	"\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" \
	OTHER_COLUMN("ind", "integer") \
	",{\\\"name\\\":\\\"coordinates\\\",\\\"type\\\":{\\\"type\\\":\\\"array\\\"," \
	"\\\"elementType\\\":\\\"double\\\",\\\"containsNull\\\":true}," \
	"\\\"nullable\\\":true,\\\"metadata\\\":{}}]}\",\"partitionColumns\":[]," \
	"\"configuration\":{\"delta.appendOnly\":\"true\"}}}\n"
/* clang-format on */

/* No row goes, so delta.appendOnly does not forbid it. */
static void test_a_table_that_only_grows(void **state)
{
	struct delta_table *merger;
	struct err err = { 0 };

	(void)state;
	put_text(store, log_key(5, ".json"), ONLY_GROWS);
	merger = open_to_merge();
	assert_ok(merge_two(merger, "merged.parquet", &err));
	delta_close(merger);
}

/* ---- An answer that is lost ---- */

struct forgetful {
	struct store_layer layer;
	bool takes;  /* the put takes place */
	int forgets; /* so many answers */
};

static enum err_code forgetful_put(struct store *it, const struct store_put *put, struct err *err)
{
	struct forgetful *forgetful = (struct forgetful *)it;

	if (forgetful->forgets-- > 0 && strstr(put->key, "_delta_log")) {
		if (forgetful->takes && store_layer_put(it, put, err) != ERR_OK)
			return err->code;
		return err_set(err, ERR_UNKNOWN, "the answer was lost");
	}
	return store_layer_put(it, put, err);
}

static void forgetful_free(struct store *it) { (void)it; }

static void test_an_answer_that_is_lost(void **state)
{
	static struct store_ops ops;
	struct err err = { 0 };

	(void)state;
	for (int takes = 0; takes < 2; takes++) {
		struct forgetful forgetful = {
			.layer.base.ops = &ops, .layer.inner = store, .takes = takes, .forgets = 0
		};
		struct delta_options options = { 0 };
		struct delta_table *merger = NULL;

		ops = (struct store_ops){ .name = "forgetful",
					  .layer = true,
					  .put = forgetful_put,
					  .get = store_layer_get,
					  .stat = store_layer_stat,
					  .list = store_layer_list,
					  .remove = store_layer_remove,
					  .fetch = store_layer_fetch,
					  .fetch_dir = store_layer_fetch_dir,
					  .can = store_layer_can,
					  .free = forgetful_free };
		assert_ok(delta_open(&forgetful.layer.base, ROOT, &options, &merger, &err));
		forgetful.forgets = 1;
		assert_ok(merge_two(merger, "merged.parquet", &err));
		assert_int_equal(delta_version(merger), 5);
		delta_close(merger);
		assert_table(3, 10, 5);
		remove_key(store, log_key(5, ".json"));
	}
}

/* ---- Its own columns ---- */

static void test_columns_that_are_not_written_here(void **state)
{
	struct delta_schema schema = { 0 };
	struct delta_table *merger = open_to_merge();
	struct err err = { 0 };

	(void)state;
	assert_ok(delta_own_schema(merger, &schema, &err));
	assert_int_equal(schema.count, 2);
	assert_string_equal(schema.columns[1].name, "coordinates");
	assert_int_equal(schema.columns[1].type, DELTA_ARRAY_DOUBLE);
	delta_schema_release(&schema);
	put_text(store, log_key(5, ".json"),
		 OTHER_COLUMNS(OTHER_COLUMN("ind", "integer") "," OTHER_COLUMN("day", "date")));
	assert_ok(delta_refresh(merger, &err));
	assert_int_equal(delta_own_schema(merger, &schema, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "\"day\" is \"date\""));
	delta_close(merger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_what_the_log_says),
		TEST(test_appended_meanwhile),
		TEST(test_several_appended_meanwhile),
		TEST(test_deleted_meanwhile),
		TEST(test_merged_by_another_meanwhile),
		TEST(test_columns_changed_meanwhile),
		TEST(test_a_table_that_asks_for_more),
		TEST(test_a_table_that_only_grows),
		TEST(test_an_answer_that_is_lost),
		TEST(test_columns_that_are_not_written_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
