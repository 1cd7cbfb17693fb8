#include "base/properties.h"

enum { SETTING_MAX = 64 << 10 };

struct properties {
	struct slice rest;
	size_t line; /* that `rest` begins in */
};

static bool properties_is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

static void properties_skip_blanks(struct properties *text)
{
	while (text->rest.len > 0 && properties_is_blank(text->rest.ptr[0]))
		text->rest = slice_from(text->rest, 1);
}

/* "\r\n", "\r" or "\n" at its front. */
static bool skip_line_end(struct properties *text)
{
	size_t len;

	if (text->rest.len == 0 || !strchr("\r\n", text->rest.ptr[0]) || !text->rest.ptr[0])
		return false;
	len = text->rest.len > 1 && memcmp(text->rest.ptr, "\r\n", 2) == 0 ? 2 : 1;
	text->rest = slice_from(text->rest, len);
	text->line++;
	return true;
}

static void skip_comment(struct properties *text)
{
	while (text->rest.len > 0 && !skip_line_end(text))
		text->rest = slice_from(text->rest, 1);
}

static void put_code_point(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | c >> 6));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xe0 | c >> 12));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* Four hexadecimal digits; of a pair of surrogates each by itself is none that UTF-8 has. */
static bool take_code_point(struct properties *text, struct buf *out)
{
	uint32_t c = 0;

	if (text->rest.len < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		char digit = text->rest.ptr[i];
		const char *at = digit ? strchr(digits, digit | 0x20) : NULL;

		if (!at)
			return false;
		c = c << 4 | (uint32_t)(at - digits);
	}
	text->rest = slice_from(text->rest, 4);
	if (c == 0 || (c >= 0xd800 && c < 0xe000))
		return false;
	put_code_point(out, c);
	return true;
}

/* What follows a backslash. */
static bool properties_take_escape(struct properties *text, struct buf *out)
{
	static const char names[] = "tnrf", stand_for[] = "\t\n\r\f";
	const char *at;
	char c;

	if (skip_line_end(text)) { /* the line goes on, without what it begins with */
		properties_skip_blanks(text);
		return true;
	}
	if (text->rest.len == 0)
		return true;
	c = text->rest.ptr[0];
	text->rest = slice_from(text->rest, 1);
	if (c == 'u')
		return take_code_point(text, out);
	at = c ? strchr(names, c) : NULL;
	buf_add_char(out, at ? stand_for[at - names] : c);
	return true;
}

/* Up to a character of `ends` or the line's end. */
static bool take_text(struct properties *text, const char *ends, struct buf *out)
{
	while (text->rest.len > 0 && text->rest.ptr[0] != '\n' && text->rest.ptr[0] != '\r') {
		char c = text->rest.ptr[0];

		if (c && strchr(ends, c))
			break;
		text->rest = slice_from(text->rest, 1);
		if (c != '\\')
			buf_add_char(out, c);
		else if (!properties_take_escape(text, out))
			return false;
	}
	return true;
}

static bool take_setting(struct properties *text, struct buf *name, struct buf *value)
{
	buf_clear(name);
	buf_clear(value);
	if (!take_text(text, "=: \t\f", name))
		return false;
	properties_skip_blanks(text);
	if (text->rest.len > 0 && (text->rest.ptr[0] == '=' || text->rest.ptr[0] == ':')) {
		text->rest = slice_from(text->rest, 1);
		properties_skip_blanks(text);
	}
	return take_text(text, "", value);
}

enum err_code properties_read(struct slice text,
			      enum err_code (*each)(void *user, size_t line, const char *name,
						    const char *value, struct err *err),
			      void *user, struct err *err)
{
	struct properties rest = { .rest = text, .line = 1 };
	enum err_code code = ERR_OK;
	struct buf name, value;

	buf_init(&name, SETTING_MAX);
	buf_init(&value, SETTING_MAX);
	while (rest.rest.len > 0 && code == ERR_OK) {
		size_t line;

		properties_skip_blanks(&rest);
		if (rest.rest.len == 0 || skip_line_end(&rest))
			continue;
		if (rest.rest.ptr[0] == '#' || rest.rest.ptr[0] == '!') {
			skip_comment(&rest);
			continue;
		}
		line = rest.line;
		if (!take_setting(&rest, &name, &value) || name.len == 0 || buf_full(&name) ||
		    buf_full(&value) || memchr(buf_cstr(&name), '\0', name.len) ||
		    memchr(buf_cstr(&value), '\0', value.len))
			code = err_set(err, ERR_SYNTAX, "line %zu is no setting", line);
		else
			code = each(user, line, buf_cstr(&name), buf_cstr(&value), err);
	}
	buf_release(&name);
	buf_release(&value);
	return code;
}
