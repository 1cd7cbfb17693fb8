/* Readers of Kafka, where what they are told comes late, not at all, or all at once. */
#include "kafka_fixture.h"

/* --- whose records they are ------------------------------------------------------------- */

/* So many records to each partition of `geo`. */
static void append_many(struct kafka_fixture *f, int32_t partitions, size_t records)
{
	enum { AT_ONCE = 100 };
	static const char bytes[2000];
	struct append_record record = { .value = slice_of(bytes, sizeof(bytes)) };
	struct append_record many[AT_ONCE];
	struct append_outcome outcomes[AT_ONCE];
	struct err err = { 0 };

	for (record.partition = 0; record.partition < partitions; record.partition++) {
		for (int i = 0; i < AT_ONCE; i++)
			many[i] = record;
		for (size_t i = 0; i < records; i += AT_ONCE)
			assert_ok(append_and_wait(f->broker, &f->ended, geo, many, AT_ONCE,
						  outcomes, &err));
	}
}

static size_t bytes_held(const struct reader_kafka *reader)
{
	size_t bytes = 0;

	for (const struct part *part = reader->parts; part; part = part->after)
		bytes += part->fetched.bytes;
	return bytes;
}

/* While it is not sure whose records they are no more are fetched than may be held, however long
 * that takes; and whoever waits for them is not kept beyond the time that he gave. */
static void test_a_question_without_an_answer(void **state)
{
	enum { PARTITIONS = 4, RECORDS = 2000, LEAST = 8 << 20, MOST = 12 << 20 };
	struct kafka_fixture *f = *state;
	const struct reader_options options = { .bytes_max = 1 << 20 };
	struct broker_reader *base;
	struct reader_kafka *reader;
	struct reader_event event;
	struct err err = { 0 };
	size_t given = 0;

	assert_ok(create_topic(f->broker, geo, PARTITIONS, &err));
	append_many(f, PARTITIONS, RECORDS);
	assert_ok(broker_reader_open(f->broker, &options, &base, &err));
	reader = (struct reader_kafka *)base;
	for (int32_t i = 0; i < PARTITIONS; i++)
		assert_ok(reader_seek(base, geo, i, from_first, &err));
	reader->asking = true; /* and nothing comes */
	for (int64_t until_ms = clock_mono_ms() + 2500; clock_mono_ms() < until_ms;) {
		assert_ok(reader_next(base, clock_mono_ms() + 20, &event, &err));
		assert_int_equal(event.kind, READER_IDLE);
	}
	assert_in_range(bytes_held(reader), LEAST, MOST);
	reader->asking = false;
	while (given < PARTITIONS * RECORDS) {
		event = next_event(base);
		if (event.kind == READER_RECORDS)
			given += event.count;
		else
			assert_int_equal(event.kind, READER_CAUGHT_UP);
	}
	reader_close(base);
}

/* What librdkafka does not want to read just now is read later. */
static void test_a_partition_that_is_not_taken(void **state)
{
	struct kafka_fixture *f = *state;
	const struct reader_options options = { .bytes_max = 1 << 20 };
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	struct broker_reader *base;
	struct reader_kafka *reader;
	struct err err = { 0 };
	char text[16];

	rd_kafka_topic_partition_list_add(list, pin.name, 0)->offset = 0;
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	assert_ok(broker_reader_open(f->broker, &options, &base, &err));
	reader = (struct reader_kafka *)base;
	assert_null(rd_kafka_incremental_assign(reader->client, list)); /* so it has it already */
	assert_ok(reader_seek(base, pin, 0, from_first, &err));
	assert_non_null(strstr(reader->told, "already part of the current assignment"));
	assert_int_equal(event_now(base).kind, READER_IDLE);
	assert_null(rd_kafka_incremental_unassign(reader->client, list));
	rd_kafka_topic_partition_list_destroy(list);
	read_texts(base, 1, text, sizeof(text));
	assert_string_equal(text, "a");
	reader_close(base);
}

static void await_record(struct broker_reader *reader, struct topic_ref topic)
{
	int64_t until_ms = clock_mono_ms() + SOON_MS;
	struct reader_event event = { .kind = READER_IDLE };

	while (event.kind != READER_RECORDS || strcmp(event.topic.name, topic.name) != 0) {
		assert_true(clock_mono_ms() < until_ms);
		event = next_event(reader);
	}
}

