/* Readers of the local log: why something is missing, where the end is, and who is told when. */
#include "base/file.h"
#include "base/time.h"
#include "broker/local/commits.h"
#include "broker/local/retention.h"
#include "broker/local/segment.h"
#include "broker/sequence.h"
#include "log_testing.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { BYTES = 100000, COUNT = 60 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	int dir_fd;			/* of the log */
	struct ended ended;
	struct broker *broker;		/* the writer */
	struct broker *other;		/* as of another process */
};

static int make_fixture(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	char path[SCRATCH_NAME_MAX + 8];
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	assert_ok(log_open(f->dir, true, &f->ended, &f->broker, &err));
	assert_ok(log_open(f->dir, false, &f->ended, &f->other, &err));
	(void)snprintf(path, sizeof(path), "%s/log", f->dir);
	f->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *f = *state;

	broker_free(f->other);
	broker_free(f->broker);
	(void)close(f->dir_fd);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	struct err err = { 0 };

	broker_free(f->other);
	broker_free(f->broker);
	assert_ok(log_open(f->dir, true, &f->ended, &f->broker, &err));
	assert_ok(log_open(f->dir, false, &f->ended, &f->other, &err));
}

static struct reader_start at(uint64_t offset)
{
	return (struct reader_start){ .kind = START_AT, .position = position_of_offset(offset) };
}

static void expect_gap(struct broker_reader *reader, enum gap_reason reason, uint64_t first,
		       uint64_t last)
{
	struct reader_event event = next_event(reader);

	assert_int_equal(event.kind, READER_GAP);
	assert_string_equal(gap_reason_text(event.gap), gap_reason_text(reason));
	assert_int_equal(position_ordinal(event.first), first);
	assert_int_equal(position_ordinal(event.last), last);
}

static void nothing_to_do(void *user) { (void)user; }

/* The log as it is after retention has let go of all that it may. */
static void let_go(struct fixture *f)
{
	struct retention retention = { .bytes_max = 1, .first_changed = nothing_to_do };

	broker_free(f->broker);
	f->broker = NULL;
	retention.dir_fd = f->dir_fd;
	retention_init(&retention, 0);
	retention_apply(&retention);
	reopen(f);
}

static uint64_t first_kept(struct broker *broker)
{
	struct topic_info info;
	struct err err = { 0 };
	uint64_t first;

	assert_ok(broker_describe(broker, log_topic, &info, &err));
	first = position_ordinal(info.partitions[0].first);
	topic_info_release(&info);
	return first;
}

/* Each reason for its own ordinals: the topic before this one, what was let go of; in the
 * writer's process and in another. */
static void test_why_something_is_missing(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	uint64_t first;

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_int_equal(log_put(f->broker, &f->ended, 0, 3, BYTES), ERR_OK);
	assert_ok(broker_remove(f->broker, log_topic, &err));
	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_int_equal(log_put(f->broker, &f->ended, 3, COUNT, BYTES), ERR_OK);
	let_go(f);
	first = first_kept(f->broker);
	assert_true(first > 4 && first < COUNT);
	assert_int_equal(first_kept(f->other), first);
	for (int i = 0; i < 2; i++) {
		struct broker *broker = i == 0 ? f->broker : f->other;
		struct broker_reader *reader = reader_at(broker, log_topic, 0, at(1));

		expect_gap(reader, GAP_REMOVED, 1, 2);
		expect_gap(reader, GAP_RETENTION, 3, first - 1);
		assert_int_equal(position_ordinal(next_event(reader).records[0].position), first);
		assert_ok(reader_seek(reader, log_topic, 0, at(5), &err));
		expect_gap(reader, GAP_RETENTION, 5, first - 1);
		reader_close(reader);
	}
}

/* A reader that was sought before the log let go of something, and reads only afterwards. */
static void test_what_goes_before_it_is_read(void **state)
{
	struct fixture *f = *state;
	struct retention retention = { .bytes_max = 1, .first_changed = nothing_to_do };
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_int_equal(log_put(f->broker, &f->ended, 0, COUNT, BYTES), ERR_OK);
	reader = reader_at(f->other, log_topic, 0, at(2));
	retention.dir_fd = f->dir_fd;
	retention_init(&retention, 0);
	retention_apply(&retention);
	assert_true(first_kept(f->other) > 2);
	expect_gap(reader, GAP_RETENTION, 2, first_kept(f->other) - 1);
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	reader_close(reader);
}

static void copy_file(int dir_fd, const char *from, const char *to)
{
	struct err err = { 0 };
	struct buf bytes;

	buf_init(&bytes, 1 << 20);
	assert_ok(file_read(dir_fd, from, &bytes, "a file", &err));
	assert_ok(file_write(dir_fd, to, buf_slice(&bytes), false, "a file", &err));
	buf_release(&bytes);
}

