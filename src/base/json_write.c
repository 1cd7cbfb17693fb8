#include "base/json.h"
#include "base/json_simdjson.h"
#include "base/json_where.h"

#include <math.h>

static const char hex[] = "0123456789abcdef";

size_t json_utf8_len(const unsigned char *s, size_t left)
{
	unsigned char c = s[0];
	size_t len = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 :
		     c >= 0xf0 && c <= 0xf4 ? 4 : 0;

	if (len == 0 || len > left)
		return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
	    (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void put_escape(struct buf *out, unsigned char c)
{
	static const char named[] = "\b\f\n\r\t\"\\";
	static const char letter[] = "bfnrt\"\\";
	const char *at = c ? strchr(named, c) : NULL;
	char code[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	if (!at) {
		buf_add(out, code, sizeof(code));
		return;
	}
	code[1] = letter[at - named];
	buf_add(out, code, 2);
}

void json_put_string(struct buf *out, struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t start = 0;
	size_t i = 0;

	buf_add_char(out, '"');
	while (i < s.len) {
		unsigned char c = p[i];
		size_t len = c < 0x80 ? 1 : json_utf8_len(p + i, s.len - i);

		if (len && c >= 0x20 && c != '"' && c != '\\') {
			i += len;
			continue;
		}
		buf_add(out, p + start, i - start);
		if (len)
			put_escape(out, c);
		else
			buf_add_str(out, "\xef\xbf\xbd");
		start = ++i;
	}
	buf_add(out, p + start, i - start);
	buf_add_char(out, '"');
}

void json_put_double(struct buf *out, double value)
{
	char text[JSON_NUMBER_MAX];
	size_t len;

	if (!isfinite(value)) {
		buf_add_str(out, "null");
		return;
	}
	len = simd_put_double(value, text);
	buf_add(out, text, len);
	if (!memchr(text, '.', len) && !memchr(text, 'e', len))
		buf_add_str(out, ".0");
}

size_t json_scientific(double value, char text[JSON_NUMBER_MAX])
{
	return simd_put_scientific(value, text);
}
