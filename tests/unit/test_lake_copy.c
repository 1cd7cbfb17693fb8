/* A copy of a lake that is written to while it is listed: of one moment, whatever comes between. */
#include "backends/backends.h"
#include "base/mem.h"
#include "base/time.h"
#include "delta_fixture.h"
#include "flow/lake_copy.h"
#include "store/layer.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 12, FIRST = 3, KINDS = 5, STEPS = ROUNDS * KINDS, SEEDS = 300 };

/* What a pipeline puts in round `step / KINDS`, in its order. */
static const char *step_key(int step, char key[200])
{
	int round = step / KINDS;

	switch (step % KINDS) {
	case 0:
		(void)snprintf(key, 200, "manifests/i.p/partition=0/%020d+00000000.json", 2 * round);
		break;
	case 1:
		(void)snprintf(key, 200, "topics/i.p/partition=0/i.p+0+%010d.json", 2 * round);
		break;
	case 2:
		(void)snprintf(key, 200, "dlq/i.p/partition=0/%020d-%020d.ndjson", 2 * round,
			       2 * round + 1);
		break;
	case 3:
		(void)snprintf(key, 200, "tables/t/part-%d.parquet", round);
		break;
	default:
		(void)snprintf(key, 200, "tables/t/_delta_log/%020d.json", round);
	}
	return key;
}

/* A store in which the pipeline goes on before each listing and between its entries. */
struct busy {
	struct store_layer layer;
	int step;
	unsigned seed;
	store_each_fn *each;
	void *user;
};

static void go_on(struct busy *busy, int most)
{
	char key[200];
	struct err err;

	for (int n = rand_r(&busy->seed) % (most + 1); n > 0 && busy->step < STEPS; n--) {
		(void)step_key(busy->step++, key);
		assert_ok(store_put(busy->layer.inner, key, slice_str(key), STORE_CREATE, &err));
	}
}

static bool busy_each(void *user, const struct store_entry *entry)
{
	struct busy *busy = user;
	bool more = busy->each(busy->user, entry);

	if (rand_r(&busy->seed) % 4 == 0)
		go_on(busy, 4);
	return more;
}

static enum err_code busy_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct busy *busy = (struct busy *)store;

	go_on(busy, 4);
	busy->each = each;
	busy->user = user;
	return store_layer_list(store, prefix, after, wanted, busy_each, busy, err);
}

static void busy_free(struct store *store) { store_free(((struct busy *)store)->layer.inner); }

static const struct store_ops busy_ops = {
	.name = "busy", .layer = true, .put = store_layer_put, .get = store_layer_get,
	.stat = store_layer_stat, .list = busy_list, .remove = store_layer_remove,
	.fetch = store_layer_fetch, .fetch_dir = store_layer_fetch_dir, .can = store_layer_can,
	.free = busy_free,
};

static bool has(struct store *store, int round, int kind)
{
	char key[200];
	uint64_t size;
	struct err err;
	enum err_code code = store_size(store, step_key(round * KINDS + kind, key), &size, &err);

	assert_true(code == ERR_OK || code == ERR_ABSENT);
	return code == ERR_OK;
}

/* `cut`: the raw side may have holes then. */
static void assert_one_moment(struct store *copy, unsigned seed, bool cut)
{
	bool raw = true, commits = true;

	for (int round = 0; round < ROUNDS; round++) {
		bool committed = has(copy, round, 4);

		if (committed && (!commits || !has(copy, round, 3)))
			fail_msg("seed %u: commit %d stands on what is not there", seed, round);
		for (int kind = 1; kind <= 2; kind++) {
			bool there = has(copy, round, kind);

			if (there && !raw && !cut)
				fail_msg("seed %u: round %d is there, one before it is not", seed,
					 round);
			if (committed && !there)
				fail_msg("seed %u: round %d is cleaned, and not there", seed, round);
			raw = there;
		}
		if (has(copy, round, 1) && !has(copy, round, 0))
			fail_msg("seed %u: object %d lacks its manifest", seed, round);
		commits = committed;
	}
}

static void test_it_is_of_one_moment(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct busy busy = { .layer = { .base = { &busy_ops },
						.inner = store_memory_new(1 << 20) },
				     .seed = seed };
		struct store *copy = store_memory_new(1 << 20);
		struct lake_copy_options options = { .from = &busy.layer.base, .to = copy };
		struct lake_copy_report report;
		struct err err;
		char key[200];

		for (; busy.step < FIRST * KINDS; busy.step++) {
			(void)step_key(busy.step, key);
			assert_ok(store_put(busy.layer.inner, key, slice_str(key), STORE_CREATE,
					    &err));
		}
		for (int n = 0; n < 3; n++) {	/* and once more, on top of what is there */
			assert_ok(lake_copy(&options, &report, &err));
			assert_one_moment(copy, seed, false);
			assert_true(has(copy, FIRST - 1, 4));
		}
		store_free(&busy.layer.base);
		store_free(copy);
	}
}

