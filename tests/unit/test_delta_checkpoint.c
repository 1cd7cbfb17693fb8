/* Checkpoints: opening rests on them, a broken or missing one costs nothing but time. */
#include "backends/backends.h"
#include "sql/duck_rows.h"
#include "sql/memfile.h"
#include "delta/delta_parquet.h"
#include "delta_fixture.h"

#include <unistd.h>

enum { DAMAGES = 32 };

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

static void fill(int64_t commits)
{
	struct delta_table *table = open_table(store);
	int64_t from = delta_version(table);

	for (int64_t n = from; n < from + commits; n++)
		append_ok(table, "app", n);
	delta_close(table);
}

static void assert_table(int64_t version)
{
	struct delta_table *table = open_table(store);
	char path[40];

	assert_int_equal(delta_version(table), version);
	assert_int_equal(delta_file_count(table), version);
	assert_int_equal(delta_rows(table), version * (version + 1) / 2);
	assert_int_equal(delta_txn_version(table, "app"), version - 1);
	for (int64_t i = 0; i < version; i++) {
		(void)snprintf(path, sizeof(path), "app-%" PRId64 ".parquet", i);
		assert_string_equal(delta_file(table, (size_t)i)->path, path);
	}
	delta_close(table);
}

static void test_every_ten_commits(void **state)
{
	char *last;

	(void)state;
	fill(25);
	assert_false(has_key(store, log_key(9, ".checkpoint.parquet")));
	assert_true(has_key(store, log_key(10, ".checkpoint.parquet")));
	assert_true(has_key(store, log_key(20, ".checkpoint.parquet")));
	last = get_text(store, ROOT "/_delta_log/_last_checkpoint");
	assert_non_null(strstr(last, "{\"version\":20,\"size\":23,"));	/* 20 adds, txn, metaData, protocol */
	assert_non_null(strstr(last, "\"numOfAddFiles\":20}"));
	free(last);
	assert_table(25);
}

static void test_the_log_before_it_is_not_needed(void **state)
{
	(void)state;
	fill(25);
	for (int64_t version = 0; version <= 20; version++)
		remove_key(store, log_key(version, ".json"));
	assert_table(25);
	fill(6);	/* … also for the next checkpoint, made by another process */
	assert_true(has_key(store, log_key(30, ".checkpoint.parquet")));
	for (int64_t version = 21; version <= 30; version++)
		remove_key(store, log_key(version, ".json"));
	remove_key(store, log_key(20, ".checkpoint.parquet"));
	assert_table(31);
}

static void test_a_table_that_is_just_a_checkpoint(void **state)
{
	(void)state;
	fill(10);
	for (int64_t version = 0; version <= 10; version++)
		remove_key(store, log_key(version, ".json"));
	assert_table(10);
	fill(1);
	assert_table(11);
}

static void test_a_broken_one_is_passed_over(void **state)
{
	(void)state;
	fill(25);
	put_text(store, log_key(20, ".checkpoint.parquet"), "PAR1 and no more");
	assert_table(25);
	put_text(store, log_key(10, ".checkpoint.parquet"), "");
	assert_table(25);
	fill(10);
	assert_table(35);
}

/* Cuts the file, turns a bit of it over, or fills a part of it; `n` says which and where. */
static void damage(struct buf *bytes, uint32_t n)
{
	uint64_t at = n * 2654435761u % bytes->len;
	size_t len = n % 29 + 1 < bytes->len - at ? n % 29 + 1 : bytes->len - at;

	switch (n % 4) {
	case 0:
		bytes->len = at;
		break;
	case 1:
		memset(bytes->ptr + at, n & 8 ? 0xff : 0, len);
		break;
	default:
		bytes->ptr[at] ^= (char)(1 << n / 4 % 8);
	}
}

static enum err_code read_checkpoint(struct duck *duck, struct slice bytes, struct err *err)
{
	struct delta_parquet parquet = { .parts = 1 };
	struct delta_actions actions = { 0 };
	struct delta_reader reader;
	enum err_code code;

	delta_reader_init(&reader);
	buf_init(&parquet.bytes, 1 << 24);
	buf_add_slice(&parquet.bytes, bytes);
	parquet.ends[0] = bytes.len;
	code = delta_parquet_read(duck, &parquet, &reader, &actions, err);
	buf_release(&parquet.bytes);
	delta_actions_release(&actions);
	delta_reader_release(&reader);
	return code;
}

