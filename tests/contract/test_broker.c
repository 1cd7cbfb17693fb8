/* The contract of broker.h, run against every backend. */
#include "base/buf.h"
#include "broker_fixture.h"

static bool add_name(void *user, const char *name)
{
	struct buf *names = user;

	buf_addf(names, "%s;", name);
	return true;
}

static bool stop_at_once(void *user, const char *name)
{
	(void)name;
	++*(int *)user;
	return false;
}

static void test_topics(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct err err = { 0 };
	struct buf names;
	int calls = 0;

	create(f, pin, 3);
	create(f, geo, 1);
	create(f, stream, 2);
	assert_int_equal(create_topic(f->broker, pin, 5, &err), ERR_EXISTS);
	assert_int_equal(create_topic(f->broker, (struct topic_ref){ TOPIC_LOG, "a/b" }, 1, &err),
			 ERR_SHAPE);
	assert_int_equal(create_topic(f->broker, (struct topic_ref){ TOPIC_LOG, "x" }, 0, &err),
			 ERR_SHAPE);
	buf_init(&names, 1000);
	assert_ok(broker_list(f->broker, TOPIC_LOG, add_name, &names, &err));
	assert_string_equal(buf_cstr(&names), "124df56aef51.geo;124df56aef51.pin;");
	assert_ok(broker_list(f->broker, TOPIC_LOG, stop_at_once, &calls, &err));
	assert_int_equal(calls, 1);
	buf_release(&names);

	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_int_equal(info.partition_count, 3);
	assert_string_equal(info.name, pin.name);
	assert_int_equal(info.partitions[2].id, 2);
	assert_true(info.partitions[2].open);
	assert_int_equal(position_ordinal(info.partitions[2].next), 0);
	topic_info_release(&info);
	assert_int_equal(broker_describe(f->broker, (struct topic_ref){ TOPIC_STREAM, pin.name },
					 &info, &err), ERR_NO_TOPIC);
}

static void test_shards_cover_every_hash(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct err err = { 0 };

	create(f, stream, 3);
	assert_ok(broker_describe(f->broker, stream, &info, &err));
	assert_true(info.partitions[0].hash_first.high == 0 &&
		    info.partitions[0].hash_first.low == 0);
	/* floor(2^128 / 3) = 0x5555…55 */
	assert_true(info.partitions[0].hash_last.high == 0x5555555555555555 &&
		    info.partitions[0].hash_last.low == 0x5555555555555554);
	assert_true(info.partitions[1].hash_first.low == 0x5555555555555555);
	assert_true(info.partitions[2].hash_last.high == UINT64_MAX &&
		    info.partitions[2].hash_last.low == UINT64_MAX);
	assert_int_equal(info.partitions[0].parents[0], -1);
	topic_info_release(&info);
}

static void test_append_gives_dense_offsets(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct err err = { 0 };

	create(f, pin, 2);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(position_ordinal(put(f, pin, 1, "x").position), i);
	assert_int_equal(position_ordinal(put(f, pin, 0, "x").position), 0);
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_int_equal(position_ordinal(info.partitions[1].first), 0);
	assert_int_equal(position_ordinal(info.partitions[1].next), 5);
	topic_info_release(&info);
}

/* Of a topic that says that it is dense, what is there can be counted: each offset is given. */
static void expect_dense(const struct fixture *f, bool own)
{
	struct topic_info info = { 0 };
	struct err err = { 0 };

	assert_ok(broker_describe(f->broker, pin, &info, &err));
	for (int32_t p = 0; p < info.partition_count; p++) {
		const struct partition_info *partition = &info.partitions[p];
		uint64_t at = position_ordinal(partition->first);
		struct broker_reader *reader;

		assert_true(partition->dense || !own);
		if (!partition->dense)
			continue;
		reader = reader_at(f->broker, pin, p, from_first);
		while (at < position_ordinal(partition->next)) {
			struct reader_event event = next_event(reader);

			assert_int_equal(event.kind, READER_RECORDS);
			for (size_t i = 0; i < event.count; i++)
				assert_int_equal(position_ordinal(event.records[i].position), at++);
		}
		assert_int_equal(event_now(reader).kind, READER_IDLE);
		reader_close(reader);
	}
	topic_info_release(&info);
}

