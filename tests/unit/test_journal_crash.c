/*
 * The log when its writer dies, or the disk fails, at each named point of the
 * code. The writer and who looks at what is left run as processes of their
 * own: this program again, with arguments. Needs a build with -Dfailpoints=true.
 */
#include "broker/local/segment.h"
#include "broker/sequence.h"
#include "log_testing.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/resource.h>

enum { LEN = 40000, RECORDS = 60 };	/* a segment of 1 MiB holds 26 */

/* write DIR: appends RECORDS records more; a byte on stdout for each that was acknowledged. */
static int run_write(const char *dir)
{
	struct ended ended = ENDED_INIT;
	struct topic_info info;
	struct broker *broker;
	struct err err = { 0 };
	enum err_code code = log_open(dir, true, &ended, &broker, &err);
	uint64_t first;

	if (code != ERR_OK)
		return 3;
	code = create_topic(broker, log_topic, 1, &err);
	if (code == ERR_EXISTS)
		code = ERR_OK;
	if (code == ERR_OK)
		code = broker_describe(broker, log_topic, &info, &err);
	if (code == ERR_OK) {
		first = position_ordinal(info.partitions[0].next);
		topic_info_release(&info);
		for (uint64_t k = first; code == ERR_OK && k < first + RECORDS; k++) {
			code = log_put(broker, &ended, k, 1, LEN);
			if (code == ERR_OK && write(STDOUT_FILENO, "", 1) != 1)
				return 4;
		}
	}
	broker_free(broker);
	return code == ERR_OK ? 0 : code == ERR_UNKNOWN ? 5 : 6;
}

/* verify DIR ACKED: what was acknowledged is there, and the log takes more. */
static int run_verify(const char *dir, uint64_t acked)
{
	struct ended ended = ENDED_INIT;
	struct topic_info info;
	struct broker *broker;
	struct log_seen seen = { 0 };
	struct err err = { 0 };
	enum err_code code;

	assert_ok(log_open(dir, true, &ended, &broker, &err));
	code = create_topic(broker, log_topic, 1, &err);
	assert_true(code == ERR_EXISTS || (code == ERR_OK && acked == 0));
	assert_ok(broker_describe(broker, log_topic, &info, &err));
	seen = log_read(broker, 0, LEN);
	assert_int_equal(seen.lost, 0);
	assert_true(seen.records >= acked);
	assert_true(seen.records <= acked + 1);	/* the one whose answer nobody has seen */
	assert_int_equal(seen.records, position_ordinal(info.partitions[0].next));
	topic_info_release(&info);
	assert_ok(log_put(broker, &ended, seen.records, 3, LEN));
	seen = log_read(broker, 0, LEN);
	assert_int_equal(seen.lost, 0);
	broker_free(broker);
	assert_true(log_is_sound(dir, false));
	return 0;
}

/* Runs this program; returns its wait status, and how many bytes it wrote. */
static int run(const char *mode, const char *dir, uint64_t acked, const char *failpoints,
	       uint64_t *ret_bytes)
{
	char number[24], buf[256];
	int fds[2], status;
	uint64_t bytes = 0;
	pid_t child;
	ssize_t n;

	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)acked);
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		(void)setenv("PINPIPE_FAILPOINTS", failpoints, 1);
		(void)execl("/proc/self/exe", "test_journal_crash", mode, dir, number, NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		bytes += (uint64_t)n;
	(void)close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (ret_bytes)
		*ret_bytes = bytes;
	return status;
}

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void need_failpoints(void)
{
#ifndef PINPIPE_FAILPOINTS
	skip();
#endif
}

static const struct point {
	const char *name;
	int at[3];
} points[] = {
	{ "journal-write", { 1, 2, 40 } },
	{ "journal-written", { 1, 3, 30 } },
	{ "journal-synced", { 1, 2, 28 } },
	{ "journal-ends", { 1, 2, 31 } },
	{ "journal-watermark", { 1, 2, 33 } },
	{ "segment-create", { 1, 2, 3 } },
	{ "segment-fill", { 2, 5, 8 } },
	{ "segment-header", { 1, 2, 3 } },
	{ "segment-dirsync", { 1, 2, 4 } },
	{ "segment-roll", { 1, 2, 3 } },
	{ "catalog-write", { 1, 2, 0 } },
	{ "catalog-rename", { 1, 0, 0 } },
	{ "catalog-renamed", { 1, 0, 0 } },
	{ "recovery-cut", { 1, 0, 0 } },
	{ "recovery-state", { 1, 0, 0 } },
};

