/* The contract of broker.h for readers, run against every backend. */
#include "broker_fixture.h"

#include <poll.h>

/* --- readers: gaps, the end, pauses, what is given up ------------------ */

/* The next event, whatever it is. */
static struct reader_event any_event(struct broker_reader *reader)
{
	struct reader_event event = { .kind = READER_IDLE };
	struct err err = { 0 };

	assert_ok(reader_next(reader, clock_mono_ms() + 10000, &event, &err));
	return event;
}

/* Passes markers. */
static struct reader_event event_but_markers(struct broker_reader *reader)
{
	struct reader_event event = any_event(reader);

	while (event.kind == READER_GAP && event.gap == GAP_NONE)
		event = any_event(reader);
	return event;
}

static void expect_idle(struct broker_reader *reader)
{
	struct reader_event event = { .kind = READER_END };
	struct err err = { 0 };

	assert_ok(reader_next(reader, clock_mono_ms(), &event, &err));
	assert_int_equal(event.kind, READER_IDLE);
}

static void expect_gap(struct broker_reader *reader, enum gap_reason reason, struct position first,
		       struct position last)
{
	struct reader_event event = next_event(reader);

	assert_int_equal(event.kind, READER_GAP);
	assert_int_equal(event.gap, reason);
	assert_int_equal(position_cmp(event.first, first), 0);
	assert_int_equal(position_cmp(event.last, last), 0);
}

static enum err_code seek_at(struct broker_reader *reader, struct topic_ref topic,
			     enum start_kind kind, struct position position)
{
	struct err err = { 0 };

	return reader_seek(reader, topic, 0,
			   (struct reader_start){ .kind = kind, .position = position }, &err);
}

/* Once after a seek, and once each time that more had come. */
static void test_caught_up_is_said_once(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct position last;

	create(f, pin, 1);
	reader = reader_at(f->broker, pin, 0, from_first);
	for (int i = 0; i < 3; i++) {
		struct reader_event event = event_but_markers(reader);

		assert_int_equal(event.kind, READER_CAUGHT_UP);
		assert_string_equal(event.topic.name, pin.name);
		assert_true(i == 0 || position_cmp(event.last, last) > 0);
		expect_idle(reader);
		last = put(f, pin, 0, "x").position;
		assert_int_equal(event_but_markers(reader).kind, READER_RECORDS);
	}
	assert_int_equal(event_but_markers(reader).kind, READER_CAUGHT_UP);
	assert_int_equal(seek_at(reader, pin, START_AFTER, last), ERR_OK);
	assert_int_equal(event_but_markers(reader).kind, READER_CAUGHT_UP);
	expect_idle(reader);
	reader_close(reader);
}

static void test_a_seek_beyond_the_end_is_an_error(void **state)
{
	struct fixture *f = *state;
	const struct topic_ref both[] = { pin, stream };

	for (size_t i = 0; i < 2; i++) {
		struct broker_reader *reader;
		struct position last, beyond;

		create(f, both[i], 1);
		(void)put(f, both[i], 0, "a");
		last = put(f, both[i], 0, "b").position;
		beyond = position_with_ordinal(last, position_ordinal(last) + 1000000);
		reader = reader_at(f->broker, both[i], 0, from_first);
		assert_int_equal(seek_at(reader, both[i], START_AFTER, last), ERR_OK);
		assert_int_equal(seek_at(reader, both[i], START_AT, beyond), ERR_CORRUPT);
		assert_int_equal(seek_at(reader, both[i], START_AFTER, beyond), ERR_CORRUPT);
		assert_int_equal(event_but_markers(reader).kind, READER_CAUGHT_UP);
		expect_idle(reader);
		reader_close(reader);
	}
}

/* The position that comes next is no record yet, but may be asked for. */
static void test_the_next_position_may_be_sought(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct broker_reader *reader;
	struct position next;
	struct err err = { 0 };
	char text[16];

	create(f, pin, 1);
	(void)put(f, pin, 0, "a");
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_true(info.partitions[0].next_known);
	next = topic_info_partition(&info, 0)->next;
	topic_info_release(&info);
	reader = reader_at(f->broker, pin, 0,
			   (struct reader_start){ .kind = START_AT, .position = next });
	assert_int_equal(seek_at(reader, pin, START_AFTER, next), ERR_CORRUPT);
	(void)put(f, pin, 0, "b");
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "b");
	reader_close(reader);
}

