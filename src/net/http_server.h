/*
 * http_server.h - an HTTP/1.1 server: one epoll loop over llhttp, replies now
 * or later.
 *
 * The loop thread reads, parses and calls the handler. A handler answers
 * before it returns (http_reply), or keeps the request's ticket and answers
 * later, also in pieces as they come (http_pieces_begin); answers made by
 * another thread go through http_post(), which hands a whole chain to the loop
 * with one wake-up. What answers are made of may come from descriptors that the
 * loop watches, too (http_watch_start).
 *
 * Contract
 *	1. Every request that reaches the handler is answered by exactly one
 *	   http_reply() or http_pieces_begin() with its ticket, or the
 *	   connection waits for ever.
 *	   Pipelined requests are answered in the order they came, whatever the
 *	   order of the replies.
 *	2. What breaks the protocol (RFC 9112: two lengths, length and chunked,
 *	   bad chunks, folded headers, …) never reaches the handler: it is
 *	   answered with its status and {"error_code":N,"message":"…"}, the
 *	   connection is closed, and no second request is read from it.
 *	3. Everything is bounded by struct http_limits: time, sizes, memory,
 *	   connections, requests in flight.
 *	4. A task that was posted before http_server_free() is run, at the
 *	   latest there; the reply of a task whose connection is gone goes nowhere.
 *	5. Of a reply in pieces no more is held than HTTP_PIECES_BYTES and the
 *	   last piece: its maker is told when to pause and when to go on. One
 *	   that is cut (http_pieces_abort, a stop, a client that does not read)
 *	   has no last chunk, or, in HTTP/1.0, is reset: never taken for whole.
 *
 * Ownership: a request and its slices live until the handler returns; what a
 * reply points to, until http_reply() returns.
 * Threads: everything on the loop thread (the one in http_server_run())
 * except http_post() and http_server_stop(), which any thread may call.
 * SIGPIPE must be ignored (stop_init() does it): OpenSSL writes without MSG_NOSIGNAL.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum { HTTP_HEADERS_MAX = 64, HTTP_PIPELINE_MAX = 16, HTTP_BODY_PADDING = 64 };
enum { HTTP_PIECES_BYTES = 64 << 10, HTTP_WATCHES_MAX = 64, HTTP_EXTRA_MAX = 3 };
enum { HTTP_LISTENERS_MAX = 8 };

struct http_limits {
	size_t body_bytes_max;		/* 413 */
	size_t header_bytes_max;	/* request line and headers: 431; the line alone: 414 */
	uint32_t headers_max;		/* at most HTTP_HEADERS_MAX: 431 */
	uint32_t connections_max;	/* when full, one that only waits is closed for the new */
	uint32_t connections_per_ip_max; /* 0: 256, and none for loopback; IPv6 counts by /64 */
	uint32_t handshakes_max;	/* of TLS at a time; a new one waits for its turn */
	uint32_t pipeline_max;		/* in flight on one connection, at most HTTP_PIPELINE_MAX */
	size_t buffer_bytes_max;	/* all buffers of all connections together: 503 */
	int64_t header_ms;		/* from the first byte to the end of the headers: 408 */
	int64_t body_ms;		/* the whole body: 408 */
	int64_t body_grace_ms;		/* a body may be slower than this rate for so long: 408 */
	uint32_t body_bytes_per_s_min;
	int64_t write_ms;		/* a reply makes no progress */
	int64_t idle_ms;		/* between requests */
	bool packed_bodies;		/* those in gzip and zstd go to the handler; else 415 */
};

extern const struct http_limits http_limits_default;

/* A method that llhttp does not know is answered with 501 by the server itself. */
enum http_method { HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_POST, HTTP_METHOD_PUT,
		   HTTP_METHOD_DELETE, HTTP_METHOD_OPTIONS, HTTP_METHOD_OTHER };

struct http_header {
	struct slice name;		/* as sent; compare without case */
	struct slice value;		/* no white space around it */
};

/* The Content-Encoding of a body. Another one is answered with 415 by the server itself. */
enum http_coding { HTTP_CODING_NONE, HTTP_CODING_GZIP, HTTP_CODING_ZSTD, HTTP_CODING_OTHER };

/* Names one request of one connection, also after either is gone. */
struct http_ticket {
	uint32_t slot;
	uint32_t generation;
	uint32_t request;
};