/* After a power cut the watermark may be old. What a reader had read is still there, and is not
 * taken for another history by one that comes before the writer does. */
static void test_an_old_watermark_is_no_end(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_int_equal(log_put(f->broker, &f->ended, 0, 2, BYTES), ERR_OK);
	copy_file(f->dir_fd, "watermark", "old");
	assert_int_equal(log_put(f->broker, &f->ended, 2, 5, BYTES), ERR_OK);
	broker_free(f->other);
	broker_free(f->broker);
	f->broker = NULL;
	assert_int_equal(renameat(f->dir_fd, "old", f->dir_fd, "watermark"), 0);
	assert_ok(log_open(f->dir, false, &f->ended, &f->other, &err));
	reader = reader_at(f->other, log_topic, 0, at(7));
	assert_int_equal(reader_seek(reader, log_topic, 0, at(8), &err), ERR_CORRUPT);
	assert_ok(reader_seek(reader, log_topic, 0, at(6), &err));
	assert_ok(log_open(f->dir, true, &f->ended, &f->broker, &err));
	assert_int_equal(position_ordinal(next_event(reader).records[0].position), 6);
	reader_close(reader);
}

/* One thread of the broker wakes the event loops of all its readers. */
static void test_descriptors_in_another_process(void **state)
{
	struct fixture *f = *state;
	struct broker_reader *readers[3];
	struct pollfd polled[3];
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	for (int i = 0; i < 3; i++) {
		readers[i] = reader_at(f->other, log_topic, 0, at(0));
		polled[i] = (struct pollfd){ .events = POLLIN };
		assert_ok(reader_fd(readers[i], &polled[i].fd, &err));
	}
	for (uint64_t k = 0; k < 4; k++) {
		/* That thread may still ring for what was read meanwhile. */
		do
			for (int i = 0; i < 3; i++)
				assert_int_equal(event_now(readers[i]).kind, READER_IDLE);
		while (poll(polled, 3, 0) > 0);
		assert_int_equal(log_put(f->broker, &f->ended, k, 1, 10), ERR_OK);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(poll(&polled[i], 1, 10000), 1);
			assert_int_equal(event_now(readers[i]).kind, READER_RECORDS);
		}
	}
	for (int i = 0; i < 3; i++)
		reader_close(readers[i]);
}

/* What comes when a reader has seen that there is nothing, and before it arms its descriptor. */
static void (*before_arming)(const struct fixture *f);
static const struct fixture *at_arming;

/* In place of the C library's: an event loop's descriptor is cleared with this. */
int eventfd_read(int fd, eventfd_t *value)
{
	void (*once)(const struct fixture *f) = before_arming;

	before_arming = NULL;
	if (once)
		once(at_arming);
	return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

static void put_two(const struct fixture *f)
{
	struct ended *ended = (struct ended *)(uintptr_t)&f->ended;

	assert_int_equal(log_put(f->broker, ended, 0, 2, 20), ERR_OK);
}

enum { STRANGERS = 300 };	/* more than a reader passes between two looks at the clock */
static const struct topic_ref strangers = { TOPIC_LOG, "strangers" };

static void put_many_of_others(const struct fixture *f)
{
	struct ended *ended = (struct ended *)(uintptr_t)&f->ended;
	struct append_record records[STRANGERS];
	struct append_outcome outcomes[STRANGERS] = { 0 };
	struct err err = { 0 };

	for (int32_t p = 0; p < STRANGERS; p++)
		records[p] = (struct append_record){ .partition = p, .value = { "x", 1 } };
	assert_ok(append_and_wait(f->broker, ended, strangers, records, STRANGERS, outcomes,
				  &err));
	assert_int_equal(log_put(f->broker, ended, 2, 1, 20), ERR_OK);
}

/* What rang nobody, since the descriptor was not armed yet, must not be left for the next ring. */
static void test_a_descriptor_is_quiet_only_if_there_is_nothing(void **state)
{
	static void (*const puts[])(const struct fixture *) = { put_two, put_many_of_others };
	static const enum reader_event_kind kinds[] = { READER_RECORDS, READER_IDLE };
	struct fixture *f = *state;
	struct pollfd polled = { .events = POLLIN };
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, strangers, STRANGERS, &err));
	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
		reader = reader_at(f->broker, log_topic, 0, at(2 * i));
		assert_ok(reader_fd(reader, &polled.fd, &err));
		assert_int_equal(event_now(reader).kind, READER_IDLE);
		at_arming = f;
		before_arming = puts[i];
		assert_ok(reader_next(reader, clock_mono_ms() - 1, &event, &err));
		assert_null(before_arming);
		assert_int_equal(event.kind, kinds[i]);
		assert_int_equal(poll(&polled, 1, 0), 1);
		assert_int_equal(next_event(reader).kind, READER_RECORDS);
		reader_close(reader);
	}
}