/* What a start always passes; each is the place of the second kill after some of the first ones. */
static const char *const start_points[] = {
	"recovery-cut", "recovery-state", "segment-header", "segment-dirsync", "segment-roll",
	"journal-write", "journal-written", "journal-synced", "journal-ends", "journal-watermark",
};

static void test_killed_at_every_point(void **state)
{
	size_t second = 0;

	(void)state;
	need_failpoints();
	for (size_t i = 0; i < ARRAY_LEN(points); i++)
		for (size_t k = 0; k < 3 && points[i].at[k]; k++) {
			const char *again = start_points[second++ % ARRAY_LEN(start_points)];
			char dir[SCRATCH_NAME_MAX], failpoints[64], recovery[64];
			uint64_t acked;
			int status;

			scratch_dir(dir);
			(void)snprintf(failpoints, sizeof(failpoints), "%s:kill@%d",
				       points[i].name, points[i].at[k]);
			(void)snprintf(recovery, sizeof(recovery), "%s:kill@1", again);
			status = run("write", dir, 0, failpoints, &acked);
			if (!was_killed(status))
				fail_msg("%s: not killed but %d", failpoints, status);
			/* And once more in the midst of the recovery from that. */
			status = run("verify", dir, acked, recovery, NULL);
			if (!was_killed(status))
				fail_msg("%s, %s: not killed again but %d", failpoints, recovery,
					 status);
			status = run("verify", dir, acked, "", NULL);
			if (status != 0)
				fail_msg("%s: %llu were acknowledged, then: %d", failpoints,
					 (unsigned long long)acked, status);
			scratch_remove(dir);
		}
}

/* A writer that died before it told of what is durable: nobody waits for what no reader gets. */
static void test_no_end_is_beyond_what_readers_get(void **state)
{
	(void)state;
	need_failpoints();
	for (int at = 1; at <= 40; at++) {
		char dir[SCRATCH_NAME_MAX], failpoints[64];
		struct ended ended = ENDED_INIT;
		struct topic_info info;
		struct broker *broker;
		struct err err = { 0 };

		scratch_dir(dir);
		(void)snprintf(failpoints, sizeof(failpoints), "journal-ends:kill@%d", at);
		assert_true(was_killed(run("write", dir, 0, failpoints, NULL)));
		assert_ok(log_open(dir, false, &ended, &broker, &err));
		if (broker_describe(broker, log_topic, &info, &err) == ERR_OK) {
			assert_true(position_ordinal(info.partitions[0].next) ==
				    log_read(broker, 0, LEN).next);
			topic_info_release(&info);
		}
		broker_free(broker);
		scratch_remove(dir);
	}
}

/* A sync that fails once: the segment is given up, the records are written anew, nobody notices. */
static void test_one_failed_sync_costs_nothing(void **state)
{
	static const char *const faults[] = { "journal-written:eio@7", "journal-write:enospc@9" };

	(void)state;
	need_failpoints();
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char dir[SCRATCH_NAME_MAX];
		uint64_t acked;

		scratch_dir(dir);
		assert_int_equal(run("write", dir, 0, faults[i], &acked), 0);
		assert_int_equal(acked, RECORDS);
		assert_int_equal(run("verify", dir, acked, "", NULL), 0);
		scratch_remove(dir);
	}
}

/* When the second attempt fails too the outcome is unknown, and the log stops taking records. */
static void test_a_disk_that_fails_for_good(void **state)
{
	char dir[SCRATCH_NAME_MAX];
	uint64_t acked;
	int status;

	(void)state;
	need_failpoints();
	scratch_dir(dir);
	status = run("write", dir, 0, "journal-written:eio@10+", &acked);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
	assert_int_equal(acked, 9 - 1);		/* the first sync was of the log's beginning */
	assert_int_equal(run("verify", dir, acked, "", NULL), 0);
	scratch_remove(dir);
}

