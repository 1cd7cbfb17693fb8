/* Replies in pieces over real sockets, and descriptors of others in the loop. */
#include "net/http_server.h"
#include "testing.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, DRAIN_MS = 20000, PIECE = 1000, MANY = 8 << 20, SAID_MAX = 16 << 20 };

#define HOST "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

static struct http_server *server;
static pthread_t thread;
static char piece[PIECE];
static atomic_size_t added; /* bytes, by all makers */
static atomic_uint told_gone;
static atomic_uint makers; /* that are not freed yet */

/* Of one reply: so many bytes; or what comes through a pipe, without an end. */
struct maker {
	struct http_pieces *pieces;
	size_t left;
	struct http_watch watch;
	int pipe[2];
};

static atomic_int pipe_in; /* of the last one: the test's to write to */

static void maker_free(struct maker *maker)
{
	free(maker);
	atomic_fetch_sub(&makers, 1);
}

static void maker_go_on(void *user)
{
	struct maker *maker = user;
	bool more = true;

	while (maker->left > 0 && more) {
		size_t len = maker->left < PIECE ? maker->left : PIECE;

		maker->left -= len;
		atomic_fetch_add(&added, len);
		more = http_pieces_add(maker->pieces, slice_of(piece, len));
	}
	if (maker->left > 0)
		return;
	http_pieces_end(maker->pieces);
	maker_free(maker);
}

static void maker_gone(void *user)
{
	struct maker *maker = user;

	http_pieces_abort(maker->pieces);
	atomic_fetch_add(&told_gone, 1);
	maker_free(maker);
}

static void piped_resume(void *user)
{
	struct maker *maker = user;

	http_watch_pause(server, &maker->watch, false);
}

static void piped_end(struct maker *maker)
{
	http_watch_stop(server, &maker->watch);
	(void)close(maker->pipe[0]);
	maker_free(maker);
}

static void piped_gone(void *user)
{
	struct maker *maker = user;

	http_pieces_abort(maker->pieces);
	atomic_fetch_add(&told_gone, 1);
	piped_end(maker);
}

static void piped_ready(struct http_server *unused, struct http_watch *watch)
{
	struct maker *maker = (struct maker *)((char *)watch - offsetof(struct maker, watch));
	char bytes[PIECE];
	ssize_t n = read(maker->pipe[0], bytes, sizeof(bytes));

	(void)unused;
	if (n <= 0) {
		http_pieces_end(maker->pieces);
		piped_end(maker);
		return;
	}
	atomic_fetch_add(&added, (size_t)n);
	if (!http_pieces_add(maker->pieces, slice_of(bytes, (size_t)n)))
		http_watch_pause(server, watch, true);
}

static void begin(const struct http_request *request, bool endless, size_t len)
{
	static const struct http_reply head = { .status = 200, .content_type = "text/plain" };
	struct maker *maker = xcalloc(1, sizeof(*maker));
	struct http_pieces_maker callbacks = { maker_go_on, maker_gone, maker, endless };
	struct err err;

	atomic_fetch_add(&makers, 1);
	maker->left = len;
	if (endless) {
		callbacks.go_on = piped_resume;
		callbacks.gone = piped_gone;
	}
	maker->pieces = http_pieces_begin(server, request->ticket, &head, &callbacks);
	if (!maker->pieces) {
		maker_free(maker);
		return;
	}
	if (!endless) {
		maker_go_on(maker);
		return;
	}
	assert_int_equal(pipe(maker->pipe), 0);
	maker->watch = (struct http_watch){ .fd = maker->pipe[0], .ready = piped_ready };
	assert_ok(http_watch_start(server, &maker->watch, &err));
	atomic_store(&pipe_in, maker->pipe[1]);
	(void)http_pieces_add(maker->pieces, slice_str("begun"));
}

static void begin_cut(const struct http_request *request)
{
	static const struct http_reply head = { .status = 200 };
	static const struct http_pieces_maker callbacks = { maker_go_on, maker_gone, NULL, false };
	struct http_pieces *pieces = http_pieces_begin(server, request->ticket, &head, &callbacks);

	(void)http_pieces_add(pieces, slice_str("some"));
	http_pieces_abort(pieces);
}

