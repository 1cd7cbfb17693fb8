/* The decorators of stores, and what store.c checks once for all backends. */
#include "backends/backends.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "scratch.h"
#include "store/layer.h"
#include "store_helpers.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY_MAX = 64 << 20 };

/* --- for tests ------------------------------------------------------------- */

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

/* --- a service that answers badly -------------------------------------------- */

enum moody_fault { WELL, BACKWARDS, BEFORE, ELSEWHERE, TOO_MUCH };

/* What the next calls of a store end with, and how far a listing comes before. */
struct moody {
	struct store_layer layer;
	enum err_code moods[10];	/* ERR_OK ends them */
	int at;
	size_t keys;			/* that a listing gives before it fails */
	enum moody_fault fault;
	size_t given;
	store_each_fn *each;
	void *user;
	int calls;
};

static struct moody *moody(struct store *store) { return (struct moody *)store; }

static enum err_code mood(struct store *store, struct err *err)
{
	enum err_code code = moody(store)->moods[moody(store)->at];

	moody(store)->calls++;
	if (code == ERR_OK)
		return ERR_OK;
	moody(store)->at++;
	return err_set(err, code, "try %d", moody(store)->at);
}

static enum err_code moody_put(struct store *store, const struct store_put *put, struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_put(store, put, err) : err->code;
}

static enum err_code moody_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			       struct buf *out, struct err *err)
{
	buf_add_str(out, moody(store)->fault == TOO_MUCH ? "much more than was asked for" : "");
	buf_add_str(out, moody(store)->moods[moody(store)->at] == ERR_OK ? "" : "a part");
	return mood(store, err) == ERR_OK ? store_layer_get(store, key, from, len, out, err) :
					    err->code;
}

static enum err_code moody_stat(struct store *store, const char *key, struct store_stat *ret_stat,
				struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_stat(store, key, ret_stat, err) :
					    err->code;
}

static bool moody_give(void *user, const struct store_entry *entry)
{
	struct moody *moody = user;

	if (moody->moods[moody->at] != ERR_OK && moody->given++ == moody->keys)
		return false;
	return moody->each(moody->user, entry);
}

static enum err_code moody_list(struct store *store, const char *prefix, const char *after,
				size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	static const char *const wrong[] = { [BACKWARDS] = "a/0", [BEFORE] = "a/1",
					     [ELSEWHERE] = "b" };
	enum err_code code;

	moody(store)->given = 0;
	moody(store)->each = each;
	moody(store)->user = user;
	code = store_layer_list(store, prefix, after, wanted, moody_give, store, err);
	if (code == ERR_OK && moody(store)->fault != WELL)
		(void)each(user, &(struct store_entry){ .key = wrong[moody(store)->fault] });
	return code == ERR_OK ? mood(store, err) : code;
}

static enum err_code moody_remove(struct store *store, const char *key, struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_remove(store, key, err) : err->code;
}

static enum err_code moody_fetch(struct store *store, const struct store_entry *entry,
				 struct store_fetched *ret_fetched, struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_fetch(store, entry, ret_fetched, err)
					  : err->code;
}

static const struct store_ops moody_ops = {
	.name = "moody", .put = moody_put, .get = moody_get, .stat = moody_stat,
	.list = moody_list, .remove = moody_remove, .fetch = moody_fetch,
	.fetch_dir = store_layer_fetch_dir, .can = store_layer_can,
	.free = store_layer_free,
};

static struct moody *moody_new(void)
{
	struct moody *moody = xcalloc(1, sizeof(*moody));

	moody->layer = (struct store_layer){ { &moody_ops }, store_memory_new(MEMORY_MAX) };
	return moody;
}

/* --- what is checked once ------------------------------------------------------ */

static bool see_key(void *user, const struct store_entry *entry)
{
	(void)entry;
	++*(int *)user;
	return true;
}

