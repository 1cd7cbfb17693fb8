/* What a table does not need any more goes, and nothing else; who was away meanwhile loses nothing.
 */
#include "aging_table.h"
#include "base/time.h"
#include "delta/delta_clean.h"
#include "delta/delta_interval.h"
#include "delta/delta_table.h"

#include <stdio.h>

static void assert_table(int64_t commits)
{
	struct delta_table *table = open_table(store);

	assert_int_equal(delta_version(table), commits);
	assert_int_equal(delta_file_count(table), commits);
	assert_int_equal(delta_rows(table), commits * (commits + 1) / 2);
	assert_int_equal(delta_txn_version(table, "app"), commits - 1);
	delta_close(table);
}

static enum err_code clean_log(struct delta_cleaned *cleaned, bool dry_run, struct err *err)
{
	const struct delta_clean_options options = { .dry_run = dry_run };
	struct delta_table *table = open_table(store);
	enum err_code code = delta_clean_log(table, &options, cleaned, err);

	delta_close(table);
	return code;
}

static void clean_log_ok(void)
{
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	assert_ok(clean_log(&cleaned, false, &err));
}

static enum err_code vacuum(struct delta_cleaned *cleaned, bool dry_run, struct err *err)
{
	const struct delta_clean_options options = { .dry_run = dry_run };
	struct delta_table *table = open_table(store);
	enum err_code code = delta_clean_files(table, &options, cleaned, err);

	delta_close(table);
	return code;
}

/* ---- Properties ---- */

static void test_intervals(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "interval 1 week", 604800000 },
		{ "interval 30 days", INT64_C(2592000000) },
		{ "7 DAYS", 604800000 },
		{ "INTERVAL 1 Hour", HOUR_MS },
		{ "90 seconds", 90000 },
		{ "interval 1 day 12 hours 1 minute", 129660000 },
		{ " 500  milliseconds ", 500 },
		{ "interval 1999 microseconds", 1 },
		{ "2 hours -1 hour", HOUR_MS },
		{ "0 days", 0 },
		{ "", -1 },
		{ "interval", -1 },
		{ "1", -1 },
		{ "day", -1 },
		{ "1 month", -1 },
		{ "interval 1 year", -1 },
		{ "-1 days", -1 },
		{ "1.5 hours", -1 },
		{ "1 hour 2", -1 },
		{ "interval 1 hourss", -1 },
		{ "9999999999999 weeks", -1 },
		{ "1 day 999999999999999999999999999999 minutes", -1 },
		{ "1 day aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -1 },
		{ "P7D", -1 },
	};
	struct buf out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = -1;

		assert_int_equal(delta_interval_parse(slice_str(cases[i].text), &ms),
				 cases[i].ms >= 0);
		assert_int_equal(ms, cases[i].ms);
	}
	buf_init(&out, 1000);
	for (int64_t ms = 0; ms < INT64_C(1) << 40; ms = ms * 3 + 1000) {
		int64_t back = -1;

		buf_clear(&out);
		delta_interval_put(&out, ms);
		assert_true(delta_interval_parse(buf_slice(&out), &back));
		assert_int_equal(back, ms);
	}
	buf_clear(&out);
	delta_interval_put(&out, HOUR_MS);
	assert_string_equal(buf_cstr(&out), "interval 1 hour");
	buf_clear(&out);
	delta_interval_put(&out, 7 * 24 * INT64_C(3600000));
	assert_string_equal(buf_cstr(&out), "interval 1 week");
	buf_release(&out);
}

static void assert_retention(int64_t files_ms, int64_t log_ms)
{
	struct delta_table *table = open_table(store);
	struct delta_retention retention;
	struct err err = { 0 };

	assert_ok(delta_retention(table, &retention, &err));
	assert_int_equal(retention.files_ms, files_ms);
	assert_int_equal(retention.log_ms, log_ms);
	delta_close(table);
}

static void set_retention(int64_t files_ms, int64_t log_ms)
{
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	assert_ok(delta_set_retention(table, files_ms, log_ms, &err));
	delta_close(table);
}