/* Of a stream a number that is no sequence number is an ordinal. */
static void test_an_ordinal_may_be_sought(void **state)
{
	struct fixture *f = *state;
	struct position one = position_of_offset(1);
	struct broker_reader *reader;

	create(f, stream, 1);
	(void)put(f, stream, 0, "a");
	(void)put(f, stream, 0, "b");
	(void)put(f, stream, 0, "c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_AT, .position = one }, 2, "b c");
	expect(f, stream, 0, (struct reader_start){ .kind = START_AFTER, .position = one }, 1, "c");
	reader = reader_at(f->broker, stream, 0, from_first);
	assert_int_equal(seek_at(reader, stream, START_AT, position_of_offset(3)), ERR_OK);
	assert_int_equal(seek_at(reader, stream, START_AT, position_of_offset(4)), ERR_CORRUPT);
	reader_close(reader);
}

/* What another topic had that was called so is told, not passed over. */
static void test_what_was_removed_is_a_gap(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct broker_reader *reader;
	struct position second, last;
	struct lineage before;
	struct reader_event event;
	struct err err = { 0 };

	create(f, pin, 1);
	(void)put(f, pin, 0, "a");
	second = put(f, pin, 0, "b").position;
	last = put(f, pin, 0, "c").position;
	reader = reader_at(f->broker, pin, 0, from_first);
	before = next_event(reader).lineage;
	reader_close(reader);
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 1);
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_true(position_cmp(info.partitions[0].born, last) > 0);
	topic_info_release(&info);
	reader = reader_at(f->broker, pin, 0,
			   (struct reader_start){ .kind = START_AT, .position = second });
	expect_gap(reader, GAP_REMOVED, second, last);
	assert_int_equal(event_but_markers(reader).kind, READER_CAUGHT_UP);
	(void)put(f, pin, 0, "d");
	event = next_event(reader);
	assert_int_equal(event.kind, READER_RECORDS);
	assert_false(lineage_eq(event.lineage, before));
	reader_close(reader);
}

/* The others go on meanwhile, and nothing of what went by is missing afterwards. */
static void test_a_paused_partition_holds_nobody(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };
	char text[64];

	create(f, pin, 2);
	(void)put(f, pin, 0, "a");
	reader = reader_at(f->broker, pin, 0, from_first);
	assert_ok(reader_seek(reader, pin, 1, from_first, &err));
	read_texts(reader, 1, text, sizeof(text));
	assert_ok(reader_pause(reader, pin, 0, true, &err));
	(void)put(f, pin, 0, "b");
	(void)put(f, pin, 1, "1");
	(void)put(f, pin, 0, "c");
	(void)put(f, pin, 1, "2");
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "1 2");
	event = event_now(reader);
	assert_int_equal(event.kind, READER_IDLE);
	assert_ok(reader_pause(reader, pin, 0, false, &err));
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "b c");
	event = event_but_markers(reader);
	assert_int_equal(event.kind, READER_CAUGHT_UP);
	assert_int_equal(event.partition, 0);
	expect_idle(reader);

	/* A seek does not end a pause. */
	assert_ok(reader_pause(reader, pin, 0, true, &err));
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	expect_idle(reader);
	assert_ok(reader_pause(reader, pin, 0, false, &err));
	read_texts(reader, 3, text, sizeof(text));
	assert_string_equal(text, "a b c");
	assert_int_equal(reader_pause(reader, geo, 0, true, &err), ERR_NO_PARTITION);
	reader_close(reader);
}

/* In the middle of what was read and not yet given. */
static void test_a_pause_counts_at_once(void **state)
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
	read_texts(reader, 1, text, sizeof(text));
	assert_ok(reader_pause(reader, pin, 0, true, &err));
	expect_idle(reader);
	assert_ok(reader_pause(reader, pin, 0, false, &err));
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "1 2");
	reader_close(reader);
}