static struct http_ticket kept;
static atomic_bool is_kept;

static void handle(void *user, struct http_server *of, const struct http_request *request)
{
	struct http_reply reply = { .status = 200, .body = request->target };

	(void)user;
	if (slice_is(request->path, "/pieces")) {
		begin(request, false, (size_t)strtoul(request->query.ptr, NULL, 10));
	} else if (slice_is(request->path, "/endless")) {
		begin(request, true, 0);
	} else if (slice_is(request->path, "/cut")) {
		begin_cut(request);
	} else if (slice_is(request->path, "/later")) {
		kept = request->ticket;
		atomic_store(&is_kept, true);
	} else {
		http_reply(of, request->ticket, &reply);
	}
}

static void *run(void *user)
{
	struct err err;

	(void)user;
	assert_ok(http_server_run(server, DRAIN_MS, &err));
	return NULL;
}

static int setup(void **state)
{
	struct http_server_options options = {
		.listen = "127.0.0.1:0",
		.limits = http_limits_default,
		.handle = handle,
	};
	struct err err;

	(void)state;
	memset(piece, '#', sizeof(piece));
	added = 0;
	told_gone = makers = 0;
	is_kept = false;
	assert_ok(http_server_new(&options, &server, &err));
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	return 0;
}

static void stop(void)
{
	if (!server)
		return;
	http_server_stop(server);
	(void)pthread_join(thread, NULL);
	http_server_free(server);
	server = NULL;
}

static int teardown(void **state)
{
	(void)state;
	stop();
	assert_int_equal(makers, 0);
	assert_int_equal(metric_get(METRIC_CONNECTIONS), 0);
	return 0;
}

static int say(const char *text)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(http_server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int small = 16 << 10;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	return fd;
}

/* More of what the server says; 0 at its end, or an errno as a negative number. */
static ssize_t hear(int fd, struct buf *out)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char bytes[16384];
	ssize_t n;

	if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
		fail_msg("nothing came; so far: %s", buf_cstr(out));
	n = recv(fd, bytes, sizeof(bytes), 0);
	if (n > 0)
		buf_add(out, bytes, (size_t)n);
	return n < 0 ? -errno : n;
}

static void hear_until(int fd, struct buf *out, const char *text)
{
	while (!strstr(buf_cstr(out), text))
		if (hear(fd, out) <= 0)
			fail_msg("ended before \"%s\"; so far: %s", text, buf_cstr(out));
}

/* All that is said to the end; the errno of that, negative, or 0. */
static ssize_t hear_all(int fd, struct buf *out)
{
	ssize_t n;

	do
		n = hear(fd, out);
	while (n > 0);
	(void)close(fd);
	return n;
}

/* What is said to the end, without the date; `out` must be released. */
static const char *exchange(const char *text, struct buf *out)
{
	char *date, *end;

	buf_init(out, SAID_MAX);
	(void)hear_all(say(text), out);
	(void)buf_cstr(out);
	date = strstr(out->ptr, "Date: ");
	end = date ? strchr(date, '\n') + 1 : NULL;
	if (date)
		memmove(date, end, strlen(end) + 1);
	return out->ptr;
}

static void test_pieces_are_chunks(void **state)
{
	struct buf out;

	(void)state;
	memset(piece, '#', 2);
	assert_string_equal(exchange("GET /pieces?2 HTTP/1.1\r\n" HOST CLOSE "\r\n", &out),
			    "HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\n"
			    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
			    "2\r\n##\r\n0\r\n\r\n");
	buf_release(&out);
}

