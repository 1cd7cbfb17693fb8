/* The contract of store.h, run against every backend. */
#include "backends/backends.h"
#include "base/mem.h"
#include "store/store.h"
#include "scratch.h"
#include "testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY_MAX = 4 << 20 };

/* --- backends ---------------------------------------------------------- */

struct fixture {
	struct store *store;
	char dir[SCRATCH_NAME_MAX];	/* "": nothing on disk */
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

static int open_memory(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->store = store_memory_new(MEMORY_MAX);
	*state = f;
	return 0;
}

/* A decorator that never fires must not be noticed. */
static int open_faulty(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->store = store_faulty_new(store_memory_new(MEMORY_MAX), 0, ERR_IO, false);
	*state = f;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *f = *state;

	store_free(f->store);
	if (*f->dir)
		scratch_remove(f->dir);
	free(f);
	return 0;
}

static struct store *store_of(void **state) { return ((struct fixture *)*state)->store; }

/* --- helpers ----------------------------------------------------------- */

static void put(struct store *store, const char *key, const char *body)
{
	struct err err = { 0 };

	assert_ok(store_put(store, key, slice_str(body), STORE_CREATE, &err));
}

static void assert_object(struct store *store, const char *key, const char *body)
{
	struct err err = { 0 };
	uint64_t size = 0;
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_ok(store_get(store, key, 0, UINT64_MAX, &out, &err));
	assert_string_equal(buf_cstr(&out), body);
	assert_ok(store_size(store, key, &size, &err));
	assert_int_equal(size, strlen(body));
	buf_release(&out);
}

struct keys {
	struct buf text;	/* each key and a newline */
	size_t count;
	size_t count_max;	/* 0: all */
};

static bool add_key(void *user, const struct store_entry *entry)
{
	struct keys *keys = user;

	buf_addf(&keys->text, "%s\n", entry->key);
	return ++keys->count != keys->count_max;
}

static void assert_list(struct store *store, const char *prefix, const char *after,
			size_t count_max, const char *expected)
{
	struct keys keys = { .count_max = count_max };
	struct err err = { 0 };

	buf_init(&keys.text, 1 << 20);
	assert_ok(store_list(store, prefix, after, add_key, &keys, &err));
	assert_string_equal(buf_cstr(&keys.text), expected);
	buf_release(&keys.text);
}

/* --- the contract ------------------------------------------------------ */

static void test_create_then_read(void **state)
{
	struct store *store = store_of(state);

	put(store, "topics/t/partition=0/t+0+0000000000.json", "{}\n");
	assert_object(store, "topics/t/partition=0/t+0+0000000000.json", "{}\n");
	put(store, "empty", "");
	assert_object(store, "empty", "");
}

static void test_create_never_replaces(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };

	put(store, "a/b", "first");
	assert_int_equal(store_put(store, "a/b", slice_str("second"), STORE_CREATE, &err),
			 ERR_EXISTS);
	assert_object(store, "a/b", "first");
}

static void test_replace(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };

	assert_ok(store_put(store, "a", slice_str("first"), STORE_REPLACE, &err));
	assert_ok(store_put(store, "a", slice_str("2nd"), STORE_REPLACE, &err));
	assert_object(store, "a", "2nd");
}

static void test_put_once_knows_its_own_bytes(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };

	assert_ok(store_put_once(store, "a", slice_str("first"), &err));
	assert_ok(store_put_once(store, "a", slice_str("first"), &err));
	assert_int_equal(store_put_once(store, "a", slice_str("other"), &err), ERR_EXISTS);
	assert_int_equal(store_put_once(store, "a", slice_str("firs"), &err), ERR_EXISTS);
	assert_int_equal(store_put_once(store, "a", slice_str("first!"), &err), ERR_EXISTS);
	assert_object(store, "a", "first");
}

