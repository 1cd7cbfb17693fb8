/*
 * buf.h - a growing byte buffer with a maximum.
 *
 * Passing the maximum is not an error at the call: the buffer keeps what fits
 * in whole appends, remembers that it overflowed, and buf_full() tells. So a
 * function writes a whole reply and checks once at its end.
 *
 * Ownership: the caller owns the struct; buf_release() frees the bytes.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
	char *ptr;
	size_t len;
	size_t cap;
	size_t max;		/* bytes; len never passes it */
	bool full;		/* an append did not fit and was left out */
};

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
/* Empty again, not full; keeps its memory. */
void buf_clear(struct buf *buf);
/* Room for `len` more bytes: a pointer to them, not yet counted
 * (see buf_grew), or NULL when full. */
char *buf_room(struct buf *buf, size_t len);

void buf_add(struct buf *buf, const void *ptr, size_t len);
void buf_addf(struct buf *buf, const char *fmt, ...) PRINTF(2, 3);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_add_i64(struct buf *buf, int64_t value);

static inline void buf_grew(struct buf *buf, size_t len) { buf->len += len; }
static inline void buf_add_char(struct buf *buf, char c) { buf_add(buf, &c, 1); }
static inline void buf_add_str(struct buf *buf, const char *s) { buf_add(buf, s, strlen(s)); }
static inline void buf_add_slice(struct buf *buf, struct slice s) { buf_add(buf, s.ptr, s.len); }
static inline struct slice buf_slice(const struct buf *buf) { return slice_of(buf->ptr, buf->len); }
static inline bool buf_full(const struct buf *buf) { return buf->full; }
/* The bytes as a C string; valid until the next append. */
const char *buf_cstr(struct buf *buf);

#endif
