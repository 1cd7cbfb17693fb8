/* Heads and chunked bodies: each verdict, and the same one however the bytes are split. */
#include "net/http_parse.h"
#include "testing.h"

#include "base/mem.h"
#include "unit/http_cases.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 8 * 1024, TEXT_MAX = 512, SPLITS = 30 };

static const struct http_limits limits = {
	.body_bytes_max = BODY_BYTES_MAX, .header_bytes_max = HEADER_BYTES_MAX,
	.headers_max = HTTP_HEADERS_MAX,
};

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "OTHER" };

struct reading {
	struct http_scan scan;
	struct http_chunks chunks;
	struct http_head head;
	struct http_refusal refusal;
	char path_room[BYTES_MAX];
	char bytes[BYTES_MAX];		/* as received; a chunked body is decoded in them */
	size_t len;
	size_t head_len;		/* 0: not whole yet */
	char text[TEXT_MAX];		/* the verdict */
};

static enum http_step say(struct reading *reading, struct slice body)
{
	const struct http_request *request = &reading->head.request;

	(void)snprintf(reading->text, sizeof(reading->text), "%s %.*s ?%.*s %.*s",
		       methods[request->method], SLICE_ARG(request->path),
		       SLICE_ARG(request->query), SLICE_ARG(body));
	return HTTP_DONE;
}

static enum http_step read_head(struct reading *reading)
{
	enum http_step step = http_scan_head(&reading->scan, slice_of(reading->bytes, reading->len),
					     &limits, &reading->refusal);

	if (step != HTTP_DONE)
		return step;
	reading->head_len = reading->scan.line;
	if (!http_parse_head(&reading->head, slice_of(reading->bytes, reading->head_len),
			     reading->path_room, &reading->refusal)
	    || !http_check_body(&reading->head, &limits, &reading->refusal))
		return HTTP_REFUSED;
	reading->chunks.start = reading->chunks.body = reading->chunks.at = reading->head_len;
	return HTTP_DONE;
}

static enum http_step read_on(struct reading *reading)
{
	enum http_step step = reading->head_len ? HTTP_DONE : read_head(reading);
	size_t length;

	if (step != HTTP_DONE)
		return step;
	length = (size_t)reading->head.request.content_length;
	if (reading->head.chunked) {
		step = http_decode_chunks(&reading->chunks, reading->bytes, reading->len, &limits,
					  &reading->refusal);
		length = reading->chunks.body - reading->head_len;
	} else if (reading->len < reading->head_len + length) {
		step = HTTP_MORE;
	}
	if (step != HTTP_DONE)
		return step;
	return say(reading, slice_of(reading->bytes + reading->head_len, length));
}

/* Feeds the bytes in pieces of at most `piece_max`; the verdict is in reading->text. */
static void read_in_pieces(struct reading *reading, const struct http_case *request,
			   size_t piece_max)
{
	enum http_step step = HTTP_MORE;
	size_t at = 0;

	memset(reading, 0, offsetof(struct reading, path_room));
	reading->len = 0;
	reading->head_len = 0;
	(void)snprintf(reading->text, sizeof(reading->text), "not whole");
	while (at < request->len && step == HTTP_MORE) {
		size_t piece = request->len;

		if (piece_max < piece)
			piece = 1 + test_random(piece_max);
		if (piece > request->len - at)
			piece = request->len - at;
		memcpy(reading->bytes + reading->len, request->bytes + at, piece);
		reading->len += piece;
		at += piece;
		step = read_on(reading);
	}
	if (step == HTTP_REFUSED)
		(void)snprintf(reading->text, sizeof(reading->text), "%d %s",
			       reading->refusal.status, reading->refusal.message);
}

static void same_in_any_split(struct reading *reading, const struct http_case *request)
{
	char whole[TEXT_MAX];

	memcpy(whole, reading->text, sizeof(whole));
	for (int i = 0; i < SPLITS; i++) {
		read_in_pieces(reading, request, i % 3 == 0 ? 1 : 1 + test_random(40));
		if (strcmp(whole, reading->text) != 0)
			fail_msg("%s: whole \"%s\", in pieces \"%s\"", request->what, whole, reading->text);
	}
}

