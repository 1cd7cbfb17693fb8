/* The contract of store.h, run against every backend. */
#include "backends/backends.h"
#include "base/mem.h"
#include "scratch.h"
#include "store_helpers.h"
#include "store_level.h"
#include "store_pieces.h"
#include "store_races.h"
#include "testing.h"

#include <fcntl.h>
#include <sys/stat.h>
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

static int open_retry(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->store = store_retry_new(store_memory_new(MEMORY_MAX), 1000);
	*state = f;
	return 0;
}

static int open_cache(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	scratch_dir(f->dir);
	assert_ok(store_cache_new(store_memory_new(MEMORY_MAX), f->dir, "memory", 1 << 20, &f->store,
				  &err));
	*state = f;
	return 0;
}

static int open_trace(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->store = store_trace_new(store_memory_new(MEMORY_MAX));
	*state = f;
	return 0;
}

/* A place of its own in the bucket that is there for tests; `whole`: with all that stacks on it. */
static int open_bucket(void **state, bool whole)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct store_options options = { .cache_dir = f->dir, .cache_bytes_max = 1 << 20 };
	struct err err = { 0 };
	static int count;
	char url[200];

	(void)snprintf(url, sizeof(url), "s3://%s/contract %d+=%%/%d", getenv("PINPIPE_TEST_BUCKET"),
		       (int)getpid(), count++);
	if (whole) {
		scratch_dir(f->dir);
		assert_ok(store_open(url, &options, &f->store, &err));
	} else {
		assert_ok(store_s3_new(url, &options, &f->store, &err));
	}
	*state = f;
	return 0;
}

static int open_s3(void **state) { return open_bucket(state, false); }

static int open_s3_whole(void **state) { return open_bucket(state, true); }

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

/* By as many bytes, and however soon. */
static void test_what_was_replaced_is_another_version(void **state)
{
	struct store *store = store_of(state);
	struct store_stat first, second;
	struct err err = { 0 };

	assert_ok(store_put(store, "a/b", slice_str("123"), STORE_CREATE, &err));
	assert_ok(store_stat(store, "a/b", &first, &err));
	assert_ok(store_stat(store, "a/b", &second, &err));
	assert_int_equal(first.version, second.version);
	assert_ok(store_check_same(store, "a/b", &first, &err));
	assert_ok(store_put(store, "a/b", slice_str("456"), STORE_REPLACE, &err));
	assert_ok(store_stat(store, "a/b", &second, &err));
	assert_int_not_equal(first.version, second.version);
	assert_int_equal(store_check_same(store, "a/b", &first, &err), ERR_BUSY);
	assert_ok(store_remove(store, "a/b", &err));
	assert_ok(store_check_same(store, "a/b", &first, &err));
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

static void test_remove_all(void **state)
{
	static const char *const keys[] = {
		"a/1", "a/2", "b", "a/none", "never/was/there", "a/c/3"
	};
	static const char *const odd[] = { "a/4", "../b" };
	struct store *store = store_of(state);
	struct err err = { 0 };
	uint64_t size;

	put(store, "a/1", "x");
	put(store, "a/2", "x");
	put(store, "a/c/3", "x");
	put(store, "a/4", "stays");
	put(store, "b", "x");
	assert_ok(store_remove_all(store, keys, ARRAY_LEN(keys), &err));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(store_size(store, keys[i], &size, &err), ERR_ABSENT);
	assert_object(store, "a/4", "stays");
	assert_int_equal(store_remove_all(store, odd, ARRAY_LEN(odd), &err), ERR_SHAPE);
	assert_ok(store_remove_all(store, keys, 0, &err));
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
		".tmp", "a/.tmp/b", "a/.tmp", "a\nb", "\x01", "a\x7f", "\xff", "\x80", "\xc3", "\xc0\xaf",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82/a",
	};
	static const char *const good[] = {
		"...", ".a", "a+b=c d%2F", "a/tmp/b", "a/.tmpx/b", "\xe2\x82\xac", "-", "\xf4\x8f\xbf\xbf",
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

/* What means something in a URL, in a form or in XML means nothing in a key: each is one of its
 * own, for every call. */
static void test_odd_keys(void **state)
{
	static const char *const odd[] = {
		"o/ a", "o/!", "o/\"", "o/#a", "o/$", "o/%", "o/%20", "o/%252B", "o/%2B", "o/%2F", "o/%2b",
		"o/&a=b", "o/&amp;", "o/'", "o/()*", "o/+", "o/,", "o/:@", "o/;", "o/<a>", "o/=",
		"o/?acl", "o/[]", "o/\\", "o/^", "o/`", "o/a ", "o/a b", "o/a+b", "o/a=1/b=%2F c+d",
		"o/u\xcc\x88", "o/{|}~", "o/\xc3\xbc", "o/\xf0\x9f\x98\x80",
	};
	struct store *store = store_of(state);
	struct err err = { 0 };
	struct buf listing;

	buf_init(&listing, 4096);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		put(store, odd[i], odd[i]);
		buf_addf(&listing, "%s\n", odd[i]);
	}
	assert_list(store, "o/", "", 0, buf_cstr(&listing));
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct store_stat stat = { 0 };

		assert_object(store, odd[i], odd[i]);
		assert_ok(store_stat(store, odd[i], &stat, &err));
		assert_int_equal(stat.size, strlen(odd[i]));
		buf_clear(&listing);
		for (size_t j = i + 1; j < ARRAY_LEN(odd); j++)
			buf_addf(&listing, "%s\n", odd[j]);
		assert_list(store, "o/", odd[i], 0, buf_cstr(&listing));
		assert_ok(store_remove(store, odd[i], &err));
		assert_list(store, "o/", "", 0, buf_cstr(&listing));
	}
	buf_release(&listing);
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

static void test_put_large(void **state) { check_put_large(store_of(state)); }

static void test_level(void **state)
{
	check_level(store_of(state));
	check_level_until_it_is_enough(store_of(state));
}

static void test_mark(void **state) { check_mark(store_of(state)); }
static void test_last(void **state) { check_last(store_of(state)); }

static void test_put_in_pieces(void **state) { check_put_in_pieces(store_of(state), MEMORY_MAX); }

static void test_put_in_pieces_that_do_not_come(void **state)
{
	check_pieces_that_do_not_come(store_of(state));
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

/* --- fetch --------------------------------------------------------------- */

static void assert_fetched(const struct store_fetched *fetched, const char *body)
{
	char text[100] = "", by_path[100] = "";
	int fd = open(fetched->path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fetched->size, strlen(body));
	assert_int_equal(pread(fetched->fd, text, sizeof(text) - 1, 0), strlen(body));
	assert_string_equal(text, body);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, by_path, sizeof(by_path) - 1), strlen(body));
	assert_string_equal(by_path, body);
	assert_int_equal(close(fd), 0);
}

