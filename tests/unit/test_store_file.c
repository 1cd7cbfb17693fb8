/* The store of a directory: links, what is left by those who died, and the steps of a put. */
#include "base/mem.h"
#include "scratch.h"
#include "store_helpers.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct store *store;
	char dir[SCRATCH_NAME_MAX];
};

static int open_file(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	scratch_dir(f->dir);
	assert_ok(store_file_new(f->dir, &f->store, &err));
	*state = f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;

	store_free(f->store);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* However few are thought to be wanted, all are given, in order, folders and what is in them too.
 */
static void test_more_are_listed_than_were_thought(void **state)
{
	static const char *const keys[] = { "t/a-b", "t/a/1", "t/a/2", "t/a/3",
					    "t/a0",  "t/b",   "t/c/1" };
	const struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		put(f->store, keys[(i * 3 + 4) % ARRAY_LEN(keys)], "x");
	for (size_t wanted = 1; wanted <= ARRAY_LEN(keys); wanted++)
		for (size_t after = 0; after < ARRAY_LEN(keys); after++) {
			struct keys listed = { 0 }, expected = { 0 };
			struct err err = { 0 };

			buf_init(&listed.text, 1 << 20);
			buf_init(&expected.text, 1 << 20);
			for (size_t i = after; i < ARRAY_LEN(keys); i++)
				buf_addf(&expected.text, "%s\n", keys[i]);
			assert_ok(store_list_some(f->store, "t/", after ? keys[after - 1] : "",
						  wanted, add_key, &listed, &err));
			assert_string_equal(buf_cstr(&listed.text), buf_cstr(&expected.text));
			buf_release(&listed.text);
			buf_release(&expected.text);
		}
}

/* Their first two, of many that are made in no order. */
static void test_few_of_many_are_listed(void **state)
{
	enum { COUNT = 500 };
	const struct fixture *f = *state;
	struct keys listed = { .count_max = 2 };
	struct err err = { 0 };
	char key[32];

	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(key, sizeof(key), "m/%03d", i * 7 % COUNT);
		put(f->store, key, "x");
	}
	buf_init(&listed.text, 1 << 20);
	assert_ok(store_list_some(f->store, "m/", "m/123", 2, add_key, &listed, &err));
	assert_string_equal(buf_cstr(&listed.text), "m/124\nm/125\n");
	buf_release(&listed.text);
}

static void test_open_by_url(void **state)
{
	struct store *store = NULL;
	struct err err = { 0 };
	char dir[SCRATCH_NAME_MAX];
	char url[100];

	(void)state;
	scratch_dir(dir);
	(void)snprintf(url, sizeof(url), "file:%s/a/b", dir);
	assert_ok(store_open(url, NULL, &store, &err));
	put(store, "k", "v");
	store_free(store);
	(void)snprintf(url, sizeof(url), "file://%s/a/b/", dir);
	assert_ok(store_open(url, NULL, &store, &err));
	assert_object(store, "k", "v");
	store_free(store);
	(void)snprintf(url, sizeof(url), "%s/a/b", dir);	/* a path, as people write it */
	assert_ok(store_open(url, NULL, &store, &err));
	assert_object(store, "k", "v");
	store_free(store);
	assert_string_equal(store_dir(url), url);
	assert_string_equal(store_dir("./a"), "./a");
	assert_string_equal(store_dir("file:a"), "a");
	assert_null(store_dir("s3://bucket/a"));
	(void)snprintf(url, sizeof(url), "%s/absent", dir);
	assert_false(store_is_there(url));
	assert_int_equal(store_open("no-such-directory", NULL, &store, &err), ERR_USAGE);
	assert_int_equal(store_open("gopher:x", NULL, &store, &err), ERR_USAGE);
	assert_int_equal(store_open("file:", NULL, &store, &err), ERR_USAGE);
	assert_int_equal(store_open("file://host/x", NULL, &store, &err), ERR_USAGE);
	scratch_remove(dir);
}

static void test_symbolic_links_lead_nowhere(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	char path[200];
	uint64_t size;

	(void)snprintf(path, sizeof(path), "%s/out", f->dir);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(store_put(f->store, "out/x", slice_str("x"), STORE_CREATE, &err),
			 ERR_SHAPE);
	assert_int_equal(store_size(f->store, "out/x", &size, &err), ERR_ABSENT);
	assert_list(f->store, "", "", 0, "");
	assert_list(f->store, "out/", "", 0, "");
}

/* Whoever is told a path follows the links on it: none may lead out. */
static void test_fetch_follows_no_links(void **state)
{
	struct fixture *f = *state;
	struct store_fetched fetched = { 0 };
	struct err err = { 0 };
	char link[200];

	put(f->store, "t/a.json", "1");
	(void)snprintf(link, sizeof(link), "%s/t/b.json", f->dir);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(store_fetch(f->store, BY_KEY("t/b.json"), &fetched, &err), ERR_ABSENT);
	(void)snprintf(link, sizeof(link), "%s/out", f->dir);
	assert_int_equal(symlink("/etc", link), 0);
	assert_int_equal(store_fetch(f->store, BY_KEY("out/passwd"), &fetched, &err), ERR_ABSENT);
	assert_null(fetched.path);
}

