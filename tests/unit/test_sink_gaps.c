/* The sink beside others, and over logs that skip numbers, lose records, take partitions away, or
 * begin again. */
#include "base/crc32c.h"
#include "base/time.h"
#include "sink_testing.h"

#include <stdatomic.h>
#include <unistd.h>

/* The next numbers of the log give no records. */
static void pass_over(struct fixture *f, size_t count, enum gap_reason reason)
{
	broker_memory_skip(f->broker, pin, 0, count, reason);
}

/* Of each offset: 'o' it is in an object, 'x' in a dead letter, '-' nowhere, '!' more than once. */
static void assert_shape(struct fixture *f, struct topic_ref topic, const char *expected)
{
	struct lake *lake = see_lake(f->store, topic);
	char shape[OFFSETS_MAX + 1] = "";

	for (size_t i = 0; i < strlen(expected) + 1; i++) {
		bool dead = lake->times[i] && !strcmp(buf_cstr(&lake->values[i]), "dead");

		shape[i] = lake->times[i] > 1 ? '!' : lake->times[i] ? (dead ? 'x' : 'o') : '-';
	}
	shape[strlen(expected) + 1] = '\0';
	assert_int_equal(shape[strlen(expected)], '-');
	shape[strlen(expected)] = '\0';
	assert_string_equal(shape, expected);
	free_lake(lake);
}

static bool take_range(void *user, const struct dlq_entry *entry)
{
	struct position first, last;

	assert_true(position_parse(entry->offset, &first));
	assert_true(position_parse(entry->last, &last));
	buf_addf(user, "%d-%d %.*s\n", (int)position_ordinal(first), (int)position_ordinal(last),
		 SLICE_ARG(entry->reason));
	assert_true(slice_is(entry->stage, "sink"));
	assert_null(entry->value.ptr);
	return true;
}

static void assert_letters(struct fixture *f, struct topic_ref topic, const char *expected)
{
	struct buf letters;
	struct err err = { 0 };

	buf_init(&letters, 10000);
	assert_ok(dlq_list(f->store, topic.name, take_range, &letters, &err));
	assert_string_equal(buf_cstr(&letters), expected);
	buf_release(&letters);
}

static bool count_key(void *user, const struct store_entry *entry)
{
	(void)entry;
	++*(size_t *)user;
	return true;
}

static size_t count_keys(struct fixture *f, const char *prefix)
{
	struct err err = { 0 };
	size_t count = 0;

	assert_ok(store_list(f->store, prefix, "", count_key, &count, &err));
	return count;
}

/* --- gaps ------------------------------------------------------------------ */

static void test_numbers_that_were_no_records_close_nothing(void **state)
{
	static const enum gap_reason reasons[] = { GAP_NONE, GAP_COMPACTED, GAP_ABORTED };
	struct fixture *f = *state;

	f->options.flush_size = 4;
	append(f, pin, "0");
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		append(f, pin, "1");
		pass_over(f, i + 1, reasons[i]);
	}
	append(f, pin, "2");
	append(f, pin, "3");
	run_ok(f);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json", "0\n1\n1\n1\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000010.json", "2\n3\n");
	assert_shape(f, pin, "oo-o--o---oo");
	assert_letters(f, pin, "");
	assert_int_equal(f->counts.missed, 0);
	assert_int_equal(count_keys(f, "manifests/u.pin/partition=0/0"), 2);
	run_ok(f);
	assert_int_equal(f->counts.objects, 0);
	append(f, pin, "4");
	run_ok(f);
	assert_shape(f, pin, "oo-o--o---ooo");
	assert_int_equal(count_keys(f, "manifests/u.pin/partition=0/0"), 2);
}

/* A marker after each record, and restarts: objects stay as large as they may be. */
static void test_many_gaps_make_no_small_objects(void **state)
{
	const struct memory_options options = { .bytes_max = STORE_MAX, .markers = true,
						.end_unknown = true, .done = ended_done };
	struct fixture *f = *state;
	struct memory_options mine = options;
	struct err err = { 0 };

	mine.done_user = &f->ended;
	broker_free(f->broker);
	f->broker = f->options.broker = broker_memory_open(&mine);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	f->options.flush_size = 50;
	for (int i = 0; i < 200; i++)
		append(f, pin, "1");
	run_ok(f);
	assert_int_equal(f->counts.objects, 4);
	assert_int_equal(f->counts.records[PIN], 200);
	for (int i = 0; i < 5; i++) {
		append(f, pin, "1");
		run_ok(f);
		assert_int_equal(f->counts.records[PIN], 1);
	}
	assert_letters(f, pin, "");
	assert_int_equal(count_keys(f, "topics/u.pin/"), 9);
}