static void test_a_listing_out_of_order_is_an_error(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = &moody->layer.base;
	struct err err = { 0 };

	(void)state;
	put(store, "a/1", "x");
	put(store, "a/2", "x");
	for (int fault = BACKWARDS; fault <= ELSEWHERE; fault++) {
		int seen = 0;

		moody->fault = WELL;
		assert_ok(store_list(store, "a/", "", see_key, &seen, &err));
		assert_int_equal(seen, 2);
		moody->fault = (enum moody_fault)fault;
		assert_int_equal(store_list(store, "a/", fault == BEFORE ? "a/1" : "", see_key, &seen,
					    &err), ERR_CORRUPT);
		/* The wrong one is not given. */
		assert_int_equal(seen, fault == BEFORE ? 3 : 4);
	}
	store_free(store);
}

static void test_a_get_of_too_much_is_an_error(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = &moody->layer.base;
	struct err err = { 0 };
	struct buf out;

	(void)state;
	put(store, "a", "abc");
	buf_init(&out, 1000);
	buf_add_str(&out, "+");
	moody->fault = TOO_MUCH;
	assert_int_equal(store_get(store, "a", 0, 3, &out, &err), ERR_CORRUPT);
	assert_int_equal(out.len, 1);
	buf_release(&out);
	store_free(store);
}

/* A code that a call does not have is a bug of the backend. */
static void test_a_code_that_a_call_does_not_have_ends_the_program(void **state)
{
	static const enum err_code codes[] = { ERR_EXISTS, ERR_NO_TOPIC, ERR_UNKNOWN };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct moody *moody = moody_new();
			struct err err;
			uint64_t size;

			(void)signal(SIGABRT, SIG_DFL);
			(void)!freopen("/dev/null", "w", stderr);
			moody->moods[0] = codes[i];
			(void)!store_size(&moody->layer.base, "a", &size, &err);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

/* Of a backend under three decorators each call is counted once, with its time. */
static void test_calls_are_counted_once(void **state)
{
	struct store *slow = store_slow_new(store_memory_new(MEMORY_MAX), 0);
	struct store *store = store_trace_new(store_retry_new(slow, 0));
	int64_t puts = metric_get(METRIC_STORE_PUTS), gets = metric_get(METRIC_STORE_GETS);
	int64_t failed = metric_get(METRIC_STORE_FAILED);
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	put(store, "a", "x");
	assert_object(store, "a", "x");
	assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), ERR_EXISTS);
	assert_int_equal(store_size(store, "b", &size, &err), ERR_ABSENT);
	assert_int_equal(metric_get(METRIC_STORE_PUTS) - puts, 2);
	assert_int_equal(metric_get(METRIC_STORE_GETS) - gets, 1);
	assert_int_equal(metric_get(METRIC_STORE_FAILED) - failed, 0);
	store_free(store);
}

static bool dawdle(void *user, const struct store_entry *entry)
{
	(void)user;
	(void)entry;
	(void)usleep(50000);
	return true;
}

static void test_time_is_the_store_s_own(void **state)
{
	struct store *store = store_memory_new(MEMORY_MAX);
	int64_t before_us = metric_get(METRIC_STORE_LIST_US);
	struct err err = { 0 };

	(void)state;
	put(store, "a", "x");
	assert_ok(store_list(store, "", "", dawdle, NULL, &err));
	assert_in_range(metric_get(METRIC_STORE_LIST_US) - before_us, 0, 40000);
	store_free(store);
}

/* --- retry --------------------------------------------------------------------- */

enum { FOR_MS = 60000 };

static void test_what_is_refused_for_the_moment_is_asked_again(void **state)
{
	static const enum err_code moods[] = { ERR_BUSY, ERR_TIMEOUT, ERR_BUSY, ERR_OK };
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, FOR_MS);
	struct store_fetched fetched;
	struct err err = { 0 };
	uint64_t size;

	(void)state;
