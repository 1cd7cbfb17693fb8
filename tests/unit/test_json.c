/* JSON: verdicts of the public suite, limits, what values mean and how they were written. */
#include "base/json.h"
#include "base/mem.h"
#include "testing.h"

#include <dirent.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { TEXT_MAX = 1 << 20 };

static struct json_parser *parser;
static struct err err;

static int setup(void **state)
{
	(void)state;
	parser = json_parser_new(TEXT_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_parser_free(parser);
	return 0;
}

static struct json parse(const char *text)
{
	struct json root = { 0 };

	assert_int_equal(json_parse(parser, slice_str(text), &root, &err), ERR_OK);
	return root;
}

static enum err_code refuse(struct slice text)
{
	struct json root;

	return json_parse(parser, text, &root, &err);
}

static void check_compact(const char *text, const char *want)
{
	struct buf out;

	buf_init(&out, TEXT_MAX);
	json_put(&out, parse(text));
	assert_string_equal(buf_cstr(&out), want);
	buf_release(&out);
}

static struct slice read_file(const char *path, char *bytes, size_t room)
{
	FILE *file = fopen(path, "rb");
	size_t len;

	assert_non_null(file);
	len = fread(bytes, 1, room, file);
	assert_true(len < room);
	(void)fclose(file);
	return slice_of(bytes, len);
}

/* y_ must be taken, n_ refused; i_ is ours to decide, and only must not crash but for numbers. */
static void test_public_suite(void **state)
{
	static char bytes[TEXT_MAX];
	char path[512];
	DIR *dir = opendir(TEST_SHARED "/data/json-parsing");
	struct dirent *entry;
	struct json root;
	int seen = 0;

	(void)state;
	if (!dir)
		skip();
	while ((entry = readdir(dir))) {
		enum err_code code;

		if (!strchr("yni", entry->d_name[0]) || entry->d_name[1] != '_')
			continue;
		(void)snprintf(path, sizeof(path), TEST_SHARED "/data/json-parsing/%s",
			       entry->d_name);
		code = json_parse(parser, read_file(path, bytes, sizeof(bytes)), &root, &err);
		if (code != ERR_OK && strcmp(err.msg, "not JSON") == 0)
			fail_msg("%s is refused, and nothing says why", entry->d_name);
		/* Numbers of any size are JSON; the rest that is left open stays so. */
		if ((entry->d_name[0] != 'i' || slice_starts(slice_str(entry->d_name), "i_number")) &&
		    (code == ERR_OK) != (entry->d_name[0] != 'n'))
			fail_msg("%s: %s", entry->d_name, code ? err.msg : "taken");
		seen++;
	}
	(void)closedir(dir);
	assert_true(seen > 300);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "[1 2]", "nul", "truex", "'a'", "\"a",
		"\"\x01\"", "\"\\x\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\xed\xa0\x80\"", "\"\xff\"",
		"\xef\xbb\xbf{}", "01", "1.", ".5", "+1", "NaN", "Infinity", "01e400",
		"1e", "1e400.5", "18446744073709551616.", "{} {}", "[1]]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (refuse(slice_str(bad[i])) != ERR_SYNTAX)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(refuse(slice_of("{}\0", 3)), ERR_SYNTAX);
	assert_int_equal(refuse(slice_of("\"a\0b\"", 5)), ERR_SYNTAX);
}

static void test_empty_text_first(void **state)
{
	struct json_parser *fresh = json_parser_new(100);
	struct json root;

	(void)state;
	assert_int_equal(json_parse(fresh, slice_of(NULL, 0), &root, &err), ERR_SYNTAX);
	assert_string_equal(err.msg, "not JSON: the text is empty");
	assert_int_equal(json_parse(fresh, slice_str("1"), &root, &err), ERR_OK);
	json_parser_free(fresh);
}

static void test_message_says_where(void **state)
{
	static const struct { const char *text, *message; } bad[] = {
		{ "{\"a\":1", "at its end (byte 6) a comma or the closing bracket is missing" },
		{ "{\"a\":}", "at byte 6 a value is missing" },
		{ "{\"a\" 1}", "at byte 6 a colon is missing" },
		{ "{\"a\":1,}", "at byte 8 a name in quotes is missing" },
		{ "{a:1}", "at byte 2 a name in quotes or } is missing" },
		{ " [1 2]", "at byte 5 a comma or the closing bracket is missing" },
		{ "[1}", "at byte 3 a comma or the closing bracket is missing" },
		{ "[,]", "at byte 2 a value is missing" },
		{ "[", "at its end (byte 1) a value is missing" },
		{ "{} {}", "at byte 4 there is something behind the value" },
		{ "[1.]", "at byte 4 a digit is missing" },
		{ "[-]", "at byte 3 a digit is missing" },
		{ "[01]", "at byte 3 a comma or the closing bracket is missing" },
		{ "\"a\nb\"", "at byte 3 a control character in a string must be escaped" },
		{ "\"ab", "at its end (byte 3) a string is not closed" },
		{ "\"\\x\"", "at byte 3 there is no such escape" },
		{ "\"\\u12x4\"", "at byte 6 \\u wants four hex digits" },
		{ "\"\\ud800\\n\"", "half of a surrogate pair is missing" },
		{ "\"a\xff\"", "at byte 3 this is not UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(refuse(slice_str(bad[i].text)), ERR_SYNTAX);
		if (!strstr(err.msg, bad[i].message))
			fail_msg("%s: %s", bad[i].text, err.msg);
	}
}

static void test_depth_of_own_texts(void **state)
{
	enum { DEEP = 5000 };
	struct json_parser *deep = json_parser_new_deep(TEXT_MAX, DEEP);
	static char text[2 * DEEP + 2];
	struct json value;
	struct json_iter inside;
	unsigned depth = 1;

	(void)state;
	memset(text, '[', DEEP);
	memset(text + DEEP, ']', DEEP);
	assert_ok(json_parse(deep, slice_of(text, (size_t)DEEP * 2), &value, &err));
	for (inside = json_iter(value); json_next(&inside); inside = json_iter(inside.value))
		depth++;
	assert_int_equal(depth, DEEP);
	memset(text, '[', DEEP + 1);
	memset(text + DEEP + 1, ']', DEEP + 1);
	assert_int_equal(json_parse(deep, slice_of(text, (size_t)DEEP * 2 + 2), &value, &err),
			 ERR_SYNTAX);
	assert_string_equal(err.msg, "JSON nested deeper than 5000 levels");
	json_parser_free(deep);
}

static void test_depth(void **state)
{
	static char text[100000];
	struct rlimit was, small;

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(refuse(slice_of(text, (size_t)JSON_DEPTH_MAX * 2)), ERR_OK);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(refuse(slice_of(text, (size_t)JSON_DEPTH_MAX * 2 + 2)), ERR_SYNTAX);
	assert_string_equal(err.msg, "JSON nested deeper than 64 levels");

	assert_int_equal(getrlimit(RLIMIT_STACK, &was), 0);
	small = (struct rlimit){ .rlim_cur = 128 * 1024, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
	memset(text, '[', sizeof(text));
	assert_int_equal(refuse(slice_of(text, sizeof(text))), ERR_SYNTAX);
	memset(text + sizeof(text) / 2, ']', sizeof(text) / 2);
	assert_int_equal(refuse(slice_of(text, sizeof(text))), ERR_SYNTAX);
	assert_string_equal(err.msg, "JSON nested deeper than 64 levels");
	for (size_t i = 0; i < sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_int_equal(refuse(slice_of(text, sizeof(text))), ERR_SYNTAX);
	assert_int_equal(setrlimit(RLIMIT_STACK, &was), 0);
}

static void test_too_long(void **state)
{
	char *text = xcalloc(TEXT_MAX + 1, 1);

	(void)state;
	memset(text, ' ', TEXT_MAX + 1);
	text[0] = '1';
	assert_int_equal(refuse(slice_of(text, TEXT_MAX)), ERR_OK);
	assert_int_equal(refuse(slice_of(text, TEXT_MAX + 1)), ERR_LIMIT);
	free(text);
}

static void test_types(void **state)
{
	static const struct { const char *text; enum json_type type; } values[] = {
		{ "null", JSON_NULL }, { "true", JSON_BOOL }, { "false", JSON_BOOL }, { "0", JSON_INT },
		{ "-9223372036854775808", JSON_INT }, { "9223372036854775808", JSON_UINT },
		{ "-9223372036854775809", JSON_BIG }, { "18446744073709551616", JSON_BIG },
		{ "327267367867168100000", JSON_BIG }, { "1e400", JSON_BIG }, { "-1E+400", JSON_BIG },
		{ "1e-400", JSON_DOUBLE },
		{ "1.0", JSON_DOUBLE }, { "1e2", JSON_DOUBLE }, { "\"\"", JSON_STRING },
		{ "[]", JSON_ARRAY }, { "{}", JSON_OBJECT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		assert_int_equal(json_type(parse(values[i].text)), values[i].type);
}

static void test_getters_refuse_other_types(void **state)
{
	struct slice s = slice_str("untouched");
	bool b = true;
	int64_t i = 7;
	double d = 7;

	(void)state;
	assert_true(json_get_bool(parse("false"), &b) && !b);
	assert_true(json_get_i64(parse("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(json_get_double(parse("18446744073709551615"), &d) && d > 1.8e19);
	assert_true(json_get_double(parse("-0.25"), &d) && d < -0.2 && d > -0.3);
	assert_false(json_get_i64(parse("9223372036854775808"), &i));
	assert_false(json_get_i64(parse("1.0"), &i));
	assert_int_equal(i, INT64_MIN);
	assert_false(json_get_bool(parse("0"), &b));
	assert_false(json_get_double(parse("\"1\""), &d));
	assert_true(json_get_double(parse("327267367867168100000"), &d) && d > 3.2e20);
	assert_false(json_get_double(parse("1e400"), &d));
	assert_false(json_get_i64(parse("327267367867168100000"), &(int64_t){ 0 }));
	check_compact("{ \"id\" : 327267367867168100000, \"e\" : -1e400 }",
		      "{\"id\":327267367867168100000,\"e\":-1e400}");
	assert_false(json_get_string(parse("null"), &s));
	assert_true(slice_is(s, "untouched"));
}

static void test_strings_are_unescaped(void **state)
{
	struct slice s;

	(void)state;
	assert_true(json_get_string(parse("\"a\\u0000b\\n\\ud83d\\ude00\\/\""), &s));
	assert_true(slice_eq(s, slice_of("a\0b\n\xf0\x9f\x98\x80/", 9)));
}

static void test_members_in_order_with_repeats(void **state)
{
	struct json_iter iter = json_iter(parse(" { \"a\" : [ 1 , {\"x\":{}} ] ,\"b\": 2.50,\"\\u0061\" :3 } "));
	struct json found;
	int64_t i = 0;

	(void)state;
	assert_int_equal(json_count(parse("{\"a\":1,\"a\":[2]}")), 2);
	iter = json_iter(parse(" { \"a\" : [ 1 , {\"x\":{}} ] ,\"b\": 2.50,\"\\u0061\" :3 } "));
	assert_true(json_next(&iter) && slice_is(iter.key, "a"));
	assert_true(slice_is(json_text(iter.value), "[ 1 , {\"x\":{}} ]"));
	assert_true(json_next(&iter) && slice_is(iter.key, "b"));
	assert_true(slice_is(json_text(iter.value), "2.50"));
	assert_true(json_next(&iter) && slice_is(iter.key, "a"));
	assert_true(json_get_i64(iter.value, &i) && i == 3);
	assert_false(json_next(&iter));
	assert_false(json_next(&iter));
	assert_true(json_member(parse("{\"a\":1,\"a\":2}"), "a", &found));
	assert_true(json_get_i64(found, &i) && i == 1);
	assert_false(json_member(parse("{\"a\":1}"), "b", &found));
	assert_false(json_member(parse("[\"a\"]"), "a", &found));
}

static void test_array_elements(void **state)
{
	struct json_iter iter = json_iter(parse("[[],[[1]], {} ,\"]\" ,-0.0 ]"));
	static const char *const want[] = { "[]", "[[1]]", "{}", "\"]\"", "-0.0" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(json_next(&iter));
		assert_null(iter.key.ptr);
		assert_true(slice_is(json_text(iter.value), want[i]));
	}
	assert_false(json_next(&iter));
}

static void test_compact_keeps_what_was_written(void **state)
{
	(void)state;
	check_compact(" { \"b\" : 1.50 ,\n\t\"a\":[ 1e2 , -0 ,\r\n\"x  y\\u0041\\/\" ] , \"b\":null } ",
		      "{\"b\":1.50,\"a\":[1e2,-0,\"x  y\\u0041\\/\"],\"b\":null}");
	check_compact("  \"a b\"  ", "\"a b\"");
	check_compact("\n[ ]", "[]");
	check_compact("{\"a\":12345678901234567.0}", "{\"a\":12345678901234567.0}");
}

static void test_put_string(void **state)
{
	struct buf out;
	struct slice s;

	(void)state;
	buf_init(&out, 1000);
	json_put_string(&out, slice_of("a\"\\\b\f\n\r\t\x01\x1f\x7f\0\xc3\xa4\xf0\x9f\x98\x80", 18));
	assert_string_equal(buf_cstr(&out), "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000"
			    "\xc3\xa4\xf0\x9f\x98\x80\"");
	buf_clear(&out);
	json_put_string(&out, slice_str("x\xff\xc3z\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xe2\x82"));
	assert_true(json_get_string(parse(buf_cstr(&out)), &s));	/* always JSON */
	assert_true(slice_starts(s, "x\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd"));
	buf_release(&out);
}

static void test_put_double(void **state)
{
	static const struct { double value; const char *text; } values[] = {
		{ 0.0, "0.0" }, { -0.0, "-0.0" }, { 1.0, "1.0" }, { 0.1, "0.1" }, { 1.5, "1.5" },
		{ 1e23, "1e+23" }, { DBL_MAX, "1.7976931348623157e+308" }, { 5e-324, "5e-324" },
		{ NAN, "null" }, { INFINITY, "null" }, { -INFINITY, "null" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		buf_clear(&out);
		json_put_double(&out, values[i].value);
		assert_string_equal(buf_cstr(&out), values[i].text);
	}
	buf_release(&out);
}

/* A parser that a large text made grow goes on to serve small ones. */
static void test_parser_is_reused(void **state)
{
	struct buf big;
	struct json root;

	(void)state;
	buf_init(&big, TEXT_MAX);
	buf_add_char(&big, '[');
	for (int i = 0; i < 100000; i++)
		buf_addf(&big, "[%d],", i);
	buf_add_str(&big, "0]");
	assert_int_equal(json_parse(parser, buf_slice(&big), &root, &err), ERR_OK);
	assert_int_equal(json_count(root), 100001);
	buf_release(&big);
	for (int i = 0; i < 3; i++)
		check_compact("[ 1, 2 ]", "[1,2]");
	assert_int_equal(refuse(slice_str("[")), ERR_SYNTAX);
	check_compact("{}", "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public_suite),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_empty_text_first),
		cmocka_unit_test(test_message_says_where),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_depth_of_own_texts),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_getters_refuse_other_types),
		cmocka_unit_test(test_strings_are_unescaped),
		cmocka_unit_test(test_members_in_order_with_repeats),
		cmocka_unit_test(test_array_elements),
		cmocka_unit_test(test_compact_keeps_what_was_written),
		cmocka_unit_test(test_put_string),
		cmocka_unit_test(test_put_double),
		cmocka_unit_test(test_parser_is_reused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
