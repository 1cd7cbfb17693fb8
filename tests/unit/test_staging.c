/* A rebuild's store: what is staged beside the table is listed where it will be. */
#include "backends/backends.h"
#include "flow/staging.h"
#include "store_helpers.h"

#define ROOT "tables/id_geo_clean"

/* Letters of both, in order, each key once; what is staged hides what is there. */
static void test_letters_are_listed_in_order(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct staging staging;

	(void)state;
	staging_init(&staging, lake, ROOT);
	put(lake, "dlq/t/partition=0/1.ndjson", "theirs");
	put(lake, "dlq/t/partition=0/3.ndjson", "theirs");
	put(lake, "dlq/t/partition=0/5.ndjson", "theirs");
	put(&staging.base, "dlq/t/partition=0/2.ndjson", "ours");
	put(&staging.base, "dlq/t/partition=0/3.ndjson", "ours");
	put(&staging.base, "dlq/t/partition=0/9.ndjson", "ours");
	assert_list(&staging.base, "dlq/t/", "", 0,
		    "dlq/t/partition=0/1.ndjson\ndlq/t/partition=0/2.ndjson\n"
		    "dlq/t/partition=0/3.ndjson\ndlq/t/partition=0/5.ndjson\n"
		    "dlq/t/partition=0/9.ndjson\n");
	assert_list(&staging.base, "dlq/t/", "dlq/t/partition=0/2.ndjson", 2,
		    "dlq/t/partition=0/3.ndjson\ndlq/t/partition=0/5.ndjson\n");
	assert_list(&staging.base, "dlq/u/", "", 0, "");
	assert_object(&staging.base, "dlq/t/partition=0/3.ndjson", "ours");
	assert_object(lake, "dlq/t/partition=0/3.ndjson", "theirs");
	store_free(lake);
}

/* The table's log is the staged one; its files are where they are. */
static void test_the_log_is_the_staged_one(void **state)
{
	struct store *lake = store_memory_new(1 << 20);
	struct store_fetched fetched;
	struct staging staging;
	struct err err;

	(void)state;
	staging_init(&staging, lake, ROOT);
	put(lake, ROOT "/_delta_log/00000000000000000000.json", "theirs");
	put(lake, ROOT "/part.parquet", "file");
	put(&staging.base, ROOT "/_delta_log/00000000000000000001.json", "ours");
	assert_list(&staging.base, ROOT "/_delta_log/", "", 0,
		    ROOT "/_delta_log/00000000000000000001.json\n");
	assert_ok(store_fetch(&staging.base, ROOT "/part.parquet", &fetched, &err));
	store_fetched_release(&fetched);
	store_free(lake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_are_listed_in_order),
		cmocka_unit_test(test_the_log_is_the_staged_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
