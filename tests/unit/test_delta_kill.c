/*
 * A writer that is killed between two steps of a commit, on a real directory:
 * whatever it left, the next one goes on with it and every batch is in once.
 * Needs a build with failpoints; says so where there are none.
 */
#include "delta_fixture.h"

#include <ftw.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMITS = 24 };

#ifdef PINPIPE_FAILPOINTS

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Commit what is missing, up to the last. */
static void write_rest(const char *dir)
{
	struct store *store = NULL;
	struct err err = { 0 };
	struct delta_table *table;

	assert_ok(store_file_new(dir, &store, &err));
	table = open_table(store);
	for (int64_t n = delta_txn_version(table, "app") + 1; n < COMMITS; n++)
		append_ok(table, "app", n);
	delta_close(table);
	store_free(store);
}

static void assert_whole(const char *dir)
{
	struct store *store = NULL;
	struct err err = { 0 };
	struct delta_table *table;

	assert_ok(store_file_new(dir, &store, &err));
	table = open_table(store);
	assert_int_equal(delta_version(table), COMMITS);
	assert_int_equal(delta_file_count(table), COMMITS);
	assert_int_equal(delta_rows(table), COMMITS * (COMMITS + 1) / 2);
	assert_int_equal(delta_txn_version(table, "app"), COMMITS - 1);
	delta_close(table);
	store_free(store);
}

/* In a process of its own, because one reads its failpoints once. Gives its status. */
static int in_child(void (*run)(const char *dir), const char *dir, const char *failpoint)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setenv("PINPIPE_FAILPOINTS", failpoint, 1);
		run(dir);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_killed_between_steps(void **state)
{
	static const char *const failpoints[] = {
		"delta-before-commit:kill@1", "delta-before-commit:kill@12", "delta-committed:kill@1",
		"delta-committed:kill@2", "delta-committed:kill@11", "delta-checkpoint-written:kill@1",
		"delta-checkpoint-written:kill@2", "delta-last-checkpoint:kill@1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(failpoints); i++) {
		char dir[] = "/tmp/test_delta_kill.XXXXXX";
		int status;

		assert_non_null(mkdtemp(dir));
		status = in_child(write_rest, dir, failpoints[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(in_child(write_rest, dir, ""), 0);
		assert_int_equal(in_child(assert_whole, dir, ""), 0);
		assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	}
}

#else

static void test_killed_between_steps(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_between_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
