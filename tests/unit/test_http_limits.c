/* What bounds the HTTP server: sizes, connections, descriptors, memory, time. */
#include "unit/http_fixture.h"

#include "unit/http_cases.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct fixture fixture;

static struct http_limits small_limits(void)
{
	struct http_limits limits = http_limits_default;

	limits.header_bytes_max = HEADER_BYTES_MAX;
	limits.body_bytes_max = BODY_BYTES_MAX;
	return limits;
}

/* The connection is closed, after an answer of that status (0: after none). */
static void expect_end(int fd, int status)
{
	char start[32];
	struct buf out;

	buf_init(&out, 64 << 20);
	(void)snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
	client_drain(fd, &out);
	if (status == 0 ? out.len > 0 : !slice_starts(buf_slice(&out), start))
		fail_msg("%d expected, got \"%s\"", status, buf_cstr(&out));
	(void)close(fd);
	buf_release(&out);
}

static void expect_served(int fd)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	client_say(fd, GET HOST END);
	client_await(fd, &out, "GET / ? ");
	buf_release(&out);
}

static void expect_others_served(void)
{
	int fd = client_open(&fixture);

	expect_served(fd);
	(void)close(fd);
}

static int open_saying(const char *text)
{
	int fd = client_open(&fixture);

	client_say(fd, text);
	return fd;
}

static void await_connections(int64_t count)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (metric_get(METRIC_CONNECTIONS) != count) {
		if (clock_mono_ms() > end_ms)
			fail_msg("%d connections awaited", (int)count);
		clock_sleep_ms(1);
	}
}

