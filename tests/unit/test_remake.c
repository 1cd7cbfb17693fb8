/* A log made anew of records that others have kept: what readers, check and writer see of it. */
#include "base/file.h"
#include "broker/local/remake.h"
#include "log_testing.h"

#include <sys/file.h>

enum { SEGMENT_BYTES = 1 << 20 };

static const struct topic_ref stream = { TOPIC_STREAM, "clicks" };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct ended ended;
	struct remake *remake;
	struct remake_part *parts;	/* of log_topic, of which there are two */
};

static int make_fixture(void **state)
{
	static const uint64_t born[2] = { 0, 5 }, first[2] = { 10, 5 };
	const struct remake_topic topic = { .topic = log_topic, .uid = 77, .partitions = 2,
					    .born = born, .first = first };
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	assert_ok(remake_begin(f->dir, SEGMENT_BYTES, &f->remake, &err));
	assert_ok(remake_topic(f->remake, &topic, &f->parts, &err));
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *f = *state;

	remake_free(f->remake);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void add(struct fixture *f, int32_t partition, uint64_t offset, uint64_t life,
		const char *text)
{
	struct append_record record = { .value = slice_str(text) };
	struct err err = { 0 };

	assert_ok(remake_add(remake_part(f->parts, partition), offset, life, &record, &err));
}

static void gap(struct fixture *f, int32_t partition, uint64_t next, enum gap_reason reason)
{
	struct err err = { 0 };

	assert_ok(remake_gap(remake_part(f->parts, partition), next, reason, &err));
}

static struct remade end(struct fixture *f)
{
	struct remade remade;
	struct err err = { 0 };

	for (int32_t i = 0; i < 2; i++)
		assert_ok(remake_part_done(remake_part(f->parts, i), &err));
	assert_ok(remake_end(f->remake, &remade, &err));
	remake_free(f->remake);
	f->remake = NULL;
	assert_true(log_is_sound(f->dir, false));
	return remade;
}

/* Each event a word: "10-11:a,b" records, "12-13!damaged" a gap; `life` of the last record. */
static void read_all(struct fixture *f, bool writer, int32_t partition, uint64_t from, char *text,
		     size_t size, struct lineage *ret_lineage)
{
	struct reader_start start = { .kind = START_AT, .position = position_of_offset(from) };
	struct broker_reader *reader;
	struct broker *broker;
	struct err err = { 0 };
	size_t at = 0;

	assert_ok(log_open(f->dir, writer, &f->ended, &broker, &err));
	reader = reader_at(broker, log_topic, partition, start);
	text[0] = '\0';
	for (;;) {
		struct reader_event event;

		assert_ok(reader_next(reader, clock_mono_ms(), &event, &err));
		if (event.kind == READER_CAUGHT_UP)
			continue;
		if (event.kind == READER_IDLE)
			break;
		if (event.kind == READER_GAP)
			at += (size_t)snprintf(text + at, size - at, "%s%d-%d!%s", at ? " " : "",
					       (int)position_ordinal(event.first),
					       (int)position_ordinal(event.last),
					       gap_reason_text(event.gap));
		for (size_t i = 0; event.kind == READER_RECORDS && i < event.count; i++) {
			at += (size_t)snprintf(text + at, size - at, "%s%d:%.*s", at ? " " : "",
					       (int)position_ordinal(event.records[i].position),
					       SLICE_ARG(event.records[i].value));
			*ret_lineage = event.lineage;
		}
	}
	reader_close(reader);
	broker_free(broker);
}

static void assert_reads(struct fixture *f, int32_t partition, uint64_t from, const char *expected,
			 uint64_t life)
{
	struct lineage lineage = { 0, 0 };
	char text[1000];

	for (int writer = 0; writer < 2; writer++) {
		read_all(f, writer, partition, from, text, sizeof(text), &lineage);
		assert_string_equal(text, expected);
		assert_int_equal(lineage.high, 77);
		if (life != 0)
			assert_int_equal(lineage.low, life);
	}
}

static void test_records_keep_their_places_and_lives(void **state)
{
	struct fixture *f = *state;
	struct remade remade;

	add(f, 0, 10, 1, "a");
	add(f, 0, 11, 1, "b");
	add(f, 0, 12, 2, "c");
	add(f, 1, 5, 1, "x");
	add(f, 1, 6, 3, "y");
	remade = end(f);
	assert_int_equal(remade.records, 5);
	assert_int_equal(remade.segments, 3);
	assert_reads(f, 0, 11, "11:b 12:c", 2);
	assert_reads(f, 1, 5, "5:x 6:y", 3);
	assert_reads(f, 1, 0, "0-4!removed 5:x 6:y", 3);
	assert_reads(f, 0, 0, "0-9!retention 10:a 11:b 12:c", 2);
}

static void test_gaps_say_why(void **state)
{
	struct fixture *f = *state;

	gap(f, 0, 12, GAP_DAMAGED);
	add(f, 0, 12, 1, "a");
	gap(f, 0, 14, GAP_NONE);
	gap(f, 0, 15, GAP_RETENTION);
	add(f, 0, 15, 1, "b");
	add(f, 1, 5, 1, "x");
	gap(f, 1, 9, GAP_DAMAGED);
	(void)end(f);
	assert_reads(f, 0, 10, "10-11!damaged 12:a 13-13!none 14-14!retention 15:b", 1);
	assert_reads(f, 0, 13, "13-13!none 14-14!retention 15:b", 1);
	assert_reads(f, 1, 5, "5:x 6-8!damaged", 1);
}

/* Where the log goes on, what of it is another life, and that nothing of before changes. */
static void test_it_is_written_on(void **state)
{
	struct fixture *f = *state;
	struct append_outcome outcome;
	struct lineage lineage = { 0, 0 };
	struct topic_info info;
	struct broker *broker;
	struct err err = { 0 };
	char text[1000];

	add(f, 0, 10, 1, "a");
	gap(f, 1, 9, GAP_DAMAGED);
	(void)end(f);
	assert_ok(log_open(f->dir, true, &f->ended, &broker, &err));
	assert_ok(broker_describe(broker, log_topic, &info, &err));
	assert_string_equal(info.uid, "000000000000004d");
	assert_int_equal(position_ordinal(info.partitions[0].first), 10);
	assert_int_equal(position_ordinal(info.partitions[0].born), 0);
	assert_int_equal(position_ordinal(info.partitions[1].born), 5);
	topic_info_release(&info);
	outcome = append_text(broker, &f->ended, log_topic, 0, "b");
	assert_int_equal(position_ordinal(outcome.position), 11);
	outcome = append_text(broker, &f->ended, log_topic, 1, "y");
	assert_int_equal(position_ordinal(outcome.position), 9);
	broker_free(broker);
	assert_true(log_is_sound(f->dir, false));
	read_all(f, true, 0, 10, text, sizeof(text), &lineage);
	assert_string_equal(text, "10:a 11:b");
	assert_int_not_equal(lineage.low, 1);
	assert_reads(f, 1, 5, "5-8!damaged 9:y", 0);
}

/* Keys, headers, times and tombstones; more than a segment holds, and records as large as one. */
static void test_much_of_everything(void **state)
{
	enum { COUNT = 300, LEN = 20000, LARGE = 2 * SEGMENT_BYTES };
	const struct record_header headers[2] = { { slice_str("h"), slice_str("v") },
						  { slice_str(""), { NULL, 0 } } };
	struct fixture *f = *state;
	char *large = xmalloc(LARGE);
	struct append_record record = { .headers = headers };
	struct reader_start start = { .kind = START_FIRST };
	struct broker_reader *reader;
	struct broker *broker;
	struct err err = { 0 };
	uint64_t seen = 10;

	memset(large, 'x', LARGE);
	for (uint64_t k = 0; k < COUNT; k++) {
		record.key = k % 3 ? slice_of(large, k) : slice_of(NULL, 0);
		record.value = k % 5 ? slice_of(large, k == 7 ? LARGE : LEN) : slice_of(NULL, 0);
		record.header_count = k % 3;
		record.timestamp_ms = k % 2 ? (int64_t)k : TIMESTAMP_NOW;
		assert_ok(remake_add(f->parts, 10 + k, 1 + k / 200, &record, &err));
	}
	assert_true(end(f).segments > COUNT * LEN / SEGMENT_BYTES);
	assert_ok(log_open(f->dir, false, &f->ended, &broker, &err));
	reader = reader_at(broker, log_topic, 0, start);
	while (seen < 10 + COUNT) {
		struct reader_event event = next_event(reader);

		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++, seen++) {
			const struct record *its = &event.records[i];
			uint64_t k = seen - 10;

			assert_int_equal(position_ordinal(its->position), seen);
			assert_int_equal(its->key.len, k % 3 ? k : 0);
			assert_int_equal(its->value.ptr == NULL, k % 5 == 0);
			assert_int_equal(its->value.len, k % 5 ? k == 7 ? LARGE : LEN : 0);
			assert_int_equal(its->header_count, k % 3);
			assert_int_equal(event.lineage.low, 1 + k / 200);
			if (k % 2)
				assert_int_equal(its->timestamp_ms, k);
			else
				assert_true(its->timestamp_ms > 1000000);
		}
	}
	reader_close(reader);
	broker_free(broker);
	free(large);
}

