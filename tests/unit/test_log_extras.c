/* What records bring along, whose history they are of, where a log begins, and what it costs to
 * find a place in it. */
#include "broker/local/backup.h"
#include "broker/local/segment.h"
#include "log_testing.h"

#include <inttypes.h>

enum { LEN = 61, BIG = 60000, MANY = 6 };

struct place {
	char dir[SCRATCH_NAME_MAX];
	struct ended ended;
	struct broker *broker;
};

static int open_place(void **state)
{
	struct place *place = xcalloc(1, sizeof(*place));
	struct err err = { 0 };

	scratch_dir(place->dir);
	place->ended = (struct ended)ENDED_INIT;
	assert_ok(log_open(place->dir, true, &place->ended, &place->broker, &err));
	*state = place;
	return 0;
}

static int close_place(void **state)
{
	struct place *place = *state;

	broker_free(place->broker);
	scratch_remove(place->dir);
	free(place);
	return 0;
}

static void reopen(struct place *place)
{
	struct err err = { 0 };

	broker_free(place->broker);
	place->broker = NULL;
	assert_ok(log_open(place->dir, true, &place->ended, &place->broker, &err));
}

/* --- headers and times -------------------------------------------------- */

static const struct record_header two_headers[] = {
	{ { "trace", 5 }, { "a\0b", 3 } },
	{ { "trace", 5 }, { NULL, 0 } },
};

static void check_extras(const struct record *record, bool headers, int64_t timestamp_ms)
{
	assert_int_equal(record->header_count, headers ? 2 : 0);
	for (size_t i = 0; i < record->header_count; i++) {
		assert_true(slice_eq(record->headers[i].name, two_headers[i].name));
		assert_true(slice_eq(record->headers[i].value, two_headers[i].value));
		assert_int_equal(!record->headers[i].value.ptr, !two_headers[i].value.ptr);
	}
	if (timestamp_ms != TIMESTAMP_NOW)
		assert_true(record->timestamp_ms == timestamp_ms);
	else
		assert_true(llabs(record->timestamp_ms - clock_wall_ms()) < 60000);
}

static void test_headers_and_times_come_back(void **state)
{
	static const struct append_record in[] = {
		{ .value = { "a", 1 }, .headers = two_headers, .header_count = 2 },
		{ .value = { "b", 1 } },
		{ .key = { "k", 1 }, .timestamp_ms = 1234567 },
		{ .value = { "", 0 },
		  .timestamp_ms = -1,
		  .headers = two_headers,
		  .header_count = 2 },
	};
	struct append_outcome outcomes[ARRAY_LEN(in)] = { 0 };
	struct place *place = *state;
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(place->broker, log_topic, 1, &err));
	assert_ok(append_and_wait(place->broker, &place->ended, log_topic, in, ARRAY_LEN(in),
				  outcomes, &err));
	for (int round = 0; round < 2; round++) {
		struct reader_event event;

		reader = reader_at(place->broker, log_topic, 0,
				   (struct reader_start){ .kind = START_FIRST });
		event = next_event(reader);
		assert_int_equal(event.count, ARRAY_LEN(in));
		for (size_t i = 0; i < event.count; i++) {
			check_extras(&event.records[i], in[i].header_count > 0, in[i].timestamp_ms);
			assert_true(slice_eq(event.records[i].key, in[i].key));
			assert_true(slice_eq(event.records[i].value, in[i].value));
			assert_int_equal(!event.records[i].value.ptr, !in[i].value.ptr);
		}
		reader_close(reader);
		reopen(place);
	}
	assert_true(log_is_sound(place->dir, false));
}