/* It is there without a copy, and on the same file. */
static void test_fetch_of_a_file_is_the_file(void **state)
{
	struct fixture *f = *state;
	struct store_fetched fetched = { 0 };
	struct stat ours, there;
	struct err err = { 0 };
	char path[200];

	put(f->store, "t/a.json", "1");
	(void)snprintf(path, sizeof(path), "%s/t/a.json", f->dir);
	assert_true(store_can(f->store, STORE_CAN_FETCH_FREE));
	assert_ok(store_fetch(f->store, BY_KEY("t/a.json"), &fetched, &err));
	assert_int_equal(stat(path, &there), 0);
	assert_int_equal(fstat(fetched.fd, &ours), 0);
	assert_int_equal(ours.st_ino, there.st_ino);
	store_fetched_release(&fetched);
}

static size_t entries_of(const char *dir, const char *below)
{
	char path[200];
	size_t count = 0;
	DIR *handle;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, below);
	handle = opendir(path);
	for (const struct dirent *e; handle && (e = readdir(handle));)
		count += e->d_name[0] != '.';
	if (handle)
		(void)closedir(handle);
	return count;
}

/* In a process of its own: put "t/k", and be killed or fail at the failpoint. */
static int put_in_child(const char *dir, const char *points)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		/* Failpoints are read once a process: so this program, afresh, as putter(). */
		(void)setenv("PINPIPE_FAILPOINTS", points, 1);
		(void)execl("/proc/self/exe", "test_store_file", dir, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int putter(const char *dir)
{
	struct store *store;
	struct err err = { 0 };
	enum err_code code;

	if (store_file_new(dir, &store, &err) != ERR_OK)
		return 126;
	code = store_put(store, "t/k", slice_str("whole"), STORE_CREATE, &err);
	store_free(store);
	return (int)code;
}

/* Whatever the step: all of the object or nothing, and the next writer clears what was left. */
static void test_killed_between_steps(void **state)
{
#ifdef PINPIPE_FAILPOINTS
	static const struct { const char *points; bool there; } cases[] = {
		{ "store-temp:kill@1", false }, { "store-synced:kill@1", false },
		{ "store-linked:kill@1", true }, { "store-dirsync:kill@1", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture *f = *state;
		struct err err = { 0 };

		assert_int_equal(put_in_child(f->dir, cases[i].points), -SIGKILL);
		if (cases[i].there)
			assert_object(f->store, "t/k", "whole");
		assert_int_equal(store_put(f->store, "t/k", slice_str("whole"), STORE_CREATE, &err),
				 cases[i].there ? ERR_EXISTS : ERR_OK);
		assert_int_equal(entries_of(f->dir, ".tmp"), 1);	/* this store's own */
		(void)close_fixture(state);
		(void)open_file(state);
	}
#else
	(void)state;
	(void)put_in_child;
	(void)entries_of;
	skip();
#endif
}

static void test_failing_steps_have_the_right_code(void **state)
{
#ifdef PINPIPE_FAILPOINTS
	static const struct { const char *points; enum err_code code; } cases[] = {
		{ "store-temp:enospc@1", ERR_SPACE }, { "store-synced:eio@1", ERR_IO },
		{ "store-linked:eio@1", ERR_UNKNOWN }, { "store-dirsync:eio@1", ERR_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture *f = *state;

		assert_int_equal(put_in_child(f->dir, cases[i].points), (int)cases[i].code);
		if (cases[i].code == ERR_UNKNOWN)
			assert_object(f->store, "t/k", "whole");
		else
			assert_list(f->store, "", "", 0, "");
		(void)close_fixture(state);
		(void)open_file(state);
	}
#else
	(void)state;
	skip();
#endif
}

/* What another store is writing is not a leftover. */
static void test_leftovers_of_the_living_stay(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;
	struct err err = { 0 };

	put(f->store, "a", "x");
	assert_ok(store_file_new(f->dir, &other, &err));
	put(other, "b", "x");
	assert_int_equal(entries_of(f->dir, ".tmp"), 2);
	store_free(other);
	assert_int_equal(entries_of(f->dir, ".tmp"), 1);
	put(f->store, "c", "x");
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, open_file, close_fixture)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_symbolic_links_lead_nowhere),
		FILE_TEST(test_fetch_follows_no_links),
		FILE_TEST(test_fetch_of_a_file_is_the_file),
		FILE_TEST(test_killed_between_steps),
		FILE_TEST(test_failing_steps_have_the_right_code),
		FILE_TEST(test_leftovers_of_the_living_stay),
		cmocka_unit_test(test_open_by_url),
		FILE_TEST(test_more_are_listed_than_were_thought),
		FILE_TEST(test_few_of_many_are_listed),
	};

	if (argc > 1)
		return putter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
