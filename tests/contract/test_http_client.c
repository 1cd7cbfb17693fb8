/* The contract of http_client.h, run against both backends, and a server that follows a script. */
#include "net/http_client_pool.h"

#include "base/mem.h"
#include "base/time.h"
#include "script_server.h"

#include <fcntl.h>

/* A client of the backend under test, its server and one exchange. */
struct fixture {
	struct server server;
	struct http_client_options options;
	struct http_client *client;
	struct http_exchange exchange;
	char url[64];
};

static bool use_curl;		/* the backend under test */

static void fixture_open(struct fixture *f, const struct step *steps, size_t count)
{
	struct err err = { 0 };

	server_open(&f->server, steps, count);
	f->options = (struct http_client_options){
		.connections_max = 4, .connect_ms = 2000, .total_ms = 10000, .user_agent = "tests/1",
	};
	f->exchange = (struct http_exchange){
		.method = "POST", .url = f->url, .body = slice_str("{\"a\":1}"),
	};
	buf_init(&f->exchange.reply, 1 << 16);
	(void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/topics/a.pin", f->server.port);
	if (use_curl)
		assert_ok(http_client_curl_new(&f->options, &f->client, &err));
	else
		assert_ok(http_client_wire_new(&f->options, f->url, &f->client, &err));
}

static void fixture_close(struct fixture *f)
{
	http_client_free(f->client);
	buf_release(&f->exchange.reply);
	server_close(&f->server);
}

static void ask(struct fixture *f)
{
	struct err err = { 0 };

	assert_ok(http_client_do(f->client, &f->exchange, &err));
}

static void test_answers_of_every_form(void **state)
{
	static const struct step steps[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", false },
		{ "HTTP/1.1 204 No Content\r\n\r\n", false },
		{ "HTTP/1.1 503 Busy\r\nretry-AFTER: 7\r\nContent-Length: 0\r\n\r\n", false },
		{ "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", false },
		{ "HTTP/1.1 429 Slow\r\nRetry-After: Wed, 21 Oct 2065 07:28:00 GMT\r\n"
		  "Content-Length: 0\r\n\r\n", false },
		{ "HTTP/1.1 200 OK\r\n\r\nto the end", true },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true },
	};
	static const struct {
		int status;
		const char *reply;
		int retry_after_s;
	} wanted[] = {
		{ 200, "hello", 0 }, { 201, "hello", 0 }, { 204, "", 0 }, { 503, "", 7 }, { 302, "", 0 },
		{ 429, "", -1 }, { 200, "to the end", 0 }, { 200, "ok", 0 },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_OK);
		assert_int_equal(f.exchange.status, wanted[i].status);
		assert_string_equal(buf_cstr(&f.exchange.reply), wanted[i].reply);
		if (wanted[i].retry_after_s >= 0)
			assert_int_equal(f.exchange.retry_after_s, wanted[i].retry_after_s);
	}
	/* One connection as long as it could be kept, and a second one after it was closed. */
	assert_int_equal(atomic_load(&f.server.accepted), 2);
	assert_int_equal(atomic_load(&f.server.requests), ARRAY_LEN(wanted));
	fixture_close(&f);
}

static void test_the_request_as_it_is_sent(void **state)
{
	static const struct step steps[] = { { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false } };
	static const char *const headers[] = { "Content-Type: application/x", "x-api-key: secret", NULL };
	struct fixture f;
	const char *sent;
	char host[64];

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	f.exchange.method = "PUT";
	f.exchange.headers = headers;
	ask(&f);
	sent = buf_cstr(&f.server.last);
	(void)snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", f.server.port);
	assert_true(slice_starts(slice_str(sent), "PUT /topics/a.pin HTTP/1.1\r\n"));
	assert_non_null(strstr(sent, host));
	assert_non_null(strstr(sent, "\r\nUser-Agent: tests/1\r\n"));
	assert_non_null(strstr(sent, "\r\nContent-Type: application/x\r\n"));
	assert_non_null(strstr(sent, "\r\nx-api-key: secret\r\n"));
	assert_non_null(strstr(sent, "\r\nContent-Length: 7\r\n"));
	assert_null(strstr(sent, "Expect"));
	assert_non_null(strstr(sent, "\r\n\r\n{\"a\":1}"));

	f.exchange.method = "GET";
	f.exchange.body = (struct slice){ 0 };
	ask(&f);
	sent = buf_cstr(&f.server.last);
	assert_true(slice_starts(slice_str(sent), "GET /topics/a.pin HTTP/1.1\r\n"));
	assert_null(strstr(sent, "Content-Length"));
	fixture_close(&f);
}