static void fill_and_expect_dense(struct fixture *f, bool own)
{
	struct err err = { 0 };

	create(f, pin, 2);
	for (int i = 0; i < 7; i++)
		(void)put(f, pin, i % 3 == 0, "x");
	expect_dense(f, own);
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 3);
	expect_dense(f, own);
	for (int i = 0; i < 7; i++)
		(void)put(f, pin, i % 3, "x");
	expect_dense(f, own);
}

static void test_what_is_dense_has_every_offset(void **state)
{
	fill_and_expect_dense(*state, false);
}

static void test_an_own_log_is_dense(void **state) { fill_and_expect_dense(*state, true); }

static void test_keys_choose_partitions(void **state)
{
	struct fixture *f = *state;
	/* The partitions that Kafka's Java client and Kinesis choose for these keys. */
	struct append_record keyed = { .key = slice_str("foobar"), .value = slice_str("v"),
				       .partition = PARTITION_ANY };
	struct append_record plain = { .value = slice_str("v"), .partition = PARTITION_ANY };
	struct append_outcome outcome;
	struct err err = { 0 };
	int32_t first;

	create(f, pin, 10);
	create(f, stream, 4);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, &keyed, 1, &outcome, &err));
	/* murmur2("foobar") = -790332482 */
	assert_int_equal(outcome.partition, (int)((uint32_t)-790332482 & INT32_MAX) % 10);
	/* md5("foobar") = 3858f622…: the first of four shards */
	assert_ok(append_and_wait(f->broker, &f->ended, stream, &keyed, 1, &outcome, &err));
	assert_int_equal(outcome.partition, 0);
	assert_int_equal(position_shard(outcome.position), 0);
	keyed.key = slice_str("a");	/* md5: 0cc175b9… */
	assert_ok(append_and_wait(f->broker, &f->ended, stream, &keyed, 1, &outcome, &err));
	assert_int_equal(outcome.partition, 0);
	keyed.key = slice_str("b");	/* md5: 92eb5ffe… */
	assert_ok(append_and_wait(f->broker, &f->ended, stream, &keyed, 1, &outcome, &err));
	assert_int_equal(outcome.partition, 2);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, &plain, 1, &outcome, &err));
	first = outcome.partition;
	assert_ok(append_and_wait(f->broker, &f->ended, pin, &plain, 1, &outcome, &err));
	assert_int_equal(outcome.partition, (first + 1) % 10);
}

static void test_records_come_back_as_they_were(void **state)
{
	struct fixture *f = *state;
	const struct append_record in[] = {
		{ .key = slice_str("k"), .value = slice_of("a\0b", 3) },
		{ .value = slice_of("", 0) },
		{ .key = slice_of("", 0) },
	};
	struct append_outcome out[3];
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };
	int64_t before = clock_wall_ms();

	create(f, pin, 1);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, in, 3, out, &err));
	reader = reader_at(f->broker, pin, 0, from_first);
	for (size_t i = 0, at = 0; i < 3; i++) { /* in one event, or in several */
		const struct record *record;

		if (at == 0) {
			event = next_event(reader);
			assert_int_equal(event.kind, READER_RECORDS);
			assert_int_equal(event.topic.kind, TOPIC_LOG);
			assert_string_equal(event.topic.name, pin.name);
		}
		record = &event.records[at];
		at = at + 1 < event.count ? at + 1 : 0;
		assert_true((record->key.ptr != NULL) == (in[i].key.ptr != NULL));
		assert_true((record->value.ptr != NULL) == (in[i].value.ptr != NULL));
		assert_true(slice_eq(record->key, in[i].key));
		assert_true(slice_eq(record->value, in[i].value));
		assert_int_equal(position_cmp(record->position, out[i].position), 0);
		assert_true(record->timestamp_ms >= before &&
			    record->timestamp_ms <= clock_wall_ms());
	}
	reader_close(reader);
}

