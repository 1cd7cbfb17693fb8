/* The names of what lies in the lake. */
#include "backends/backends.h"
#include "base/mem.h"
#include "flow/lake.h"
#include "testing.h"

#define TOPIC "0e3bbd435bfb.pin"

static struct lake_partition at(const char *topic, int32_t partition)
{
	return (struct lake_partition){ .topic = topic, .id = partition };
}

static void test_keys_follow_the_layout(void **state)
{
	struct buf key;

	(void)state;
	buf_init(&key, 1000);
	lake_object_key(&key, at(TOPIC, 0), 42);
	assert_string_equal(buf_cstr(&key),
			    "topics/" TOPIC "/partition=0/" TOPIC "+0+0000000042.json");
	lake_object_key(&key, at("t", 12), 12345678901);
	assert_string_equal(buf_cstr(&key), "topics/t/partition=12/t+12+12345678901.json");
	lake_object_key(&key, (struct lake_partition){ "t", 3, 1 }, 7);
	assert_string_equal(buf_cstr(&key), "topics/t/partition=3/t+3+0000000007.json");
	lake_object_key(&key, (struct lake_partition){ "t", 3, 2 }, 7);
	assert_string_equal(buf_cstr(&key), "topics/t/generation=2/partition=3/t+3+0000000007.json");
	buf_release(&key);
}

static void test_names_of_both_paths(void **state)
{
	const struct clean_model clicks = { .model.name = "clicks",
					    .topic = "{id}.clicks",
					    .stream = "all-of-{id}" };
	struct lake_table table;
	struct err err;
	char long_id[200];

	(void)state;
	assert_ok(lake_table_init(&table, &clicks, TOPIC_LOG, "124df56aef51", &err));
	assert_string_equal(table.topic, "124df56aef51.clicks");
	assert_string_equal(table.root, "tables/124df56aef51_clicks_clean");
	assert_ok(lake_table_init(&table, &clicks, TOPIC_STREAM, "x", &err));
	assert_string_equal(table.topic, "all-of-x");
	assert_string_equal(table.root, "tables/x_clicks_table");
	memset(long_id, 'i', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	assert_int_equal(lake_table_init(&table, &clicks, TOPIC_STREAM, long_id, &err), ERR_USAGE);
}

static void test_keys_are_read_back(void **state)
{
	static const uint64_t starts[] = { 0, 42, 9999999999, 10000000000, 1234567890123456789 };
	struct buf key;

	(void)state;
	buf_init(&key, 1000);
	for (size_t i = 0; i < ARRAY_LEN(starts) * 2; i++) {
		struct lake_partition where = { TOPIC, 7, i % 2 ? 9999 : 1 };
		struct lake_object_name name;

		lake_object_key(&key, where, starts[i / 2]);
		assert_true(lake_object_parse(buf_cstr(&key), &name));
		assert_true(slice_is(name.topic, TOPIC));
		assert_int_equal(name.partition, 7);
		assert_int_equal(name.generation, where.generation);
		assert_int_equal(name.start, starts[i / 2]);
	}
	buf_release(&key);
}

static void test_what_is_no_object(void **state)
{
	static const char *const keys[] = {
		"", "topics", "topics/t", "topics/t/partition=0/", "tables/t/partition=0/t+0+0000000000.json",
		"topics/t/partition=0/u+0+0000000000.json", "topics/t/partition=0/t+1+0000000000.json",
		"topics/t/partition=0/t+0+000000000.json", "topics/t/partition=0/t+0+00000000000.json",
		"topics/t/partition=0/t+0+0000000000.json.gz", "topics/t/partition=0/t+0+0000000000.jso",
		"topics/t/partition=0/t+0+000000000x.json", "topics/t/partition=00/t+00+0000000000.json",
		"topics/t/partition=-1/t+-1+0000000000.json", "topics/t/partition=0/t+0+.json",
		"topics/t/partition=0/x/t+0+0000000000.json",
		"topics/t/partition=99999999999/t+99999999999+0000000000.json",
		"topics/t/generation=1/partition=0/t+0+0000000000.json",
		"topics/t/generation=02/partition=0/t+0+0000000000.json",
		"topics/t/generation=/partition=0/t+0+0000000000.json",
		"topics/t/generation=10000/partition=0/t+0+0000000000.json",
		"topics/t/generation=2x/partition=0/t+0+0000000000.json",
	};
	struct lake_object_name name;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_false(lake_object_parse(keys[i], &name));
}

static void test_offsets_and_positions(void **state)
{
	static const uint64_t offsets[] = { 0, 9, 10, 4294967296, INT64_MAX };
	struct position sequence;
	uint64_t offset;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
		char text[POSITION_TEXT_MAX], expected[POSITION_TEXT_MAX];

		(void)position_text(lake_position(offsets[i]), text);
		(void)snprintf(expected, sizeof(expected), "%020llu", (unsigned long long)offsets[i]);
		assert_string_equal(text, expected);
		assert_true(lake_offset(lake_position(offsets[i]), &offset));
		assert_int_equal(offset, offsets[i]);
	}
	assert_false(lake_offset(lake_position((uint64_t)INT64_MAX + 1), &offset));
	assert_false(lake_offset(lake_position(UINT64_MAX), &offset));
	assert_true(position_parse(slice_str("49683561428459134281932517430285"), &sequence));
	assert_false(lake_offset(sequence, &offset));
}

