/* What a terminal would take for orders, made visible. */
#include "base/mem.h"
#include "base/visible.h"
#include "testing.h"

static void test_orders_are_shown(void **state)
{
	static const struct { const char *text; size_t len; const char *want; } texts[] = {
#define TEXT(text, want) { text, sizeof(text) - 1, want }
		TEXT("", ""),
		TEXT("plain", "plain"),
		TEXT("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
		TEXT("\033]0;title\007x", "\\x1b]0;title\\x07x"),
		TEXT("a\0b\x7f", "a\\x00b\\x7f"),
		TEXT("\r\b\v\f", "\\x0d\\x08\\x0b\\x0c"),
		TEXT("a\xc2\x9b" "31m", "a\\x9b31m"),	/* CSI as UTF-8 */
		TEXT("\xc2\x80\xc2\x9f\xc2\xa0", "\\x80\\x9f\xc2\xa0"),
		TEXT("\x9b" "31m", "\\x9b31m"),		/* and as a byte */
		TEXT("\xff\xc3", "\\xff\\xc3"),
		TEXT("\xc0\x9b", "\\xc0\\x9b"),		/* longer than need be */
		TEXT("\xed\xa0\x80", "\\xed\\xa0\\x80"),
#undef TEXT
	};
	struct buf out;

	(void)state;
	buf_init(&out, 256);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		buf_clear(&out);
		visible_put(&out, slice_of(texts[i].text, texts[i].len), false);
		assert_string_equal(buf_cstr(&out), texts[i].want);
	}
	buf_clear(&out);
	visible_put(&out, slice_str("a\tb\n\r"), true);
	assert_string_equal(buf_cstr(&out), "a\tb\n\\x0d");
	buf_clear(&out);
	visible_put(&out, slice_str("a\tb\n"), false);
	assert_string_equal(buf_cstr(&out), "a\\x09b\\x0a");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
