/* The sink: every record of the log is in the lake once, whatever fails. */
#include "base/lock.h"
#include "base/stop.h"
#include "sink_testing.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- objects ----------------------------------------------------------- */

static void test_objects_by_count(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 7);
	append_numbers(f, geo, 0, 2);
	run_ok(f);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
		      "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000003.json",
		      "{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000006.json", "{\"n\":6}\n");
	assert_int_equal(assert_once(f->store, pin, 7), 3);
	assert_int_equal(assert_once(f->store, geo, 2), 1);
	assert_int_equal(f->counts.records[PIN], 7);
	assert_int_equal(f->counts.records[GEO], 2);
	assert_int_equal(f->counts.records[USER], 0);
	assert_int_equal(f->counts.objects, 4);
}

static void test_objects_by_bytes(void **state)
{
	struct fixture *f = *state;

	f->options.flush_size = 1000;
	f->options.flush_bytes = 17;	/* two lines of 8, not three */
	append_numbers(f, pin, 0, 5);
	append(f, pin, "{\"much longer than an object may be\":true}");
	append(f, pin, "{\"n\":6}");
	run_ok(f);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000002.json",
		      "{\"n\":2}\n{\"n\":3}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000005.json",
		      "{\"much longer than an object may be\":true}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000006.json", "{\"n\":6}\n");
	assert_int_equal(f->counts.objects, 5);
}

static void test_an_empty_log_gives_nothing(void **state)
{
	struct fixture *f = *state;

	run_ok(f);
	assert_int_equal(assert_once(f->store, pin, 0), 0);
}

/* It holds no record, so it tells nothing, and must not stand where the next one goes. */
static void test_an_empty_object_is_in_nobodys_way(void **state)
{
	static const char *const keys[] = { "topics/u.pin/partition=0/u.pin+0+0000000002.json",
					    "topics/u.pin/partition=0/u.pin+0+0000000009.json" };
	struct fixture *f = *state;
	struct err err = { 0 };

	f->options.flush_size = 2;
	append_numbers(f, pin, 0, 2);
	run_ok(f);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_ok(store_put(f->store, keys[i], slice_str(""), STORE_CREATE, &err));
	append_numbers(f, pin, 2, 4);
	run_ok(f);
	assert_object(f->store, keys[0], "");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000002.1.json",
		      "{\"n\":2}\n{\"n\":3}\n");
	append_numbers(f, pin, 4, 12);
	run_ok(f);
	assert_once(f->store, pin, 12);
}

static void test_values_become_one_compact_line(void **state)
{
	struct fixture *f = *state;

	f->options.flush_size = 100;
	append(f, pin, "{\n\t\"b\" : [ 1.10, 1e3, \"a b\\n\" ],\r\n \"a\": null }\n");
	append(f, pin, "  7 ");
	append(f, pin, "\"text\"");
	run_ok(f);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
		      "{\"b\":[1.10,1e3,\"a b\\n\"],\"a\":null}\n7\n\"text\"\n");
}

static bool take_reason(void *user, const struct dlq_entry *entry)
{
	assert_true(slice_is(entry->stage, "sink"));
	buf_addf(user, "%.*s %.*s\n", SLICE_ARG(entry->offset), SLICE_ARG(entry->reason));
	return true;
}

static void test_what_is_no_json_is_a_dead_letter(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf reasons;

	buf_init(&reasons, 10000);
	append(f, pin, "{\"n\":0}");
	append(f, pin, "{\"n\":1");
	append(f, pin, NULL);
	append(f, pin, "\"\xff\"");
	append(f, pin, "");
	append(f, pin, "{\"n\":5}");
	append(f, pin, "{} {}");
	run_ok(f);
	assert_int_equal(assert_once(f->store, pin, 7), 2);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000005.json", "{\"n\":5}\n");
	assert_int_equal(f->counts.dead[PIN], 5);
	assert_int_equal(f->counts.records[PIN], 2);
	assert_ok(dlq_list(f->store, "u.pin", take_reason, &reasons, &err));
	assert_non_null(strstr(buf_cstr(&reasons), "00000000000000000001 not JSON"));
	assert_non_null(strstr(buf_cstr(&reasons), "00000000000000000002 a tombstone"));
	assert_non_null(strstr(buf_cstr(&reasons), "00000000000000000003 not JSON"));
	assert_non_null(strstr(buf_cstr(&reasons), "UTF-8"));
	buf_release(&reasons);
}