static void test_fetch(void **state)
{
	struct store *store = store_of(state);
	struct store_fetched fetched = { 0 }, again = { 0 };
	struct err err = { 0 };

	put(store, "t/a.parquet", "bytes");
	put(store, "t/empty", "");
	assert_ok(store_fetch(store, BY_KEY("t/a.parquet"), &fetched, &err));
	assert_fetched(&fetched, "bytes");
	assert_ok(store_fetch(store, BY_KEY("t/a.parquet"), &again, &err));
	store_fetched_release(&fetched);
	assert_null(fetched.path);
	assert_fetched(&again, "bytes");
	store_fetched_release(&again);
	store_fetched_release(&again);		/* of a released one: nothing */
	assert_ok(store_fetch(store, BY_KEY("t/empty"), &fetched, &err));
	assert_fetched(&fetched, "");
	store_fetched_release(&fetched);
}

static void test_fetch_gives_what_is_there(void **state)
{
	struct store *store = store_of(state);
	struct store_fetched fetched = { 0 };
	struct err err = { 0 };

	put(store, "t/a.json", "1");
	assert_int_equal(store_fetch(store, BY_KEY("t/b.json"), &fetched, &err), ERR_ABSENT);
	assert_int_equal(store_fetch(store, BY_KEY("t"), &fetched, &err), ERR_ABSENT);
	assert_int_equal(store_fetch(store, BY_KEY("../t/a.json"), &fetched, &err), ERR_SHAPE);
	assert_null(fetched.path);		/* untouched on failure */
}

/* It stays as it is, though the object goes. */
static void test_what_is_fetched_stays(void **state)
{
	struct store *store = store_of(state);
	struct store_fetched fetched = { 0 }, gone = { 0 };
	char text[100] = "";
	struct err err = { 0 };

	put(store, "t/a", "before");
	assert_ok(store_fetch(store, BY_KEY("t/a"), &fetched, &err));
	assert_ok(store_remove(store, "t/a", &err));
	assert_int_equal(pread(fetched.fd, text, sizeof(text) - 1, 0), 6);
	assert_string_equal(text, "before");
	store_fetched_release(&fetched);
	assert_int_equal(store_fetch(store, BY_KEY("t/a"), &gone, &err), ERR_ABSENT);
}