static void test_an_old_client_reads_to_the_end(void **state)
{
	struct buf out;

	(void)state;
	assert_string_equal(
		exchange("GET /pieces?2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &out),
		"HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\n"
		"Connection: close\r\n\r\n##");
	buf_release(&out);
}

static void test_head_has_no_pieces(void **state)
{
	struct buf out;

	(void)state;
	assert_string_equal(exchange("HEAD /endless HTTP/1.1\r\n" HOST CLOSE "\r\n", &out),
			    "HTTP/1.1 200 OK\r\nServer: pinpipe\r\nContent-Type: text/plain\r\n"
			    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
	buf_release(&out);
}

static void answer_kept(struct http_server *of, struct http_task *task)
{
	struct http_reply reply = { .status = 200, .body = slice_str("late") };

	(void)task;
	http_reply(of, kept, &reply);
}

static void await(const char *what, bool (*is_so)(void))
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!is_so()) {
		if (clock_mono_ms() > end_ms)
			fail_msg("%s did not come", what);
		clock_sleep_ms(1);
	}
}

static bool later_is_kept(void) { return atomic_load(&is_kept); }
static bool one_is_gone(void) { return atomic_load(&told_gone) == 1; }
static bool none_is_left(void) { return atomic_load(&makers) == 0; }
static bool one_is_begun(void) { return atomic_load(&makers) == 1; }

/* The first is answered last, the pieces of the second wait for it, and the third for both. */
static void test_pipelined_pieces_wait_for_their_turn(void **state)
{
	static struct http_task task = { .run = answer_kept };
	const char *late, *pieces, *last;
	struct buf out;
	int fd = say("GET /later HTTP/1.1\r\n" HOST "\r\nGET /pieces?300000 HTTP/1.1\r\n" HOST
		     "\r\nGET /last?q HTTP/1.1\r\n" HOST CLOSE "\r\n");

	(void)state;
	await("the request", later_is_kept);
	await("the pieces", one_is_begun);
	assert_true(added < 2 * HTTP_PIECES_BYTES);
	http_post(server, &task, &task);
	buf_init(&out, SAID_MAX);
	assert_int_equal(hear_all(fd, &out), 0);
	late = strstr(buf_cstr(&out), "\r\n\r\nlate");
	pieces = strstr(out.ptr, "\r\n\r\n3e8\r\n###");
	last = strstr(out.ptr, "0\r\n\r\nHTTP/1.1 200 OK");
	assert_true(late && late < pieces && pieces < last);
	assert_non_null(strstr(last, "/last?q"));
	assert_int_equal(added, 300000);
	buf_release(&out);
}

/* Who does not read has a maker that waits; who reads again gets all. */
static void test_a_slow_reader_has_its_maker_wait(void **state)
{
	size_t before, kernel_max = 4 << 20;
	int fd = say("GET /pieces?8388608 HTTP/1.1\r\n" HOST CLOSE "\r\n");
	struct buf out;

	(void)state;
	do {
		before = added;
		clock_sleep_ms(50);
	} while (added != before || before == 0);
	assert_true(added < HTTP_PIECES_BYTES + 2 * PIECE + kernel_max);
	buf_init(&out, SAID_MAX);
	assert_int_equal(hear_all(fd, &out), 0);
	assert_int_equal(added, MANY);
	assert_true(out.len > MANY && strcmp(buf_cstr(&out) + out.len - 7, "\r\n0\r\n\r\n") == 0);
	buf_release(&out);
}

static void test_what_is_cut_is_seen_to_be(void **state)
{
	struct buf out;

	(void)state;
	assert_non_null(
		strstr(exchange("GET /cut HTTP/1.1\r\n" HOST "\r\n", &out), "4\r\nsome\r\n"));
	assert_null(strstr(out.ptr, "0\r\n\r\n"));
	buf_clear(&out);
	assert_int_equal(hear_all(say("GET /cut HTTP/1.0\r\n\r\n"), &out), -ECONNRESET);
	buf_release(&out);
}

