/*
 * http_client_wire.c - HTTP/1.1 over plain TCP to one server, parsed by llhttp.
 *
 * Made for one purpose: many small requests at little cost. An exchange is one
 * sendmsg() of head and body, one epoll_wait() shared with others, and one
 * recv(); nothing is allocated once the connections are warm.
 *
 *	          start()          connected           all sent
 *	CLOSED ────────► CONNECTING ────────► SENDING ────────► RECEIVING
 *	   ▲                 │ refused: the next address           │ whole answer
 *	   └─────────────────┴──────────── broken, late ◄──────────┤
 *	   IDLE ◄──────────────────────────────────────────────────┘ kept alive
 *
 * The host's name is looked up when the client is made (blocking), and again
 * once none of its addresses answers.
 */
#include "net/http_client.h"

#include "base/mem.h"
#include "base/time.h"

#include <assert.h>
#include <errno.h>
#include <llhttp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 4096,
	HEAD_BYTES_MAX = 64 << 10,
	RECEIVE_BYTES = 64 << 10,
	HOST_BYTES_MAX = 256,
	FIELD_BYTES_MAX = 16,
	EVENTS = 64,
	SWEEP_MS = 50,			/* how often deadlines are looked at */
	IDLE_MS = 60000,
	RETRY_AFTER_MAX_S = 86400,
};

enum state { CLOSED, IDLE, CONNECTING, SENDING, RECEIVING };

struct connection {
	struct http_client_wire *client;
	enum state state;
	int fd;
	struct http_exchange *exchange;	/* from CONNECTING to RECEIVING */
	const struct addrinfo *address;	/* tried now */
	struct buf head;
	size_t sent;			/* of head and body */
	int64_t deadline_ms;
	bool writable;			/* epoll tells when it is */
	struct connection *next_free;	/* while CLOSED or IDLE */

	llhttp_t parser;
	/* Name and value of the header under way, as far as they fit. */
	char field[FIELD_BYTES_MAX];
	size_t field_len;
	char value[FIELD_BYTES_MAX];
	size_t value_len;
	bool complete;
	bool keep;
};

struct http_client_wire {
	struct http_client base;
	const struct http_client_options *options;
	char *origin;			/* "http://host:port", as the URLs begin */
	size_t origin_len;
	char host[HOST_BYTES_MAX];	/* without brackets */
	char port[8];
	struct addrinfo *addresses;
	bool stale;			/* no address answered: look the name up again */
	int epoll_fd;
	llhttp_settings_t settings;
	struct connection *connections;	/* connections_max */
	struct connection *free;	/* those without an exchange, the last used first */
	struct http_exchange *waiting;	/* in order */
	struct http_exchange **waiting_end;
	int64_t swept_ms;
	char *received;			/* RECEIVE_BYTES */
};
static_assert(offsetof(struct http_client_wire, base) == 0, "base must be first");

static void disconnect(struct connection *connection)
{
	if (connection->fd >= 0)
		(void)close(connection->fd);	/* epoll forgets it */
	connection->fd = -1;
	connection->state = CLOSED;
}

static void http_wire_release(struct connection *connection)
{
	connection->exchange = NULL;
	connection->next_free = connection->client->free;
	connection->client->free = connection;
}

/* The exchange ended without an answer. */
PRINTF(2, 3) static void fail(struct connection *connection, const char *fmt, ...)
{
	struct http_exchange *exchange = connection->exchange;
	bool sent = connection->state == RECEIVING;
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	exchange->code = !sent ? ERR_BUSY : http_exchange_full(exchange) ?
			 http_exchange_too_long(exchange) : ERR_UNKNOWN;
	(void)err_set(&exchange->err, exchange->code, "%s: %s", connection->client->origin, why);
	disconnect(connection);
	http_wire_release(connection);
	exchange->done(exchange);
}

static void succeed(struct connection *connection)
{
	struct http_exchange *exchange = connection->exchange;

	exchange->code = ERR_OK;
	if (connection->keep)
		connection->state = IDLE;
	else
		disconnect(connection);
	http_wire_release(connection);
	exchange->done(exchange);
}

