#include "base/json_check.h"

#include <assert.h>

enum want { VALUE = 1, NAME = 2, COLON = 4, COMMA = 8, END = 16 };

struct walk {
	const char *text;
	struct simd_tokens tokens;
	const struct json_room *room;
	unsigned depth;
	bool in_object;
	unsigned want;			/* bits of enum want */
	const char *escape;		/* the next backslash; NULL: there is none */
	const char *end;
};

static bool json_check_is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *json_check_skip_digits(const char *p, const char *end)
{
	while (p < end && json_check_is_digit(*p))
		p++;
	return p;
}

bool json_is_real(struct slice number)
{
	for (size_t i = 0; i < number.len; i++)
		if (number.ptr[i] == '.' || (number.ptr[i] | 0x20) == 'e')
			return true;
	return false;
}

/* The magnitude and its sign; false: over 64 bits. */
static bool take_whole(struct slice number, uint64_t *ret, bool *ret_negative)
{
	uint64_t value = 0;
	size_t i = number.ptr[0] == '-';

	*ret_negative = i == 1;
	for (; i < number.len; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(number.ptr[i] - '0'), &value))
			return false;
	*ret = value;
	return true;
}

bool json_fits_u64(struct slice number)
{
	uint64_t value;
	bool negative;

	return take_whole(number, &value, &negative) && !negative;
}

bool json_fits_i64(struct slice number, int64_t *ret)
{
	uint64_t value;
	bool negative;

	if (!take_whole(number, &value, &negative) || value > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = (int64_t)(negative ? 0 - value : value);
	return true;
}

static bool check_number(struct slice number)
{
	const char *end = number.ptr + number.len;
	const char *p = number.ptr + (number.ptr[0] == '-');
	const char *digits = p;

	p = json_check_skip_digits(p, end);
	if (p == digits || (*digits == '0' && p > digits + 1))
		return false;
	if (p < end && *p == '.') {
		digits = ++p;
		p = json_check_skip_digits(p, end);
		if (p == digits)
			return false;
	}
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		p = json_check_skip_digits(p, end);
		if (p == digits)
			return false;
	}
	return p == end;
}

static bool check_scalar(struct slice token)
{
	switch (token.ptr[0]) {
	case 't':
		return slice_is(token, "true");
	case 'f':
		return slice_is(token, "false");
	case 'n':
		return slice_is(token, "null");
	default:
		return check_number(token);
	}
}

/* The value of the four hex digits at `p`, or over 0xffff. */
static uint32_t json_check_hex4(const char *p, const char *end)
{
	uint32_t value = 0;

	if (end - p < 4)
		return UINT32_MAX;
	for (int i = 0; i < 4; i++) {
		char lower = (char)(p[i] | 0x20);

		if (json_check_is_digit(p[i]))
			value = value << 4 | (uint32_t)(p[i] - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value << 4 | (uint32_t)(lower - 'a' + 10);
		else
			return UINT32_MAX;
	}
	return value;
}

/*
 * The character that the escape at `p`, a backslash, stands for, and where the
 * escape ends. NULL: it is none, or half of a surrogate pair (RFC 8259 7).
 */
static const char *take_escape(const char *p, const char *end, uint32_t *ret)
{
	static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *name;
	uint32_t low;

	if (end - p < 2)
		return NULL;
	if (p[1] != 'u') {
		name = p[1] ? strchr(names, p[1]) : NULL;
		*ret = name ? (unsigned char)means[name - names] : 0;
		return name ? p + 2 : NULL;
	}
	*ret = json_check_hex4(p + 2, end);
	if (*ret > 0xffff || (*ret >= 0xdc00 && *ret <= 0xdfff))
		return NULL;
	p += 6;
	if (*ret < 0xd800 || *ret > 0xdfff)
		return p;
	low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? json_check_hex4(p + 2, end) : 0;
	if (low < 0xdc00 || low > 0xdfff)
		return NULL;
	*ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
	return p + 6;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*out++ = (char)(0xe0 | c >> 12);
		} else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

size_t json_unescape(struct slice text, char *out)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	char *to = out;

	while (p < end) {
		const char *escape = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((escape ? escape : end) - p);
		uint32_t c = 0;

		memcpy(to, p, plain);
		to += plain;
		if (!escape)
			break;
		p = take_escape(escape, end, &c);
		assert(p);		/* it was checked */
		to = put_utf8(to, c);
	}
	return (size_t)(to - out);
}