static bool note_start(void *user, const struct lake_entry *entry)
{
	buf_addf(user, "%llu ", (unsigned long long)entry->start);
	return entry->size != 3;
}

static void assert_listed(struct store *store, int64_t after, const char *expected)
{
	struct err err;
	struct buf starts;

	buf_init(&starts, 1000);
	assert_ok(lake_list_objects(store, at("t", 1), after, note_start, &starts, &err));
	assert_string_equal(buf_cstr(&starts), expected);
	buf_release(&starts);
}

/* Keys of different lengths are not in the order of the numbers in them. */
static void test_objects_are_listed_by_offset(void **state)
{
	static const uint64_t starts[] = { 7,	       9,	    1000000000,	  9000000000,
					   9000000001, 10000000000, 90000000000, 100000000000 };
	struct store *store = store_memory_new(1 << 20);
	struct buf key;
	struct err err;

	(void)state;
	buf_init(&key, 1000);
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		lake_object_key(&key, at("t", 1), starts[i]);
		assert_ok(store_put(store, buf_cstr(&key), slice_str("7\n"), STORE_CREATE, &err));
	}
	lake_object_key(&key, at("t", 10), 8); /* another partition */
	assert_ok(store_put(store, buf_cstr(&key), slice_str("7\n"), STORE_CREATE, &err));
	assert_listed(store, -1, "7 9 1000000000 9000000000 9000000001 10000000000 90000000000 "
				 "100000000000 ");
	assert_listed(store, 9000000000, "9000000001 10000000000 90000000000 100000000000 ");
	assert_listed(store, 50000000000, "90000000000 100000000000 ");
	assert_listed(store, 100000000000, "");
	for (int i = 0; i < 2; i++) { /* until it is enough, among both */
		lake_object_key(&key, at("t", 1), i ? 11 : 20000000000);
		assert_ok(store_put(store, buf_cstr(&key), slice_str("77\n"), STORE_CREATE, &err));
		assert_listed(store, i ? 9 : 9000000001, i ? "11 " : "10000000000 20000000000 ");
	}
	buf_release(&key);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_follow_the_layout),
		cmocka_unit_test(test_names_of_both_paths),
		cmocka_unit_test(test_keys_are_read_back),
		cmocka_unit_test(test_what_is_no_object),
		cmocka_unit_test(test_offsets_and_positions),
		cmocka_unit_test(test_objects_are_listed_by_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