#define AGAIN (memcpy(moody->moods, moods, sizeof(moods)), moody->at = 0, moody->calls = 0)
	AGAIN;
	put(store, "a", "x");
	assert_int_equal(moody->calls, 4);
	AGAIN;
	assert_object(store, "a", "x");
	AGAIN;
	assert_ok(store_size(store, "a", &size, &err));
	AGAIN;
	assert_list(store, "", "", 0, "a\n");
	AGAIN;
	assert_ok(store_fetch(store, BY_KEY("a"), &fetched, &err));
	store_fetched_release(&fetched);
	AGAIN;
	assert_ok(store_remove(store, "a", &err));
	store_free(store);
}

/* An answer that was lost on the way: what reads is asked again, what writes is the caller's to
 * look after. */
static void test_an_error_on_the_way(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, FOR_MS);
	static const enum err_code codes[] = { ERR_IO, ERR_UNKNOWN };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		moody->moods[0] = codes[i];
		moody->at = 0;
		assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), codes[i]);
		assert_int_equal(moody->at, 1);
	}
	put(store, "a", "x");
	moody->moods[0] = moody->moods[1] = ERR_IO;
	moody->at = 0;
	assert_object(store, "a", "x");
	store_free(store);
}

static void test_what_no_other_try_can_mend_is_told_at_once(void **state)
{
	static const enum err_code codes[] = { ERR_DENIED, ERR_AUTH, ERR_CORRUPT, ERR_LIMIT };
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, FOR_MS);
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		moody->moods[0] = codes[i];
		moody->at = moody->calls = 0;
		assert_int_equal(store_get(store, "a", 0, 1, &out, &err), codes[i]);
		assert_int_equal(moody->calls, 1);
	}
	buf_release(&out);
	store_free(store);
}

static void test_tries_end(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, 0);
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	moody->moods[0] = moody->moods[1] = ERR_BUSY;
	assert_int_equal(store_size(store, "a", &size, &err), ERR_BUSY);
	assert_string_equal(err.msg, "try 1");
	store_free(store);
}

/* No key twice, and none left out, wherever the listing breaks off. */
static void test_a_listing_goes_on_where_it_broke_off(void **state)
{
	for (size_t keys = 0; keys <= 3; keys++) {
		struct moody *moody = moody_new();
		struct store *store = store_retry_new(&moody->layer.base, FOR_MS);

		put(store, "k/1", "x");
		put(store, "k/2", "x");
		put(store, "k/3", "x");
		moody->moods[0] = moody->moods[1] = moody->moods[2] = ERR_BUSY;
		moody->keys = keys;
		assert_list(store, "k/", "", 0, "k/1\nk/2\nk/3\n");
		moody->at = 0;
		assert_list(store, "k/", "k/1", 1, "k/2\n");
		store_free(store);
	}
	(void)state;
}

/* --- cache ----------------------------------------------------------------------- */

static size_t files_in(const char *dir)
{
	DIR *handle = opendir(dir);
	size_t count = 0;

	assert_non_null(handle);
	for (const struct dirent *e; (e = readdir(handle));)
		count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(handle);
	return count;
}

static struct store *cache_over(struct store *inner, const char *dir, const char *of,
				uint64_t bytes_max)
{
	struct store *store = NULL;
	struct err err = { 0 };

	assert_ok(store_cache_new(inner, dir, of, bytes_max, &store, &err));
	return store;
}

static void fetch_and_let_go(struct store *store, const char *key)
{
	struct store_fetched fetched;
	struct err err = { 0 };

	assert_ok(store_fetch(store, BY_KEY(key), &fetched, &err));
	store_fetched_release(&fetched);
}

