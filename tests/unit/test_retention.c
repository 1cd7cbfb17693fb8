/* What the log lets go of, and what it keeps for those who still want it. */
#include "base/time.h"
#include "broker/local/commits.h"
#include "broker/local/ordinals.h"
#include "broker/local/retention.h"
#include "broker/local/segment.h"
#include "broker/sequence.h"
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
	assert_ok(create_topic(broker, log_topic, 1, &err));
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

/* The event goes on after `last`; returns its own last one. */
static uint64_t take_in_order(const struct reader_event *event, uint64_t last, size_t len)
{
	char *text = xmalloc(len);

	if (event->kind == READER_GAP) {
		assert_int_equal(event->gap, GAP_RETENTION);
		assert_true(position_ordinal(event->first) == last + 1);
		last = position_ordinal(event->last);
	} else {
		assert_int_equal(event->kind, READER_RECORDS);
	}
	for (size_t i = 0; i < event->count; i++) {
		assert_true(position_ordinal(event->records[i].position) == ++last);
		log_text(last, text, len);
		assert_true(slice_eq(event->records[i].value, slice_of(text, len)));
	}
	free(text);
	return last;
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
	uint64_t first = 0, last;
	int gaps = 0;

	assert_ok(broker_local_new(&options, &broker, &err));
	assert_int_equal(log_put(broker, &ended, 0, FEW, BIG), ERR_OK);
	reader = reader_at(broker, log_topic, 0, (struct reader_start){ .kind = START_AT,
			   .position = position_of_offset(READ) });
	event = next_event(reader);	/* now it holds a segment that retention will want */
	last = take_in_order(&event, READ - 1, BIG);
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
		gaps += event.kind == READER_GAP;
		last = take_in_order(&event, last, BIG);
	}
	/* It was told of all that went before it was read; again, if more went while it read. */
	assert_true(gaps >= 1);
	reader_close(reader);
	broker_free(broker);
	assert_true(log_is_sound(f->dir, false));
}

static void nothing_to_do(void *user) { (void)user; }

static size_t segments(int dir_fd)
{
	uint64_t *bases;
	struct err err;
	size_t count;

	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	free(bases);
	return count;
}

static uint64_t oldest_segment(int dir_fd)
{
	uint64_t *bases, oldest;
	struct err err;
	size_t count;

	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	assert_true(count > 0);
	oldest = bases[0];
	free(bases);
	return oldest;
}

/* Segments that are left after retention by an age that all have, or by a byte that may stay. */
static size_t left_after_retention(int dir_fd, bool by_age)
{
	struct retention retention = { .dir_fd = dir_fd, .age_ms = by_age, .bytes_max = !by_age,
				       .first_changed = nothing_to_do };

	retention_init(&retention, 0);
	clock_sleep_ms(2);		/* the least that is older than 1 ms */
	retention_apply(&retention);
	return segments(dir_fd);
}

/* A group that has a partition and has committed nothing in it is spared, too; so is one whose
 * file a power cut has left without its bytes. */