static void test_what_was_lost_is_told_once_for_its_range(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 2);
	pass_over(f, 2, GAP_DAMAGED);
	append_numbers(f, pin, 4, 6);
	pass_over(f, 1, GAP_RETENTION);
	run_ok(f);
	run_ok(f);
	assert_shape(f, pin, "ooxxoox");
	assert_letters(f, pin, "2-3 damaged in the log\n6-6 left the log before it was read\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000004.json",
		      "{\"n\":4}\n{\"n\":5}\n");
	assert_int_equal(count_keys(f, "manifests/u.pin/partition=0/0"), 0);
}

static void test_what_retention_took_is_told_once(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 5);
	broker_memory_let_go(f->broker, pin, 0, 2);	/* before there was a sink */
	run_ok(f);
	assert_shape(f, pin, "--ooo");
	append_numbers(f, pin, 5, 9);
	broker_memory_let_go(f->broker, pin, 0, 6);
	run_ok(f);
	assert_int_equal(f->counts.missed, 3);
	append_numbers(f, pin, 9, 10);
	run_ok(f);
	assert_shape(f, pin, "--oooxxxoo");
	assert_letters(f, pin, "5-7 left the log before it was read\n");
}

/* --- other histories ---------------------------------------------------------- */

/* Its positions go on, so the lake does. */
static void test_a_topic_made_anew_goes_on(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	append_numbers(f, pin, 0, 5);
	run_ok(f);
	append_numbers(f, pin, 5, 10);
	assert_ok(broker_remove(f->broker, pin, &err));
	assert_ok(create_topic(f->broker, pin, 1, &err));
	append_numbers(f, pin, 10, 15);
	run_ok(f);
	assert_shape(f, pin, "oooooxxxxxooooo");
	assert_letters(f, pin,
		       "5-9 of a topic of this name that was removed before it was read\n");
	append_numbers(f, pin, 15, 16);
	run_ok(f);
	assert_shape(f, pin, "oooooxxxxxoooooo");
}

/* Another log, whose positions begin again. */
static void begin_again(struct fixture *f)
{
	struct err err = { 0 };

	broker_free(f->broker);
	f->broker = f->options.broker = broker_memory_new(STORE_MAX, ended_done, &f->ended);
	assert_ok(create_topic(f->broker, pin, 2, &err));
	assert_ok(create_topic(f->broker, geo, 1, &err));
}

/* Though it looks the same. */
static void test_a_topic_that_begins_again_stops_alone(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 5);
	run_ok(f);
	begin_again(f);
	append_numbers(f, pin, 0, 9);
	append_numbers(f, geo, 0, 3);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.halted, 2);
	assert_shape(f, pin, "ooooo");
	assert_shape(f, geo, "ooo");
}

static void test_or_goes_on_as_the_next_generation(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 5);
	append(f, pin, "no JSON");
	run_ok(f);
	f->options.new_history = true;
	for (int generation = 2; generation < 4; generation++) {
		char key[100];

		begin_again(f);
		append_numbers(f, pin, 0, 2);
		run_ok(f);
		append_numbers(f, pin, 2, 4);
		append(f, pin, "no JSON");
		run_ok(f);
		assert_int_equal(f->counts.dead[PIN], 1);
		(void)snprintf(key, sizeof(key),
			       "topics/u.pin/generation=%d/partition=0/u.pin+0+0000000002.json",
			       generation);
		assert_object(f->store, key, "{\"n\":2}\n{\"n\":3}\n");
		assert_int_equal(f->counts.objects, 1);
	}
	assert_int_equal(count_keys(f, "topics/u.pin/partition=0/"), 2);
	assert_int_equal(count_keys(f, "topics/u.pin/"), 6);
	assert_int_equal(count_keys(f, "dlq/u.pin/generation=3/"), 1);
}