/* Nobody gets the partition before it is given up. */
static void test_a_revocation_is_answered(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink", .topics = &pin, .topic_count = 1,
						.bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct reader_event event;
	struct position next;
	struct err err = { 0 };

	create(f, pin, 1);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	next = put(f, pin, 0, "a").position;
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 1);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_REVOKED);
	assert_false(event.lost);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	assert_ok(reader_commit(reader, pin, 0, next, &err));	/* what was on its way */
	reader_release(reader, event.topic, event.partition);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, pin.name);
	reader_close(reader);
}

/* Reads `count` records, all of one lineage, and returns that. */
static struct lineage read_lineage(struct broker_reader *reader, size_t count)
{
	struct lineage lineage = { 0 };

	for (size_t seen = 0; seen < count;) {
		struct reader_event event = next_event(reader);

		assert_int_equal(event.kind, READER_RECORDS);
		assert_true(seen == 0 || lineage_eq(event.lineage, lineage));
		lineage = event.lineage;
		seen += event.count;
		assert_true(seen <= count);
	}
	return lineage;
}

/* Also if it has records where its reader was to go on: they are strangers, and all are given. */
static void test_a_longer_topic_made_anew_is_no_continuation(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink", .topics = &pin, .topic_count = 1,
						.bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct reader_event event;
	struct lineage before;
	struct err err = { 0 };

	create(f, pin, 1);
	for (int i = 0; i < 5; i++)
		(void)put(f, pin, 0, "old");
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	before = read_lineage(reader, 5);
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 1);
	for (int i = 0; i < 10; i++)
		(void)put(f, pin, 0, "new");
	event = next_event(reader);
	assert_int_equal(event.kind, READER_REVOKED);
	reader_release(reader, event.topic, event.partition);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_false(lineage_eq(read_lineage(reader, 10), before));
	reader_close(reader);
}

static void await_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&pollfd, 1, 10000), 1);
}

/* What it tells of, behind answers that are no events and an end that was reached. */
static struct reader_event told_event(struct broker_reader *reader, int fd)
{
	struct reader_event event = { .kind = READER_IDLE };

	while (event.kind == READER_IDLE) {
		await_readable(fd);
		event = event_now(reader);
	}
	return event;
}

/* Passes what comes by itself, until there is nothing more to tell. */
static void await_quiet(struct broker_reader *reader, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int64_t deadline_ms = clock_mono_ms() + 10000;

	do {
		assert_int_equal(event_now(reader).kind, READER_IDLE);
		assert_true(clock_mono_ms() < deadline_ms);
	} while (poll(&pollfd, 1, 0) == 1);
}

static void test_a_descriptor_tells_of_events(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink", .topics = &geo, .topic_count = 1,
						.bytes_max = 1 << 20 };
	struct broker_reader *readers[2];
	struct err err = { 0 };
	int fds[2];

	create(f, pin, 1);
	readers[0] = reader_at(f->broker, pin, 0, from_first);
	assert_ok(broker_reader_open(f->broker, &options, &readers[1], &err));
	for (int i = 0; i < 2; i++) {
		assert_ok(reader_fd(readers[i], &fds[i], &err));
		await_readable(fds[i]);		/* nobody has looked yet */
		await_quiet(readers[i], fds[i]);
	}
	for (int i = 0; i < 3; i++) {
		(void)put(f, pin, 0, "x");
		assert_int_equal(told_event(readers[0], fds[0]).kind, READER_RECORDS);
		await_quiet(readers[0], fds[0]);
	}
	create(f, geo, 1);
	assert_int_equal(told_event(readers[1], fds[1]).kind, READER_ASSIGNED);
	reader_close(readers[0]);
	reader_close(readers[1]);
}