struct http_request {
	struct http_ticket ticket;
	enum http_method method;
	struct slice target;		/* raw, as sent: path and query */
	struct slice path;		/* decoded once, without the query; no NUL; "*" for OPTIONS * */
	struct slice query;		/* raw, without "?" */
	struct slice body;		/* HTTP_BODY_PADDING bytes after it may be read */
	int64_t content_length;		/* as announced: 0 without a body, -1 chunked */
	enum http_coding coding;	/* of the body: as it was sent, still packed */
	struct slice host;		/* the header; null without one, as HTTP/1.0 may be */
	struct slice origin;		/* the same; "null" where there are two */
	const struct http_header *headers;
	size_t header_count;
	const char *peer;		/* the client's address, text */
	unsigned listener; /* that it came by: 0 is `listen`, then those of listen_also */
};

struct http_server;
struct http_reply;

typedef void http_handler_fn(void *user, struct http_server *server,
			     const struct http_request *request);
/*
 * Called when the headers are complete and the body is not, which is null here:
 * need it be waited for? True: go on; the handler checks for itself, as it does
 * where the body came with the headers. False: it answered, or will answer later
 * (an API key, a size the route does not take); the handler is not called, and
 * the connection is closed after the answer.
 */
typedef bool http_admit_fn(void *user, struct http_server *server,
			   const struct http_request *request);

/* Around the work of a turn of the loop: all that it found to do when it woke. */
typedef void http_turn_fn(void *user, bool begins);

/* An answer of 4xx on its way to `peer`, whoever gave it. */
typedef void http_refused_fn(void *user, const char *peer, const struct http_reply *reply);

struct http_server_options {
	const char *listen;		/* "127.0.0.1:8082", "[::1]:0", "localhost:80"; port 0: a free one */
	const char *const
		*listen_also; /* up to HTTP_LISTENERS_MAX - 1 more, ended by NULL; or NULL */
	/* Listening sockets of another process. Where an address fits one's, that is used, and is
	 * -1 here then. */
	int *taken;
	unsigned taken_count;
	const char *tls_cert;		/* PEM files, the certificate with its chain; NULL: plain */
	const char *tls_key;		/* both are read anew when they change */
	/* A header in which a proxy names its client, last in a list ("X-Forwarded-For"), or NULL.
	 * A client has as many requests in flight as an address connections: 429. */
	const char *client_header;
	struct http_limits limits;
	http_handler_fn *handle;
	http_admit_fn *admit;		/* NULL: everything goes on */
	http_turn_fn *turn;		/* NULL: not of interest */
	int64_t turn_every_ms;		/* also where nothing happens; 0: not then */
	http_refused_fn *refused;	/* NULL: the same */
	void *user;
};

/* Whether only this machine can reach that address. ERR_USAGE: it is not one. */
MUST_USE enum err_code http_listen_check(const char *listen, bool *ret_loopback, struct err *err);

/* When the certificate in that file, PEM, runs out: seconds since 1970. ERR_USAGE: it cannot be
 * read. */
MUST_USE enum err_code http_cert_until(const char *cert, int64_t *ret_s, struct err *err);

/* Binds and listens, everywhere or nowhere. ERR_USAGE: no such address, or an unusable certificate;
 * ERR_EXISTS: in use. */
MUST_USE enum err_code http_server_new(const struct http_server_options *options,
				       struct http_server **ret_server, struct err *err);
void http_server_free(struct http_server *server);	/* accepts NULL */
uint16_t http_server_port(const struct http_server *server); /* of `listen` */
/* Of each; there must be one of that number. */
uint16_t http_server_port_of(const struct http_server *server, unsigned listener);
/*
 * Runs the loop until http_server_stop(), or until the process is asked to
 * stop (stop.h). Then it accepts nothing more, closes what waits, and answers
 * what is in flight for at most drain_ms.
 */
MUST_USE enum err_code http_server_run(struct http_server *server, int64_t drain_ms,
				       struct err *err);
void http_server_stop(struct http_server *server);
/* Whether it was asked to, or the process was: what goes on should come to its end. */
bool http_server_stops(struct http_server *server);

/*
 * To another process, which accepts and reads from then on. After http_server_leave(), once the
 * requests are read that were begun before, or after drain_ms, nothing is accepted and nothing is
 * read of who is owed no answer; http_server_run() returns when all else is
 * answered, or after drain_ms, and then neither a listening socket nor an idle connection is
 * closed: both are there for the other one, and for http_server_return(), after which
 * http_server_run() goes on as if nothing had been. Connections over TLS cannot go along; after
 * http_server_part() each ends with its answer. Leave and part from any thread, the rest while it
 * does not run.
 */
void http_server_part(struct http_server *server);
void http_server_leave(struct http_server *server);
bool http_server_has_left(const struct http_server *server);
void http_server_return(struct http_server *server);
/* Copies of the listening sockets, in the order of `listen` and listen_also. ERR_STOPPED: it has
 * been asked to stop, and has none any more. From any thread. */