static void test_starts(void **state)
{
	struct fixture *f = *state;
	struct position second;

	create(f, stream, 1);
	(void)put(f, stream, 0, "a");
	second = put(f, stream, 0, "b").position;
	(void)put(f, stream, 0, "c");
	expect(f, stream, 0, from_first, 3, "a b c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_AT, .position = second }, 2, "b c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_AFTER, .position = second }, 1, "c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_NEXT }, 0, "");
	expect(f, stream, 0, (struct reader_start){ .kind = START_LAST, .count = 2 }, 2, "b c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_LAST, .count = 99 }, 3, "a b c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_TIME, .time_ms = 1 }, 3, "a b c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_TIME,
						    .time_ms = clock_wall_ms() + 60000 }, 0, "");
	/* A number between two of ours, and one before the first. */
	second.word[2] += 16;
	expect(f, stream, 0, (struct reader_start){ .kind = START_AT, .position = second }, 1, "c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_AFTER, .position = second }, 1, "c");
	expect(f, stream, 0,
	       (struct reader_start){ .kind = START_AT, .position = position_of_offset(0) }, 3,
	       "a b c");
}

static void test_reader_follows_the_end(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	char text[64];

	create(f, pin, 1);
	(void)put(f, pin, 0, "old");
	reader = reader_at(f->broker, pin, 0, (struct reader_start){ .kind = START_NEXT });
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	(void)put(f, pin, 0, "new");
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "new");
	reader_close(reader);
}

static void *put_later(void *arg)
{
	clock_sleep_ms(30);
	(void)put(arg, pin, 0, "late");
	return NULL;
}

static void test_reader_waits(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct reader_event event;
	pthread_t thread;
	int64_t deadline = clock_mono_ms() + 50;

	create(f, pin, 1);
	reader = reader_at(f->broker, pin, 0, from_first);
	assert_int_equal(event_before(reader, deadline).kind, READER_IDLE);
	assert_true(clock_mono_ms() >= deadline);
	assert_int_equal(pthread_create(&thread, NULL, put_later, f), 0);
	event = next_event(reader);		/* comes long before its ten seconds */
	assert_int_equal(event.kind, READER_RECORDS);
	assert_int_equal(pthread_join(thread, NULL), 0);
	reader_close(reader);
}

static void test_many_partitions_in_one_reader(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .bytes_max = 1 << 20 };
	uint64_t next[3] = { 0 };
	struct broker_reader *reader;
	struct err err = { 0 };
	char text[16];

	create(f, pin, 3);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(text, sizeof(text), "%d", i);
		(void)put(f, pin, i % 3, text);
	}
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	for (int p = 0; p < 3; p++)
		assert_ok(reader_seek(reader, pin, p, from_first, &err));
	while (next[0] + next[1] + next[2] < 60) {
		struct reader_event event = next_event(reader);

		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++) {
			uint64_t *ordinal = &next[event.partition];

			assert_int_equal(position_ordinal(event.records[i].position), *ordinal);
			(void)snprintf(text, sizeof(text), "%d",
				       (int)*ordinal * 3 + event.partition);
			assert_true(slice_is(event.records[i].value, text));
			++*ordinal;
		}
	}
	/* One partition back to its start: the others do not repeat. */
	assert_ok(reader_seek(reader, pin, 1, (struct reader_start){
		.kind = START_AT, .position = position_of_offset(18) }, &err));
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "55 58");
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	reader_close(reader);
}

static void test_an_event_is_bounded(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .bytes_max = 10 };
	struct append_record in[4];
	struct append_outcome out[4];
	const size_t want[] = { 2, 1, 1 };
	struct broker_reader *reader;
	struct err err = { 0 };

	for (size_t i = 0; i < 4; i++)
		in[i] = (struct append_record){ .value = slice_str("12345") };
	in[2].value = slice_str("larger than an event may be");
	create(f, pin, 1);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, in, 4, out, &err));
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(next_event(reader).count, want[i]);
	reader_close(reader);
}