/* A topic that the cluster says nothing of holds up no other one, in whichever order they are. */
static void test_a_question_that_fails_for_one_topic(void **state)
{
	struct kafka_fixture *f = *state;
	const struct topic_ref topics[] = { geo, pin };
	const struct reader_options options = { .bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, geo, 1, &err));
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(append_text(f->broker, &f->ended, topics[i], 0, "a").code, ERR_OK);
		assert_ok(reader_seek(reader, topics[i], 0, from_first, &err));
		await_record(reader, topics[i]);
	}
	for (int i = 0; i < 2; i++) {
		const char *other = topics[1 - i].name;

		rd_kafka_mock_topic_set_error(f->cluster, other,
					      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
		assert_int_equal(append_text(f->broker, &f->ended, topics[i], 0, "b").code, ERR_OK);
		await_record(reader, topics[i]);
		rd_kafka_mock_topic_set_error(f->cluster, other, RD_KAFKA_RESP_ERR_NO_ERROR);
	}
	reader_close(reader);
}

/* --- partitions that go ------------------------------------------------------------------- */

/* As the cluster would give it, or take it back. */
static void rebalance(struct broker_reader *reader, rd_kafka_resp_err_t code)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, pin.name, 0);
	part_rebalance(((struct reader_kafka *)reader)->client,
		       code, list, reader);
	rd_kafka_topic_partition_list_destroy(list);
}

