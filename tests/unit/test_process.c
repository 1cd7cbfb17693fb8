/* Children that run this same program: a test that is started with words is such a child. */
#include "flow/process.h"

#include "base/stop.h"
#include "testing.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, ENDED_WELL = 7 };

/* Says that it runs, and stays until SIGTERM. */
static int be_child(void)
{
	struct pollfd asked = { .events = POLLIN };

	stop_init();
	asked.fd = stop_fd();
	if (write(STDOUT_FILENO, "ready\n", 6) != 6)
		return 1;
	while (!stop_requested())
		(void)poll(&asked, 1, -1);
	return stop_signal() == SIGTERM ? ENDED_WELL : 1;	/* 128 + SIGTERM: it was killed */
}

static void test_child_is_asked_to_end(void **state)
{
	static const char *const args[] = { "child", NULL };
	struct process process;
	struct err err;
	struct buf line;

	(void)state;
	buf_init(&line, 100);
	assert_ok(process_start(&process, args, PROCESS_STDOUT_PIPE, &err));
	assert_ok(process_read_line(&process, &line, PATIENCE_MS, &err));
	assert_string_equal(buf_cstr(&line), "ready");
	process_stop(&process, PATIENCE_MS);
	assert_int_equal(process.status, ENDED_WELL);
	process_release(&process);
	buf_release(&line);
}

/* Also one that has not yet become the program, or has no handler yet: it is told, and does what it
 * does when it is asked to end, instead of being killed before it has done anything. */
static void test_child_that_has_only_begun_is_asked_to_end(void **state)
{
	static const char *const args[] = { "child", NULL };
	struct err err;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct process process;

		assert_ok(process_start(&process, args, PROCESS_STDOUT_NONE, &err));
		process_stop(&process, PATIENCE_MS);
		assert_int_equal(process.status, ENDED_WELL);
	}
	assert_false(stop_requested());
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_is_asked_to_end),
		cmocka_unit_test(test_child_that_has_only_begun_is_asked_to_end),
	};

	(void)argv;
	if (argc > 1)
		return be_child();
	stop_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