/* The metadata of a version with one word for another, as the next version. */
static void edit_metadata(int64_t version, const char *word, const char *other)
{
	char *text = get_text(store, log_key(version, ".json"));
	char *line = strstr(text, "{\"metaData\"");
	char *at = strstr(line, word);
	struct buf out;

	assert_non_null(at);
	buf_init(&out, 1 << 20);
	buf_add_slice(&out, slice_of(line, (size_t)(at - line)));
	buf_add_str(&out, other);
	buf_add_str(&out, at + strlen(word));
	put_text(store, log_key(version + 1, ".json"), buf_cstr(&out));
	buf_release(&out);
	free(text);
}

static void test_what_is_set_by_us(void **state)
{
	char *text;

	(void)state;
	delta_close(open_kept(HOUR_MS, 2 * HOUR_MS));
	assert_retention(HOUR_MS, 2 * HOUR_MS);
	set_retention(HOUR_MS, 2 * HOUR_MS); /* as it is: no commit */
	assert_false(has_key(store, log_key(1, ".json")));
	set_retention(3 * HOUR_MS, 0);
	assert_retention(3 * HOUR_MS, 2 * HOUR_MS);
	text = get_text(store, log_key(1, ".json"));
	assert_non_null(strstr(text, "\"operation\":\"SET TBLPROPERTIES\""));
	assert_non_null(
		strstr(text, "\"delta.deletedFileRetentionDuration\":\"interval 3 hours\""));
	free(text);
	/* Another one has its own word: that stays, whatever we are told. */
	edit_metadata(1, "\"delta.deletedFileRetentionDuration\":\"interval 3 hours\"",
		      "\"delta.deletedFileRetentionDuration\":\"interval 5 days\"");
	set_retention(HOUR_MS, HOUR_MS);
	assert_retention(120 * HOUR_MS, HOUR_MS);
}

static void test_a_table_from_before(void **state)
{
	(void)state;
	delta_close(open_table(store));
	assert_retention(7 * 24 * HOUR_MS, INT64_C(30) * 24 * HOUR_MS);
	set_retention(HOUR_MS, HOUR_MS);
	assert_retention(HOUR_MS, HOUR_MS);
	set_retention(2 * HOUR_MS, HOUR_MS);
	assert_retention(2 * HOUR_MS, HOUR_MS);
}

static void refuse_both(const char *part)
{
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	put_text(store, ROOT "/old.parquet", "x");
	assert_int_equal(vacuum(&cleaned, false, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, part));
	assert_int_equal(clean_log(&cleaned, false, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, part));
	assert_int_equal(cleaned.removed, 0);
	assert_true(has_key(store, ROOT "/old.parquet"));
}

static void test_what_cannot_be_read_is_kept(void **state)
{
	(void)state;
	fill(0);
	edit_metadata(0, "\"delta.logRetentionDuration\":\"interval 1 hour\"",
		      "\"delta.logRetentionDuration\":\"1 month\"");
	refuse_both("1 month");
}

static void test_less_than_a_minute_is_refused(void **state)
{
	(void)state;
	delta_close(open_kept(59999, 59999));
	aging(store)->age_ms = AGED_MS;
	refuse_both("minute");
}

/* ---- The log ---- */

static void test_the_old_end_goes(void **state)
{
	struct delta_cleaned cleaned = { 0 }, again = { 0 };
	struct err err = { 0 };

	(void)state;
	fill(47);
	assert_ok(clean_log(&again, true, &err));
	assert_true(has_key(store, log_key(0, ".json")));
	assert_ok(clean_log(&cleaned, false, &err));
	assert_int_equal(again.removed, cleaned.removed);
	assert_int_equal(again.removed_bytes, cleaned.removed_bytes);
	assert_int_equal(cleaned.removed, 40 + 3); /* versions 0 to 39, checkpoints 10, 20, 30 */
	assert_int_equal(cleaned.kept, 1 + 8);
	assert_false(has_key(store, log_key(39, ".json")));
	assert_true(has_key(store, log_key(40, ".json")));
	assert_true(has_key(store, log_key(40, ".checkpoint.parquet")));
	assert_table(47);
	again = (struct delta_cleaned){ 0 };
	assert_ok(clean_log(&again, false, &err));
	assert_int_equal(again.removed, 0);
}

static void test_what_is_younger_stays(void **state)
{
	(void)state;
	fill(47);
	aging(store)->below = 40; /* the checkpoint of 40 has come just now */
	clean_log_ok();
	assert_false(has_key(store, log_key(29, ".json")));
	assert_true(has_key(store, log_key(30, ".json")));
	assert_true(has_key(store, log_key(30, ".checkpoint.parquet")));
	assert_table(47);
}

