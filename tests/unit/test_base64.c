/* RFC 4648: the RFC's own vectors, every byte value both ways, and what strictness refuses. */
#include "base/base64.h"
#include "base/mem.h"
#include "testing.h"

static const struct { const char *bytes, *text; } vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

static void test_vectors(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		buf_clear(&out);
		base64_put(&out, slice_str(vectors[i].bytes));
		assert_string_equal(buf_cstr(&out), vectors[i].text);
		buf_clear(&out);
		assert_true(base64_decode(&out, slice_str(vectors[i].text)));
		assert_string_equal(buf_cstr(&out), vectors[i].bytes);
	}
	buf_release(&out);
}

static void test_every_byte_both_ways(void **state)
{
	char bytes[256];
	struct buf text, back;

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	buf_init(&text, 1000);
	buf_init(&back, 1000);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		buf_clear(&text);
		buf_clear(&back);
		base64_put(&text, slice_of(bytes, len));
		assert_true(base64_decode(&back, buf_slice(&text)));
		assert_true(slice_eq(buf_slice(&back), slice_of(bytes, len)));
	}
	buf_release(&text);
	buf_release(&back);
}

static void test_of_urls(void **state)
{
	static const struct { const char *bytes, *text; } of_urls[] = {
		{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "\xfb\xff\xbf~", "-_-_fg" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(of_urls); i++) {
		buf_clear(&out);
		buf_add_str(&out, "a+/=");
		base64_put_url(&out, slice_str(of_urls[i].bytes));
		assert_true(slice_starts(buf_slice(&out), "a+/="));
		assert_string_equal(buf_cstr(&out) + 4, of_urls[i].text);
	}
	buf_release(&out);
}

static void test_refused_and_nothing_kept(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v\n",
					   "Zm 9", "Zm9-", "Zm9_", "====", "=m9v", "Zg==Zg==", "Zm8=Zm9v" };
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	buf_add_str(&out, "kept");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(base64_decode(&out, slice_str(bad[i])));
		assert_string_equal(buf_cstr(&out), "kept");
	}
	buf_release(&out);
}

static void test_no_room(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 5);
	base64_put(&out, slice_str("foob"));
	assert_true(buf_full(&out));
	buf_clear(&out);
	assert_false(base64_decode(&out, slice_str("Zm9vYmFy")));
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_every_byte_both_ways),
		cmocka_unit_test(test_of_urls),
		cmocka_unit_test(test_refused_and_nothing_kept),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
