/* What is fetched from a service, and the directory where it is kept. */
#include "backends/backends.h"
#include "base/time.h"
#include "moody_store.h"
#include "scratch.h"
#include "store_helpers.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Whatever becomes of the directory, it says nothing of objects: it is made again, or there is
 * memory. */
static void test_a_cache_that_is_taken_away(void **state)
{
	char dir[SCRATCH_NAME_MAX], other[SCRATCH_NAME_MAX + 8];
	struct moody *moody = moody_new();
	struct store_fetched fetched;
	struct err err = { 0 };
	struct store *store;
	FILE *file;

	(void)state;
	scratch_dir(dir);
	(void)snprintf(other, sizeof(other), "%s.other", dir);
	store = cache_over(&moody->layer.base, dir, "m", 1 << 20);
	put(store, "a", "one");
	assert_fetches(store, BY_KEY("a"), "one");
	scratch_remove(dir);
	assert_fetches(store, BY_KEY("a"), "one");
	assert_int_equal(files_in(dir), 1);
	assert_int_equal(rename(dir, other), 0);
	assert_ok(store_fetch(store, BY_KEY("a"), &fetched, &err));
	assert_int_equal(access(fetched.path, R_OK), 0);
	store_fetched_release(&fetched);
	scratch_remove(other);
	scratch_remove(dir);
	file = fopen(dir, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_fetches(store, BY_KEY("a"), "one");
	assert_kept(store, &(struct store_entry){ .key = "a", .size = 3 }, "one");
	moody->moods[0] = ERR_ABSENT;
	moody->at = 0;
	assert_int_equal(store_fetch(store, BY_KEY("a"), &fetched, &err), ERR_ABSENT);
	assert_int_equal(remove(dir), 0);
	store_free(store);
}

/* As of a directory that another user made. */
static void test_a_cache_that_nothing_can_be_put_into(void **state)
{
	uid_t user = geteuid();
	char dir[SCRATCH_NAME_MAX];
	struct store *store;

	(void)state;
	scratch_dir(dir);
	store = cache_over(store_memory_new(MEMORY_MAX), dir, "m", 1 << 20);
	put(store, "a", "one");
	assert_int_equal(chmod(dir, 0555), 0);
	if (user == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_fetches(store, BY_KEY("a"), "one");
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(files_in(dir), 0);
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
		cmocka_unit_test(test_what_is_kept_is_shared),
		cmocka_unit_test(test_what_came_in_place_of_another_is_fetched),
		cmocka_unit_test(test_what_came_in_place_of_a_data_file),
		cmocka_unit_test(test_what_is_created_where_another_was),
		cmocka_unit_test(test_what_is_put_from_a_file_is_kept),
		cmocka_unit_test(test_the_cache_is_bounded),
		cmocka_unit_test(test_what_is_in_use_is_not_removed),
		cmocka_unit_test(test_leftovers_of_the_cache),
		cmocka_unit_test(test_a_cache_that_is_taken_away),
		cmocka_unit_test(test_a_cache_that_nothing_can_be_put_into),
		cmocka_unit_test(test_many_are_fetched_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
