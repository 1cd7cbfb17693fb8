/* Bodies of produce requests: which bytes become records, and what is refused with which words. */
#include "base/mem.h"
#include "gateway/produce.h"
#include "testing.h"

enum { BODY_MAX = 1 << 20 };

static struct json_parser *json;
static struct records records;
static struct err err;

/* A copy with the padding that bodies have. */
static struct slice body_of(const char *text)
{
	static char bytes[BODY_MAX + JSON_PADDING];
	size_t len = strlen(text);

	assert_true(len <= BODY_MAX);
	memcpy(bytes, text, len);
	return slice_of(bytes, len);
}

static int setup(void **state)
{
	(void)state;
	json = json_parser_new(BODY_MAX);
	records_init(&records, BODY_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_parser_free(json);
	records_release(&records);
	return 0;
}

static enum err_code parse(const char *body, enum produce_format format)
{
	return produce_parse(json, body_of(body), format, 5, &records, &err);
}

static void check(const struct append_record *record, const char *key, const char *value,
		  int32_t partition)
{
	assert_int_equal(record->key.ptr == NULL, key == NULL);
	assert_int_equal(record->value.ptr == NULL, value == NULL);
	assert_true(!key || slice_is(record->key, key));
	assert_true(!value || slice_is(record->value, value));
	assert_int_equal(record->partition, partition);
}

static void test_json_keeps_the_text(void **state)
{
	(void)state;
	assert_ok(parse(" { \"value_schema\" : null, \"records\" : [\n"
			" { \"value\" : { \"b\" : 1.10, \"a\" : [ 1E5, -0 ], \"b\" : \"\\u00e4 \\/\" } ,"
			" \"key\" : \"k\" },\n"
			" { \"partition\" : 3, \"value\" : 12345678901234567890 },"
			" { \"value\" : null, \"key\" : null, \"partition\" : null }, { },"
			" { \"value\" : \"\" } ] , \"key_schema_id\" : 7 } ", PRODUCE_JSON));
	assert_int_equal(records.count, 5);
	check(&records.at[0], "\"k\"", "{\"b\":1.10,\"a\":[1E5,-0],\"b\":\"\\u00e4 \\/\"}", 5);
	check(&records.at[1], NULL, "12345678901234567890", 3);
	check(&records.at[2], NULL, NULL, 5);
	check(&records.at[3], NULL, NULL, 5);
	check(&records.at[4], NULL, "\"\"", 5);
}

static void test_binary_decodes(void **state)
{
	(void)state;
	assert_ok(parse("{\"records\":[{\"key\":\"\",\"value\":\"Zm9v\"},{\"value\":\"Zg\\u003d=\"},"
			"{\"value\":null}]}", PRODUCE_BINARY));
	assert_int_equal(records.count, 3);
	check(&records.at[0], "", "foo", 5);
	check(&records.at[1], NULL, "f", 5);
	check(&records.at[2], NULL, NULL, 5);
}

static void test_names_may_be_escaped(void **state)
{
	(void)state;
	assert_ok(parse("{\"rec\\u006frds\":[{\"val\\u0075e\":1}]}", PRODUCE_JSON));
	check(&records.at[0], NULL, "1", 5);
	assert_int_equal(parse("{\"records\":[{\"value\":1}],\"rec\\u006frds\":[{\"value\":2}]}",
			       PRODUCE_JSON), ERR_SYNTAX);
}

static const struct {
	const char *body;
	enum err_code code;
	const char *message;
} refused[] = {
	{ "", ERR_SHAPE, "empty" },
	{ "{\"records\":[{\"value\":1}", ERR_SYNTAX, "not JSON" },
	{ "1", ERR_SHAPE, "the body is not a JSON object" },
	{ "[]", ERR_SHAPE, "the body is not a JSON object" },
	{ "{}", ERR_SHAPE, "records may not be empty" },
	{ "{\"records\":{\"value\":1}}", ERR_SHAPE, "records may not be empty" },
	{ "{\"records\":[]}", ERR_SHAPE, "records may not be empty" },
	{ "{\"Records\":[{}]}", ERR_SHAPE, "Unrecognized field: Records" },
	{ "{\"records\":[{}],\"x\":1}", ERR_SHAPE, "Unrecognized field: x" },
	{ "{\"records\":[{}],\"key_schema\":1,\"key_schema\":1}", ERR_SYNTAX, "more than once" },
	{ "{\"records\":[{},null]}", ERR_SHAPE, "records[1] is not an object" },
	{ "{\"records\":[{},{\"key\":null,\"key\":null}]}", ERR_SYNTAX, "records[1]: a record holds \"key\"" },
	{ "{\"records\":[{\"headers\":[]}]}", ERR_SHAPE, "Unrecognized field: records[0].headers" },
	{ "{\"records\":[{\"partition\":1.0}]}", ERR_SHAPE, "records[0].partition" },
	{ "{\"records\":[{\"partition\":-1}]}", ERR_SHAPE, "records[0].partition" },
	{ "{\"records\":[{\"partition\":4294967296}]}", ERR_SHAPE, "records[0].partition" },
	{ "{\"records\":[{\"partition\":true}]}", ERR_SHAPE, "records[0].partition" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_int_equal(parse(refused[i].body, PRODUCE_JSON), refused[i].code);
		if (!strstr(err.msg, refused[i].message))
			fail_msg("%s: %s", refused[i].body, err.msg);
		assert_int_equal(parse(refused[i].body, PRODUCE_BINARY), refused[i].code);
	}
}

static void test_too_many_records(void **state)
{
	struct buf body;

	(void)state;
	buf_init(&body, BODY_MAX);
	buf_add_str(&body, "{\"records\":[{}");
	for (int i = 0; i < REQUEST_RECORDS_MAX - 1; i++)
		buf_add_str(&body, ",{}");
	buf_add_str(&body, "]}");
	assert_ok(parse(buf_cstr(&body), PRODUCE_JSON));
	assert_int_equal(records.count, REQUEST_RECORDS_MAX);
	body.len -= 2;
	buf_add_str(&body, ",{}]}");
	assert_int_equal(parse(buf_cstr(&body), PRODUCE_JSON), ERR_LIMIT);
	buf_release(&body);
	assert_ok(parse("{\"records\":[{\"value\":1}]}", PRODUCE_JSON));
	assert_int_equal(records.count, 1);
}

/* Each line is parsed with the parser of the one before it: what was kept of that must stay. */
static void test_lines_stay(void **state)
{
	(void)state;
	assert_ok(parse(
		"{\"a\" : \"\\u00e4\"}\r\n\n  {\"value\":{\"b\":[1.10,1E5]}}  \n{ }\n{\"c\":null}",
		PRODUCE_LINES));
	assert_int_equal(records.count, 4);
	check(&records.at[0], NULL, "{\"a\":\"\\u00e4\"}", 5);
	check(&records.at[1], NULL, "{\"value\":{\"b\":[1.10,1E5]}}", 5);
	check(&records.at[2], NULL, "{}", 5);
	check(&records.at[3], NULL, "{\"c\":null}", 5);
}

static void test_plain_is_told_apart(void **state)
{
	(void)state;
	assert_ok(parse("{ \"records\" : [ { \"value\" : { \"a\" : 1 }, \"partition\" : 3 } ] }",
			PRODUCE_PLAIN));
	check(&records.at[0], NULL, "{\"a\":1}", 3);
	assert_ok(parse("[ { \"a\" : 1 }, { \"value\":1, \"b\":2 }, { \"key\":1 }, {} ]",
			PRODUCE_PLAIN));
	assert_int_equal(records.count, 4);
	check(&records.at[1], NULL, "{\"value\":1,\"b\":2}", 5);
	assert_ok(parse("{ \"record\" : [] }", PRODUCE_PLAIN));
	check(&records.at[0], NULL, "{\"record\":[]}", 5);
	assert_int_equal(parse("{\"b\":1,\"RECORDS\":[]}", PRODUCE_PLAIN), ERR_SHAPE);
	assert_int_equal(parse("{\"partition\":1,\"value\":1}", PRODUCE_PLAIN), ERR_SHAPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_keeps_the_text),  cmocka_unit_test(test_binary_decodes),
		cmocka_unit_test(test_names_may_be_escaped), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many_records),     cmocka_unit_test(test_lines_stay),
		cmocka_unit_test(test_plain_is_told_apart),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