/* What was read and not yet given is of no interest after a seek. */
static void test_a_seek_counts_at_once(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .bytes_max = 1 };
	struct broker_reader *reader;
	struct append_record in[3];
	struct append_outcome out[3];
	struct err err = { 0 };
	char text[16];

	for (size_t i = 0; i < 3; i++)
		in[i] = (struct append_record){ .value = slice_of(&"012"[i], 1) };
	create(f, pin, 1);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, in, 3, out, &err));
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "0 1");
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	read_texts(reader, 3, text, sizeof(text));
	assert_string_equal(text, "0 1 2");
	reader_close(reader);
}

static void test_group_is_assigned_topics_as_they_appear(void **state)
{
	struct fixture *f = *state;
	const struct topic_ref topics[] = { pin, geo };
	const struct reader_options options = { .group = "sink", .topics = topics,
						.topic_count = 2, .bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };
	char text[64];

	create(f, pin, 1);
	(void)put(f, pin, 0, "a");
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, pin.name);
	read_texts(reader, 1, text, sizeof(text));	/* no seek: from the first */
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	create(f, geo, 1);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, geo.name);
	assert_ok(reader_commit(reader, pin, 0, position_of_offset(1), &err));
	assert_ok(broker_remove(f->broker, pin, &err));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_REVOKED);
	assert_string_equal(event.topic.name, pin.name);
	reader_close(reader);
}

/* TOPIC_EVERY: the topics of one kind, also those to come; each once. */
static void test_a_group_of_every_topic(void **state)
{
	struct fixture *f = *state;
	const struct topic_ref topics[] = { { TOPIC_LOG, TOPIC_EVERY }, pin };
	const struct reader_options options = { .group = "sink", .topics = topics,
						.topic_count = 2, .bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };

	create(f, pin, 1);
	create(f, (struct topic_ref){ TOPIC_STREAM, "another" }, 1);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, pin.name);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	create(f, geo, 1);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, geo.name);
	assert_ok(broker_remove(f->broker, geo, &err));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_REVOKED);
	assert_string_equal(event.topic.name, geo.name);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	reader_close(reader);
}

static void test_refusals_keep_nothing(void **state)
{
	struct fixture *f = *state;
	static char big[2 << 20];
	struct append_record record = { .value = slice_of(big, sizeof(big)) };
	struct append_outcome outcome;
	struct err err = { 0 };

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "x").code, ERR_NO_TOPIC);
	create(f, pin, 1);
	assert_int_equal(append_and_wait(f->broker, &f->ended, pin, &record, 1, &outcome, &err),
			 ERR_LIMIT);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 1, "x").code, ERR_NO_PARTITION);
	assert_int_equal(append_text(f->broker, &f->ended, pin, -2, "x").code, ERR_NO_PARTITION);
	assert_int_equal(position_ordinal(put(f, pin, 0, "x").position), 0);
	assert_ok(broker_ready(f->broker, TOPIC_LOG, 1, &err));
}

static void test_one_bad_partition_spares_the_others(void **state)
{
	struct fixture *f = *state;
	const struct append_record in[] = {
		{ .value = slice_str("a"), .partition = 0 },
		{ .value = slice_str("b"), .partition = 9 },
		{ .value = slice_str("c"), .partition = 0 },
	};
	struct append_outcome out[3];
	struct err err = { 0 };

	create(f, pin, 1);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, in, 3, out, &err));
	assert_int_equal(out[0].code, ERR_OK);
	assert_int_equal(out[1].code, ERR_NO_PARTITION);
	assert_int_equal(out[2].code, ERR_OK);
	assert_int_equal(position_ordinal(out[2].position), 1);
	expect(f, pin, 0, from_first, 2, "a c");
}

static void test_a_topic_made_anew_is_another(void **state)
{
	struct fixture *f = *state;
	struct topic_info before = { 0 }, after = { 0 };
	struct err err = { 0 };

	create(f, pin, 2);
	(void)put(f, pin, 1, "a");
	(void)put(f, pin, 1, "b");
	assert_ok(broker_describe(f->broker, pin, &before, &err));
	assert_ok(broker_remove(f->broker, pin, &err));
	assert_int_equal(broker_remove(f->broker, pin, &err), ERR_NO_TOPIC);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 1, "x").code, ERR_NO_TOPIC);
	create(f, pin, 2);
	assert_ok(broker_describe(f->broker, pin, &after, &err));
	assert_string_not_equal(before.uid, after.uid);
	(void)put(f, pin, 1, "c");
	expect(f, pin, 1, from_first, 1, "c");	/* nothing of the topic before */
	topic_info_release(&before);
	topic_info_release(&after);
}