static void test_absent(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };
	uint64_t size = 7;
	struct buf out;

	buf_init(&out, 100);
	put(store, "dir/object", "x");
	assert_int_equal(store_get(store, "no", 0, 1, &out, &err), ERR_ABSENT);
	assert_int_equal(store_size(store, "no/such", &size, &err), ERR_ABSENT);
	assert_int_equal(store_size(store, "dir", &size, &err), ERR_ABSENT);
	assert_int_equal(store_size(store, "dir/object/below", &size, &err), ERR_ABSENT);
	assert_int_equal(size, 7);	/* untouched on failure */
	buf_release(&out);
}

static void test_remove(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };
	uint64_t size;

	put(store, "a/b", "x");
	assert_ok(store_remove(store, "a/b", &err));
	assert_int_equal(store_size(store, "a/b", &size, &err), ERR_ABSENT);
	assert_ok(store_remove(store, "a/b", &err));
	assert_ok(store_remove(store, "never/was/there", &err));
	put(store, "a/b", "again");
	assert_object(store, "a/b", "again");
}

static void test_get_range(void **state)
{
	static const struct { uint64_t from, len; const char *got; } cases[] = {
		{ 0, 3, "abc" }, { 2, 2, "cd" }, { 4, UINT64_MAX, "ef" },
		{ 4, 100, "ef" }, { 6, 1, "" }, { 100, 1, "" }, { 2, 0, "" },
	};
	struct store *store = store_of(state);
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 100);
	put(store, "o", "abcdef");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&out);
		buf_add_str(&out, "+");		/* get appends */
		assert_ok(store_get(store, "o", cases[i].from, cases[i].len, &out, &err));
		assert_string_equal(buf_cstr(&out) + 1, cases[i].got);
	}
	buf_release(&out);
}

static void test_get_respects_the_buffer(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 5);
	put(store, "o", "abcdef");
	assert_int_equal(store_get(store, "o", 0, UINT64_MAX, &out, &err), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
	assert_ok(store_get(store, "o", 1, UINT64_MAX, &out, &err));
	assert_string_equal(buf_cstr(&out), "bcdef");
	buf_release(&out);
}

static void test_list_is_in_byte_order_of_whole_keys(void **state)
{
	static const char *const keys[] = {
		"b", "a0", "a/b/c", "a-b/c", "A", "\xf0\x9f\x98\x80", "a/a", "a!", "a-b.json",
		"\xc3\xa9t\xc3\xa9", "a/b0",
	};
	struct store *store = store_of(state);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		put(store, keys[i], "x");
	/* '-' < '.' < '/' < '0': not the order in which one walks a tree */
	assert_list(store, "", "", 0,
		    "A\na!\na-b.json\na-b/c\na/a\na/b/c\na/b0\na0\nb\n"
		    "\xc3\xa9t\xc3\xa9\n\xf0\x9f\x98\x80\n");
}

static void test_list_prefix_and_after(void **state)
{
	struct store *store = store_of(state);

	put(store, "t/p=0/t+0+00.json", "");
	put(store, "t/p=0/t+0+10.json", "");
	put(store, "t/p=0/t+0+20.json", "");
	put(store, "t/p=10/t+10+00.json", "");
	put(store, "u", "");
	assert_list(store, "t/p=0/", "", 0, "t/p=0/t+0+00.json\nt/p=0/t+0+10.json\nt/p=0/t+0+20.json\n");
	assert_list(store, "t/p=0/t+0+1", "", 0, "t/p=0/t+0+10.json\n");
	assert_list(store, "t/p=", "t/p=0/t+0+20.json", 0, "t/p=10/t+10+00.json\n");
	assert_list(store, "t", "t/p=0/t+0+10.json", 2, "t/p=0/t+0+20.json\nt/p=10/t+10+00.json\n");
	assert_list(store, "t/p=0/", "t/p=0", 1, "t/p=0/t+0+00.json\n");
	assert_list(store, "t/p=0/", "t/q", 0, "");
	assert_list(store, "", "t/p=2", 0, "u\n");
	assert_list(store, "u", "u", 0, "");
	assert_list(store, "no/such", "", 0, "");
}

