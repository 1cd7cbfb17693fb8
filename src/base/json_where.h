/*
 * json_where.h - where a text stops being JSON, and why: json_check.h says only
 * that it does. Slow and never asked for good texts. Only json.c includes it.
 */
#ifndef BASE_JSON_WHERE_H
#define BASE_JSON_WHERE_H

#include "base/slice.h"

struct json_fault {
	size_t at;		/* offset of the byte; the length: at the end */
	const char *what;
};

/* `what` of a text that is JSON as far as it was read, but nested too deeply. */
extern const char json_too_deep[];

/* False: no fault was found. */
bool json_where(struct slice text, unsigned depth_max, struct json_fault *ret);

/* Length of the UTF-8 sequence at `s` (RFC 3629: shortest form, no surrogates), or 0. In
 * json_write.c. */
size_t json_utf8_len(const unsigned char *s, size_t left);

#endif