static void test_positions_outlive_the_topic(void **state)
{
	struct fixture *f = *state;
	struct position last;
	struct err err = { 0 };

	create(f, stream, 1);
	create(f, pin, 2);
	(void)put(f, pin, 1, "a");
	(void)put(f, pin, 1, "b");
	last = put(f, stream, 0, "a").position;
	assert_ok(broker_remove(f->broker, pin, &err));
	assert_ok(broker_remove(f->broker, stream, &err));
	create(f, stream, 1);
	create(f, pin, 2);
	assert_true(position_ordinal(put(f, pin, 1, "c").position) >= 2);
	assert_true(position_cmp(put(f, stream, 0, "c").position, last) > 0);
}

static void say_what_is_wrong(void *user, const char *what)
{
	(void)user;
	print_message("%s\n", what);
}

static void test_what_is_kept_is_sound(void **state)
{
	struct fixture *f = *state;
	struct broker_verdict verdict;
	struct err err = { 0 };

	create(f, pin, 1);
	create(f, stream, 1);
	(void)put(f, pin, 0, "a");
	(void)put(f, stream, 0, "b");
	assert_ok(broker_verify(f->broker, say_what_is_wrong, NULL, &verdict, &err));
	assert_true(verdict.sound);
	assert_int_equal(verdict.damaged, 0);
	assert_true(!verdict.looked || (verdict.records == 2 && verdict.batches > 0));
}

/* Ordinal that the partition gives next. */
static uint64_t next_ordinal(struct fixture *f, int32_t partition)
{
	return position_ordinal(put(f, pin, partition, "x").position);
}

/* Each partition goes on where it was, so that its ordinals have no gap; also after a time in
 * which the topic had fewer of them. */
static void test_a_topic_made_anew_has_no_gaps(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	create(f, pin, 3);
	assert_int_equal(next_ordinal(f, 0), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(next_ordinal(f, 1), i);
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 1);
	assert_int_equal(next_ordinal(f, 0), 1);
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 4);
	assert_int_equal(next_ordinal(f, 0), 2);
	assert_int_equal(next_ordinal(f, 1), 3);
	assert_int_equal(next_ordinal(f, 2), 0);
	assert_int_equal(next_ordinal(f, 3), 0);
}

enum { APPENDERS = 3, APPENDS = 200 };

static void *append_many(void *arg)
{
	struct fixture *f = arg;
	uint64_t last = 0;

	for (int i = 0; i < APPENDS; i++) {
		struct append_outcome outcome = append_text(f->broker, &f->ended, pin, 0, "x");

		if (outcome.code != ERR_OK ||
		    (i > 0 && position_ordinal(outcome.position) <= last))
			return arg;
		last = position_ordinal(outcome.position);
	}
	return NULL;
}

static void test_several_appenders_and_a_reader(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[APPENDERS];
	struct broker_reader *reader;
	uint64_t next = 0;

	create(f, pin, 1);
	reader = reader_at(f->broker, pin, 0, from_first);
	for (int i = 0; i < APPENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, f), 0);
	while (next < APPENDERS * APPENDS) {
		struct reader_event event = next_event(reader);

		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++)
			assert_int_equal(position_ordinal(event.records[i].position), next++);
	}
	for (int i = 0; i < APPENDERS; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	reader_close(reader);
}