/* What comes to light of a partition in the turn in which it is revoked is told of no more. */
static void test_a_partition_that_fails_as_it_goes(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *base = join(f, pin);
	struct reader_kafka *reader = (struct reader_kafka *)base;
	const struct err why = { .code = ERR_CORRUPT };
	struct part *part;
	int64_t until_ms;

	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	part = part_of(reader, pin.name, 0, false);
	rebalance(base, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
	part_is_another(reader, part);
	part_fail(reader, part, &why);
	part->lineage.low++;
	until_ms = clock_mono_ms() + 2000; /* meanwhile the cluster is asked */
	assert_int_equal(next_event(base).kind, READER_REVOKED);
	while (clock_mono_ms() < until_ms)
		assert_int_equal(event_now(base).kind, READER_IDLE);
	reader_release(base, pin, 0);
	assert_false(part->attached);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	reader_close(base);
}

/* What was lost and came back before it was released comes after that. */
static void test_a_partition_that_comes_back_too_early(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *base = join(f, pin);
	struct reader_kafka *reader = (struct reader_kafka *)base;
	struct part *part;
	char text[16];

	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	part = part_of(reader, pin.name, 0, false);
	part_is_another(reader, part);
	assert_int_equal(next_event(base).kind, READER_REVOKED);
	part->anew = false; /* as where it is lost now */
	rebalance(base, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	reader_release(base, pin, 0);
	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	read_texts(base, 1, text, sizeof(text));
	assert_string_equal(text, "a");
	reader_close(base);
}

/* A partition that is taken back is no other member's before it is released, whatever happens to
 * the others meanwhile. */
static void test_a_seek_while_another_partition_goes(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *one, *two;
	struct reader_event event = { .kind = READER_IDLE };
	int64_t until_ms;
	struct err err = { 0 };
	int32_t gone;

	assert_ok(create_topic(f->broker, geo, 2, &err));
	one = join(f, geo);
	assert_int_equal(next_event(one).kind, READER_ASSIGNED);
	assert_int_equal(next_event(one).kind, READER_ASSIGNED);
	two = join(f, geo);
	until_ms = clock_mono_ms() + SOON_MS;
	while (event.kind != READER_REVOKED) {
		assert_true(clock_mono_ms() < until_ms);
		event = event_now(one);
		assert_int_equal(event_now(two).kind, READER_IDLE);
	}
	gone = event.partition;
	assert_ok(reader_seek(one, geo, 1 - gone, from_first, &err));
	until_ms = clock_mono_ms() + 3000;
	while (clock_mono_ms() < until_ms) {
		assert_int_equal(event_now(one).kind, READER_IDLE);
		assert_int_equal(event_now(two).kind, READER_IDLE);
	}
	reader_release(one, geo, gone);
	assert_int_equal(append_text(f->broker, &f->ended, geo, 1 - gone, "a").code, ERR_OK);
	do
		event = next_event(one);
	while (event.kind != READER_RECORDS);
	assert_int_equal(event.partition, 1 - gone);
	do
		event = next_event(two);
	while (event.kind != READER_ASSIGNED);
	assert_int_equal(event.partition, gone);
	reader_close(one);
	reader_close(two);
}

/* What the second member gets at once: the mock has put the first one out, as it does on a busy
 * machine with who is not back within a second. Else it was given away by a seek. */
static void assert_put_out(struct broker_reader *one)
{
	struct reader_event event;

	do
		event = next_event(one);
	while (event.kind != READER_REVOKED);
	assert_true(event.lost);
}

/* Of a member with two partitions, one of which another one is to have: seeks of both, from when it
 * does not know that yet. False: it was put out. */
static bool seeks_give_nothing_away(struct broker_reader *one, struct broker_reader *two)
{
	struct reader_event event;
	int64_t until_ms;
	struct err err = { 0 };

	for (until_ms = clock_mono_ms() + 6000; clock_mono_ms() < until_ms;)
		if (event_now(two).kind != READER_IDLE)
			return false;
	for (until_ms = clock_mono_ms() + 5000; clock_mono_ms() < until_ms;) {
		for (int32_t i = 0; i < 2; i++)
			assert_ok(reader_seek(one, geo, i, from_first, &err));
		if (event_now(two).kind != READER_IDLE) {
			assert_put_out(one);
			return false;
		}
	}
	event = event_now(one);
	assert_int_equal(event.kind, READER_REVOKED);
	reader_release(one, geo, event.partition);
	do
		(void)event_now(one);
	while (event_now(two).kind != READER_ASSIGNED);
	return true;
}

/* It stays so where the reader has not even been told of it yet. */
static void test_a_seek_before_it_is_known_what_goes(void **state)
{
	enum { TRIES = 5 };
	struct kafka_fixture *f = *state;
	struct broker_reader *one, *two;
	struct err err = { 0 };
	bool done = false;

	assert_ok(create_topic(f->broker, geo, 2, &err));
	for (int i = 0; i < TRIES && !done; i++) {
		int64_t until_ms;

		one = join(f, geo);
		assert_int_equal(next_event(one).kind, READER_ASSIGNED);
		assert_int_equal(next_event(one).kind, READER_ASSIGNED);
		for (until_ms = clock_mono_ms() + 1500; clock_mono_ms() < until_ms;)
			(void)event_now(one);
		two = join(f, geo);
		done = seeks_give_nothing_away(one, two);
		reader_close(one);
		reader_close(two);
	}
	assert_true(done);
}

/* A cluster that was killed when it had just let the member in knows it by another name. */
static void test_a_member_that_is_put_out(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *one;
	struct reader_event event;
	struct err err = { 0 };
	enum err_code code;

	assert_ok(create_topic(f->broker, geo, 1, &err));
	one = join(f, geo);
	assert_int_equal(next_event(one).kind, READER_ASSIGNED);
	assert_int_equal(rd_kafka_test_fatal_error(((struct reader_kafka *)one)->client,
						   RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "fenced"),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	do
		code = reader_next(one, clock_mono_ms() + SOON_MS, &event, &err);
	while (code == ERR_OK && event.kind != READER_IDLE);
	assert_int_equal(code, ERR_BUSY);
	reader_close(one);
}

/* A partition is read by whoever has it, also where librdkafka took something else for the answer
 * to its revoke, and assigns it before it is released. */
static void test_a_partition_that_goes_and_comes_at_once(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *base = join(f, pin);
	struct part *part;
	char text[16];

	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	part = part_of((struct reader_kafka *)base, pin.name, 0, false);
	assert_true(part->attached);
	rebalance(base, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
	rebalance(base, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
	assert_false(part->attached);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	assert_int_equal(next_event(base).kind, READER_REVOKED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	reader_release(base, pin, 0);
	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	read_texts(base, 1, text, sizeof(text));
	assert_string_equal(text, "a");
	reader_close(base);
}

static void test_a_seek_of_a_partition_that_is_lost(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *base = join(f, pin);
	struct reader_kafka *reader = (struct reader_kafka *)base;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	struct err err = { 0 };
	struct part *part;

	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	part = part_of(reader, pin.name, 0, false);
	rd_kafka_topic_partition_list_add(list, pin.name, 0);
	assert_null(rd_kafka_incremental_unassign(reader->client, list));
	rd_kafka_topic_partition_list_destroy(list);
	part->attached = false;
	part->going = true;
	part_event_add(reader, READER_REVOKED, part, true);
	assert_ok(reader_seek(base, pin, 0, from_first, &err));
	assert_false(part->attached);
	assert_int_equal(next_event(base).kind, READER_REVOKED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	assert_false(part->attached);
	reader_close(base);
}

/* --- partitions that are moved ------------------------------------------------------------- */

static void read_again(struct broker_reader *reader, size_t count, const char *texts)
{
	struct err err = { 0 };
	char text[16];

	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	read_texts(reader, count, text, sizeof(text));
	assert_string_equal(text, texts);
}

/* Whatever became of a partition of a group, a seek has it read. */
static void test_a_seek_of_what_is_assigned(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *base = join(f, pin);
	struct reader_kafka *reader = (struct reader_kafka *)base;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	const struct err why = { .code = ERR_CORRUPT };
	struct part *part;
	char text[16];

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	read_texts(base, 1, text, sizeof(text));
	read_again(base, 1, "a");
	part = part_of(reader, pin.name, 0, false);
	part_fail(reader, part, &why);
	assert_true(part->attached);
	assert_int_equal(next_event(base).kind, READER_FAILED);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "b").code, ERR_OK);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	read_again(base, 2, "a b");
	assert_true(part->attached);
	/* Where nothing is librdkafka reads no more, … */
	rd_kafka_topic_partition_list_add(list, pin.name, 0)->offset = 1000;
	assert_null(rd_kafka_seek_partitions(reader->client, list, SOON_MS));
	assert_int_equal(next_event(base).kind, READER_FAILED);
	assert_true(part->idle);
	read_again(base, 2, "a b");
	assert_false(part->idle);
	/* … and what it has not it does not move. */
	assert_null(rd_kafka_incremental_unassign(reader->client, list));
	rd_kafka_topic_partition_list_destroy(list);
	read_again(base, 2, "a b");
	reader_close(base);
}

/* A partition without a leader waits for one, and another one is put in its place meanwhile. */
static void test_a_place_beside_one_without_a_leader(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *base;
	struct reader_kafka *reader;
	struct part *part;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, geo, 2, &err));
	assert_int_equal(rd_kafka_mock_partition_set_leader(f->cluster, geo.name, 0, -1), 0);
	base = join(f, geo);
	reader = (struct reader_kafka *)base;
	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(next_event(base).kind, READER_ASSIGNED);
	assert_int_equal(event_now(base).kind, READER_IDLE);
	assert_int_equal(part_of(reader, geo.name, 0, false)->state, PART_TOLD);
	part = part_of(reader, geo.name, 1, false);
	assert_int_equal(part->state, PART_READING);
	part->misplaced = true;
	assert_int_equal(next_event(base).kind, READER_FAILED);
	assert_int_equal(part->state, PART_FAILED);
	reader_close(base);
}

/* Of that librdkafka tells no error: it leaves the offset as it was. */
static void test_a_leader_that_gives_no_answer(void **state)
{
	enum { LIST_OFFSETS = 2 }; /* a request of Kafka's protocol */
	struct kafka_fixture *f = *state;
	const struct reader_options options = { .bytes_max = 1 << 20 };
	const struct reader_start last = { .kind = START_LAST, .count = 1 };
	struct broker_reader *reader;
	struct topic_info info = { 0 };
	struct err err = { 0 };
	char text[16];

	for (int i = 0; i < 2; i++)
		assert_int_equal(append_text(f->broker, &f->ended, pin, 0, i ? "b" : "a").code,
				 ERR_OK);
	rd_kafka_mock_push_request_errors(f->cluster, LIST_OFFSETS, 1,
					  RD_KAFKA_RESP_ERR__TRANSPORT);
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	assert_true(info.partitions[0].next_known);
	assert_int_equal(info.partitions[0].records, 2);
	topic_info_release(&info);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	rd_kafka_mock_push_request_errors(f->cluster, LIST_OFFSETS, 2, RD_KAFKA_RESP_ERR_NO_ERROR,
					  RD_KAFKA_RESP_ERR__TRANSPORT);
	assert_ok(reader_seek(reader, pin, 0, last, &err));
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "b");
	reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MOCK(test_a_question_without_an_answer),
		MOCK(test_a_question_that_fails_for_one_topic),
		MOCK(test_a_partition_that_is_not_taken),
		MOCK(test_a_partition_that_fails_as_it_goes),
		MOCK(test_a_partition_that_comes_back_too_early),
		MOCK(test_a_seek_while_another_partition_goes),
		MOCK(test_a_seek_before_it_is_known_what_goes),
		MOCK(test_a_member_that_is_put_out),
		MOCK(test_a_partition_that_goes_and_comes_at_once),
		MOCK(test_a_seek_of_a_partition_that_is_lost),
		MOCK(test_a_seek_of_what_is_assigned),
		MOCK(test_a_place_beside_one_without_a_leader),
		MOCK(test_a_leader_that_gives_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