/* Nothing is acknowledged from a segment whose name is not durable. */
static void test_no_segment_without_its_directory_synced(void **state)
{
	char dir[SCRATCH_NAME_MAX];
	uint64_t acked;

	(void)state;
	need_failpoints();
	scratch_dir(dir);
	/* The catalog takes the first two, then come the segments. */
	assert_int_not_equal(run("write", dir, 0, "segment-dirsync:eio@2+", &acked), 0);
	assert_int_equal(acked, 0);
	scratch_remove(dir);
}

struct late {
	struct broker *broker;
	struct ended *ended;
};

static void *put_one(void *arg)
{
	struct late *late = arg;

	return log_put(late->broker, late->ended, 1, 1, LEN) == ERR_OK ? NULL : arg;
}

/* delay DIR: what is written and not yet synced is not there for a reader. */
static int run_delay(const char *dir)
{
	struct ended ended = ENDED_INIT;
	struct broker_reader *reader;
	struct broker *broker, *other;
	struct late late;
	struct err err = { 0 };
	struct reader_event event;
	pthread_t thread;
	void *failed;

	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, log_topic, 1, &err));
	assert_ok(log_put(broker, &ended, 0, 1, LEN));
	assert_ok(log_open(dir, false, &ended, &other, &err));
	reader = reader_at(other, log_topic, 0, (struct reader_start){ .kind = START_AT,
			   .position = position_of_offset(1) });
	late = (struct late){ broker, &ended };
	assert_int_equal(pthread_create(&thread, NULL, put_one, &late), 0);
	event = event_before(reader, clock_mono_ms() + 300);
	assert_int_equal(event.kind, READER_IDLE);	/* the sync takes a second */
	event = next_event(reader);
	assert_int_equal(event.kind, READER_RECORDS);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	reader_close(reader);
	broker_free(other);
	broker_free(broker);
	return 0;
}

static void test_readers_see_only_what_is_durable(void **state)
{
	char dir[SCRATCH_NAME_MAX];

	(void)state;
	need_failpoints();
	scratch_dir(dir);
	assert_int_equal(run("delay", dir, 0, "journal-written:delay1000@3", NULL), 0);
	scratch_remove(dir);
}

/* early DIR: what a reader was given is in the log, also while the writer has yet to count it. */
static int run_early(const char *dir)
{
	struct ended ended = ENDED_INIT;
	struct broker_reader *reader;
	struct broker *broker;
	struct late late;
	struct err err = { 0 };
	struct reader_event event;
	struct reader_start after = { .kind = START_AFTER };
	pthread_t thread;
	void *failed;

	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, log_topic, 1, &err));
	assert_ok(log_put(broker, &ended, 0, 1, LEN));
	reader = reader_at(broker, log_topic, 0, (struct reader_start){ .kind = START_AT,
			   .position = position_of_offset(1) });
	late = (struct late){ broker, &ended };
	assert_int_equal(pthread_create(&thread, NULL, put_one, &late), 0);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_RECORDS);
	after.position = event.records[0].position;
	assert_ok(reader_seek(reader, log_topic, 0, after, &err));
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	reader_close(reader);
	broker_free(broker);
	return 0;
}

static void test_what_was_read_is_no_other_history(void **state)
{
	char dir[SCRATCH_NAME_MAX];

	(void)state;
	need_failpoints();
	scratch_dir(dir);
	assert_int_equal(run("early", dir, 0, "journal-watermark:delay500@3", NULL), 0);
	scratch_remove(dir);
}

struct seeking {
	struct broker *broker;
	atomic_bool begun;
	atomic_bool ended;
};

static void *seek_a_time(void *arg)
{
	const struct reader_start start = { .kind = START_TIME, .time_ms = 1 };
	struct seeking *seeking = arg;

	atomic_store(&seeking->begun, true);
	reader_close(reader_at(seeking->broker, log_topic, 0, start));
	atomic_store(&seeking->ended, true);
	return NULL;
}