static void want_writable(struct connection *connection, bool writable)
{
	struct epoll_event event = {
		.events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0), .data.ptr = connection,
	};

	if (connection->writable == writable)
		return;
	connection->writable = writable;
	/* Cannot fail: the descriptor is in the set. */
	(void)epoll_ctl(connection->client->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void http_wire_receive(struct connection *connection);

static struct iovec http_wire_part_of(struct slice bytes, size_t from)
{
	/* sendmsg() only reads, but its struct is not const. */
	return (struct iovec){
		.iov_base = (void *)((uintptr_t)bytes.ptr + from), .iov_len = bytes.len - from,
	};
}

static void send_more(struct connection *connection)
{
	struct slice head = buf_slice(&connection->head);
	struct slice body = connection->exchange->body;

	while (connection->sent < head.len + body.len) {
		size_t head_sent = connection->sent < head.len ? connection->sent : head.len;
		size_t body_sent = connection->sent - head_sent;
		struct iovec parts[2];
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = body.len ? 2 : 1 };
		ssize_t n;

		parts[0] = http_wire_part_of(head, head_sent);
		parts[1] = http_wire_part_of(body, body_sent);
		n = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			want_writable(connection, true);
			return;
		}
		if (n < 0) {
			http_wire_receive(connection); /* an early answer (413) or the reason */
			return;
		}
		connection->sent += (size_t)n;
	}
	connection->state = RECEIVING;
	want_writable(connection, false);
}

static void put_head(struct connection *connection)
{
	struct http_client_wire *client = connection->client;
	struct http_exchange *exchange = connection->exchange;
	const char *path = exchange->url + client->origin_len;
	struct buf *head = &connection->head;

	buf_clear(head);
	buf_add_str(head, exchange->method);
	buf_add_str(head, *path == '/' ? " " : " /");
	buf_add_str(head, path);
	buf_add_str(head, " HTTP/1.1\r\nHost: ");
	buf_add(head, client->origin + strlen("http://"), client->origin_len - strlen("http://"));
	if (client->options->user_agent) {
		buf_add_str(head, "\r\nUser-Agent: ");
		buf_add_str(head, client->options->user_agent);
	}
	if (exchange->body.ptr) {
		buf_add_str(head, "\r\nContent-Length: ");
		buf_add_u64(head, exchange->body.len);
	}
	for (const char *const *header = exchange->headers; header && *header; header++) {
		buf_add_str(head, "\r\n");
		buf_add_str(head, *header);
	}
	buf_add_str(head, "\r\n\r\n");
}

static void http_wire_begin(struct connection *connection)
{
	int64_t total_ms = connection->exchange->total_ms;

	connection->state = SENDING;
	connection->sent = 0;
	if (total_ms == 0)
		total_ms = connection->client->options->total_ms;
	connection->deadline_ms = clock_mono_ms() + total_ms;
	connection->complete = false;
	llhttp_init(&connection->parser, HTTP_RESPONSE, &connection->client->settings);
	connection->parser.data = connection;
	send_more(connection);
}

