#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { BAD = 64 };	/* has a bit that no digit's value has */

static unsigned value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : BAD;
}

static void put_group(char *to, const unsigned char *from, size_t len)
{
	unsigned bits = (unsigned)from[0] << 16 | (len > 1 ? (unsigned)from[1] << 8 : 0) |
			(len > 2 ? from[2] : 0);

	to[0] = digits[bits >> 18];
	to[1] = digits[bits >> 12 & 63];
	to[2] = len > 1 ? digits[bits >> 6 & 63] : '=';
	to[3] = len > 2 ? digits[bits & 63] : '=';
}

void base64_put(struct buf *out, struct slice bytes)
{
	const unsigned char *from = (const unsigned char *)bytes.ptr;
	size_t groups = (bytes.len + 2) / 3;
	char *to = buf_room(out, groups * 4);

	if (!to)
		return;
	for (size_t i = 0; i < bytes.len; i += 3)
		put_group(to + i / 3 * 4, from + i, bytes.len - i);
	buf_grew(out, groups * 4);
}

void base64_put_url(struct buf *out, struct slice bytes)
{
	size_t start = out->len, end;

	base64_put(out, bytes);
	for (end = start; end < out->len && out->ptr[end] != '='; end++) {
		char *digit = &out->ptr[end];

		*digit = *digit == '+' ? '-' : *digit == '/' ? '_' : *digit;
	}
	out->len = end;
}

/* Four digits, of which the last `padding` are "="; false: not that. */
static bool get_group(char *to, const char *from, size_t padding)
{
	unsigned a = value_of(from[0]);
	unsigned b = value_of(from[1]);
	unsigned c = padding > 1 ? 0 : value_of(from[2]);
	unsigned d = padding > 0 ? 0 : value_of(from[3]);
	unsigned bits = a << 18 | b << 12 | c << 6 | d;

	if ((a | b | c | d) & BAD)
		return false;
	to[0] = (char)(bits >> 16);
	if (padding < 2)
		to[1] = (char)(bits >> 8);
	if (padding < 1)
		to[2] = (char)bits;
	return (bits & ((1u << (8 * padding)) - 1)) == 0;
}

bool base64_decode(struct buf *out, struct slice text)
{
	size_t padding = 0;
	size_t len = text.len / 4 * 3;
	char *to;

	if (text.len % 4)
		return false;
	if (text.len)
		padding = text.ptr[text.len - 1] != '=' ? 0 : text.ptr[text.len - 2] != '=' ? 1 : 2;
	to = buf_room(out, len);
	if (!to)
		return false;
	for (size_t i = 0; i < text.len; i += 4)
		if (!get_group(to + i / 4 * 3, text.ptr + i, i + 4 == text.len ? padding : 0))
			return false;
	buf_grew(out, len - padding);
	return true;
}
