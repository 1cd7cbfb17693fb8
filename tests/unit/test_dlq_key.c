/* The names of dead letters: those of today are read back as written, those of before for ever. */
#include "base/mem.h"
#include "broker/sequence.h"
#include "flow/dlq_key.h"
#include "testing.h"

#define OFFSET_5 "00000000000000000005"
#define OFFSET_9 "00000000000000000009"

static struct dlq_range range_of(uint64_t from, uint64_t upto)
{
	struct position at = position_of_offset(from);

	return dlq_range_of(&at, position_of_offset(upto));
}

static void assert_key(struct topic_ref topic, uint32_t generation, const struct dlq_range *range,
		       uint32_t number, const char *table, const char *expected)
{
	struct dlq_place place = { .topic = topic, .generation = generation, .partition = 1 };
	struct dlq_key read;
	struct buf key;

	buf_init(&key, 1000);
	dlq_key_put(&key, &place, range, number, table);
	assert_string_equal(buf_cstr(&key), expected);
	assert_true(dlq_key_parse(expected, &read));
	assert_true(slice_is(read.topic, topic.name));
	assert_false(read.old);
	assert_int_equal(read.generation, generation);
	assert_int_equal(read.number, number);
	assert_int_equal(dlq_range_cmp(&read.range, range), 0);
	if (table)
		assert_true(slice_is(read.table, table));
	else
		assert_null(read.table.ptr);
	buf_release(&key);
}

static void test_names_of_ranges(void **state)
{
	const struct topic_ref topic = { TOPIC_LOG, "a-b.c" }, stream = { TOPIC_STREAM, "s" };
	struct dlq_range range = range_of(5, 9);
	struct dlq_range first = dlq_range_of(NULL, position_of_offset(5));
	struct position from = position_of_sequence(1700000000, 1, 0);
	struct dlq_range shard = dlq_range_of(&from, position_of_sequence(1700000000, 1, 9));

	(void)state;
	assert_key(topic, 1, &range, 1, NULL,
		   "dlq/a-b.c/partition=1/" OFFSET_5 "-" OFFSET_9 ".ndjson");
	assert_key(topic, 1, &range, 12, NULL,
		   "dlq/a-b.c/partition=1/" OFFSET_5 "-" OFFSET_9 ".12.ndjson");
	assert_key(topic, 1, &range, 2, "clicks",
		   "dlq/a-b.c/partition=1/" OFFSET_5 "-" OFFSET_9 ".2+clicks.ndjson");
	assert_key(topic, 1, &first, 1, "clicks",
		   "dlq/a-b.c/partition=1/none-" OFFSET_5 "+clicks.ndjson");
	assert_key(topic, 12, &range, 1, "clicks",
		   "dlq/a-b.c/generation=12/partition=1/" OFFSET_5 "-" OFFSET_9 "+clicks.ndjson");
	assert_key(stream, 1, &shard, 1, "pin",
		   "dlq/s/partition=shardId-000000000001/"
		   "49646437577130777162115407028967465143858078037781250066-"
		   "49646437577130777162115407028978345476234609700353605650+pin.ndjson");
}

/* Also those of topics whose name looks like something else. */
static void test_names_of_before(void **state)
{
	static const struct {
		const char *key, *table;
		uint64_t start;
	} names[] = {
		{ "dlq/t/partition=0/t+0+0000000042.ndjson", NULL, 42 },
		{ "dlq/t/partition=0/t+0+12345678901.ndjson", NULL, 12345678901 },
		{ "dlq/1-2.3/partition=7/1-2.3+7+0000000042+clicks.ndjson", "clicks", 42 },
		{ "dlq/s/partition=shardId-000000000007/s+shardId-000000000007+0000000000.ndjson",
		  NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct dlq_key key;

		assert_true(dlq_key_parse(names[i].key, &key));
		assert_true(key.old);
		assert_int_equal(key.start, names[i].start);
		if (names[i].table)
			assert_true(slice_is(key.table, names[i].table));
		else
			assert_null(key.table.ptr);
	}
}

static void test_what_is_no_name(void **state)
{
	static const char *const keys[] = {
		"",
		"dlq",
		"dlq/",
		"dlq/t/partition=0/",
		"dlq/t/partition=0/.ndjson",
		"dlq/t/partition=0/u+0+0000000042.ndjson",
		"dlq/t/partition=0/t+1+0000000042.ndjson",
		"dlq/t/partition=0/t+0+000000042.ndjson",
		"dlq/t/partition=0/t+0+00000000042.ndjson",
		"dlq/t/partition=0/t+0+0000000042+.ndjson",
		"topics/t/partition=0/t+0+0000000042.ndjson",
		"dlq/t/partition=0/5-9.ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-9.ndjson",
		"dlq/t/partition=0/" OFFSET_9 "-" OFFSET_5 ".ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-" OFFSET_9 ".1.ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-" OFFSET_9 ".02.ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-" OFFSET_9 ".x.ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-" OFFSET_9 "..ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-" OFFSET_9 "+.ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-" OFFSET_9 ".json",
		"dlq/t/partition=0/x/" OFFSET_5 "-" OFFSET_9 ".ndjson",
		"dlq/t/generation=1/partition=0/" OFFSET_5 "-" OFFSET_9 ".ndjson",
		"dlq/t/generation=02/partition=0/" OFFSET_5 "-" OFFSET_9 ".ndjson",
		"dlq/t/generation=10000/partition=0/" OFFSET_5 "-" OFFSET_9 ".ndjson",
		"dlq/t/generation=2/" OFFSET_5 "-" OFFSET_9 ".ndjson",
		"dlq/t/replayed/part-1.json",
		"dlq/t/partition=0/none-none.ndjson",
		"dlq/t/partition=0/" OFFSET_5 "-none.ndjson",
	};
	struct dlq_key key;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (dlq_key_parse(keys[i], &key))
			fail_msg("\"%s\" is taken for a name", keys[i]);
}

static void test_ranges_are_ordered(void **state)
{
	struct dlq_range none = dlq_range_of(NULL, position_of_offset(100));
	struct dlq_range a = range_of(0, 5), b = range_of(0, 9), c = range_of(1, 2);

	(void)state;
	assert_true(dlq_range_cmp(&none, &a) < 0);
	assert_true(dlq_range_cmp(&a, &b) < 0);
	assert_true(dlq_range_cmp(&c, &b) > 0);
	assert_int_equal(dlq_range_cmp(&a, &a), 0);
	assert_true(dlq_range_is_before(&none, position_of_offset(0)));
	assert_false(dlq_range_is_before(&a, position_of_offset(0)));
	assert_true(dlq_range_is_before(&a, position_of_offset(1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_ranges),
		cmocka_unit_test(test_names_of_before),
		cmocka_unit_test(test_what_is_no_name),
		cmocka_unit_test(test_ranges_are_ordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