/* The record that landed last reads the same, but it is of another life of the log. */
static void test_a_log_that_was_put_back_halts(void **state)
{
	static const struct lineage other = { 1, 2 };
	struct lake_partition where = { .topic = "u.pin" };
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf key, text;

	buf_init(&key, 1000);
	buf_init(&text, 1000);
	append_numbers(f, pin, 0, 3);
	run_ok(f);
	lineage_write(&key, &text, where, 1, other);
	assert_ok(store_put(f->store, buf_cstr(&key), buf_slice(&text), STORE_CREATE, &err));
	append_numbers(f, pin, 3, 5);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_shape(f, pin, "ooo");
	buf_release(&key);
	buf_release(&text);
}

static void test_the_newest_object_may_be_gone(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	append_numbers(f, pin, 0, 3);
	run_ok(f);
	append_numbers(f, pin, 3, 4);
	run_ok(f);
	assert_ok(store_remove(f->store, "topics/u.pin/partition=0/u.pin+0+0000000003.json", &err));
	append_numbers(f, pin, 4, 5);
	run_ok(f);
	append_numbers(f, pin, 5, 6);
	run_ok(f);
	assert_int_equal(assert_once(f->store, pin, 6), 3);
}

/* --- two sinks ------------------------------------------------------------------ */

/* Puts of the first sink stop at a gate, where the other one is let by. */
static struct {
	const struct store_ops *real;
	struct store_ops ops;
	struct fixture *f;
	struct sink_options other;	/* runs once, before the first object of `f` is put */
	bool inside;
	int puts;
} racing;

static enum err_code racing_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct sink_counts counts;
	struct err why = { 0 };

	racing.puts++;
	if (!racing.inside) {
		racing.inside = true;
		if (sink_run(&racing.other, &counts, &why) != ERR_OK)
			fail_msg("the other sink: %s", why.msg);
		sink_counts_release(&counts);
	}
	return racing.real->put(store, put, err);
}

static void race(struct fixture *f, char dir[SCRATCH_NAME_MAX])
{
	scratch_dir(dir);
	racing.real = f->store->ops;
	racing.ops = *f->store->ops;
	racing.ops.put = racing_put;
	racing.inside = false;
	racing.f = f;
	racing.other = f->options;
	racing.other.dir = dir;
	f->store->ops = &racing.ops;
}

static void end_race(struct fixture *f, char dir[SCRATCH_NAME_MAX])
{
	assert_true(racing.inside);
	f->store->ops = racing.real;
	scratch_remove(dir);
}

/* The other sink lands everything, cut differently, between the first one's reading and its put. */
static void test_another_sink_may_be_faster(void **state)
{
	for (uint64_t cut = 1; cut < 9; cut++) {
		char dir[SCRATCH_NAME_MAX];
		struct fixture *f = *state;
		void *inner = NULL;

		assert_int_equal(set_up(&inner), 0);
		f = inner;
		append_numbers(f, pin, 0, 3);
		append(f, pin, "no JSON");
		append_numbers(f, pin, 4, 5);
		pass_over(f, 2, GAP_NONE);
		append_numbers(f, pin, 7, 9);
		race(f, dir);
		racing.other.flush_size = cut;
		run_ok(f);
		end_race(f, dir);
		assert_shape(f, pin, "oooxo--oo");
		append_numbers(f, pin, 9, 11);
		run_ok(f);
		assert_shape(f, pin, "oooxo--oooo");
		(void)tear_down(&inner);
	}
}

/* What is in the way tells nothing of where to go on: that is no other sink. */
static void test_what_is_in_the_way_for_ever_halts(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	char key[100];

	append(f, pin, "0");
	pass_over(f, 1, GAP_NONE);
	append(f, pin, "1");
	append_numbers(f, geo, 0, 1);
	(void)snprintf(key, sizeof(key), "manifests/u.pin/partition=0/%020d+%08x.json", 0,
		       crc32c(0, "0\n1\n", 4));
	assert_ok(store_put(f->store, key, slice_str("other"), STORE_CREATE, &err));
	(void)alarm(60);
	assert_int_equal(run(f), ERR_CORRUPT);
	(void)alarm(0);
	assert_int_equal(f->counts.halted, 1);
	assert_shape(f, pin, "");
	assert_shape(f, geo, "o");
}

static void *run_racer(void *user)
{
	struct sink_options *options = user;
	struct sink_counts counts;
	struct err err = { 0 };

	if (sink_run(options, &counts, &err) != ERR_OK)
		fail_msg("sink_run: %s", err.msg);
	sink_counts_release(&counts);
	return NULL;
}

