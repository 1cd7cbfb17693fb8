/* Columns that a table gets, those that it must not lose, and all rows replaced in one commit. */
#include "backends/backends.h"
#include "delta_fixture.h"
#include "store/layer.h"

#define NAME_AND_SO_ON "\"id\":\"5c1b0b6e-6ffb-4c0a-9d4e-3a1a9c1f0a11\",\"name\":\"a \\\"name\\\"\"," \
	"\"description\":\"what it is\",\"format\":{\"provider\":\"parquet\",\"options\":{\"a\":\"b\"}},"
#define FIELD(name, type) "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":" type ",\\\"nullable\\\":true," \
	"\\\"metadata\\\":{}}"
#define FIELD_IND "{\\\"name\\\":\\\"ind\\\",\\\"type\\\":\\\"integer\\\",\\\"nullable\\\":true," \
	"\\\"metadata\\\":{\\\"comment\\\":\\\"the key\\\"}}"
#define FIELD_PAIR FIELD("coordinates", "{\\\"type\\\":\\\"array\\\",\\\"elementType\\\":\\\"double\\\"," \
	"\\\"containsNull\\\":true}")
#define SCHEMA(fields) "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" fields "]}\","
#define THE_REST "\"partitionColumns\":[],\"configuration\":{\"x.y\":\"z\",\"delta.appendOnly\":\"false\"}," \
	"\"createdTime\":1700000000000}}\n"
/* A table of others, with all that metadata may hold. */
#define OTHERS "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n{\"metaData\":{" \
	NAME_AND_SO_ON SCHEMA(FIELD_IND "," FIELD_PAIR) THE_REST

static const struct delta_column wide_columns[] = {
	{ "ind", DELTA_INTEGER }, { "title", DELTA_STRING }, { "coordinates", DELTA_ARRAY_DOUBLE },
	{ "at", DELTA_TIMESTAMP },
};
static const struct delta_schema wide = { wide_columns, ARRAY_LEN(wide_columns) };
#define WIDE_FIELDS FIELD_IND "," FIELD("title", "\\\"string\\\"") "," FIELD_PAIR "," \
	FIELD("at", "\\\"timestamp\\\"")

static const struct delta_column narrow_columns[] = { { "ind", DELTA_INTEGER } };
static const struct delta_schema narrow = { narrow_columns, ARRAY_LEN(narrow_columns) };

static const struct delta_column retyped_columns[] = {
	{ "coordinates", DELTA_STRING }, { "ind", DELTA_INTEGER }, { "title", DELTA_STRING },
};
static const struct delta_schema retyped = { retyped_columns, ARRAY_LEN(retyped_columns) };

static struct store *store;

static int setup(void **state)
{
	(void)state;
	store = store_memory_new(64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

static enum err_code open_with(struct store *in, const struct delta_schema *schema,
			       enum delta_columns columns, struct delta_table **ret_table,
			       struct err *err)
{
	struct delta_options options = { .create = schema, .columns = columns,
					 .checkpoints = true, .checkpoint_interval = 4 };

	return delta_open(in, ROOT, &options, ret_table, err);
}

static struct delta_table *evolve(struct store *in, const struct delta_schema *schema)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_ok(open_with(in, schema, DELTA_COLUMNS_EVOLVE, &table, &err));
	return table;
}

static struct delta_table *open_to_replace(struct store *in, const struct delta_schema *schema)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_ok(open_with(in, schema, DELTA_COLUMNS_REPLACE, &table, &err));
	return table;
}

static void assert_in_version(int64_t version, const char *text)
{
	char *log = get_text(store, log_key(version, ".json"));

	if (!strstr(log, text))
		fail_msg("%s: no %s in it", log, text);
	free(log);
}

static enum delta_change change_of(struct delta_table *table, const struct delta_schema *wanted)
{
	struct delta_difference difference;
	struct err err = { 0 };

	assert_ok(delta_compare(table, wanted, &difference, &err));
	return difference.change;
}

/* ---- Columns that are added ---- */

static void test_columns_are_added_and_all_else_stays(void **state)
{
	struct delta_table *table;

	(void)state;
	put_text(store, log_key(0, ".json"), OTHERS);
	table = open_table(store);
	append_ok(table, "app", 0);
	delta_close(table);
	table = evolve(store, &wide);
	assert_int_equal(delta_version(table), 2);
	assert_in_version(2, "{\"metaData\":{" NAME_AND_SO_ON SCHEMA(WIDE_FIELDS) THE_REST);
	assert_in_version(2, "\"isBlindAppend\":false");
	assert_int_equal(delta_file_count(table), 1);
	assert_int_equal(delta_txn_version(table, "app"), 0);
	append_ok(table, "app", 1);
	delta_close(table);
	table = evolve(store, &wide);		/* once only */
	assert_int_equal(delta_version(table), 3);
	delta_close(table);
}

