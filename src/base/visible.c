#include "base/visible.h"

#include "base/json_where.h"

static bool is_order(const unsigned char *s, size_t len, bool lines)
{
	if (len == 1)
		return (*s < 0x20 && !(lines && (*s == '\t' || *s == '\n'))) || *s == 0x7f;
	return len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

void visible_put(struct buf *out, struct slice text, bool lines)
{
	const unsigned char *s = (const unsigned char *)text.ptr;
	size_t plain = 0;	/* what is written as it is begins here */

	for (size_t i = 0, len; i < text.len; i += len) {
		len = json_utf8_len(s + i, text.len - i);
		if (len > 0 && !is_order(s + i, len, lines))
			continue;
		buf_add(out, text.ptr + plain, i - plain);
		/* Of a C1 character its second byte is the code. */
		buf_addf(out, "\\x%02x", s[i + (len > 1)]);
		len += len == 0;
		plain = i + len;
	}
	buf_add(out, text.ptr + plain, text.len - plain);
}
