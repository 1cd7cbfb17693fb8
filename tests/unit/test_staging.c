/* A rebuild's store: what is staged beside the table is listed where it will be. */
#include "backends/backends.h"
#include "flow/staging.h"
#include "store_helpers.h"

#define ROOT "tables/id_geo_clean"
#define LETTERS "dlq/t/partition=0/"

static const struct lake_table place = { .kind = TOPIC_LOG, .topic = "t", .root = ROOT };

static struct delta_table *open_table(struct store *lake)
{
	static const struct delta_column columns[] = { { "ind", DELTA_INTEGER } };
	static const struct delta_schema schema = { columns, 1 };
	const struct delta_options options = { .create = &schema };
	struct delta_table *table;
	struct err err = { 0 };

	assert_ok(delta_open(lake, ROOT, &options, &table, &err));
	return table;
}

static void begin(struct staging *staging, struct store *lake, const struct delta_table *table)
{
	struct err err = { 0 };

	assert_ok(staging_begin(staging, lake, ROOT, table, &err));
}

/* A commit of the table: of this rebuild, or, with NULL, of another writer. */
static void commit(struct delta_table *table, const struct staging *staging)
{
	const struct delta_txn txn = { staging ? STAGING_APP_ID : "other",
				       staging ? staging->id : delta_version(table), -1 };
	const struct delta_commit commit = { .operation = "WRITE", .txns = &txn, .txn_count = 1 };
	struct err err = { 0 };
	int64_t version;

	assert_ok(delta_replace(table, &commit, delta_version(table), &version, &err));
}

static void settle(struct store *lake, const struct delta_table *table)
{
	struct err err = { 0 };

	assert_ok(staging_settle(lake, &place, table, &err));
}

static void seal(const struct staging *staging, const char *drop)
{
	struct err err = { 0 };

	assert_ok(staging_seal(staging, slice_str(drop), &err));
}

static size_t count_staged(struct store *lake)
{
	struct keys keys = { 0 };
	struct err err = { 0 };

	buf_init(&keys.text, 1 << 20);
	assert_ok(store_list(lake, ROOT "/_rebuild/", "", add_key, &keys, &err));
	buf_release(&keys.text);
	return keys.count;
}

/* Letters of both, in order, each key once. */
static void test_letters_are_listed_in_order(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct delta_table *table = open_table(lake);
	struct staging staging;

	(void)state;
	begin(&staging, lake, table);
	put(lake, LETTERS "1.ndjson", "theirs");
	put(lake, LETTERS "3.ndjson", "theirs");
	put(lake, LETTERS "5.ndjson", "theirs");
	put(&staging.base, LETTERS "2.ndjson", "ours");
	put(&staging.base, LETTERS "9.ndjson", "ours");
	assert_list(&staging.base, "dlq/t/", "", 0,
		    LETTERS "1.ndjson\n" LETTERS "2.ndjson\n" LETTERS "3.ndjson\n"
		    LETTERS "5.ndjson\n" LETTERS "9.ndjson\n");
	assert_list(&staging.base, "dlq/t/", LETTERS "2.ndjson", 2,
		    LETTERS "3.ndjson\n" LETTERS "5.ndjson\n");
	assert_list(&staging.base, "dlq/u/", "", 0, "");
	assert_list(lake, "dlq/t/", "", 0,
		    LETTERS "1.ndjson\n" LETTERS "3.ndjson\n" LETTERS "5.ndjson\n");
	staging_release(&staging);
	delta_close(table);
	store_free(lake);
}

/* What stands has its name; the same once more stays where it is. */
static void test_no_name_is_taken_twice(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct delta_table *table = open_table(lake);
	struct staging staging;
	struct err err;

	(void)state;
	begin(&staging, lake, table);
	put(lake, LETTERS "1.ndjson", "theirs");
	put(lake, LETTERS "2.ndjson", "both");
	assert_int_equal(store_put_once(&staging.base, LETTERS "1.ndjson", slice_str("ours"), &err),
			 ERR_EXISTS);
	assert_ok(store_put_once(&staging.base, LETTERS "2.ndjson", slice_str("both"), &err));
	assert_false(staging_keeps(&staging, LETTERS "1.ndjson"));
	assert_true(staging_keeps(&staging, LETTERS "2.ndjson"));
	assert_int_equal(count_staged(lake), 1); /* that it began */
	staging_release(&staging);
	delta_close(table);
	store_free(lake);
}

/* Two that are under way, and a third writer that comes by, again and again. */
static void test_what_may_still_come_is_left_alone(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct delta_table *table = open_table(lake);
	struct staging one, two;

	(void)state;
	put(lake, LETTERS "1.ndjson", "old");
	begin(&one, lake, table);
	begin(&two, lake, table);
	assert_true(one.id != two.id);
	put(&one.base, LETTERS "2.ndjson", "one");
	put(&two.base, LETTERS "2.ndjson", "two");
	seal(&one, LETTERS "1.ndjson\n");
	settle(lake, table);
	seal(&two, LETTERS "1.ndjson\n");
	settle(lake, table);
	assert_int_equal(count_staged(lake), 6);
	assert_list(lake, "dlq/t/", "", 0, LETTERS "1.ndjson\n");
	commit(table, &two);
	settle(lake, table);
	assert_int_equal(count_staged(lake), 0);
	assert_list(lake, "dlq/t/", "", 0, LETTERS "2.ndjson\n");
	assert_object(lake, LETTERS "2.ndjson", "two");
	staging_release(&one);
	staging_release(&two);
	delta_close(table);
	store_free(lake);
}

/* Its table has moved on: whatever it does yet, it is not committed, and is taken away. */
static void test_what_cannot_come_any_more_goes(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct delta_table *table = open_table(lake);
	struct staging staging;

	(void)state;
	put(lake, LETTERS "1.ndjson", "old");
	begin(&staging, lake, table);
	put(&staging.base, LETTERS "2.ndjson", "new");
	commit(table, NULL);
	settle(lake, table);
	assert_int_equal(count_staged(lake), 0);
	seal(&staging, LETTERS "1.ndjson\n");
	settle(lake, table);
	assert_int_equal(count_staged(lake), 0);
	assert_list(lake, "dlq/t/", "", 0, LETTERS "1.ndjson\n");
	staging_release(&staging);
	delta_close(table);
	store_free(lake);
}

/* The table's log is the staged one; its files are where they are. */
static void test_the_log_is_the_staged_one(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct delta_table *table = open_table(lake);
	struct store_fetched fetched;
	struct staging staging;
	struct err err;

	(void)state;
	begin(&staging, lake, table);
	put(lake, ROOT "/part.parquet", "file");
	put(&staging.base, ROOT "/_delta_log/00000000000000000001.json", "ours");
	assert_list(&staging.base, ROOT "/_delta_log/", "", 0,
		    ROOT "/_delta_log/00000000000000000001.json\n");
	assert_ok(store_fetch(&staging.base, BY_KEY(ROOT "/part.parquet"), &fetched, &err));
	store_fetched_release(&fetched);
	staging_release(&staging);
	delta_close(table);
	store_free(lake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_are_listed_in_order),
		cmocka_unit_test(test_no_name_is_taken_twice),
		cmocka_unit_test(test_what_may_still_come_is_left_alone),
		cmocka_unit_test(test_what_cannot_come_any_more_goes),
		cmocka_unit_test(test_the_log_is_the_staged_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