static void test_refused(void **state)
{
	struct reading *reading = *state;

	for (size_t i = 0; i < ARRAY_LEN(http_refused); i++) {
		const struct http_case *request = &http_refused[i];

		read_in_pieces(reading, request, SIZE_MAX);
		if (strtol(reading->text, NULL, 10) != request->status)
			fail_msg("%s: %d expected, got \"%s\"", request->what, request->status, reading->text);
		same_in_any_split(reading, request);
	}
}

static void test_accepted(void **state)
{
	struct reading *reading = *state;

	for (size_t i = 0; i < ARRAY_LEN(http_accepted); i++) {
		const struct http_good *good = &http_accepted[i];

		read_in_pieces(reading, &good->request, SIZE_MAX);
		if (strcmp(reading->text, good->echo) != 0)
			fail_msg("%s: \"%s\" expected, got \"%s\"", good->request.what, good->echo, reading->text);
		same_in_any_split(reading, &good->request);
	}
}

/* Every single byte of good requests replaced: never a crash, and the same verdict in pieces. */
static void test_altered_bytes_split_alike(void **state)
{
	struct reading *reading = *state;
	char bytes[512];

	for (size_t i = 0; i < ARRAY_LEN(http_accepted); i++) {
		struct http_case altered = http_accepted[i].request;

		assert_true(altered.len <= sizeof(bytes));
		for (size_t at = 0; at < altered.len; at++) {
			char whole[TEXT_MAX];

			memcpy(bytes, http_accepted[i].request.bytes, altered.len);
			bytes[at] = "\r\n \0:;0x\377"[test_random(9)];
			altered.bytes = bytes;
			read_in_pieces(reading, &altered, SIZE_MAX);
			memcpy(whole, reading->text, sizeof(whole));
			read_in_pieces(reading, &altered, 1 + test_random(8));
			assert_string_equal(whole, reading->text);
		}
	}
}

static void test_keep_alive(void **state)
{
	static const struct { const char *bytes; bool keep; } cases[] = {
		{ GET HOST END, true },
		{ GET HOST "Connection: close\r\n" END, false },
		{ GET HOST "Connection: x, Close\r\n" END, false },
		{ "GET / HTTP/1.0\r\n" END, false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n" END, true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n" END, false },
	};
	struct reading *reading = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(http_parse_head(&reading->head, slice_str(cases[i].bytes),
					    reading->path_room, &reading->refusal));
		assert_int_equal(reading->head.keep_alive, cases[i].keep);
	}
}

static void test_headers_and_query(void **state)
{
	struct reading *reading = *state;
	const struct http_request *request = &reading->head.request;
	struct buf out;

	assert_true(http_parse_head(&reading->head,
				    slice_str("GET /?a=1&bc=%41+%2b&a=2&bad=%g&flag HTTP/1.1\r\n" HOST
					      "X-Api-Key: \t secret \t\r\nEmpty:\r\n" END),
				    reading->path_room, &reading->refusal));
	assert_true(slice_is(http_header(request, "x-api-KEY"), "secret"));
	assert_true(slice_is(http_header(request, "empty"), ""));
	assert_non_null(http_header(request, "empty").ptr);
	assert_null(http_header(request, "x-api").ptr);
	buf_init(&out, 100);
	assert_true(http_query(request->query, "bc", &out));
	assert_string_equal(buf_cstr(&out), "A +");
	buf_clear(&out);
	assert_true(http_query(request->query, "a", &out));
	assert_string_equal(buf_cstr(&out), "1");
	buf_clear(&out);
	assert_true(http_query(request->query, "flag", &out));
	assert_int_equal(out.len, 0);
	assert_false(http_query(request->query, "bad", &out));
	assert_false(http_query(request->query, "b", &out));
	assert_true(http_query_names(request->query, "bad"));
	assert_false(http_query_names(request->query, "b"));
	buf_release(&out);
}

int main(void)
{
	static struct reading reading;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_refused, &reading),
		cmocka_unit_test_prestate(test_accepted, &reading),
		cmocka_unit_test_prestate(test_altered_bytes_split_alike, &reading),
		cmocka_unit_test_prestate(test_keep_alive, &reading),
		cmocka_unit_test_prestate(test_headers_and_query, &reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
