/*
 * http_client_pool.h - clients of libcurl for any number of threads: each call
 * has one for itself, and one that was used before where there is one, because it
 * has a connection that is open.
 *
 * Threads: any. Ownership: options are borrowed for the pool's life, in which
 * connections_max is how many requests are under way at once; more wait.
 */
#ifndef NET_HTTP_CLIENT_POOL_H
#define NET_HTTP_CLIENT_POOL_H

#include "net/http_client.h"

struct http_client_pool;

MUST_USE struct http_client_pool *
http_client_pool_new(const struct http_client_options *options);
/* Nobody may be in http_client_pool_do(). Accepts NULL. */
void http_client_pool_free(struct http_client_pool *pool);
/* As http_client_do(). */
MUST_USE enum err_code http_client_pool_do(struct http_client_pool *pool,
					   struct http_exchange *exchange, struct err *err);

#endif