/* A checkpoint that `_last_checkpoint` does not lead to yet, or that cannot be read. */
static void test_what_it_would_rest_on_must_be_sound(void **state)
{
	(void)state;
	fill(47);
	put_text(store, ROOT "/_delta_log/_last_checkpoint", "{\"version\":30,\"size\":1}");
	clean_log_ok();
	assert_true(has_key(store, log_key(30, ".checkpoint.parquet")));
	put_text(store, ROOT "/_delta_log/_last_checkpoint", "{\"version\":40,\"size\":1}");
	put_text(store, log_key(40, ".checkpoint.parquet"), "PAR1 and no more");
	clean_log_ok();
	assert_true(has_key(store, log_key(30, ".json")));
	assert_table(47);
}

static void test_checkpoints_are_thinned_out(void **state)
{
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	(void)state;
	fill(107);
	aging(store)->age_ms = HOUR_MS + 130000; /* 10 versions are two minutes */
	aging(store)->step_ms = 12000;
	assert_ok(clean_log(&cleaned, false, &err));
	/* Of 10 s each tenth of an hour: 10 (its commit is an hour old), 40, 70, and the last. */
	assert_false(has_key(store, log_key(4, ".json")));
	for (int64_t version = 10; version <= 100; version += 10)
		assert_int_equal(has_key(store, log_key(version, ".checkpoint.parquet")),
				 version % 30 == 10);
	for (int64_t version = 10; version <= 107; version++)
		assert_true(has_key(store, log_key(version, ".json")));
	assert_table(107);
}

static void test_a_table_that_keeps_its_log(void **state)
{
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	(void)state;
	fill(0);
	edit_metadata(0, "\"configuration\":{",
		      "\"configuration\":{"
		      "\"delta.enableExpiredLogCleanup\":\"FALSE\",");
	fill(47);
	assert_ok(clean_log(&cleaned, false, &err));
	assert_int_equal(cleaned.removed, 0);
}

/* Whichever removal fails, the table is whole, and the next clean-up does the rest. */
static void test_it_ends_anywhere(void **state)
{
	bool ended = false;

	for (int fail_at = 1; !ended; fail_at++) {
		struct delta_cleaned cleaned = { 0 };
		struct err err = { 0 };

		teardown(state);
		setup(state);
		fill(25);
		aging(store)->fail_at = fail_at;
		ended = clean_log(&cleaned, false, &err) == ERR_OK;
		assert_table(25);
		if (!ended)
			clean_log_ok();
		assert_false(has_key(store, log_key(19, ".json")));
		assert_table(25);
		assert_true(fail_at < 30);
	}
}

/* ---- Who was away meanwhile ---- */

static void go_on_and_clean(void *user)
{
	int64_t *commits = user;
	struct delta_table *table = open_table(store);

	for (int64_t n = 0; n < 40; n++)
		append_ok(table, "other", n);
	*commits = delta_version(table);
	delta_close(table);
	aging(store)->below = *commits + 1;
	clean_log_ok();
}

/* As after a sleep of the machine. */
static void away(struct delta_table *table) { table->sure_ms -= HOUR_MS; }

static void assert_both(int64_t version, int64_t n)
{
	struct delta_table *table = open_table(store);

	assert_int_equal(delta_version(table), version);
	assert_int_equal(delta_txn_version(table, "app"), n);
	assert_int_equal(delta_txn_version(table, "other"), 39);
	assert_int_equal(delta_rows(table), (n + 1) * (n + 2) / 2 + 820);
	delta_close(table);
}

static void test_a_writer_that_was_away(void **state)
{
	int64_t commits = 0;
	struct delta_table *table;

	(void)state;
	fill(5);
	table = open_table(store);
	go_on_and_clean(&commits);
	assert_false(has_key(store, log_key(6, ".json")));
	away(table);
	append_ok(table, "app", 5);
	assert_int_equal(delta_version(table), commits + 1);
	assert_false(has_key(store, log_key(6, ".json")));
	assert_both(commits + 1, 5);
	delta_close(table);
}

struct stop {
	struct delta_table *table;
	int64_t commits;
};