static void test_a_group_without_members(void **state)
{
	struct fixture *f = *state;
	struct position first, second, next;
	struct err err = { 0 };

	create(f, pin, 2);
	first = put(f, pin, 1, "a").position;
	second = put(f, pin, 1, "b").position;
	assert_int_equal(broker_committed(f->broker, "rest", pin, 1, &next, &err), ERR_ABSENT);
	assert_ok(broker_commit(f->broker, "rest", pin, 1, second, &err));
	assert_ok(broker_committed(f->broker, "rest", pin, 1, &next, &err));
	assert_int_equal(position_cmp(next, second), 0);
	assert_ok(broker_commit(f->broker, "rest", pin, 1, first, &err));	/* back, too */
	assert_ok(broker_committed(f->broker, "rest", pin, 1, &next, &err));
	assert_int_equal(position_cmp(next, first), 0);
	assert_int_equal(broker_committed(f->broker, "rest", pin, 0, &next, &err), ERR_ABSENT);
	assert_int_equal(broker_committed(f->broker, "other", pin, 1, &next, &err), ERR_ABSENT);
	assert_int_equal(broker_commit(f->broker, "rest", pin, 2, first, &err), ERR_NO_PARTITION);
	assert_int_equal(broker_commit(f->broker, "rest", geo, 0, first, &err), ERR_NO_TOPIC);
}

/* What a member has committed is known at once to who asks the same broker. */
static void test_a_member_commits(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink", .topics = &pin, .topic_count = 1,
						.bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct position position = { { 0 } }, next;
	struct err err = { 0 };

	create(f, pin, 1);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	for (int i = 0; i < 5; i++) {
		position = put(f, pin, 0, "x").position;
		assert_ok(reader_commit(reader, pin, 0, position, &err));
		assert_ok(broker_committed(f->broker, "sink", pin, 0, &next, &err));
		assert_int_equal(position_cmp(next, position), 0);
	}
	reader_close(reader);
	assert_ok(broker_committed(f->broker, "sink", pin, 0, &next, &err));
	assert_int_equal(position_cmp(next, position), 0);
}

/* As for a restore: its records get the positions that they had. */
static void test_a_topic_begins_where_it_is_told(void **state)
{
	struct fixture *f = *state;
	const struct position offsets[] = { position_of_offset(7), position_of_offset(0) };
	const struct position sequence = position_of_sequence(1700000000, 0, 41);
	struct topic_options options = { .partitions = 2, .born = offsets };
	struct position position;
	struct topic_info info = { 0 };
	struct err err = { 0 };

	assert_ok(broker_create(f->broker, pin, &options, &err));
	position = put(f, pin, 0, "a").position;
	assert_int_equal(position_cmp(position, offsets[0]), 0);
	position = put(f, pin, 1, "b").position;
	assert_int_equal(position_cmp(position, offsets[1]), 0);
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_int_equal(position_cmp(info.partitions[0].born, offsets[0]), 0);
	assert_int_equal(position_cmp(info.partitions[0].first, offsets[0]), 0);
	topic_info_release(&info);
	expect(f, pin, 0, from_first, 1, "a");

	options = (struct topic_options){ .partitions = 1, .born = &sequence };
	assert_ok(broker_create(f->broker, stream, &options, &err));
	position = put(f, stream, 0, "c").position;
	assert_int_equal(position_cmp(position, sequence), 0);

	/* Not where there was one already, and not at what is no position of it. */
	assert_ok(broker_remove(f->broker, pin, &err));
	options = (struct topic_options){ .partitions = 1, .born = offsets };
	assert_int_equal(broker_create(f->broker, pin, &options, &err), ERR_SHAPE);
	options.born = &sequence;
	assert_int_equal(broker_create(f->broker, pin, &options, &err), ERR_SHAPE);
}

/* One without a group is told, and gets nothing of what has the name next. */
static void test_a_topic_goes_under_a_reader(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };
	char text[16];

	create(f, pin, 1);
	create(f, geo, 1);
	(void)put(f, pin, 0, "a");
	reader = reader_at(f->broker, pin, 0, from_first);
	assert_ok(reader_seek(reader, geo, 0, from_first, &err));
	read_texts(reader, 1, text, sizeof(text));
	assert_ok(broker_remove(f->broker, pin, &err));
	create(f, pin, 1);
	for (int i = 0; i < 3; i++)
		(void)put(f, pin, 0, "b");
	event = next_event(reader);
	assert_int_equal(event.kind, READER_FAILED);
	assert_string_equal(event.topic.name, pin.name);
	assert_int_equal(event.failure->code, ERR_NO_TOPIC);
	(void)put(f, geo, 0, "c");
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "c");
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	read_texts(reader, 3, text, sizeof(text));
	assert_string_equal(text, "b b b");
	reader_close(reader);
}

