#include "base/buf.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void buf_release(struct buf *buf)
{
	free(buf->ptr);
	*buf = (struct buf){ .max = buf->max };
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->full = false;
}

char *buf_room(struct buf *buf, size_t len)
{
	size_t need;

	if (len > buf->max - buf->len) {
		buf->full = true;
		return NULL;
	}
	need = buf->len + len + 1;	/* one more for buf_cstr() */
	if (need > buf->cap) {
		size_t cap = buf->cap ? buf->cap * 2 : BUF_FIRST;

		buf->cap = cap > need ? cap : need;
		buf->ptr = xreallocarray(buf->ptr, buf->cap, 1);
	}
	return buf->ptr + buf->len;
}

void buf_add(struct buf *buf, const void *ptr, size_t len)
{
	char *to = buf_room(buf, len);

	if (!to || len == 0)
		return;
	memcpy(to, ptr, len);
	buf->len += len;
}

void buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *to;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	to = buf_room(buf, (size_t)n);
	if (!to)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_add_i64(struct buf *buf, int64_t value)
{
	if (value < 0)
		buf_add_char(buf, '-');
	buf_add_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

const char *buf_cstr(struct buf *buf)
{
	if (!buf->ptr)
		return "";
	buf->ptr[buf->len] = '\0';	/* buf_room() kept a byte for it */
	return buf->ptr;
}