/* Each call of the copy's store fails in turn: told, and the next copy goes on. */
static void test_a_store_that_fails(void **state)
{
	static const enum err_code codes[] = { ERR_IO, ERR_BUSY };
	enum { CALLS = 2 * FIRST * KINDS };	/* put, and read back */
	int failed = 0;
	struct err err;

	(void)state;
	for (int at = 1; at < CALLS; at++) {
		struct store *from = store_memory_new(1 << 20), *to = store_memory_new(1 << 20);
		struct store *faulty = store_faulty_new(to, at, codes[at % 2], false);
		struct lake_copy_options options = { .from = from, .to = faulty };
		struct lake_copy_report report;
		char key[200];
		enum err_code code;

		for (int step = 0; step < FIRST * KINDS; step++) {
			(void)step_key(step, key);
			assert_ok(store_put(from, key, slice_str(key), STORE_CREATE, &err));
		}
		code = lake_copy(&options, &report, &err);
		if (code != ERR_OK)
			assert_int_equal(code, codes[at % 2]);
		failed += code != ERR_OK;
		assert_one_moment(to, (unsigned)at, code != ERR_OK);
		assert_ok(lake_copy(&options, &report, &err));
		assert_int_equal(report.objects, FIRST * KINDS);
		assert_one_moment(to, (unsigned)at, false);
		assert_true(has(to, FIRST - 1, 4));
		store_free(faulty);
		store_free(from);
	}
	assert_in_range(failed, CALLS / 2, CALLS);
}

/* --- objects that go in pieces ---------------------------------------------------- */

enum { LARGE = (20 << 20) + 3, PIECE_MAX = 16 << 20 };

/* A store to which something happens before a get of the large object. */
struct odd {
	struct store_layer layer;
	const char *key;
	int at; /* before the get of this number, … */
	void (*happens)(struct odd *odd);
	int gets;
	uint64_t longest; /* that one get gave */
};

static enum err_code odd_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			     struct buf *out, struct err *err)
{
	struct odd *odd = (struct odd *)store;
	size_t before = out->len;
	enum err_code code;

	if (strcmp(key, odd->key) == 0 && ++odd->gets == odd->at)
		odd->happens(odd);
	code = store_layer_get(store, key, from, len, out, err);
	if (out->len - before > odd->longest)
		odd->longest = out->len - before;
	return code;
}

static const struct store_ops odd_ops = {
	.name = "odd",
	.layer = true,
	.put = store_layer_put,
	.get = odd_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = store_layer_free,
};

/* As layers have it, but on the heap. */
static struct odd *odd_new(const char *key, int at, void (*happens)(struct odd *odd))
{
	struct odd *odd = xcalloc(1, sizeof(*odd));

	*odd = (struct odd){ .layer = { .base = { &odd_ops }, .inner = store_memory_new(64 << 20) },
			     .key = key,
			     .at = at,
			     .happens = happens };
	return odd;
}

static void put_large(struct store *store, const char *key, int fill)
{
	char *bytes = xmalloc(LARGE);
	struct err err;

	memset(bytes, fill, LARGE);
	for (size_t i = 0; i + sizeof(i) <= LARGE; i += 4096) /* no two pieces are the same */
		memcpy(bytes + i, &i, sizeof(i));
	assert_ok(store_put(store, key, slice_of(bytes, LARGE), STORE_REPLACE, &err));
	free(bytes);
}

static void large_is_replaced(struct odd *odd)
{
	int64_t now_ms = clock_wall_ms();

	while (clock_wall_ms() == now_ms)
		;
	put_large(odd->layer.inner, odd->key, 2);
}

static void large_goes(struct odd *odd)
{
	struct err err;

	assert_ok(store_remove(odd->layer.inner, odd->key, &err));
}

/* One bit of its last piece. */
static void large_is_damaged(struct odd *odd)
{
	struct err err;
	struct buf all;

	buf_init(&all, LARGE);
	assert_ok(store_get(odd->layer.inner, odd->key, 0, UINT64_MAX, &all, &err));
	all.ptr[LARGE - 1] ^= 1;
	assert_ok(store_put(odd->layer.inner, odd->key, buf_slice(&all), STORE_REPLACE, &err));
	buf_release(&all);
}