/* --- what only services do, and so the memory broker ------------------- */

static void test_gaps_of_every_reason(void **state)
{
	static const enum gap_reason reasons[] = { GAP_COMPACTED, GAP_ABORTED, GAP_DAMAGED };
	struct fixture *f = *state;
	struct position at[] = { position_of_offset(1), position_of_offset(2) };
	struct broker_reader *reader;
	char text[16];

	create(f, pin, 1);
	for (size_t i = 0; i < 3; i++) {
		(void)put(f, pin, 0, "x");
		broker_memory_skip(f->broker, pin, 0, 2, reasons[i]);
	}
	(void)put(f, pin, 0, "y");
	reader = reader_at(f->broker, pin, 0, from_first);
	for (size_t i = 0; i < 3; i++) {
		read_texts(reader, 1, text, sizeof(text));
		expect_gap(reader, reasons[i], at[0], at[1]);
		at[0] = position_of_offset(position_ordinal(at[0]) + 3);
		at[1] = position_of_offset(position_ordinal(at[1]) + 3);
	}
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "y");
	assert_true(gap_is_loss(GAP_RETENTION) && !gap_is_loss(GAP_ABORTED));
	reader_close(reader);
}

static void test_retention_is_a_gap(void **state)
{
	struct fixture *f = *state;
	const struct position second = position_of_offset(1);
	struct broker_reader *reader;
	char text[16];

	create(f, pin, 1);
	for (int i = 0; i < 4; i++)
		(void)put(f, pin, 0, (char[2]){ (char)('0' + i) });
	broker_memory_let_go(f->broker, pin, 0, 3);
	expect(f, pin, 0, from_first, 1, "3");
	reader = reader_at(f->broker, pin, 0,
			   (struct reader_start){ .kind = START_AT, .position = second });
	expect_gap(reader, GAP_RETENTION, second, position_of_offset(2));
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "3");
	reader_close(reader);
}

/* A shard ends, and its children, two or of two, go on. */
static void test_shards_split_and_merge(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct reader_event event;
	struct topic_info info = { 0 };
	struct err err = { 0 };
	char text[16];

	create(f, stream, 1);
	(void)put(f, stream, 0, "a");
	reader = reader_at(f->broker, stream, 0, from_first);
	broker_memory_split(f->broker, stream, 0);
	assert_int_equal(append_text(f->broker, &f->ended, stream, 0, "x").code, ERR_CLOSED);
	(void)put(f, stream, 1, "b");
	(void)put(f, stream, 2, "c");
	read_texts(reader, 1, text, sizeof(text));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_END);
	assert_int_equal(event.children[0], 1);
	assert_int_equal(event.children[1], 2);
	expect_idle(reader);
	broker_memory_merge(f->broker, stream, 1, 2);
	for (int32_t i = 1; i < 3; i++) {
		assert_ok(reader_seek(reader, stream, i, from_first, &err));
		read_texts(reader, 1, text, sizeof(text));
		event = next_event(reader);
		assert_int_equal(event.kind, READER_END);
		assert_int_equal(event.children[0], 3);
		assert_int_equal(event.children[1], -1);
	}
	assert_ok(broker_describe(f->broker, stream, &info, &err));
	assert_false(topic_info_partition(&info, 2)->open);
	assert_int_equal(topic_info_partition(&info, 3)->parents[1], 2);
	assert_null(topic_info_partition(&info, 4));
	topic_info_release(&info);
	reader_close(reader);
}

static void test_a_partition_is_taken(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink", .topics = &pin, .topic_count = 1,
						.bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };

	create(f, pin, 1);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	broker_memory_revoke(f->broker, pin, 0, false);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_REVOKED);
	assert_false(event.lost);
	(void)put(f, pin, 0, "x");
	expect_idle(reader);
	reader_release(reader, pin, 0);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	broker_memory_revoke(f->broker, pin, 0, true);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_REVOKED);
	assert_true(event.lost);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);	/* without an answer */
	reader_close(reader);
}

