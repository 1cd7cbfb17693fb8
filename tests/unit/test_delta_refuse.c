/* Tables of others: what is read, what is refused with a reason, what is damage. */
#include "backends/backends.h"
#include "base/time.h"
#include "delta/delta_table.h"
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

#define PROTOCOL "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define FIELD_IND "{\\\"name\\\":\\\"ind\\\",\\\"type\\\":\\\"integer\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}"
#define FIELD_COORDINATES "{\\\"name\\\":\\\"coordinates\\\",\\\"type\\\":{\\\"type\\\":\\\"array\\\"," \
	"\\\"elementType\\\":\\\"double\\\",\\\"containsNull\\\":true},\\\"nullable\\\":true," \
	"\\\"metadata\\\":{\\\"comment\\\":\\\"[latitude, longitude]\\\"}}"
#define METADATA(fields, partitions, settings) \
	"{\"metaData\":{\"id\":\"5c1b0b6e-6ffb-4c0a-9d4e-3a1a9c1f0a11\",\"format\":{\"provider\":" \
	"\"parquet\",\"options\":{}},\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" \
	fields "]}\",\"partitionColumns\":[" partitions "],\"configuration\":{" settings "}," \
	"\"createdTime\":1700000000000}}\n"
#define BOTH FIELD_IND "," FIELD_COORDINATES

static void test_a_plain_table_of_another_writer(void **state)
{
	struct delta_table *table;

	(void)state;
	put_text(store, log_key(0, ".json"),
		 "{\"commitInfo\":{\"timestamp\":1,\"operation\":\"CREATE TABLE\"}}\n" PROTOCOL
		 METADATA(BOTH, "", "\"delta.appendOnly\":\"true\"")
		 "{\"add\":{\"path\":\"part-00000.parquet\",\"partitionValues\":{},\"size\":77,"
		 "\"modificationTime\":5,\"dataChange\":true}}\r\n"
		 "\n{\"news\":{\"of\":\"tomorrow\"}}");
	table = open_table(store);
	assert_int_equal(delta_file_count(table), 1);
	assert_int_equal(delta_file(table, 0)->size, 77);
	append_ok(table, "app", 0);
	delta_close(table);
}

/* What a table is made of, and what a reader and a writer say to it (NULL: take it). */
static const struct refusal {
	const char *log;
	const char *reader;
	const char *writer;
} refusals[] = {
	{ "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":"
	  "[\"deletionVectors\"],\"writerFeatures\":[\"deletionVectors\"]}}\n" METADATA(BOTH, "", ""),
	  "reader version 3 of the Delta protocol (deletionVectors)", "(deletionVectors)" },
	{ "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":"
	  "[\"appendOnly\",\"inCommitTimestamp\"]}}\n" METADATA(BOTH, "", ""), NULL,
	  "writer version 7 of the Delta protocol (appendOnly inCommitTimestamp)" },
	{ "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":4}}\n" METADATA(BOTH, "", ""), NULL,
	  "writer version 4 of the Delta protocol (changeDataFeed generatedColumns)" },
	{ "{\"protocol\":{\"minReaderVersion\":2,\"minWriterVersion\":5}}\n"
	  METADATA(BOTH, "", "\"delta.columnMapping.mode\":\"name\""),
	  "reader version 2 of the Delta protocol (columnMapping)", "reader version 2" },
	{ PROTOCOL METADATA(BOTH, "", "\"delta.columnMapping.mode\":\"name\""),
	  "column mapping", "column mapping" },
	{ PROTOCOL METADATA(BOTH, "", "\"delta.constraints.positive\":\"ind > 0\""),
	  NULL, "delta.constraints.positive" },
	{ PROTOCOL METADATA(BOTH, "", "\"delta.setTransactionRetentionDuration\":\"interval 1 day\""),
	  NULL, "forget how far others are (delta.setTransactionRetentionDuration)" },
	{ PROTOCOL METADATA(BOTH, "\"ind\"", ""), "partitioned by \"ind\"", "partitioned by \"ind\"" },
	{ PROTOCOL METADATA("{\\\"name\\\":\\\"ind\\\",\\\"type\\\":\\\"integer\\\",\\\"nullable\\\":false,"
	  "\\\"metadata\\\":{}}," FIELD_COORDINATES, "", ""), NULL, "\"ind\" is not nullable" },
	{ PROTOCOL METADATA("{\\\"name\\\":\\\"ind\\\",\\\"type\\\":\\\"integer\\\",\\\"nullable\\\":true,"
	  "\\\"metadata\\\":{\\\"delta.invariants\\\":\\\"x\\\"}}," FIELD_COORDINATES, "", ""),
	  NULL, "\"ind\" has delta.invariants" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"s3://bucket/a.parquet\",\"size\":1}}\n",
	  "outside the table", "outside the table" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"/etc/a.parquet\",\"size\":1}}\n",
	  "outside the table", "outside the table" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"file:///etc/a.parquet\",\"size\":1}}\n",
	  "outside the table", "outside the table" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"file:etc/a.parquet\",\"size\":1}}\n",
	  "outside the table", "outside the table" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"*.parquet\",\"size\":1}}\n",
	  "file \"*.parquet\" is a pattern", "pattern" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"part-%3F.parquet\",\"size\":1}}\n",
	  "file \"part-?.parquet\" is a pattern", "pattern" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"%5Bab].parquet\",\"size\":1}}\n",
	  "file \"[ab].parquet\" is a pattern", "pattern" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"a\\\\b.parquet\",\"size\":1}}\n",
	  "is a pattern", "pattern" },
	{ PROTOCOL METADATA(BOTH, "", "") "{\"add\":{\"path\":\"a\",\"size\":1,\"deletionVector\":"
	  "{\"storageType\":\"u\"}}}\n", "deletion vector", "deletion vector" },
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		struct err err = { 0 };
		enum err_code code;

		put_text(store, log_key(0, ".json"), refusal->log);
		code = try_to_read(store, &err);
		assert_int_equal(code, refusal->reader ? ERR_UNSUPPORTED : ERR_OK);
		if (refusal->reader && !strstr(err.msg, refusal->reader))
			fail_msg("%s: no word of %s", err.msg, refusal->reader);
		code = try_to_write(store, &err);
		assert_int_equal(code, ERR_UNSUPPORTED);
		if (!strstr(err.msg, refusal->writer))
			fail_msg("%s: no word of %s", err.msg, refusal->writer);
		assert_non_null(strstr(err.msg, ROOT));
	}
}

