/* Columns that a text takes on a terminal. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "base/visible.h"
#include "testing.h"

static void test_columns(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
	} texts[] = {
		{ "", 0 },
		{ "plain", 5 },
		{ "caf\xc3\xa9", 4 },
		{ "cafe\xcc\x81", 4 },		   /* e, and an accent that goes over it */
		{ "\xe6\x97\xa5\xe6\x9c\xac", 4 }, /* two of two columns each */
		{ "\xf0\x9f\x98\x80", 2 },
		{ "\033[31m", 8 }, /* \x1b[31m */
		{ "\xc2\x9b", 4 }, /* \x9b */
		{ "\xff\xc3", 8 },
		{ "\xe6\x97", 8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(terminal_columns(slice_str(texts[i].text)), texts[i].columns);
}

static void test_what_fits_is_whole_characters(void **state)
{
	static const char text[] = "a\xe6\x97\xa5"
				   "b\xcc\x81"
				   "c"; /* 1, 2, 1, 1 */
	static const size_t fits[] = { 0, 1, 1, 4, 7, 8, 8 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fits); i++)
		assert_int_equal(terminal_fit(slice_str(text), i), fits[i]);
}

/* Whatever bytes there are: what is shown of them is as wide as they were said to be. */
static void test_what_is_shown_is_as_wide(void **state)
{
	unsigned seed = 7;
	char bytes[12];
	struct buf out;

	(void)state;
	buf_init(&out, 256);
	for (int i = 0; i < 100000; i++) {
		for (size_t b = 0; b < sizeof(bytes); b++)
			bytes[b] = (char)(rand_r(&seed) % 3 ? 0x80 + rand_r(&seed) % 128
							    : rand_r(&seed) % 128);
		buf_clear(&out);
		visible_put(&out, slice_of(bytes, sizeof(bytes)), false);
		assert_int_equal(terminal_columns(buf_slice(&out)),
				 terminal_columns(slice_of(bytes, sizeof(bytes))));
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_what_fits_is_whole_characters),
		cmocka_unit_test(test_what_is_shown_is_as_wide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