/* Whatever the bytes are, they are actions or an error says why; DuckDB goes on with the next. */
static void test_damaged_bytes(void **state)
{
	struct duck_options options = { .memory_bytes_max = 256 << 20, .threads = 1 };
	struct err err = { 0 };
	struct duck duck;
	struct buf whole, bytes;
	uint32_t refused = 0;

	(void)state;
	fill(10);
	buf_init(&whole, 1 << 24);
	buf_init(&bytes, 1 << 24);
	assert_ok(store_get(store, log_key(10, ".checkpoint.parquet"), 0, UINT64_MAX, &whole, &err));
	assert_ok(duck_open(&options, &duck, &err));
	for (uint32_t n = 0; n < DAMAGES; n++) {
		enum err_code code;

		buf_clear(&bytes);
		buf_add_slice(&bytes, buf_slice(&whole));
		damage(&bytes, n);
		code = read_checkpoint(&duck, buf_slice(&bytes), &err);
		assert_true(code == ERR_OK || code == ERR_CORRUPT || code == ERR_UNSUPPORTED);
		assert_true(code == ERR_OK || err.msg[0]);
		refused += code != ERR_OK;
	}
	assert_true(refused > DAMAGES / 4);	/* all that were cut, at least */
	assert_ok(read_checkpoint(&duck, buf_slice(&whole), &err));
	duck_close(&duck);
	buf_release(&bytes);
	buf_release(&whole);
}

static void test_hints_are_only_hints(void **state)
{
	static const char *const hints[] = {
		"{\"version\":10,\"size\":13}", "{\"version\":7}", "{\"version\":9999}", "{}", "x", "",
		"{\"version\":20,\"size\":1,\"parts\":3}", "{\"version\":9223372036854775807}",
		"{\"version\":92233720368547758070}", "{\"version\":1e300}", "{\"version\":-1}",
		"{\"version\":-9223372036854775808}", "{\"version\":\"20\"}", "{\"version\":[20]}",
		"{\"version\":null}", "[20]", "\"20\"", "{\"version\":20.5}", "{\"version\":25}",
	};

	(void)state;
	fill(25);
	for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
		put_text(store, ROOT "/_delta_log/_last_checkpoint", hints[i]);
		assert_table(25);
	}
	remove_key(store, ROOT "/_delta_log/_last_checkpoint");
	assert_table(25);
}