/* From the walk's next backslash on, those before `end`. */
static bool check_escapes(struct walk *walk, const char *end)
{
	uint32_t c;

	while (walk->escape && walk->escape < end) {
		const char *p = take_escape(walk->escape, end, &c);

		if (!p)
			return false;
		walk->escape = memchr(p, '\\', (size_t)(walk->end - p));
	}
	return true;
}

/* The first stage has seen to it that a string is closed, and that its quote ends the token. */
static bool take_string(struct walk *walk, uint32_t token)
{
	const char *next = walk->text + walk->tokens.at[token + 1];

	if (!(walk->want & (VALUE | NAME)))
		return false;
	walk->want = walk->want & NAME ? COLON : COMMA | END;
	if (!walk->escape || walk->escape >= next)
		return true;
	return check_escapes(walk,
			     walk->text + json_token_end(walk->text, walk->tokens, token) - 1);
}

static bool take_scalar(struct walk *walk, uint32_t token)
{
	size_t start = walk->tokens.at[token];
	size_t end = json_token_end(walk->text, walk->tokens, token);

	if (!(walk->want & VALUE))
		return false;
	walk->want = COMMA | END;
	return check_scalar(slice_of(walk->text + start, end - start));
}

static bool take_open(struct walk *walk, uint32_t token, bool object)
{
	if (!(walk->want & VALUE) || walk->depth == walk->room->depth_max)
		return false;
	walk->room->open[walk->depth++] = token;
	walk->in_object = object;
	walk->want = object ? NAME | END : VALUE | END;
	return true;
}

static bool json_check_take_close(struct walk *walk, uint32_t token, bool object)
{
	if (!(walk->want & END) || walk->depth == 0 || walk->in_object != object)
		return false;
	walk->room->close[walk->room->open[--walk->depth]] = token;
	if (walk->depth)
		walk->in_object =
			walk->text[walk->tokens.at[walk->room->open[walk->depth - 1]]] == '{';
	walk->want = COMMA | END;
	return true;
}

static bool take_token(struct walk *walk, uint32_t token)
{
	char c = walk->text[walk->tokens.at[token]];

	switch (c) {
	case '"':
		return take_string(walk, token);
	case ':':
		if (walk->want != COLON)
			return false;
		walk->want = VALUE;
		return true;
	case ',':
		if (!(walk->want & COMMA) || walk->depth == 0)
			return false;
		walk->want = walk->in_object ? NAME : VALUE;
		return true;
	case '{':
	case '[':
		return take_open(walk, token, c == '{');
	case '}':
	case ']':
		return json_check_take_close(walk, token, c == '}');
	default:
		return take_scalar(walk, token);
	}
}

/* The token's first byte is `c`, and the byte before it is `before`. */
static bool is_pair(const struct walk *walk, uint32_t token, char before, char c)
{
	const char *at = walk->text + walk->tokens.at[token];

	return at[-1] == before && at[0] == c;
}

static bool is_plain_until(const struct walk *walk, uint32_t token)
{
	return !walk->escape || walk->escape > walk->text + walk->tokens.at[token];
}

/*
 * Members whose value is a string, without gaps or escapes, are the most of what comes: as
 * take_token() four times, from the name at `token` on. Returns the first token that it left.
 */
static uint32_t take_plain_members(struct walk *walk, uint32_t token)
{
	while (walk->want & NAME && token + 3 < walk->tokens.count) {
		if (!(is_pair(walk, token, ',', '"') || is_pair(walk, token, '{', '"')) ||
		    !is_pair(walk, token + 1, '"', ':') || !is_plain_until(walk, token + 3))
			break;
		walk->want = VALUE;
		token += 2;
		if (!is_pair(walk, token, ':', '"') || !is_pair(walk, token + 1, '"', ','))
			break;
		walk->want = NAME;
		token += 2;
	}
	return token;
}

bool json_check(struct slice text, struct simd_tokens tokens, const struct json_room *room,
		struct json_facts *ret_facts)
{
	struct walk walk = {
		.text = text.ptr,
		.tokens = tokens,
		.room = room,
		.want = VALUE,
		.escape = memchr(text.ptr, '\\', text.len),
		.end = text.ptr + text.len,
	};
	bool gaps = false;

	ret_facts->escapes = walk.escape != NULL;
	for (uint32_t i = 0; i < tokens.count; i++) {
		if (walk.depth == 0 && i > 0)
			return false;	/* something is behind the value */
		i = take_plain_members(&walk, i);
		if (!take_token(&walk, i))
			return false;
		gaps |= i > 0 && json_is_space(text.ptr[tokens.at[i] - 1]);
	}
	ret_facts->gaps = gaps;
	return walk.depth == 0 && walk.want == (COMMA | END);
}
