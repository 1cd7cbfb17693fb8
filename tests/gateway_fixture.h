/* gateway_fixture.h - a gateway that serves on a thread, over any broker, and what a client
 * sees of it. */
#ifndef TESTS_GATEWAY_FIXTURE_H
#define TESTS_GATEWAY_FIXTURE_H

#include "backends/backends.h"
#include "gateway/gateway.h"
#include "testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BROKER_BYTES_MAX = 1 << 20, REPLY_BYTES_MAX = 1 << 16, DRAIN_MS = 1000, PATIENCE_S = 30 };

struct fixture {
	struct gateway *gateway;
	pthread_t thread;
	struct buf reply;
};

static struct err err;

static inline struct gateway_options defaults(void)
{
	return (struct gateway_options){
		.listen = "127.0.0.1:0",
		.api_key_sha256 = "",
		.id = "me",
		.stages = "",
		.auto_create = AUTO_CREATE_OWN,
		.partitions = 1,
		.shards = 1,
		.body_bytes_max = 1 << 20,
		.record_bytes_max = 1 << 16,
		.connections_max = 16,
		.header_ms = 10000,
		.body_ms = 60000,
		.write_ms = 30000,
		.idle_ms = 60000,
	};
}

static inline void *serve(void *arg)
{
	struct fixture *fixture = arg;
	struct err stopped;

	return gateway_run(fixture->gateway, DRAIN_MS, &stopped) == ERR_OK ? NULL : fixture;
}

/* An opener that has it already. */
static inline enum err_code hand_out(void *user, struct gateway *gateway,
				     struct broker **ret_broker, struct err *unused)
{
	(void)gateway;
	(void)unused;
	*ret_broker = user;
	return ERR_OK;
}

static inline void start_with(struct fixture *fixture, struct gateway_opener opener)
{
	assert_ok(gateway_open(fixture->gateway, &opener, &err));
	assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
	buf_init(&fixture->reply, REPLY_BYTES_MAX);
}

static inline void start(struct fixture *fixture, struct broker *broker)
{
	start_with(fixture, (struct gateway_opener){ hand_out, broker });
}

static inline void stop(struct fixture *fixture)
{
	void *failed;

	gateway_stop(fixture->gateway);
	assert_int_equal(pthread_join(fixture->thread, &failed), 0);
	assert_null(failed);
	gateway_free(fixture->gateway);
	buf_release(&fixture->reply);
}

/* A connection of its own for one request; returns the socket. */
static inline int send_request(struct fixture *fixture, const char *line, const char *type,
			       const char *body)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(gateway_port(fixture->gateway)),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf request;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	buf_init(&request, REPLY_BYTES_MAX);
	buf_addf(&request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 line, type, strlen(body), body);
	assert_int_equal(send(fd, request.ptr, request.len, MSG_NOSIGNAL), request.len);
	buf_release(&request);
	return fd;
}

static inline const char *read_reply(struct fixture *fixture, int fd)
{
	char bytes[4096];
	ssize_t n;

	buf_clear(&fixture->reply);
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		buf_add(&fixture->reply, bytes, (size_t)n);
	(void)close(fd);
	return buf_cstr(&fixture->reply);
}

static inline void check(struct fixture *fixture, int fd, int status, bool retry, const char *body)
{
	const char *reply = read_reply(fixture, fd);
	char line[32];

	(void)snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	if (strncmp(reply, line, strlen(line)) != 0 ||
	    retry != (strstr(reply, "\r\nRetry-After: 1\r\n") != NULL) || !strstr(reply, body))
		fail_msg("wanted %d %s\n%s", status, body, reply);
}

#endif