/* The first segment of the log, which nobody can open until the descriptor is closed. */
static int hold_segment(const char *dir)
{
	char path[SCRATCH_NAME_MAX + 8], name[SEGMENT_NAME_MAX];
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;
	int dir_fd, fd;

	(void)snprintf(path, sizeof(path), "%s/log", dir);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	segment_name(bases[0], "segment", name);
	free(bases);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	(void)close(dir_fd);
	return fd;
}

/* seek DIR: who looks for a time in the log, and cannot go on, holds up no append. */
static int run_seek(const char *dir)
{
	enum { PATIENCE_S = 30, MEANWHILE = 5 };
	struct seeking seeking = { .begun = false };
	struct ended ended = ENDED_INIT;
	struct err err = { 0 };
	pthread_t thread;
	int held;

	(void)alarm(PATIENCE_S);
	assert_ok(log_open(dir, true, &ended, &seeking.broker, &err));
	assert_ok(create_topic(seeking.broker, log_topic, 1, &err));
	held = hold_segment(dir);
	assert_int_equal(pthread_create(&thread, NULL, seek_a_time, &seeking), 0);
	while (!atomic_load(&seeking.begun))
		clock_sleep_ms(1);
	for (uint64_t k = 0; k < MEANWHILE; k++) {
		assert_ok(log_put(seeking.broker, &ended, k, 1, LEN));
		clock_sleep_ms(10);	/* by when it looks at the log */
	}
	assert_false(atomic_load(&seeking.ended));
	(void)close(held);
	assert_int_equal(pthread_join(thread, NULL), 0);
	broker_free(seeking.broker);
	return 0;
}

static void test_no_append_waits_for_who_seeks_a_time(void **state)
{
	char dir[SCRATCH_NAME_MAX];

	(void)state;
	scratch_dir(dir);
	assert_int_equal(run("seek", dir, 0, "", NULL), 0);
	scratch_remove(dir);
}

/* remove DIR: it is not known whether the topic's removal will last. What is acknowledged after
 * that must be there for the next writer. */
static int run_remove(const char *dir)
{
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };

	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, log_topic, 1, &err));
	assert_ok(log_put(broker, &ended, 0, 1, LEN));
	assert_int_equal(broker_remove(broker, log_topic, &err), ERR_UNKNOWN);
	assert_int_equal(log_put(broker, &ended, 1, 1, LEN), ERR_NO_TOPIC);
	assert_ok(create_topic(broker, log_topic, 1, &err));
	assert_ok(log_put(broker, &ended, 1, 1, LEN));
	broker_free(broker);
	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_ok(log_put(broker, &ended, 2, 1, LEN));
	assert_int_equal(log_read(broker, 1, LEN).records, 2);
	broker_free(broker);
	return 0;
}

static void test_a_removal_that_may_not_last(void **state)
{
	char dir[SCRATCH_NAME_MAX];

	(void)state;
	need_failpoints();
	scratch_dir(dir);
	assert_int_equal(run("remove", dir, 0, "catalog-renamed:eio@2", NULL), 0);
	scratch_remove(dir);
}

static uint64_t uid_of_topic(struct broker *broker)
{
	struct topic_info info;
	struct err err = { 0 };
	uint64_t uid;

	assert_ok(broker_describe(broker, log_topic, &info, &err));
	uid = strtoull(info.uid, NULL, 16);
	topic_info_release(&info);
	return uid;
}

/* create DIR: it is not known whether the new topic will last. It takes nothing until that is
 * settled, by the next who asks or at the end of the writer's life; then it is that topic. */
