/*
 * http_server.h - an HTTP/1.1 server: one epoll loop over llhttp, replies now
 * or later.
 *
 * The loop thread reads, parses and calls the handler. A handler answers
 * before it returns (http_reply_*), or keeps the request's ticket and answers
 * later; answers made by another thread go through http_post(), which hands a
 * whole chain to the loop with one wake-up.
 *
 * Limits and time-outs follow struct http_limits; what breaks the protocol
 * (RFC 9112: two lengths, length and chunked, bad chunks, folded headers, …)
 * is answered with its status and the connection is closed, no second
 * request is read from it. Pipelined requests are answered in order.
 *
 * Ownership: a request and its slices live until the handler returns.
 * Threads: everything on the loop thread except http_post() and http_server_stop().
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct http_limits {
	size_t body_bytes_max;		/* 413 */
	size_t header_bytes_max;	/* 431 */
	uint32_t headers_max;		/* 431 */
	uint32_t connections_max;	/* when reached the longest idle one is closed */
	uint32_t connections_per_ip_max;
	uint32_t pipeline_max;		/* requests of one connection in flight */
	int64_t header_ms;		/* from the first byte to the end of the headers: 408 */
	int64_t body_ms;		/* the whole body: 408 */
	uint32_t body_bytes_per_s_min;	/* after the first 10 s */
	int64_t write_ms;		/* a reply makes no progress */
	int64_t idle_ms;		/* between requests */
};

extern const struct http_limits http_limits_default;

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_POST, HTTP_METHOD_PUT,
		   HTTP_METHOD_DELETE, HTTP_METHOD_OTHER };

enum { HTTP_HEADERS_MAX = 64 };

struct http_header {
	struct slice name;		/* as sent; compare without case */
	struct slice value;		/* no white space around it */
};

/* Names one request of one connection, also after either is gone. */
struct http_ticket {
	uint32_t slot;
	uint32_t generation;
	uint32_t request;
};

struct http_request {
	struct http_ticket ticket;
	enum http_method method;
	struct slice path;		/* percent-decoded once, without the query; holds no NUL */
	struct slice query;		/* raw, without "?" */
	struct slice body;
	const struct http_header *headers;
	size_t header_count;
	const char *peer;		/* the client's address, text */
};

struct http_server;

typedef void http_handler_fn(void *user, struct http_server *server,
			     const struct http_request *request);
/*
 * Called on the loop thread when the headers are complete, before the body is read; may answer at once
 * (authentication, a body that is too large). True: go on.
 */
typedef bool http_admit_fn(void *user, struct http_server *server, const struct http_request *request);

struct http_server_options {
	const char *listen;		/* "127.0.0.1:8082", "[::1]:0"; port 0: a free one */
	const char *tls_cert;		/* PEM files; NULL: plain */
	const char *tls_key;
	struct http_limits limits;
	http_handler_fn *handle;
	http_admit_fn *admit;		/* NULL: everything goes on */
	void *user;
};

/* Binds and listens. ERR_USAGE: the address is not one; ERR_EXISTS: in use. */
MUST_USE enum err_code http_server_new(const struct http_server_options *options,
				       struct http_server **ret_server, struct err *err);
void http_server_free(struct http_server *server);	/* accepts NULL */
uint16_t http_server_port(const struct http_server *server);
/* Runs the loop until http_server_stop(), then answers what is in flight (at most drain_ms). */
MUST_USE enum err_code http_server_run(struct http_server *server, int64_t drain_ms, struct err *err);
void http_server_stop(struct http_server *server);

struct http_reply {
	int status;
	const char *content_type;	/* NULL: no body type */
	struct slice body;
	int retry_after_s;		/* 0: no such header */
	bool close;
	const char *extra;		/* further header lines, each with its CRLF, or NULL; never from request bytes */
};

/* Answer; the body is copied into the connection's buffer. A ticket whose connection is gone: nothing happens. */
void http_reply(struct http_server *server, struct http_ticket ticket, const struct http_reply *reply);

/* Work handed to the loop thread; a chain by `next`. `run` is called once for each, in order. */
struct http_task {
	struct http_task *next;
	void (*run)(struct http_server *server, struct http_task *task);
};
/* From any thread: one lock-free push and at most one wake-up for the whole chain. */
void http_post(struct http_server *server, struct http_task *first, struct http_task *last);

/* The value of a header, or a null slice. Case of the name does not matter. */
struct slice http_header(const struct http_request *request, const char *name);
/* The decoded value of a query parameter, into `out`; false: absent or badly encoded. */
bool http_query(struct slice query, const char *name, struct buf *out);

#endif