/* Above all that is used up, in a second of its own; what is an ordinal alone is passed as well. */
static void test_streams_begin_above(void **state)
{
	struct fixture *f = *state;
	const uint64_t far = (uint64_t)(clock_wall_ms() / 1000) + 1000;
	const struct position above[3] = { position_of_sequence(far, 0, 9), position_of_offset(41),
					   { { 0 } } };
	const struct remake_topic topic = { .topic = stream, .uid = 78, .partitions = 3,
					    .above = above };
	struct remake_part *parts;
	struct topic_info info;
	struct broker *broker;
	struct err err = { 0 };

	assert_ok(remake_topic(f->remake, &topic, &parts, &err));
	(void)end(f);
	assert_ok(log_open(f->dir, true, &f->ended, &broker, &err));
	assert_ok(broker_describe(broker, stream, &info, &err));
	assert_string_equal(info.uid, "000000000000004e");
	for (int32_t i = 0; i < 3; i++) {
		struct append_outcome outcome = append_text(broker, &f->ended, stream, i, "a");

		assert_true(position_cmp(outcome.position, above[0]) > 0);
		assert_int_equal(position_ordinal(outcome.position), i == 1 ? 42 : 0);
		assert_int_equal(position_created_s(outcome.position), far + 1);
	}
	topic_info_release(&info);
	broker_free(broker);
	assert_true(log_is_sound(f->dir, false));
}