/* More of them than memory is for, and no file may take the rest: they go out as they are. */
static void test_letters_that_find_no_room_on_disk(void **state)
{
	enum { LETTERS = 30, LETTER_BYTES = 1 << 20 };
	struct fixture *f = *state;
	struct rlimit limit, none;
	char *value = xcalloc(1, LETTER_BYTES);

	memset(value, 'x', LETTER_BYTES);
	for (int i = 0; i < LETTERS; i++)
		append_slice(f, pin, slice_of(value, LETTER_BYTES));
	append(f, pin, "{\"n\":30}");
	f->options.flush_size = 1000;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = (struct rlimit){ LETTER_BYTES, limit.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	run_ok(f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(f->counts.dead[PIN], LETTERS);
	assert_once(f->store, pin, LETTERS + 1);
	free(value);
}

static void test_all_topics(void **state)
{
	static const struct topic_ref other = { TOPIC_LOG, "other" };
	static const struct topic_ref stream = { TOPIC_STREAM, "stream" };
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, other, 1, &err));
	assert_ok(create_topic(f->broker, stream, 1, &err));
	append_numbers(f, other, 0, 2);
	append_numbers(f, pin, 0, 2);
	append_numbers(f, stream, 0, 2);
	run_ok(f);
	assert_once(f->store, other, 0);
	f->options.take_all = true;
	run_ok(f);
	assert_once(f->store, other, 2);
	assert_once(f->store, pin, 2);
	assert_once(f->store, stream, 0);
	assert_int_equal(f->counts.records[TABLES], 2);
}

/* --- restart ----------------------------------------------------------- */

static void test_a_restart_goes_on(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 4);
	run_ok(f);
	run_ok(f);
	assert_int_equal(f->counts.objects, 0);
	append_numbers(f, pin, 4, 9);
	run_ok(f);
	assert_int_equal(f->counts.records[PIN], 5);
	append(f, pin, "not JSON");
	run_ok(f);
	append_numbers(f, pin, 10, 11);
	run_ok(f);
	assert_int_equal(f->counts.records[PIN], 1);
	assert_once(f->store, pin, 11);
}

static void test_only_one_sink_a_directory(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	int fd;

	assert_ok(lock_take(f->dir, "sink.lock", "sink", &fd, &err));
	assert_int_equal(run(f), ERR_LOCKED);
	lock_release(fd);
	run_ok(f);
}

static void test_recover_beyond_ten_digits(void **state)
{
	struct fixture *f = *state;
	struct sink_place place;
	struct err err = { 0 };

	assert_ok(store_put(f->store, "topics/t/partition=0/t+0+9999999998.json",
			    slice_str("1\n2\n"), STORE_CREATE, &err));
	assert_ok(store_put(f->store, "topics/t/partition=0/t+0+10000000000.json",
			    slice_str("3\n4\n55\n"), STORE_CREATE, &err));
	assert_ok(store_put(f->store, "topics/t/partition=0/unknown", slice_str(""), STORE_CREATE,
			    &err));
	assert_ok(sink_recover(f->store, (struct lake_partition){ .topic = "t" }, &place, &err));
	assert_int_equal(place.next, 10000000003);
	assert_true(place.has_line);
	assert_string_equal(buf_cstr(&place.last_line), "55");
	buf_release(&place.last_line);
}

/* --- what must not be continued ---------------------------------------- */

