/* The HTTP server over real sockets: bytes in, bytes out, limits, time-outs, TLS. */
#include "unit/http_fixture.h"

#include "unit/http_cases.h"

#include <signal.h>

static struct fixture fixture;

static uint32_t count_text(const char *in, const char *text)
{
	uint32_t count = 0;

	for (const char *at = in; (at = strstr(at, text)) != NULL; at += strlen(text))
		count++;
	return count;
}

static struct http_limits small_limits(void)
{
	struct http_limits limits = http_limits_default;

	limits.header_bytes_max = HEADER_BYTES_MAX;
	limits.body_bytes_max = BODY_BYTES_MAX;
	return limits;
}

static int setup(void **state)
{
	struct http_limits limits = small_limits();

	(void)state;
	fixture_start(&fixture, &limits, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_stop(&fixture);
	return 0;
}

/* Everything the server says to these bytes until it closes. */
static void exchange(struct buf *out, const char *bytes, size_t len)
{
	int fd = client_open(&fixture);

	(void)client_send(fd, bytes, len);
	client_drain(fd, out);
	(void)close(fd);
}

/* Without what differs from run to run. */
static const char *without_date(struct buf *out)
{
	char *date = strstr(out->ptr, "Date: ");
	char *end = date ? strchr(date, '\n') + 1 : NULL;

	(void)buf_cstr(out);
	if (date)
		memmove(date, end, strlen(end) + 1);
	return out->ptr;
}

static void test_reply_bytes(void **state)
{
	static const struct { const char *request; const char *answer; } cases[] = {
		{ GET HOST "Connection: close\r\n" END,
		  "HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n"
		  "Connection: close\r\n\r\nGET / ? " },
		{ "HEAD / HTTP/1.1\r\n" HOST "Connection: close\r\n" END,
		  "HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n"
		  "Connection: close\r\n\r\n" },
		{ "GET /empty HTTP/1.1\r\n" HOST "Connection: close\r\n" END,
		  "HTTP/1.1 204 No Content\r\nServer: pinpipe\r\nConnection: close\r\n\r\n" },
		{ "GET / HTTP/1.0\r\n" END,
		  "HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n"
		  "Connection: close\r\n\r\nGET / ? " },
		{ "GET /close HTTP/1.0\r\nConnection: keep-alive\r\n" END,
		  "HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
		  "Connection: close\r\n\r\nGET /close ? " },
		{ GET END,
		  "HTTP/1.1 400 Bad Request\r\nServer: pinpipe\r\nContent-Type: application/json\r\n"
		  "Content-Length: 60\r\nConnection: close\r\n\r\n"
		  "{\"error_code\":400,\"message\":\"there must be one Host header\"}" },
		{ "GET /denied HTTP/1.1\r\n" HOST "Connection: close\r\n" END,
		  "HTTP/1.1 401 Unauthorized\r\nServer: pinpipe\r\nContent-Length: 2\r\n"
		  "Connection: close\r\n\r\nno" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&out);
		exchange(&out, cases[i].request, strlen(cases[i].request));
		assert_string_equal(without_date(&out), cases[i].answer);
	}
	buf_release(&out);
}

/* The case, and behind it a request that would be served if the first were believed. */
static size_t with_second(char *to, const struct http_case *request)
{
	static const char second[] = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

	memcpy(to, request->bytes, request->len);
	memcpy(to + request->len, second, sizeof(second) - 1);
	return request->len + sizeof(second) - 1;
}

static void test_refused_closes_and_reads_no_second(void **state)
{
	char bytes[8192];
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(http_refused); i++) {
		const struct http_case *request = &http_refused[i];
		char start[32];

		buf_clear(&out);
		exchange(&out, bytes, with_second(bytes, request));
		(void)snprintf(start, sizeof(start), "HTTP/1.1 %d ", request->status);
		if (!slice_starts(buf_slice(&out), start) || count_text(buf_cstr(&out), "HTTP/1.1 ") != 1
		    || !strstr(buf_cstr(&out), "Connection: close\r\n") || fixture.handled != 0)
			fail_msg("%s: %d expected, got %s", request->what, request->status, buf_cstr(&out));
	}
	buf_release(&out);
}