static void test_the_hint_never_goes_back(void **state)
{
	char *last;

	(void)state;
	fill(9);
	put_text(store, ROOT "/_delta_log/_last_checkpoint", "{\"version\":500,\"size\":1}");
	put_text(store, log_key(500, ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"), "{}");
	fill(2);
	assert_true(has_key(store, log_key(10, ".checkpoint.parquet")));
	last = get_text(store, ROOT "/_delta_log/_last_checkpoint");
	assert_string_equal(last, "{\"version\":500,\"size\":1}");
	free(last);
}

/* But one that leads to no checkpoint would cost every opening a try, for ever. */
static void test_a_hint_to_nothing_is_replaced(void **state)
{
	char *last;

	(void)state;
	fill(9);
	put_text(store, ROOT "/_delta_log/_last_checkpoint", "{\"version\":9223372036854775807}");
	fill(2);
	last = get_text(store, ROOT "/_delta_log/_last_checkpoint");
	assert_non_null(strstr(last, "{\"version\":10,"));
	free(last);
}

/* Rows of the checkpoint of a version by SQL over the view `c`: one number. */
static int64_t ask(int64_t version, const char *sql)
{
	struct duck_options options = { .memory_bytes_max = 256 << 20, .threads = 1 };
	struct err err = { 0 };
	struct duck_rows rows;
	struct memfile file;
	struct duck duck;
	struct buf bytes;
	char view[200];
	int64_t answer;

	buf_init(&bytes, 1 << 24);
	assert_ok(store_get(store, log_key(version, ".checkpoint.parquet"), 0, UINT64_MAX, &bytes,
			    &err));
	assert_ok(memfile_open(&file, &err));
	assert_ok(memfile_write(&file, buf_slice(&bytes), &err));
	assert_ok(duck_open(&options, &duck, &err));
	(void)snprintf(view, sizeof(view), "CREATE VIEW c AS FROM read_parquet('%s')", file.path);
	assert_ok(duck_run(&duck, view, &err));
	assert_ok(duck_rows_open(&duck, sql, &rows, &err));
	assert_true(duck_rows_next(&rows));
	answer = duck_i64(&rows, 0, -1);
	duck_rows_close(&rows);
	duck_close(&duck);
	memfile_close(&file);
	buf_release(&bytes);
	return answer;
}

/* The rows of a checkpoint for which `where` holds, as part `part` of two of the same version. */
static void put_part(int64_t version, const char *where, int part)
{
	struct duck_options options = { .memory_bytes_max = 256 << 20, .threads = 1 };
	struct memfile from, to;
	struct err err = { 0 };
	struct duck duck;
	struct buf bytes;
	char text[300];

	buf_init(&bytes, 1 << 24);
	assert_ok(store_get(store, log_key(version, ".checkpoint.parquet"), 0, UINT64_MAX, &bytes,
			    &err));
	assert_ok(memfile_open(&from, &err));
	assert_ok(memfile_open(&to, &err));
	assert_ok(memfile_write(&from, buf_slice(&bytes), &err));
	assert_ok(duck_open(&options, &duck, &err));
	(void)snprintf(text, sizeof(text), "COPY (FROM read_parquet('%s') WHERE %s) TO '%s' "
		       "(FORMAT parquet, USE_TMP_FILE false)", from.path, where, to.path);
	assert_ok(duck_run(&duck, text, &err));
	buf_clear(&bytes);
	assert_ok(memfile_read(&to, &bytes, &err));
	(void)snprintf(text, sizeof(text), ".checkpoint.%010d.0000000002.parquet", part);
	assert_ok(store_put(store, log_key(version, text), buf_slice(&bytes), STORE_REPLACE, &err));
	duck_close(&duck);
	memfile_close(&from);
	memfile_close(&to);
	buf_release(&bytes);
}

/* 25 versions, of which the first 20 are in a checkpoint of two parts alone. */
static void fill_in_parts(void)
{
	fill(25);
	put_part(20, "\"add\".path IS NULL OR \"add\".size < 1007", 1);
	put_part(20, "\"add\".size >= 1007", 2);
	for (int64_t version = 0; version <= 20; version++)
		remove_key(store, log_key(version, ".json"));
	remove_key(store, log_key(10, ".checkpoint.parquet"));
	remove_key(store, log_key(20, ".checkpoint.parquet"));
	put_text(store, ROOT "/_delta_log/_last_checkpoint", "{\"version\":20,\"size\":23,\"parts\":2}");
}

static void test_in_parts(void **state)
{
	(void)state;
	fill_in_parts();
	assert_table(25);
	fill(6);	/* the next one is made from it */
	assert_int_equal(ask(30, "SELECT count(*) FROM c"), 33);
	assert_int_equal(ask(30, "SELECT count(*) FROM c WHERE \"add\".stats IS NOT NULL"), 30);
	for (int64_t version = 21; version <= 30; version++)
		remove_key(store, log_key(version, ".json"));
	assert_table(31);
}

/* Whoever wrote it may have died on the way, or be on it. */
static void test_of_parts_one_is_missing(void **state)
{
	struct err err = { 0 };

	(void)state;
	fill_in_parts();
	remove_key(store, log_key(20, ".checkpoint.0000000002.0000000002.parquet"));
	/* Of another number of parts: not the one that is missing, nor a name of one at all. */
	put_text(store, log_key(20, ".checkpoint.0000000002.0000000003.parquet"), "x");
	put_text(store, log_key(20, ".checkpoint.0000000003.0000000002.parquet"), "x");
	put_text(store, log_key(20, ".checkpoint.          .0000000002.parquet"), "x");
	assert_int_equal(try_to_read(store, &err), ERR_UNSUPPORTED);
	(void)teardown(state);
	(void)setup(state);
	fill(25);
	put_text(store, log_key(25, ".checkpoint.0000000001.0000000002.parquet"), "x");
	assert_table(25);
}

/* Statistics of files from before the last checkpoint go through it into the next. */
static void test_what_is_in_it(void **state)
{
	(void)state;
	fill(20);
	assert_int_equal(ask(20, "SELECT count(*) FROM c WHERE \"add\".path = 'app-' || "
			     "(\"add\".size - 1000) || '.parquet' AND \"add\".stats = "
			     "'{\"numRecords\":' || (\"add\".size - 999) || '}' AND NOT \"add\".dataChange "
			     "AND \"add\".partitionValues = MAP {} AND \"add\".modificationTime = "
			     "1600000000000"), 20);
	assert_int_equal(ask(20, "SELECT max(txn.version) FROM c"), 19);
	assert_int_equal(ask(20, "SELECT count(*) FROM c WHERE txn.lastUpdated > 1600000000000"), 1);
	assert_int_equal(ask(20, "SELECT count(*) FROM c WHERE protocol.minReaderVersion = 1 AND "
			     "protocol.minWriterVersion = 2 AND protocol.writerFeatures IS NULL"), 1);
	assert_int_equal(ask(20, "SELECT count(*) FROM c WHERE len(metaData.id) = 36 AND "
			     "metaData.format.provider = 'parquet' AND metaData.createdTime > 0 AND "
			     "metaData.partitionColumns = [] AND metaData.configuration = MAP {} AND "
			     "starts_with(metaData.schemaString, '{\"type\":\"struct\"')"), 1);
	assert_int_equal(ask(20, "SELECT count(*) FROM c"), 23);
}

/* The first record of a partition has offset 0: that is progress, and no place may take it for
 * none. In the log, in a checkpoint of our own state and in the next one, made from that. */
static void test_progress_at_its_smallest(void **state)
{
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	assert_int_equal(delta_txn_version(table, "zero"), -1);
	append_ok(table, "zero", 0);
	assert_int_equal(delta_txn_version(table, "zero"), 0);
	assert_int_equal(append(table, "zero", 0, &version, &err), ERR_EXISTS);
	delta_close(table);
	for (int64_t checkpoint = 10; checkpoint <= 20; checkpoint += 10) {
		table = open_table(store);
		while (delta_version(table) < checkpoint)
			append_ok(table, "app", delta_version(table));
		delta_close(table);
		for (version = 0; version <= checkpoint; version++)
			remove_key(store, log_key(version, ".json"));
		assert_int_equal(ask(checkpoint, "SELECT txn.version FROM c WHERE txn.appId = 'zero'"),
				 0);
		table = open_table(store);
		assert_int_equal(delta_txn_version(table, "zero"), 0);
		assert_int_equal(append(table, "zero", 0, &version, &err), ERR_EXISTS);
		delta_close(table);
	}
}

/* As an OPTIMIZE of another writer does it, old files in a checkpoint included. */
static void test_removed_files(void **state)
{
	struct delta_table *table;

	(void)state;
	fill(12);
	put_text(store, log_key(13, ".json"),
		 "{\"remove\":{\"path\":\"app%2D2.parquet\",\"deletionTimestamp\":9000000000000,"
		 "\"dataChange\":false,\"size\":5}}\n"
		 "{\"remove\":{\"path\":\"app-11.parquet\",\"deletionTimestamp\":1000,\"dataChange\":false}}\n"
		 "{\"add\":{\"path\":\"both.parquet\",\"partitionValues\":{},\"size\":4000,"
		 "\"modificationTime\":7,\"dataChange\":false,\"stats\":\"{\\\"numRecords\\\":15}\","
		 "\"tags\":{\"a\":\"b\"}}}\n");
	put_text(store, log_key(14, ".json"),	/* the same file again, with better statistics */
		 "{\"add\":{\"path\":\"app-3.parquet\",\"partitionValues\":{},\"size\":1003,"
		 "\"modificationTime\":7,\"dataChange\":false,\"stats\":\"{\\\"numRecords\\\":400}\"}}\n");
	table = open_table(store);
	assert_int_equal(delta_file_count(table), 11);
	assert_int_equal(delta_rows(table), 78 - 3 - 12 + 15 - 4 + 400);
	for (int64_t n = 0; n < 7; n++)
		append_ok(table, "late", n);
	delta_close(table);
	for (int64_t version = 0; version <= 20; version++)
		remove_key(store, log_key(version, ".json"));
	table = open_table(store);
	assert_int_equal(delta_version(table), 21);
	assert_int_equal(delta_file_count(table), 11 + 7);
	assert_int_equal(delta_rows(table), 78 - 3 - 12 + 15 - 4 + 400 + 28);
	delta_close(table);
	assert_int_equal(ask(20, "SELECT count(*) FROM c WHERE remove.path IS NOT NULL"), 1);
	assert_int_equal(ask(20, "SELECT count(*) FROM c WHERE remove.path = 'app-2.parquet' AND "
			     "remove.size = 5 AND remove.deletionTimestamp = 9000000000000"), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_ten_commits),
		TEST(test_the_log_before_it_is_not_needed),
		TEST(test_a_table_that_is_just_a_checkpoint),
		TEST(test_a_broken_one_is_passed_over),
		TEST(test_damaged_bytes),
		TEST(test_hints_are_only_hints),
		TEST(test_the_hint_never_goes_back),
		TEST(test_a_hint_to_nothing_is_replaced),
		TEST(test_what_is_in_it),
		TEST(test_in_parts),
		TEST(test_of_parts_one_is_missing),
		TEST(test_progress_at_its_smallest),
		TEST(test_removed_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
