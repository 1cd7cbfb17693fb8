/* Shard iterators: what goes in comes out, nothing else is taken, and they end. */
#include "gateway/iterator.h"
#include "testing.h"

static struct iterator_key key;
static struct err err;

static const struct iterator sample = {
	.stream = "streaming-124df56aef51-pin",
	.shard = 7,
	.kind = START_AT,
	.position = { { 0x0123456789abcdef, 0xfedcba9876543210, 0x0f1e2d3c4b5a6978 } },
	.created_ms = 1000000,
};

static int setup(void **state)
{
	(void)state;
	return iterator_key_init(&key, &err) != ERR_OK;
}

static struct slice text_of(struct buf *out, const struct iterator *iterator)
{
	buf_init(out, ITERATOR_TEXT_MAX);
	iterator_put(out, &key, iterator);
	assert_false(buf_full(out));
	return buf_slice(out);
}

static void test_both_ways(void **state)
{
	struct iterator back;
	struct buf out;

	(void)state;
	assert_ok(iterator_parse(&key, text_of(&out, &sample), sample.created_ms, &back, &err));
	assert_string_equal(back.stream, sample.stream);
	assert_int_equal(back.shard, 7);
	assert_int_equal(back.kind, START_AT);
	assert_int_equal(position_cmp(back.position, sample.position), 0);
	buf_release(&out);
}

static void test_longest_name_fits(void **state)
{
	struct iterator iterator = { .kind = START_TIME, .time_ms = -5 };
	struct iterator back;
	struct buf out;

	(void)state;
	memset(iterator.stream, 'x', STREAM_NAME_MAX);
	assert_ok(iterator_parse(&key, text_of(&out, &iterator), 0, &back, &err));
	assert_string_equal(back.stream, iterator.stream);
	assert_int_equal(back.time_ms, -5);
	buf_release(&out);
}

static void test_ends_after_five_minutes(void **state)
{
	int64_t end = sample.created_ms + ITERATOR_LIFE_MS;
	struct iterator back;
	struct buf out;
	struct slice text = text_of(&out, &sample);

	(void)state;
	assert_ok(iterator_parse(&key, text, end, &back, &err));
	assert_int_equal(iterator_parse(&key, text, end + 1, &back, &err), ERR_EXPIRED);
	assert_string_equal(err_kinesis(err.code), "ExpiredIteratorException");
	buf_release(&out);
}

/* Every single character matters, and so does the key. */
static void test_forged(void **state)
{
	struct iterator_key other;
	struct iterator back;
	struct buf out;
	struct slice text = text_of(&out, &sample);

	(void)state;
	for (size_t i = 0; i < text.len; i++) {
		char was = out.ptr[i];

		out.ptr[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(iterator_parse(&key, text, sample.created_ms, &back, &err),
				 ERR_USAGE);
		out.ptr[i] = was;
	}
	for (size_t len = 0; len < text.len; len++)
		assert_int_equal(iterator_parse(&key, slice_of(text.ptr, len), sample.created_ms,
						&back, &err), ERR_USAGE);
	assert_ok(iterator_key_init(&other, &err));
	assert_int_equal(iterator_parse(&other, text, sample.created_ms, &back, &err), ERR_USAGE);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_longest_name_fits),
		cmocka_unit_test(test_ends_after_five_minutes),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
