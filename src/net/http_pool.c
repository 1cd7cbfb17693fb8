#include "net/http_pool.h"

#include "base/mem.h"
#include "net/http_server.h"

enum {
	CLASS_BYTES_MIN = 1024,
	KEPT_BYTES_MAX = 4 << 20,
	SHRINK_RATIO = 4,
	SMALL_BYTES_MAX = 64 << 10,
};

static size_t class_bytes(int class)
{
	return (size_t)CLASS_BYTES_MIN << class;
}

static int class_of(size_t bytes)
{
	int class = 0;

	while (class < HTTP_POOL_CLASSES && class_bytes(class) < bytes)
		class++;
	return class;
}

void http_pool_init(struct http_pool *pool, size_t used_bytes_max)
{
	*pool = (struct http_pool){ .used_bytes_max = used_bytes_max };
}

void http_pool_release(struct http_pool *pool)
{
	for (int class = 0; class < HTTP_POOL_CLASSES; class++) {
		struct http_pool_free *next;

		for (struct http_pool_free *at = pool->free[class]; at; at = next) {
			next = at->next;
			free(at);
		}
	}
	http_pool_init(pool, pool->used_bytes_max);
}

/* A quarter is kept for what is small, so that a few long bodies do not stop all requests. */
static size_t used_max(const struct http_pool *pool, size_t cap)
{
	size_t max = pool->used_bytes_max;

	return cap > SMALL_BYTES_MAX ? max - max / 4 : max;
}

/*
 * Counts what is handed out, not what is allocated: a buffer that is kept for
 * the next one is not held against anybody.
 */
static bool http_pool_take(struct http_pool *pool, size_t bytes, struct http_buf *buf)
{
	int class = class_of(bytes);
	size_t cap;

	if (class == HTTP_POOL_CLASSES)
		return false;
	cap = class_bytes(class);
	if (pool->used_bytes + cap > used_max(pool, cap))
		return false;
	*buf = (struct http_buf){ .ptr = (char *)pool->free[class], .cap = cap };
	if (buf->ptr) {
		pool->free[class] = pool->free[class]->next;
		pool->kept_bytes -= cap;
	} else {
		buf->ptr = xmalloc(cap + HTTP_BODY_PADDING);
	}
	pool->used_bytes += cap;
	return true;
}

static void give(struct http_pool *pool, char *ptr, size_t cap)
{
	struct http_pool_free *block = (struct http_pool_free *)(void *)ptr;
	int class = class_of(cap);

	pool->used_bytes -= cap;
	if (pool->kept_bytes + cap > KEPT_BYTES_MAX) {
		free(ptr);
		return;
	}
	block->next = pool->free[class];
	pool->free[class] = block;
	pool->kept_bytes += cap;
}

/* The waiting bytes into a buffer of at least `bytes`. */
static bool move(struct http_pool *pool, struct http_buf *buf, size_t bytes)
{
	struct http_buf to;

	if (!http_pool_take(pool, bytes, &to))
		return false;
	to.len = http_buf_waiting(buf);
	if (to.len > 0)
		memcpy(to.ptr, buf->ptr + buf->at, to.len);
	http_buf_release(pool, buf);
	*buf = to;
	return true;
}

bool http_buf_reserve(struct http_pool *pool, struct http_buf *buf, size_t room)
{
	size_t waiting = http_buf_waiting(buf);

	if (room <= buf->cap - buf->len)
		return true;
	if (room <= buf->cap - waiting) {
		memmove(buf->ptr, buf->ptr + buf->at, waiting);
		buf->at = 0;
		buf->len = waiting;
		return true;
	}
	return move(pool, buf, waiting + room);
}

void http_buf_shrink(struct http_pool *pool, struct http_buf *buf)
{
	size_t waiting = http_buf_waiting(buf);

	if (waiting == 0)
		http_buf_release(pool, buf);
	else if (buf->cap > CLASS_BYTES_MIN && buf->cap / SHRINK_RATIO >= waiting)
		(void)move(pool, buf, waiting * 2);	/* or else the large one serves */
}

void http_buf_release(struct http_pool *pool, struct http_buf *buf)
{
	if (buf->ptr)
		give(pool, buf->ptr, buf->cap);
	*buf = (struct http_buf){ 0 };
}