static void test_a_lake_of_another_log_halts(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(store_put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
			    slice_str("{\"n\":0}\n{\"other\":1}\n"), STORE_CREATE, &err));
	append_numbers(f, pin, 0, 4);
	append_numbers(f, geo, 0, 4);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.halted, 1);
	assert_int_equal(f->counts.objects, 2);
	assert_once(f->store, geo, 4);
}

/* Even if that log is shorter at first. */
static void test_a_lake_that_is_ahead_waits_and_then_halts(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(store_put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
			    slice_str("{\"n\":0}\n{\"n\":1}\n{\"other\":2}\n"), STORE_CREATE,
			    &err));
	append_numbers(f, pin, 0, 2);
	run_ok(f);
	append_numbers(f, pin, 2, 4);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.objects, 0);
}

static void test_an_unfinished_object_halts(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(store_put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
			    slice_str("{\"n\":0}\n{\"n\""), STORE_CREATE, &err));
	append_numbers(f, pin, 0, 4);
	append_numbers(f, geo, 0, 1);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_once(f->store, geo, 1);
}

static void test_what_is_there_is_never_replaced(void **state)
{
	static const char key[] = "dlq/u.pin/partition=0/u.pin+0+0000000001.ndjson";
	static const char letter[] =
		"{\"topic\":\"u.pin\",\"partition\":\"0\",\"offset\":\"00000000000000000001\","
		"\"stage\":\"batch\",\"reason\":\"x\",\"timestamp_ms\":0,\"value\":null}\n";
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(store_put(f->store, key, slice_str(letter), STORE_CREATE, &err));
	append(f, pin, "{\"n\":0}");
	append(f, pin, "no JSON");
	append_numbers(f, pin, 2, 9);
	append_numbers(f, geo, 0, 4);
	run_ok(f);
	assert_object(f->store, key, letter);
	assert_once(f->store, geo, 4);
	assert_int_equal(f->counts.records[PIN], 8);
	assert_int_equal(f->counts.dead[PIN], 1);
}

/* --- faults ------------------------------------------------------------ */

static void fill(struct fixture *f)
{
	append_numbers(f, pin, 0, 4);
	append(f, pin, "no JSON");
	append_numbers(f, pin, 5, 12);
	append_numbers(f, geo, 0, 5);
}

/* Whichever call of the store fails, and however, it is tried again or another run makes good. */
static void fail_every_call(struct fixture *f, enum err_code code, bool after, bool restarts)
{
	int calls = 0;

	for (int k = 1; k == 1 || k <= calls; k++) {
		uint64_t puts;

		use_store(f, store_faulty_new(store_memory_new(STORE_MAX), k, code, after));
		assert_int_equal(run(f), restarts ? ERR_CORRUPT : ERR_OK);
		puts = f->counts.objects + f->counts.dead[PIN];
		run_ok(f);
		assert_once(f->store, pin, 12);
		assert_once(f->store, geo, 5);
		if (!restarts)
			assert_int_equal(f->counts.objects, 0);
		/* One call for each object and letter, and three a partition to find the place. */
		calls = restarts ? 8 : (int)puts + 6;
	}
}

static void test_every_store_call_may_be_refused(void **state)
{
	fill(*state);
	fail_every_call(*state, ERR_BUSY, false, false);
}

static void test_every_store_call_may_fail(void **state)
{
	fill(*state);
	fail_every_call(*state, ERR_IO, false, false);
}

static void test_every_answer_may_be_lost(void **state)
{
	fill(*state);
	fail_every_call(*state, ERR_UNKNOWN, true, false);
}

static void test_every_store_call_may_end_the_run(void **state)
{
	fill(*state);
	fail_every_call(*state, ERR_LIMIT, false, true);
	fail_every_call(*state, ERR_LIMIT, true, true);
}

static void test_every_read_may_fail(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 4);
	for (int k = 1; k < 6; k++) {
		struct broker_fault fault = { .read_at = k, .outcome = ERR_BUSY };
		struct fixture once = { 0 };
		void *inner = &once;

		assert_int_equal(set_up(&inner), 0);
		f = inner;
		append_numbers(f, pin, 0, 4);
		f->broker = broker_faulty_new(f->broker, &fault, ended_done, &f->ended);
		f->options.broker = f->broker;
		run_ok(f);
		assert_once(f->store, pin, 4);
		(void)tear_down(&inner);
	}
}