/* A checkpoint holds all of it, too: what is added after it is added to that. */
static void test_columns_are_added_to_a_checkpoint(void **state)
{
	struct delta_table *table;

	(void)state;
	put_text(store, log_key(0, ".json"), OTHERS);
	table = open_with(store, &fixture_schema, DELTA_COLUMNS_SAME, &table, &(struct err){ 0 }) ?
		NULL : table;
	assert_non_null(table);
	for (int64_t n = 0; n < 4; n++)
		append_ok(table, "app", n);
	delta_close(table);
	assert_true(has_key(store, log_key(4, ".checkpoint.parquet")));
	for (int64_t version = 0; version < 4; version++)
		remove_key(store, log_key(version, ".json"));
	table = evolve(store, &wide);
	assert_in_version(5, "{\"metaData\":{" NAME_AND_SO_ON SCHEMA(WIDE_FIELDS));
	assert_in_version(5, "\"x.y\":\"z\"");
	assert_in_version(5, "\"createdTime\":1700000000000");
	for (int64_t n = 4; n < 8; n++)
		append_ok(table, "app", n);
	delta_close(table);
	assert_true(has_key(store, log_key(8, ".checkpoint.parquet")));
	for (int64_t version = 4; version < 9; version++)
		remove_key(store, log_key(version, ".json"));
	table = evolve(store, &wide);
	assert_int_equal(delta_version(table), 9);
	assert_int_equal(delta_file_count(table), 8);
	assert_int_equal(delta_txn_version(table, "app"), 7);
	assert_int_equal(change_of(table, &wide), DELTA_SAME);
	delta_close(table);
}

static void test_the_order_of_columns_means_nothing(void **state)
{
	static const struct delta_column turned[] = {
		{ "coordinates", DELTA_ARRAY_DOUBLE }, { "ind", DELTA_INTEGER },
	};
	static const struct delta_schema schema = { turned, ARRAY_LEN(turned) };
	struct delta_table *table = open_table(store);

	(void)state;
	append_ok(table, "app", 0);
	delta_close(table);
	table = evolve(store, &schema);
	append_ok(table, "app", 1);
	assert_int_equal(delta_version(table), 2);
	delta_close(table);
}

/* ---- What is refused ---- */

static void assert_refused(const struct delta_schema *schema, enum delta_columns columns,
			   const char *says)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_int_equal(open_with(store, schema, columns, &table, &err), ERR_USAGE);
	assert_string_equal(err.msg, says);
	assert_false(has_key(store, log_key(1, ".json")));
}

static void test_what_went_or_changed_is_refused(void **state)
{
	struct delta_table *table = open_table(store);

	(void)state;
	assert_int_equal(change_of(table, &fixture_schema), DELTA_SAME);
	assert_int_equal(change_of(table, &wide), DELTA_ADDED);
	assert_int_equal(change_of(table, &narrow), DELTA_WENT);
	assert_int_equal(change_of(table, &retyped), DELTA_RETYPED);
	delta_close(table);
	assert_refused(&narrow, DELTA_COLUMNS_EVOLVE, "table \"tables/t\": column \"coordinates\" ("
		       "{\"type\":\"array\",\"elementType\":\"double\",\"containsNull\":true}) is in the "
		       "table and not in the model; \"pinpipe rebuild t\" cleans all again");
	assert_refused(&retyped, DELTA_COLUMNS_EVOLVE, "table \"tables/t\": column \"coordinates\" is "
		       "{\"type\":\"array\",\"elementType\":\"double\",\"containsNull\":true} in the table "
		       "and \"string\" in the model; \"pinpipe rebuild t\" cleans all again");
	assert_refused(&wide, DELTA_COLUMNS_SAME, "table \"tables/t\": the table has no column \"title\" "
		       "(\"string\"), \"at\" (\"timestamp\")");
}

/* A writer whose model is older than the table: it would write rows without the new columns. */
static void test_a_writer_that_was_overtaken(void **state)
{
	struct delta_table *old = open_table(store);
	struct delta_table *table = evolve(store, &wide);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	assert_int_equal(append(old, "app", 0, &version, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "column \"title\""));
	assert_false(has_key(store, log_key(2, ".json")));
	append_ok(table, "app", 0);
	delta_close(old);
	delta_close(table);
}

/* ---- Others at the same time ---- */

/* A store in which another one writes just before the put of a version, so that this is lost. */
struct store_busy {
	struct store_layer layer;
	void (*meddle)(struct store *inner);
};

static struct store_busy *busy(struct store *base) { return (struct store_busy *)base; }

static enum err_code busy_put(struct store *base, const struct store_put *put, struct err *err)
{
	void (*meddle)(struct store *inner) = busy(base)->meddle;