static bool open_socket(struct connection *connection)
{
	const struct addrinfo *address = connection->address;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = connection };
	int on = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	connection->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if ((connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(connection->client->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int saved = errno;

		disconnect(connection);
		errno = saved;
		return false;
	}
	connection->state = CONNECTING;
	connection->writable = true;
	connection->deadline_ms = clock_mono_ms() + connection->client->options->connect_ms;
	return true;
}

/* From `address` on, the first that a connection can be begun to. */
static void connect_from(struct connection *connection, const struct addrinfo *address)
{
	for (; address; address = address->ai_next) {
		connection->address = address;
		if (open_socket(connection))
			return;
	}
	connection->client->stale = true;
	fail(connection, "%s", strerror(errno));
}

static enum err_code look_up(struct http_client_wire *client, struct err *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(client->host, client->port, &hints, &found);

	if (rc != 0)
		return err_set(err, ERR_ABSENT, "could not look up host \"%s\": %s", client->host,
			       gai_strerror(rc));
	if (client->addresses)
		freeaddrinfo(client->addresses);
	client->addresses = found;
	return ERR_OK;
}

/* Only when nobody is in the midst of trying the addresses there are. */
static void look_up_again(struct http_client_wire *client)
{
	struct err err;

	for (uint32_t i = 0; i < client->options->connections_max; i++)
		if (client->connections[i].state == CONNECTING)
			return;
	client->stale = look_up(client, &err) != ERR_OK;	/* then the old ones go on */
}

static void carry(struct http_client_wire *client, struct http_exchange *exchange)
{
	struct connection *connection = client->free;

	client->free = connection->next_free;
	connection->exchange = exchange;
	put_head(connection);
	if (buf_full(&connection->head)) {
		fail(connection, "the request's head is longer than %d bytes", HEAD_BYTES_MAX);
		return;
	}
	if (connection->state == IDLE) {
		http_wire_begin(connection);
		return;
	}
	if (client->stale)
		look_up_again(client);
	connect_from(connection, client->addresses);
}

static void carry_waiting(struct http_client_wire *client)
{
	while (client->waiting && client->free) {
		struct http_exchange *exchange = client->waiting;

		client->waiting = exchange->next;
		if (!client->waiting)
			client->waiting_end = &client->waiting;
		carry(client, exchange);
	}
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
	struct connection *connection = parser->data;

	if (connection->value_len > 0)
		connection->field_len = connection->value_len = 0;
	if (connection->exchange->reply_head.max)
		buf_add(&connection->exchange->reply_head, at, len);
	for (size_t i = 0; i < len && connection->field_len < FIELD_BYTES_MAX; i++)
		connection->field[connection->field_len++] = at[i];
	return 0;
}

static int on_field_complete(llhttp_t *parser)
{
	struct connection *connection = parser->data;

	if (connection->exchange->reply_head.max)
		buf_add_str(&connection->exchange->reply_head, ": ");
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct connection *connection = parser->data;

	if (connection->exchange->reply_head.max)
		buf_add(&connection->exchange->reply_head, at, len);
	for (size_t i = 0; i < len && connection->value_len < FIELD_BYTES_MAX; i++)
		connection->value[connection->value_len++] = at[i];
	return 0;
}

/* Seconds only; a date (the other form of RFC 9110, 10.2.3) counts as none given. */
static int seconds_of(const char *text, size_t len)
{
	int seconds = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		seconds = seconds * 10 + (text[i] - '0');
		if (seconds > RETRY_AFTER_MAX_S)
			return RETRY_AFTER_MAX_S;
	}
	return seconds;
}

static int on_value_complete(llhttp_t *parser)
{
	static const char name[] = "retry-after";
	struct connection *connection = parser->data;

	if (connection->field_len == strlen(name) &&
	    !strncasecmp(connection->field, name, strlen(name)))
		connection->exchange->retry_after_s =
			seconds_of(connection->value, connection->value_len);
	connection->field_len = connection->value_len = 0;
	if (!connection->exchange->reply_head.max)
		return 0;
	buf_add_char(&connection->exchange->reply_head, '\n');
	return buf_full(&connection->exchange->reply_head) ? -1 : 0;
}

static int http_wire_on_headers_complete(llhttp_t *parser)
{
	struct connection *connection = parser->data;

	return !strcmp(connection->exchange->method, "HEAD");	/* 1: no body follows */
}

static int http_wire_on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct connection *connection = parser->data;

	buf_add(&connection->exchange->reply, at, len);
	return buf_full(&connection->exchange->reply) ? -1 : 0;
}

static int on_complete(llhttp_t *parser)
{
	struct connection *connection = parser->data;

	if (parser->status_code / 100 == 1) {
		buf_clear(&connection->exchange->reply_head);
		return 0;	/* interim; the answer proper follows */
	}
	connection->exchange->status = parser->status_code;
	connection->complete = true;
	connection->keep = llhttp_should_keep_alive(parser);
	return HPE_PAUSED;
}