static void test_accepted_in_pieces_over_one_connection(void **state)
{
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(http_accepted); i++) {
		const struct http_good *good = &http_accepted[i];

		if (strstr(good->request.bytes, "HTTP/1.0"))
			continue;
		buf_clear(&out);
		for (size_t at = 0; at < good->request.len; ) {
			size_t piece = 1 + test_random(20);

			if (piece > good->request.len - at)
				piece = good->request.len - at;
			(void)client_send(fd, good->request.bytes + at, piece);
			at += piece;
		}
		client_await(fd, &out, good->echo);
	}
	(void)close(fd);
	buf_release(&out);
}

/* A body far larger than the first read, in pieces, with a second request right behind. */
static void test_large_bodies(void **state)
{
	static const char *const heads[] = {
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	};
	struct buf out;
	struct buf in;

	(void)state;
	buf_init(&out, 2 << 20);
	buf_init(&in, 2 << 20);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		buf_clear(&in);
		buf_clear(&out);
		buf_add_str(&in, heads[i]);
		for (int n = 0; n < 3000; n++) {
			if (i == 1)
				buf_add_str(&in, n % 10 == 0 ? "64;x=y\r\n" : "64\r\n");
			buf_addf(&in, "%0100d", n);
			if (i == 1)
				buf_add_str(&in, "\r\n");
		}
		buf_add_str(&in, i == 1 ? "0\r\nA: b\r\n\r\n" : "");
		buf_add_str(&in, "GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		exchange(&out, in.ptr, in.len);
		assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 200"), 2);
		assert_non_null(strstr(out.ptr, "Content-Length: 300013\r\n"));
		assert_non_null(strstr(out.ptr, "0000001499" "00"));
		assert_non_null(strstr(out.ptr, "2999HTTP/1.1"));
		assert_non_null(strstr(out.ptr, "GET /second ? "));
	}
	buf_release(&in);
	buf_release(&out);
}

static void shuffle(uint32_t *numbers, uint32_t count)
{
	for (uint32_t i = count; i-- > 1; ) {
		uint32_t j = (uint32_t)test_random(i + 1);
		uint32_t swap = numbers[i];

		numbers[i] = numbers[j];
		numbers[j] = swap;
	}
}

/* Sixteen are in flight at a time; whatever the order they are released in, they come in theirs. */
static void test_pipelined_later_answers_keep_their_order(void **state)
{
	enum { REQUESTS = 1000 };
	int fd = client_open(&fixture);
	const char *at;
	struct buf in;
	struct buf out;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < REQUESTS; i++)
		buf_addf(&in, "POST /later/%04d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", i);
	(void)client_send(fd, in.ptr, in.len);
	for (uint32_t done = 0; done < REQUESTS; ) {
		uint32_t left = REQUESTS - done;
		uint32_t batch = left < HTTP_PIPELINE_MAX ? left : HTTP_PIPELINE_MAX;
		uint32_t numbers[HTTP_PIPELINE_MAX];

		await_kept(&fixture, done + batch);
		assert_int_equal(fixture.kept_count, done + batch);	/* never more in flight */
		for (uint32_t i = 0; i < batch; i++)
			numbers[i] = done + i;
		shuffle(numbers, batch);
		release(&fixture, numbers, batch / 2);
		release(&fixture, numbers + batch / 2, batch - batch / 2);
		done += batch;
	}
	client_await(fd, &out, "/later/0999");
	at = buf_cstr(&out);
	for (int i = 0; i < REQUESTS; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "\r\n\r\n/later/%04d", i);
		at = strstr(at, text);
		assert_non_null(at);
	}
	(void)close(fd);
	buf_release(&in);
	buf_release(&out);
}