/* By what a listing says of it, though it was made anew since, as long as before. */
static void test_fetch_of_what_is_listed(void **state)
{
	static const char *const bodies[] = { "first", "other" };
	struct store *store = store_of(state);
	struct store_entry entries[2];
	struct err err = { 0 };

	for (int i = 0; i < 2; i++) {
		struct store_fetched fetched = { 0 };

		assert_ok(store_remove(store, "t/a", &err));
		put(store, "t/a", bodies[i]);
		entries[i] = listed(store, "t/a");
		assert_ok(store_fetch(store, &entries[i], &fetched, &err));
		assert_fetched(&fetched, bodies[i]);
		store_fetched_release(&fetched);
	}
	assert_int_equal(entries[0].size, entries[1].size);
	if (!store_can(store, STORE_CAN_FETCH_FREE))
		assert_int_not_equal(entries[0].version, entries[1].version);
}

static bool add_until_two(void *user, const struct store_entry *entry)
{
	return add_key(user, entry) && ((struct keys *)user)->count < 2;
}

static void test_several_listings(void **state)
{
	struct store *store = store_of(state);
	struct keys keys = { 0 }, two = { 0 };
	const struct store_listing listings[] = {
		{ "b/", add_key, &keys }, { "none/", add_key, &keys }, { "a/", add_key, &keys },
		{ "b/", add_until_two, &two },
	};
	struct err err = { 0 };

	put(store, "a/1", "x");
	for (int i = 1; i <= 3; i++) {
		char key[8];

		(void)snprintf(key, sizeof(key), "b/%d", i);
		put(store, key, "xy");
	}
	buf_init(&keys.text, 1 << 20);
	buf_init(&two.text, 1 << 20);
	assert_ok(store_list_all(store, listings, ARRAY_LEN(listings), &err));
	assert_string_equal(buf_cstr(&keys.text), "b/1\nb/2\nb/3\na/1\n");
	assert_string_equal(buf_cstr(&two.text), "b/1\nb/2\n");
	buf_release(&keys.text);
	buf_release(&two.text);
}

static void test_fetch_all(void **state)
{
	enum { COUNT = 50 };
	struct store *store = store_of(state);
	struct store_fetched list[COUNT];
	char keys[COUNT][20];
	struct store_entry entries[COUNT] = { 0 };
	struct err err = { 0 };

	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		entries[i].key = keys[i];
		put(store, keys[i], keys[i]);
	}
	assert_ok(store_fetch_all(store, entries, COUNT, list, &err));
	for (int i = 0; i < COUNT; i++)
		assert_fetched(&list[i], keys[i]);
	store_fetched_release_all(list, COUNT);
	entries[17].key = "no/such";
	entries[40].key = "neither";
	assert_int_equal(store_fetch_all(store, entries, COUNT, list, &err), ERR_ABSENT);
	assert_non_null(strstr(err.msg, "no/such"));	/* the first, whichever came first */
	assert_ok(store_fetch_all(store, entries, 0, NULL, &err));
}

/* --- words --------------------------------------------------------------- */

static void test_words_come_back(void **state)
{
	struct store *store = store_of(state);
	struct store_put with = { .key = "t/a", .body = slice_str("x") };
	struct store_put file = { .key = "t/b", .path = local_file("/tmp", "moved") };
	struct store_words words = { 0 };
	struct store_stat stat;
	struct err err = { 0 };

	assert_ok(store_words_add(&words, "first", slice_str("00000000000000000041"), &err));
	assert_ok(store_words_add(&words, "lineage-2", slice_str("a=b, c"), &err));
	assert_ok(store_words_add(&words, "empty", slice_str(""), &err));
	with.words = file.words = &words;
	assert_ok(store_put_as(store, &with, &err));
	assert_ok(store_put_as(store, &file, &err));
	for (int i = 0; i < 2; i++) {
		assert_ok(store_stat(store, i ? "t/b" : "t/a", &stat, &err));
		assert_int_equal(stat.size, i ? 5 : 1);
		if (!store_can(store, STORE_CAN_WORDS)) {
			assert_int_equal(stat.words.count, 0);
			continue;
		}
		assert_int_equal(stat.words.count, 3);
		assert_string_equal(store_words_find(&stat.words, "first"), "00000000000000000041");
		assert_string_equal(store_words_find(&stat.words, "lineage-2"), "a=b, c");
		assert_string_equal(store_words_find(&stat.words, "empty"), "");
		assert_null(store_words_find(&stat.words, "second"));
	}
	with.words = NULL;
	with.mode = STORE_REPLACE;
	assert_ok(store_put_as(store, &with, &err));
	assert_ok(store_stat(store, "t/a", &stat, &err));
	assert_int_equal(stat.words.count, 0);	/* they went with the bytes */
	free((void *)(uintptr_t)file.path);
}

