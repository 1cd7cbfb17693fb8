/* A Delta table from its creation on: what is in the log, and what a later opening makes of it. */
#include "backends/backends.h"
#include "delta_fixture.h"

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

static void test_create(void **state)
{
	struct delta_table *table = open_table(store);
	char *text = get_text(store, log_key(0, ".json"));

	(void)state;
	assert_int_equal(delta_version(table), 0);
	assert_int_equal(delta_file_count(table), 0);
	assert_non_null(strstr(text, "\n{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"));
	assert_non_null(strstr(text, "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":["
		"{\\\"name\\\":\\\"ind\\\",\\\"type\\\":\\\"integer\\\",\\\"nullable\\\":true,"
		"\\\"metadata\\\":{}},"));
	assert_non_null(strstr(text, "\"partitionColumns\":[],\"configuration\":{}"));
	free(text);
	delta_close(table);
}

static void test_no_table(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(try_to_read(store, &err), ERR_ABSENT);
	assert_non_null(strstr(err.msg, ROOT));
}

static void test_append_and_reopen(void **state)
{
	struct delta_table *table = open_table(store);

	(void)state;
	for (int64_t n = 0; n < 3; n++)
		append_ok(table, "app", n);
	append_ok(table, "other", 7);
	for (int reopened = 0; reopened < 2; reopened++) {
		assert_int_equal(delta_version(table), 4);
		assert_int_equal(delta_file_count(table), 4);
		assert_int_equal(delta_rows(table), 1 + 2 + 3 + 8);
		assert_string_equal(delta_file(table, 2)->path, "app-2.parquet");
		assert_int_equal(delta_file(table, 2)->size, 1002);
		assert_int_equal(delta_file(table, 3)->rows, 8);
		assert_int_equal(delta_txn_version(table, "app"), 2);
		assert_int_equal(delta_txn_version(table, "other"), 7);
		assert_int_equal(delta_txn_version(table, "nobody"), -1);
		delta_close(table);
		table = open_table(store);
	}
	delta_close(table);
}

static void test_refresh(void **state)
{
	struct delta_table *writer = open_table(store);
	struct delta_table *reader = open_table(store);
	struct err err = { .msg = "as it was" };

	(void)state;
	append_ok(writer, "app", 5);
	append_ok(writer, "app", 6);
	assert_int_equal(delta_version(reader), 0);
	assert_ok(delta_refresh(reader, &err));
	assert_int_equal(delta_version(reader), 2);
	assert_int_equal(delta_txn_version(reader, "app"), 6);
	assert_string_equal(err.msg, "as it was");
	delta_close(writer);
	delta_close(reader);
}

static void test_a_txn_comes_once(void **state)
{
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version = -5;

	(void)state;
	append_ok(table, "app", 5);
	assert_int_equal(append(table, "app", 5, &version, &err), ERR_EXISTS);
	assert_int_equal(append(table, "app", 4, &version, &err), ERR_EXISTS);
	assert_int_equal(version, -5);
	assert_int_equal(delta_version(table), 1);
	assert_int_equal(delta_rows(table), 6);
	append_ok(table, "app", 6);
	delta_close(table);
}

/* A txn-only commit, as a batch without a good record is one. */
static void test_commit_without_files(void **state)
{
	struct delta_table *table = open_table(store);
	struct delta_txn txns[] = { { "a", 3, -1 }, { "b\"\\", 9, -1 } };
	struct delta_commit commit = { .operation = "STREAMING UPDATE", .txns = txns, .txn_count = 2,
				       .info = slice_str("\"source\":{\"to\":12}") };
	struct err err = { 0 };
	int64_t version;
	char *text;

	(void)state;
	assert_ok(delta_commit(table, &commit, &version, &err));
	text = get_text(store, log_key(1, ".json"));
	assert_non_null(strstr(text, ",\"source\":{\"to\":12}}}\n"));
	assert_non_null(strstr(text, "\"isBlindAppend\":true,\"engineInfo\":\"pinpipe/"));
	assert_non_null(strstr(text, "\"operation\":\"STREAMING UPDATE\""));
	free(text);
	delta_close(table);
	table = open_table(store);
	assert_int_equal(delta_txn_version(table, "a"), 3);
	assert_int_equal(delta_txn_version(table, "b\"\\"), 9);
	delta_close(table);
}

static void test_broken_info_is_not_written(void **state)
{
	struct delta_table *table = open_table(store);
	struct delta_commit commit = { .operation = "WRITE", .info = slice_str("\"a\":") };
	struct err err = { 0 };
	int64_t version;

	(void)state;
	assert_int_equal(delta_commit(table, &commit, &version, &err), ERR_SHAPE);
	assert_false(has_key(store, log_key(1, ".json")));
	append_ok(table, "app", 1);
	delta_close(table);
}

static void test_paths_are_encoded(void **state)
{
	static const struct { char path[60]; const char *encoded; } cases[] = {
		{ "a b/c%20d.parquet", "\"a%20b/c%2520d.parquet\"" },
		{ "p=\xc3\xa9/x:y+\"z.parquet", "\"p=%C3%A9/x%3Ay%2B%22z.parquet\"" },
		{ "plain-1_2.snappy.parquet", "\"plain-1_2.snappy.parquet\"" },
	};
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[60];
		struct delta_add add = { .path = path, .size = 1, .rows = 1 };
		struct delta_commit commit = { .operation = "WRITE", .adds = &add, .add_count = 1 };
		char *text;

		memcpy(path, cases[i].path, sizeof(path));
		assert_ok(delta_commit(table, &commit, &version, &err));
		text = get_text(store, log_key(version, ".json"));
		assert_non_null(strstr(text, cases[i].encoded));
		assert_non_null(strstr(text, "\"stats\":\"{\\\"numRecords\\\":1}\""));
		free(text);
	}
	delta_close(table);
	table = open_table(store);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(delta_file(table, i)->path, cases[i].path);
	delta_close(table);
}