static void test_retention_spares_what_a_group_has_not_read(void **state)
{
	static const char file[] = "groups/sink";
	enum { BIG = 100000, BIGS = 60, LEAST = 3 };
	const struct fixture *f = *state;
	struct ended ended = ENDED_INIT;
	const struct reader_options options = { .group = "sink", .topics = &log_topic,
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
	const struct reader_options options = { .group = "sink", .topics = topics,
						.topic_count = 2 };
	struct append_record record = { .value = slice_of(xcalloc(1, BIG), BIG) };
	const struct fixture *f = *state;
	struct ended ended = ENDED_INIT;
	struct append_outcome outcome;
	struct broker_reader *reader;
	struct broker *broker;
	struct err err = { 0 };
	uint64_t oldest;

	assert_ok(log_open(f->dir, true, &ended, &broker, &err));
	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_ok(reader_commit(reader, topics[0], 0, position_of_offset(0), &err));
	reader_close(reader);
	assert_ok(create_topic(broker, topics[1], 1, &err));
	for (int i = 0; i < BIGS; i++)
		assert_ok(append_and_wait(broker, &ended, topics[1], &record, 1, &outcome, &err));
	assert_true(left_after_retention(f->dir_fd, false) > LEAST + 1);
	oldest = oldest_segment(f->dir_fd);	/* with the topic's first record */
	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	/* The log may have added a segment; of the others none went. */
	assert_true(left_after_retention(f->dir_fd, false) > LEAST + 1);
	assert_int_equal(oldest_segment(f->dir_fd), oldest);
	assert_ok(reader_commit(reader, topics[1], 0, position_of_offset(BIGS), &err));
	reader_close(reader);
	broker_free(broker);
	assert_int_equal(left_after_retention(f->dir_fd, false), LEAST);
	free((char *)(uintptr_t)record.value.ptr);
}

/* How far the state of the log's second segment says that the partition was. */
static uint64_t first_end(int dir_fd, uint64_t uid)
{
	struct segment_state state;
	struct ordinals ordinals;
	struct ordinal *found;
	uint64_t *bases, next;
	struct err err;
	size_t count;

	ordinals_init(&ordinals);
	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	assert_true(count > 1);
	assert_ok(segment_state_read(dir_fd, bases[1], &ordinals, &state, &err));
	assert_true(state.known);
	found = ordinals_find(&ordinals, uid, 0);
	assert_non_null(found);
	next = found->next;
	ordinals_release(&ordinals);
	free(bases);
	return next;
}

static void commit_at(int dir_fd, const char *group, uint64_t uid, uint64_t next)
{
	struct commits commits;
	struct err err = { 0 };

	commits_init(&commits);
	(void)!commits_load(&commits, dir_fd, group, &err);
	commits_set(&commits, log_topic, uid, 0, position_of_offset(next));
	assert_ok(commits_save(&commits, dir_fd, group, true, &err));
	commits_release(&commits);
}

enum { FILL_BYTES = 100000, FILL_RECORDS = 60 };

/* Several segments of records, and none before them; returns the topic's uid. */
static uint64_t fill(const struct fixture *f)
{
	struct ended ended = ENDED_INIT;
	struct topic_info info;
	struct broker *broker;
	struct err err = { 0 };
	uint64_t uid;

	assert_ok(log_open(f->dir, true, &ended, &broker, &err));
	assert_int_equal(log_put(broker, &ended, 0, FILL_RECORDS, FILL_BYTES), ERR_OK);
	assert_ok(broker_describe(broker, log_topic, &info, &err));
	uid = strtoull(info.uid, NULL, 16);
	topic_info_release(&info);
	broker_free(broker);
	commit_at(f->dir_fd, "sink", uid, 0);
	(void)left_after_retention(f->dir_fd, false);
	assert_int_equal(unlinkat(f->dir_fd, "groups/sink", 0), 0);
	return uid;
}

/* The last record of a segment is unread, or it was the last one that was read: for each of the
 * two groups, the other one being done; by age and by bytes. */
static void test_retention_ends_exactly_at_what_was_taken(void **state)
{
	static const char *const groups[] = { "sink", "stream" };
	const struct fixture *f = *state;
	uint64_t uid = fill(f);
	size_t all = segments(f->dir_fd);

	for (int i = 0; i < 4; i++) {
		uint64_t end = first_end(f->dir_fd, uid);
		bool by_age = i / 2;

		assert_true(end > 1 && end < FILL_RECORDS);
		commit_at(f->dir_fd, groups[!(i % 2)], uid, FILL_RECORDS);
		commit_at(f->dir_fd, groups[i % 2], uid, end - 1);
		assert_int_equal(left_after_retention(f->dir_fd, by_age), all);
		commit_at(f->dir_fd, groups[i % 2], uid, end);
		assert_int_equal(left_after_retention(f->dir_fd, by_age), --all);
	}
}

static void want_only(int dir_fd, const char *group, struct topic_ref topic)
{
	struct commits commits;
	struct err err = { 0 };

	commits_init(&commits);
	(void)commits_want(&commits, &topic, 1);
	assert_ok(commits_save(&commits, dir_fd, group, true, &err));
	commits_release(&commits);
}

/* A topic that one of the two takes and has not begun with is unread from its first record on,
 * by its name or as one of all; one of another kind or name is not. */
static void test_retention_spares_what_was_not_begun(void **state)
{
	const struct fixture *f = *state;
	size_t all;

	(void)fill(f);
	all = segments(f->dir_fd);
	want_only(f->dir_fd, "sink", log_topic);
	assert_int_equal(left_after_retention(f->dir_fd, false), all);
	want_only(f->dir_fd, "sink", (struct topic_ref){ TOPIC_LOG, TOPIC_EVERY });
	assert_int_equal(left_after_retention(f->dir_fd, false), all);
	want_only(f->dir_fd, "stream", (struct topic_ref){ TOPIC_STREAM, TOPIC_EVERY });
	assert_int_equal(left_after_retention(f->dir_fd, false), all);
	want_only(f->dir_fd, "sink", (struct topic_ref){ TOPIC_LOG, "another" });
	assert_int_equal(left_after_retention(f->dir_fd, false), 3);
}

/* What anybody else has not read is told, not waited for. */
static void test_retention_does_not_wait_for_other_groups(void **state)
{
	const struct fixture *f = *state;
	uint64_t uid = fill(f);
	int fd;

	commit_at(f->dir_fd, "sinks", uid, 0);
	commit_at(f->dir_fd, "sink", uid, FILL_RECORDS);
	fd = openat(f->dir_fd, "groups/damaged", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(left_after_retention(f->dir_fd, false), 3);
}

/* Nobody can read on in a topic that was removed, so nothing is kept for that. */
static void test_retention_does_not_wait_for_a_removed_topic(void **state)
{
	const struct fixture *f = *state;
	struct ended ended = ENDED_INIT;
	uint64_t uid = fill(f);
	struct broker *broker;
	struct err err = { 0 };

	commit_at(f->dir_fd, "sink", uid, 0);
	assert_ok(log_open(f->dir, true, &ended, &broker, &err));
	assert_ok(broker_remove(broker, log_topic, &err));
	broker_free(broker);
	assert_int_equal(left_after_retention(f->dir_fd, false), 3);
}

int main(void)
{
#define KEPT(test) cmocka_unit_test_setup_teardown(test, make_fixture, free_fixture)
	const struct CMUnitTest tests[] = {
		KEPT(test_retention_recycles_and_spares_readers),
		KEPT(test_retention_spares_what_a_group_has_not_read),
		KEPT(test_retention_spares_a_topic_that_no_group_has_met),
		KEPT(test_retention_ends_exactly_at_what_was_taken),
		KEPT(test_retention_spares_what_was_not_begun),
		KEPT(test_retention_does_not_wait_for_other_groups),
		KEPT(test_retention_does_not_wait_for_a_removed_topic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
