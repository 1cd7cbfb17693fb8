/* The order of the posts, drawn as CPython does (tests/cli/test_emulate.py asks python3 itself). */
#include "source/post_order.h"
#include "testing.h"

static void test_course_begins_as_everywhere(void **state)
{
	static const uint64_t rows[] = { 7528, 2863, 5730, 8304, 8731, 1313, 4315, 10794, 5494,
					 5069, 2923, 3089 };
	struct post_order order;
	struct err err = { 0 };

	(void)state;
	assert_ok(post_order_init(&order, POST_ORDER_COURSE, 100, 11154, &err));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(post_order_next(&order).row, rows[i]);
}

static void test_seeds_of_any_size(void **state)
{
	static const struct {
		int64_t seed;
		int64_t rows[6];
		uint64_t bits40;	/* getrandbits(40) after them */
	} cases[] = {
		{ 0, { 6890, 4242, 6634, 7808, 9558, 8268 }, 309835821338 },
		{ -7, { 2471, 10664, 1186, 5991, 8313, 614 }, 477110510426 },
		{ (1LL << 40) + 3, { 996, 9279, 6978, 7721, 4247, 4200 }, 523097361882 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct python_random random;

		python_random_init(&random, cases[i].seed);
		for (size_t n = 0; n < 6; n++) {
			int64_t pause = python_random_range(&random, 0, 2);

			assert_in_range(pause, 0, 1);
			assert_int_equal(python_random_int(&random, 0, 11000), cases[i].rows[n]);
		}
		assert_int_equal(python_random_bits(&random, 40), cases[i].bits40);
	}
}

static void test_course_wants_its_rows(void **state)
{
	struct post_order order;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(post_order_init(&order, POST_ORDER_COURSE, 100, 11000, &err), ERR_USAGE);
	assert_string_equal(err.msg, "the course's order draws rows 0 to 11000, but the source has 11000");
	assert_ok(post_order_init(&order, POST_ORDER_COURSE, 100, 11001, &err));
}

static void test_rows_come_round(void **state)
{
	struct post_order order;
	struct err err = { 0 };

	(void)state;
	assert_ok(post_order_init(&order, POST_ORDER_ROWS, 1, 3, &err));
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(post_order_next(&order).row, i % 3);
}

static void test_random_reaches_every_row(void **state)
{
	struct post_order order;
	struct err err = { 0 };
	unsigned seen[10] = { 0 };

	(void)state;
	assert_ok(post_order_init(&order, POST_ORDER_RANDOM, 5, 10, &err));
	for (int i = 0; i < 1000; i++)
		seen[post_order_next(&order).row]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(seen[i], 60, 140);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_course_begins_as_everywhere),
		cmocka_unit_test(test_seeds_of_any_size),
		cmocka_unit_test(test_course_wants_its_rows),
		cmocka_unit_test(test_rows_come_round),
		cmocka_unit_test(test_random_reaches_every_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
