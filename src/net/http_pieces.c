/* http_pieces.c - answers that come in pieces: chunks, when to pause, who has left. */
#include "net/http_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>

enum { CHUNK_FRAME_MAX = 24 }; /* its size in hex, and two line ends */

static const char last_chunk[] = "0\r\n\r\n";

/* Tells at the end of the turn, so that no maker is called from within its own call. */
static void pieces_set_due(struct http_pieces *pieces)
{
	if (pieces->due)
		return;
	pieces->due = true;
	pieces->due_next = pieces->server->pieces_due;
	pieces->server->pieces_due = pieces;
}

static void pieces_free(struct http_pieces *pieces)
{
	struct http_pieces **at = &pieces->server->pieces_due;

	while (pieces->due && *at != pieces)
		at = &(*at)->due_next;
	if (pieces->due)
		*at = pieces->due_next;
	free(pieces);
}

void http_pieces_lose(struct http_pieces *pieces)
{
	pieces->gone = true;
	pieces_set_due(pieces);
}

void http_pieces_tell(struct http_server *server)
{
	while (server->pieces_due) {
		struct http_pieces *pieces = server->pieces_due;
		struct http_pieces_maker maker = pieces->maker;

		server->pieces_due = pieces->due_next;
		pieces->due = false;
		pieces->paused = false;
		if (pieces->gone)
			maker.gone(maker.user);
		else
			maker.go_on(maker.user);
	}
}

static struct http_conn *pieces_conn(const struct http_pieces *pieces)
{
	return pieces->gone ? NULL : http_server_conn(pieces->server, pieces->ticket.slot);
}

static struct http_buf *pieces_buf(struct http_conn *conn, uint32_t request)
{
	return request == conn->first ? &conn->out : &http_answer_of(conn, request)->held;
}

static bool pieces_put(struct http_server *server, struct http_conn *conn, uint32_t request,
		       struct slice bytes)
{
	struct http_buf *to = pieces_buf(conn, request);

	if (!http_conn_reserve(server, conn, to, bytes.len))
		return false;
	memcpy(to->ptr + to->len, bytes.ptr, bytes.len);
	to->len += bytes.len;
	return true;
}

struct http_pieces *http_pieces_begin(struct http_server *server, struct http_ticket ticket,
				      const struct http_reply *head,
				      const struct http_pieces_maker *maker)
{
	struct http_conn *conn = http_reply_conn(server, ticket);
	struct http_answer *answer;
	struct http_pieces *pieces;

	assert(head->body.len == 0);
	if (!conn)
		return NULL;
	answer = http_answer_of(conn, ticket.request);
	answer->in_pieces = true;
	answer->close |= answer->http_1_0; /* which knows no other end of it */
	conn->dead |= !http_reply_build(server, conn, ticket.request, head);
	if (answer->head || conn->dead) {
		http_reply_done(server, conn, ticket.request);
		return NULL;
	}
	pieces = xcalloc(1, sizeof(*pieces));
	*pieces = (struct http_pieces){ .server = server, .ticket = ticket, .maker = *maker };
	answer->pieces = pieces;
	http_server_queue(server, conn);
	return pieces;
}

bool http_pieces_add(struct http_pieces *pieces, struct slice piece)
{
	struct http_conn *conn = pieces_conn(pieces);
	uint32_t request = pieces->ticket.request;
	char frame[CHUNK_FRAME_MAX];
	int len = snprintf(frame, sizeof(frame), "%zx\r\n", piece.len);
	bool chunked, kept;

	if (!conn || piece.len == 0) /* an empty chunk would be the last */
		return !pieces->paused;
	chunked = !http_answer_of(conn, request)->http_1_0;
	kept = http_conn_reserve(pieces->server, conn, pieces_buf(conn, request),
				 piece.len + sizeof(frame)) &&
	       (!chunked ||
		pieces_put(pieces->server, conn, request, slice_of(frame, (size_t)len))) &&
	       pieces_put(pieces->server, conn, request, piece) &&
	       (!chunked || pieces_put(pieces->server, conn, request, slice_str("\r\n")));
	conn->dead |= !kept;
	pieces->paused = http_buf_waiting(pieces_buf(conn, request)) >= HTTP_PIECES_BYTES;
	http_server_queue(pieces->server, conn);
	return !pieces->paused;
}

/* Whole: as its maker meant it; else the client is to see that it is not. */
static void pieces_close(struct http_pieces *pieces, bool whole)
{
	const struct linger reset = { .l_onoff = 1 };
	struct http_conn *conn = pieces_conn(pieces);
	uint32_t request = pieces->ticket.request;
	struct http_answer *answer;

	if (!conn)
		return;
	answer = http_answer_of(conn, request);
	answer->pieces = NULL;
	pieces->gone = true;
	answer->close |= !whole;
	if (whole && !answer->http_1_0)
		conn->dead |= !pieces_put(pieces->server, conn, request, slice_str(last_chunk));
	if (!whole && answer->http_1_0) {
		(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		conn->dead = true;
	}
	http_reply_done(pieces->server, conn, request);
}

void http_pieces_end(struct http_pieces *pieces)
{
	pieces_close(pieces, true);
	pieces_free(pieces);
}

void http_pieces_abort(struct http_pieces *pieces)
{
	pieces_close(pieces, false);
	pieces_free(pieces);
}

void http_pieces_look(struct http_server *server, struct http_conn *conn)
{
	struct http_pieces *pieces;

	(void)server;
	if (http_conn_in_flight(conn) == 0)
		return;
	pieces = http_answer_of(conn, conn->first)->pieces;
	if (!pieces)
		return;
	conn->dead |= pieces->maker.endless && conn->hung_up;
	if (pieces->paused && http_conn_out_low(conn))
		pieces_set_due(pieces);
}

void http_pieces_drain(struct http_server *server, struct http_conn *conn)
{
	(void)server;
	for (uint32_t request = conn->first; request != conn->next; request++) {
		struct http_pieces *pieces = http_answer_of(conn, request)->pieces;

		if (!pieces)
			continue;
		if (request + 1 == conn->next)
			http_answer_of(conn, request)->close = true;
		pieces_close(pieces, pieces->maker.endless);
		pieces_set_due(pieces);
	}
}