static void assert_same_object(struct store *a, struct store *b, const char *key)
{
	struct err err;
	struct buf x, y;

	buf_init(&x, LARGE);
	buf_init(&y, LARGE);
	assert_ok(store_get(a, key, 0, UINT64_MAX, &x, &err));
	assert_ok(store_get(b, key, 0, UINT64_MAX, &y, &err));
	assert_true(slice_eq(buf_slice(&x), buf_slice(&y)));
	buf_release(&x);
	buf_release(&y);
}

static void test_large_objects(void **state)
{
	static const char data[] = "tables/t/part-1.parquet", letter[] = "dlq/i.p/partition=0/a",
			  raw[] = "topics/i.p/partition=0/i.p+0+0000000000.json";
	static const struct {
		const char *key;
		int from_at, to_at;
		void (*happens)(struct odd *odd);
		enum err_code code;
		uint64_t copied, gone;
	} cases[] = {
		{ data, 0, 0, NULL, ERR_OK, 1, 0 },
		{ data, 2, 0, large_is_replaced, ERR_BUSY, 0, 0 },
		{ data, 2, 0, large_goes, ERR_OK, 0, 1 }, /* of no version that is copied */
		{ raw, 2, 0, large_goes, ERR_ABSENT, 0, 0 },
		{ letter, 2, 0, large_goes, ERR_OK, 0, 1 },
		{ data, 0, 2, large_is_damaged, ERR_CORRUPT, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct odd *from = odd_new(cases[i].key, cases[i].from_at, cases[i].happens);
		struct odd *to = odd_new(cases[i].key, cases[i].to_at, cases[i].happens);
		struct lake_copy_options options = { .from = &from->layer.base,
						     .to = &to->layer.base };
		struct lake_copy_report report;
		struct err err;

		put_large(from->layer.inner, cases[i].key, 1);
		assert_int_equal(lake_copy(&options, &report, &err), cases[i].code);
		assert_in_range(from->longest, 1, PIECE_MAX);
		assert_true(to->longest <= PIECE_MAX);
		if (cases[i].code == ERR_OK) {
			assert_int_equal(report.copied, cases[i].copied);
			assert_int_equal(report.gone, cases[i].gone);
		}
		if (cases[i].copied > 0)
			assert_same_object(from->layer.inner, to->layer.inner, cases[i].key);
		store_free(&from->layer.base);
		store_free(&to->layer.base);
	}
}

/* A clean-up that took what the copied version needs is told; the table there is not whole then. */
static void test_a_data_file_that_was_needed_goes(void **state)
{
	static const char key[] = ROOT "/app-0.parquet";
	struct odd *from = odd_new(key, 1, large_goes);
	struct store *to = store_memory_new(1 << 20);
	struct lake_copy_options options = { .from = &from->layer.base, .to = to };
	struct delta_table *table = open_table(from->layer.inner);
	struct lake_copy_report report;
	struct err err;

	(void)state;
	put_text(from->layer.inner, key, "rows");
	append_ok(table, "app", 0);
	delta_close(table);
	assert_int_equal(lake_copy(&options, &report, &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, "\"" ROOT "/app-0.parquet\" was cleaned up"));
	store_free(&from->layer.base);
	store_free(to);
}

/* What is there already is compared the same way. */
static void test_large_objects_that_are_there(void **state)
{
	static const char key[] = "tables/t/part-1.parquet";
	struct odd *from = odd_new(key, 0, NULL), *to = odd_new(key, 0, NULL);
	struct lake_copy_options options = { .from = &from->layer.base, .to = &to->layer.base };
	struct lake_copy_report report;
	struct err err;

	(void)state;
	put_large(from->layer.inner, key, 1);
	put_large(to->layer.inner, key, 1);
	assert_ok(lake_copy(&options, &report, &err));
	assert_int_equal(report.same, 1);
	large_is_damaged(to);
	assert_int_equal(lake_copy(&options, &report, &err), ERR_EXISTS);
	options.replace = true;
	assert_ok(lake_copy(&options, &report, &err));
	assert_int_equal(report.replaced, 1);
	assert_same_object(from->layer.inner, to->layer.inner, key);
	assert_true(from->longest <= PIECE_MAX && to->longest <= PIECE_MAX);
	store_free(&from->layer.base);
	store_free(&to->layer.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_of_one_moment),
		cmocka_unit_test(test_a_store_that_fails),
		cmocka_unit_test(test_large_objects),
		cmocka_unit_test(test_a_data_file_that_was_needed_goes),
		cmocka_unit_test(test_large_objects_that_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