/* Headers count, bytes and number: 64 KiB in one, and a hundred thousand of nothing. */
static void test_headers_count_for_the_maximum(void **state)
{
	enum { NOTHINGS = 200000 };
	struct place *place = *state;
	struct record_header *headers = xcalloc(NOTHINGS, sizeof(*headers));
	struct append_record record = { .value = slice_str("v"),
					.headers = headers,
					.header_count = NOTHINGS };
	struct append_outcome outcome = { 0 };
	char *bytes = xcalloc(1, 1 << 20);
	struct err err = { 0 };

	assert_ok(create_topic(place->broker, log_topic, 1, &err));
	assert_int_equal(append_and_wait(place->broker, &place->ended, log_topic, &record, 1,
					 &outcome, &err),
			 ERR_LIMIT);
	headers[0].value = slice_of(bytes, 1 << 20);
	record.header_count = 1;
	assert_int_equal(append_and_wait(place->broker, &place->ended, log_topic, &record, 1,
					 &outcome, &err),
			 ERR_LIMIT);
	headers[0].value = slice_of(bytes, 1 << 10);
	assert_ok(append_and_wait(place->broker, &place->ended, log_topic, &record, 1, &outcome,
				  &err));
	free(headers);
	free(bytes);
}

/* What is in flight is bounded with them. */
static void test_headers_count_for_what_is_in_flight(void **state)
{
	struct place *place = *state;
	struct record_header header = { .name = slice_str("h"),
					.value = slice_of(xcalloc(1, BIG), BIG) };
	struct append_record records[MANY];
	struct append_outcome outcomes[MANY] = { 0 };
	struct broker_local_options options = { .dir = place->dir,
						.writer = true,
						.inflight_bytes_max = MANY * BIG - 1,
						.done = ended_done,
						.done_user = &place->ended };
	struct err err = { 0 };

	for (size_t i = 0; i < MANY; i++)
		records[i] = (struct append_record){ .value = slice_str("v"),
						     .headers = &header,
						     .header_count = 1 };
	broker_free(place->broker);
	place->broker = NULL;
	assert_ok(broker_local_new(&options, &place->broker, &err));
	assert_ok(create_topic(place->broker, log_topic, 1, &err));
	assert_int_equal(append_and_wait(place->broker, &place->ended, log_topic, records, MANY,
					 outcomes, &err),
			 ERR_LIMIT);
	assert_ok(append_and_wait(place->broker, &place->ended, log_topic, records, MANY - 2,
				  outcomes, &err));
	free((void *)(uintptr_t)header.value.ptr);
}

/* --- histories ---------------------------------------------------------- */

enum { OLD = 3, NEW = 2 };

/* Of the records of a log. */
static void read_lineages(const char *dir, struct lineage lineages[OLD + NEW])
{
	struct ended ended = ENDED_INIT;
	struct broker_reader *reader;
	struct broker *broker = NULL;
	struct err err = { 0 };
	size_t count = 0;

	assert_ok(log_open(dir, false, &ended, &broker, &err));
	reader = reader_at(broker, log_topic, 0, (struct reader_start){ .kind = START_FIRST });
	while (count < OLD + NEW) {
		struct reader_event event = next_event(reader);

		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++)
			lineages[count++] = event.lineage;
	}
	reader_close(reader);
	broker_free(broker);
}

/* The first byte of what the CRC of every segment's header covers. */
static void spoil_headers(const char *dir)
{
	char path[SCRATCH_NAME_MAX + 8], name[SEGMENT_NAME_MAX], bad = 'x';
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;
	int dir_fd;

	(void)snprintf(path, sizeof(path), "%s/log", dir);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	for (size_t i = 0; i < count; i++) {
		int fd;

		segment_name(bases[i], "segment", name);
		fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
		assert_int_equal(pwrite(fd, &bad, 1, 40), 1);
		(void)close(fd);
	}
	free(bases);
	(void)close(dir_fd);
}

/* A log is copied away, both are written on: as if the copy had been put back. */
static void test_a_log_that_was_put_back_is_another_history(void **state)
{
	struct place *place = *state;
	struct lineage went_on[OLD + NEW], put_back[OLD + NEW], spoilt[OLD + NEW];
	struct ended ended = ENDED_INIT;
	struct broker *broker = NULL;
	char copy[SCRATCH_NAME_MAX];
	struct backup backup;
	struct err err = { 0 };

	assert_ok(create_topic(place->broker, log_topic, 1, &err));
	assert_ok(log_put(place->broker, &place->ended, 0, OLD, LEN));
	scratch_dir(copy);
	assert_int_equal(rmdir(copy), 0); /* its name is wanted */
	assert_ok(backup_make(place->dir, copy, &backup, &err));
	assert_int_equal(backup.records, OLD);
	assert_ok(log_put(place->broker, &place->ended, OLD, NEW, LEN));
	assert_ok(log_open(copy, true, &ended, &broker, &err));
	assert_ok(log_put(broker, &ended, OLD, NEW, LEN));
	broker_free(broker);
	read_lineages(place->dir, went_on);
	read_lineages(copy, put_back);
	for (size_t i = 0; i < OLD + NEW; i++)
		assert_int_equal(lineage_eq(went_on[i], put_back[i]), i < OLD);
	spoil_headers(copy);
	read_lineages(copy, spoilt);
	for (size_t i = 0; i < OLD + NEW; i++)
		assert_true(lineage_eq(spoilt[i], put_back[i]));
	scratch_remove(copy);
}

