/* A copy of a lake that is written to while it is listed: of one moment, whatever comes between. */
#include "backends/backends.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_of_one_moment),
		cmocka_unit_test(test_a_store_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