static void test_list_of_odd_prefixes_is_empty(void **state)
{
	static const char *const prefixes[] = { "/", "//", "../", "a/../", "a//b", ".tmp/", "a/./" };
	struct store *store = store_of(state);

	put(store, "a/b", "x");
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		assert_list(store, prefixes[i], "", 0, "");
}

static bool remove_it(void *user, const struct store_entry *entry)
{
	struct err err = { 0 };

	assert_ok(store_remove(user, entry->key, &err));
	return true;
}

static void test_the_callback_of_list_may_remove(void **state)
{
	struct store *store = store_of(state);
	struct err err = { 0 };

	put(store, "a/1", "x");
	put(store, "a/2", "x");
	put(store, "b", "x");
	assert_ok(store_list(store, "a/", "", remove_it, store, &err));
	assert_list(store, "", "", 0, "b\n");
}

static void test_keys(void **state)
{
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", ".tmp/x",
		".tmp", "a/.tmp/b", "a/.tmp",
	};
	static const char *const good[] = {
		"...", ".a", "a+b=c d%2F", "a/tmp/b", "a/.tmpx/b", "\xe2\x82\xac", "\x01\x7f\xff", "-", "a\nb",
	};
	struct store *store = store_of(state);
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(store_put(store, bad[i], slice_str("x"), STORE_REPLACE, &err),
				 ERR_SHAPE);
		assert_int_equal(store_remove(store, bad[i], &err), ERR_SHAPE);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		put(store, good[i], good[i]);
		assert_object(store, good[i], good[i]);
	}
}

static void test_long_keys(void **state)
{
	struct store *store = store_of(state);
	char key[STORE_KEY_MAX + 2];
	struct err err = { 0 };

	memset(key, 'k', sizeof(key));
	key[STORE_SEGMENT_MAX] = '/';
	key[2 * STORE_SEGMENT_MAX + 1] = '/';
	key[3 * STORE_SEGMENT_MAX + 2] = '/';
	key[STORE_KEY_MAX] = '\0';
	put(store, key, "long");
	assert_object(store, key, "long");
	key[STORE_KEY_MAX] = 'k';
	key[STORE_KEY_MAX + 1] = '\0';
	assert_int_equal(store_put(store, key, slice_str("x"), STORE_CREATE, &err), ERR_SHAPE);
	key[STORE_SEGMENT_MAX + 1] = '\0';
	key[STORE_SEGMENT_MAX] = 'k';
	assert_int_equal(store_put(store, key, slice_str("x"), STORE_CREATE, &err), ERR_SHAPE);
}

static char *local_file(const char *dir, const char *body)
{
	struct buf path;
	FILE *file;

	buf_init(&path, 1000);
	buf_addf(&path, "%s/pinpipe-local-%d", dir, (int)getpid());
	file = fopen(buf_cstr(&path), "w");
	assert_non_null(file);
	assert_true(fputs(body, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path.ptr;
}

static void check_put_file(struct store *store, const char *dir)
{
	char *path = local_file(dir, "moved");
	struct err err = { 0 };

	assert_ok(store_put_file(store, "t/part-0.parquet", path, &err));
	assert_int_equal(access(path, F_OK), -1);
	assert_object(store, "t/part-0.parquet", "moved");
	free(path);
	path = local_file(dir, "other");
	assert_int_equal(store_put_file(store, "t/part-0.parquet", path, &err), ERR_EXISTS);
	assert_int_equal(access(path, F_OK), 0);
	assert_object(store, "t/part-0.parquet", "moved");
	assert_int_equal(unlink(path), 0);
	free(path);
	assert_int_equal(store_put_file(store, "t/x", "/no/such/file", &err), ERR_ABSENT);
}

static void test_put_file(void **state)
{
	check_put_file(store_of(state), "/tmp");
}

static void test_put_file_from_another_file_system(void **state)
{
	struct stat here, there;

	if (stat("/tmp", &here) < 0 || stat("/dev/shm", &there) < 0 || here.st_dev == there.st_dev)
		skip();
	check_put_file(store_of(state), "/dev/shm");
}

/* --- many at once ------------------------------------------------------ */

enum { RACERS = 4, RACE_KEYS = 40 };

struct race {
	struct store *store;
	atomic_int wins;
	atomic_int others;	/* neither won nor found it taken */
};

static void *race(void *user)
{
	struct race *all = user;
	struct err err = { 0 };

	for (int i = 0; i < RACE_KEYS; i++) {
		char key[32];
		enum err_code code;

		(void)snprintf(key, sizeof(key), "d%d/k%d", i % 3, i);
		code = store_put(all->store, key, slice_str(key), STORE_CREATE, &err);
		if (code == ERR_OK)
			atomic_fetch_add(&all->wins, 1);
		else if (code != ERR_EXISTS)
			atomic_fetch_add(&all->others, 1);
	}
	return NULL;
}

static void test_of_several_creators_one_wins(void **state)
{
	struct race all = { .store = store_of(state) };
	pthread_t threads[RACERS];

	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &all), 0);
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(all.wins, RACE_KEYS);
	assert_int_equal(all.others, 0);
	assert_object(all.store, "d0/k0", "d0/k0");
}