static void test_faults(void **state)
{
	struct ended ended = ENDED_INIT;
	const struct broker_fault faults[] = {
		{ .append_at = 2, .refuse = ERR_BUSY },
		{ .append_at = 2, .outcome = ERR_UNKNOWN, .read_at = 2 },
		{ .append_at = 2, .refuse = ERR_SPACE, .for_ever = true },
	};
	const enum err_code want[][3] = {
		{ ERR_OK, ERR_BUSY, ERR_OK },
		{ ERR_OK, ERR_UNKNOWN, ERR_OK },
		{ ERR_OK, ERR_SPACE, ERR_SPACE },
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct broker *broker = broker_faulty_new(
			broker_memory_new(1 << 20, ended_done, &ended), &faults[i], ended_done,
			&ended);
		struct broker_reader *reader;
		struct reader_event event;

		assert_ok(create_topic(broker, pin, 1, &err));
		for (size_t k = 0; k < 3; k++) {
			struct append_record record = { .value = slice_str("x") };
			struct append_outcome outcome = { 0 };
			enum err_code code = append_and_wait(broker, &ended, pin, &record, 1,
							     &outcome, &err);

			assert_int_equal(code == ERR_OK ? outcome.code : code, want[i][k]);
		}
		reader = reader_at(broker, pin, 0, from_first);
		assert_int_equal(next_event(reader).kind, READER_RECORDS);
		assert_int_equal(reader_next(reader, 0, &event, &err), faults[i].read_at ?
				 ERR_UNKNOWN : ERR_OK);
		reader_close(reader);
		broker_free(broker);
	}
}

/* Corked, the appends of a loop's turn end once it uncorks, or when there are many of them. */
static void test_cork(void **state)
{
	enum { MANY = 200, BYTES = 1000 };
	struct fixture *f = *state;
	struct append_record records[MANY];
	struct append_outcome outcomes[MANY + 2] = { 0 };
	char text[BYTES];
	int flags[3] = { 0 };
	struct append appends[3];
	struct err err = { 0 };

	create(f, pin, 1);
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < MANY; i++)
		records[i] = (struct append_record){ .value = slice_of(text, sizeof(text)) };
	for (int i = 0; i < 3; i++)
		appends[i] = (struct append){ .topic = pin, .records = records, .count = 1,
					      .outcomes = &outcomes[i], .user = &flags[i] };
	broker_cork(f->broker, true);
	assert_ok(broker_append(f->broker, &appends[0], &err));
	assert_ok(broker_append(f->broker, &appends[1], &err));
	broker_cork(f->broker, false);
	assert_int_equal(ended_wait(&f->ended, &flags[0]), 1);
	assert_int_equal(ended_wait(&f->ended, &flags[1]), 1);

	appends[2].count = MANY;
	broker_cork(f->broker, true);
	assert_ok(broker_append(f->broker, &appends[2], &err));
	assert_int_equal(ended_wait(&f->ended, &flags[2]), 1);
	broker_cork(f->broker, false);
	for (uint64_t i = 0; i < MANY + 2; i++) {
		assert_int_equal(outcomes[i].code, ERR_OK);
		assert_int_equal(position_ordinal(outcomes[i].position), i);
	}

	flags[0] = 0;
	outcomes[0] = (struct append_outcome){ 0 };
	broker_cork(f->broker, true);
	assert_ok(broker_append(f->broker, &appends[0], &err));
	assert_ok(broker_remove(f->broker, pin, &err));		/* does not wait for the cork */
	assert_int_equal(ended_wait(&f->ended, &flags[0]), 1);
	broker_cork(f->broker, false);
}

/* What was removed takes no room from what is to come; nor does a position come again. */
static void test_what_is_gone_takes_no_room(void **state)
{
	enum { ROUNDS = 20 };
	struct fixture *f = *state;
	struct append_outcome last = { 0 }, again;
	struct err err = { 0 };
	char name[16];
	struct topic_ref wide = { TOPIC_STREAM, name };

	for (int i = 0; i < ROUNDS; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		create(f, wide, PARTITIONS_MAX);
		for (int k = 0; k < (i == 0 ? 3 : 1); k++)
			last = put(f, wide, PARTITIONS_MAX - 1, "x");
		if (i == 0)
			assert_int_equal(position_ordinal(last.position), 2);
		assert_ok(broker_remove(f->broker, wide, &err));
	}
	(void)snprintf(name, sizeof(name), "s0");
	create(f, wide, PARTITIONS_MAX);
	again = put(f, wide, PARTITIONS_MAX - 1, "x");
	assert_int_equal(position_ordinal(again.position), 3);
	(void)snprintf(name, sizeof(name), "s%d", ROUNDS - 1);
	create(f, wide, PARTITIONS_MAX);
	again = put(f, wide, PARTITIONS_MAX - 1, "x");
	assert_true(position_cmp(again.position, last.position) > 0);
}

