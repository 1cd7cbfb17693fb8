/* MSK's tokens: what AWS's own signer gives for the same keys at the same time, and when they end.
 */
#include "base/mem.h"
#include "net/aws_msk.h"
#include "testing.h"

enum { UNIX_S = 1795869296 }; /* 2026-11-28T12:34:56Z */

static const char agent[] = "aws-msk-iam-sasl-signer-python/1.0.2";

static const struct {
	struct aws_keys keys;
	const char *region;
	const char *token; /* of that signer */
} vectors[] = {
	{ { .id = "AKIDEXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" },
	  "eu-west-1",
	  "aHR0cHM6Ly9rYWZrYS5ldS13ZXN0LTEuYW1hem9uYXdzLmNvbS8_QWN0aW9uPWthZmthLWNsdXN0ZXIl"
	  "M0FDb25uZWN0JlgtQW16LUFsZ29yaXRobT1BV1M0LUhNQUMtU0hBMjU2JlgtQW16LUNyZWRlbnRpYWw9"
	  "QUtJREVYQU1QTEUlMkYyMDI2MTEyOCUyRmV1LXdlc3QtMSUyRmthZmthLWNsdXN0ZXIlMkZhd3M0X3Jl"
	  "cXVlc3QmWC1BbXotRGF0ZT0yMDI2MTEyOFQxMjM0NTZaJlgtQW16LUV4cGlyZXM9OTAwJlgtQW16LVNp"
	  "Z25lZEhlYWRlcnM9aG9zdCZYLUFtei1TaWduYXR1cmU9ZDBhYjljMTc5ODFlZmZiMzJjMzc2ZTgwNDJh"
	  "Zjc5NjUyMmRkZmJiODdmZjhiYmFkMjBlOTk0NzQ3NGFkZTRiYiZVc2VyLUFnZW50PWF3cy1tc2staWFt"
	  "LXNhc2wtc2lnbmVyLXB5dGhvbiUyRjEuMC4y" },
	{ { .id = "ASIAEXAMPLE",
	    .secret = "a+secret/of=ours",
	    .token = "IQoJb3JpZ2luX2VjEGMaCXVzLWVhc3QtMSJ+/==" },
	  "us-east-1",
	  "aHR0cHM6Ly9rYWZrYS51cy1lYXN0LTEuYW1hem9uYXdzLmNvbS8_QWN0aW9uPWthZmthLWNsdXN0ZXIl"
	  "M0FDb25uZWN0JlgtQW16LUFsZ29yaXRobT1BV1M0LUhNQUMtU0hBMjU2JlgtQW16LUNyZWRlbnRpYWw9"
	  "QVNJQUVYQU1QTEUlMkYyMDI2MTEyOCUyRnVzLWVhc3QtMSUyRmthZmthLWNsdXN0ZXIlMkZhd3M0X3Jl"
	  "cXVlc3QmWC1BbXotRGF0ZT0yMDI2MTEyOFQxMjM0NTZaJlgtQW16LUV4cGlyZXM9OTAwJlgtQW16LVNp"
	  "Z25lZEhlYWRlcnM9aG9zdCZYLUFtei1TZWN1cml0eS1Ub2tlbj1JUW9KYjNKcFoybHVYMlZqRUdNYUNY"
	  "VnpMV1ZoYzNRdE1TSiUyQiUyRiUzRCUzRCZYLUFtei1TaWduYXR1cmU9ODk4ZTBhZDY2ZWIyZWUzODcx"
	  "NGIzMDg3MmVkMzIxNWQ4NmExNjU1ZmJjZmM4MTZjODEwMmU2NzNhN2RhZjY5NSZVc2VyLUFnZW50PWF3"
	  "cy1tc2staWFtLXNhc2wtc2lnbmVyLXB5dGhvbiUyRjEuMC4y" },
};

static struct err err;

static void test_is_what_aws_gives(void **state)
{
	int64_t expires_s;
	struct buf out;

	(void)state;
	buf_init(&out, AWS_MSK_TOKEN_MAX);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		buf_clear(&out);
		assert_ok(aws_msk_token(&vectors[i].keys, vectors[i].region, agent, UNIX_S, &out,
					&expires_s, &err));
		assert_string_equal(buf_cstr(&out), vectors[i].token);
		assert_int_equal(expires_s, UNIX_S + AWS_MSK_TOKEN_S);
	}
	buf_release(&out);
}

static void test_ends_with_the_keys(void **state)
{
	struct aws_keys keys = vectors[1].keys;
	int64_t expires_s;
	struct buf out;

	(void)state;
	buf_init(&out, AWS_MSK_TOKEN_MAX);
	keys.expires_s = UNIX_S + 60;
	assert_ok(aws_msk_token(&keys, "us-east-1", agent, UNIX_S, &out, &expires_s, &err));
	assert_int_equal(expires_s, UNIX_S + 60);
	keys.expires_s = UNIX_S + 3600;
	assert_ok(aws_msk_token(&keys, "us-east-1", agent, UNIX_S, &out, &expires_s, &err));
	assert_int_equal(expires_s, UNIX_S + AWS_MSK_TOKEN_S);
	buf_release(&out);
}

/* The longest keys that there can be, with each byte three on the wire. */
static void test_has_room_for_all_keys(void **state)
{
	struct aws_keys keys = vectors[1].keys;
	int64_t expires_s;
	struct buf out;

	(void)state;
	memset(keys.id, '/', AWS_KEY_ID_MAX);
	memset(keys.token, '/', AWS_TOKEN_MAX);
	buf_init(&out, AWS_MSK_TOKEN_MAX);
	assert_ok(aws_msk_token(&keys, "us-east-1", agent, UNIX_S, &out, &expires_s, &err));
	assert_true(out.len > 4 * AWS_TOKEN_MAX);
	buf_release(&out);
	buf_init(&out, 1000);
	assert_int_equal(aws_msk_token(&keys, "us-east-1", agent, UNIX_S, &out, &expires_s, &err),
			 ERR_LIMIT);
	buf_release(&out);
}

static void test_region_of_the_brokers(void **state)
{
	static const struct {
		const char *servers, *region;
	} cases[] = {
		{ "b-1.demo.a1b2c3.c2.kafka.eu-west-1.amazonaws.com:9098", "eu-west-1" },
		{ "b-1-public.demo.a1b2c3.c2.kafka.us-gov-west-1.amazonaws.com:9198",
		  "us-gov-west-1" },
		{ "boot-abc123.c1.kafka-serverless.us-east-2.amazonaws.com:9098", "us-east-2" },
		{ "b-2.demo.a1b2c3.c4.kafka.cn-north-1.amazonaws.com.cn:9098", "cn-north-1" },
		{ "localhost:9092,b-1.demo.a1b2c3.c2.kafka.eu-west-3.amazonaws.com:9098",
		  "eu-west-3" },
		{ "kafka.example.com:9092", NULL },
		{ "a.kafka.example.com:9092", NULL },
		{ "a.kafka..amazonaws.com:9092", NULL },
		{ "a.kafka.b.c.amazonaws.com:9092", NULL },
		{ "a.kafka.x:1,b.amazonaws.com:9092", NULL },
		{ "a.kafka.", NULL },
		{ "", NULL },
	};
	char region[AWS_REGION_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(aws_msk_region(cases[i].servers, region), cases[i].region != NULL);
		if (cases[i].region)
			assert_string_equal(region, cases[i].region);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_what_aws_gives),
		cmocka_unit_test(test_ends_with_the_keys),
		cmocka_unit_test(test_has_room_for_all_keys),
		cmocka_unit_test(test_region_of_the_brokers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
