#include "cmd/sql_split.h"

#include <ctype.h>

static bool sql_is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static char char_at(struct slice text, size_t at) { return at < text.len ? text.ptr[at] : '\0'; }

/* Behind a quoted text; with `escapes` a backslash takes the next character with it. Of a doubled
 * quote the second one begins another text, which comes to the same. */
static size_t skip_quoted(struct slice text, size_t at, bool escapes)
{
	char quote = text.ptr[at++];

	while (at < text.len && text.ptr[at] != quote)
		at += escapes && text.ptr[at] == '\\' ? 2 : 1;
	return at < text.len ? at + 1 : text.len;
}

/* Comments nest. */
static size_t sql_skip_comment(struct slice text, size_t at)
{
	size_t depth = 0;

	do {
		char c = text.ptr[at], next = char_at(text, at + 1);

		if (c == '/' && next == '*')
			depth++;
		else if (c == '*' && next == '/')
			depth--;
		else
			next = '\0';
		at += next ? 2 : 1;
	} while (depth > 0 && at < text.len);
	return at;
}

static size_t skip_line(struct slice text, size_t at)
{
	while (at < text.len && text.ptr[at] != '\n')
		at++;
	return at;
}

/* Behind $tag$ … $tag$; behind the dollar, if it begins none. */
static size_t skip_dollars(struct slice text, size_t at)
{
	size_t end = at + 1;
	const char *close;

	while (sql_is_word(char_at(text, end)))
		end++;
	if (char_at(text, end) != '$' || (at > 0 && sql_is_word(text.ptr[at - 1])))
		return at + 1;
	end++;
	close = memmem(text.ptr + end, text.len - end, text.ptr + at, end - at);
	return close ? (size_t)(close - text.ptr) + end - at : text.len;
}

static bool begins_escapes(struct slice text, size_t at)
{
	return at > 0 && (text.ptr[at - 1] | 0x20) == 'e' &&
	       (at == 1 || !sql_is_word(text.ptr[at - 2]));
}

/* Behind what begins there, a character or more; *ret_blank: it says nothing. */
static size_t skip_one(struct slice text, size_t at, bool *ret_blank)
{
	char c = text.ptr[at], next = char_at(text, at + 1);

	*ret_blank = true;
	if (c == '-' && next == '-')
		return skip_line(text, at);
	if (c == '/' && next == '*')
		return sql_skip_comment(text, at);
	*ret_blank = isspace((unsigned char)c);
	if (c == '\'' || c == '"')
		return skip_quoted(text, at, c == '\'' && begins_escapes(text, at));
	return c == '$' ? skip_dollars(text, at) : at + 1;
}

static int lines_before(struct slice text, size_t at)
{
	int lines = 0;

	for (size_t i = 0; i < at; i++)
		lines += text.ptr[i] == '\n';
	return lines;
}

bool sql_split_next(struct slice text, size_t *at, struct sql_piece *ret_piece)
{
	size_t from = *at, end = *at;
	bool empty = true;

	while (end < text.len) {
		bool blank;
		size_t next = skip_one(text, end, &blank);

		if (text.ptr[end] != ';') {
			empty &= blank;
			end = next;
			continue;
		}
		if (!empty)
			break;
		from = end = next;
	}
	end = end < text.len ? end : text.len;
	*at = end < text.len ? end + 1 : end;
	*ret_piece = (struct sql_piece){ .sql = slice_of(text.ptr + from, end - from),
					 .line = 1 + lines_before(text, from),
					 .ended = end < text.len };
	return !empty;
}

void sql_put_line(struct slice text, struct buf *out)
{
	for (size_t at = 0, next; at < text.len; at = next) {
		bool blank;

		next = skip_one(text, at, &blank);
		if (text.ptr[at] == '-' && char_at(text, at + 1) == '-')
			continue;
		for (size_t i = at; i < next && i < text.len; i++)
			buf_add_char(out, text.ptr[i] == '\n' ? ' ' : text.ptr[i]);
	}
}