static void stop_before_the_put(void *user)
{
	struct stop *stop = user;

	go_on_and_clean(&stop->commits);
	away(stop->table);
}

/* It is stopped between the look and the put, which it wins, for nobody. */
static void test_a_writer_that_stops_before_its_put(void **state)
{
	struct stop stop = { 0 };

	(void)state;
	fill(5);
	stop.table = open_table(store);
	aging(store)->hook = stop_before_the_put;
	aging(store)->user = &stop;
	aging(store)->before_put = "00006.json";
	append_ok(stop.table, "app", 5);
	assert_int_equal(delta_version(stop.table), stop.commits + 1);
	assert_true(has_key(store, log_key(6, ".json")));
	assert_both(stop.commits + 1, 5);
	/* A second one that was away as long must not take that for the table's next. */
	clean_log_ok();
	assert_false(has_key(store, log_key(6, ".json")));
	delta_close(stop.table);
}

static void slow_put(void *user)
{
	struct stop *stop = user;

	away(stop->table);
}

/* A put that was just slow has won. */
static void test_a_slow_put(void **state)
{
	struct stop stop = { 0 };

	(void)state;
	fill(5);
	stop.table = open_table(store);
	aging(store)->hook = slow_put;
	aging(store)->user = &stop;
	aging(store)->before_put = "00006.json";
	append_ok(stop.table, "app", 5);
	assert_int_equal(delta_version(stop.table), 6);
	append_ok(stop.table, "app", 6);
	delta_close(stop.table);
	assert_table(7);
}

static void test_a_reader_that_was_away(void **state)
{
	int64_t commits = 0;
	struct delta_table *table;
	struct err err = { 0 };

	(void)state;
	fill(5);
	table = open_table(store);
	go_on_and_clean(&commits);
	away(table);
	assert_ok(delta_refresh(table, &err));
	assert_int_equal(delta_version(table), commits);
	assert_int_equal(delta_txn_version(table, "other"), 39);
	delta_close(table);
}

/* Progress that another one has made meanwhile is there: the batch is not taken for new. */
static void test_a_batch_that_another_committed(void **state)
{
	int64_t commits = 0, version;
	struct delta_table *table;
	struct err err = { 0 };

	(void)state;
	fill(5);
	table = open_table(store);
	go_on_and_clean(&commits);
	away(table);
	assert_int_equal(append(table, "other", 3, &version, &err), ERR_EXISTS);
	assert_int_equal(delta_version(table), commits);
	delta_close(table);
}

static void test_a_table_made_anew_meanwhile(void **state)
{
	struct delta_table *table;
	int64_t commits = 0, version;
	struct err err = { 0 };

	(void)state;
	fill(5);
	table = open_table(store);
	for (version = 0; version <= 5; version++)
		remove_key(store, log_key(version, ".json"));
	go_on_and_clean(&commits);
	away(table);
	assert_int_equal(append(table, "app", 5, &version, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "removed"));
	assert_int_equal(delta_refresh(table, &err), ERR_CORRUPT);
	assert_int_equal(delta_version(table), 5);
	delta_close(table);
}

/* ---- Data files ---- */

static void put_remove(int64_t version, const char *path, int64_t ms)
{
	char text[400];

	(void)snprintf(text, sizeof(text),
		       "{\"remove\":{\"path\":\"%s\",\"deletionTimestamp\":%" PRId64
		       ",\"dataChange\":false}}\n",
		       path, ms);
	put_text(store, log_key(version, ".json"), text);
}

#define ADD(path) \
	"{\"add\":{\"path\":\"" path \
	"\",\"partitionValues\":{},\"size\":1,\"modificationTime\":1," \
	"\"dataChange\":false}}\n"

static void put_file(const char *name)
{
	char key[200];

	(void)snprintf(key, sizeof(key), ROOT "/%s", name);
	put_text(store, key, "1234");
}

/* Version 1 adds four old files, of which 2 and 3 remove two: one lately, one long ago. */
static void fill_files(void)
{
	static const char *const files[] = {
		"old-live.parquet",	      "old%20live.parquet",
		"old-lately.parquet",	      "old-long.parquet",
		"old-orphan.parquet",	      "sub/old-orphan.parquet",
		"new-orphan.parquet",	      "old-notes.txt",
		".old/old.parquet",	      "_rebuild/1/old.parquet",
		"sub/_temporary/old.parquet",
	};
	int64_t now_ms = clock_wall_ms();

	fill(0);
	put_text(store, log_key(1, ".json"),
		 ADD("old-live.parquet") ADD("old%2520live.parquet") ADD("old-lately.parquet")
			 ADD("old-long.parquet"));
	put_remove(2, "old-lately.parquet", now_ms - HOUR_MS / 2);
	put_remove(3, "old-long.parquet", now_ms - 2 * HOUR_MS);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put_file(files[i]);
}