/* A store that takes nothing. */
static enum err_code take_nothing(struct store *store, const struct store_put *put,
				  struct err *err)
{
	(void)store;
	(void)put;
	return err_set(err, ERR_IO, "the store is away");
}

/* The end must not wait for the store: that would keep the reason from whoever reads the log. */
static void test_an_error_is_told_though_the_store_is_away(void **state)
{
	struct broker_fault fault = { .read_at = 3, .outcome = ERR_CORRUPT, .for_ever = true };
	struct fixture *f = *state;
	const struct store_ops *real = f->store->ops;
	struct store_ops away = *real;

	append_numbers(f, pin, 0, 4);
	away.put = take_nothing;
	f->store->ops = &away;
	f->broker = broker_faulty_new(f->broker, &fault, ended_done, &f->ended);
	f->options.broker = f->broker;
	f->options.flush_size = 1;
	(void)alarm(60);
	assert_int_equal(run(f), ERR_CORRUPT);
	(void)alarm(0);
	f->store->ops = real;
	f->options.broker = f->broker;
}

/* --- while it runs; last, because a stop cannot be taken back ----------- */

static void *run_thread(void *user)
{
	struct fixture *f = user;

	(void)run(f);
	return NULL;
}

static void wait_for(struct store *store, const char *key)
{
	int64_t end_ms = clock_mono_ms() + 10000;
	struct err err;
	uint64_t size;

	while (store_size(store, key, &size, &err) != ERR_OK) {
		assert_true(clock_mono_ms() < end_ms);
		(void)usleep(2000);
	}
}

static void test_age_and_stop(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	f->options.until_end = false;
	f->options.flush_age_ms = 50;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, f), 0);
	append_numbers(f, pin, 0, 1);
	wait_for(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json");
	append_numbers(f, pin, 1, 2);
	wait_for(f->store, "topics/u.pin/partition=0/u.pin+0+0000000001.json");
	append_numbers(f, geo, 0, 100);
	stop_request();
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(f->code, ERR_OK);
	assert_once(f->store, pin, 2);
	assert_once(f->store, geo, 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- a lake that is far away ------------------------------------------------------- */

enum { PLACED_TOGETHER = 4 };

/* Listings of one topic, of which none ends before so many were at hand. */
static struct {
	struct store_ops ops;
	const struct store_ops *real;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	int at_hand, most;
} placing;

static enum err_code placing_list(struct store *store, const char *prefix, const char *after,
				  size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	(void)pthread_mutex_lock(&placing.lock);
	placing.at_hand += strstr(prefix, "u.user") != NULL;
	if (placing.at_hand > placing.most)
		placing.most = placing.at_hand;
	(void)pthread_cond_broadcast(&placing.changed);
	while (strstr(prefix, "u.user") && placing.most < PLACED_TOGETHER)
		(void)pthread_cond_wait(&placing.changed, &placing.lock);
	placing.at_hand -= strstr(prefix, "u.user") != NULL;
	(void)pthread_mutex_unlock(&placing.lock);
	return placing.real->list(store, prefix, after, wanted, each, user, err);
}

static void test_partitions_are_placed_together(void **state)
{
	static const struct topic_ref users = { TOPIC_LOG, "u.user" };
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, users, PLACED_TOGETHER, &err));
	append(f, users, "{\"n\":1}");
	(void)pthread_mutex_init(&placing.lock, NULL);
	(void)pthread_cond_init(&placing.changed, NULL);
	placing.real = f->store->ops;
	placing.ops = *f->store->ops;
	placing.ops.list = placing_list;
	f->store->ops = &placing.ops;
	run_ok(f);		/* one after the other would never end */
	assert_int_equal(f->counts.records[USER], 1);
	f->store->ops = placing.real;
}