static int run_create(const char *dir)
{
	static const struct topic_ref other = { TOPIC_LOG, "other" };
	struct ended ended = ENDED_INIT;
	struct broker *broker, *reader;
	struct err err = { 0 };
	uint64_t uid;

	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_int_equal(create_topic(broker, log_topic, 1, &err), ERR_UNKNOWN);
	assert_int_equal(log_put(broker, &ended, 0, 1, LEN), ERR_NO_TOPIC);
	assert_ok(log_open(dir, false, NULL, &reader, &err));
	uid = uid_of_topic(reader);
	broker_free(reader);
	assert_int_equal(create_topic(broker, log_topic, 1, &err), ERR_EXISTS);
	assert_int_equal(uid_of_topic(broker), uid);
	assert_ok(log_put(broker, &ended, 0, 1, LEN));
	assert_int_equal(create_topic(broker, other, 1, &err), ERR_UNKNOWN);
	broker_free(broker);
	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_int_equal(uid_of_topic(broker), uid);
	assert_int_equal(append_text(broker, &ended, other, 0, "a").code, ERR_OK);
	assert_int_equal(log_read(broker, 0, LEN).records, 1);
	broker_free(broker);
	return 0;
}

static void test_a_creation_that_may_not_last(void **state)
{
	char dir[SCRATCH_NAME_MAX];

	(void)state;
	need_failpoints();
	scratch_dir(dir);
	assert_int_equal(run("create", dir, 0, "catalog-renamed:eio@1;catalog-renamed:eio@3", NULL),
			 0);
	scratch_remove(dir);
}

/* space DIR: no room for another segment, then room again. */
static int run_space(const char *dir)
{
	enum { BIG = 100000 };		/* ten leave the last block of a segment alone */
	struct rlimit unlimited, none = { 0 };
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };
	enum err_code code = ERR_OK;
	uint64_t k = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_ok(log_open(dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, log_topic, 1, &err));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	none = unlimited;
	none.rlim_cur = (1 << 20) - 1;	/* a segment cannot be made, but written further */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	while (code == ERR_OK && k < 200) {
		code = log_put(broker, &ended, k, 1, BIG);
		k += code == ERR_OK;
	}
	assert_int_equal(code, ERR_SPACE);
	assert_int_equal(broker_ready(broker, TOPIC_LOG, BIG, &err), ERR_SPACE);
	assert_int_equal(log_put(broker, &ended, k, 1, BIG), ERR_SPACE);
	assert_int_equal(log_read(broker, 0, BIG).records, k);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
	for (int i = 0; i < 100 && broker_ready(broker, TOPIC_LOG, BIG, &err) != ERR_OK; i++)
		clock_sleep_ms(50);
	assert_ok(log_put(broker, &ended, k, 5, BIG));
	assert_int_equal(log_read(broker, 0, BIG).records, k + 5);
	broker_free(broker);
	assert_true(log_is_sound(dir, false));
	return 0;
}

static void test_no_space_and_space_again(void **state)
{
	char dir[SCRATCH_NAME_MAX];

	(void)state;
	scratch_dir(dir);
	assert_int_equal(run("space", dir, 0, "", NULL), 0);
	scratch_remove(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_at_every_point),
		cmocka_unit_test(test_no_end_is_beyond_what_readers_get),
		cmocka_unit_test(test_one_failed_sync_costs_nothing),
		cmocka_unit_test(test_a_disk_that_fails_for_good),
		cmocka_unit_test(test_no_segment_without_its_directory_synced),
		cmocka_unit_test(test_readers_see_only_what_is_durable),
		cmocka_unit_test(test_what_was_read_is_no_other_history),
		cmocka_unit_test(test_no_append_waits_for_who_seeks_a_time),
		cmocka_unit_test(test_a_removal_that_may_not_last),
		cmocka_unit_test(test_a_creation_that_may_not_last),
		cmocka_unit_test(test_no_space_and_space_again),
	};

	if (argc < 4)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (strcmp(argv[1], "write") == 0)
		return run_write(argv[2]);
	if (strcmp(argv[1], "verify") == 0)
		return run_verify(argv[2], strtoull(argv[3], NULL, 10));
	if (strcmp(argv[1], "delay") == 0)
		return run_delay(argv[2]);
	if (strcmp(argv[1], "early") == 0)
		return run_early(argv[2]);
	if (strcmp(argv[1], "create") == 0)
		return run_create(argv[2]);
	if (strcmp(argv[1], "seek") == 0)
		return run_seek(argv[2]);
	if (strcmp(argv[1], "remove") == 0)
		return run_remove(argv[2]);
	return run_space(argv[2]);
}