/* Several at once, which cut differently; each ends when all is in the lake, whoever put it. */
static void test_sinks_at_once(void **state)
{
	enum { SINKS = 3, RECORDS = 600 };
	struct fixture *f = *state;
	struct sink_options options[SINKS];
	char dirs[SINKS][SCRATCH_NAME_MAX];
	pthread_t threads[SINKS];

	for (int i = 0; i < RECORDS; i++)
		append(f, pin, i % 41 == 7 ? "no JSON" : "1");
	for (int i = 0; i < SINKS; i++) {
		options[i] = f->options;
		scratch_dir(dirs[i]);
		options[i].dir = dirs[i];
		options[i].flush_size = (uint64_t)i + 2;
		assert_int_equal(pthread_create(&threads[i], NULL, run_racer, &options[i]), 0);
	}
	for (int i = 0; i < SINKS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		scratch_remove(dirs[i]);
	}
	{
		struct lake *lake = see_lake(f->store, pin);

		for (int i = 0; i < RECORDS + 1; i++)
			assert_int_equal(lake->times[i], i < RECORDS);
		free_lake(lake);
	}
}

/* --- a reader that something happens to ----------------------------------------------- */

static struct {
	const struct broker_ops *real;
	struct broker_ops ops;
	struct fixture *f;
	int nexts;
	bool inside;
} odd;

typedef enum err_code next_fn(struct broker_reader *reader, int64_t deadline_ms,
			      struct reader_event *ret_event, struct err *err);

static void make_odd(struct fixture *f, next_fn *next)
{
	odd.real = f->broker->ops;
	odd.ops = *f->broker->ops;
	odd.ops.reader_next = next;
	odd.f = f;
	odd.nexts = 0;
	odd.inside = false;
	f->broker->ops = &odd.ops;
}

static void run_odd(struct fixture *f, next_fn *next)
{
	make_odd(f, next);
	(void)alarm(60);
	run_ok(f);
	(void)alarm(0);
	f->broker->ops = odd.real;
}

/* Before it reads on, another sink lands what comes next, and the log lets go of that. */
static void be_overtaken(struct fixture *f)
{
	struct sink_options other = f->options;
	struct sink_counts counts;
	struct err err = { 0 };
	char dir[SCRATCH_NAME_MAX];

	scratch_dir(dir);
	other.dir = dir;
	append_numbers(f, pin, 5, 9);
	assert_ok(sink_run(&other, &counts, &err));
	sink_counts_release(&counts);
	scratch_remove(dir);
	broker_memory_let_go(f->broker, pin, 0, 8);
	append_numbers(f, pin, 9, 10);
}

static enum err_code overtaken_next(struct broker_reader *reader, int64_t deadline_ms,
				    struct reader_event *ret_event, struct err *err)
{
	enum err_code code;

	if (!odd.inside && odd.nexts == 1) {
		odd.inside = true;
		be_overtaken(odd.f);
		odd.inside = false;
		odd.nexts++;
	}
	code = odd.real->reader_next(reader, deadline_ms, ret_event, err);
	odd.nexts += !odd.inside && code == ERR_OK && ret_event->kind == READER_RECORDS;
	return code;
}

/* A letter is in nobody's way: only the lake tells that what is gone from the log is in it. */
static void test_what_another_sink_landed_is_not_lost(void **state)
{
	struct fixture *f = *state;

	f->options.flush_size = 5;
	append_numbers(f, pin, 0, 5);
	run_odd(f, overtaken_next);
	assert_shape(f, pin, "oooooooooo");
	assert_letters(f, pin, "");
	assert_int_equal(f->counts.missed, 0);
	assert_int_equal(count_keys(f, "dlq/"), 0);
}

static enum err_code nameless_next(struct broker_reader *reader, int64_t deadline_ms,
				   struct reader_event *ret_event, struct err *err)
{
	enum err_code code = odd.real->reader_next(reader, deadline_ms, ret_event, err);

	ret_event->lineage = (struct lineage){ 0, 0 };
	return code;
}

/* Objects are as large as with one. */
static void test_a_broker_may_know_no_lineages(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 6);
	run_odd(f, nameless_next);
	assert_int_equal(f->counts.objects, 2);
	assert_int_equal(assert_once(f->store, pin, 6), 2);
	assert_int_equal(count_keys(f, "manifests/u.pin/partition=0/0"), 0);
}

/* Of the second partition a member of the group does not hear. */
static enum err_code shared_next(struct broker_reader *reader, int64_t deadline_ms,
				 struct reader_event *ret_event, struct err *err)
{
	enum err_code code;

