/* http_conn.c - one connection: read, hand requests over, write, time-outs. */
#include "net/http_internal.h"

#include "base/metrics.h"
#include "base/trace.h"
#include "net/http_chars.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TLS_HANDSHAKE = 0x16 };	/* the first byte of what a client of TLS sends */

void http_conn_open(struct http_server *server, int fd, const struct sockaddr_storage *address,
		    struct http_peer_key peer_key, unsigned listener)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	uint32_t slot = server->free_slots[--server->free_count];
	struct http_conn *conn = http_server_conn(server, slot);
	const void *ip = address->ss_family == AF_INET
			 ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
			 : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;

	*conn = (struct http_conn){ .fd = fd,
				    .slot = slot,
				    .generation = conn->generation,
				    .phase = PHASE_HEAD,
				    .peer_key = peer_key,
				    .listener = listener };
	http_timer_init(&conn->timer);
	(void)inet_ntop(address->ss_family, ip, conn->peer, sizeof(conn->peer));
	server->open++;
	metric_add(METRIC_CONNECTIONS, 1);
	event.data.u64 = (uint64_t)conn->generation << 32 | slot;
	conn->dead = epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0;
	if (server->tls) {
		conn->phase = PHASE_HANDSHAKE;
		server->handshakes++;
		conn->ssl = http_tls_accept(server->tls, fd);
		conn->dead |= !conn->ssl;
	}
	http_server_queue(server, conn);
}

static void release_buffers(struct http_server *server, struct http_conn *conn)
{
	http_buf_release(&server->pool, &conn->in);
	http_buf_release(&server->pool, &conn->out);
	for (; conn->first != conn->next; conn->first++)
		http_answer_release(server, http_answer_of(conn, conn->first));
}

static void end_handshake(struct http_server *server, struct http_conn *conn)
{
	server->handshakes -= conn->phase == PHASE_HANDSHAKE;
}

void http_conn_close(struct http_server *server, struct http_conn *conn)
{
	if (http_buf_waiting(&conn->out) > 0)
		metric_add(METRIC_UNTOLD, 1);
	release_buffers(server, conn);
	end_handshake(server, conn);
	http_timer_clear(&conn->timer);
	http_tls_free(conn->ssl);
	(void)close(conn->fd);		/* which takes it out of epoll */
	http_peers_remove(&server->peers, conn->peer_key);
	conn->ssl = NULL;
	conn->phase = PHASE_CLOSED;
	conn->generation++;
	metric_add(METRIC_CONNECTIONS, -1);
	server->open--;
	if (!conn->queued)		/* else when its turn comes: the queue still holds it */
		server->free_slots[server->free_count++] = conn->slot;
}

bool http_conn_close_first(struct http_server *server, enum http_wait wait,
			   struct http_conn *spared)
{
	struct http_timer *timer = http_timers_first(&server->timers, wait,
						     spared ? &spared->timer : NULL);

	if (timer)
		http_conn_close(server, http_conn_of_timer(timer));
	return timer != NULL;
}

bool http_conn_reserve(struct http_server *server, struct http_conn *conn, struct http_buf *buf,
		       size_t room)
{
	while (!http_buf_reserve(&server->pool, buf, room))
		if (!http_conn_close_first(server, WAIT_WRITE, conn) &&
		    !http_conn_close_first(server, WAIT_HEAD, conn) &&
		    !http_conn_close_first(server, WAIT_BODY_RATE, conn))
			return false;
	return true;
}