/* What the file of the group says. */
static uint64_t told(const struct fixture *f)
{
	struct commits commits;
	uint64_t ordinal;
	struct err err;

	commits_init(&commits);
	assert_ok(commits_load(&commits, f->dir_fd, "sink", &err));
	assert_int_equal(commits.count, 1);
	ordinal = position_ordinal(commits.items[0].next);
	commits_release(&commits);
	return ordinal;
}

/* At most once a second and at the close, but at once when it goes back: what lies between might
 * be let go of. */
static void test_commits_are_told_seldom(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink", .topics = &log_topic,
						.topic_count = 1 };
	int64_t late_ms = clock_mono_ms() + 10000;
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_int_equal(log_put(f->broker, &f->ended, 0, 9, 10), ERR_OK);
	assert_ok(broker_reader_open(f->other, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_ok(reader_commit(reader, log_topic, 0, position_of_offset(5), &err));
	assert_int_equal(told(f), 0);
	while (told(f) != 5 && clock_mono_ms() < late_ms)
		(void)event_before(reader, clock_mono_ms() + 50);
	assert_int_equal(told(f), 5);
	assert_ok(reader_commit(reader, log_topic, 0, position_of_offset(3), &err));
	assert_int_equal(told(f), 3);
	assert_ok(reader_commit(reader, log_topic, 0, position_of_offset(8), &err));
	assert_int_equal(told(f), 3);
	reader_close(reader);
	assert_int_equal(told(f), 8);
}

static size_t count_told(const struct fixture *f)
{
	struct commits commits;
	size_t count;
	struct err err;

	commits_init(&commits);
	assert_ok(commits_load(&commits, f->dir_fd, "sink", &err));
	count = commits.count;
	commits_release(&commits);
	return count;
}

/* Who lands what it had of a topic that was removed, and says so, brings nothing back into the file
 * of its group: nobody would ever take it out. */
static void test_a_removed_topic_leaves_its_group(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = { .group = "sink",
						.topics = &log_topic,
						.topic_count = 1 };
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_int_equal(log_put(f->broker, &f->ended, 0, 9, 10), ERR_OK);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	assert_int_equal(count_told(f), 1);
	assert_ok(broker_remove(f->broker, log_topic, &err));
	while (next_event(reader).kind != READER_REVOKED)
		;
	assert_ok(reader_commit(reader, log_topic, 0, position_of_offset(9), &err));
	reader_release(reader, log_topic, 0);
	reader_close(reader);
	assert_int_equal(count_told(f), 0);
}

/* Nor does one that is removed while nobody of the group is there. */
static void test_a_topic_removed_unheard_leaves_its_group(void **state)
{
	struct fixture *f = *state;
	static const struct topic_ref other = { TOPIC_LOG, "other" };
	const struct topic_ref topics[] = { log_topic, other };
	const struct reader_options options = { .group = "sink",
						.topics = topics,
						.topic_count = 2 };
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	assert_ok(create_topic(f->broker, other, 1, &err));
	assert_ok(broker_reader_open(f->other, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	reader_close(reader);
	assert_int_equal(count_told(f), 2);
	assert_ok(broker_remove(f->broker, log_topic, &err));
	assert_ok(broker_reader_open(f->other, &options, &reader, &err));
	assert_int_equal(count_told(f), 1);
	reader_close(reader);
	assert_int_equal(count_told(f), 1);
}

/* More than a file may have replaces none: without its end nobody could read it. */
static void test_a_group_of_too_much_is_not_told(void **state)
{
	enum { TOPICS = 40000 };
	struct fixture *f = *state;
	struct commits commits;
	struct err err = { 0 };

	commits_init(&commits);
	commits_set(&commits, log_topic, 1, 0, position_of_offset(7));
	assert_ok(commits_save(&commits, f->dir_fd, "sink", false, &err));
	commits.wanted = xcalloc(TOPICS, sizeof(*commits.wanted));
	commits.wanted_count = TOPICS;
	commits.wants_changed = true;
	for (size_t i = 0; i < TOPICS; i++)
		memset(commits.wanted[i].name, 'n', TOPIC_NAME_MAX);
	assert_int_equal(commits_save(&commits, f->dir_fd, "sink", false, &err), ERR_LIMIT);
	assert_int_equal(told(f), 7);
	commits_release(&commits);
}

#define LOCAL(test) cmocka_unit_test_setup_teardown(test, make_fixture, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCAL(test_why_something_is_missing),
		LOCAL(test_what_goes_before_it_is_read),
		LOCAL(test_an_old_watermark_is_no_end),
		LOCAL(test_descriptors_in_another_process),
		LOCAL(test_a_descriptor_is_quiet_only_if_there_is_nothing),
		LOCAL(test_commits_are_told_seldom),
		LOCAL(test_a_removed_topic_leaves_its_group),
		LOCAL(test_a_topic_removed_unheard_leaves_its_group),
		LOCAL(test_a_group_of_too_much_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