/* A second process, in effect: what one has fetched the other asks nobody for. */
static void test_what_is_kept_is_shared(void **state)
{
	struct moody *moody = moody_new();
	struct store *first, *second;
	char dir[SCRATCH_NAME_MAX];
	struct err err = { 0 };

	(void)state;
	scratch_dir(dir);
	first = cache_over(&moody->layer.base, dir, "s3://b", 1 << 20);
	second = cache_over(store_memory_new(1 << 20), dir, "s3://b", 1 << 20);
	put(first, "a", "x");
	moody->calls = 0;
	fetch_and_let_go(first, "a");
	assert_int_equal(moody->calls, 1);
	fetch_and_let_go(first, "a");
	fetch_and_let_go(second, "a");		/* its own store has no such object */
	assert_int_equal(moody->calls, 1);
	assert_int_equal(files_in(dir), 1);
	store_free(second);
	second = cache_over(store_memory_new(1 << 20), dir, "s3://c", 1 << 20);
	{
		struct store_fetched none;

		assert_int_equal(store_fetch(second, BY_KEY("a"), &none, &err), ERR_ABSENT);
	}
	store_free(second);
	store_free(first);
	scratch_remove(dir);
}

static void assert_kept(struct store *store, const struct store_entry *entry, const char *body)
{
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 1000);
	assert_ok(store_get_kept(store, entry, &out, &err));
	assert_string_equal(buf_cstr(&out), body);
	buf_release(&out);
}

static void assert_fetches(struct store *store, const struct store_entry *entry, const char *body)
{
	struct store_fetched fetched;
	struct err err = { 0 };
	char text[100] = "";

	assert_ok(store_fetch(store, entry, &fetched, &err));
	assert_int_equal(fetched.size, strlen(body));
	assert_int_equal(pread(fetched.fd, text, sizeof(text) - 1, 0), strlen(body));
	assert_string_equal(text, body);
	store_fetched_release(&fetched);
}

/* Past the cache, as by another machine. */
static void make_anew(struct store *inner, const char *key, const char *body)
{
	struct err err = { 0 };

	assert_ok(store_remove(inner, key, &err));
	put(inner, key, body);
}

/* A name says once more what it said before, of another object, which is as long. */
static void test_what_came_in_place_of_another_is_fetched(void **state)
{
	struct moody *moody = moody_new();
	struct store *inner = moody->layer.inner;
	char dir[SCRATCH_NAME_MAX];
	struct store_entry one, two;
	struct store *store;

	(void)state;
	scratch_dir(dir);
	store = cache_over(&moody->layer.base, dir, "s3://b", 1 << 20);
	put(inner, "a", "one");
	one = listed(inner, "a");
	assert_kept(store, &one, "one");
	make_anew(inner, "a", "two");
	two = listed(inner, "a");
	assert_int_equal(one.size, two.size);
	assert_int_not_equal(one.version, 0);
	assert_kept(store, &two, "two");
	assert_fetches(store, &two, "two");
	moody->calls = 0;
	assert_kept(store, &one, "one");
	assert_kept(store, &two, "two");
	assert_int_equal(moody->calls, 0);
	store_free(store);
	scratch_remove(dir);
}

/* Of what only a key and a size are known: the size. */
static void test_what_came_in_place_of_a_data_file(void **state)
{
	struct store *inner = store_memory_new(MEMORY_MAX);
	const struct store_entry three = { .key = "a", .size = 5 };
	char dir[SCRATCH_NAME_MAX];
	struct store *store;

	(void)state;
	scratch_dir(dir);
	store = cache_over(inner, dir, "s3://b", 1 << 20);
	put(inner, "a", "one");
	assert_fetches(store, BY_KEY("a"), "one");
	make_anew(inner, "a", "three");
	assert_fetches(store, &three, "three");
	assert_fetches(store, BY_KEY("a"), "three");
	store_free(store);
	scratch_remove(dir);
}