	do {
		code = odd.real->reader_next(reader, deadline_ms, ret_event, err);
	} while (code == ERR_OK && ret_event->kind != READER_IDLE && ret_event->partition == 1);
	return code;
}

static void test_what_another_member_has_keeps_nobody(void **state)
{
	static const struct topic_ref wide = { TOPIC_LOG, "u.user" };
	const struct reader_options options = { .group = "sink", .topics = &wide, .topic_count = 1,
						.bytes_max = 1 << 20 };
	struct fixture *f = *state;
	struct broker_reader *other;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, wide, 2, &err));
	assert_ok(broker_reader_open(f->broker, &options, &other, &err));
	append_numbers(f, wide, 0, 5);
	run_odd(f, shared_next);
	assert_once(f->store, wide, 5);
	append_numbers(f, wide, 5, 6);
	run_odd(f, shared_next);
	assert_once(f->store, wide, 6);
	reader_close(other);
}

static const struct topic_ref late = { TOPIC_LOG, "u.user" };
static int64_t late_ms; /* since when it is held back; -1: it is not */

/* Whose this topic is, is told later than all else. */
static enum err_code late_next(struct broker_reader *reader, int64_t deadline_ms,
			       struct reader_event *ret_event, struct err *err)
{
	enum err_code code;
	bool held;

	do {
		code = odd.real->reader_next(reader, deadline_ms, ret_event, err);
		held = code == ERR_OK && ret_event->kind != READER_IDLE && late_ms >= 0 &&
		       strcmp(ret_event->topic.name, late.name) == 0;
		if (held && late_ms == 0)
			late_ms = clock_mono_ms();
	} while (held);
	if (code == ERR_OK && ret_event->kind == READER_IDLE && late_ms > 0 &&
	    clock_mono_ms() - late_ms > 300) {
		*ret_event = (struct reader_event){ .kind = READER_ASSIGNED, .topic = late };
		late_ms = -1;
	}
	return code;
}

/* A topic was made a moment ago, and a service takes its time to say whose it is: who is to end,
 * and is the only one who could have it, waits for that. */
static void test_what_nobody_else_can_have_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	late_ms = 0;
	assert_ok(create_topic(f->broker, late, 1, &err));
	append_numbers(f, pin, 0, 5);
	append_numbers(f, late, 0, 3);
	run_odd(f, late_next);
	assert_once(f->store, pin, 5);
	assert_once(f->store, late, 3);
}

/* --- partitions that are taken away ----------------------------------------------- */

/* A store that takes no object while it is `away`; how often it was tried, and what it was told. */
static struct {
	const struct store_ops *real;
	const struct broker_ops *broker;
	struct store_ops ops;
	struct broker_ops broker_ops;
	struct fixture *f;
	atomic_bool away;
	atomic_int tries, released, nexts, commits;
} gate;

static enum err_code gate_put(struct store *store, const struct store_put *put, struct err *err)
{
	atomic_fetch_add(&gate.tries, 1);
	if (atomic_load(&gate.away))
		return err_set(err, ERR_IO, "the store is away");
	return gate.real->put(store, put, err);
}

static enum err_code gate_next(struct broker_reader *reader, int64_t deadline_ms,
			       struct reader_event *ret_event, struct err *err)
{
	atomic_fetch_add(&gate.nexts, 1);
	return gate.broker->reader_next(reader, deadline_ms, ret_event, err);
}

static void gate_release(struct broker_reader *reader, struct topic_ref topic, int32_t partition)
{
	atomic_fetch_add(&gate.released, 1);
	gate.broker->reader_release(reader, topic, partition);
}

static enum err_code gate_commit(struct broker_reader *reader, struct topic_ref topic,
				 int32_t partition, struct position next, struct err *err)
{
	atomic_fetch_add(&gate.commits, 1);
	return gate.broker->reader_commit(reader, topic, partition, next, err);
}

static void close_gate(struct fixture *f)
{
	gate.real = f->store->ops;
	gate.ops = *f->store->ops;
	gate.ops.put = gate_put;
	f->store->ops = &gate.ops;
	gate.broker = f->broker->ops;
	gate.broker_ops = *f->broker->ops;
	gate.broker_ops.reader_next = gate_next;
	gate.broker_ops.reader_release = gate_release;
	gate.broker_ops.reader_commit = gate_commit;
	f->broker->ops = &gate.broker_ops;
	atomic_store(&gate.away, true);
	atomic_store(&gate.tries, 0);
	atomic_store(&gate.released, 0);
	atomic_store(&gate.commits, 0);
}

