/* A table as it was at a version or at a time, whatever its log has been through. */
#include "backends/backends.h"
#include "delta_fixture.h"

enum { SECOND = 1000, START_MS = 1700000000 };

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

static enum err_code open_at(enum delta_at_kind kind, int64_t value, struct delta_table **ret_table,
			     struct err *err)
{
	const struct delta_options options = { .name = "clicks" };
	struct delta_options at = options;

	at.at.kind = kind;
	at.at.value = value;
	return delta_open(store, ROOT, &at, ret_table, err);
}

/* The fixture's n-th commit, which is version n, adds n rows in its n-th file. */
static void assert_version(enum delta_at_kind kind, int64_t value, int64_t version)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_ok(open_at(kind, value, &table, &err));
	assert_int_equal(delta_version(table), version);
	assert_int_equal(delta_file_count(table), version);
	assert_int_equal(delta_rows(table), version * (version + 1) / 2);
	assert_int_equal(delta_txn_version(table, "app"), version - 1);
	assert_ok(delta_refresh(table, &err));
	assert_int_equal(delta_version(table), version);
	delta_close(table);
}

static void assert_absent(enum delta_at_kind kind, int64_t value, const char *says)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_int_equal(open_at(kind, value, &table, &err), ERR_ABSENT);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" says nothing of \"%s\"", err.msg, says);
}

static void fill(int64_t commits)
{
	struct delta_table *table = open_table(store);
	int64_t from = delta_version(table);

	for (int64_t n = from; n < from + commits; n++)
		append_ok(table, "app", n);
	delta_close(table);
}

static void test_each_version(void **state)
{
	(void)state;
	fill(25); /* checkpoints at 10 and 20 */
	for (int64_t version = 0; version <= 25; version++)
		assert_version(DELTA_AT_VERSION, version, version);
	assert_absent(DELTA_AT_VERSION, 26, "no version 26 yet: its oldest version is 0, of 20");
}

static void test_a_cleaned_log(void **state)
{
	(void)state;
	fill(25);
	for (int64_t version = 0; version < 10; version++)
		remove_key(store, log_key(version, ".json"));
	for (int64_t version = 10; version <= 25; version++)
		assert_version(DELTA_AT_VERSION, version, version);
	assert_absent(DELTA_AT_VERSION, 9,
		      "\"clicks\" has no version 9 any more: its oldest version "
		      "is 10, of 20");
	assert_absent(DELTA_AT_VERSION, 9, "delta.logRetentionDuration");
	remove_key(store, log_key(10, ".json")); /* the checkpoint is enough */
	assert_version(DELTA_AT_VERSION, 10, 10);
}

/* What was cut off in the middle of a clean-up leaves the newer of the old commits behind. */
static void test_a_log_half_cleaned(void **state)
{
	(void)state;
	fill(25);
	for (int64_t version = 0; version < 5; version++)
		remove_key(store, log_key(version, ".json"));
	assert_version(DELTA_AT_VERSION, 10, 10);
	assert_version(DELTA_AT_VERSION, 19, 19);
	assert_absent(DELTA_AT_VERSION, 7, "its oldest version is 10");
}

static void test_a_log_with_a_gap(void **state)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };

	(void)state;
	fill(25);
	remove_key(store, log_key(22, ".json"));
	assert_version(DELTA_AT_VERSION, 21, 21);
	assert_int_equal(open_at(DELTA_AT_VERSION, 23, &table, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "version 22 is missing"));
}

/* A hint that leads nowhere is no harm, nor is a checkpoint that cannot be read. */
static void test_broken_checkpoints(void **state)
{
	(void)state;
	fill(25);
	put_text(store, ROOT "/_delta_log/_last_checkpoint", "{\"version\":900,\"size\":3}");
	assert_version(DELTA_AT_VERSION, 24, 24);
	put_text(store, log_key(20, ".checkpoint.parquet"), "PAR1 and no more");
	assert_version(DELTA_AT_VERSION, 24, 24);
	assert_absent(DELTA_AT_VERSION, 26, "its newest version is 25");
}

static void test_no_table(void **state)
{
	(void)state;
	assert_absent(DELTA_AT_VERSION, 0, "there is no table");
	assert_absent(DELTA_AT_TIME, INT64_C(1700000000000), "there is no table");
}

/* ---- Times ---- */

static int64_t ms_of(int64_t seconds) { return (START_MS + seconds) * SECOND; }

/* The version's time becomes so many seconds after the start; -1: it has none. */
static void set_time(int64_t version, int64_t seconds)
{
	char *text = get_text(store, log_key(version, ".json"));
	char *at = strstr(text, "\"timestamp\":");
	char number[32];

	assert_non_null(at);
	(void)snprintf(number, sizeof(number), "%013" PRId64, ms_of(seconds));
	if (seconds < 0)
		memcpy(at, "\"timestomp\":", strlen("\"timestomp\":"));
	else
		memcpy(at + strlen("\"timestamp\":"), number, 13);
	put_text(store, log_key(version, ".json"), text);
	free(text);
}

static void test_each_time(void **state)
{
	(void)state;
	fill(25);
	for (int64_t version = 0; version <= 25; version++)
		set_time(version, version * 10);
	for (int64_t version = 0; version <= 25; version++) {
		assert_version(DELTA_AT_TIME, ms_of(version * 10), version);
		assert_version(DELTA_AT_TIME, ms_of(version * 10 + 10) - 1, version);
	}
	assert_version(DELTA_AT_TIME, ms_of(100000), 25); /* since when nothing was committed */
	assert_absent(DELTA_AT_TIME, ms_of(0) - 1,
		      "has no version of 2023-11-14T22:13:19.999Z: its "
		      "oldest version is 0, of 2023-11-14T22:13:20.000Z");
	assert_absent(DELTA_AT_TIME, INT64_C(99999999999999), "newest version is 25");
	for (int64_t version = 0; version < 20; version++)
		remove_key(store, log_key(version, ".json"));
	remove_key(store, log_key(10, ".checkpoint.parquet"));
	assert_version(DELTA_AT_TIME, ms_of(205), 20);
	assert_absent(DELTA_AT_TIME, ms_of(199), "any more: its oldest version is 20");
}

/* A version is no older than those before it, whatever its writer's clock said. */
static void test_a_clock_that_was_behind(void **state)
{
	(void)state;
	fill(9);
	for (int64_t version = 0; version <= 9; version++)
		set_time(version, version * 10);
	set_time(5, 21);
	set_time(6, 22);
	assert_version(DELTA_AT_TIME, ms_of(25), 2);
	assert_version(DELTA_AT_TIME, ms_of(39), 3);
	assert_version(DELTA_AT_TIME, ms_of(40), 6);
	assert_version(DELTA_AT_TIME, ms_of(70), 7);
}

/* Then its object's time has to do, which here is today. */
static void test_a_version_that_says_no_time(void **state)
{
	(void)state;
	fill(3);
	set_time(0, 0);
	set_time(1, 10);
	set_time(2, 20);
	set_time(3, -1);
	assert_version(DELTA_AT_TIME, ms_of(30), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_each_version),
		TEST(test_a_cleaned_log),
		TEST(test_a_log_half_cleaned),
		TEST(test_a_log_with_a_gap),
		TEST(test_broken_checkpoints),
		TEST(test_no_table),
		TEST(test_each_time),
		TEST(test_a_clock_that_was_behind),
		TEST(test_a_version_that_says_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
