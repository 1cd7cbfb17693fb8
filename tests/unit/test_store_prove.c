/* What the proof that only one can create an object makes of a store, and what it leaves there. */
#include "backends/backends.h"
#include "base/time.h"
#include "store/layer.h"
#include "store_helpers.h"

#include <stdatomic.h>

#define OF "s3://b/ at http://h"
#define RACE "_pinpipe/race-"

enum { MEMORY_MAX = 1 << 20, DAY_MS = 24 * 3600 * 1000, RACES_PUTS = 3 * 8 };

/* A store where races end as it is told; what has "old" in its name is of the day before. */
struct arena_of_races {
	struct store_layer layer;
	enum err_code of_races; /* what each racer hears; ERR_OK: what is true */
	atomic_int race_puts;
	store_each_fn *each;
	void *user;
};

static enum err_code races_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct arena_of_races *races = (struct arena_of_races *)store;

	if (!slice_starts(slice_str(put->key), RACE))
		return store_layer_put(store, put, err);
	atomic_fetch_add(&races->race_puts, 1);
	if (races->of_races != ERR_OK)
		return err_set(err, races->of_races, "as it was told");
	return store_layer_put(store, put, err);
}

static bool races_show(void *user, const struct store_entry *entry)
{
	struct arena_of_races *races = user;
	struct store_entry shown = *entry;

	if (strstr(entry->key, "old"))
		shown.modified_ms -= DAY_MS + 1;
	return races->each(races->user, &shown);
}

static enum err_code races_list(struct store *store, const char *prefix, const char *after,
				size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct arena_of_races *races = (struct arena_of_races *)store;

	races->each = each;
	races->user = user;
	return store_layer_list(store, prefix, after, wanted, races_show, races, err);
}

/* The caller's storage. */
static void races_free(struct store *store) { (void)store; }

static const struct store_ops races_ops = {
	.name = "races",
	.layer = true,
	.put = races_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = races_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = races_free,
};

static int open_races(void **state)
{
	static struct arena_of_races races;

	races = (struct arena_of_races){ .layer = { { &races_ops },
						    store_memory_new(MEMORY_MAX) } };
	*state = &races;
	return 0;
}

static int close_races(void **state)
{
	store_free(((struct arena_of_races *)*state)->layer.inner);
	return 0;
}

static void assert_not_found_out(struct arena_of_races *races, enum err_code heard,
				 const char *words)
{
	struct store *store = store_prove_new(&races->layer.base, OF);
	struct err err = { 0 };
	uint64_t size;

	races->of_races = heard;
	assert_true(store_can(store, STORE_CAN_CREATE_ONLY)); /* not refuted */
	assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, words));
	assert_int_equal(store_size(store, "a", &size, &err), ERR_ABSENT);
	assert_ok(store_put(store, "replaced", slice_str("x"), STORE_REPLACE, &err));
	races->of_races = ERR_OK;
	put(store, "a", "x"); /* it was only for the moment */
	assert_ok(store_remove(store, "a", &err));
	store_free(store);
}

/* Each found it taken: that shows neither that one alone wins nor that several do. */
static void test_a_race_that_nobody_won(void **state)
{
	assert_not_found_out(*state, ERR_EXISTS, "each found it taken");
}

/* What became of a racer's object is not what became of the caller's: that is not there. */
static void test_a_race_of_which_nobody_heard(void **state)
{
	assert_not_found_out(*state, ERR_UNKNOWN, "only one can create");
}

static void test_no_race_where_it_was_proved(void **state)
{
	struct arena_of_races *races = *state;

	for (int i = 0; i < 2; i++) {
		struct store *store = store_prove_new(&races->layer.base, OF);

		put(store, i ? "b" : "a", "x");
		store_free(store);
	}
	assert_int_equal(races->race_puts, RACES_PUTS);
	{
		struct store *store = store_prove_new(&races->layer.base, OF "2");

		put(store, "c", "x");
		store_free(store);
	}
	assert_int_equal(races->race_puts, 2 * RACES_PUTS);
}

/* Of who died in a race; whether the one that comes next races too, or finds it proved. */
static void test_what_races_left(void **state)
{
	struct arena_of_races *races = *state;
	struct store *inner = races->layer.inner;

	put(inner, RACE "young", "x");
	put(inner, "_pinpipe/old", "x");
	for (int i = 0; i < 2; i++) {
		struct store *store = store_prove_new(&races->layer.base, OF);
		uint64_t size;
		struct err err;

		put(inner, RACE "old1", "x");
		put(inner, RACE "old2", "x");
		put(store, i ? "b" : "a", "x");
		assert_int_equal(store_size(inner, RACE "old1", &size, &err), ERR_ABSENT);
		assert_int_equal(store_size(inner, RACE "old2", &size, &err), ERR_ABSENT);
		assert_object(inner, RACE "young", "x");
		assert_object(inner, "_pinpipe/old", "x");
		store_free(store);
	}
	assert_int_equal(races->race_puts, RACES_PUTS);
	assert_list(inner, RACE, "", 0, RACE "young\n");
}

#define ON_RACES(test) cmocka_unit_test_setup_teardown(test, open_races, close_races)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_RACES(test_a_race_that_nobody_won),
		ON_RACES(test_a_race_of_which_nobody_heard),
		ON_RACES(test_no_race_where_it_was_proved),
		ON_RACES(test_what_races_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