/* The others go on, and it does, too, once it is sought and can be read again. */
static void test_one_partition_fails(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };
	char text[16];

	create(f, pin, 2);
	(void)put(f, pin, 0, "a");
	reader = reader_at(f->broker, pin, 0, from_first);
	assert_ok(reader_seek(reader, pin, 1, from_first, &err));
	broker_memory_fail(f->broker, pin, 0, ERR_CORRUPT);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_FAILED);
	assert_int_equal(event.partition, 0);
	assert_int_equal(event.failure->code, ERR_CORRUPT);
	(void)put(f, pin, 0, "b");
	(void)put(f, pin, 1, "c");
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "c");
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	assert_int_equal(next_event(reader).kind, READER_FAILED);
	broker_memory_fail(f->broker, pin, 0, ERR_OK);
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "a b");
	reader_close(reader);
}

static void test_an_end_that_is_not_known(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct err err = { 0 };

	create(f, pin, 1);
	(void)put(f, pin, 0, "x");
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_false(info.partitions[0].next_known);
	topic_info_release(&info);
}

#define EVEN_SPARSE(open) \
	{ #open " a topic goes under a reader", test_a_topic_goes_under_a_reader, open, close_fixture, NULL }, \
	{ #open " caught up is said once", test_caught_up_is_said_once, open, close_fixture, NULL }, \
	{ #open " a seek beyond the end is an error", test_a_seek_beyond_the_end_is_an_error, open, close_fixture, NULL }, \
	{ #open " an ordinal may be sought", test_an_ordinal_may_be_sought, open, close_fixture, NULL }, \
	{ #open " a paused partition holds nobody", test_a_paused_partition_holds_nobody, open, close_fixture, NULL }, \
	{ #open " a revocation is answered", test_a_revocation_is_answered, open, close_fixture, NULL }, \
	{ #open " a descriptor tells of events", test_a_descriptor_tells_of_events, open, close_fixture, NULL }, \
	{ #open " a group without members", test_a_group_without_members, open, close_fixture, NULL }, \
	{ #open " a member commits", test_a_member_commits, open, close_fixture, NULL }

#define CONTRACT(open) \
	EVEN_SPARSE(open), \
	{ #open " the next position may be sought", test_the_next_position_may_be_sought, open, close_fixture, NULL }, \
	{ #open " a longer topic made anew", test_a_longer_topic_made_anew_is_no_continuation, open, close_fixture, NULL }, \
	{ #open " a pause counts at once", test_a_pause_counts_at_once, open, close_fixture, NULL }

/* Of a log of our own: positions go on where a topic of the name was, and can be chosen. */
#define OWN(open) \
	{ #open " what was removed is a gap", test_what_was_removed_is_a_gap, open, close_fixture, NULL }, \
	{ #open " a topic begins where it is told", test_a_topic_begins_where_it_is_told, open, close_fixture, NULL }

#define ONLY(test, open) { #open " " #test, test, open, close_fixture, NULL }

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
		OWN(open_slow),
		EVEN_SPARSE(open_sparse),
		EVEN_SPARSE(open_hostile),
		CONTRACT(open_slow),
		ONLY(test_gaps_of_every_reason, open_memory),
		ONLY(test_retention_is_a_gap, open_memory),
		ONLY(test_shards_split_and_merge, open_memory),
		ONLY(test_a_partition_is_taken, open_memory),
		ONLY(test_one_partition_fails, open_memory),
		ONLY(test_one_partition_fails, open_sparse),
		ONLY(test_a_longer_topic_made_anew_is_no_continuation, open_sparse),
		ONLY(test_a_longer_topic_made_anew_is_no_continuation, open_hostile),
		ONLY(test_an_end_that_is_not_known, open_sparse),
		ONLY(test_an_end_that_is_not_known, open_hostile),
		ONLY(test_shards_split_and_merge, open_sparse),
		ONLY(test_a_partition_is_taken, open_sparse),
	};

	only_kafka_if_named();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