/* --- where a log begins ------------------------------------------------- */

static enum err_code create_born(struct broker *broker, struct topic_ref topic,
				 const struct position *born, struct err *err)
{
	const struct topic_options options = { .partitions = 2, .born = born };

	return broker_create(broker, topic, &options, err);
}

static void check_born(struct place *place, struct topic_ref topic, const struct position *born)
{
	struct topic_info info;
	struct err err = { 0 };

	assert_ok(create_born(place->broker, topic, born, &err));
	reopen(place);
	for (int32_t p = 0; p < 2; p++) {
		struct append_outcome outcome =
			append_text(place->broker, &place->ended, topic, p, "x");

		assert_int_equal(outcome.code, ERR_OK);
		assert_int_equal(position_cmp(outcome.position, born[p]), 0);
	}
	reopen(place);
	assert_ok(broker_describe(place->broker, topic, &info, &err));
	for (int32_t p = 0; p < 2; p++) {
		assert_int_equal(position_cmp(info.partitions[p].first, born[p]), 0);
		assert_int_equal(position_cmp(info.partitions[p].born, born[p]), 0);
		assert_true(position_ordinal(info.partitions[p].next) ==
			    position_ordinal(born[p]) + 1);
	}
	topic_info_release(&info);
}

static void test_a_log_begins_where_it_is_told(void **state)
{
	static const struct topic_ref stream = { TOPIC_STREAM, "feed" };
	const struct position offsets[] = { position_of_offset(1000),
					    position_of_offset((uint64_t)1 << 40) };
	const struct position sequences[] = { position_of_sequence(1600000000, 0, 7),
					      position_of_sequence(1600000001, 1, 0) };
	const struct position low[] = { position_of_offset(1001), position_of_offset(5) };
	struct place *place = *state;
	struct err err = { 0 };

	check_born(place, log_topic, offsets);
	check_born(place, stream, sequences);
	assert_true(log_is_sound(place->dir, false));
	assert_ok(broker_remove(place->broker, log_topic, &err));
	/* The second would begin below what the topic of that name had. */
	assert_int_equal(create_born(place->broker, log_topic, low, &err), ERR_SHAPE);
	assert_int_equal(append_text(place->broker, &place->ended, log_topic, 0, "x").code,
			 ERR_NO_TOPIC);
	/* A shard's number names the shard. */
	assert_ok(broker_remove(place->broker, stream, &err));
	assert_int_equal(create_born(place->broker, (struct topic_ref){ TOPIC_STREAM, "other" },
				     (struct position[]){ sequences[0], sequences[0] }, &err),
			 ERR_SHAPE);
}

/* --- what it costs ------------------------------------------------------ */

/* Bytes that this process has read so far, by any call. */
/* By this thread: those of the log have their own reasons to read. */
static uint64_t bytes_read(void)
{
	FILE *file = fopen("/proc/thread-self/io", "re");
	uint64_t bytes = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "rchar: %" SCNu64, &bytes), 1);
	(void)fclose(file);
	return bytes;
}

static void fill(struct place *place, uint64_t megabytes)
{
	struct err err = { 0 };

	for (uint64_t i = 0, each = ((uint64_t)1 << 20) / BIG; i < megabytes; i++)
		assert_ok(log_put(place->broker, &place->ended, i * each, each, BIG));
}

/* A reader that has read everything learns of a topic that nobody has written to, and asks where
 * all of them end: that costs it nothing of what is there. */
