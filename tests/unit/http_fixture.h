/*
 * http_fixture.h - a server on a thread of its own with an echo handler, and a
 * client over loopback, for the tests of the HTTP server.
 *
 * The handler answers /echo… at once with "METHOD path ?query body"; it keeps
 * the ticket of /later… until the test releases it, which may be in any
 * order; /big?N answers N bytes, /empty 204, /close ends the connection. It and
 * the admit callback refuse /denied with 401.
 */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include "net/http_server.h"
#include "testing.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"

#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT_MAX = 4096, PATIENCE_MS = 20000, DRAIN_MS = 3000 };

struct kept {
	struct http_task task;
	struct http_ticket ticket;
	char text[64];
};

struct fixture {
	struct http_server *server;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct kept kept[KEPT_MAX];	/* under mutex until released */
	uint32_t kept_count;
	uint32_t tasks_run;		/* under mutex */
	atomic_uint handled;
	char *big;
	int *taken; /* listening sockets of another server, or NULL */
	unsigned taken_count;
};

static const char *const method_names[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "OTHER" };

static void put_echo(struct buf *out, const struct http_request *request)
{
	buf_addf(out, "%s %.*s ?%.*s ", method_names[request->method], SLICE_ARG(request->path),
		 SLICE_ARG(request->query));
	buf_add_slice(out, request->body);
}

static void keep(struct fixture *fixture, const struct http_request *request)
{
	struct kept *kept;

	pthread_mutex_lock(&fixture->mutex);
	assert(fixture->kept_count < KEPT_MAX);
	kept = &fixture->kept[fixture->kept_count++];
	kept->ticket = request->ticket;
	(void)snprintf(kept->text, sizeof(kept->text), "%.*s", SLICE_ARG(request->path));
	pthread_cond_signal(&fixture->changed);
	pthread_mutex_unlock(&fixture->mutex);
}

static bool admit_path(struct http_server *server, const struct http_request *request)
{
	static const struct http_reply denied = { .status = 401, .body = { "no", 2 } };

	if (!slice_is(request->path, "/denied"))
		return true;
	http_reply(server, request->ticket, &denied);
	return false;
}

static void handle(void *user, struct http_server *server, const struct http_request *request)
{
	struct fixture *fixture = user;
	struct http_reply reply = { .status = 200, .content_type = "text/plain" };
	struct buf out;

	if (!admit_path(server, request))
		return;
	fixture->handled++;
	buf_init(&out, 4 << 20);
	if (slice_starts(request->path, "/later")) {
		keep(fixture, request);
		return;
	}
	put_echo(&out, request);
	reply.body = buf_slice(&out);
	if (slice_is(request->path, "/big"))
		reply.body = slice_of(fixture->big, (size_t)strtoul(request->query.ptr, NULL, 10));
	else if (slice_is(request->path, "/empty"))
		reply = (struct http_reply){ .status = 204 };
	else if (slice_is(request->path, "/close"))
		reply.close = true;
	http_reply(server, request->ticket, &reply);
	buf_release(&out);
}

static bool admit(void *user, struct http_server *server, const struct http_request *request)
{
	(void)user;
	assert_null(request->body.ptr);
	return admit_path(server, request);
}

static void *run_server(void *user)
{
	struct fixture *fixture = user;
	struct err err;

	assert_ok(http_server_run(fixture->server, DRAIN_MS, &err));
	return NULL;
}

static void fixture_run(struct fixture *fixture)
{
	assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);
}

static void fixture_prepare(struct fixture *fixture, const struct http_limits *limits,
			    const char *cert, const char *key)
{
	struct http_server_options options = {
		.listen = "127.0.0.1:0", .limits = *limits, .handle = handle, .admit = admit,
		.user = fixture, .tls_cert = cert, .tls_key = key,
		.taken = fixture->taken, .taken_count = fixture->taken_count,
	};
	struct err err;

	fixture->kept_count = fixture->tasks_run = 0;
	fixture->handled = 0;
	pthread_mutex_init(&fixture->mutex, NULL);
	pthread_cond_init(&fixture->changed, NULL);
	fixture->big = xmalloc(16 << 20);
	memset(fixture->big, 'x', 16 << 20);
	assert_ok(http_server_new(&options, &fixture->server, &err));
}

static void fixture_start(struct fixture *fixture, const struct http_limits *limits,
			  const char *cert, const char *key)
{
	fixture_prepare(fixture, limits, cert, key);
	fixture_run(fixture);
}

/* All but its server. */
static void fixture_release(struct fixture *fixture)
{
	pthread_mutex_destroy(&fixture->mutex);
	pthread_cond_destroy(&fixture->changed);
	free(fixture->big);
}

static void fixture_stop(struct fixture *fixture)
{
	http_server_stop(fixture->server);
	(void)pthread_join(fixture->thread, NULL);
	http_server_free(fixture->server);
	assert_int_equal(metric_get(METRIC_CONNECTIONS), 0);
	fixture_release(fixture);
}

/* Waits until that many requests are kept. */
static void await_kept(struct fixture *fixture, uint32_t count)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	pthread_mutex_lock(&fixture->mutex);
	while (fixture->kept_count < count)
		if (pthread_cond_timedwait(&fixture->changed, &fixture->mutex, &until) != 0)
			fail_msg("%u requests kept, %u awaited", fixture->kept_count, count);
	pthread_mutex_unlock(&fixture->mutex);
}

static void run_kept(struct http_server *server, struct http_task *task)
{
	struct kept *kept = (struct kept *)task;
	struct http_reply reply = { .status = 200, .body = slice_str(kept->text) };

	http_reply(server, kept->ticket, &reply);
}

/* Answers the kept requests of those numbers, in that order, as one chain. */
static void release(struct fixture *fixture, const uint32_t *numbers, uint32_t count)
{
	struct kept *kept = fixture->kept;

	for (uint32_t i = 0; i < count; i++) {
		kept[numbers[i]].task.run = run_kept;
		kept[numbers[i]].task.next = i + 1 < count ? &kept[numbers[i + 1]].task : NULL;
	}
	http_post(fixture->server, &kept[numbers[0]].task, &kept[numbers[count - 1]].task);
}

static int client_open(const struct fixture *fixture)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(http_server_port(fixture->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* False: the server did not take all of it. */
static bool client_send(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static void client_say(int fd, const char *text)
{
	(void)client_send(fd, text, strlen(text));
}

/* One more piece of what the server says; false at its end. */
static bool client_read(int fd, struct buf *out)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char bytes[16384];
	ssize_t n;

	if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
		fail_msg("no answer came; so far: %s", buf_cstr(out));
	n = recv(fd, bytes, sizeof(bytes), 0);
	if (n <= 0)
		return false;
	buf_add(out, bytes, (size_t)n);
	return true;
}

/* Reads until the text has come. */
static void client_await(int fd, struct buf *out, const char *text)
{
	while (!strstr(buf_cstr(out), text))
		if (!client_read(fd, out))
			fail_msg("closed before \"%s\"; so far: %s", text, buf_cstr(out));
}

static void client_drain(int fd, struct buf *out)
{
	while (client_read(fd, out))
		;
}

#endif
