/* Who makes a group durable: the committer, or the thread that uncorks. */
#include "broker/local/broker_local.h"
#include "broker/sequence.h"
#include "log_testing.h"

#include <sched.h>

enum {
	REST_DELAY_MS = 100,
	NEVER_US = 1000 * 1000 * 1000,
	ROUNDS = 500,
	FAILED_WRITES = 5,
	TRIES = 100,
};

static char tickets[SCRATCH_NAME_MAX];	/* for failpoints */

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct broker *broker;
	struct committer *committer;
	struct ended ended;
	pthread_t ended_by;		/* the last append */
};

static void need_failpoints(void)
{
#ifndef PINPIPE_FAILPOINTS
	skip();
#endif
}

static void note_done(void *user, struct append *chain)
{
	struct fixture *f = user;

	f->ended_by = pthread_self();
	ended_done(&f->ended, chain);
}

static int make_fixture(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct broker_local_options options = { .dir = f->dir, .writer = true, .done = note_done,
						.done_user = f };
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	assert_ok(broker_local_new(&options, &f->broker, &err));
	assert_ok(create_topic(f->broker, log_topic, 1, &err));
	f->committer = &local_of(f->broker)->committer;
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *f = *state;

	broker_free(f->broker);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* Waits until the committer sleeps, and makes it believe that commits have taken so long. */
static void set_pace(struct committer *committer, int64_t commit_us)
{
	bool resting = false;

	while (!resting) {
		(void)pthread_mutex_lock(&committer->lock);
		resting = committer->resting;
		if (resting)
			committer->commit_us = commit_us;
		(void)pthread_mutex_unlock(&committer->lock);
		if (!resting)
			(void)sched_yield();
	}
}

struct one {
	struct append append;
	struct append_record record;
	struct append_outcome outcome;
	int ended;
};

/* Appends one record as a turn of a loop does, and waits for its end. */
static void append_corked(struct fixture *f, struct one *one)
{
	struct err err = { 0 };

	*one = (struct one){ .record = { .value = slice_str("a") } };
	one->append = (struct append){ .topic = log_topic, .records = &one->record, .count = 1,
				       .outcomes = &one->outcome, .user = &one->ended };
	broker_cork(f->broker, true);
	assert_ok(broker_append(f->broker, &one->append, &err));
	broker_cork(f->broker, false);
	assert_int_equal(ended_wait(&f->ended, &one->ended), 1);
	assert_int_equal(one->outcome.code, ERR_OK);
}

static void test_who_uncorks_commits_what_is_quick(void **state)
{
	struct fixture *f = *state;
	bool own = false;

	/* The committer may just be about to mark the end of the log. */
	for (int i = 0; i < TRIES && !own; i++) {
		struct one one;

		set_pace(f->committer, 0);
		append_corked(f, &one);
		assert_int_equal(position_ordinal(one.outcome.position), i);
		own = pthread_equal(f->ended_by, pthread_self());
	}
	assert_true(own);
}

static void test_the_committer_takes_what_is_slow(void **state)
{
	struct fixture *f = *state;
	struct one one;

	set_pace(f->committer, NEVER_US);
	append_corked(f, &one);
	assert_false(pthread_equal(f->ended_by, pthread_self()));
}

/* A write that fails costs a segment to be read and another to be waited for: not this thread. */
static void test_the_committer_goes_on_where_a_write_fails(void **state)
{
	struct fixture *f = *state;
	char ticket[SCRATCH_NAME_MAX + 64], taken[SCRATCH_NAME_MAX + 16];

	need_failpoints();
	(void)snprintf(taken, sizeof(taken), "%s/taken", tickets);
	assert_int_equal(mkdir(taken, 0700), 0);
	(void)snprintf(ticket, sizeof(ticket), "%s/journal-write:eio", tickets);
	for (int i = 0; i < FAILED_WRITES; i++) {
		struct one one;
		int fd;

		set_pace(f->committer, 0);
		fd = open(ticket, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		(void)close(fd);
		append_corked(f, &one);
		assert_int_equal(position_ordinal(one.outcome.position), i);
		assert_int_not_equal(access(ticket, F_OK), 0);
		assert_false(pthread_equal(f->ended_by, pthread_self()));
	}
}

/* While the committer marks the end of the log, which it does when it is at rest, nobody else is
 * at the journal, however quick that would be. */
static void test_one_at_a_time_is_at_the_journal(void **state)
{
	struct fixture *f = *state;
	bool marking = false;
	struct one one;

	need_failpoints();
	while (!marking) {
		(void)pthread_mutex_lock(&f->committer->lock);
		marking = f->committer->writing && f->committer->resting;
		if (marking)
			f->committer->commit_us = 0;
		(void)pthread_mutex_unlock(&f->committer->lock);
		(void)sched_yield();
	}
	append_corked(f, &one);
	assert_false(pthread_equal(f->ended_by, pthread_self()));
}

/* Appends that wait for nothing, beside those of the thread that corks. */
static void *append_beside(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(append_text(f->broker, &f->ended, log_topic, 0, "b").code, ERR_OK);
	return NULL;
}

/* One appends and uncorks, which often commits; the other keeps the committer at it. */
static void test_two_threads_append(void **state)
{
	struct fixture *f = *state;
	struct topic_info info;
	struct err err = { 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, append_beside, f), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct one one;

		(void)pthread_mutex_lock(&f->committer->lock);
		f->committer->commit_us = 0;
		(void)pthread_mutex_unlock(&f->committer->lock);
		append_corked(f, &one);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ok(broker_describe(f->broker, log_topic, &info, &err));
	assert_int_equal(position_ordinal(info.partitions[0].next), 2 * ROUNDS);
	topic_info_release(&info);
}

static size_t group_room(struct committer *committer)
{
	size_t room = 0;

	(void)pthread_mutex_lock(&committer->lock);
	for (size_t i = 0; i < committer->open->part_count; i++)
		for (const struct chunk *c = committer->open->parts[i].first; c; c = c->next)
			room += c->room;
	(void)pthread_mutex_unlock(&committer->lock);
	return room;
}

/* A client that writes a little to each of many partitions must not fill the memory. */
static void test_a_little_takes_little_room(void **state)
{
	static const struct topic_ref wide = { TOPIC_LOG, "wide" };
	static struct append_record records[PARTITIONS_MAX];
	static struct append_outcome outcomes[PARTITIONS_MAX];
	struct fixture *f = *state;
	int ended = 0;
	struct append append = { .topic = wide, .records = records, .count = PARTITIONS_MAX,
				 .outcomes = outcomes, .user = &ended };
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, wide, PARTITIONS_MAX, &err));
	for (int32_t p = 0; p < PARTITIONS_MAX; p++)
		records[p] = (struct append_record){ .partition = p, .value = slice_str("a") };
	broker_cork(f->broker, true);
	assert_ok(broker_append(f->broker, &append, &err));
	assert_true(group_room(f->committer) <= (size_t)PARTITIONS_MAX * 1024);
	broker_cork(f->broker, false);
	assert_int_equal(ended_wait(&f->ended, &ended), 1);
	for (int32_t p = 0; p < PARTITIONS_MAX; p++)
		assert_int_equal(outcomes[p].code, ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_uncorks_commits_what_is_quick,
						make_fixture, free_fixture),
		cmocka_unit_test_setup_teardown(test_the_committer_takes_what_is_slow,
						make_fixture, free_fixture),
		cmocka_unit_test_setup_teardown(test_the_committer_goes_on_where_a_write_fails,
						make_fixture, free_fixture),
		cmocka_unit_test_setup_teardown(test_one_at_a_time_is_at_the_journal, make_fixture,
						free_fixture),
		cmocka_unit_test_setup_teardown(test_a_little_takes_little_room, make_fixture,
						free_fixture),
		cmocka_unit_test_setup_teardown(test_two_threads_append, make_fixture,
						free_fixture),
	};

	char points[64];
	int failed;

	scratch_dir(tickets);
	(void)snprintf(points, sizeof(points), "journal-rest:delay%d@1+", REST_DELAY_MS);
	(void)setenv("PINPIPE_FAILPOINTS", points, 1);
	(void)setenv("PINPIPE_FAILPOINT_TICKETS", tickets, 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_remove(tickets);
	return failed;
}