	if (meddle && put->mode == STORE_CREATE && !put->path) {
		busy(base)->meddle = NULL;
		meddle(busy(base)->layer.inner);
	}
	return store_layer_put(base, put, err);
}

static void busy_free(struct store *base)
{
	(void)base;
}

static const struct store_ops busy_ops = {
	.name = "busy",
	.layer = true,
	.put = busy_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.fetch_dir = store_layer_fetch_dir,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.can = store_layer_can,
	.free = busy_free,
};

static void another_appends(struct store *inner)
{
	struct delta_table *table = open_table(inner);

	append_ok(table, "other", 3);
	delta_close(table);
}

static void another_adds_one_of_them(struct store *inner)
{
	static const struct delta_column columns[] = {
		{ "ind", DELTA_INTEGER }, { "coordinates", DELTA_ARRAY_DOUBLE }, { "at", DELTA_TIMESTAMP },
	};
	static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };

	delta_close(evolve(inner, &schema));
}

static void another_adds_all(struct store *inner)
{
	delta_close(evolve(inner, &wide));
}

static void another_adds_other_ones(struct store *inner)
{
	static const struct delta_column columns[] = {
		{ "ind", DELTA_INTEGER }, { "coordinates", DELTA_ARRAY_DOUBLE }, { "title", DELTA_LONG },
	};
	static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };

	delta_close(evolve(inner, &schema));
}

