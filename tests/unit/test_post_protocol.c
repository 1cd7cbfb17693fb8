/* What the emulator takes an answer for: acknowledged, refused, again, unknown. */
#include "flow/post_protocol.h"

#include "base/mem.h"
#include "testing.h"

static char letter_of(enum post_outcome outcome)
{
	static const char letters[] = {
		[POST_ACKNOWLEDGED] = '+', [POST_REFUSED] = '-', [POST_AGAIN] = 'a', [POST_UNKNOWN] = '?',
	};

	return letters[outcome];
}

#define OK "{\"partition\":0,\"offset\":7,\"error_code\":null,\"error\":null}"
#define BAD(code) "{\"partition\":null,\"offset\":null,\"error_code\":" #code ",\"error\":\"no\"}"
#define SEQ "{\"SequenceNumber\":\"49\",\"ShardId\":\"shardId-000000000000\"}"
#define ERROR(type) "{\"ErrorCode\":\"" type "\",\"ErrorMessage\":\"no\"}"

static const struct {
	const struct post_protocol *protocol;
	enum err_code code;
	int status;
	const char *reply;
	const char *outcomes;
	const char *why;
} cases[] = {
	{ &post_topic, ERR_OK, 200, "{\"offsets\":[" OK "]}", "+", "" },
	{ &post_topic, ERR_OK, 200, "{\"offsets\":[" OK "," BAD(50003) "," OK "," BAD(50002) "]}", "+?+-", "no" },
	{ &post_topic, ERR_OK, 200, "{\"offsets\":[{\"partition\":0,\"offset\":3}]}", "+", "" },
	{ &post_topic, ERR_OK, 503, "{\"offsets\":[" BAD(50003) "]}", "?", "no" },
	{ &post_topic, ERR_OK, 403, "{\"offsets\":[" OK "," BAD(40301) "]}", "+-", "no" },
	{ &post_topic, ERR_OK, 422, "{\"offsets\":[" BAD(1) "," BAD(2) "," BAD(42901) "]}", "-?a", "no" },
	{ &post_topic, ERR_OK, 429, "{\"error_code\":429,\"message\":\"slow\"}", "a", "status 429: slow" },
	{ &post_topic, ERR_OK, 429, "not JSON", "a", "status 429" },
	{ &post_topic, ERR_OK, 404, "{\"error_code\":40401,\"message\":\"Topic not found.\"}", "--",
	  "status 404: Topic not found." },
	{ &post_topic, ERR_OK, 502, "<html>", "??", "status 502" },
	{ &post_topic, ERR_OK, 302, "", "-", "status 302" },
	{ &post_topic, ERR_OK, 200, "{\"offsets\":[" OK "]}", "??",
	  "status 200 with an answer that names no record" },
	{ &post_topic, ERR_OK, 200, "{\"offsets\":[{}]}", "?",
	  "the answer gives a record neither offset nor error" },
	{ &post_topic, ERR_OK, 200, "", "?", "status 200 with an answer that names no record" },
	{ &post_topic, ERR_BUSY, 0, "", "aa", "gone" },
	{ &post_topic, ERR_UNKNOWN, 0, "", "??", "gone" },
	{ &post_topic, ERR_DENIED, 0, "", "-", "gone" },
	{ &post_record, ERR_OK, 200, SEQ, "+", "" },
	{ &post_record, ERR_OK, 200, "{\"__type\":\"ProvisionedThroughputExceededException\"}", "a",
	  "ProvisionedThroughputExceededException" },
	{ &post_record, ERR_OK, 400, "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no stream\"}",
	  "-", "no stream" },
	{ &post_record, ERR_OK, 500, "{\"__type\":\"InternalFailure\"}", "?", "InternalFailure" },
	{ &post_record, ERR_OK, 429, "{\"message\":\"Too Many Requests\"}", "a",
	  "status 429: Too Many Requests" },
	{ &post_record, ERR_OK, 504, "{\"message\":\"Endpoint request timed out\"}", "?",
	  "status 504: Endpoint request timed out" },
	{ &post_record, ERR_OK, 200, "{}", "?", "status 200 with an answer that names no record" },
	{ &post_records, ERR_OK, 200, "{\"FailedRecordCount\":0,\"Records\":[" SEQ "," SEQ "]}", "++", "" },
	{ &post_records, ERR_OK, 200, "{\"FailedRecordCount\":2,\"Records\":[" SEQ ","
	  ERROR("ProvisionedThroughputExceededException") "," ERROR("InternalFailure") "]}", "+a?", "no" },
	{ &post_records, ERR_OK, 400, "{\"__type\":\"ValidationException\",\"message\":\"too many\"}", "--",
	  "too many" },
	{ &post_records, ERR_OK, 200, "{\"FailedRecordCount\":0,\"Records\":[" SEQ "]}", "??",
	  "status 200 with an answer that names no record" },
};

static void test_every_answer(void **state)
{
	struct json_parser *parser = json_parser_new(1 << 16);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_exchange exchange = {
			.code = cases[i].code, .status = cases[i].status,
		};
		size_t count = strlen(cases[i].outcomes);
		enum post_outcome outcomes[8];
		struct err why = { 0 };
		char got[9] = "";

		buf_init(&exchange.reply, 1 << 16);
		buf_add_str(&exchange.reply, cases[i].reply);
		if (cases[i].code != ERR_OK)
			(void)err_set(&exchange.err, cases[i].code, "gone");
		post_read(cases[i].protocol, parser, &exchange, count, outcomes, &why);
		for (size_t n = 0; n < count; n++)
			got[n] = letter_of(outcomes[n]);
		if (strcmp(got, cases[i].outcomes) != 0 || strcmp(why.msg, cases[i].why) != 0)
			fail_msg("case %zu: %s \"%s\"", i, got, why.msg);
		buf_release(&exchange.reply);
	}
	json_parser_free(parser);
}

static void check_body(const struct post_protocol *protocol, size_t count, const char *wanted)
{
	static const struct post_record records[] = {
		{ { "{\"ind\":7,\"t\":\"\\\"\"}", 18 }, 7 }, { { "{\"ind\":8}", 9 }, 8 },
	};
	struct buf out;

	buf_init(&out, 1 << 16);
	protocol->put_body(&out, "streaming-x-pin", records, count);
	assert_string_equal(buf_cstr(&out), wanted);
	buf_release(&out);
}

static void test_bodies(void **state)
{
	(void)state;
	check_body(&post_topic, 2,
		   "{\"records\":[{\"value\":{\"ind\":7,\"t\":\"\\\"\"}},{\"value\":{\"ind\":8}}]}");
	check_body(&post_record, 1,
		   "{\"StreamName\":\"streaming-x-pin\",\"Data\":{\"ind\":7,\"t\":\"\\\"\"},"
		   "\"PartitionKey\":\"7\"}");
	check_body(&post_records, 2,
		   "{\"records\":[{\"data\":\"{\\\"ind\\\":7,\\\"t\\\":\\\"\\\\\\\"\\\"}\","
		   "\"partition-key\":\"7\"},{\"data\":\"{\\\"ind\\\":8}\",\"partition-key\":\"8\"}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_answer),
		cmocka_unit_test(test_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
