/*
 * script_server.h - an HTTP server on a thread of its own that answers as a script
 * says, whatever it is asked, and keeps what it was asked.
 */
#ifndef TESTS_SCRIPT_SERVER_H
#define TESTS_SCRIPT_SERVER_H

#include "base/buf.h"
#include "testing.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVER_PEERS = 16, SERVER_REQUEST_BYTES = 4 << 20 };

/* What the server does with one request, in turn; the last step is repeated. */
struct step {
	const char *reply;	/* NULL: nothing */
	bool close;		/* after the reply */
};

struct server {
	int fd;
	int quit[2];
	uint16_t port;
	const struct step *steps;
	size_t step_count;
	size_t step;
	atomic_int accepted;
	atomic_int requests;
	atomic_int hung_up;
	struct pollfd polls[SERVER_PEERS + 2];
	struct buf peers[SERVER_PEERS + 2];	/* what came so far */
	struct buf last;		/* the last whole request; to be read after its answer */
	struct buf all;			/* all of them; to be read after the last answer */
	pthread_t thread;
};

/* The length of the whole request in `bytes`, or 0 if it is not all there. */
static inline size_t server_request_len(struct buf *bytes)
{
	const char *text = buf_cstr(bytes);
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "Content-Length: ");
	size_t len;

	if (!end)
		return 0;
	len = (size_t)(end - text) + 4;
	if (length && length < end)
		len += strtoul(length + strlen("Content-Length: "), NULL, 10);
	return bytes->len >= len ? len : 0;
}

static inline void server_hang_up(struct server *server, size_t i)
{
	(void)close(server->polls[i].fd);
	server->polls[i].fd = -1;
	buf_clear(&server->peers[i]);
	atomic_fetch_add(&server->hung_up, 1);
}

static inline void server_answer(struct server *server, size_t i)
{
	const struct step *step = &server->steps[server->step];

	buf_clear(&server->last);
	buf_add_slice(&server->last, buf_slice(&server->peers[i]));
	buf_add_slice(&server->all, buf_slice(&server->peers[i]));
	buf_add_char(&server->all, '\n');
	buf_clear(&server->peers[i]);
	atomic_fetch_add(&server->requests, 1);
	if (server->step + 1 < server->step_count)
		server->step++;
	if (step->reply)
		(void)!send(server->polls[i].fd, step->reply, strlen(step->reply), MSG_NOSIGNAL);
	if (step->close)
		server_hang_up(server, i);
}

static inline void server_take(struct server *server, size_t i)
{
	char *room = buf_room(&server->peers[i], 65536);
	ssize_t n = room ? recv(server->polls[i].fd, room, 65536, 0) : 0;

	if (n <= 0) {
		server_hang_up(server, i);
		return;
	}
	buf_grew(&server->peers[i], (size_t)n);
	if (server_request_len(&server->peers[i]))
		server_answer(server, i);
}

static inline void server_greet(struct server *server)
{
	for (size_t i = 2; i < SERVER_PEERS + 2; i++) {
		if (server->polls[i].fd >= 0)
			continue;
		server->polls[i].fd = accept(server->fd, NULL, NULL);
		server->polls[i].events = POLLIN;
		atomic_fetch_add(&server->accepted, 1);
		return;
	}
	abort();
}

static inline void *server_serve(void *user)
{
	struct server *server = user;

	while (poll(server->polls, SERVER_PEERS + 2, -1) > 0 && !server->polls[1].revents) {
		for (size_t i = 2; i < SERVER_PEERS + 2; i++)
			if (server->polls[i].fd >= 0 && server->polls[i].revents)
				server_take(server, i);
		if (server->polls[0].revents)
			server_greet(server);
	}
	return NULL;
}

static inline void server_open(struct server *server, const struct step *steps, size_t count)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	memset(server, 0, sizeof(*server));
	server->steps = steps;
	server->step_count = count;
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server->fd, 64), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pipe(server->quit), 0);
	buf_init(&server->last, SERVER_REQUEST_BYTES);
	buf_init(&server->all, SERVER_REQUEST_BYTES);
	for (size_t i = 0; i < SERVER_PEERS + 2; i++) {
		server->polls[i].fd = -1;
		buf_init(&server->peers[i], SERVER_REQUEST_BYTES);
	}
	server->polls[0] = (struct pollfd){ .fd = server->fd, .events = POLLIN };
	server->polls[1] = (struct pollfd){ .fd = server->quit[0], .events = POLLIN };
	assert_int_equal(pthread_create(&server->thread, NULL, server_serve, server), 0);
}

static inline void server_close(struct server *server)
{
	assert_int_equal(write(server->quit[1], "x", 1), 1);
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	for (size_t i = 0; i < SERVER_PEERS + 2; i++) {
		if (i >= 2 && server->polls[i].fd >= 0)
			server_hang_up(server, i);
		buf_release(&server->peers[i]);
	}
	buf_release(&server->last);
	buf_release(&server->all);
	(void)close(server->fd);
	(void)close(server->quit[0]);
	(void)close(server->quit[1]);
}

#endif
