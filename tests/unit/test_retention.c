/* What the log lets go of, and what it keeps for those who still want it. */
#include "base/time.h"
#include "broker/local/retention.h"
#include "broker/local/segment.h"
#include "log_testing.h"

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	int dir_fd;			/* of the log */
};

/* A log with a topic and no records. */
static int make_fixture(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct ended ended = ENDED_INIT;
	char path[SCRATCH_NAME_MAX + 8];
	struct broker *broker;
	struct err err = { 0 };

	scratch_dir(f->dir);
	assert_ok(log_open(f->dir, true, &ended, &broker, &err));
	assert_ok(broker_create(broker, log_topic, 1, &err));
	broker_free(broker);
	(void)snprintf(path, sizeof(path), "%s/log", f->dir);
	f->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *f = *state;

	(void)close(f->dir_fd);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* Retention by bytes recycles segments; what a reader holds open stays as it is. */
static void test_retention_recycles_and_spares_readers(void **state)
{
	enum { BIG = 100000, BIGS = 120, FEW = 5, READ = 2 };
	const struct fixture *f = *state;
	struct ended ended = ENDED_INIT;
	const struct broker_local_options options = {
		.dir = f->dir, .writer = true, .segment_bytes = 1 << 20,
		.retention_bytes = 4 << 20, .done = ended_done, .done_user = &ended };
	struct topic_info info;
	struct broker_reader *reader;
	struct reader_event event;
	struct broker *broker;
	struct err err = { 0 };
	uint64_t first = 0, last = 0;

	assert_ok(broker_local_new(&options, &broker, &err));
	reader = reader_at(broker, log_topic, 0, (struct reader_start){ START_AT,
			   position_of_offset(READ), 0 });
	assert_int_equal(log_put(broker, &ended, 0, FEW, BIG), ERR_OK);
	event = next_event(reader);	/* now it holds a segment that retention will want */
	assert_int_equal(event.kind, READER_RECORDS);
	assert_int_equal(position_ordinal(event.records[0].position), READ);
	assert_int_equal(log_put(broker, &ended, FEW, BIGS - FEW, BIG), ERR_OK);
	for (int i = 0; i < 100 && first <= READ; i++) {
		clock_sleep_ms(100);
		assert_ok(broker_describe(broker, log_topic, &info, &err));
		first = position_ordinal(info.partitions[0].first);
		topic_info_release(&info);
	}
	assert_true(first > READ);
	assert_int_equal(log_put(broker, &ended, BIGS, BIGS, BIG), ERR_OK);
	while (last < 2 * BIGS - 1) {
		event = next_event(reader);
		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++) {
			char *text = xmalloc(BIG);

			last = position_ordinal(event.records[i].position);
			log_text(last, text, BIG);
			assert_true(slice_eq(event.records[i].value, slice_of(text, BIG)));
			free(text);
		}
	}
	reader_close(reader);
	broker_free(broker);
	assert_true(log_is_sound(f->dir, false));
}

static void nothing_to_do(void *user) { (void)user; }

/* Segments that are left after retention by an age that all have, or by a byte that may stay. */
static size_t left_after_retention(int dir_fd, bool by_age)
{
	struct retention retention = { .dir_fd = dir_fd, .age_ms = by_age, .bytes_max = !by_age,
				       .first_changed = nothing_to_do };
	uint64_t *bases;
	struct err err;
	size_t count;

	retention_init(&retention, 0);
	clock_sleep_ms(2);		/* the least that is older than 1 ms */
	retention_apply(&retention);
	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	free(bases);
	return count;
}

/* A group that has a partition and has committed nothing in it is spared, too; so is one whose
 * file a power cut has left without its bytes. */
static void test_retention_spares_what_a_group_has_not_read(void **state)
{
	static const char file[] = "groups/readers";
	enum { BIG = 100000, BIGS = 60, LEAST = 3 };
	const struct fixture *f = *state;
	struct ended ended = ENDED_INIT;
	const struct reader_options options = { .group = "readers", .topics = &log_topic,
						.topic_count = 1 };
	struct broker_reader *reader;
	struct broker *broker;
	struct err err = { 0 };
	size_t all;
	int fd;

	assert_ok(log_open(f->dir, true, &ended, &broker, &err));
	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(log_put(broker, &ended, 0, BIGS, BIG), ERR_OK);
	reader_close(reader);
	broker_free(broker);
	all = left_after_retention(f->dir_fd, true);
	assert_true(all > LEAST + 1);
	assert_int_equal(left_after_retention(f->dir_fd, false), all);
	fd = openat(f->dir_fd, file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(left_after_retention(f->dir_fd, true), all);
	assert_int_equal(left_after_retention(f->dir_fd, false), all);
	assert_int_equal(unlinkat(f->dir_fd, file, 0), 0);
	assert_int_equal(left_after_retention(f->dir_fd, false), LEAST);
}

/* So is one of whose topics there is none yet when it goes away. */
static void test_retention_spares_a_topic_that_no_group_has_met(void **state)
{
	static const struct topic_ref topics[] = { { TOPIC_LOG, "pin" }, { TOPIC_LOG, "geo" } };
	enum { BIG = 100000, BIGS = 60, LEAST = 3 };
	const struct reader_options options = { .group = "readers", .topics = topics,
						.topic_count = 2 };
	struct append_record record = { .value = slice_of(xcalloc(1, BIG), BIG) };
	const struct fixture *f = *state;
	struct ended ended = ENDED_INIT;
	struct append_outcome outcome;
	struct broker_reader *reader;
	struct broker *broker;
	struct err err = { 0 };
	size_t all;

	assert_ok(log_open(f->dir, true, &ended, &broker, &err));
	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_ok(reader_commit(reader, topics[0], 0, position_of_offset(0), &err));
	reader_close(reader);
	assert_ok(broker_create(broker, topics[1], 1, &err));
	for (int i = 0; i < BIGS; i++)
		assert_ok(append_and_wait(broker, &ended, topics[1], &record, 1, &outcome, &err));
	all = left_after_retention(f->dir_fd, false);
	assert_true(all > LEAST + 1);
	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(left_after_retention(f->dir_fd, false), all);
	assert_ok(reader_commit(reader, topics[1], 0, position_of_offset(BIGS), &err));
	reader_close(reader);
	broker_free(broker);
	assert_int_equal(left_after_retention(f->dir_fd, false), LEAST);
	free((char *)(uintptr_t)record.value.ptr);
}

int main(void)
{
#define KEPT(test) cmocka_unit_test_setup_teardown(test, make_fixture, free_fixture)
	const struct CMUnitTest tests[] = {
		KEPT(test_retention_recycles_and_spares_readers),
		KEPT(test_retention_spares_what_a_group_has_not_read),
		KEPT(test_retention_spares_a_topic_that_no_group_has_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
