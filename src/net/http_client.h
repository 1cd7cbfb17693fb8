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
 *	3. done() may start further exchanges, its own again included.
 *
 * (libcurl sends a request a second time on its own when a kept connection
 * turns out to be closed before an answer began; wire reports ERR_UNKNOWN.)
 *
 * Ownership: the exchange and all it points to belong to the client from
 * start() until done().
 * Threads: one thread a client.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct http_client_options {
	uint32_t connections_max;	/* exchanges beyond it wait for their turn */
	int64_t connect_ms;
	int64_t total_ms;		/* of one exchange, from its turn on */
	const char *ca_file;		/* NULL: the system's */
	const char *user_agent;
};

struct http_exchange {
	const char *method;
	const char *url;
	const char *const *headers;	/* "Name: value", NULL at the end; Content-Length is added */
	struct slice body;		/* null: none */
	/* Called when the fields below are filled in. */
	void (*done)(struct http_exchange *exchange);
	void *user;

	enum err_code code;
	int status;			/* 0: none came */
	int retry_after_s;		/* 0: none given */
	struct buf reply;		/* the caller's: buf_init() bounds it; what is longer is
					   ERR_UNKNOWN */
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
/* One exchange, start to end; its done and user are not used. The answer is in the exchange. */
MUST_USE enum err_code http_client_do(struct http_client *client, struct http_exchange *exchange,
				      struct err *err);

#endif