/* Replaces an object by turns with all 'a' and all 'b', until told to stop. */
struct flipper {
	struct store *store;
	atomic_bool stop;
};

static void *flip(void *user)
{
	struct flipper *flipper = user;
	char body[20000];
	struct err err = { 0 };

	for (int i = 0; !atomic_load(&flipper->stop); i++) {
		memset(body, i % 2 ? 'b' : 'a', sizeof(body));
		if (store_put(flipper->store, "flip", slice_of(body, i % 2 ? sizeof(body) : 9),
			      STORE_REPLACE, &err) != ERR_OK)
			return user;
	}
	return NULL;
}

static void test_a_reader_sees_all_or_nothing(void **state)
{
	struct flipper flipper = { .store = store_of(state) };
	struct err err = { 0 };
	pthread_t thread;
	void *failed;
	struct buf out;

	buf_init(&out, 30000);
	put(flipper.store, "flip", "aaaaaaaaa");
	assert_int_equal(pthread_create(&thread, NULL, flip, &flipper), 0);
	for (int i = 0; i < 500; i++) {
		buf_clear(&out);
		assert_ok(store_get(flipper.store, "flip", 0, UINT64_MAX, &out, &err));
		assert_int_equal(out.len, out.ptr[0] == 'a' ? 9 : 20000);
		assert_int_equal(out.ptr[0], out.ptr[out.len - 1]);
	}
	atomic_store(&flipper.stop, true);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	buf_release(&out);
}

/* --- one backend only -------------------------------------------------- */

static void test_faulty_fails_the_call_it_was_told(void **state)
{
	struct store *store = store_faulty_new(store_memory_new(MEMORY_MAX), 2, ERR_BUSY, false);
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	put(store, "a", "x");
	assert_int_equal(store_put(store, "b", slice_str("x"), STORE_CREATE, &err), ERR_BUSY);
	assert_int_equal(store_size(store, "b", &size, &err), ERR_ABSENT);
	put(store, "b", "x");
	store_free(store);
}

static void test_faulty_can_lose_the_answer(void **state)
{
	struct store *store = store_faulty_new(store_memory_new(MEMORY_MAX), 1, ERR_UNKNOWN, true);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), ERR_UNKNOWN);
	assert_object(store, "a", "x");
	store_free(store);
}

