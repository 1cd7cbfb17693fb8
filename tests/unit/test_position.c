/* Positions: the layout of sequence numbers, their text, and what sorts as what. */
#include "broker/sequence.h"
#include "testing.h"

#include <string.h>

/* The low digits of each field are chosen so that the hex digits can be read off. */
static void test_sequence_layout(void **state)
{
	struct position p = position_of_sequence(0x123456789, 0x1d, 0x0abcdef012345678);

	(void)state;
	/* 2|123456789|d|0abcdef012345678|00|123456789|0000001d|2 */
	assert_true(p.word[0] == 0x02123456789d0abc);
	assert_true(p.word[1] == 0xdef0123456780012);
	assert_true(p.word[2] == 0x34567890000001d2);
	assert_true(position_ordinal(p) == 0x0abcdef012345678);
	assert_int_equal(position_shard(p), 0x1d);
}

static void test_sequence_looks_like_those_of_aws(void **state)
{
	char text[POSITION_TEXT_MAX];
	struct position p = position_of_sequence(1700000000, 3, 7), back;

	(void)state;
	assert_int_equal(position_text(p, text), 56);
	assert_memory_equal(text, "49", 2);
	assert_true(position_parse(slice_str(text), &back));
	assert_int_equal(position_cmp(p, back), 0);
	assert_int_equal(position_cmp(position_with_ordinal(p, 9),
				      position_of_sequence(1700000000, 3, 9)), 0);
}

static void test_text_order_is_log_order(void **state)
{
	char before[POSITION_TEXT_MAX] = "", text[POSITION_TEXT_MAX];

	(void)state;
	for (uint64_t counter = 1; counter && counter <= INT64_MAX; counter *= 3) {
		position_text(position_of_sequence(1600000000, 0, counter), text);
		assert_true(strcmp(before, text) < 0);
		memcpy(before, text, sizeof(text));
		if (counter > INT64_MAX / 3)
			break;
	}
}

static void test_offset_text(void **state)
{
	char text[POSITION_TEXT_MAX];
	struct position back;

	(void)state;
	assert_int_equal(position_text(position_of_offset(42), text), 20);
	assert_string_equal(text, "00000000000000000042");
	position_text(position_of_offset(UINT64_MAX), text);
	assert_string_equal(text, "18446744073709551615");
	assert_true(position_parse(slice_str("7"), &back));
	assert_true(position_ordinal(back) == 7);
	assert_true(position_ordinal(position_with_ordinal(back, 8)) == 8);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "0x1", "1.0",
		/* 2^192, and 59 digits */
		"6277101735386680763835789423207666416102355444464034512896",
		"00000000000000000000000000000000000000000000000000000000001",
	};
	struct position p = position_of_offset(5);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(position_parse(slice_str(bad[i]), &p));
	assert_true(position_ordinal(p) == 5);		/* untouched */
	assert_true(position_parse(
		slice_str("6277101735386680763835789423207666416102355444464034512895"), &p));
	assert_true(p.word[0] == UINT64_MAX && p.word[1] == UINT64_MAX && p.word[2] == UINT64_MAX);
}

static void test_partition_text(void **state)
{
	char text[PARTITION_TEXT_MAX];
	int32_t id = -1;

	(void)state;
	assert_int_equal(partition_text(TOPIC_LOG, 12, text), 2);
	assert_string_equal(text, "12");
	assert_int_equal(partition_text(TOPIC_STREAM, 12, text), 20);
	assert_string_equal(text, "shardId-000000000012");
	assert_true(partition_parse(TOPIC_STREAM, slice_str(text), &id) && id == 12);
	assert_true(partition_parse(TOPIC_LOG, slice_str("2147483647"), &id) && id == INT32_MAX);
	assert_true(partition_parse(TOPIC_LOG, slice_str("0"), &id) && id == 0);
	assert_false(partition_parse(TOPIC_LOG, slice_str("2147483648"), &id));
	assert_false(partition_parse(TOPIC_LOG, slice_str("01"), &id));
	assert_false(partition_parse(TOPIC_LOG, slice_str("-1"), &id));
	assert_false(partition_parse(TOPIC_LOG, slice_str(""), &id));
	assert_false(partition_parse(TOPIC_STREAM, slice_str("shardId-12"), &id));
	assert_false(partition_parse(TOPIC_STREAM, slice_str("000000000012"), &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence_layout),
		cmocka_unit_test(test_sequence_looks_like_those_of_aws),
		cmocka_unit_test(test_text_order_is_log_order),
		cmocka_unit_test(test_offset_text),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_partition_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
