/* Messages with descriptors: an end that does not read holds up nobody for ever. */
#include "base/handoff.h"
#include "base/time.h"
#include "testing.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 400, ENOUGH = 10000, WAIT_MS = 300, PATIENCE_MS = 20000 };

static const char message[MESSAGE_BYTES] = "whole";

static void make_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static enum err_code send_one(int fd, int64_t timeout_ms)
{
	struct err err;

	return handoff_send(fd, timeout_ms, message, sizeof(message), NULL, 0, &err);
}

static enum err_code take_one(int fd)
{
	char got[MESSAGE_BYTES];
	int fds[HANDOFF_FDS_MAX];
	size_t count = 1;
	struct err err;

	if (handoff_receive(fd, -1, PATIENCE_MS, got, sizeof(got), fds, &count, &err) != ERR_OK)
		return err.code;
	assert_memory_equal(got, message, sizeof(got));
	assert_int_equal(count, 0);
	return ERR_OK;
}

/* As many as there is room for. */
static int fill(int fd)
{
	enum err_code code = ERR_OK;
	int count = 0;

	while (count < ENOUGH && (code = send_one(fd, 0)) == ERR_OK)
		count++;
	assert_int_equal(code, ERR_TIMEOUT);
	return count;
}

static void test_what_is_not_read_is_given_up(void **state)
{
	int64_t began_ms, took_ms;
	int ends[2], count;

	(void)state;
	make_pair(ends);
	count = fill(ends[0]);
	began_ms = clock_mono_ms();
	assert_int_equal(send_one(ends[0], WAIT_MS), ERR_TIMEOUT);
	took_ms = clock_mono_ms() - began_ms;
	assert_true(took_ms >= WAIT_MS && took_ms < PATIENCE_MS);
	(void)close(ends[0]);
	while (count-- > 0)
		assert_int_equal(take_one(ends[1]), ERR_OK);
	assert_int_equal(take_one(ends[1]), ERR_CLOSED); /* nothing of those that were given up */
	(void)close(ends[1]);
}

struct reader {
	int fd, count;
};

static void *read_late(void *arg)
{
	const struct reader *reader = arg;

	clock_sleep_ms(WAIT_MS);
	for (int i = 0; i < reader->count; i++)
		assert_int_equal(take_one(reader->fd), ERR_OK);
	return NULL;
}

static void test_what_is_read_late_goes_on(void **state)
{
	struct reader reader;
	pthread_t thread;
	int ends[2];

	(void)state;
	make_pair(ends);
	reader = (struct reader){ .fd = ends[1], .count = fill(ends[0]) };
	assert_int_equal(pthread_create(&thread, NULL, read_late, &reader), 0);
	assert_int_equal(send_one(ends[0], PATIENCE_MS), ERR_OK);
	(void)pthread_join(thread, NULL);
	assert_int_equal(take_one(ends[1]), ERR_OK);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void test_an_end_that_has_gone_is_told(void **state)
{
	int ends[2];

	(void)state;
	make_pair(ends);
	assert_int_equal(handoff_peer(ends[0]), getpid());
	(void)close(ends[1]);
	assert_int_equal(send_one(ends[0], PATIENCE_MS), ERR_IO);
	(void)close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_read_is_given_up),
		cmocka_unit_test(test_what_is_read_late_goes_on),
		cmocka_unit_test(test_an_end_that_has_gone_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