/* A refused request does not overtake the answers before it. */
static void test_error_waits_for_earlier_answers(void **state)
{
	static const uint32_t numbers[] = { 1, 0 };
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, "GET /later/a HTTP/1.1\r\nHost: a\r\n\r\nGET /later/b HTTP/1.1\r\nHost: a\r\n\r\n"
		       "GET / HTTP/9.9\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(&fixture, 2);
	release(&fixture, numbers, 2);
	client_drain(fd, &out);
	assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 200"), 2);
	assert_true(strstr(out.ptr, "/later/a") < strstr(out.ptr, "/later/b"));
	assert_true(strstr(out.ptr, "/later/b") < strstr(out.ptr, "HTTP/1.1 505"));
	assert_int_equal(count_text(out.ptr, "HTTP/1.1 "), 3);
	assert_int_equal(fixture.handled, 2);
	(void)close(fd);
	buf_release(&out);
}

/* Whose client says that it is the last is the last, also while its answer is being made. */
static void test_nothing_is_read_behind_the_last(void **state)
{
	static const char *const lasts[] = {
		"GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"POST /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",
		"GET /later HTTP/1.0\r\n\r\n",
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (uint32_t i = 0; i < ARRAY_LEN(lasts); i++) {
		int fd = client_open(&fixture);

		buf_clear(&out);
		buf_add_str(&out, lasts[i]);
		buf_add_str(&out, GET HOST END);
		(void)client_send(fd, out.ptr, out.len);
		await_kept(&fixture, i + 1);
		release(&fixture, &i, 1);
		buf_clear(&out);
		client_drain(fd, &out);
		assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 200"), 1);
		assert_int_equal(fixture.handled, i + 1);
		(void)close(fd);
	}
	buf_release(&out);
}

/* The client goes, its slot serves another, and then the first one's answer comes. */
static void test_ticket_of_a_gone_connection_is_ignored(void **state)
{
	static const uint32_t numbers[] = { 0, 1 };
	int64_t lost = metric_get(METRIC_UNTOLD);
	int fd = client_open(&fixture);
	struct linger reset = { .l_onoff = 1 };
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, "GET /later/gone HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(&fixture, 1);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	(void)close(fd);
	while (metric_get(METRIC_CONNECTIONS) > 0)
		clock_sleep_ms(1);
	fd = client_open(&fixture);
	client_say(fd, "GET /later/here HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	await_kept(&fixture, 2);
	assert_int_equal(fixture.kept[0].ticket.slot, fixture.kept[1].ticket.slot);
	release(&fixture, numbers, 2);
	client_drain(fd, &out);
	assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 200"), 1);
	assert_non_null(strstr(out.ptr, "/later/here"));
	assert_int_equal(metric_get(METRIC_UNTOLD), lost + 1);
	(void)close(fd);
	buf_release(&out);
}

/* The client ends its side at once; what it asked is still answered, also later. */
static void test_half_closed_client_is_answered(void **state)
{
	static const uint32_t numbers[] = { 0 };
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /cut");
	(void)shutdown(fd, SHUT_WR);
	await_kept(&fixture, 1);
	release(&fixture, numbers, 1);
	client_drain(fd, &out);
	assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 "), 2);
	assert_non_null(strstr(out.ptr, "/later"));
	(void)close(fd);
	buf_release(&out);
}

/* A body that will never be whole is forgotten, and what came before it is answered. */
static void test_cut_body_is_forgotten(void **state)
{
	struct buf out;
	int fd = client_open(&fixture);

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, GET HOST END POST "Content-Length: 5\r\n" END "hel");
	(void)shutdown(fd, SHUT_WR);
	client_drain(fd, &out);
	assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 "), 1);
	assert_int_equal(fixture.handled, 1);
	(void)close(fd);
	buf_release(&out);
}

/* What the client still sends must not reset the connection under the answer. */
static void test_refusal_reaches_a_client_that_goes_on_sending(void **state)
{
	static const char head[] = POST "Content-Length: 99999999\r\n" END;
	char *body = xcalloc(1, 4 << 20);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (int i = 0; i < 5; i++) {
		int fd = client_open(&fixture);

		buf_clear(&out);
		(void)client_send(fd, head, sizeof(head) - 1);
		assert_true(client_send(fd, body, 4 << 20));	/* no reset meanwhile */
		(void)shutdown(fd, SHUT_WR);
		client_await(fd, &out, "{\"error_code\":413,\"message\":\"the body is too large\"}");
		assert_int_equal(recv(fd, body, 1, 0), 0);
		(void)close(fd);
	}
	free(body);
	buf_release(&out);
}

static void test_others_are_served_while_answers_are_owed(void **state)
{
	static uint32_t numbers[100];
	int fds[100];
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (uint32_t i = 0; i < 100; i++) {
		numbers[i] = i;
		fds[i] = client_open(&fixture);
		client_say(fds[i], "GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	}
	await_kept(&fixture, 100);
	exchange(&out, GET HOST "Connection: close\r\n" END,
		 sizeof(GET HOST "Connection: close\r\n" END) - 1);
	assert_non_null(strstr(buf_cstr(&out), "200 OK"));
	release(&fixture, numbers, 100);
	for (int i = 0; i < 100; i++) {
		buf_clear(&out);
		client_drain(fds[i], &out);
		assert_non_null(strstr(buf_cstr(&out), "\r\n\r\n/later"));
		(void)close(fds[i]);
	}
	buf_release(&out);
}

static void test_continue(void **state)
{
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, POST "Expect: 100-continue\r\nContent-Length: 5\r\n" END);
	client_await(fd, &out, "HTTP/1.1 100 Continue\r\n\r\n");
	client_say(fd, "hello");
	client_await(fd, &out, "POST " PIN " ? hello");
	buf_clear(&out);
	client_say(fd, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
	client_await(fd, &out, "POST / ? hello");
	assert_null(strstr(buf_cstr(&out), "100 Continue"));
	buf_clear(&out);
	client_say(fd, "POST /denied HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	client_drain(fd, &out);
	assert_true(slice_starts(buf_slice(&out), "HTTP/1.1 401"));
	assert_non_null(strstr(buf_cstr(&out), "Connection: close"));
	(void)close(fd);
	buf_release(&out);
}

/* 100 is for the request whose turn it is, not for one before it. */
static void test_continue_waits_for_earlier_answers(void **state)
{
	static const uint32_t numbers[] = { 0 };
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
		       POST "Expect: 100-continue\r\nContent-Length: 5\r\n" END);
	await_kept(&fixture, 1);
	release(&fixture, numbers, 1);
	client_await(fd, &out, "100 Continue\r\n\r\n");
	assert_true(strstr(out.ptr, "/later") < strstr(out.ptr, "100 Continue"));
	client_say(fd, "hello");
	client_await(fd, &out, "POST " PIN " ? hello");
	(void)close(fd);
	buf_release(&out);
}

/* A refused body that is here already is skipped, and the connection goes on. */
static void test_denied_body_is_skipped(void **state)
{
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(fd, "POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
		       "GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
	client_await(fd, &out, "GET /second ? ");
	assert_non_null(strstr(out.ptr, "HTTP/1.1 401"));
	(void)close(fd);
	buf_release(&out);
}

/* A reader that is slow gets all of it, and no further request is taken meanwhile. */
static void test_slow_reader_gets_all(void **state)
{
	enum { BYTES = 15 << 20 };	/* more than the socket's buffers hold */
	int fd = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 64 << 20);
	client_say(fd, "GET /big?15728640 HTTP/1.1\r\nHost: a\r\n\r\n"
		       "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	client_await(fd, &out, "HTTP/1.1 200");
	assert_int_equal(fixture.handled, 1);
	client_drain(fd, &out);
	assert_int_equal(fixture.handled, 2);
	assert_true(out.len > BYTES);
	assert_non_null(strstr(buf_cstr(&out) + BYTES, "GET /echo ? "));
	(void)close(fd);
	buf_release(&out);
}

static void count_run(struct http_server *server, struct http_task *task)
{
	(void)server;
	fixture.tasks_run++;
	free(task);
}

static void *post_many(void *user)
{
	for (int i = 0; i < 1000; i++) {
		struct http_task *first = xcalloc(1, sizeof(*first));
		struct http_task *second = xcalloc(1, sizeof(*second));

		first->run = second->run = count_run;
		first->next = second;
		http_post(user, first, second);
	}
	return NULL;
}

/* From several threads, up to the end: each is run once. */
static void test_every_task_is_run(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, fixture.server), 0);
	http_server_stop(fixture.server);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_join(fixture.thread, NULL);
	http_server_free(fixture.server);
	assert_int_equal(fixture.tasks_run, 8000);
	free(fixture.big);
	(void)setup(NULL);
}

/* Stop: idle ones are closed at once, what is in flight is answered, nothing new is accepted. */
static void test_stop_drains(void **state)
{
	static const uint32_t numbers[] = { 0 };
	int idle = client_open(&fixture);
	int busy = client_open(&fixture);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(http_server_port(fixture.server)),
	};
	int late = socket(AF_INET, SOCK_STREAM, 0);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(idle, GET HOST END);
	client_await(idle, &out, "GET / ? ");
	client_say(busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(&fixture, 1);
	http_server_stop(fixture.server);
	client_drain(idle, &out);
	(void)close(idle);
	assert_int_not_equal(connect(late, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(late);
	release(&fixture, numbers, 1);
	buf_clear(&out);
	client_drain(busy, &out);
	assert_non_null(strstr(buf_cstr(&out), "Connection: close\r\n"));
	assert_non_null(strstr(buf_cstr(&out), "\r\n\r\n/later"));
	(void)close(busy);
	buf_release(&out);
}

/* All that one connection has in flight is answered, and no further request is taken from it. */
static void test_stop_answers_a_pipeline(void **state)
{
	static const uint32_t numbers[] = { 1, 0 };
	static const char later[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
	int idle = client_open(&fixture);
	int busy = client_open(&fixture);
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	client_say(busy, later);
	client_say(busy, later);
	await_kept(&fixture, 2);
	http_server_stop(fixture.server);
	client_drain(idle, &out);
	(void)close(idle);
	client_say(busy, later);
	release(&fixture, numbers, 2);
	client_drain(busy, &out);
	assert_int_equal(count_text(buf_cstr(&out), "HTTP/1.1 200"), 2);
	assert_int_equal(count_text(buf_cstr(&out), "Connection: close\r\n"), 1);
	assert_int_equal(fixture.handled, 2);
	(void)close(busy);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_reply_bytes),
		TEST(test_refused_closes_and_reads_no_second),
		TEST(test_accepted_in_pieces_over_one_connection),
		TEST(test_large_bodies),
		TEST(test_pipelined_later_answers_keep_their_order),
		TEST(test_error_waits_for_earlier_answers),
		TEST(test_nothing_is_read_behind_the_last),
		TEST(test_ticket_of_a_gone_connection_is_ignored),
		TEST(test_half_closed_client_is_answered),
		TEST(test_cut_body_is_forgotten),
		TEST(test_refusal_reaches_a_client_that_goes_on_sending),
		TEST(test_others_are_served_while_answers_are_owed),
		TEST(test_continue),
		TEST(test_continue_waits_for_earlier_answers),
		TEST(test_denied_body_is_skipped),
		TEST(test_slow_reader_gets_all),
		TEST(test_every_task_is_run),
		TEST(test_stop_drains),
		TEST(test_stop_answers_a_pipeline),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
