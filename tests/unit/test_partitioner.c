/* Which shard a hash belongs to: the ranges that the service gives its shards. */
#include "broker/partitioner.h"

#include "base/mem.h"
#include "broker/broker.h"
#include "testing.h"

static void put_decimal(struct hash_key key, char text[40])
{
	__extension__ unsigned __int128 value = key.high;
	size_t at = 39;

	value = value << 64 | key.low;
	text[at] = '\0';
	do {
		text[--at] = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value);
	memmove(text, text + at, 40 - at);
}

static bool follows(struct hash_key next, struct hash_key last)
{
	last.low++;
	last.high += last.low == 0;
	return hash_key_cmp(next, last) == 0;
}

/* From 0 to 2^128 - 1, without a gap and none twice. */
static void test_ranges_cover_all(void **state)
{
	(void)state;
	for (int32_t count = 1; count <= PARTITIONS_MAX; count++) {
		struct hash_key first, last = { UINT64_MAX, UINT64_MAX };

		for (int32_t i = 0; i < count; i++) {
			struct hash_key before = last;

			partitioner_range(i, count, &first, &last);
			if (!follows(first, before) || hash_key_cmp(first, last) > 0)
				fail_msg("shard %d of %d does not follow the one before", i, count);
		}
		assert_true(last.high == UINT64_MAX && last.low == UINT64_MAX);
	}
}

/* As DescribeStream shows them for streams of the service. */
static void test_ranges_are_the_services(void **state)
{
	static const struct { int32_t count, index; const char *first, *last; } known[] = {
		{ 1, 0, "0", "340282366920938463463374607431768211455" },
		{ 2, 0, "0", "170141183460469231731687303715884105727" },
		{ 2, 1, "170141183460469231731687303715884105728", "340282366920938463463374607431768211455" },
		{ 3, 0, "0", "113427455640312821154458202477256070484" },
		{ 3, 1, "113427455640312821154458202477256070485", "226854911280625642308916404954512140969" },
		{ 3, 2, "226854911280625642308916404954512140970", "340282366920938463463374607431768211455" },
		{ 4, 0, "0", "85070591730234615865843651857942052863" },
		{ 4, 3, "255211775190703847597530955573826158592", "340282366920938463463374607431768211455" },
		{ 5, 1, "68056473384187692692674921486353642291", "136112946768375385385349842972707284581" },
		{ 5, 4, "272225893536750770770699685945414569164", "340282366920938463463374607431768211455" },
		{ 1024, 0, "0", "332306998946228968225951765070086143" },
		{ 1024, 1, "332306998946228968225951765070086144", "664613997892457936451903530140172287" },
	};
	char text[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct hash_key first, last;

		partitioner_range(known[i].index, known[i].count, &first, &last);
		put_decimal(first, text);
		assert_string_equal(text, known[i].first);
		put_decimal(last, text);
		assert_string_equal(text, known[i].last);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_cover_all),
		cmocka_unit_test(test_ranges_are_the_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