#define CONTRACT(open) \
	{ #open " topics", test_topics, open, close_fixture, NULL }, \
	{ #open " cork", test_cork, open, close_fixture, NULL }, \
	{ #open " shards cover every hash", test_shards_cover_every_hash, open, close_fixture, NULL }, \
	{ #open " dense offsets", test_append_gives_dense_offsets, open, close_fixture, NULL }, \
	{ #open " keys choose partitions", test_keys_choose_partitions, open, close_fixture, NULL }, \
	{ #open " records come back", test_records_come_back_as_they_were, open, close_fixture, NULL }, \
	{ #open " starts", test_starts, open, close_fixture, NULL }, \
	{ #open " reader follows the end", test_reader_follows_the_end, open, close_fixture, NULL }, \
	{ #open " reader waits", test_reader_waits, open, close_fixture, NULL }, \
	{ #open " many partitions", test_many_partitions_in_one_reader, open, close_fixture, NULL }, \
	{ #open " an event is bounded", test_an_event_is_bounded, open, close_fixture, NULL }, \
	{ #open " a seek counts at once", test_a_seek_counts_at_once, open, close_fixture, NULL }, \
	{ #open " group", test_group_is_assigned_topics_as_they_appear, open, close_fixture, NULL }, \
	{ #open " group of every topic", test_a_group_of_every_topic, open, close_fixture, NULL }, \
	{ #open " refusals keep nothing", test_refusals_keep_nothing, open, close_fixture, NULL }, \
	{ #open " one bad partition", test_one_bad_partition_spares_the_others, open, close_fixture, NULL }, \
	{ #open " a topic made anew is another", test_a_topic_made_anew_is_another, open, close_fixture, NULL }, \
	{ #open " what is kept is sound", test_what_is_kept_is_sound, open, close_fixture, NULL }, \
	{ #open " several appenders", test_several_appenders_and_a_reader, open, close_fixture, NULL }

/* Of a log of our own, which numbers for ever; a service's positions may begin again with each
 * topic. */
#define OWN(open) \
	{ #open " positions outlive the topic", test_positions_outlive_the_topic, open, close_fixture, NULL }, \
	{ #open " a topic made anew has no gaps", test_a_topic_made_anew_has_no_gaps, open, close_fixture, NULL }, \
	{ #open " it is dense", test_an_own_log_is_dense, open, close_fixture, NULL }, \
	{ #open " what is gone", test_what_is_gone_takes_no_room, open, close_fixture, NULL }

/* Those that do not ask for numbers one by one. */
#define SPARSE(open) \
	{ #open " what is dense", test_what_is_dense_has_every_offset, open, close_fixture, NULL }, \
	{ #open " shards cover every hash", test_shards_cover_every_hash, open, close_fixture, NULL }, \
	{ #open " keys choose partitions", test_keys_choose_partitions, open, close_fixture, NULL }, \
	{ #open " starts", test_starts, open, close_fixture, NULL }, \
	{ #open " reader follows the end", test_reader_follows_the_end, open, close_fixture, NULL }, \
	{ #open " reader waits", test_reader_waits, open, close_fixture, NULL }, \
	{ #open " group", test_group_is_assigned_topics_as_they_appear, open, close_fixture, NULL }, \
	{ #open " group of every topic", test_a_group_of_every_topic, open, close_fixture, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTRACT(open_memory),
		CONTRACT(open_again),
		CONTRACT(open_faulty),
		CONTRACT(open_kinds),
		CONTRACT(open_kinds_of_one),
		CONTRACT(open_local),
#ifndef __SANITIZE_THREAD__ /* it does not know librdkafka from inside */
		CONTRACT(open_kafka),
#endif
		OWN(open_memory),
		OWN(open_faulty),
		OWN(open_kinds),
		OWN(open_kinds_of_one),
		OWN(open_local),
		SPARSE(open_sparse),
		SPARSE(open_hostile),
		cmocka_unit_test(test_faults),
	};

	only_kafka_if_named();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
