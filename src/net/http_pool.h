/*
 * http_pool.h - the buffers of all connections: taken for a turn, given back
 * when empty, so that memory follows the work and not the connections.
 *
 * Sizes are powers of two. What is given back is kept for the next taker
 * (last in, first out: still in the cache) up to a small sum, then freed.
 * Threads: the loop thread.
 */
#ifndef NET_HTTP_POOL_H
#define NET_HTTP_POOL_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_POOL_CLASSES = 24 };	/* 1 KiB to 8 GiB */

struct http_pool_free {
	struct http_pool_free *next;
};

struct http_pool {
	struct http_pool_free *free[HTTP_POOL_CLASSES];
	size_t kept_bytes;
	size_t used_bytes;
	size_t used_bytes_max;
};

/* Bytes [at, len) are waiting; zero is a buffer without memory. */
struct http_buf {
	char *ptr;
	size_t at;
	size_t len;
	size_t cap;
};

void http_pool_init(struct http_pool *pool, size_t used_bytes_max);
void http_pool_release(struct http_pool *pool);

/* Room for `room` more bytes behind len; moves what is waiting. False: the pool is at its bound. */
bool http_buf_reserve(struct http_pool *pool, struct http_buf *buf, size_t room);
/* Gives back memory that the waiting bytes do not need. */
void http_buf_shrink(struct http_pool *pool, struct http_buf *buf);
void http_buf_release(struct http_pool *pool, struct http_buf *buf);

static inline size_t http_buf_waiting(const struct http_buf *buf) { return buf->len - buf->at; }

#endif
