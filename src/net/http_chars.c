#include "net/http_chars.h"

#include <strings.h>

enum http_step http_line(struct slice bytes, size_t at, struct slice *ret_line)
{
	const char *start = bytes.ptr + at;
	size_t left = bytes.len - at;
	const char *lf = left ? memchr(start, '\n', left) : NULL;
	size_t len = lf ? (size_t)(lf - start) + 1 : left;
	const char *cr = len ? memchr(start, '\r', len) : NULL;

	if (!lf)
		return !cr || cr == start + len - 1 ? HTTP_MORE : HTTP_REFUSED;
	if (!cr || cr != lf - 1)
		return HTTP_REFUSED;
	*ret_line = slice_of(start, len - 2);
	return HTTP_DONE;
}

bool http_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool http_is_token(char c)
{
	return http_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

int http_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool http_unescape(struct slice text, bool plus, char *to, size_t *ret_len)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%') {
			int high = i + 2 < text.len ? http_hex_value(text.ptr[i + 1]) : -1;
			int low = i + 2 < text.len ? http_hex_value(text.ptr[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		to[len++] = c;
	}
	*ret_len = len;
	return true;
}

bool slice_is_nocase(struct slice a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

struct slice slice_trim(struct slice a)
{
	while (a.len > 0 && (a.ptr[0] == ' ' || a.ptr[0] == '\t'))
		a = slice_from(a, 1);
	while (a.len > 0 && (a.ptr[a.len - 1] == ' ' || a.ptr[a.len - 1] == '\t'))
		a.len--;
	return a;
}
