/*
 * http_client.h - HTTP/1.1 requests, several in flight, over connections that
 * are kept alive. No redirects; http and https only; every wait is bounded.
 *
 * Backends
 *	http_client_wire.c	plain http to one server, over llhttp
 *	http_client_curl.c	libcurl: any server, https, proxies of the environment
 *
 * Why two: a load generator can send what a request costs it. Measured on two
 * cores, 900-byte POSTs, 32 in flight, against a loop that answers a constant:
 * wire 43 to 83 k requests a second at 10 µs of CPU each, curl 16 to 20 k at 37.
 *
 * Contract (tests/contract/test_http_client.c runs it against both)
 *	1. A started exchange gets its done() exactly once, inside turn(), unless
 *	   the client is freed before.
 *	2. code ERR_OK: a whole answer came, whatever its status. ERR_BUSY: the
 *	   server cannot have taken the request, as not all of it was sent.
 *	   ERR_UNKNOWN: it was sent, and no whole answer came; the server may
 *	   have taken it. ERR_DENIED: the server's certificate is not trusted.
 *	   ERR_LIMIT: the answer to a GET or HEAD is longer than there is room for
 *	   (to another method that is ERR_UNKNOWN: what it asked for may be done).
 *	   ERR_IO, ERR_SPACE: a file could not be read or written.
 *	3. done() may start further exchanges, its own again included.
 *	4. No header is sent that says something of the body which the caller did not say, but
 *	   its length.
 *	5. Bodies out of files and into files, and stall_ms, are curl's alone: ERR_UNSUPPORTED.
 *	6. Nothing is sent twice, but what has no body and is not `once`: libcurl sends it
 *	   again on its own when a kept connection turns out to be closed before an answer began.
 *
 * Ownership: the exchange and all it points to belong to the client from
 * start() until done().
 * Threads: one thread a client; http_client_pool.h has one for any number.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum { HTTP_SLOW_BYTES_A_MS = 1 };	/* no line in use is as slow */

struct http_client_options {
	uint32_t connections_max;	/* exchanges beyond it wait for their turn */
	int64_t connect_ms;
	int64_t total_ms;		/* of one exchange, from its turn on */
	const char *ca_file;		/* NULL: the system's */
	const char *user_agent;
};

/* A part of a file, which is read or written at its place. */
struct http_file {
	int fd;
	uint64_t offset;
	uint64_t len;			/* of what is read; the most that is written */
};

struct http_exchange {
	const char *method;
	const char *url;
	const char *const *headers;	/* "Name: value", NULL at the end; Content-Length is added */
	struct slice body;		/* null: none */
	const struct http_file *body_file; /* instead of it; NULL: no */
	/* Where the body of an answer of 2xx goes instead of `reply`; NULL: no. Other answers,
	 * which say what is wrong, go to `reply`. */
	const struct http_file *reply_file;
	int64_t total_ms;		/* instead of the client's; 0: the client's */
	/* It ends when bytes of a body have been behind for so long, and a second more: when none
	 * came or went, or fewer than HTTP_SLOW_BYTES_A_MS; 0: total_ms alone ends it. */
	int64_t stall_ms;
	/* With stall_ms: once a stop is asked (base/stop.h) it may go on for so long, and a second
	 * more, whatever comes; 0: as long as it flows. */
	int64_t stop_ms;
	bool once;			/* also without a body: contract 6 */
	/* Called when the fields below are filled in. */
	void (*done)(struct http_exchange *exchange);
	void *user;

	enum err_code code;
	int status;			/* 0: none came */
	bool unreached;			/* curl's: there was no connection */
	int64_t idle_ms;		/* with stall_ms: how far behind its bytes were at the end,
					   stall_ms at most; before that they flowed */
	int retry_after_s;		/* 0: none given */
	struct buf reply;		/* the caller's: buf_init() bounds it */
	struct buf reply_head;		/* the same: "Name: value\n" each, for
					   http_exchange_header(); of max 0: not wanted */
	uint64_t reply_file_len;	/* written to reply_file */
	struct err err;			/* why code is not ERR_OK */

	struct http_exchange *next;	/* the client's */
};

struct http_client;

struct http_client_ops {
	const char *name;
	enum err_code (*start)(struct http_client *client, struct http_exchange *exchange,
			       struct err *err);
	enum err_code (*turn)(struct http_client *client, int64_t wait_ms, struct err *err);
	void (*free)(struct http_client *client);
};

struct http_client {
	const struct http_client_ops *ops;
};

/* Takes the exchange, or refuses a URL that this client cannot reach (ERR_USAGE). */
MUST_USE static inline enum err_code
http_client_start(struct http_client *client, struct http_exchange *exchange, struct err *err)
{
	return client->ops->start(client, exchange, err);
}

/* Moves everything on and calls done() of what ended; waits at most wait_ms for something to
 * happen (a signal also ends the wait). */
MUST_USE static inline enum err_code
http_client_turn(struct http_client *client, int64_t wait_ms, struct err *err)
{
	return client->ops->turn(client, wait_ms, err);
}

/* Accepts NULL. Exchanges under way are dropped without done(). */
static inline void http_client_free(struct http_client *client)
{
	if (client)
		client->ops->free(client);
}

/* Options are borrowed for the client's life. */
MUST_USE enum err_code http_client_curl_new(const struct http_client_options *options,
					    struct http_client **ret_client, struct err *err);
/* For URLs that begin like this one up to the path. ERR_USAGE: no http URL; ERR_ABSENT: the name
 * of the host is not known. */
MUST_USE enum err_code http_client_wire_new(const struct http_client_options *options,
					    const char *url, struct http_client **ret_client,
					    struct err *err);
/* The one that fits the URL: wire for http, else curl. */
MUST_USE enum err_code http_client_new(const struct http_client_options *options, const char *url,
				       struct http_client **ret_client, struct err *err);
/* The value of the answer's header of that name, in any case; of several the first. False: there is
 * none. */
bool http_exchange_header(const struct http_exchange *exchange, const char *name,
			  struct slice *ret_value);
/* One exchange, start to end; its done and user are not used. The answer is in the exchange. */
MUST_USE enum err_code http_client_do(struct http_client *client, struct http_exchange *exchange,
				      struct err *err);

/* For backends: what came is longer than there is room for. */
static inline bool http_exchange_full(const struct http_exchange *exchange)
{
	return buf_full(&exchange->reply) ||
	       (exchange->reply_head.max && buf_full(&exchange->reply_head));
}
/* For backends: makes ready for an answer. */
void http_exchange_begin(struct http_exchange *exchange);
/* For backends: the code of an answer that is too long. */
enum err_code http_exchange_too_long(const struct http_exchange *exchange);

#endif