/* A put that failed leaves no words on the file, which the next one does not want. */
static void test_words_of_a_put_that_failed(void **state)
{
	struct store *store = store_of(state);
	struct store_put file = { .key = "taken", .path = local_file("/tmp", "moved") };
	struct store_words words = { 0 };
	struct store_stat stat;
	struct err err = { 0 };

	put(store, "taken", "x");
	assert_ok(store_words_add(&words, "a", slice_str("b"), &err));
	file.words = &words;
	assert_int_equal(store_put_as(store, &file, &err), ERR_EXISTS);
	assert_ok(store_put_file(store, "free", file.path, &err));
	assert_ok(store_stat(store, "free", &stat, &err));
	assert_int_equal(stat.words.count, 0);
	free((void *)(uintptr_t)file.path);
}

static void test_words_that_none_may_have(void **state)
{
	static const struct { const char *name, *value; } bad[] = {
		{ "", "x" }, { "A", "x" }, { "a_b", "x" }, { "1", "x" }, { "a", " x" }, { "a", "x " },
		{ "a", "\n" }, { "a", "\xc3\xa4" }, { STORE_WORD_OWN, "x" }, { "a2345678901234567890123456789012", "x" },
	};
	char long_value[STORE_WORD_VALUE_MAX + 2];
	struct store_put with = { .key = "a", .body = slice_str("x") };
	struct store_words words = { 0 };
	struct err err = { 0 };
	uint64_t size;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(store_words_add(&words, bad[i].name, slice_str(bad[i].value),
						 &err), ERR_SHAPE);
	memset(long_value, 'x', sizeof(long_value));
	assert_int_equal(store_words_add(&words, "a", slice_of(long_value, sizeof(long_value) - 1),
					 &err), ERR_SHAPE);
	assert_int_equal(words.count, 0);
	assert_ok(store_words_add(&words, "a", slice_of(long_value, sizeof(long_value) - 2), &err));
	assert_int_equal(store_words_add(&words, "a", slice_str("y"), &err), ERR_SHAPE);
	words.list[0].name[0] = 'A';		/* past the one who checks */
	with.words = &words;
	assert_int_equal(store_put_as(store_of(state), &with, &err), ERR_SHAPE);
	assert_int_equal(store_size(store_of(state), "a", &size, &err), ERR_ABSENT);
}

static void test_of_several_creators_one_wins(void **state) { check_creators(store_of(state)); }

static void test_a_reader_sees_all_or_nothing(void **state) { check_reader(store_of(state)); }

#define ON(test, open) cmocka_unit_test_setup_teardown(test, open, close_fixture)
#define CONTRACT(open) \
	ON(test_create_then_read, open), ON(test_create_never_replaces, open), \
		ON(test_replace, open), ON(test_what_was_replaced_is_another_version, open), \
		ON(test_put_once_knows_its_own_bytes, open), ON(test_absent, open), \
		ON(test_remove, open), ON(test_remove_all, open), ON(test_get_range, open), \
		ON(test_get_respects_the_buffer, open), \
		ON(test_list_is_in_byte_order_of_whole_keys, open), \
		ON(test_list_prefix_and_after, open), ON(test_level, open), ON(test_mark, open), \
		ON(test_last, open), ON(test_list_of_odd_prefixes_is_empty, open), \
		ON(test_the_callback_of_list_may_remove, open), ON(test_keys, open), \
		ON(test_odd_keys, open), ON(test_long_keys, open), ON(test_put_large, open), \
		ON(test_put_in_pieces, open), ON(test_put_in_pieces_that_do_not_come, open), \
		ON(test_put_file, open), ON(test_put_file_from_another_file_system, open), \
		ON(test_fetch, open), ON(test_fetch_gives_what_is_there, open), \
		ON(test_what_is_fetched_stays, open), ON(test_fetch_of_what_is_listed, open), \
		ON(test_several_listings, open), ON(test_fetch_all, open), \
		ON(test_words_come_back, open), ON(test_words_of_a_put_that_failed, open), \
		ON(test_words_that_none_may_have, open), \
		ON(test_of_several_creators_one_wins, open), \
		ON(test_a_reader_sees_all_or_nothing, open)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTRACT(open_file),
		CONTRACT(open_memory),
		CONTRACT(open_faulty),
		CONTRACT(open_retry),
		CONTRACT(open_cache),
		CONTRACT(open_trace),
	};
	const struct CMUnitTest of_a_bucket[] = { CONTRACT(open_s3), CONTRACT(open_s3_whole) };
	int failed = 0;

	/* tests/run starts a server; `make interop` has others, for the bucket alone. */
	if (!getenv("PINPIPE_TEST_BUCKET_ONLY"))
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (getenv("PINPIPE_TEST_BUCKET"))
		failed += cmocka_run_group_tests(of_a_bucket, NULL, NULL);
	return failed;
}