/* libcurl would call every body a form. */
static void test_nothing_is_said_of_the_body(void **state)
{
	static const struct step steps[] = { { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false } };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_OK);
	assert_null(strcasestr(buf_cstr(&f.server.last), "Content-Type"));
	assert_non_null(strstr(buf_cstr(&f.server.last), "\r\nContent-Length: 7\r\n"));
	fixture_close(&f);
}

/* A server that takes a request of a kept connection and goes has perhaps done what it says. */
static void test_nothing_is_sent_twice(void **state)
{
	static const struct step steps[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false },
		{ NULL, true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false },
	};
	static const char *const bodies[] = { "{\"a\":1}", "", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct fixture f;

		fixture_open(&f, steps, ARRAY_LEN(steps));
		ask(&f);
		assert_int_equal(f.exchange.status, 200);
		f.exchange.method = "PUT";
		f.exchange.body = bodies[i] ? slice_str(bodies[i]) : (struct slice){ 0 };
		f.exchange.once = f.exchange.body.len == 0;
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_UNKNOWN);
		assert_int_equal(atomic_load(&f.server.requests), 2);
		fixture_close(&f);
	}
}

static void test_a_time_of_its_own(void **state)
{
	static const struct step never[] = { { NULL, false } };
	int64_t start_ms = clock_mono_ms();
	struct fixture f;

	(void)state;
	fixture_open(&f, never, 1);
	f.options.total_ms = 60000;
	f.exchange.total_ms = 100;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_UNKNOWN);
	assert_true(clock_mono_ms() - start_ms < 30000);
	fixture_close(&f);
}

/* As long as bytes come it may take long, and no longer. */
static void test_bytes_that_stop_coming(void **state)
{
	static const struct step steps[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", false },
		{ NULL, false },
	};
	int64_t start_ms = clock_mono_ms();
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	f.exchange.total_ms = 600000;
	f.exchange.stall_ms = 100;
	if (!use_curl) {
		assert_int_equal(http_client_start(f.client, &f.exchange, &err), ERR_UNSUPPORTED);
		fixture_close(&f);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_UNKNOWN);
		assert_int_equal(f.exchange.idle_ms, f.exchange.stall_ms);
		assert_non_null(strstr(f.exchange.err.msg, "no byte"));
	}
	assert_true(clock_mono_ms() - start_ms < 300000);
	fixture_close(&f);
}

static void test_a_large_body_arrives_whole(void **state)
{
	static const struct step steps[] = { { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false } };
	size_t len = 3 << 20;
	char *body = xmalloc(len);
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < len; i++)
		body[i] = (char)('a' + i * 7 % 26);
	fixture_open(&f, steps, ARRAY_LEN(steps));
	f.exchange.body = slice_of(body, len);
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_OK);
	assert_true(f.server.last.len > len);
	assert_memory_equal(f.server.last.ptr + f.server.last.len - len, body, len);
	fixture_close(&f);
	free(body);
}

