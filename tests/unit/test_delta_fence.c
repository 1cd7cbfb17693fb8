/* Who was stopped before its put names no file that a clean-up took meanwhile; and a clock that was
 * wrong for a while makes no file old, and none young. */
#include "aging_table.h"
#include "base/time.h"
#include "delta/delta_clean.h"
#include "delta/delta_table.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TEN_YEARS_S = 10 * 366 * 24 * 3600 };

static int64_t ahead_s; /* so far the wall clock has leapt */

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME)
		now->tv_sec += ahead_s;
	return result;
}

static void assert_table_at(int64_t version, int64_t commits)
{
	struct delta_table *table = open_table(store);

	assert_int_equal(delta_version(table), version);
	assert_int_equal(delta_file_count(table), commits);
	assert_int_equal(delta_rows(table), commits * (commits + 1) / 2);
	assert_int_equal(delta_txn_version(table, "app"), commits - 1);
	delta_close(table);
}

static enum err_code vacuum(struct delta_cleaned *cleaned, bool dry_run, struct err *err)
{
	const struct delta_clean_options options = { .dry_run = dry_run };
	struct delta_table *table = open_table(store);
	enum err_code code = delta_clean_files(table, &options, cleaned, err);

	delta_close(table);
	return code;
}

static int clock_right(void **state)
{
	ahead_s = 0;
	return teardown(state);
}

static void put_file(const char *name)
{
	char key[200];

	(void)snprintf(key, sizeof(key), ROOT "/%s", name);
	put_text(store, key, "1234");
}

struct late {
	struct delta_add *add;
	int64_t for_ms;
};

static void stop_and_vacuum(void *user)
{
	struct late *late = user;
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	late->add->made_ms -= late->for_ms;
	assert_ok(vacuum(&cleaned, false, &err));
}

/* It is stopped between the look at its file's age and the put, for longer than files are kept, and
 * nobody else writes: what it put must not be named when it goes on. */
static void test_a_file_that_goes_before_its_commit(void **state)
{
	char path[] = "old-mine.parquet";
	struct delta_table *table;
	struct delta_add add = { .path = path, .size = 4, .rows = 1 };
	struct delta_commit commit = { .operation = "WRITE", .adds = &add, .add_count = 1 };
	struct late late = { &add, AGED_MS };
	struct err err = { 0 };
	int64_t version = 0;

	(void)state;
	fill(3);
	table = open_table(store);
	put_file(path);
	add.made_ms = clock_boot_ms();
	aging(store)->hook = stop_and_vacuum;
	aging(store)->user = &late;
	aging(store)->before_put = "00004.json";
	assert_int_equal(delta_commit(table, &commit, &version, &err), ERR_EXPIRED);
	assert_false(has_key(store, ROOT "/old-mine.parquet"));
	delta_close(table);
	assert_table_at(4, 3);
}

/* A version of then has a time that is never reached, and so shows nothing. */
static void test_a_version_by_a_clock_that_was_wrong(void **state)
{
	struct delta_cleaned cleaned = { 0 };
	struct delta_table *table;
	struct err err = { 0 };

	(void)state;
	fill(2);
	(void)clock_age_ms();
	ahead_s = TEN_YEARS_S;
	table = open_table(store);
	append_ok(table, "app", 2);
	delta_close(table);
	ahead_s = 0;
	put_file("old-orphan.parquet");
	assert_ok(vacuum(&cleaned, false, &err));
	assert_false(has_key(store, ROOT "/old-orphan.parquet"));
	assert_true(has_key(store, log_key(4, ".json")));
	assert_table_at(4, 3);
}

/* A checkpoint of then still has what was removed a moment ago, so that its file stays; and what
 * was put a moment before the leap is young. */
static void test_a_clock_that_leaps(void **state)
{
	struct delta_cleaned cleaned = { 0 };
	struct delta_table *table;
	struct err err = { 0 };
	char text[200];

	(void)state;
	fill(2);
	(void)clock_age_ms();
	(void)snprintf(text, sizeof(text),
		       "{\"remove\":{\"path\":\"old-gone.parquet\",\"deletionTimestamp\":%" PRId64
		       ",\"dataChange\":false}}\n",
		       clock_wall_ms());
	put_text(store, log_key(3, ".json"), text);
	put_file("old-gone.parquet");
	put_file("young.parquet");
	ahead_s = TEN_YEARS_S;
	table = open_table(store);
	while (delta_version(table) < 11)
		append_ok(table, "app", delta_version(table) - 1);
	assert_true(has_key(store, log_key(10, ".checkpoint.parquet")));
	assert_int_equal(table->state.tombstones, 1);
	delta_close(table);
	for (int64_t version = 0; version <= 10; version++)
		remove_key(store, log_key(version, ".json"));
	assert_ok(vacuum(&cleaned, false, &err));
	assert_int_equal(cleaned.removed, 0);
	assert_true(has_key(store, ROOT "/old-gone.parquet"));
	assert_true(has_key(store, ROOT "/young.parquet"));
}

/* Who has committed since the file was young enough has taken the version already. */
static void test_no_version_without_need(void **state)
{
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	(void)state;
	fill(3);
	put_file("old-orphan.parquet");
	assert_ok(vacuum(&cleaned, true, &err));
	assert_false(has_key(store, log_key(4, ".json")));
	assert_ok(vacuum(&cleaned, false, &err));
	assert_true(has_key(store, log_key(4, ".json")));
	put_file("old-orphan.parquet");
	assert_ok(vacuum(&cleaned, false, &err));
	assert_false(has_key(store, log_key(5, ".json")));
	assert_int_equal(cleaned.removed, 3);
	aging(store)->below = 10;
	assert_ok(vacuum(&cleaned, false, &err));
	assert_false(has_key(store, log_key(5, ".json")));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, clock_right)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_file_that_goes_before_its_commit),
		TEST(test_no_version_without_need),
		TEST(test_a_version_by_a_clock_that_was_wrong),
		TEST(test_a_clock_that_leaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
