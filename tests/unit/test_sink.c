/* The sink: every record of the log is in the lake once, whatever fails. */
#include "backends/backends.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "broker/sequence.h"
#include "broker_testing.h"
#include "flow/dlq.h"
#include "flow/sink.h"
#include "flow/sink_recover.h"
#include "scratch.h"
#include "tables.h"

#include <unistd.h>

enum { STORE_MAX = 64 << 20, OFFSETS_MAX = 4096 };

static const struct topic_ref pin = { TOPIC_LOG, "u.pin" };
static const struct topic_ref geo = { TOPIC_LOG, "u.geo" };

/* --- a pipeline -------------------------------------------------------- */

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct ended ended;
	struct broker *broker;
	struct store *store;
	struct sink_options options;
	struct sink_counts counts;
	struct err err;
	enum err_code code;		/* what run() gave */
};

/* As of models with the id "u". */
static const struct clean_model clean[TABLES];
static const struct lake_table tables[TABLES] = {
	[GEO] = { .model = &clean[GEO], .kind = TOPIC_LOG, .topic = "u.geo" },
	[PIN] = { .model = &clean[PIN], .kind = TOPIC_LOG, .topic = "u.pin" },
	[USER] = { .model = &clean[USER], .kind = TOPIC_LOG, .topic = "u.user" },
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	f->broker = broker_memory_new(STORE_MAX, ended_done, &f->ended);
	f->store = store_memory_new(STORE_MAX);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	assert_ok(create_topic(f->broker, geo, 1, &err));
	f->options = (struct sink_options){
		.dir = f->dir,
		.tables = tables,
		.table_count = TABLES,
		.broker = f->broker,
		.store = f->store,
		.flush_size = 3,
		.flush_bytes = 1 << 20,
		.flush_age_ms = 60000,
		.until_end = true,
	};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sink_counts_release(&f->counts);
	store_free(f->store);
	broker_free(f->broker);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* Another store in place of the fixture's. */
static void use_store(struct fixture *f, struct store *store)
{
	store_free(f->store);
	f->store = store;
	f->options.store = store;
}

static void append_slice(struct fixture *f, struct topic_ref topic, struct slice value)
{
	struct append_record record = { .value = value, .partition = 0 };
	struct append_outcome outcome = { 0 };
	struct err err = { 0 };

	assert_ok(append_and_wait(f->broker, &f->ended, topic, &record, 1, &outcome, &err));
	assert_int_equal(outcome.code, ERR_OK);
}

static void append(struct fixture *f, struct topic_ref topic, const char *value)
{
	append_slice(f, topic, value ? slice_str(value) : slice_of(NULL, 0));
}

/* Records {"n":from} … up to {"n":to-1}. */
static void append_numbers(struct fixture *f, struct topic_ref topic, int from, int to)
{
	for (int i = from; i < to; i++) {
		char value[32];

		(void)snprintf(value, sizeof(value), "{\"n\":%d}", i);
		append(f, topic, value);
	}
}

static enum err_code run(struct fixture *f)
{
	sink_counts_release(&f->counts);	/* of the run before */
	return f->code = sink_run(&f->options, &f->counts, &f->err);
}

static void run_ok(struct fixture *f)
{
	if (run(f) != ERR_OK)
		fail_msg("sink_run: %s", f->err.msg);
}

static void assert_object(struct store *store, const char *key, const char *expected)
{
	struct err err = { 0 };
	struct buf body;

	buf_init(&body, STORE_MAX);
	assert_ok(store_get(store, key, 0, UINT64_MAX, &body, &err));
	assert_string_equal(buf_cstr(&body), expected);
	buf_release(&body);
}

/* What the lake has of a topic: for each offset its value, and how often it is there. */
struct lake {
	struct store *store;
	struct buf values[OFFSETS_MAX];
	int times[OFFSETS_MAX];
	size_t objects;
};

static void see(struct lake *lake, uint64_t offset, struct slice value)
{
	assert_true(offset < OFFSETS_MAX);
	lake->times[offset]++;
	buf_init(&lake->values[offset], 1000);
	buf_add_slice(&lake->values[offset], value);
}

static bool see_object(void *user, const struct store_entry *entry)
{
	struct lake *lake = user;
	struct lake_object_name name;
	struct err err = { 0 };
	struct slice rest;
	uint64_t offset;
	struct buf body;

	assert_true(lake_object_parse(entry->key, &name));
	offset = name.start;
	lake->objects++;
	buf_init(&body, STORE_MAX);
	assert_ok(store_get(lake->store, entry->key, 0, UINT64_MAX, &body, &err));
	for (rest = buf_slice(&body); rest.len > 0; offset++) {
		const char *end = memchr(rest.ptr, '\n', rest.len);

		assert_non_null(end);
		see(lake, offset, slice_of(rest.ptr, (size_t)(end - rest.ptr)));
		rest = slice_from(rest, (size_t)(end - rest.ptr) + 1);
	}
	buf_release(&body);
	return true;
}

static bool see_letter(void *user, const struct dlq_entry *entry)
{
	struct position position;

	assert_true(position_parse(entry->offset, &position));
	see(user, position_ordinal(position), slice_str("dead"));
	return true;
}

/* Every offset below `count` is in the lake once, {"n":offset} unless it is dead, nothing else is. */
static size_t assert_once(struct store *store, struct topic_ref topic, uint64_t count)
{
	struct lake *lake = xcalloc(1, sizeof(*lake));
	struct err err = { 0 };
	size_t objects;
	char prefix[64];

	lake->store = store;
	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", topic.name);
	assert_ok(store_list(store, prefix, "", see_object, lake, &err));
	assert_ok(dlq_list(store, topic.name, see_letter, lake, &err));
	for (uint64_t i = 0; i < OFFSETS_MAX; i++) {
		char expected[32];

		assert_int_equal(lake->times[i], i < count);
		if (i >= count)
			continue;
		(void)snprintf(expected, sizeof(expected), "{\"n\":%d}", (int)i);
		if (strcmp(buf_cstr(&lake->values[i]), "dead") != 0)
			assert_string_equal(buf_cstr(&lake->values[i]), expected);
		buf_release(&lake->values[i]);
	}
	objects = lake->objects;
	free(lake);
	return objects;
}

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
	assert_object(f->store, keys[0], "{\"n\":2}\n{\"n\":3}\n");
	assert_int_equal(assert_once(f->store, pin, 4), 2);
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
	assert_ok(sink_recover(f->store, "t", 0, &place, &err));
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

/* --- damage ------------------------------------------------------------ */

/* Makes readers of the memory broker report records 2 and 3 as damaged, or leave them out. */
static struct {
	const struct broker_ops *real;
	struct broker_ops ops;
	bool leave_out;
	int step;
	struct reader_event event;	/* the one that is served in parts */
} damaging;

static enum err_code damaging_next(struct broker_reader *reader, int64_t deadline_ms,
				   struct reader_event *ret_event, struct err *err)
{
	enum err_code code = ERR_OK;

	if (damaging.step == 0) {
		code = damaging.real->reader_next(reader, deadline_ms, ret_event, err);
		if (code != ERR_OK || ret_event->kind != READER_RECORDS ||
		    position_ordinal(ret_event->records[0].position) != 0)
			return code;
		damaging.event = *ret_event;
		ret_event->count = 2;
	} else if (damaging.step == 1 && !damaging.leave_out) {
		*ret_event = damaging.event;
		ret_event->kind = READER_GAP;
		ret_event->count = 0;
		ret_event->first = position_of_offset(2);
		ret_event->last = position_of_offset(3);
	} else {
		*ret_event = damaging.event;
		ret_event->records += 4;
		ret_event->count -= 4;
	}
	damaging.step = (damaging.step + 1 + (damaging.step == 0 && damaging.leave_out)) % 3;
	return code;
}

static void damage(struct fixture *f, bool leave_out)
{
	damaging.real = f->broker->ops;
	damaging.ops = *f->broker->ops;
	damaging.ops.reader_next = damaging_next;
	damaging.leave_out = leave_out;
	damaging.step = 0;
	f->broker->ops = &damaging.ops;
}

static void test_damage_goes_to_the_dead_letters(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf reasons;

	buf_init(&reasons, 10000);
	append_numbers(f, pin, 0, 6);
	damage(f, false);
	run_ok(f);
	assert_once(f->store, pin, 6);
	assert_ok(dlq_list(f->store, "u.pin", take_reason, &reasons, &err));
	assert_string_equal(buf_cstr(&reasons), "00000000000000000002 damaged in the log\n"
			    "00000000000000000003 damaged in the log\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000004.json",
		      "{\"n\":4}\n{\"n\":5}\n");
	buf_release(&reasons);
}

static void test_objects_go_on_after_a_gap(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 6);
	damage(f, true);
	run_ok(f);
	assert_int_equal(f->counts.missed, 2);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
		      "{\"n\":0}\n{\"n\":1}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000004.json",
		      "{\"n\":4}\n{\"n\":5}\n");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_objects_by_count),
		TEST(test_objects_by_bytes),
		TEST(test_an_empty_log_gives_nothing),
		TEST(test_an_empty_object_is_in_nobodys_way),
		TEST(test_values_become_one_compact_line),
		TEST(test_what_is_no_json_is_a_dead_letter),
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
		TEST(test_damage_goes_to_the_dead_letters),
		TEST(test_objects_go_on_after_a_gap),
		TEST(test_age_and_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