static void test_memory_has_a_limit(void **state)
{
	struct store *store = store_memory_new(10);
	struct err err = { 0 };

	(void)state;
	put(store, "a", "12345678");
	assert_int_equal(store_put(store, "b", slice_str("123"), STORE_CREATE, &err), ERR_SPACE);
	assert_ok(store_put(store, "a", slice_str("1234567890"), STORE_REPLACE, &err));
	assert_ok(store_remove(store, "a", &err));
	put(store, "b", "123");
	store_free(store);
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
	assert_ok(store_open(url, &store, &err));
	put(store, "k", "v");
	store_free(store);
	(void)snprintf(url, sizeof(url), "file://%s/a/b/", dir);
	assert_ok(store_open(url, &store, &err));
	assert_object(store, "k", "v");
	store_free(store);
	assert_int_equal(store_open("gopher:x", &store, &err), ERR_USAGE);
	assert_int_equal(store_open("file:", &store, &err), ERR_USAGE);
	assert_int_equal(store_open("file://host/x", &store, &err), ERR_USAGE);
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

static void test_locate_is_the_path(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf path;

	buf_init(&path, 1000);
	put(f->store, "t/a.json", "1");
	assert_ok(store_locate(f->store, "t/a.json", &path, &err));
	assert_int_equal(access(buf_cstr(&path), R_OK), 0);
	buf_release(&path);
}

/* Whoever is told a path follows the links on it: none may lead out. */
static void test_locate_gives_what_is_there(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf path;

	buf_init(&path, 1000);
	put(f->store, "t/a.json", "1");
	assert_int_equal(store_locate(f->store, "t/b.json", &path, &err), ERR_ABSENT);
	assert_int_equal(store_locate(f->store, "t", &path, &err), ERR_ABSENT);
	assert_int_equal(store_locate(f->store, "../t/a.json", &path, &err), ERR_SHAPE);
	assert_int_equal(path.len, 0);
	buf_release(&path);
}

static void test_locate_follows_no_links(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf path;
	char link[200];

	buf_init(&path, 1000);
	put(f->store, "t/a.json", "1");
	(void)snprintf(link, sizeof(link), "%s/t/b.json", f->dir);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(store_locate(f->store, "t/b.json", &path, &err), ERR_ABSENT);
	(void)snprintf(link, sizeof(link), "%s/out", f->dir);
	assert_int_equal(symlink("/etc", link), 0);
	assert_int_equal(store_locate(f->store, "out/passwd", &path, &err), ERR_ABSENT);
	assert_int_equal(path.len, 0);
	buf_release(&path);
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
		(void)execl("/proc/self/exe", "test_store", dir, NULL);
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

#define ON(test, open) cmocka_unit_test_setup_teardown(test, open, close_fixture)
#define CONTRACT(open) \
	ON(test_create_then_read, open), \
	ON(test_create_never_replaces, open), \
	ON(test_replace, open), \
	ON(test_put_once_knows_its_own_bytes, open), \
	ON(test_absent, open), \
	ON(test_remove, open), \
	ON(test_get_range, open), \
	ON(test_get_respects_the_buffer, open), \
	ON(test_list_is_in_byte_order_of_whole_keys, open), \
	ON(test_list_prefix_and_after, open), \
	ON(test_list_of_odd_prefixes_is_empty, open), \
	ON(test_the_callback_of_list_may_remove, open), \
	ON(test_keys, open), \
	ON(test_long_keys, open), \
	ON(test_put_file, open), \
	ON(test_put_file_from_another_file_system, open), \
	ON(test_locate_gives_what_is_there, open), \
	ON(test_of_several_creators_one_wins, open), \
	ON(test_a_reader_sees_all_or_nothing, open)
#define FILE_ONLY(test) ON(test, open_file)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CONTRACT(open_file),
		CONTRACT(open_memory),
		CONTRACT(open_faulty),
		FILE_ONLY(test_symbolic_links_lead_nowhere),
		FILE_ONLY(test_locate_is_the_path),
		FILE_ONLY(test_locate_follows_no_links),
		FILE_ONLY(test_killed_between_steps),
		FILE_ONLY(test_failing_steps_have_the_right_code),
		FILE_ONLY(test_leftovers_of_the_living_stay),
		cmocka_unit_test(test_faulty_fails_the_call_it_was_told),
		cmocka_unit_test(test_faulty_can_lose_the_answer),
		cmocka_unit_test(test_memory_has_a_limit),
		cmocka_unit_test(test_open_by_url),
	};

	if (argc > 1)
		return putter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