static void open_gate(struct fixture *f)
{
	f->store->ops = gate.real;
	f->broker->ops = gate.broker;
}

static void await(atomic_int *figure, int least)
{
	int64_t end_ms = clock_mono_ms() + 20000;

	while (atomic_load(figure) < least) {
		assert_true(clock_mono_ms() < end_ms);
		(void)usleep(1000);
	}
}

static void *run_fixture(void *user)
{
	struct fixture *f = user;

	(void)run(f);
	return NULL;
}

/* More waits than may, and the reader is asked on; what it takes away is given up at once. */
static void take_away(struct fixture *f, bool lost)
{
	enum { RECORDS = 2000 };
	pthread_t thread;

	f->options.flush_size = 1;
	for (int i = 0; i < RECORDS; i++)
		append(f, pin, "1");
	close_gate(f);
	assert_int_equal(pthread_create(&thread, NULL, run_fixture, f), 0);
	await(&gate.tries, 1);
	await(&gate.nexts, atomic_load(&gate.nexts) + 10);
	broker_memory_revoke(f->broker, pin, 0, lost);
	if (!lost)
		await(&gate.released, 1);
	atomic_store(&gate.away, false);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(f->code, ERR_OK);
	assert_int_equal(atomic_load(&gate.released), !lost);
	open_gate(f);
	run_ok(f);
	{
		struct lake *lake = see_lake(f->store, pin);

		for (int i = 0; i < RECORDS + 1; i++)
			assert_int_equal(lake->times[i], i < RECORDS);
		free_lake(lake);
	}
}

static void test_what_is_asked_for_is_given_up_while_the_store_is_away(void **state)
{
	take_away(*state, false);
}

static void test_what_is_lost_is_dropped(void **state)
{
	take_away(*state, true);
}

/* A partition that cannot be read stops alone; what came before it lands. */
static void test_one_partition_fails(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 3);
	run_ok(f);
	append_numbers(f, pin, 3, 5);
	append_numbers(f, geo, 0, 4);
	broker_memory_fail(f->broker, pin, 0, ERR_CORRUPT);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.halted, 1);
	assert_shape(f, pin, "ooo");
	assert_shape(f, geo, "oooo");
	broker_memory_fail(f->broker, pin, 0, ERR_OK);
	run_ok(f);
	assert_shape(f, pin, "ooooo");
}

static void test_commits_are_told_seldom(void **state)
{
	enum { RECORDS = 500 };
	struct fixture *f = *state;
	struct position next;
	struct err err = { 0 };
	int64_t begin_ms = clock_mono_ms();

	f->options.flush_size = 1;
	for (int i = 0; i < RECORDS; i++)
		append(f, pin, "1");
	pass_over(f, 3, GAP_NONE);
	close_gate(f);
	atomic_store(&gate.away, false);
	run_ok(f);
	open_gate(f);
	assert_true(atomic_load(&gate.commits) <= 3 + (clock_mono_ms() - begin_ms) / 1000);
	assert_ok(broker_committed(f->broker, "sink", pin, 0, &next, &err));
	assert_int_equal(position_ordinal(next), RECORDS + 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numbers_that_were_no_records_close_nothing),
		TEST(test_many_gaps_make_no_small_objects),
		TEST(test_what_was_lost_is_told_once_for_its_range),
		TEST(test_what_retention_took_is_told_once),
		TEST(test_a_topic_made_anew_goes_on),
		TEST(test_a_topic_that_begins_again_stops_alone),
		TEST(test_or_goes_on_as_the_next_generation),
		TEST(test_a_log_that_was_put_back_halts),
		TEST(test_the_newest_object_may_be_gone),
		TEST(test_another_sink_may_be_faster),
		TEST(test_what_is_in_the_way_for_ever_halts),
		TEST(test_sinks_at_once),
		TEST(test_what_another_sink_landed_is_not_lost),
		TEST(test_a_broker_may_know_no_lineages),
		TEST(test_what_another_member_has_keeps_nobody),
		TEST(test_what_nobody_else_can_have_is_waited_for),
		TEST(test_what_is_asked_for_is_given_up_while_the_store_is_away),
		TEST(test_what_is_lost_is_dropped),
		TEST(test_one_partition_fails),
		TEST(test_commits_are_told_seldom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