static void test_timeouts_of_reading(void **state)
{
	struct http_limits limits = small_limits();
	int fds[4];

	(void)state;
	limits.header_ms = 60;
	limits.body_ms = 150;
	limits.idle_ms = 60;
	fixture_start(&fixture, &limits, NULL, NULL);
	fds[0] = open_saying("GET / HTTP/1.1\r\nHos");
	fds[1] = open_saying("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
	fds[2] = open_saying("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
	fds[3] = open_saying("");
	expect_end(fds[0], 408);
	expect_end(fds[1], 408);
	expect_end(fds[2], 408);
	expect_end(fds[3], 0);
	assert_int_equal(fixture.handled, 0);
	fixture_stop(&fixture);
}

/* A byte a moment is progress, but not enough of it; a body that only takes its time is read. */
static void test_body_must_keep_its_rate(void **state)
{
	struct http_limits limits = small_limits();
	struct pollfd poll_fd = { .events = POLLIN };
	struct buf out;
	int fd;

	(void)state;
	limits.body_ms = 3600 * 1000;
	limits.body_grace_ms = 50;
	limits.body_bytes_per_s_min = 2000;
	fixture_start(&fixture, &limits, NULL, NULL);
	poll_fd.fd = fd = open_saying("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
	while (poll(&poll_fd, 1, 5) == 0)
		client_say(fd, "x");
	expect_end(fd, 408);
	assert_int_equal(fixture.handled, 0);

	buf_init(&out, 1 << 20);
	fd = open_saying("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nConnection: close\r\n\r\n");
	for (int i = 0; i < 40; i++) {
		char piece[1000];

		memset(piece, 'y', sizeof(piece));
		(void)client_send(fd, piece, sizeof(piece));
		clock_sleep_ms(2);
	}
	client_await(fd, &out, "HTTP/1.1 200");
	(void)close(fd);
	buf_release(&out);
	fixture_stop(&fixture);
}

static void test_reader_that_reads_nothing_is_dropped(void **state)
{
	struct http_limits limits = small_limits();
	int fd;

	(void)state;
	limits.write_ms = 60;
	fixture_start(&fixture, &limits, NULL, NULL);
	fd = open_saying("GET /big?15728640 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_connections(1);
	await_connections(0);
	(void)close(fd);
	fixture_stop(&fixture);
}

/* An answer that is being made has no deadline of the connection's. */
static void test_waiting_for_an_answer_is_not_idle(void **state)
{
	static const uint32_t numbers[] = { 0 };
	struct http_limits limits = small_limits();
	struct buf out;
	int idle;
	int fd;

	(void)state;
	limits.idle_ms = limits.header_ms = 40;
	fixture_start(&fixture, &limits, NULL, NULL);
	buf_init(&out, 1 << 16);
	fd = open_saying("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(&fixture, 1);
	idle = open_saying("");
	expect_end(idle, 0);		/* so at least idle_ms have passed */
	release(&fixture, numbers, 1);
	client_await(fd, &out, "/later");
	(void)close(fd);
	buf_release(&out);
	fixture_stop(&fixture);
}

static void test_full_server_closes_the_longest_idle(void **state)
{
	struct http_limits limits = small_limits();
	int64_t refused = metric_get(METRIC_REFUSED);
	int fds[4];
	int slow;

	(void)state;
	limits.connections_max = 3;
	fixture_start(&fixture, &limits, NULL, NULL);
	for (int i = 0; i < 3; i++)
		expect_served(fds[i] = client_open(&fixture));
	expect_served(fds[0]);		/* so the second is idle the longest */
	expect_served(fds[3] = client_open(&fixture));
	expect_end(fds[1], 0);
	expect_served(fds[0]);
	expect_served(fds[2]);

	client_say(fds[0], "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	client_say(fds[2], "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	client_say(fds[3], "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(&fixture, 3);
	slow = open_saying("");
	expect_end(slow, 0);		/* nobody only waits: the new one is refused */
	assert_int_equal(metric_get(METRIC_REFUSED), refused + 1);
	(void)close(fds[0]);
	(void)close(fds[2]);
	(void)close(fds[3]);
	release(&fixture, (uint32_t[]){ 0, 1, 2 }, 3);
	fixture_stop(&fixture);
}

static void test_connections_of_one_address(void **state)
{
	struct http_limits limits = small_limits();
	int fds[3];

	(void)state;
	limits.connections_per_ip_max = 2;
	fixture_start(&fixture, &limits, NULL, NULL);
	expect_served(fds[0] = client_open(&fixture));
	expect_served(fds[1] = client_open(&fixture));
	expect_end(open_saying(""), 0);
	(void)close(fds[0]);
	await_connections(1);
	expect_served(fds[2] = client_open(&fixture));
	(void)close(fds[1]);
	(void)close(fds[2]);
	fixture_stop(&fixture);
}

static int open_from(in_addr_t host)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) };
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(http_server_port(fixture.server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Whose connections are too many already has nobody else's closed for one more. */
static void test_full_server_spares_others_from_a_greedy_one(void **state)
{
	struct http_limits limits = small_limits();
	int fds[4];

	(void)state;
	limits.connections_max = 3;
	limits.connections_per_ip_max = 2;
	fixture_start(&fixture, &limits, NULL, NULL);
	expect_served(fds[0] = open_from(INADDR_LOOPBACK + 1));
	expect_served(fds[1] = client_open(&fixture));
	expect_served(fds[2] = client_open(&fixture));
	expect_end(open_saying(""), 0);
	expect_served(fds[0]);
	expect_served(fds[3] = open_from(INADDR_LOOPBACK + 2));
	expect_end(fds[1], 0);		/* idle the longest, and there was no room */
	(void)close(fds[0]);
	(void)close(fds[2]);
	(void)close(fds[3]);
	fixture_stop(&fixture);
}

/* Without descriptors the server refuses with the spare one, and goes on when there are some. */
static void test_descriptors_run_out(void **state)
{
	struct http_limits limits = small_limits();
	int64_t refused = metric_get(METRIC_REFUSED);
	struct rlimit all;
	struct rlimit few;
	int busy;
	int next;

	(void)state;
	fixture_start(&fixture, &limits, NULL, NULL);
	busy = open_saying("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(&fixture, 1);
	next = socket(AF_INET, SOCK_STREAM, 0);		/* the client's: it needs one too */
	(void)getrlimit(RLIMIT_NOFILE, &all);
	few = all;
	few.rlim_cur = (rlim_t)next + 1;
	(void)setrlimit(RLIMIT_NOFILE, &few);
	{
		struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
			.sin_port = htons(http_server_port(fixture.server)),
		};

		assert_int_equal(connect(next, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	expect_end(next, 0);
	assert_int_equal(metric_get(METRIC_REFUSED), refused + 1);
	(void)setrlimit(RLIMIT_NOFILE, &all);
	expect_served(next = client_open(&fixture));
	(void)close(next);
	release(&fixture, (uint32_t[]){ 0 }, 1);
	(void)close(busy);
	fixture_stop(&fixture);
}

/* As many as connections are allowed, though the process began with fewer. */
static void test_descriptors_are_enough_for_the_connections(void **state)
{
	enum { CONNECTIONS = 300, FEW = 64 };
	struct http_limits limits = small_limits();
	struct rlimit all;
	struct rlimit few;
	struct rlimit now;

	(void)state;
	(void)getrlimit(RLIMIT_NOFILE, &all);
	few = all;
	few.rlim_cur = FEW;
	(void)setrlimit(RLIMIT_NOFILE, &few);
	limits.connections_max = CONNECTIONS;
	fixture_start(&fixture, &limits, NULL, NULL);
	(void)getrlimit(RLIMIT_NOFILE, &now);
	(void)setrlimit(RLIMIT_NOFILE, &all);
	assert_true(now.rlim_cur > CONNECTIONS);
	fixture_stop(&fixture);
}

/* All buffers have one bound: a body too many is refused, the others are read on. */
static void test_memory_is_bounded(void **state)
{
	struct http_limits limits = small_limits();
	char *half = xcalloc(1, 100000);
	struct buf out;
	int fds[8];
	int refused = 0;

	(void)state;
	limits.buffer_bytes_max = 1 << 20;
	fixture_start(&fixture, &limits, NULL, NULL);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < 8; i++) {
		fds[i] = open_saying("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
		(void)client_send(fds[i], half, 100000);
	}
	for (int i = 0; i < 8; i++) {
		(void)client_send(fds[i], half, 100000);
		buf_clear(&out);
		client_await(fds[i], &out, "HTTP/1.1 ");
		client_await(fds[i], &out, "\r\n\r\n");
		if (slice_starts(buf_slice(&out), "HTTP/1.1 503"))
			refused += strstr(buf_cstr(&out), "Retry-After: 1\r\n") != NULL;
		else
			assert_true(slice_starts(buf_slice(&out), "HTTP/1.1 204"));
		(void)close(fds[i]);
	}
	assert_true(refused > 0 && refused < 8);
	buf_release(&out);
	free(half);
	fixture_stop(&fixture);
}

/* Long bodies may fill three quarters of the memory, and short ones the rest. */
static void test_long_bodies_leave_room_for_short_ones(void **state)
{
	enum { LONG_BYTES = 100000, SHORT_BYTES = 10000 };
	struct http_limits limits = small_limits();
	char *bytes = xcalloc(1, LONG_BYTES);
	int fds[12];

	(void)state;
	/* What all of the bodies need. */
	limits.buffer_bytes_max = 8 * (128 << 10) + 4 * (16 << 10);
	fixture_start(&fixture, &limits, NULL, NULL);
	for (int i = 0; i < 12; i++) {
		fds[i] = open_saying("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
		(void)client_send(fds[i], bytes, i < 8 ? LONG_BYTES : SHORT_BYTES);
	}
	for (int i = 0; i < 200; i++)
		expect_others_served();
	for (int i = 0; i < 12; i++)
		(void)close(fds[i]);
	await_connections(0);
	free(bytes);
	fixture_stop(&fixture);
}

/* Heads that do not end hold all memory there is: their connections end, not the next one's. */
static void test_slow_clients_give_way(void **state)
{
	enum { SLOW = 300 };
	struct http_limits limits = small_limits();
	char part[1900];
	int fds[SLOW];

	(void)state;
	limits.buffer_bytes_max = 1 << 20;
	fixture_start(&fixture, &limits, NULL, NULL);
	memset(part, 'x', sizeof(part));
	for (int i = 0; i < SLOW; i++) {
		fds[i] = open_saying(GET "X: ");
		(void)client_send(fds[i], part, sizeof(part));
		expect_others_served();
	}
	expect_end(fds[0], 0);
	for (int i = 1; i < SLOW; i++)
		(void)close(fds[i]);
	await_connections(0);
	fixture_stop(&fixture);
}

enum { PIPELINED = 50000 };

static void *send_pipeline(void *user)
{
	static const char request[] = "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n";
	const int *fd = user;
	struct buf in;

	buf_init(&in, PIPELINED * sizeof(request));
	for (int i = 0; i < PIPELINED; i++)
		buf_add_str(&in, request);
	(void)client_send(*fd, in.ptr, in.len);
	(void)shutdown(*fd, SHUT_WR);
	buf_release(&in);
	return NULL;
}

/* More requests than the memory holds, sent without waiting: one read of them is held at once. */
static void test_pipeline_is_read_as_it_is_handled(void **state)
{
	struct http_limits limits = small_limits();
	pthread_t sender;
	struct buf out;
	int fd;

	(void)state;
	limits.buffer_bytes_max = 256 << 10;
	fixture_start(&fixture, &limits, NULL, NULL);
	buf_init(&out, 16 << 20);
	fd = client_open(&fixture);
	assert_int_equal(pthread_create(&sender, NULL, send_pipeline, &fd), 0);
	client_drain(fd, &out);
	(void)pthread_join(sender, NULL);
	assert_null(strstr(buf_cstr(&out), "HTTP/1.1 503"));
	assert_int_equal(fixture.handled, PIPELINED);
	(void)close(fd);
	buf_release(&out);
	fixture_stop(&fixture);
}

/* Who asks for ten long answers at once and reads none holds the memory of one of them. */
static void test_answers_are_made_as_they_are_read(void **state)
{
	enum { READERS = 16, ANSWERS = 10, ANSWER = 60000 };
	struct http_limits limits = small_limits();
	struct buf out;
	int fds[READERS];

	(void)state;
	limits.buffer_bytes_max = READERS * 100 << 10;
	fixture_start(&fixture, &limits, NULL, NULL);
	buf_init(&out, 16 << 20);
	for (int i = 0; i < READERS; i++) {
		fds[i] = client_open(&fixture);
		for (int n = 0; n < ANSWERS; n++)
			client_say(fds[i], "GET /big?60000 HTTP/1.1\r\nHost: a\r\n\r\n");
		(void)shutdown(fds[i], SHUT_WR);
	}
	expect_others_served();
	for (int i = 0; i < READERS; i++) {
		buf_clear(&out);
		client_drain(fds[i], &out);
		assert_true(out.len > (size_t)ANSWERS * ANSWER);
		(void)close(fds[i]);
	}
	assert_int_equal(fixture.handled, READERS * ANSWERS + 1);
	buf_release(&out);
	fixture_stop(&fixture);
}

static void test_addresses(void **state)
{
	static const struct { const char *listen; bool valid; bool loopback; } cases[] = {
		{ "127.0.0.1:8082", true, true }, { "[::1]:0", true, true }, { "127.9.9.9:1", true, true },
		{ "0.0.0.0:80", true, false }, { "[::]:80", true, false }, { "192.0.2.1:80", true, false },
		{ "127.0.0.1", false, false }, { "127.0.0.1:", false, false }, { ":80", false, false },
		{ "127.0.0.1:65536", false, false }, { "127.0.0.1:+1", false, false },
		{ "::1:80", false, false }, { "127.0.0.1:80x", false, false }, { "", false, false },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool loopback = false;
		enum err_code code = http_listen_check(cases[i].listen, &loopback, &err);

		if (code != (cases[i].valid ? ERR_OK : ERR_USAGE) || loopback != cases[i].loopback)
			fail_msg("\"%s\": %s", cases[i].listen, err_name(code));
	}
}

static void test_address_in_use(void **state)
{
	struct http_limits limits = small_limits();
	struct http_server *second;
	struct http_server_options options = { .limits = limits, .handle = handle };
	char listen[32];
	struct err err;

	(void)state;
	fixture_start(&fixture, &limits, NULL, NULL);
	(void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", http_server_port(fixture.server));
	options.listen = listen;
	assert_int_equal(http_server_new(&options, &second, &err), ERR_EXISTS);
	assert_non_null(strstr(err.msg, "in use"));
	fixture_stop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeouts_of_reading),
		cmocka_unit_test(test_body_must_keep_its_rate),
		cmocka_unit_test(test_reader_that_reads_nothing_is_dropped),
		cmocka_unit_test(test_waiting_for_an_answer_is_not_idle),
		cmocka_unit_test(test_full_server_closes_the_longest_idle),
		cmocka_unit_test(test_connections_of_one_address),
		cmocka_unit_test(test_full_server_spares_others_from_a_greedy_one),
		cmocka_unit_test(test_descriptors_run_out),
		cmocka_unit_test(test_descriptors_are_enough_for_the_connections),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_long_bodies_leave_room_for_short_ones),
		cmocka_unit_test(test_slow_clients_give_way),
		cmocka_unit_test(test_pipeline_is_read_as_it_is_handled),
		cmocka_unit_test(test_answers_are_made_as_they_are_read),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_address_in_use),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