static void test_others_write_while_columns_are_added(void **state)
{
	static const struct {
		void (*meddle)(struct store *inner);
		enum err_code code;
		int64_t version;
	} cases[] = {
		{ another_appends, ERR_OK, 2 },
		{ another_adds_one_of_them, ERR_OK, 2 },
		{ another_adds_all, ERR_OK, 1 },
		{ another_adds_other_ones, ERR_USAGE, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_busy in = { .layer.base = { &busy_ops }, .meddle = cases[i].meddle };
		struct delta_table *table = NULL;
		struct err err = { 0 };

		in.layer.inner = store;
		delta_close(open_table(store));
		assert_int_equal(open_with(&in.layer.base, &wide, DELTA_COLUMNS_EVOLVE, &table,
					   &err),
				 cases[i].code);
		assert_false(has_key(store, log_key(cases[i].version + 1, ".json")));
		if (table) {
			assert_int_equal(delta_version(table), cases[i].version);
			assert_int_equal(change_of(table, &wide), DELTA_SAME);
			delta_close(table);
		}
		(void)teardown(state);
		(void)setup(state);
	}
}

/* ---- All rows replaced ---- */

/* All files by one "new-<version>.parquet" of `rows` rows. */
static enum err_code replace_all(struct delta_table *table, uint64_t rows, struct err *err)
{
	const char *removes[16];
	char path[40];
	struct delta_add add = { .path = path, .size = 9, .modified_ms = 5, .rows = rows };
	struct delta_txn txn = { "app", 1, -1 };
	struct delta_commit commit = { .operation = "WRITE", .adds = &add, .add_count = 1,
				       .txns = &txn, .txn_count = 1, .removes = removes };
	int64_t version;

	(void)snprintf(path, sizeof(path), "new-%" PRId64 ".parquet", delta_version(table));
	for (; commit.remove_count < delta_file_count(table); commit.remove_count++)
		removes[commit.remove_count] = delta_file(table, commit.remove_count)->path;
	return delta_replace(table, &commit, delta_version(table), &version, err);
}

static void test_all_rows_are_replaced(void **state)
{
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	(void)state;
	append_ok(table, "app", 0);
	append_ok(table, "app", 1);
	delta_close(table);
	table = open_to_replace(store, &retyped);
	assert_ok(replace_all(table, 7, &err));
	assert_int_equal(delta_version(table), 3);
	assert_in_version(3, "{\"remove\":{\"path\":\"app-0.parquet\",\"deletionTimestamp\":");
	assert_in_version(3, "{\"remove\":{\"path\":\"app-1.parquet\",\"deletionTimestamp\":");
	assert_in_version(3, "\"dataChange\":true,\"extendedFileMetadata\":true,\"partitionValues\":{},"
			  "\"size\":1000}}");
	assert_in_version(3, "{\"add\":{\"path\":\"new-2.parquet\"");
	assert_in_version(3, "\"isBlindAppend\":false");
	delta_close(table);
	table = evolve(store, &retyped);
	assert_int_equal(delta_version(table), 3);
	assert_int_equal(delta_file_count(table), 1);
	assert_int_equal(delta_rows(table), 7);
	assert_int_equal(delta_txn_version(table, "app"), 1);
	for (int64_t n = 2; n < 4; n++)			/* with a checkpoint */
		append_ok(table, "app", n);
	delta_close(table);
	assert_true(has_key(store, log_key(4, ".checkpoint.parquet")));
	for (int64_t version = 0; version < 5; version++)
		remove_key(store, log_key(version, ".json"));
	table = evolve(store, &retyped);
	assert_int_equal(delta_rows(table), 7 + 3 + 4);
	assert_string_equal(delta_file(table, 0)->path, "new-2.parquet");
	delta_close(table);
}

/* Nothing of what came in between is lost, and none of it is taken for replaced. */
static void test_a_replacement_loses_against_an_append(void **state)
{
	struct store_busy in = { .layer.base = { &busy_ops }, .meddle = another_appends };
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	(void)state;
	append_ok(table, "app", 0);
	delta_close(table);
	in.layer.inner = store;
	table = open_to_replace(&in.layer.base, &fixture_schema);
	assert_int_equal(replace_all(table, 7, &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, "has moved on from version 1 to 2"));
	assert_int_equal(delta_file_count(table), 2);
	assert_int_equal(delta_rows(table), 1 + 4);
	assert_ok(replace_all(table, 11, &err));	/* planned anew */
	assert_int_equal(delta_rows(table), 11);
	assert_int_equal(delta_txn_version(table, "other"), 3);
	delta_close(table);
}

static void test_a_plan_of_an_older_version(void **state)
{
	struct delta_commit commit = { .operation = "WRITE" };
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	append_ok(table, "app", 0);
	assert_int_equal(delta_replace(table, &commit, 0, &version, &err), ERR_BUSY);
	assert_int_equal(delta_version(table), 1);
	delta_close(table);
}

static void test_replacements_that_are_refused(void **state)
{
	const char *removes[] = { "app-0.parquet", "no such" };
	struct delta_commit commit = { .operation = "WRITE", .removes = removes };
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	append_ok(table, "app", 0);
	append_ok(table, "app", 1);
	commit.remove_count = 2;
	assert_int_equal(delta_replace(table, &commit, 2, &version, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "no file \"no such\""));
	delta_close(table);
	table = open_to_replace(store, &narrow);
	commit.remove_count = 1;
	assert_int_equal(delta_replace(table, &commit, 2, &version, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "no file may stay"));
	assert_false(has_key(store, log_key(3, ".json")));
	put_text(store, log_key(3, ".json"), "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\"},"
		 SCHEMA(FIELD_IND) "\"partitionColumns\":[],\"configuration\":{\"delta.appendOnly\":\"true\"}}}");
	assert_ok(delta_refresh(table, &err));
	assert_int_equal(delta_replace(table, &commit, 3, &version, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "delta.appendOnly"));
	delta_close(table);
}

/* ---- The Nth call fails, for every N ---- */

/* Evolve, then replace all, until both came through. True: no call failed on the way. */
static bool insist(struct store *in)
{
	struct delta_table *table = NULL;
	bool smooth = true;
	bool done = false;

	for (int tries = 0; tries < 4 && !done; tries++) {
		struct err err = { 0 };
		enum err_code code = open_with(in, &wide, DELTA_COLUMNS_EVOLVE, &table, &err);

		if (code == ERR_OK)
			code = replace_all(table, 7, &err);
		done = code == ERR_OK;
		smooth &= done;
		delta_close(table);
		table = NULL;
	}
	assert_true(done);
	return smooth;
}

static void fail_every_call(enum err_code code, bool after)
{
	bool smooth = false;

	for (int fail_at = 1; fail_at < 20; fail_at++) {
		struct store *inner = store_memory_new(64 << 20);
		struct delta_table *table = open_table(inner);
		struct store *in;

		append_ok(table, "app", 0);
		delta_close(table);
		in = store_faulty_new(inner, fail_at, code, after);
		smooth = insist(in);
		table = NULL;
		while (!table)		/* a fault that is left over hits here */
			if (open_with(in, &wide, DELTA_COLUMNS_EVOLVE, &table, &(struct err){ 0 }))
				table = NULL;
		assert_int_equal(delta_rows(table), 7);
		assert_int_equal(delta_file_count(table), 1);
		assert_in_range(delta_version(table), 3, 4);
		delta_close(table);
		store_free(in);
	}
	assert_true(smooth);
}

static void test_calls_fail(void **state)
{
	(void)state;
	fail_every_call(ERR_IO, false);
	fail_every_call(ERR_UNKNOWN, true);
	fail_every_call(ERR_UNKNOWN, false);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_columns_are_added_and_all_else_stays),
		TEST(test_columns_are_added_to_a_checkpoint),
		TEST(test_the_order_of_columns_means_nothing),
		TEST(test_what_went_or_changed_is_refused),
		TEST(test_a_writer_that_was_overtaken),
		TEST(test_others_write_while_columns_are_added),
		TEST(test_all_rows_are_replaced),
		TEST(test_a_replacement_loses_against_an_append),
		TEST(test_a_plan_of_an_older_version),
		TEST(test_replacements_that_are_refused),
		cmocka_unit_test(test_calls_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