static bool is_in(const struct fixture *f, const char *name)
{
	char path[SCRATCH_NAME_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return access(path, F_OK) == 0;
}

static void test_it_is_there_when_it_is_whole(void **state)
{
	struct fixture *f = *state;
	struct remake *other;
	struct err err = { 0 };

	add(f, 0, 10, 1, "a");
	assert_int_equal(remake_begin(f->dir, SEGMENT_BYTES, &other, &err), ERR_LOCKED);
	assert_false(is_in(f, "log"));
	remake_free(f->remake);
	f->remake = NULL;
	assert_false(is_in(f, "log.part"));
	assert_ok(remake_begin(f->dir, SEGMENT_BYTES, &f->remake, &err));
	remake_free(f->remake);
	f->remake = NULL;
	assert_false(is_in(f, "log") || is_in(f, "log.part"));
}

static void test_a_log_is_not_written_over(void **state)
{
	struct fixture *f = *state;
	struct remade remade;
	struct remake *other;
	struct broker *broker;
	struct err err = { 0 };

	add(f, 0, 10, 1, "a");
	assert_ok(log_open(f->dir, true, &f->ended, &broker, &err));
	broker_free(broker);
	assert_int_equal(remake_end(f->remake, &remade, &err), ERR_EXISTS);
	remake_free(f->remake);
	f->remake = NULL;
	assert_int_equal(remake_begin(f->dir, SEGMENT_BYTES, &other, &err), ERR_EXISTS);
	assert_false(is_in(f, "log.part"));
}

/* What the disk did not keep is found before the log has its name. */
static void test_what_is_read_back_otherwise(void **state)
{
	struct fixture *f = *state;
	char path[SCRATCH_NAME_MAX + 64], *text = xmalloc(SEGMENT_BYTES);
	struct remade remade;
	struct err err = { 0 };
	int fd;

	memset(text, 'x', SEGMENT_BYTES);
	text[SEGMENT_BYTES - 1] = '\0';
	for (uint64_t k = 0; k < 6; k++)
		add(f, 0, 10 + k, 1, text);
	free(text);
	(void)snprintf(path, sizeof(path), "%s/log.part/00000000000000004096.segment", f->dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_ok(file_write_at(fd, "y", 1, 10000, "the segment", &err));
	(void)close(fd);
	assert_int_equal(remake_end(f->remake, &remade, &err), ERR_CORRUPT);
	assert_false(is_in(f, "log"));
}

static void test_a_number_out_of_proportion(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_int_equal(remake_gap(f->parts, INT64_MAX, GAP_NONE, &err), ERR_CORRUPT);
	assert_ok(remake_gap(f->parts, UINT64_C(10) << 32, GAP_NONE, &err));
	add(f, 0, UINT64_C(10) << 32, 1, "a");
	(void)end(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_records_keep_their_places_and_lives),
		TEST(test_gaps_say_why),
		TEST(test_it_is_written_on),
		TEST(test_much_of_everything),
		TEST(test_streams_begin_above),
		TEST(test_it_is_there_when_it_is_whole),
		TEST(test_a_log_is_not_written_over),
		TEST(test_what_is_read_back_otherwise),
		TEST(test_a_number_out_of_proportion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
