/* http_handover.c - sockets that go to another process, or come from one. */
#include "net/http_internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FRESH_MS = 1000 };

bool http_listener_take(struct http_server *server, const char *listen,
			struct http_listener *listener)
{
	for (unsigned i = 0; i < server->options.taken_count; i++) {
		int *fd = &server->options.taken[i];

		if (*fd < 0 || !http_listen_fits(listen, *fd, &listener->port))
			continue;
		listener->fd = *fd;
		listener->taken = i + 1;
		*fd = -1;
		return true;
	}
	return false;
}

static void http_handover_queue_all(struct http_server *server)
{
	for (uint32_t slot = 0; slot < server->slots; slot++)
		if (http_server_conn(server, slot)->phase != PHASE_CLOSED)
			http_server_queue(server, http_server_conn(server, slot));
}

static bool handover_is_amid(const struct http_conn *conn)
{
	return conn->phase == PHASE_BODY ||
	       (conn->phase == PHASE_HEAD && conn->starved && http_buf_waiting(&conn->in) > 0);
}

bool http_handover_is_due(struct http_server *server, int64_t patience_ms)
{
	bool asked = server->leave_asked_ms == 0;
	bool due = true;

	if (asked)
		server->leave_asked_ms = server->now_ms;
	for (uint32_t slot = 0; slot < server->slots; slot++) {
		struct http_conn *conn = http_server_conn(server, slot);

		conn->amid = handover_is_amid(conn) && (asked || conn->amid);
		due = due && !conn->amid;
	}
	return due || server->now_ms - server->leave_asked_ms >= patience_ms;
}

void http_handover_begin(struct http_server *server)
{
	server->leaving = true;
	server->leave_asked_ms = 0;
	server->leaving_ms = server->now_ms;
	server->accept_after_ms = INT64_MAX;
	http_handover_queue_all(server);
}

/* Nobody waits for an answer there. */
static bool handover_is_done(const struct http_server *server, const struct http_conn *conn)
{
	switch (conn->phase) {
	case PHASE_CLOSED:
	case PHASE_PARKED:
	case PHASE_LINGER:
		return true;
	case PHASE_HANDSHAKE:
	case PHASE_HEAD:
		return http_conn_is_fresh(conn) && server->now_ms - server->leaving_ms > FRESH_MS;
	default:
		return false;
	}
}

bool http_handover_ready(const struct http_server *server)
{
	for (uint32_t slot = 0; slot < server->slots; slot++)
		if (!handover_is_done(server, http_server_conn(server, slot)))
			return false;
	return true;
}

unsigned http_server_unanswered(const struct http_server *server)
{
	unsigned count = 0;

	for (uint32_t slot = 0; slot < server->slots; slot++)
		count += !handover_is_done(server, http_server_conn(server, slot));
	return count;
}

void http_conn_leave(struct http_conn *conn)
{
	if (http_conn_is_fresh(conn) || conn->phase != PHASE_HEAD || conn->eof ||
	    http_conn_in_flight(conn) > 0 || http_buf_waiting(&conn->in) > 0 ||
	    http_buf_waiting(&conn->out) > 0)
		return;
	conn->phase = conn->ssl ? PHASE_LAST : PHASE_PARKED;
}

bool http_server_has_left(const struct http_server *server) { return server->leaving; }

void http_server_return(struct http_server *server)
{
	server->leaving = false;
	server->accept_after_ms = 0;
	atomic_store(&server->part, false);
	atomic_store(&server->leave, false);
	for (uint32_t slot = 0; slot < server->slots; slot++) {
		struct http_conn *conn = http_server_conn(server, slot);

		if (conn->phase != PHASE_PARKED)
			continue;
		conn->phase = PHASE_HEAD;
		conn->readable = true;
	}
	http_handover_queue_all(server);
}

/* With the lock. */
static enum err_code handover_copy_all(const struct http_server *server, int *fds,
				       unsigned *ret_count, struct err *err)
{
	for (unsigned i = 0; i < server->listener_count; i++) {
		if (server->listeners[i].fd < 0)
			return err_set(err, ERR_STOPPED, "it has been asked to end");
		fds[i] = fcntl(server->listeners[i].fd, F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return err_errno(err, "could not copy a listening socket");
		*ret_count = i + 1;
	}
	return ERR_OK;
}

enum err_code http_server_copy_sockets(struct http_server *server, int ret_fds[HTTP_LISTENERS_MAX],
				       unsigned *ret_count, struct err *err)
{
	int fds[HTTP_LISTENERS_MAX];
	unsigned count = 0;
	enum err_code code;

	(void)pthread_mutex_lock(&server->listeners_lock);
	code = handover_copy_all(server, fds, &count, err);
	(void)pthread_mutex_unlock(&server->listeners_lock);
	if (code == ERR_OK) {
		memcpy(ret_fds, fds, count * sizeof(fds[0]));
		*ret_count = count;
		return ERR_OK;
	}
	while (count > 0)
		(void)close(fds[--count]);
	return code;
}

int http_server_parked(const struct http_server *server, uint32_t *at, unsigned *ret_listener)
{
	while (*at < server->slots) {
		const struct http_conn *conn = http_server_conn(server, (*at)++);

		if (conn->phase != PHASE_PARKED)
			continue;
		*ret_listener = conn->listener;
		return conn->fd;
	}
	return -1;
}