static void test_a_new_topic_costs_nothing_of_the_log(void **state)
{
	static const struct topic_ref fresh = { TOPIC_LOG, "fresh" };
	struct place *place = *state;
	struct ended ended = ENDED_INIT;
	struct broker *beside = NULL;
	struct broker_reader *reader;
	struct topic_info info;
	struct err err = { 0 };
	uint64_t before;

	assert_ok(create_topic(place->broker, log_topic, 1, &err));
	assert_ok(log_open(place->dir, false, &ended, &beside, &err));
	reader = reader_at(beside, log_topic, 0, (struct reader_start){ .kind = START_FIRST });
	fill(place, 8);
	while (event_now(reader).kind == READER_RECORDS)
		;
	assert_ok(create_topic(place->broker, fresh, 1, &err));
	before = bytes_read();
	assert_ok(
		reader_seek(reader, fresh, 0, (struct reader_start){ .kind = START_FIRST }, &err));
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	assert_ok(broker_describe(beside, log_topic, &info, &err));
	assert_true(position_ordinal(info.partitions[0].next) == 8 * ((1 << 20) / BIG));
	topic_info_release(&info);
	assert_true(bytes_read() - before < 128 << 10);
	assert_int_equal(append_text(place->broker, &place->ended, fresh, 0, "x").code, ERR_OK);
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	reader_close(reader);
	broker_free(beside);
}

/* A reader that begins in many partitions of a log of many segments: the states at their heads are
 * read by halves, and each once. */
static void test_a_start_does_not_cost_partitions_times_segments(void **state)
{
	enum { SEGMENTS = 32, PARTITIONS = 12, READ_MAX = 600 << 10 };
	const struct reader_start first = { .kind = START_FIRST };
	struct place *place = *state;
	struct broker_reader *reader;
	struct err err = { 0 };
	uint64_t before;

	assert_ok(create_topic(place->broker, log_topic, PARTITIONS, &err));
	for (int32_t p = 1; p < PARTITIONS; p++)
		assert_int_equal(append_text(place->broker, &place->ended, log_topic, p, "x").code,
				 ERR_OK);
	fill(place, SEGMENTS);
	before = bytes_read();
	reader = reader_at(place->broker, log_topic, 0, first);
	for (int32_t p = 1; p < PARTITIONS; p++)
		assert_ok(reader_seek(reader, log_topic, p, first, &err));
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	assert_true(bytes_read() - before < READ_MAX);
	reader_close(reader);
}

/* More partitions than the page of the watermark has room for: their ends are read in the log. */
static void test_ends_that_find_no_place_are_read(void **state)
{
	enum { PARTITIONS = 300 };
	struct place *place = *state;
	struct append_record records[PARTITIONS];
	struct append_outcome outcomes[PARTITIONS] = { 0 };
	struct ended ended = ENDED_INIT;
	struct broker *beside = NULL;
	struct topic_info info;
	struct err err = { 0 };

	assert_ok(create_topic(place->broker, log_topic, PARTITIONS, &err));
	assert_ok(log_open(place->dir, false, &ended, &beside, &err));
	for (int32_t p = 0; p < PARTITIONS; p++)
		records[p] = (struct append_record){ .partition = p, .value = { "x", 1 } };
	for (uint64_t round = 1; round <= 2; round++) {
		assert_ok(append_and_wait(place->broker, &place->ended, log_topic, records,
					  PARTITIONS, outcomes, &err));
		assert_ok(broker_describe(beside, log_topic, &info, &err));
		for (int32_t p = 0; p < PARTITIONS; p++)
			assert_true(position_ordinal(info.partitions[p].next) == round);
		topic_info_release(&info);
	}
	broker_free(beside);
}

int main(void)
{
#define PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)
	const struct CMUnitTest tests[] = {
		PLACE(test_headers_and_times_come_back),
		PLACE(test_headers_count_for_the_maximum),
		PLACE(test_headers_count_for_what_is_in_flight),
		PLACE(test_a_log_that_was_put_back_is_another_history),
		PLACE(test_a_log_begins_where_it_is_told),
		PLACE(test_a_new_topic_costs_nothing_of_the_log),
		PLACE(test_a_start_does_not_cost_partitions_times_segments),
		PLACE(test_ends_that_find_no_place_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
