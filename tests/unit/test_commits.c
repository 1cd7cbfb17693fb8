/* The file of a group, which several processes write, and which may be damaged or unreadable. */
#include "base/file.h"
#include "broker/local/commits.h"
#include "broker/sequence.h"
#include "log_testing.h"

enum { PARTITIONS = 40, UID = 7, NEW_UID = 8 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	int dir_fd;			/* of the log */
	struct ended ended;
	struct broker *broker;		/* the writer, … */
	struct broker *others[2];	/* … and two processes beside it */
};

static int make_fixture(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	char path[SCRATCH_NAME_MAX + 8];
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	assert_ok(log_open(f->dir, true, &f->ended, &f->broker, &err));
	assert_ok(create_topic(f->broker, log_topic, 2, &err));
	for (int i = 0; i < 2; i++)
		assert_ok(log_open(f->dir, false, &f->ended, &f->others[i], &err));
	(void)snprintf(path, sizeof(path), "%s/log", f->dir);
	f->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		broker_free(f->others[i]);
	broker_free(f->broker);
	(void)close(f->dir_fd);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static struct commits load(const struct fixture *f, enum err_code expected)
{
	struct commits commits;
	struct err err;

	commits_init(&commits);
	assert_int_equal(commits_load(&commits, f->dir_fd, "sink", &err), expected);
	return commits;
}

static void set(struct commits *commits, uint64_t uid, int32_t partition, uint64_t next)
{
	commits_set(commits, log_topic, uid, partition, position_of_offset(next));
}

static void save(const struct fixture *f, struct commits *commits)
{
	struct err err;

	assert_ok(commits_save(commits, f->dir_fd, "sink", false, &err));
}

/* What the file says of a partition; -1: nothing. */
static int64_t said(const struct fixture *f, uint64_t uid, int32_t partition)
{
	struct commits commits = load(f, ERR_OK);
	const struct commit *found = commits_find(&commits, uid, partition);
	int64_t next = found ? (int64_t)position_ordinal(found->next) : -1;

	commits_release(&commits);
	return next;
}

/* Each tells what it has done itself, and puts back nothing of the other's. */
static void test_what_another_told_stays(void **state)
{
	const struct fixture *f = *state;
	struct commits a = load(f, ERR_ABSENT), b;

	set(&a, UID, 0, 1);
	set(&a, UID, 1, 1);
	save(f, &a);
	b = load(f, ERR_OK);
	set(&a, UID, 0, 5);
	save(f, &a);
	set(&b, UID, 1, 7);
	save(f, &b);
	assert_int_equal(said(f, UID, 0), 5);
	assert_int_equal(said(f, UID, 1), 7);
	set(&b, UID, 0, 3);	/* forward, as far as it knows, … */
	save(f, &b);
	assert_int_equal(said(f, UID, 0), 5);
	set(&a, UID, 0, 4);	/* … and this is back, … */
	set(&a, UID, 0, 4);
	save(f, &a);
	assert_int_equal(said(f, UID, 0), 4);
	set(&b, UID, 0, 6);	/* … once */
	save(f, &b);
	set(&a, UID, 1, 2);
	save(f, &a);
	assert_int_equal(said(f, UID, 0), 6);
	assert_int_equal(said(f, UID, 1), 7);
	commits_release(&a);
	commits_release(&b);
}

/* A topic that is gone is forgotten for both; what another has begun of its successor is not. */
static void test_a_topic_that_is_gone(void **state)
{
	const struct fixture *f = *state;
	struct commits a = load(f, ERR_ABSENT), b;

	set(&a, UID, 0, 1);
	save(f, &a);
	b = load(f, ERR_OK);
	set(&b, NEW_UID, 0, 2);
	assert_false(commits_has(&b, UID, 0));
	save(f, &b);
	assert_int_equal(said(f, UID, 0), -1);
	commits_forget(&a, log_topic);
	assert_false(commits_has(&a, UID, 0));
	save(f, &a);
	save(f, &a);
	assert_int_equal(said(f, NEW_UID, 0), 2);
	commits_release(&a);
	commits_release(&b);
}

/* The last to say so says which topics are wanted. */
static void test_who_came_last_wants(void **state)
{
	static const struct topic_ref other = { TOPIC_LOG, "other" };
	const struct fixture *f = *state;
	struct commits a = load(f, ERR_ABSENT), b, file;

	assert_true(commits_want(&a, &log_topic, 1));
	save(f, &a);
	b = load(f, ERR_OK);
	assert_false(commits_want(&b, &log_topic, 1));
	assert_true(commits_want(&b, &other, 1));
	save(f, &b);
	set(&a, UID, 0, 1);
	save(f, &a);
	file = load(f, ERR_OK);
	assert_int_equal(file.wanted_count, 1);
	assert_string_equal(file.wanted[0].name, "other");
	commits_release(&a);
	commits_release(&b);
	commits_release(&file);
}

/* What was lost of a damaged file each of its members tells anew. */
static void test_a_damaged_file_is_told_anew(void **state)
{
	const struct fixture *f = *state;
	struct commits a = load(f, ERR_ABSENT);
	struct err err;

	assert_true(commits_want(&a, &log_topic, 1));
	set(&a, UID, 0, 1);
	set(&a, UID, 1, 2);
	save(f, &a);
	assert_ok(file_write(f->dir_fd, "groups/sink", slice_str("half"), false, "a file", &err));
	(void)load(f, ERR_CORRUPT);
	set(&a, UID, 1, 3);
	save(f, &a);
	assert_int_equal(said(f, UID, 0), 1);
	assert_int_equal(said(f, UID, 1), 3);
	commits_release(&a);
}

/* One that cannot be read may say what nobody else knows: it is not written over. */
static void test_a_file_that_cannot_be_read_stays(void **state)
{
	const struct reader_options options = { .group = "sink", .topics = &log_topic,
						.topic_count = 1 };
	const struct fixture *f = *state;
	struct commits a = load(f, ERR_ABSENT);
	struct broker_reader *reader;
	struct position ignored;
	struct err err = { 0 };

	set(&a, UID, 0, 9);
	save(f, &a);
	assert_int_equal(renameat(f->dir_fd, "groups/sink", f->dir_fd, "groups/real"), 0);
	assert_int_equal(symlinkat("real", f->dir_fd, "groups/sink"), 0);
	assert_int_not_equal(broker_committed(f->others[0], "sink", log_topic, 0, &ignored, &err),
			     ERR_ABSENT);
	assert_int_not_equal(broker_commit(f->others[0], "sink", log_topic, 0,
					   position_of_offset(1), &err), ERR_OK);
	assert_ok(broker_reader_open(f->others[0], &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(renameat(f->dir_fd, "groups/real", f->dir_fd, "groups/sink"), 0);
	assert_int_equal(said(f, UID, 0), 9);
	reader_close(reader);
	assert_int_equal(said(f, UID, 0), 9);	/* and what the reader has is told beside it */
	commits_release(&a);
	a = load(f, ERR_OK);
	assert_int_equal(a.wanted_count, 1);
	assert_int_equal(a.count, 2);
	commits_release(&a);
}

/* Both members of one group, each in a process of its own. */
static void test_two_members(void **state)
{
	const struct reader_options options = { .group = "sink", .topics = &log_topic,
						.topic_count = 1 };
	const struct fixture *f = *state;
	struct broker_reader *readers[2];
	struct position next;
	struct err err = { 0 };

	for (int i = 0; i < 2; i++) {
		assert_ok(broker_reader_open(f->others[i], &options, &readers[i], &err));
		for (int k = 0; k < 2; k++)
			assert_int_equal(next_event(readers[i]).kind, READER_ASSIGNED);
	}
	for (int i = 0; i < 2; i++)
		assert_ok(reader_commit(readers[i], log_topic, i, position_of_offset(5), &err));
	for (int i = 0; i < 2; i++)
		reader_close(readers[i]);
	for (int i = 0; i < 2; i++) {
		assert_ok(broker_committed(f->broker, "sink", log_topic, i, &next, &err));
		assert_int_equal(position_ordinal(next), 5);
	}
}

/* Writes and writes, the partition of `which` going forward. */
static int write_always(const struct fixture *f, int32_t which)
{
	enum { TIMES = 400 };
	struct commits commits;
	struct err err;

	commits_init(&commits);
	for (int32_t p = 0; p < PARTITIONS; p += which + 1)
		set(&commits, UID, p, 0);
	for (uint64_t k = 1; k <= TIMES; k++) {
		set(&commits, UID, which, k);
		if (commits_save(&commits, f->dir_fd, "sink", false, &err) != ERR_OK)
			return 1;
	}
	commits_release(&commits);
	return 0;
}

/* Whoever reads it meanwhile finds it whole, and positions that only rise. */
static void test_two_processes_write_at_once(void **state)
{
	const struct fixture *f = *state;
	struct commits first = load(f, ERR_ABSENT);
	int64_t seen[2] = { 0 };
	pid_t children[2];
	int status;

	set(&first, UID, 0, 0);
	set(&first, UID, 1, 0);
	save(f, &first);
	commits_release(&first);
	for (int32_t i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(write_always(f, i));
	}
	for (int ended = 0; ended < 2;) {
		for (int32_t i = 0; i < 2; i++) {
			int64_t now = said(f, UID, i);

			assert_true(now >= seen[i]);
			seen[i] = now;
			if (children[i] == 0 || waitpid(children[i], &status, WNOHANG) == 0)
				continue;
			assert_int_equal(status, 0);
			children[i] = 0;
			ended++;
		}
	}
	assert_int_equal(said(f, UID, 0), said(f, UID, 1));
	assert_int_equal(said(f, UID, 0), 400);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_fixture, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_another_told_stays),
		TEST(test_a_topic_that_is_gone),
		TEST(test_who_came_last_wants),
		TEST(test_a_damaged_file_is_told_anew),
		TEST(test_a_file_that_cannot_be_read_stays),
		TEST(test_two_members),
		TEST(test_two_processes_write_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