/* Bytes of an answer. One that comes before all was sent ends the exchange and the connection. */
static void http_wire_parse(struct connection *connection, const char *bytes, size_t len)
{
	llhttp_errno_t rc = llhttp_execute(&connection->parser, bytes, len);

	if (connection->complete) {
		if (llhttp_get_error_pos(&connection->parser) != bytes + len ||
		    connection->state != RECEIVING)
			connection->keep = false;
		succeed(connection);
	} else if (rc != HPE_OK) {
		fail(connection, "bad answer: %s", http_exchange_full(connection->exchange)
		     ? "it is too long" : llhttp_get_error_reason(&connection->parser));
	}
}

static void end_of_stream(struct connection *connection)
{
	(void)llhttp_finish(&connection->parser);	/* completes an answer that has no length */
	if (!connection->complete) {
		fail(connection, "the server closed the connection");
		return;
	}
	connection->keep = false;
	succeed(connection);
}

static void http_wire_receive(struct connection *connection)
{
	struct http_client_wire *client = connection->client;
	ssize_t n = recv(connection->fd, client->received, RECEIVE_BYTES, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (connection->state == IDLE) {
		disconnect(connection);	/* closed, or an answer that nobody asked for */
		return;
	}
	if (n < 0)
		fail(connection, "%s", strerror(errno));
	else if (n == 0)
		end_of_stream(connection);
	else
		http_wire_parse(connection, client->received, (size_t)n);
}

static void connected(struct connection *connection)
{
	socklen_t len = sizeof(errno);
	int sys = 0;

	(void)getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &sys, &len);
	if (sys == 0) {
		http_wire_begin(connection);
		return;
	}
	errno = sys;
	(void)close(connection->fd);
	connection->fd = -1;
	connect_from(connection, connection->address->ai_next);
}