static void test_no_whole_answer_is_unknown(void **state)
{
	static const struct step broken[] = {
		{ NULL, true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", true },
		{ "+OK this is no HTTP\r\n\r\n", true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", true },
		{ NULL, false },	/* and never an answer */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct fixture f;

		fixture_open(&f, &broken[i], 1);
		f.options.total_ms = broken[i].close ? 10000 : 150;
		ask(&f);
		if (f.exchange.code != ERR_UNKNOWN)
			fail_msg("step %zu: code %d, status %d", i, f.exchange.code, f.exchange.status);
		assert_true(f.exchange.err.msg[0] != '\0');
		fixture_close(&f);
	}
}

static void test_a_reply_that_is_too_long_is_unknown(void **state)
{
	static const struct step steps[] = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false } };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	f.exchange.reply.max = 4;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_UNKNOWN);
	f.exchange.reply.max = 5;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_OK);
	fixture_close(&f);
}

static void test_nobody_listens(void **state)
{
	static const struct step steps[] = { { NULL, true } };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	(void)shutdown(f.server.fd, SHUT_RDWR);	/* stops listening, and keeps the port */
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_BUSY);
	assert_non_null(strstr(f.exchange.err.msg, "127.0.0.1"));
	fixture_close(&f);
}

struct many {
	struct fixture *f;
	struct http_exchange exchanges[12];
	int again;		/* exchanges that done() shall still start */
	int done;
};

static void count_and_start_again(struct http_exchange *exchange)
{
	struct many *many = exchange->user;
	struct err err = { 0 };

	assert_int_equal(exchange->code, ERR_OK);
	assert_string_equal(buf_cstr(&exchange->reply), "ok");
	many->done++;
	if (many->again-- > 0)
		assert_ok(http_client_start(many->f->client, exchange, &err));
}

static void test_many_at_once(void **state)
{
	static const struct step steps[] = { { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false } };
	struct many many = { .again = 100 };
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	many.f = &f;
	for (size_t i = 0; i < ARRAY_LEN(many.exchanges); i++) {
		many.exchanges[i] = f.exchange;
		many.exchanges[i].done = count_and_start_again;
		many.exchanges[i].user = &many;
		buf_init(&many.exchanges[i].reply, 100);
		assert_ok(http_client_start(f.client, &many.exchanges[i], &err));
	}
	while (many.done < 112)
		assert_ok(http_client_turn(f.client, 1000, &err));
	assert_int_equal(atomic_load(&f.server.requests), 112);
	assert_in_range(atomic_load(&f.server.accepted), 1, 4);
	for (size_t i = 0; i < ARRAY_LEN(many.exchanges); i++)
		buf_release(&many.exchanges[i].reply);
	fixture_close(&f);
}

static void test_freed_with_exchanges_under_way(void **state)
{
	static const struct step steps[] = { { NULL, false } };
	struct fixture f;
	struct err err = { 0 };

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	assert_ok(http_client_start(f.client, &f.exchange, &err));
	while (atomic_load(&f.server.requests) == 0)
		assert_ok(http_client_turn(f.client, 10, &err));
	fixture_close(&f);
}

static void test_urls_that_cannot_be(void **state)
{
	static const char *const urls[] = {
		"ftp://127.0.0.1/x", "127.0.0.1:80", "http://", "http:///x", "http://u:p@127.0.0.1/",
		"http://[::1/x", "http://127.0.0.1:12x/", "http://127.0.0.1:/",
	};
	struct http_client_options options = { .connections_max = 1 };
	struct http_client *client = NULL;
	struct http_exchange exchange = { .method = "GET", .url = "http://127.0.0.1:99/x" };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		if (http_client_new(&options, urls[i], &client, &err) != ERR_USAGE)
			fail_msg("%s was taken", urls[i]);
	assert_ok(http_client_new(&options, "http://127.0.0.1:9/topics", &client, &err));
	assert_string_equal(client->ops->name, "wire");
	/* Another server than the client was made for. */
	assert_int_equal(http_client_start(client, &exchange, &err), ERR_USAGE);
	http_client_free(client);
	assert_ok(http_client_new(&options, "HTTPS://localhost/", &client, &err));
	assert_string_equal(client->ops->name, "curl");
	http_client_free(client);
}