static int64_t timestamp_of(int64_t version)
{
	char *text = get_text(store, log_key(version, ".json"));
	const char *at = strstr(text, "\"timestamp\":");
	int64_t value;

	assert_non_null(at);
	value = strtoll(at + strlen("\"timestamp\":"), NULL, 10);
	free(text);
	return value;
}

/* Even if the clock was ahead when the last commit was made. */
static void test_time_never_goes_back(void **state)
{
	struct delta_table *table = open_table(store);

	(void)state;
	put_text(store, log_key(1, ".json"), "{\"commitInfo\":{\"timestamp\":9000000000000}}\n");
	delta_close(table);
	table = open_table(store);
	append_ok(table, "app", 1);
	assert_int_equal(timestamp_of(2), 9000000000001);
	append_ok(table, "app", 2);
	assert_int_equal(timestamp_of(3), 9000000000002);
	delta_close(table);
}

static void test_file_names_are_unique(void **state)
{
	struct buf names;

	(void)state;
	buf_init(&names, 1000);
	delta_new_file_name(&names);
	delta_new_file_name(&names);
	assert_int_equal(names.len, 2 * strlen("part-01234567-89ab-4def-8123-456789abcdef.snappy.parquet"));
	assert_int_equal(names.ptr[19], '4');
	assert_memory_not_equal(names.ptr, names.ptr + names.len / 2, names.len / 2);
	buf_release(&names);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_no_table),
		TEST(test_append_and_reopen),
		TEST(test_refresh),
		TEST(test_a_txn_comes_once),
		TEST(test_commit_without_files),
		TEST(test_broken_info_is_not_written),
		TEST(test_paths_are_encoded),
		TEST(test_time_never_goes_back),
		cmocka_unit_test(test_file_names_are_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