static ssize_t http_conn_receive(struct http_conn *conn, char *to, size_t len)
{
	ssize_t n;

	if (conn->ssl)
		return http_tls_read(conn->ssl, to, len);
	do
		n = recv(conn->fd, to, len, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? HTTP_IO_AGAIN : HTTP_IO_FAILED;
}

static ssize_t transmit(struct http_conn *conn, const char *from, size_t len)
{
	ssize_t n;

	if (conn->ssl)
		return http_tls_write(conn->ssl, from, len);
	do
		n = send(conn->fd, from, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? HTTP_IO_AGAIN : HTTP_IO_FAILED;
}

static bool http_conn_slot_free(const struct http_server *server, const struct http_conn *conn)
{
	return http_conn_in_flight(conn) < server->limits.pipeline_max;
}

/* Whether a request's bytes are of use now; if not, they stay in the kernel and slow the client. */
static bool takes_input(const struct http_server *server, const struct http_conn *conn)
{
	return http_conn_out_low(conn) &&
	       (conn->phase == PHASE_BODY ||
		(conn->phase == PHASE_HEAD && http_conn_slot_free(server, conn) &&
		 (!server->draining || http_conn_in_flight(conn) == 0) &&
		 (!server->leaving || http_buf_waiting(&conn->in) > 0 ||
		  http_conn_is_fresh(conn))));
}

/* A refusal for the request that is being read; it is the last one. */
static void http_conn_refuse(struct http_server *server, struct http_conn *conn,
			     const struct http_refusal *refusal)
{
	if (conn->phase == PHASE_HEAD)
		*http_answer_of(conn, conn->next++) = (struct http_answer){ 0 };
	assert(http_conn_in_flight(conn) > 0);
	conn->phase = PHASE_LAST;
	http_reply_refusal(server, conn, conn->next - 1, refusal);
}

/* For the next read: grows with what came, so that a length merely announced costs nothing. */
static size_t room_wanted(const struct http_conn *conn)
{
	size_t waiting = http_buf_waiting(&conn->in);
	size_t room = conn->in.cap - waiting;

	if (conn->in.cap == 0)
		return READ_BYTES;
	if (conn->phase == PHASE_BODY && !conn->chunked && conn->request_len - waiting <= room)
		return (size_t)(conn->request_len - waiting);
	return room >= conn->in.cap / 4 ? room : conn->in.cap;
}

static void http_conn_fill(struct http_server *server, struct http_conn *conn)
{
	static const struct http_refusal full = { 503, "too many requests are being read" };
	struct http_buf *in = &conn->in;
	ssize_t n;

	if (!conn->readable || conn->eof || !takes_input(server, conn))
		return;
	/* What is here comes first: a pipeline may be sent faster than it is handled. */
	if (!conn->starved && http_buf_waiting(in) > 0)
		return;
	if (!http_conn_reserve(server, conn, in, room_wanted(conn))) {
		http_conn_refuse(server, conn, &full);
		return;
	}
	n = http_conn_receive(conn, in->ptr + in->len, in->cap - in->len);
	if (n > 0) {
		/* A read that is not full has emptied the socket; TLS says so itself. */
		if (!conn->ssl && !conn->hung_up && (size_t)n < in->cap - in->len)
			conn->readable = false;
		in->len += (size_t)n;
		conn->starved = false;
		conn->body_wire_bytes += (uint64_t)n;
		return;
	}
	conn->readable = false;
	conn->eof = n == 0;
	conn->dead |= n == HTTP_IO_FAILED;
}

static struct http_request *parse_head(struct http_server *server, struct http_conn *conn,
				       size_t len, struct http_refusal *ret_refusal)
{
	struct http_request *request = &server->head.request;

	if (!http_parse_head(&server->head, slice_of(conn->in.ptr + conn->in.at, len),
			     server->path_room, ret_refusal))
		return NULL;
	request->ticket = (struct http_ticket){ conn->slot, conn->generation, conn->next };
	request->peer = conn->peer;
	request->listener = conn->listener;
	return request;
}

static void start_body(struct http_server *server, struct http_conn *conn, size_t head_len)
{
	const struct http_head *head = &server->head;
	size_t here = http_buf_waiting(&conn->in) - head_len;

	conn->phase = PHASE_BODY;
	conn->scan = (struct http_scan){ 0 };
	conn->head_len = head_len;
	conn->chunked = head->chunked;
	conn->chunks = (struct http_chunks){ .start = head_len, .body = head_len, .at = head_len };
	conn->request_len = head->chunked ? 0 : head_len + (uint64_t)head->request.content_length;
	conn->continue_due = false;
	conn->body_start_ms = server->now_ms;
	conn->body_wire_bytes = here;
	conn->wait_anew = true;
	conn->next++;
}

static bool body_is_here(const struct http_conn *conn)
{
	return !conn->chunked && http_buf_waiting(&conn->in) >= conn->request_len;
}

/* Forgets a request's bytes; behind the client's last one nothing is read (RFC 9112 9.6). */
static void http_conn_finish(struct http_conn *conn, size_t len, bool last)
{
	conn->in.at += len;
	conn->amid = false;
	conn->scan = (struct http_scan){ 0 };
	if (conn->phase == PHASE_BODY)
		conn->phase = last ? PHASE_LAST : PHASE_HEAD;
}

/* True: read the body and hand over. Whose body is here is handed over without being asked for. */
static bool http_conn_admit(struct http_server *server, struct http_conn *conn,
			    struct http_request *request)
{
	struct http_answer *answer = http_answer_of(conn, request->ticket.request);

	if (!server->options.admit || body_is_here(conn))
		return true;
	answer->close = true;		/* if it is refused, its body is not read */
	if (server->options.admit(server->options.user, server, request)) {
		answer->close = !server->head.keep_alive;
		return true;
	}
	if (conn->phase == PHASE_BODY)
		conn->phase = PHASE_LAST;
	return false;
}

/* The request is one more in flight of its client; false: it has too many. */
static bool count_client(struct http_server *server, const struct http_request *request,
			 struct http_peer_key peer, struct http_answer *answer)
{
	uint32_t max = server->limits.connections_per_ip_max;
	struct slice client;

	if (!server->options.client_header)
		return true;
	client = http_client(request, server->options.client_header);
	answer->client = http_peers_add(&server->clients,
					client.ptr ? http_peer_key_of_text(client) : peer,
					max ? max : HTTP_PER_IP_MAX);
	return answer->client != 0;
}

static void tell_tls(struct http_server *server, const struct http_conn *conn)
{
	if (!server->told_tls)
		trace_warn("a client speaks TLS to port %u, which takes plain HTTP: it should use"
			   " http://, or this port needs a certificate",
			   http_server_port_of(server, conn->listener));
	server->told_tls = true;
}

/* From HEAD to BODY; false: not enough bytes, or refused. */
static bool http_conn_begin(struct http_server *server, struct http_conn *conn)
{
	struct slice bytes = slice_of(conn->in.ptr + conn->in.at, http_buf_waiting(&conn->in));
	static const struct http_refusal greedy = { 429, "this client has too many requests in flight" };
	struct http_refusal refusal;
	struct http_request *request;
	enum http_step step = http_scan_head(&conn->scan, bytes, &server->limits, &refusal);

	conn->starved = step == HTTP_MORE;
	if (step == HTTP_MORE)
		return false;
	request = step == HTTP_DONE ? parse_head(server, conn, conn->scan.line, &refusal) : NULL;
	if (!request) {
		if (bytes.ptr[0] == TLS_HANDSHAKE)
			tell_tls(server, conn);
		http_conn_refuse(server, conn, &refusal);
		return false;
	}
	*http_answer_of(conn, conn->next) = (struct http_answer){
		.head = request->method == HTTP_METHOD_HEAD,
		.http_1_0 = server->head.http_1_0,
		.close = !server->head.keep_alive,
	};
	start_body(server, conn, conn->scan.line);
	if (!http_check_body(&server->head, &server->limits, &refusal)) {
		http_conn_refuse(server, conn, &refusal);
		return false;
	}
	if (!count_client(server, request, conn->peer_key,
			  http_answer_of(conn, request->ticket.request))) {
		http_conn_refuse(server, conn, &greedy);
		return false;
	}
	return http_conn_admit(server, conn, request);
}

/* HTTP_DONE: the body is [*ret_body], the request ends after *ret_len bytes. */
static enum http_step read_body(struct http_server *server, struct http_conn *conn,
				struct slice *ret_body, size_t *ret_len)
{
	struct http_buf *in = &conn->in;
	struct http_chunks *chunks = &conn->chunks;
	struct http_refusal refusal;
	enum http_step step;

	if (!conn->chunked) {
		*ret_len = (size_t)conn->request_len;
		*ret_body = slice_of(in->ptr + in->at + conn->head_len, *ret_len - conn->head_len);
		return body_is_here(conn) ? HTTP_DONE : HTTP_MORE;
	}
	step = http_decode_chunks(chunks, in->ptr + in->at, http_buf_waiting(in), &server->limits,
				  &refusal);
	if (step == HTTP_REFUSED)
		http_conn_refuse(server, conn, &refusal);
	if (step == HTTP_MORE && chunks->at > chunks->body) {
		/* What was decoded has left a gap before what was not. */
		size_t rest = http_buf_waiting(in) - chunks->at;

		memmove(in->ptr + in->at + chunks->body, in->ptr + in->at + chunks->at, rest);
		chunks->at = chunks->body;
		in->len = in->at + chunks->body + rest;
	}
	*ret_body = slice_of(in->ptr + in->at + conn->head_len, chunks->body - conn->head_len);
	*ret_len = chunks->at;
	return step;
}

/* One step further with the bytes that are here; true: there may be another. */
static bool step(struct http_server *server, struct http_conn *conn)
{
	struct http_refusal refusal;
	struct http_request *request = &server->head.request;
	struct slice body;
	size_t len;
	bool fresh = conn->phase == PHASE_HEAD;

	if (fresh && !http_conn_begin(server, conn))
		return conn->phase == PHASE_HEAD && !conn->starved;
	switch (read_body(server, conn, &body, &len)) {
	case HTTP_MORE:
		conn->starved = true;
		conn->continue_due |= fresh && server->head.expects_continue
				      && http_buf_waiting(&conn->in) == conn->head_len;
		http_reply_continue(server, conn);
		return false;
	case HTTP_REFUSED:
		return false;
	case HTTP_DONE:
		break;
	}
	if (!fresh) {
		/* The head's bytes are as they were, so this cannot fail. */
		request = parse_head(server, conn, conn->head_len, &refusal);
		request->ticket.request = conn->next - 1;
	}
	request->body = body;
	server->options.handle(server->options.user, server, request);
	http_conn_finish(conn, len, !server->head.keep_alive);
	return conn->phase == PHASE_HEAD;
}

/* As many requests as a turn may have. */
static void take_requests(struct http_server *server, struct http_conn *conn)
{
	for (uint32_t n = 0; n < server->limits.pipeline_max; n++) {
		if (conn->starved || !takes_input(server, conn))
			return;
		if (http_buf_waiting(&conn->in) == 0 && conn->phase == PHASE_HEAD) {
			conn->starved = true;
			return;
		}
		if (!step(server, conn))
			return;
	}
}

/* Bytes a second, over all the time. */
static bool too_slow(const struct http_server *server, uint64_t bytes, int64_t since_ms)
{
	uint64_t ms = (uint64_t)(server->now_ms - since_ms);

	return bytes * 1000 < ms * server->limits.body_bytes_per_s_min;
}

/* A reader that takes a byte now and then makes progress too; the rate ends it. */
static void note_progress(struct http_server *server, struct http_conn *conn, size_t bytes)
{
	conn->write_bytes += bytes;
	if (conn->timer.wait != WAIT_WRITE)
		return;
	conn->wait_anew = true;
	if (server->now_ms - conn->write_start_ms > server->limits.write_ms
	    && too_slow(server, conn->write_bytes, conn->write_start_ms))
		conn->dead = true;
}

static void http_conn_flush(struct http_server *server, struct http_conn *conn)
{
	struct http_buf *out = &conn->out;

	while (out->at < out->len && !conn->blocked && !conn->dead) {
		ssize_t n = transmit(conn, out->ptr + out->at, out->len - out->at);

		if (n > 0) {
			out->at += (size_t)n;
			note_progress(server, conn, (size_t)n);
		}
		conn->blocked = n == HTTP_IO_AGAIN;
		conn->dead |= n == HTTP_IO_FAILED;
	}
	if (out->at == out->len)
		http_buf_release(&server->pool, out);
}

/* Everything is answered and written: end our side and wait for the client's. */
static void linger(struct http_server *server, struct http_conn *conn)
{
	if (conn->ssl)
		http_tls_shutdown(conn->ssl);
	if (conn->eof || shutdown(conn->fd, SHUT_WR) < 0)
		conn->dead = true;
	http_buf_release(&server->pool, &conn->in);
	conn->phase = PHASE_LINGER;
	conn->readable = true;
}

/* Drops what the client still sends. */
static void drop_input(struct http_conn *conn)
{
	char scrap[16 * 1024];
	ssize_t n = recv(conn->fd, scrap, sizeof(scrap), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn->dead = true;
	if (n < 0)
		conn->readable = false;
}

/* The client has ended its side: what is in flight is answered, what is incomplete forgotten. */
static void end_of_input(struct http_server *server, struct http_conn *conn)
{
	if (!conn->eof || !conn->starved)
		return;
	if (conn->phase != PHASE_HEAD && conn->phase != PHASE_BODY)
		return;
	if (conn->phase == PHASE_BODY)
		http_answer_release(server, http_answer_of(conn, --conn->next));
	conn->phase = PHASE_LAST;
}

static void http_conn_serve(struct http_server *server, struct http_conn *conn)
{
	http_conn_fill(server, conn);
	take_requests(server, conn);
	end_of_input(server, conn);
	if (server->draining && conn->phase == PHASE_HEAD && http_conn_in_flight(conn) == 0)
		conn->phase = PHASE_LAST;
	http_conn_flush(server, conn);
	http_pieces_look(server, conn);
	if (server->leaving)
		http_conn_leave(conn);
	if (conn->phase == PHASE_LAST && http_conn_in_flight(conn) == 0
	    && http_buf_waiting(&conn->out) == 0)
		linger(server, conn);
}

static void shake_hands(struct http_server *server, struct http_conn *conn)
{
	static const struct http_refusal plain = { 400, "this port speaks TLS: use https://" };
	int rc;

	if (http_tls_is_plain(conn->fd)) {
		http_tls_free(conn->ssl);
		conn->ssl = NULL;
		end_handshake(server, conn);
		conn->phase = PHASE_HEAD;
		http_conn_refuse(server, conn, &plain);
		return;
	}
	server->handshake_steps++;
	rc = http_tls_handshake(conn->ssl);
	if (rc == 1) {
		end_handshake(server, conn);
		conn->phase = PHASE_HEAD;
		conn->readable = true;	/* the first request may have come with the handshake */
	} else if (rc == HTTP_IO_FAILED) {
		conn->dead = true;
	}
}

/*
 * A client waits for nothing of its own while we owe it an answer: only what
 * is its turn to do is timed.
 */
static enum http_wait wait_of(const struct http_server *server, const struct http_conn *conn)
{
	switch (conn->phase) {
	case PHASE_HANDSHAKE:
		return WAIT_HANDSHAKE;
	case PHASE_LINGER:
		return WAIT_LINGER;
	case PHASE_PARKED:
		return WAIT_NOTHING;
	default:
		break;
	}
	if (conn->blocked)
		return WAIT_WRITE;
	if (conn->phase == PHASE_BODY)
		return conn->timer.wait == WAIT_BODY_RATE ? WAIT_BODY_RATE : WAIT_BODY;
	if (conn->phase == PHASE_HEAD && conn->starved && http_buf_waiting(&conn->in) > 0)
		return WAIT_HEAD;
	if (http_conn_in_flight(conn) > 0 || !takes_input(server, conn))
		return WAIT_NOTHING;
	return WAIT_IDLE;
}

static void set_wait(struct http_server *server, struct http_conn *conn)
{
	enum http_wait wait = wait_of(server, conn);

	if (wait == WAIT_WRITE && conn->timer.wait != WAIT_WRITE) {
		conn->write_start_ms = server->now_ms;
		conn->write_bytes = 0;
	}
	if (wait == WAIT_BODY_RATE && conn->wait_anew)
		wait = WAIT_BODY;
	if (wait != conn->timer.wait || conn->wait_anew)
		http_timer_set(&server->timers, &conn->timer, wait, server->now_ms);
	conn->wait_anew = false;
}

/* Whether a turn more would get somewhere without any event. */
static bool goes_on(const struct http_server *server, const struct http_conn *conn)
{
	if (conn->phase == PHASE_LINGER)
		return conn->readable;
	if (!takes_input(server, conn))
		return false;
	return !conn->starved || (conn->readable && !conn->eof);
}

void http_conn_turn(struct http_server *server, struct http_conn *conn)
{
	if (conn->phase == PHASE_HANDSHAKE && server->handshake_steps == HANDSHAKE_STEPS_MAX) {
		/* Others are served first: a flood of handshakes is theirs who make it. */
		set_wait(server, conn);
		http_server_queue(server, conn);
		return;
	}
	conn->turning = true;
	if (conn->phase == PHASE_HANDSHAKE && !conn->dead)
		shake_hands(server, conn);
	if (conn->phase == PHASE_LINGER)
		drop_input(conn);
	else if (conn->phase != PHASE_HANDSHAKE && conn->phase != PHASE_PARKED && !conn->dead)
		http_conn_serve(server, conn);
	conn->turning = false;
	if (conn->dead) {
		http_conn_close(server, conn);
		return;
	}
	http_buf_shrink(&server->pool, &conn->in);
	set_wait(server, conn);
	if (goes_on(server, conn))
		http_server_queue(server, conn);
}

static void expire_body(struct http_server *server, struct http_conn *conn)
{
	static const struct http_refusal late = { 408, "the body did not come in time" };

	if (server->now_ms - conn->body_start_ms < server->limits.body_ms
	    && !too_slow(server, conn->body_wire_bytes, conn->body_start_ms)) {
		http_timer_set(&server->timers, &conn->timer, WAIT_BODY_RATE, server->now_ms);
		return;
	}
	http_conn_refuse(server, conn, &late);
}

void http_conn_expire(struct http_server *server, struct http_conn *conn)
{
	static const struct http_refusal late = { 408, "the headers did not come in time" };

	switch (conn->timer.wait) {
	case WAIT_HEAD:
		http_conn_refuse(server, conn, &late);
		break;
	case WAIT_BODY: case WAIT_BODY_RATE:
		expire_body(server, conn);
		break;
	default:
		conn->dead = true;
		break;
	}
	if (conn->phase == PHASE_LAST || conn->dead) {
		http_timer_clear(&conn->timer);
		conn->timer.wait = WAIT_NOTHING;
		http_server_queue(server, conn);
	}
}