/* --- what services need ------------------------------------------------------ */

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void assert_header(const struct http_exchange *exchange, const char *name, const char *value)
{
	struct slice found = { 0 };

	assert_true(http_exchange_header(exchange, name, &found));
	assert_int_equal(found.len, strlen(value));
	assert_memory_equal(found.ptr, value, found.len);
}

/* Those of the answer proper, however they are written. */
static void test_headers_of_the_answer(void **state)
{
	static const struct step steps[] = { { .reply = "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
		"HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nx-amz-meta-a:b c  \r\nX-Amz-Meta-Empty:\r\n"
		"etag: second\r\nX-Long-Name-Of-A-Header: 0123456789012345678901234567890123456789\r\n"
		"Content-Length: 2\r\n\r\nok" } };
	struct slice value;
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 1);
	buf_init(&f.exchange.reply_head, 4096);
	for (int i = 0; i < 2; i++) {		/* those of the first are gone with the second */
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_OK);
		assert_header(&f.exchange, "ETag", "\"abc\"");
		assert_header(&f.exchange, "X-AMZ-META-A", "b c");
		assert_header(&f.exchange, "x-amz-meta-empty", "");
		assert_header(&f.exchange, "x-long-name-of-a-header",
			      "0123456789012345678901234567890123456789");
		assert_header(&f.exchange, "content-length", "2");
		assert_false(http_exchange_header(&f.exchange, "X-Interim", &value));
		assert_false(http_exchange_header(&f.exchange, "ETa", &value));
	}
	buf_release(&f.exchange.reply_head);
	fixture_close(&f);
}

static void test_headers_that_are_too_long(void **state)
{
	static const struct step steps[] = { { .reply = "HTTP/1.1 200 OK\r\nX-A: 0123456789012345678901234567"
		"89012345678901234567890123456789\r\nContent-Length: 0\r\n\r\n" } };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 1);
	f.exchange.method = "GET";
	f.exchange.body = (struct slice){ 0 };
	buf_init(&f.exchange.reply_head, 30);
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_LIMIT);
	buf_release(&f.exchange.reply_head);
	fixture_close(&f);
}

static void test_head_has_headers_alone(void **state)
{
	static const struct step steps[] = { { .reply = "HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n" } };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 1);
	f.exchange.method = "HEAD";
	f.exchange.body = (struct slice){ 0 };
	buf_init(&f.exchange.reply_head, 4096);
	for (int i = 0; i < 2; i++) {
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_OK);
		assert_int_equal(f.exchange.status, 200);
		assert_int_equal(f.exchange.reply.len, 0);
		assert_header(&f.exchange, "Content-Length", "700000");
	}
	assert_int_equal(atomic_load(&f.server.accepted), 1);	/* on one connection */
	buf_release(&f.exchange.reply_head);
	fixture_close(&f);
}

/* A client that was asked for one thing after the other sends of each what it is. */
static void test_methods(void **state)
{
	static const struct step steps[] = { { .reply = OK } };
	static const struct { const char *method, *body; } cases[] = {
		{ "PUT", "abc" }, { "GET", NULL }, { "DELETE", NULL }, { "PUT", "" }, { "POST", "x" },
		{ "GET", NULL },
	};
	static const char *const headers[] = { "Range: bytes=2-5", "X-Empty:", NULL };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 1);
	f.exchange.headers = headers;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *body = cases[i].body;
		char line[40], length[40];

		f.exchange.method = cases[i].method;
		f.exchange.body = body ? slice_str(body) : (struct slice){ 0 };
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_OK);
		(void)snprintf(line, sizeof(line), "%s /topics/a.pin HTTP/1.1\r\n", cases[i].method);
		assert_true(slice_starts(buf_slice(&f.server.last), line));
		assert_non_null(strstr(buf_cstr(&f.server.last), "\r\nRange: bytes=2-5\r\n"));
		assert_non_null(strstr(buf_cstr(&f.server.last), "\r\nX-Empty:"));
		assert_null(strstr(buf_cstr(&f.server.last), "Expect"));
		(void)snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n",
			       body ? strlen(body) : 0);
		if (body)
			assert_non_null(strstr(buf_cstr(&f.server.last), length));
		assert_true(!body || strcmp(strstr(buf_cstr(&f.server.last), "\r\n\r\n") + 4, body) == 0);
	}
	fixture_close(&f);
}

