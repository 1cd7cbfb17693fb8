/* Of which topic, and of which life of its log, the lake's objects are. */
#include "backends/backends.h"
#include "flow/history.h"
#include "testing.h"

static const struct lake_partition where = { .topic = "t", .id = 1 };
static const struct lineage one = { 1, 0xabcdef }, two = { 2, 0 };

static void put(struct store *store, struct buf *key, struct buf *text)
{
	struct err err = { 0 };

	assert_ok(store_put(store, buf_cstr(key), buf_slice(text), STORE_CREATE, &err));
}

static void put_history(struct store *store, uint32_t generation, const char *uid, bool first)
{
	struct buf key, text;

	buf_init(&key, 1000);
	buf_init(&text, 1000);
	history_write(&key, &text, "t", generation, uid, first);
	put(store, &key, &text);
	buf_release(&key);
	buf_release(&text);
}

static void assert_history(struct store *store, const char *uid, uint32_t generation, bool named,
			   bool has_uid)
{
	struct history history;
	struct err err = { 0 };

	assert_ok(history_load(store, "t", uid, &history, &err));
	assert_int_equal(history.generation, generation);
	assert_int_equal(history.named, named);
	assert_int_equal(history.has_uid, has_uid);
}

static void test_the_newest_generation_counts(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	assert_history(store, "a", 1, false, false);
	put_history(store, 1, "a", true);
	assert_history(store, "a", 1, true, true);
	assert_history(store, "b", 1, true, false);
	put_history(store, 1, "b", false);
	assert_history(store, "b", 1, true, true);
	assert_history(store, "a", 1, true, true);
	put_history(store, 10, "c", true);
	put_history(store, 9, "b", true);
	assert_history(store, "a", 10, true, false);
	assert_history(store, "b", 10, true, false);
	assert_history(store, "c", 10, true, true);
	store_free(store);
}

static void put_lineage(struct store *store, uint64_t first, struct lineage lineage)
{
	struct buf key, text;

	buf_init(&key, 1000);
	buf_init(&text, 1000);
	lineage_write(&key, &text, where, first, lineage);
	put(store, &key, &text);
	buf_release(&key);
	buf_release(&text);
}

static void assert_allowed(struct store *store, uint64_t at, bool of_one, bool of_two)
{
	struct lineages lineages;
	struct err err = { 0 };

	assert_ok(lineage_load(store, where, at, &lineages, &err));
	assert_int_equal(lineages_allow(&lineages, one), of_one);
	assert_int_equal(lineages_allow(&lineages, two), of_two);
}

static void test_a_lineage_holds_from_its_offset_on(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	assert_allowed(store, 5, true, true); /* nothing is said */
	put_lineage(store, 5, one);
	put_lineage(store, 8, two);
	assert_allowed(store, 4, true, true);
	assert_allowed(store, 5, true, false);
	assert_allowed(store, 7, true, false);
	assert_allowed(store, 8, false, true);
	assert_allowed(store, 5000000000, false, true);
	put_lineage(store, 8, one); /* one of the two never landed */
	assert_allowed(store, 9, true, true);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_newest_generation_counts),
		cmocka_unit_test(test_a_lineage_holds_from_its_offset_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