static void http_wire_on_event(struct connection *connection, uint32_t events)
{
	if (connection->state == CLOSED)
		return;		/* by an event before this one */
	if (connection->state == CONNECTING) {
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			connected(connection);
		return;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		http_wire_receive(connection);
	else if (connection->state == SENDING)
		send_more(connection);
}

static void http_wire_sweep(struct http_client_wire *client)
{
	int64_t now = clock_mono_ms();

	if (now - client->swept_ms < SWEEP_MS)
		return;
	client->swept_ms = now;
	for (uint32_t i = 0; i < client->options->connections_max; i++) {
		struct connection *connection = &client->connections[i];

		if (connection->exchange && now >= connection->deadline_ms)
			fail(connection, connection->state == CONNECTING ? "no connection in time"
									 : "no answer in time");
	}
}

static bool is_busy(const struct http_client_wire *client)
{
	for (uint32_t i = 0; i < client->options->connections_max; i++)
		if (client->connections[i].exchange)
			return true;
	return false;
}

static enum err_code wire_turn(struct http_client *base, int64_t wait_ms, struct err *err)
{
	struct http_client_wire *client = (struct http_client_wire *)base;
	struct epoll_event events[EVENTS];
	int count;

	carry_waiting(client);
	if (wait_ms > SWEEP_MS)
		wait_ms = is_busy(client) ? SWEEP_MS : wait_ms < IDLE_MS ? wait_ms : IDLE_MS;
	count = epoll_wait(client->epoll_fd, events, EVENTS, (int)wait_ms);
	if (count < 0 && errno != EINTR)
		return err_errno(err, "could not wait for the server");
	for (int i = 0; i < count; i++)
		http_wire_on_event(events[i].data.ptr, events[i].events);
	http_wire_sweep(client);
	carry_waiting(client);
	return ERR_OK;
}

static enum err_code wire_start(struct http_client *base, struct http_exchange *exchange,
				struct err *err)
{
	struct http_client_wire *client = (struct http_client_wire *)base;
	const char *path = exchange->url + client->origin_len;

	if (strncmp(exchange->url, client->origin, client->origin_len) != 0 ||
	    (*path != '\0' && *path != '/' && *path != '?'))
		return err_set(err, ERR_USAGE, "\"%s\" is not on %s", exchange->url, client->origin);
	if (exchange->body_file || exchange->reply_file || exchange->stall_ms)
		return err_set(err, ERR_UNSUPPORTED,
			       "this client has no bodies in files, and one time for all of them");
	http_exchange_begin(exchange);
	exchange->next = NULL;
	*client->waiting_end = exchange;
	client->waiting_end = &exchange->next;
	return ERR_OK;
}

static void wire_free(struct http_client *base)
{
	struct http_client_wire *client = (struct http_client_wire *)base;

	for (uint32_t i = 0; client->connections && i < client->options->connections_max; i++) {
		disconnect(&client->connections[i]);
		buf_release(&client->connections[i].head);
	}
	if (client->epoll_fd >= 0)
		(void)close(client->epoll_fd);
	if (client->addresses)
		freeaddrinfo(client->addresses);
	free(client->connections);
	free(client->origin);
	free(client->received);
	free(client);
}

static const struct http_client_ops wire_ops = {
	.name = "wire",
	.start = wire_start,
	.turn = wire_turn,
	.free = wire_free,
};

static bool copy_text(char *to, size_t size, const char *from, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static bool split_authority(struct http_client_wire *client, const char *at, size_t len)
{
	const char *end = at + len;
	const char *host = *at == '[' ? at + 1 : at;
	const char *host_end = memchr(at, *at == '[' ? ']' : ':', len);
	const char *colon = host_end;

	if (memchr(at, '@', len) || (*at == '[' && !host_end))
		return false;
	if (*at == '[')
		colon = host_end + 1 < end ? host_end + 1 : NULL;
	if (colon && *colon != ':')
		return false;
	if (!copy_text(client->host, sizeof(client->host), host,
		       (size_t)((host_end ? host_end : end) - host)))
		return false;
	if (!colon)
		return copy_text(client->port, sizeof(client->port), "80", 2);
	colon++;
	return copy_text(client->port, sizeof(client->port), colon, (size_t)(end - colon)) &&
	       strspn(client->port, "0123456789") == strlen(client->port);
}

static enum err_code http_wire_set_up(struct http_client_wire *client, const char *url,
				      struct err *err)
{
	size_t scheme = strlen("http://");
	size_t len;

	if (strncasecmp(url, "http://", scheme) != 0 || url[scheme] == '\0')
		return err_set(err, ERR_USAGE, "\"%s\" is no http URL", url);
	len = strcspn(url + scheme, "/?#");
	client->origin = xstrndup(url, scheme + len);
	client->origin_len = scheme + len;
	if (len == 0 || !split_authority(client, url + scheme, len))
		return err_set(err, ERR_USAGE, "\"%s\" has no host and port that can be read", url);
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll_fd < 0)
		return err_errno(err, "could not make an epoll set");
	return look_up(client, err);
}

static void make_connections(struct http_client_wire *client, uint32_t count)
{
	client->connections = xcalloc(count, sizeof(*client->connections));
	for (uint32_t i = 0; i < count; i++) {
		struct connection *connection = &client->connections[i];

		connection->client = client;
		connection->fd = -1;
		buf_init(&connection->head, HEAD_BYTES_MAX);
		http_wire_release(connection);
	}
}

enum err_code http_client_wire_new(const struct http_client_options *options, const char *url,
				   struct http_client **ret_client, struct err *err)
{
	struct http_client_wire *client;
	enum err_code code;

	if (options->connections_max == 0 || options->connections_max > CONNECTIONS_MAX)
		return err_set(err, ERR_USAGE, "connections must be 1 to %d", CONNECTIONS_MAX);
	client = xcalloc(1, sizeof(*client));
	client->base.ops = &wire_ops;
	client->options = options;
	client->epoll_fd = -1;
	client->waiting_end = &client->waiting;
	client->received = xmalloc(RECEIVE_BYTES);
	llhttp_settings_init(&client->settings);
	client->settings.on_header_field = on_field;
	client->settings.on_header_field_complete = on_field_complete;
	client->settings.on_header_value = on_value;
	client->settings.on_header_value_complete = on_value_complete;
	client->settings.on_headers_complete = http_wire_on_headers_complete;
	client->settings.on_body = http_wire_on_body;
	client->settings.on_message_complete = on_complete;
	make_connections(client, options->connections_max);
	code = http_wire_set_up(client, url, err);
	if (code == ERR_OK)
		*ret_client = &client->base;
	else
		wire_free(&client->base);
	return code;
}
