/*
 * http_client.h - HTTP requests by libcurl: keep-alive, time-outs, no
 * redirects, http and https only.
 *
 * Several requests may be in flight on one client (curl's multi interface).
 * Ownership: bodies passed in are borrowed until the request's `done`.
 * Threads: one thread a client.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct http_client;

struct http_client_options {
	uint32_t connections_max;
	int64_t connect_ms;
	int64_t total_ms;		/* of one request */
	size_t reply_bytes_max;
	const char *ca_file;		/* NULL: the system's */
	const char *user_agent;
};

struct http_exchange {
	const char *method;
	const char *url;
	const char *const *headers;	/* "Name: value", NULL at the end */
	struct slice body;
	/* Filled in before done(): */
	enum err_code code;		/* ERR_OK: an answer came, whatever its status; ERR_BUSY: no connection;
					   ERR_UNKNOWN: broken after the request may have been taken */
	int status;
	int retry_after_s;		/* 0: none */
	struct buf reply;
	struct err err;
	void (*done)(struct http_exchange *exchange);
	void *user;
};

MUST_USE enum err_code http_client_new(const struct http_client_options *options,
				       struct http_client **ret_client, struct err *err);
void http_client_free(struct http_client *client);
/* Starts an exchange; `done` runs inside http_client_turn(). */
MUST_USE enum err_code http_client_start(struct http_client *client, struct http_exchange *exchange,
					 struct err *err);
/* Move everything on; waits at most wait_ms for something to happen. */
MUST_USE enum err_code http_client_turn(struct http_client *client, int64_t wait_ms, struct err *err);
/* One request, start to end. */
MUST_USE enum err_code http_client_do(struct http_client *client, struct http_exchange *exchange,
				      struct err *err);

#endif