/* Tables that others may write, but not with the columns of this writer. */
static const struct {
	const char *log;
	enum err_code code;
	const char *says;
} unfit[] = {
	{ PROTOCOL METADATA("{\\\"name\\\":\\\"ind\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,"
	  "\\\"metadata\\\":{}}," FIELD_COORDINATES, "", ""),
	  ERR_USAGE, "column \"ind\" is \"long\" in the table and \"integer\" in the model" },
	{ PROTOCOL METADATA(FIELD_IND, "", ""), ERR_USAGE, "no column \"coordinates\"" },
	{ PROTOCOL METADATA(BOTH "," FIELD_IND, "", ""), ERR_CORRUPT,
	  "two columns of the table are \"ind\"" },
	{ PROTOCOL METADATA(FIELD_IND ",{\\\"name\\\":\\\"coordinates\\\",\\\"type\\\":{\\\"type\\\":"
	  "\\\"array\\\",\\\"elementType\\\":\\\"double\\\",\\\"containsNull\\\":false},\\\"nullable\\\":true,"
	  "\\\"metadata\\\":{}}", "", ""), ERR_USAGE,
	  "\"coordinates\"" },
};

static void test_unfit_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
		struct err err = { 0 };

		put_text(store, log_key(0, ".json"), unfit[i].log);
		assert_ok(try_to_read(store, &err));
		assert_int_equal(try_to_write(store, &err), unfit[i].code);
		if (!strstr(err.msg, unfit[i].says))
			fail_msg("%s: no word of %s", err.msg, unfit[i].says);
	}
}

/* One version of a log that is damaged, and what the message says of it. */
static const struct damage {
	const char *log;
	const char *says;
} damages[] = {
	{ "{\"add\":", "version 2 of table \"tables/t\": line 1: not JSON" },
	{ "{}\n{}\n[1]\n", "version 2 of table \"tables/t\": line 3: not an object" },
	{ "{\"add\":{\"size\":1}}\n", "no path" },
	{ "{\"add\":{\"path\":\"a\"}}\n", "\"a\" has no size" },
	{ "{\"add\":{\"path\":\"a\",\"size\":-1}}\n", "\"a\" has no size" },
	{ "{\"add\":{\"path\":\"../../etc/passwd\",\"size\":1}}\n", "not allowed" },
	{ "{\"add\":{\"path\":\"%2Fetc%2Fpasswd\",\"size\":1}}\n", "empty segment" },
	{ "{\"add\":{\"path\":\"file%3A///etc/passwd\",\"size\":1}}\n", "empty segment" },
	{ "{\"add\":{\"path\":\"%2e%2e/x\",\"size\":1}}\n", "not allowed" },
	{ "{\"add\":{\"path\":\"a%2F..%2Fb\",\"size\":1}}\n", "not allowed" },
	{ "{\"add\":{\"path\":\"a%00b\",\"size\":1}}\n", "NUL" },
	{ "{\"add\":{\"path\":\"\",\"size\":1}}\n", "empty" },
	{ "{\"add\":7}\n", "\"add\" is no object" },
	{ "{\"remove\":{}}\n", "no path" },
	{ "{\"txn\":{\"version\":1}}\n", "txn" },
	{ "{\"txn\":{\"appId\":\"a\",\"version\":\"1\"}}\n", "txn" },
	{ "{\"protocol\":{}}\n", "protocol" },
	{ "{\"metaData\":{\"id\":\"x\"}}\n", "schemaString" },
};