static void test_a_client_that_leaves_is_told_of(void **state)
{
	struct buf out;
	int fd = say("GET /endless HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	buf_init(&out, SAID_MAX);
	hear_until(fd, &out, "begun");
	(void)close(pipe_in);
	hear_until(fd, &out, "0\r\n\r\n"); /* the pipe's end is its */
	assert_int_equal(told_gone, 0);
	(void)close(fd);
	buf_clear(&out);
	fd = say("GET /endless HTTP/1.1\r\n" HOST "\r\n");
	hear_until(fd, &out, "begun");
	(void)close(fd);
	await("the end", one_is_gone);
	(void)close(pipe_in);
	buf_release(&out);
}

/* Of what has no end nobody reads who has ended his side; what has one is owed to him. */
static void test_a_half_closed_client(void **state)
{
	struct buf out;
	int fd = say("GET /endless HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	buf_init(&out, SAID_MAX);
	hear_until(fd, &out, "begun");
	(void)shutdown(fd, SHUT_WR);
	await("the end", one_is_gone);
	(void)close(pipe_in);
	(void)close(fd);
	buf_clear(&out);
	fd = say("GET /pieces?2000000 HTTP/1.1\r\n" HOST "\r\n");
	(void)shutdown(fd, SHUT_WR);
	assert_int_equal(hear_all(fd, &out), 0);
	assert_true(out.len > 2000000 && strstr(buf_cstr(&out) + 2000000, "0\r\n\r\n"));
	buf_release(&out);
}

static void test_a_slow_reader_has_its_pipe_wait(void **state)
{
	int fd = say("GET /endless HTTP/1.1\r\n" HOST "\r\n");
	size_t wrote = 0, heard;
	struct buf out;

	(void)state;
	buf_init(&out, SAID_MAX);
	hear_until(fd, &out, "begun");
	for (struct pollfd room = { .fd = pipe_in, .events = POLLOUT }; poll(&room, 1, 300) == 1;
	     wrote += PIECE)
		assert_int_equal(write(pipe_in, piece, PIECE), PIECE);
	assert_true(wrote > added && wrote < MANY);
	(void)close(pipe_in);
	hear_until(fd, &out, "\r\n0\r\n\r\n");
	for (size_t i = heard = 0; i < out.len; i++)
		heard += out.ptr[i] == '#';
	assert_int_equal(heard, wrote);
	(void)close(fd);
	buf_release(&out);
}

/* A stop does not wait for those that have no end, nor for those that nobody reads. */
static void test_a_stop_ends_them(void **state)
{
	int64_t began_ms;
	struct buf out;
	int endless = say("GET /endless HTTP/1.1\r\n" HOST "\r\n");
	int cut = say("GET /pieces?8388608 HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	buf_init(&out, SAID_MAX);
	hear_until(endless, &out, "begun");
	hear_until(cut, &out, "3e8");
	(void)close(pipe_in);
	assert_false(none_is_left());
	buf_clear(&out);
	http_server_stop(server);
	began_ms = clock_mono_ms();
	assert_int_equal(hear_all(cut, &out), 0);
	assert_null(strstr(buf_cstr(&out), "0\r\n\r\n"));
	(void)close(endless);
	stop();
	assert_true(clock_mono_ms() - began_ms < DRAIN_MS / 2);
	buf_release(&out);
}

static void test_a_stop_ends_what_has_no_end(void **state)
{
	struct buf out;
	int fd = say("GET /endless HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	buf_init(&out, SAID_MAX);
	hear_until(fd, &out, "begun");
	http_server_stop(server);
	assert_int_equal(hear_all(fd, &out), 0);
	assert_non_null(strstr(buf_cstr(&out), "begun\r\n0\r\n\r\n"));
	await("the word of it", one_is_gone);
	(void)close(pipe_in);
	buf_release(&out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pieces_are_chunks),
		TEST(test_an_old_client_reads_to_the_end),
		TEST(test_head_has_no_pieces),
		TEST(test_pipelined_pieces_wait_for_their_turn),
		TEST(test_a_slow_reader_has_its_maker_wait),
		TEST(test_what_is_cut_is_seen_to_be),
		TEST(test_a_client_that_leaves_is_told_of),
		TEST(test_a_half_closed_client),
		TEST(test_a_slow_reader_has_its_pipe_wait),
		TEST(test_a_stop_ends_them),
		TEST(test_a_stop_ends_what_has_no_end),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