/* --- the ends of times ------------------------------------------------------- */

#define HOUR_MS INT64_C(3600000)
#define DAY_BEGIN INT64_C(1646092800000) /* 2022-03-01T00:00:00Z */

/* {"n":0}, {"n":1}, … of these times of the day. */
static void append_times(struct fixture *f, const int64_t *times, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		struct append_outcome outcome = { 0 };
		struct append_record record;
		struct err err = { 0 };
		char value[32];

		(void)snprintf(value, sizeof(value), "{\"n\":%zu}", n);
		record = (struct append_record){ .value = slice_str(value),
						 .timestamp_ms = DAY_BEGIN + times[n] };
		assert_ok(append_and_wait(f->broker, &f->ended, pin, &record, 1, &outcome, &err));
	}
}

/* An hour's last millisecond and the next one's first lie in theirs, whichever comes first. */
static void test_the_ends_of_a_bucket(void **state)
{
	static const int64_t times[] = { HOUR_MS, HOUR_MS - 1, 2 * HOUR_MS - 1, 2 * HOUR_MS, 0 };
	struct fixture *f = *state;
	struct err err = { 0 };

	f->options.flush_size = 10;
	f->options.time.kind = EVENT_TIME_RECORD;
	assert_ok(path_format_init(&f->options.path, "'h'=HH", HOUR_MS, &err));
	append_times(f, times, ARRAY_LEN(times));
	run_ok(f);
	assert_object(f->store, "topics/u.pin/h=00/u.pin+0+0000000001.json", "{\"n\":1}\n{\"n\":4}\n");
	assert_object(f->store, "topics/u.pin/h=01/u.pin+0+0000000000.json", "{\"n\":0}\n{\"n\":2}\n");
	assert_object(f->store, "topics/u.pin/h=02/u.pin+0+0000000003.json", "{\"n\":3}\n");
	assert_int_equal(assert_once(f->store, pin, ARRAY_LEN(times)), 3);
}

/* An interval's last millisecond is of the run before, its end is of the next one. */
static void test_the_ends_of_an_interval(void **state)
{
	static const int64_t times[] = { 0, HOUR_MS - 1, HOUR_MS, 2 * HOUR_MS - 1, 2 * HOUR_MS };
	struct fixture *f = *state;

	f->options.flush_size = 1000;
	f->options.time.kind = EVENT_TIME_RECORD;
	f->options.rotate_interval_ms = HOUR_MS;
	append_times(f, times, ARRAY_LEN(times));
	run_ok(f);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
		      "{\"n\":0}\n{\"n\":1}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000002.json",
		      "{\"n\":2}\n{\"n\":3}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000004.json", "{\"n\":4}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_objects_by_count),
		TEST(test_partitions_are_placed_together),
		TEST(test_objects_by_bytes),
		TEST(test_the_ends_of_a_bucket),
		TEST(test_the_ends_of_an_interval),
		TEST(test_an_empty_log_gives_nothing),
		TEST(test_an_empty_object_is_in_nobodys_way),
		TEST(test_values_become_one_compact_line),
		TEST(test_what_is_no_json_is_a_dead_letter),
		TEST(test_letters_that_find_no_room_on_disk),
		TEST(test_all_topics),
		TEST(test_a_restart_goes_on),
		TEST(test_only_one_sink_a_directory),
		TEST(test_recover_beyond_ten_digits),
		TEST(test_a_lake_of_another_log_halts),
		TEST(test_a_lake_that_is_ahead_waits_and_then_halts),
		TEST(test_an_unfinished_object_halts),
		TEST(test_what_is_there_is_never_replaced),
		TEST(test_every_store_call_may_be_refused),
		TEST(test_every_store_call_may_fail),
		TEST(test_every_answer_may_be_lost),
		TEST(test_every_store_call_may_end_the_run),
		TEST(test_every_read_may_fail),
		TEST(test_an_error_is_told_though_the_store_is_away),
		TEST(test_age_and_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