static void test_an_answer_to_a_get_that_is_too_long(void **state)
{
	static const struct step steps[] = { { .reply = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678" } };
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 1);
	buf_release(&f.exchange.reply);
	buf_init(&f.exchange.reply, 7);
	f.exchange.method = "GET";
	f.exchange.body = (struct slice){ 0 };
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_LIMIT);
	fixture_close(&f);
}

/* --- files: curl alone --------------------------------------------------------- */

static int scratch_file(const char *text)
{
	char path[] = "/tmp/pinpipe-http-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void test_files_are_curl_s(void **state)
{
	static const struct step steps[] = { { .reply = OK } };
	const struct http_file file = { .fd = 0, .len = 1 };
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	use_curl = false;
	fixture_open(&f, steps, 1);
	f.exchange.body_file = &file;
	assert_int_equal(http_client_start(f.client, &f.exchange, &err), ERR_UNSUPPORTED);
	fixture_close(&f);
}

static void await_hang_up(struct fixture *f)
{
	while (atomic_load(&f->server.hung_up) == 0)
		clock_sleep_ms(1);
}

/* A part of a file as body; also when the kept connection has been closed since. */
static void test_a_body_out_of_a_file(void **state)
{
	static const struct step steps[] = { { .reply = OK }, { .reply = OK, .close = true },
					     { .reply = OK } };
	struct http_file file = { .fd = scratch_file("0123456789"), .offset = 2, .len = 5 };
	struct fixture f;

	(void)state;
	use_curl = true;
	fixture_open(&f, steps, 3);
	f.exchange.method = "PUT";
	f.exchange.body_file = &file;
	for (int i = 0; i < 3; i++) {
		ask(&f);
		assert_int_equal(f.exchange.code, ERR_OK);
		assert_non_null(strstr(buf_cstr(&f.server.last), "\r\nContent-Length: 5\r\n"));
		assert_null(strstr(buf_cstr(&f.server.last), "Expect"));
		assert_string_equal(strstr(buf_cstr(&f.server.last), "\r\n\r\n") + 4, "23456");
		if (i == 1)	/* as the step of that answer says */
			await_hang_up(&f);
	}
	file.len = 0;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_OK);
	assert_non_null(strstr(buf_cstr(&f.server.last), "\r\nContent-Length: 0\r\n"));
	file.len = 9;			/* more than there is: nothing is made up */
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_IO);
	f.exchange.body_file = NULL;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_OK);
	assert_int_equal(close(file.fd), 0);
	fixture_close(&f);
}

static void assert_file(int fd, const char *text)
{
	char have[100] = "";

	assert_int_equal(pread(fd, have, sizeof(have) - 1, 0), strlen(text));
	assert_string_equal(have, text);
}

