/* What the API Gateway's templates make of a body: Java's texts, keys and data byte for byte. */
#include "base/mem.h"
#include "gateway/put_records.h"
#include "gateway/velocity.h"
#include "testing.h"

enum { BODY_MAX = 1 << 16, RECORD_MAX = 100 };

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
	records_init(&records, (size_t)VELOCITY_GROWTH_MAX * BODY_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_parser_free(json);
	records_release(&records);
	return 0;
}

static const struct { const char *json, *text; } printed[] = {
	{ "\"a\\n\\\"b\\u00e4\"", "a\n\"b\xc3\xa4" },
	{ "\"\"", "" },
	{ "12", "12" },
	{ "-9223372036854775808", "-9223372036854775808" },
	{ "18446744073709551615", "18446744073709551615" },
	{ "327267367867168100000", "327267367867168100000" },
	{ "-1e400", "-1e400" },
	{ "true", "true" },
	{ "null", "null" },
	{ "0.0", "0.0" },
	{ "-0.0", "-0.0" },
	{ "1.50", "1.5" },
	{ "100.0", "100.0" },
	{ "123456.789", "123456.789" },
	{ "0.05", "0.05" },
	{ "0.001", "0.001" },
	{ "0.00099", "9.9E-4" },
	{ "9999999.0", "9999999.0" },
	{ "1e6", "1000000.0" },
	{ "1e7", "1.0E7" },
	{ "-1.25e10", "-1.25E10" },
	{ "1e-300", "1.0E-300" },
	{ "1.7976931348623157e308", "1.7976931348623157E308" },
	{ "[]", "[]" },
	{ "[1 , \"b\",null, {\"c\": [ ]}]", "[1,\"b\",null,{\"c\":[]}]" },
	{ "{ }", "{}" },
	{ "{\"b\":1,\"a\":{\"x\":[{}, []]},\"b\":\"c d\"}", "{b=1, a={x=[{},[]]}, b=c d}" },
	{ "{\"a\":{\"b\":{}}, \"c\":{\"d\":1,\"e\":{\"f\":2}}}", "{a={b={}}, c={d=1, e={f=2}}}" },
};

static void test_velocity(void **state)
{
	struct buf out;
	struct json root;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < ARRAY_LEN(printed); i++) {
		buf_clear(&out);
		assert_ok(json_parse(json, slice_str(printed[i].json), &root, &err));
		velocity_put(&out, root);
		assert_string_equal(buf_cstr(&out), printed[i].text);
		assert_true(out.len <= VELOCITY_GROWTH_MAX * strlen(printed[i].json));
	}
	buf_release(&out);
}

/* Of arrays, and of objects, each in the one before: {"":{"":{}}} is {={={}}}. */
static void test_velocity_at_the_greatest_depth(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 1] = "";
	char objects[5 * JSON_DEPTH_MAX] = "{";
	size_t len = 1;
	struct json root;
	struct buf out;

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	buf_init(&out, sizeof(text));
	assert_ok(json_parse(json, slice_str(text), &root, &err));
	velocity_put(&out, root);
	assert_string_equal(buf_cstr(&out), text);
	buf_release(&out);

	for (size_t i = 1; i < JSON_DEPTH_MAX; i++, len += 4)
		memcpy(objects + len, "\"\":{", 4);
	memset(objects + len, '}', JSON_DEPTH_MAX);
	buf_init(&out, sizeof(objects));
	assert_ok(json_parse(json, slice_of(objects, len + JSON_DEPTH_MAX), &root, &err));
	velocity_put(&out, root);
	assert_int_equal(out.len, 3 * JSON_DEPTH_MAX - 1);
	buf_release(&out);
}

static void test_record(void **state)
{
	(void)state;
	assert_ok(put_record_parse(json, body_of("{\"StreamName\":\"x\",\"PartitionKey\":1.0,"
						   "\"Data\": { \"a\" : \"b c\" } }"),
				   RECORD_MAX, &records, &err));
	assert_int_equal(records.count, 1);
	assert_true(slice_is(records.at[0].key, "1.0"));
	assert_true(slice_is(records.at[0].value, "{\"a\":\"b c\"}"));
	assert_int_equal(records.at[0].partition, PARTITION_ANY);
}

static void test_records(void **state)
{
	(void)state;
	assert_ok(put_records_parse(json, body_of("{\"records\":[{\"data\":\"a\",\"partition-key\":\"k\"},"
						    "{\"partition-key\":{\"x\":1},\"data\":[1,2]}]}"),
				    RECORD_MAX, &records, &err));
	assert_int_equal(records.count, 2);
	assert_true(slice_is(records.at[0].value, "a"));
	assert_true(slice_is(records.at[1].key, "{x=1}"));
	assert_true(slice_is(records.at[1].value, "[1,2]"));
}

/* Data and key together, after both were made text. */
static void test_record_of_the_greatest_length(void **state)
{
	char body[300];

	(void)state;
	(void)snprintf(body, sizeof(body), "{\"PartitionKey\":\"kk\",\"Data\":\"%096d\"}", 0);
	assert_ok(put_record_parse(json, body_of(body), RECORD_MAX, &records, &err));
	(void)snprintf(body, sizeof(body), "{\"PartitionKey\":\"kkk\",\"Data\":\"%096d\"}", 0);
	assert_int_equal(put_record_parse(json, body_of(body), RECORD_MAX, &records, &err),
			 ERR_LIMIT);
}

static const struct {
	const char *body;
	enum err_code code;
	const char *message;
} refused[] = {
	{ "x", ERR_SYNTAX, "not JSON" },
	{ "7", ERR_SHAPE, "the body is not a JSON object" },
	{ "{\"records\":7}", ERR_SHAPE, "\"records\" is not an array" },
	{ "{\"records\":[]}", ERR_SHAPE, "0 records in one request" },
	{ "{\"records\":[[]]}", ERR_SHAPE, "records[0] is not a JSON object" },
	{ "{\"records\":[],\"records\":[]}", ERR_SYNTAX, "records is there more than once" },
	{ "{\"records\":[{\"data\":1}]}", ERR_SHAPE, "'records[0].partition-key'" },
	{ "{\"records\":[{\"partition-key\":1}]}", ERR_SHAPE, "'records[0].data'" },
	{ "{\"records\":[{\"data\":1,\"partition-key\":\"\"}]}", ERR_SHAPE, "has 0 characters" },
	{ "{\"records\":[{\"data\":1,\"partition-key\":null}]}", ERR_SHAPE, "has 0 characters" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_int_equal(put_records_parse(json, body_of(refused[i].body), RECORD_MAX,
						   &records, &err), refused[i].code);
		if (!strstr(err.msg, refused[i].message))
			fail_msg("%s: %s", refused[i].body, err.msg);
	}
	assert_int_equal(put_record_parse(json, body_of("[]"), RECORD_MAX, &records, &err),
			 ERR_SHAPE);
	assert_string_equal(err.msg, "the body is not a JSON object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_velocity),
		cmocka_unit_test(test_velocity_at_the_greatest_depth),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_record_of_the_greatest_length),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