/* What is kept of the object before is not what is there now, which is known where it was put. */
static void test_what_is_created_where_another_was(void **state)
{
	struct store *inner = store_memory_new(MEMORY_MAX);
	char dir[SCRATCH_NAME_MAX], path[SCRATCH_NAME_MAX + 8];
	struct err err = { 0 };
	struct store *store;
	FILE *file;

	(void)state;
	scratch_dir(dir);
	(void)snprintf(path, sizeof(path), "%s.file", dir);
	store = cache_over(inner, dir, "s3://b", 1 << 20);
	put(store, "a", "one");
	assert_fetches(store, BY_KEY("a"), "one");
	assert_ok(store_remove(inner, "a", &err));
	put(store, "a", "two");
	assert_fetches(store, BY_KEY("a"), "two");
	assert_ok(store_remove(inner, "a", &err));
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fputs("six", file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
	assert_ok(store_put_file(store, "a", path, &err));
	assert_fetches(store, BY_KEY("a"), "six");
	store_free(store);
	scratch_remove(dir);
}

/* What was put from a file here is here already, unless it would push out what else is. */
static void test_what_is_put_from_a_file_is_kept(void **state)
{
	enum { BOUND = 16 * 999 };
	struct moody *moody = moody_new();
	char dir[SCRATCH_NAME_MAX], path[SCRATCH_NAME_MAX + 8];
	struct err err = { 0 };
	struct store *store;

	(void)state;
	scratch_dir(dir);
	(void)snprintf(path, sizeof(path), "%s.file", dir);
	store = cache_over(&moody->layer.base, dir, "s3://b", BOUND);
	for (int size = 999; size <= 1000; size++) {
		struct store_fetched fetched;
		FILE *file = fopen(path, "we");
		char key[16];

		assert_non_null(file);
		assert_int_equal(fprintf(file, "%0*d", size, 7), size);
		assert_int_equal(fclose(file), 0);
		(void)snprintf(key, sizeof(key), "k%d", size);
		assert_ok(store_put_file(store, key, path, &err));
		assert_int_equal(access(path, F_OK), -1);
		moody->calls = 0;
		assert_ok(store_fetch(store, BY_KEY(key), &fetched, &err));
		assert_int_equal(fetched.size, size);
		assert_int_equal(moody->calls, size > BOUND / 16);
		store_fetched_release(&fetched);
	}
	store_free(store);
	scratch_remove(dir);
}

enum { OBJECT_BYTES = 1000, OBJECTS = 40, KEPT_MAX = 10 * OBJECT_BYTES };

static void put_objects(struct store *store)
{
	static char body[OBJECT_BYTES + 1];

	memset(body, 'x', OBJECT_BYTES);
	for (int i = 0; i < OBJECTS; i++) {
		char key[20];

		(void)snprintf(key, sizeof(key), "k%02d", i);
		put(store, key, body);
	}
}

static void test_the_cache_is_bounded(void **state)
{
	struct moody *moody = moody_new();
	char dir[SCRATCH_NAME_MAX], key[20];
	struct store *store;

	(void)state;
	scratch_dir(dir);
	store = cache_over(&moody->layer.base, dir, "m", KEPT_MAX);
	put_objects(store);
	for (int i = 0; i < OBJECTS; i++) {
		(void)snprintf(key, sizeof(key), "k%02d", i);
		fetch_and_let_go(store, key);
		if (i > 0)
			fetch_and_let_go(store, "k00");		/* in use all the time */
		assert_in_range(files_in(dir), 1, KEPT_MAX / OBJECT_BYTES);
		(void)usleep(2000);	/* times of files are those of the kernel's tick */
	}
	moody->calls = 0;
	fetch_and_let_go(store, "k00");		/* used last stays, used first went */
	fetch_and_let_go(store, "k39");
	assert_int_equal(moody->calls, 0);
	fetch_and_let_go(store, "k01");
	assert_int_equal(moody->calls, 1);
	store_free(store);
	scratch_remove(dir);
}

/* What is fetched stays under its path until it is released, also for another process' scan. */
static void test_what_is_in_use_is_not_removed(void **state)
{
	struct store_fetched fetched[OBJECTS];
	char dir[SCRATCH_NAME_MAX], key[20];
	struct store *store, *other;
	struct err err = { 0 };

	(void)state;
	scratch_dir(dir);
	store = cache_over(store_memory_new(MEMORY_MAX), dir, "m", KEPT_MAX);
	put_objects(store);
	for (int i = 0; i < OBJECTS; i++) {
		(void)snprintf(key, sizeof(key), "k%02d", i);
		assert_ok(store_fetch(store, BY_KEY(key), &fetched[i], &err));
	}
	other = cache_over(store_memory_new(MEMORY_MAX), dir, "m", OBJECT_BYTES);
	put(other, "more", "x");
	fetch_and_let_go(other, "more");
	for (int i = 0; i < OBJECTS; i++) {
		struct stat ours, there;

		assert_int_equal(stat(fetched[i].path, &there), 0);
		assert_int_equal(fstat(fetched[i].fd, &ours), 0);
		assert_int_equal(ours.st_ino, there.st_ino);
		store_fetched_release(&fetched[i]);
	}
	put(other, "again", "x");
	store_free(other);
	other = cache_over(store_memory_new(MEMORY_MAX), dir, "m", OBJECT_BYTES);
	put(other, "again", "x");
	fetch_and_let_go(other, "again");
	assert_int_equal(files_in(dir), 2);	/* "more" and "again", of a byte each */
	store_free(other);
	store_free(store);
	scratch_remove(dir);
}

/* Half of an object has no name; what a writer that died left goes with the next scan. */
static void test_leftovers_of_the_cache(void **state)
{
	char dir[SCRATCH_NAME_MAX], path[200];
	struct store *store;
	FILE *file;

	(void)state;
	scratch_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/.999999-0", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	store = cache_over(store_memory_new(MEMORY_MAX), dir, "m", 1 << 20);
	put(store, "a", "x");
	fetch_and_let_go(store, "a");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(files_in(dir), 1);
	store_free(store);
	scratch_remove(dir);
}

/* Several at a time: 16 fetches of 50 ms each are not 800 ms. */
static void test_many_are_fetched_at_once(void **state)
{
	struct store *memory = store_memory_new(MEMORY_MAX), *store;
	struct store_fetched list[16];
	struct store_entry entries[16] = { 0 };
	char names[16][20];
	struct err err = { 0 };
	int64_t start_ms;

	(void)state;
	put_objects(memory);
	store = store_slow_new(memory, 50);
	for (int i = 0; i < 16; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "k%02d", i);
		entries[i].key = names[i];
	}
	start_ms = clock_mono_ms();
	assert_ok(store_fetch_all(store, entries, 16, list, &err));
	assert_in_range(clock_mono_ms() - start_ms, 50, 400);
	store_fetched_release_all(list, 16);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faulty_fails_the_call_it_was_told),
		cmocka_unit_test(test_faulty_can_lose_the_answer),
		cmocka_unit_test(test_memory_has_a_limit),
		cmocka_unit_test(test_a_listing_out_of_order_is_an_error),
		cmocka_unit_test(test_a_get_of_too_much_is_an_error),
		cmocka_unit_test(test_a_code_that_a_call_does_not_have_ends_the_program),
		cmocka_unit_test(test_calls_are_counted_once),
		cmocka_unit_test(test_time_is_the_store_s_own),
		cmocka_unit_test(test_what_is_refused_for_the_moment_is_asked_again),
		cmocka_unit_test(test_an_error_on_the_way),
		cmocka_unit_test(test_what_no_other_try_can_mend_is_told_at_once),
		cmocka_unit_test(test_tries_end),
		cmocka_unit_test(test_a_listing_goes_on_where_it_broke_off),
		cmocka_unit_test(test_what_is_kept_is_shared),
		cmocka_unit_test(test_what_came_in_place_of_another_is_fetched),
		cmocka_unit_test(test_what_came_in_place_of_a_data_file),
		cmocka_unit_test(test_what_is_created_where_another_was),
		cmocka_unit_test(test_what_is_put_from_a_file_is_kept),
		cmocka_unit_test(test_the_cache_is_bounded),
		cmocka_unit_test(test_what_is_in_use_is_not_removed),
		cmocka_unit_test(test_leftovers_of_the_cache),
		cmocka_unit_test(test_many_are_fetched_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