static void test_damage(void **state)
{
	struct delta_table *table = open_table(store);

	(void)state;
	append_ok(table, "app", 0);
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct err err = { 0 };

		put_text(store, log_key(2, ".json"), damages[i].log);
		assert_int_equal(try_to_read(store, &err), ERR_CORRUPT);
		if (!strstr(err.msg, damages[i].says))
			fail_msg("%s: no word of %s", err.msg, damages[i].says);
		assert_int_equal(delta_refresh(table, &err), ERR_CORRUPT);
		assert_int_equal(delta_version(table), 1);	/* as it was, and of use again … */
		assert_int_equal(delta_file_count(table), 1);
	}
	remove_key(store, log_key(2, ".json"));
	append_ok(table, "app", 1);				/* … once the damage is gone */
	delta_close(table);
}

/* As of a service, which is asked now and then: meanwhile a version goes into what is left. */
static void test_a_table_that_is_removed_between_two_looks(void **state)
{
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	append_ok(table, "app", 0);
	table->present_until_ms = clock_mono_ms() + 3600000;
	remove_key(store, log_key(0, ".json"));
	remove_key(store, log_key(1, ".json"));
	append_ok(table, "app", 1);
	table->present_until_ms = clock_mono_ms();
	assert_int_equal(append(table, "app", 2, &version, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "was the table removed"));
	delta_close(table);
}

static void test_a_version_that_is_missing(void **state)
{
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	(void)state;
	for (int64_t n = 0; n < 5; n++)
		append_ok(table, "app", n);
	delta_close(table);
	remove_key(store, log_key(3, ".json"));
	assert_int_equal(try_to_read(store, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "version 3 is missing from the log, which goes on to 5"));
	remove_key(store, log_key(0, ".json"));
	assert_int_equal(try_to_write(store, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "version 0 is missing"));
}

static void test_a_table_without_metadata(void **state)
{
	struct err err = { 0 };

	(void)state;
	put_text(store, log_key(0, ".json"), PROTOCOL);
	assert_int_equal(try_to_read(store, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "no metadata"));
}

static void test_newer_checkpoints(void **state)
{
	struct err err = { 0 };

	(void)state;
	put_text(store, log_key(7, ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"), "{}");
	put_text(store, log_key(8, ".json"), "{}\n");
	assert_int_equal(try_to_read(store, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "V2"));
}

/* What else lies in a log is passed over. */
static void test_other_files(void **state)
{
	struct delta_table *table = open_table(store);

	(void)state;
	append_ok(table, "app", 0);
	delta_close(table);
	put_text(store, log_key(0, ".crc"), "{}");
	put_text(store, log_key(0, ".00000000000000000001.compacted.json"), "{}");
	put_text(store, ROOT "/_delta_log/.00000000000000000002.json.tmp", "{");
	put_text(store, ROOT "/_delta_log/_staged_commits/00000000000000000002.x.json", "{");
	put_text(store, ROOT "/_delta_log/99999999999999999999.json", "{");
	put_text(store, ROOT "/_delta_log/09223372036854775807.json", "{");
	put_text(store, ROOT "/_delta_log/09223372036854775807.checkpoint.parquet", "{");
	put_text(store, ROOT "/part-1.parquet", "x");
	table = open_table(store);
	assert_int_equal(delta_version(table), 1);
	delta_close(table);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_plain_table_of_another_writer),
		TEST(test_refusals),
		TEST(test_unfit_columns),
		TEST(test_damage),
		TEST(test_a_table_that_is_removed_between_two_looks),
		TEST(test_a_version_that_is_missing),
		TEST(test_a_table_without_metadata),
		TEST(test_newer_checkpoints),
		TEST(test_other_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