/* An answer that says what is wrong is no content of the file. */
static void test_an_answer_into_a_file(void **state)
{
	static const struct step steps[] = {
		{ .reply = "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\n\r\nabc" },
		{ .reply = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n<Code>No<" },
		{ .reply = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef" },
	};
	struct http_file file = { .fd = scratch_file("--"), .offset = 2, .len = 5 };
	struct fixture f;

	(void)state;
	use_curl = true;
	fixture_open(&f, steps, 3);
	f.exchange.method = "GET";
	f.exchange.body = (struct slice){ 0 };
	f.exchange.reply_file = &file;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_OK);
	assert_int_equal(f.exchange.reply_file_len, 3);
	assert_int_equal(f.exchange.reply.len, 0);
	assert_file(file.fd, "--abc");
	ask(&f);
	assert_int_equal(f.exchange.status, 404);
	assert_int_equal(f.exchange.reply_file_len, 0);
	assert_string_equal(buf_cstr(&f.exchange.reply), "<Code>No<");
	assert_file(file.fd, "--abc");
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_LIMIT);
	assert_int_equal(close(file.fd), 0);
	file.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	file.len = 100;
	ask(&f);
	assert_int_equal(f.exchange.code, ERR_SPACE);
	assert_int_equal(close(file.fd), 0);
	fixture_close(&f);
}

/* --- a pool ---------------------------------------------------------------------- */

enum { THREADS = 8, ASKS = 25, POOLED = 3 };

struct pooled {
	struct http_client_pool *pool;
	char url[64];
	atomic_int good;
};

static void *ask_pooled(void *user)
{
	struct pooled *all = user;

	for (int i = 0; i < ASKS; i++) {
		struct http_exchange exchange = { .method = "GET", .url = all->url };
		struct err err;

		buf_init(&exchange.reply, 100);
		if (http_client_pool_do(all->pool, &exchange, &err) == ERR_OK &&
		    exchange.code == ERR_OK && exchange.status == 200)
			atomic_fetch_add(&all->good, 1);
		buf_release(&exchange.reply);
	}
	return NULL;
}

static void test_a_pool_for_threads(void **state)
{
	static const struct step steps[] = { { .reply = OK } };
	struct pooled all = { 0 };
	pthread_t threads[THREADS];
	struct fixture f;

	(void)state;
	use_curl = true;
	fixture_open(&f, steps, 1);
	f.options.connections_max = POOLED;
	(void)snprintf(all.url, sizeof(all.url), "%s", f.url);
	all.pool = http_client_pool_new(&f.options);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_pooled, &all), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&all.good), THREADS * ASKS);
	assert_in_range(atomic_load(&f.server.accepted), 1, POOLED);	/* kept, and no more */
	http_client_pool_free(all.pool);
	fixture_close(&f);
}

static int choose_wire(void **state)
{
	(void)state;
	use_curl = false;
	return 0;
}

static int choose_curl(void **state)
{
	(void)state;
	use_curl = true;
	return 0;
}

int main(void)
{
	const struct CMUnitTest contract[] = {
		cmocka_unit_test(test_answers_of_every_form),
		cmocka_unit_test(test_the_request_as_it_is_sent),
		cmocka_unit_test(test_nothing_is_said_of_the_body),
		cmocka_unit_test(test_nothing_is_sent_twice),
		cmocka_unit_test(test_a_time_of_its_own),
		cmocka_unit_test(test_bytes_that_stop_coming),
		cmocka_unit_test(test_a_large_body_arrives_whole),
		cmocka_unit_test(test_no_whole_answer_is_unknown),
		cmocka_unit_test(test_a_reply_that_is_too_long_is_unknown),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_freed_with_exchanges_under_way),
		cmocka_unit_test(test_headers_of_the_answer),
		cmocka_unit_test(test_headers_that_are_too_long),
		cmocka_unit_test(test_head_has_headers_alone),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_an_answer_to_a_get_that_is_too_long),
	};
	const struct CMUnitTest rest[] = {
		cmocka_unit_test(test_urls_that_cannot_be),
		cmocka_unit_test(test_files_are_curl_s),
		cmocka_unit_test(test_a_body_out_of_a_file),
		cmocka_unit_test(test_an_answer_into_a_file),
		cmocka_unit_test(test_a_pool_for_threads),
	};

	return cmocka_run_group_tests_name("wire", contract, choose_wire, NULL) +
	       cmocka_run_group_tests_name("curl", contract, choose_curl, NULL) +
	       cmocka_run_group_tests_name("both", rest, NULL, NULL);
}
