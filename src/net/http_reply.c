/* http_reply.c - answers: built in the connection's buffer, sent in the order of the requests. */
#include "net/http_internal.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"

#include <stdio.h>
#include <time.h>

enum { HEAD_BYTES_MAX = 512 };	/* status line and headers, without content_type and extra */

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 201: return "Created";
	case 202: return "Accepted";
	case 204: return "No Content";
	case 301: return "Moved Permanently";
	case 302: return "Found";
	case 303: return "See Other";
	case 304: return "Not Modified";
	case 307: return "Temporary Redirect";
	case 308: return "Permanent Redirect";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 406: return "Not Acceptable";
	case 408: return "Request Timeout";
	case 409: return "Conflict";
	case 411: return "Length Required";
	case 412: return "Precondition Failed";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 415: return "Unsupported Media Type";
	case 417: return "Expectation Failed";
	case 422: return "Unprocessable Content";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	case 505: return "HTTP Version Not Supported";
	default: return "Unknown";
	}
}

void http_refresh_date(struct http_server *server)
{
	int64_t second = server->now_ms / 1000;
	time_t now = time(NULL);
	char date[32];
	struct tm tm;

	if (server->common_len > 0 && second == server->common_s)
		return;
	if (!gmtime_r(&now, &tm) || strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		return;
	server->common_s = second;
	server->common_len = (size_t)snprintf(server->common, sizeof(server->common),
					      "Server: pinpipe\r\nDate: %s\r\n", date);
}

static void http_reply_put(struct http_buf *to, const char *bytes, size_t len)
{
	memcpy(to->ptr + to->len, bytes, len);
	to->len += len;
}

static void put_str(struct http_buf *to, const char *s) { http_reply_put(to, s, strlen(s)); }

static void put_number(struct http_buf *to, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	http_reply_put(to, digits + at, sizeof(digits) - at);
}

static bool has_body(int status)
{
	return status != 204 && status != 304;
}

static void put_headers(struct http_server *server, const struct http_answer *answer,
			const struct http_reply *reply, struct http_buf *to)
{
	put_str(to, "HTTP/1.1 ");
	put_number(to, (uint64_t)reply->status);
	put_str(to, " ");
	put_str(to, reason(reply->status));
	put_str(to, "\r\n");
	http_reply_put(to, server->common, server->common_len);
	if (reply->content_type) {
		put_str(to, "Content-Type: ");
		put_str(to, reply->content_type);
		put_str(to, "\r\n");
	}
	if (answer->in_pieces && !answer->http_1_0)
		put_str(to, "Transfer-Encoding: chunked\r\n");
	if (has_body(reply->status) && !answer->in_pieces) {
		put_str(to, "Content-Length: ");
		put_number(to, reply->body.len);
		put_str(to, "\r\n");
	}
	if (reply->retry_after_s > 0) {
		put_str(to, "Retry-After: ");
		put_number(to, (uint64_t)reply->retry_after_s);
		put_str(to, "\r\n");
	}
	if (answer->close)
		put_str(to, "Connection: close\r\n");
	else if (answer->http_1_0)
		put_str(to, "Connection: keep-alive\r\n");
	for (size_t i = 0; i < ARRAY_LEN(reply->extra); i++)
		if (reply->extra[i])
			put_str(to, reply->extra[i]);
	put_str(to, "\r\n");
}

/* False: no memory left for it within the bound. */
static bool build(struct http_server *server, struct http_conn *conn,
		  const struct http_answer *answer, const struct http_reply *reply,
		  struct http_buf *to)
{
	bool body = has_body(reply->status) && !answer->head && reply->body.len > 0;
	size_t room = HEAD_BYTES_MAX + (reply->content_type ? strlen(reply->content_type) : 0) +
		      (body ? reply->body.len : 0);

	for (size_t i = 0; i < ARRAY_LEN(reply->extra); i++)
		room += reply->extra[i] ? strlen(reply->extra[i]) : 0;
	if (!http_conn_reserve(server, conn, to, room))
		return false;
	put_headers(server, answer, reply, to);
	if (body)
		http_reply_put(to, reply->body.ptr, reply->body.len);
	return true;
}

static void http_reply_count(int status)
{
	if (status < 300)
		metric_add(METRIC_REQUESTS_2XX, 1);
	else if (status >= 500)
		metric_add(METRIC_REQUESTS_5XX, 1);
	else if (status >= 400)
		metric_add(METRIC_REQUESTS_4XX, 1);
}

void http_answer_release(struct http_server *server, struct http_answer *answer)
{
	http_buf_release(&server->pool, &answer->held);
	if (answer->pieces)
		http_pieces_lose(answer->pieces);
	answer->pieces = NULL;
	if (answer->client)
		http_peers_remove(&server->clients,
				  http_peers_key(&server->clients, answer->client));
	answer->client = 0;
}

/* The oldest request is answered. After an answer that closes, nothing is owed any more. */
static void advance(struct http_server *server, struct http_conn *conn)
{
	bool last = http_answer_of(conn, conn->first)->close;

	http_answer_release(server, http_answer_of(conn, conn->first));
	conn->first++;
	if (!last)
		return;
	for (; conn->first != conn->next; conn->first++)
		http_answer_release(server, http_answer_of(conn, conn->first));
	conn->phase = PHASE_LAST;
}

/* The oldest reply, as far as it is there, and those that waited for it. */
static bool release_held(struct http_server *server, struct http_conn *conn)
{
	while (conn->first != conn->next) {
		struct http_answer *answer = http_answer_of(conn, conn->first);
		struct http_buf *held = &answer->held;

		if (!answer->ready && !answer->in_pieces)
			return true;
		if (!http_conn_reserve(server, conn, &conn->out, http_buf_waiting(held)))
			return false;
		if (held->ptr)
			http_reply_put(&conn->out, held->ptr, held->len);
		http_buf_release(&server->pool, held);
		if (!answer->ready)
			return true;
		advance(server, conn);
	}
	return true;
}

bool http_reply_build(struct http_server *server, struct http_conn *conn, uint32_t request,
		      const struct http_reply *reply)
{
	struct http_answer *answer = http_answer_of(conn, request);

	/* What is in flight behind it when the server stops is answered, too. */
	answer->close |= reply->close || (server->draining && request + 1 == conn->next) ||
			 (conn->ssl && atomic_load(&server->part) && request + 1 == conn->next);
	http_reply_count(reply->status);
	if (server->options.refused && !reply->untold && reply->status >= 400 &&
	    reply->status < 500)
		server->options.refused(server->options.user, conn->peer, reply);
	return build(server, conn, answer, reply,
		     request == conn->first ? &conn->out : &answer->held);
}

void http_reply_done(struct http_server *server, struct http_conn *conn, uint32_t request)
{
	http_answer_of(conn, request)->ready = true;
	/* An answer cannot be left out: the client sees the end instead. */
	if (request == conn->first) {
		conn->dead |= !release_held(server, conn);
		http_reply_continue(server, conn);
	}
	http_server_queue(server, conn);
}

static void reply_to(struct http_server *server, struct http_conn *conn, uint32_t request,
		     const struct http_reply *reply)
{
	conn->dead |= !http_reply_build(server, conn, request, reply);
	http_reply_done(server, conn, request);
}

struct http_conn *http_reply_conn(struct http_server *server, struct http_ticket ticket)
{
	struct http_conn *conn;
	struct http_answer *answer;

	if (ticket.slot >= server->slots)
		return NULL;
	conn = http_server_conn(server, ticket.slot);
	if (conn->phase == PHASE_CLOSED || conn->generation != ticket.generation
	    || ticket.request - conn->first >= http_conn_in_flight(conn)) {
		metric_add(METRIC_UNTOLD, 1);
		return NULL;
	}
	answer = http_answer_of(conn, ticket.request);
	return answer->ready || answer->in_pieces ? NULL : conn;
}

bool http_client_left(const struct http_server *server, struct http_ticket ticket)
{
	const struct http_conn *conn =
		ticket.slot < server->slots ? http_server_conn(server, ticket.slot) : NULL;

	return !conn || conn->phase == PHASE_CLOSED || conn->generation != ticket.generation ||
	       conn->hung_up;
}

void http_reply(struct http_server *server, struct http_ticket ticket,
		const struct http_reply *reply)
{
	struct http_conn *conn = http_reply_conn(server, ticket);

	if (conn)
		reply_to(server, conn, ticket.request, reply);
}

void http_reply_drop(struct http_server *server, struct http_ticket ticket)
{
	struct http_conn *conn = http_reply_conn(server, ticket);

	if (!conn)
		return;
	http_answer_of(conn, ticket.request)->close = true;
	http_reply_done(server, conn, ticket.request);
}

void http_reply_refusal(struct http_server *server, struct http_conn *conn, uint32_t request,
			const struct http_refusal *refusal)
{
	char body[160];
	int len = snprintf(body, sizeof(body), "{\"error_code\":%d,\"message\":\"%s\"}",
			   refusal->status, refusal->message);
	struct http_reply reply = {
		.status = refusal->status,
		.content_type = "application/json",
		.body = slice_of(body, len < (int)sizeof(body) ? (size_t)len : sizeof(body) - 1),
		.retry_after_s = refusal->status == 503 || refusal->status == 429,
		.close = true,
	};

	if (refusal->status == 415 && server->limits.packed_bodies)
		reply.extra[0] = "Accept-Encoding: gzip, zstd\r\n";
	reply_to(server, conn, request, &reply);
}

void http_reply_continue(struct http_server *server, struct http_conn *conn)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!conn->continue_due || conn->phase != PHASE_BODY || http_conn_in_flight(conn) != 1)
		return;
	conn->continue_due = false;
	if (http_conn_reserve(server, conn, &conn->out, sizeof(interim)))
		http_reply_put(&conn->out, interim, sizeof(interim) - 1);
}
