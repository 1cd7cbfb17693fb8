#include "base/json_where.h"

#include "base/mem.h"

#include <ctype.h>

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_NAME, WANT_NAME_OR_END, WANT_COLON, WANT_COMMA,
	    WANT_NOTHING };

const char json_too_deep[] = "it is nested too deeply";

static const char *const wanted[] = {
	[WANT_VALUE] = "a value is missing",
	[WANT_NAME] = "a name in quotes is missing",
	[WANT_NAME_OR_END] = "a name in quotes or } is missing",
	[WANT_COLON] = "a colon is missing",
	[WANT_COMMA] = "a comma or the closing bracket is missing",
	[WANT_NOTHING] = "there is something behind the value",
};

struct scan {
	struct slice text;
	size_t at;
	char *open;			/* { or [, outermost first */
	size_t depth, depth_max;
	const char *fault;
};

static int peek(const struct scan *scan)
{
	return scan->at < scan->text.len ? (unsigned char)scan->text.ptr[scan->at] : -1;
}

static bool json_where_fail(struct scan *scan, const char *what)
{
	scan->fault = what;
	return false;
}

/* The four digits of a \u escape, or -1. */
static long json_where_hex4(struct scan *scan)
{
	long value = 0;

	for (int i = 0; i < 4; i++) {
		int c = peek(scan);

		if (!isxdigit(c))
			return -1;
		value = value * 16 + (isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
		scan->at++;
	}
	return value;
}

static bool skip_escape(struct scan *scan)
{
	int c = peek(scan);
	long unit;

	if (c <= 0 || !strchr("\"\\/bfnrtu", c))
		return json_where_fail(scan, "there is no such escape");
	scan->at++;
	if (c != 'u')
		return true;
	unit = json_where_hex4(scan);
	if (unit < 0)
		return json_where_fail(scan, "\\u wants four hex digits");
	if (unit < 0xd800 || unit > 0xdfff)
		return true;
	if (unit < 0xdc00 && peek(scan) == '\\' && scan->at++ && peek(scan) == 'u' && scan->at++) {
		unit = json_where_hex4(scan);
		if (unit >= 0xdc00 && unit <= 0xdfff)
			return true;
	}
	return json_where_fail(scan, "half of a surrogate pair is missing");
}

static bool skip_string(struct scan *scan)
{
	for (scan->at++; peek(scan) >= 0; ) {
		int c = peek(scan);
		size_t len = json_utf8_len((const unsigned char *)scan->text.ptr + scan->at,
					   scan->text.len - scan->at);

		if (c < 0x20)
			return json_where_fail(scan,
					       "a control character in a string must be escaped");
		if (len == 0)
			return json_where_fail(scan, "this is not UTF-8");
		scan->at += len;
		if (c == '"')
			return true;
		if (c == '\\' && !skip_escape(scan))
			return false;
	}
	return json_where_fail(scan, "a string is not closed");
}

static bool json_where_skip_digits(struct scan *scan)
{
	size_t start = scan->at;

	while (isdigit(peek(scan)))
		scan->at++;
	return scan->at > start || json_where_fail(scan, "a digit is missing");
}

static bool skip_number(struct scan *scan)
{
	scan->at += peek(scan) == '-';
	if (peek(scan) == '0')
		scan->at++;
	else if (!json_where_skip_digits(scan))
		return false;
	if (peek(scan) == '.') {
		scan->at++;
		if (!json_where_skip_digits(scan))
			return false;
	}
	if ((peek(scan) | 0x20) == 'e' && peek(scan) >= 0) {
		scan->at++;
		scan->at += peek(scan) == '+' || peek(scan) == '-';
		if (!json_where_skip_digits(scan))
			return false;
	}
	return true;
}

static bool skip_word(struct scan *scan)
{
	static const char *const words[] = { "true", "false", "null" };

	for (int i = 0; i < 3; i++)
		if (slice_starts(slice_from(scan->text, scan->at), words[i])) {
			scan->at += strlen(words[i]);
			return true;
		}
	return json_where_fail(scan, wanted[WANT_VALUE]);
}

static enum want after_value(const struct scan *scan)
{
	return scan->depth ? WANT_COMMA : WANT_NOTHING;
}

/* A value, of a container only its bracket. */
static bool take_value(struct scan *scan, enum want *want)
{
	int c = peek(scan);

	if (c == '{' || c == '[') {
		if (scan->depth == scan->depth_max)
			return json_where_fail(scan, json_too_deep);
		scan->open[scan->depth++] = (char)c;
		scan->at++;
		*want = c == '{' ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
		return true;
	}
	*want = after_value(scan);
	if (c == '"')
		return skip_string(scan);
	return c == '-' || isdigit(c) ? skip_number(scan) : skip_word(scan);
}

/* Whether the next byte closes the innermost container; takes it then. */
static bool json_where_take_close(struct scan *scan, enum want *want)
{
	if (scan->depth == 0 || peek(scan) != (scan->open[scan->depth - 1] == '{' ? '}' : ']'))
		return false;
	scan->at++;
	scan->depth--;
	*want = after_value(scan);
	return true;
}

static bool take_sign(struct scan *scan, char sign, enum want then, enum want *want)
{
	if (peek(scan) != sign)
		return json_where_fail(scan, wanted[*want]);
	scan->at++;
	*want = then;
	return true;
}

static bool take_name(struct scan *scan, enum want *want)
{
	if (peek(scan) != '"')
		return json_where_fail(scan, wanted[*want]);
	*want = WANT_COLON;
	return skip_string(scan);
}

static bool json_where_step(struct scan *scan, enum want *want)
{
	bool in_object = scan->depth && scan->open[scan->depth - 1] == '{';

	switch (*want) {
	case WANT_VALUE_OR_END:
		return json_where_take_close(scan, want) || take_value(scan, want);
	case WANT_VALUE:
		return take_value(scan, want);
	case WANT_NAME_OR_END:
		return json_where_take_close(scan, want) || take_name(scan, want);
	case WANT_NAME:
		return take_name(scan, want);
	case WANT_COLON:
		return take_sign(scan, ':', WANT_VALUE, want);
	case WANT_COMMA:
		return json_where_take_close(scan, want) ||
		       take_sign(scan, ',', in_object ? WANT_NAME : WANT_VALUE, want);
	default:
		return json_where_fail(scan, wanted[*want]);
	}
}

bool json_where(struct slice text, unsigned depth_max, struct json_fault *ret)
{
	struct scan scan = { .text = text, .open = xcalloc(depth_max, 1), .depth_max = depth_max };
	enum want want = WANT_VALUE;
	bool good;

	do {
		while (peek(&scan) > 0 && strchr(" \t\r\n", peek(&scan)))
			scan.at++;
		good = want == WANT_NOTHING && peek(&scan) < 0;
	} while (!good && json_where_step(&scan, &want));
	free(scan.open);
	*ret = (struct json_fault){ scan.at, scan.fault };
	return !good;
}