static void assert_vacuumed(bool done)
{
	assert_int_equal(has_key(store, ROOT "/old-long.parquet"), !done);
	assert_int_equal(has_key(store, ROOT "/old-orphan.parquet"), !done);
	assert_int_equal(has_key(store, ROOT "/sub/old-orphan.parquet"), !done);
	assert_true(has_key(store, ROOT "/old-live.parquet"));
	assert_true(has_key(store, ROOT "/old%20live.parquet"));
	assert_true(has_key(store, ROOT "/old-lately.parquet"));
	assert_true(has_key(store, ROOT "/new-orphan.parquet"));
	assert_true(has_key(store, ROOT "/old-notes.txt"));
	assert_true(has_key(store, ROOT "/.old/old.parquet"));
	assert_true(has_key(store, ROOT "/_rebuild/1/old.parquet"));
	assert_true(has_key(store, ROOT "/sub/_temporary/old.parquet"));
}

static void vacuum_and_look(void)
{
	struct delta_cleaned cleaned = { 0 };
	struct err err = { 0 };

	assert_ok(vacuum(&cleaned, true, &err));
	assert_int_equal(cleaned.removed, 3);
	assert_int_equal(cleaned.removed_bytes, 12);
	assert_int_equal(cleaned.kept, 4);
	assert_vacuumed(false);
	assert_ok(vacuum(&cleaned, false, &err));
	assert_int_equal(cleaned.removed, 6);
	assert_vacuumed(true);
}

static void test_files_that_no_version_needs(void **state)
{
	(void)state;
	fill_files();
	vacuum_and_look();
}

/* Each turn takes away some, and says that there is more. */
static void test_turns_that_are_short(void **state)
{
	enum { ORPHANS = 1200 };
	const struct delta_clean_options options = { .most_ms = 1 };
	struct delta_table *table;
	struct delta_cleaned cleaned = { .unfinished = true };
	unsigned turns = 0;
	uint64_t before;
	struct err err = { 0 };

	(void)state;
	fill_files();
	for (int i = 0; i < ORPHANS; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "old-orphan-%d.parquet", i);
		put_file(name);
	}
	aging(store)->pause_ms = 2;
	table = open_table(store);
	for (; cleaned.unfinished; turns++) {
		before = cleaned.removed;
		cleaned.unfinished = false;
		assert_ok(delta_clean_files(table, &options, &cleaned, &err));
		assert_true(cleaned.removed > before || !cleaned.unfinished);
	}
	assert_true(turns > 2);
	assert_int_equal(cleaned.removed, ORPHANS + 3);
	assert_vacuumed(true);
	delta_close(table);
}

/* The tombstones are in a checkpoint, and the log before it is gone. */
static void test_tombstones_of_a_checkpoint(void **state)
{
	struct delta_table *table;

	(void)state;
	fill_files();
	table = open_table(store);
	while (delta_version(table) < 12)
		append_ok(table, "app", delta_version(table));
	delta_close(table);
	for (int64_t version = 0; version <= 10; version++)
		remove_key(store, log_key(version, ".json"));
	vacuum_and_look();
}

/* By another's checkpoint: the one that this process rests on is gone. */
static void test_a_table_that_has_stood_open(void **state)
{
	const struct delta_clean_options options = { 0 };
	struct delta_cleaned cleaned = { 0 };
	struct delta_table *table, *other;
	struct err err = { 0 };

	(void)state;
	fill_files();
	other = open_table(store);
	while (delta_version(other) < 11)
		append_ok(other, "app", delta_version(other));
	table = open_table(store);
	while (delta_version(other) < 33)
		append_ok(other, "app", delta_version(other));
	aging(store)->below = 33;
	clean_log_ok();
	assert_false(has_key(store, log_key(10, ".checkpoint.parquet")));
	away(table);
	assert_ok(delta_clean_files(table, &options, &cleaned, &err));
	assert_int_equal(delta_version(table), 33);
	assert_vacuumed(true);
	delta_close(other);
	delta_close(table);
}

