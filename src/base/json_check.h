/*
 * json_check.h - whether tokens are JSON (RFC 8259). Only json.c includes it.
 *
 * The verdict is that of simdjson's DOM (tests/fuzz compares the two), but for
 * numbers: RFC 8259 sets no bound to them, so there is none here.
 */
#ifndef BASE_JSON_CHECK_H
#define BASE_JSON_CHECK_H

#include "base/json.h"
#include "base/json_simdjson.h"

struct json_facts {
	bool gaps;		/* there is white space between tokens */
	bool escapes;		/* there is a backslash, in some string */
};

/* Where the check notes what it finds. */
struct json_room {
	uint32_t *close;	/* by an opening bracket's token, of all: the closing one's */
	uint32_t *open;		/* for `depth_max`; brackets that are open, outermost first */
	unsigned depth_max;
};

/* Checks grammar, nesting and escapes. */
bool json_check(struct slice text, struct simd_tokens tokens, const struct json_room *room,
		struct json_facts *ret_facts);

/* What json_check() has found good: */

static inline bool json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Where the token's bytes end: what separates it from the next one is white space only. */
static inline size_t json_token_end(const char *text, struct simd_tokens tokens, uint32_t token)
{
	size_t end = tokens.at[token + 1];

	while (json_is_space(text[end - 1]))
		end--;
	return end;
}

/* The number's text has a fraction or an exponent. */
bool json_is_real(struct slice number);
/* Of a number without either; false: it does not fit. */
bool json_fits_i64(struct slice number, int64_t *ret);
bool json_fits_u64(struct slice number);
/* The bytes that a string's text, without its quotes, stands for, into `out`, which has room for as
 * many as the text has; returns how many there are. */
size_t json_unescape(struct slice text, char *out);

#endif