MUST_USE enum err_code http_server_copy_sockets(struct http_server *server,
						int ret_fds[HTTP_LISTENERS_MAX],
						unsigned *ret_count, struct err *err);
/* Once it has left: connections that are owed something still, which end with this process. */
unsigned http_server_unanswered(const struct http_server *server);
/* The next idle connection, -1 at the end; *at begins as 0. */
int http_server_parked(const struct http_server *server, uint32_t *at, unsigned *ret_listener);
/* In the other process: a connection that came by that one of options.taken; the server's from then
 * on. False: it is closed. */
bool http_server_adopt(struct http_server *server, int fd, unsigned taken);

struct http_reply {
	int status;
	const char *content_type;	/* NULL: no body type */
	struct slice body;		/* left out, but counted, for HEAD */
	int retry_after_s;		/* 0: no such header */
	bool close;			/* after this reply */
	bool untold;			/* options.refused is not to know of it */
	struct slice asked;		/* for that one alone: what it was asked for, or null */
	/* Header lines with CRLF, or NULL; never from a request. */
	const char *extra[HTTP_EXTRA_MAX];
};

/* Answers; the body is copied. If the ticket's connection is gone, nothing happens. */
void http_reply(struct http_server *server, struct http_ticket ticket,
		const struct http_reply *reply);

/* There is no answer, because who asked has left: the connection is closed behind what is answered
 * before it. Without this, or an answer, it would stay. */
void http_reply_drop(struct http_server *server, struct http_ticket ticket);

/* Whether who asked has closed the connection, or ended his side of it: for answers that take long,
 * and that nobody may be waiting for. */
bool http_client_left(const struct http_server *server, struct http_ticket ticket);

/* A reply in pieces, on the loop thread. */
struct http_pieces;

/* Both are called by the loop, never from within a function of this header. */
struct http_pieces_maker {
	/* The client has taken enough: more pieces may come. */
	void (*go_on)(void *user);
	/* The client has left, or the server stops: no more pieces are of use. */
	void (*gone)(void *user);
	void *user;
	/* Has no end of its own: who ends his side has left, where else the answer is owed to him.
	 * When the server stops, it ends as if it were whole. */
	bool endless;
};

/*
 * Answers with all of `head` but its body, which follows. NULL: nothing is to
 * follow, as the client is gone, or asked for the head alone. The result is
 * the caller's until http_pieces_end() or http_pieces_abort(), also when it is
 * told that the client is gone.
 */
struct http_pieces *http_pieces_begin(struct http_server *server, struct http_ticket ticket,
				      const struct http_reply *head,
				      const struct http_pieces_maker *maker);
/* Copies the piece. False: that is enough until go_on. */
bool http_pieces_add(struct http_pieces *pieces, struct slice piece);
void http_pieces_end(struct http_pieces *pieces);
/* The client sees that something is missing. */
void http_pieces_abort(struct http_pieces *pieces);

/* A descriptor of somebody else's that the loop watches: a pipe, a timer, a process. */
struct http_watch {
	int fd;
	/* There is something to read, or the end; called again each turn while there is. */
	void (*ready)(struct http_server *server, struct http_watch *watch);
	uint32_t slot; /* the server's */
};

/* At most HTTP_WATCHES_MAX; ERR_BUSY. Must be stopped before fd is closed. */
MUST_USE enum err_code http_watch_start(struct http_server *server, struct http_watch *watch,
					struct err *err);
void http_watch_pause(struct http_server *server, struct http_watch *watch, bool pauses);
void http_watch_stop(struct http_server *server, struct http_watch *watch);

/* Work for the loop thread; a chain by `next`. Each is run once, in order, and may free itself. */
struct http_task {
	struct http_task *next;
	void (*run)(struct http_server *server, struct http_task *task);
};
/*
 * From any thread: one lock-free push and at most one wake-up for the whole
 * chain. All tasks of a chain run, then their connections are written to, once each.
 */
void http_post(struct http_server *server, struct http_task *first, struct http_task *last);

/* The value of a header, or a null slice. Case of the name does not matter. */
struct slice http_header(const struct http_request *request, const char *name);
/* What a header in which a proxy names its client says: the last of the last, as others may stand
 * before it. A null slice: it is not there. */
struct slice http_client(const struct http_request *request, const char *name);
/* The decoded value of a query parameter ("+" is a space), into `out`; false: absent or badly encoded. */
bool http_query(struct slice query, const char *name, struct buf *out);
/* Whether it is there, however it is encoded. */
bool http_query_names(struct slice query, const char *name);

#endif
