/* Who makes a group durable: the committer, or the thread that uncorks. */
#include "broker/local/broker_local.h"
#include "log_testing.h"

#include <sched.h>

enum { NEVER_US = 1000 * 1000 * 1000, ROUNDS = 500, TRIES = 100 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct broker *broker;
	struct local_broker *local;
	struct ended ended;
	pthread_t ended_by;		/* the last append */
};

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
	assert_ok(broker_create(f->broker, log_topic, 1, &err));
	f->local = local_of(f->broker);
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
static void set_pace(struct local_broker *local, int64_t commit_us)
{
	bool resting = false;

	while (!resting) {
		(void)pthread_mutex_lock(&local->lock);
		resting = local->resting;
		if (resting)
			local->commit_us = commit_us;
		(void)pthread_mutex_unlock(&local->lock);
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

		set_pace(f->local, 0);
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

	set_pace(f->local, NEVER_US);
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

static void test_two_threads_append(void **state)
{
	struct fixture *f = *state;
	struct topic_info info;
	struct err err = { 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, append_beside, f), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct one one;

		append_corked(f, &one);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ok(broker_describe(f->broker, log_topic, &info, &err));
	assert_int_equal(position_ordinal(info.partitions[0].next), 2 * ROUNDS);
	topic_info_release(&info);
}

static size_t group_room(struct local_broker *local)
{
	size_t room = 0;

	(void)pthread_mutex_lock(&local->lock);
	for (size_t i = 0; i < local->open->part_count; i++)
		for (const struct chunk *c = local->open->parts[i].first; c; c = c->next)
			room += c->room;
	(void)pthread_mutex_unlock(&local->lock);
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

	assert_ok(broker_create(f->broker, wide, PARTITIONS_MAX, &err));
	for (int32_t p = 0; p < PARTITIONS_MAX; p++)
		records[p] = (struct append_record){ .partition = p, .value = slice_str("a") };
	broker_cork(f->broker, true);
	assert_ok(broker_append(f->broker, &append, &err));
	assert_true(group_room(f->local) <= (size_t)PARTITIONS_MAX * 1024);
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
		cmocka_unit_test_setup_teardown(test_a_little_takes_little_room, make_fixture,
						free_fixture),
		cmocka_unit_test_setup_teardown(test_two_threads_append, make_fixture,
						free_fixture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