static void test_a_file_that_may_have_gone(void **state)
{
	struct delta_table *table = open_kept(HOUR_MS, HOUR_MS);
	char path[] = "a.parquet";
	struct delta_add add = { .path = path, .size = 1, .rows = 1 };
	struct delta_commit commit = { .operation = "WRITE", .adds = &add, .add_count = 1 };
	struct err err = { 0 };
	int64_t version;

	(void)state;
	add.made_ms = clock_boot_ms() - HOUR_MS / 4 - 1000;
	assert_int_equal(delta_commit(table, &commit, &version, &err), ERR_EXPIRED);
	assert_int_equal(delta_replace(table, &commit, 0, &version, &err), ERR_EXPIRED);
	assert_false(has_key(store, log_key(1, ".json")));
	add.made_ms += 2000;
	assert_ok(delta_commit(table, &commit, &version, &err));
	delta_close(table);
}

/* ---- Checkpoints ---- */

static int64_t tombstones_in(struct delta_table *table) { return (int64_t)table->state.tombstones; }

/* Tombstones are part of a checkpoint's cost, and go with the files. */
static void test_tombstones_leave_the_checkpoint(void **state)
{
	struct delta_table *table;

	(void)state;
	fill_files();
	table = open_table(store);
	while (delta_version(table) < 11)
		append_ok(table, "app", delta_version(table));
	assert_int_equal(tombstones_in(table), 1);
	delta_close(table);
	table = open_table(store);
	assert_int_equal(tombstones_in(table), 1);
	delta_close(table);
}

/* One of two processes writes them; the other goes by its word, also for what it writes itself. */
static void test_a_checkpoint_of_another(void **state)
{
	struct delta_options options = { .create = &fixture_schema,
					 .checkpoints = true,
					 .checkpoint_times = 3 };
	struct delta_table *first = NULL, *second;
	struct err err = { 0 };

	(void)state;
	assert_ok(delta_open(store, ROOT, &options, &first, &err));
	for (int64_t n = 0; n < 29; n++)
		append_ok(first, "app", n);
	assert_false(has_key(store, log_key(10, ".checkpoint.parquet")));
	second = open_table(store);
	delta_checkpoint_if_due(second, 1);
	assert_true(has_key(store, log_key(29, ".checkpoint.parquet")));
	append_ok(first, "app", 29); /* it would be due, if there were not the other's */
	assert_false(has_key(store, log_key(30, ".checkpoint.parquet")));
	assert_int_equal(first->state.checkpoint, 29);
	assert_int_equal(first->state.new_from, 29);
	for (int64_t n = 30; n < 59; n++)
		append_ok(first, "app", n);
	assert_true(has_key(store, log_key(59, ".checkpoint.parquet")));
	for (int64_t version = 0; version <= 59; version++)
		remove_key(store, log_key(version, ".json"));
	remove_key(store, log_key(29, ".checkpoint.parquet"));
	assert_table(59);
	delta_close(first);
	delta_close(second);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_intervals),
		TEST(test_what_is_set_by_us),
		TEST(test_a_table_from_before),
		TEST(test_what_cannot_be_read_is_kept),
		TEST(test_less_than_a_minute_is_refused),
		TEST(test_the_old_end_goes),
		TEST(test_what_is_younger_stays),
		TEST(test_what_it_would_rest_on_must_be_sound),
		TEST(test_checkpoints_are_thinned_out),
		TEST(test_a_table_that_keeps_its_log),
		TEST(test_it_ends_anywhere),
		TEST(test_a_writer_that_was_away),
		TEST(test_a_writer_that_stops_before_its_put),
		TEST(test_a_slow_put),
		TEST(test_a_reader_that_was_away),
		TEST(test_a_batch_that_another_committed),
		TEST(test_a_table_made_anew_meanwhile),
		TEST(test_files_that_no_version_needs),
		TEST(test_turns_that_are_short),
		TEST(test_tombstones_of_a_checkpoint),
		TEST(test_a_table_that_has_stood_open),
		TEST(test_a_file_that_may_have_gone),
		TEST(test_tombstones_leave_the_checkpoint),
		TEST(test_a_checkpoint_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
