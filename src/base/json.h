/*
 * json.h - JSON text (RFC 8259), read by simdjson's first stage and
 * json_check.c, written into a struct buf.
 *
 * Reading: json_parse() checks the whole text (grammar, UTF-8, nesting), then
 * the document is walked with the json_* calls below. What a value means is
 * worked out when it is asked for, so that text which is only carried on costs
 * no more than its check, and a number that nobody here could hold is no fault
 * of the text: it is a JSON_BIG. Nothing recurses, so nesting over the limit is
 * an error, not a crash.
 *
 * Ownership: a document and every slice read from it live until the next
 * json_parse*() with the same parser. A parser keeps its memory for reuse,
 * unless one large text made it grow past what others need.
 * Threads: one thread a parser.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"

enum { JSON_DEPTH_MAX = 64, JSON_PADDING = 64, JSON_NUMBER_MAX = 32 };

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,		/* fits int64 */
	JSON_UINT,		/* above INT64_MAX, fits uint64 */
	JSON_DOUBLE,
	JSON_BIG,		/* a whole number over 64 bits, or one over what a double holds */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_parser;

/* A value inside a parsed document: two words, passed by value. */
struct json {
	const struct json_parser *doc;
	uint32_t token;		/* its first one */
};

/* Walks an array or an object; see json_next(). */
struct json_iter {
	struct json value;	/* the current element or member value */
	struct slice key;	/* the current member's name, unescaped; objects only */
	struct json next;
	uint32_t end;
	bool object;
};

/* Texts of at most `bytes_max`, itself below 4 GiB. */
MUST_USE struct json_parser *json_parser_new(size_t bytes_max);
/* The same for texts of this program's own that nest deeper, down to `depth_max`: to be walked with
 * json_iter() alone. */
MUST_USE struct json_parser *json_parser_new_deep(size_t bytes_max, unsigned depth_max);
void json_parser_free(struct json_parser *parser);	/* accepts NULL */

/*
 * Parse one whole text. ERR_SYNTAX: not JSON, or nested deeper than
 * JSON_DEPTH_MAX (the message says what and at which byte where known);
 * ERR_LIMIT: longer than bytes_max.
 */
MUST_USE enum err_code json_parse(struct json_parser *parser, struct slice text,
				  struct json *ret_root, struct err *err);
/* The same without a copy: JSON_PADDING bytes after the text may be read, whatever they
 * hold, and the text stays as it is while the document is used. */
MUST_USE enum err_code json_parse_padded(struct json_parser *parser, struct slice text,
					 struct json *ret_root, struct err *err);

/* A text as some editors and tools save it: its UTF-8 byte order mark is no part of it. */
static inline struct slice json_without_bom(struct slice text)
{
	return text.ptr && slice_starts(text, "\xef\xbb\xbf") ? slice_from(text, 3) : text;
}

enum json_type json_type(struct json value);
/* Of the wrong type: false, and *ret untouched. */
bool json_get_bool(struct json value, bool *ret);
bool json_get_i64(struct json value, int64_t *ret);
bool json_get_double(struct json value, double *ret);	/* any number of a double's range */
bool json_get_string(struct json value, struct slice *ret);	/* unescaped; may hold NUL */
/* The value as it was written, without white space around it. */
struct slice json_text(struct json value);

/* Members in the order of the text, repeated names included. False at the end. */
struct json_iter json_iter(struct json container);	/* an array or an object */
bool json_next(struct json_iter *iter);
/* The first member of that name. */
bool json_member(struct json object, const char *name, struct json *ret);
/* Elements of an array or members of an object. */
size_t json_count(struct json container);

/* A parsed value in Jackson's compact form: as it was written, names, escapes and digits of
 * numbers included, but without the white space between tokens. */
void json_put(struct buf *out, struct json value);
/* The same form: in the parsed text itself, if the value is compact there, else put into `room`. */
struct slice json_compact(struct buf *room, struct json value);
/* A string with its quotes, escaped as RFC 8259 wants. UTF-8 is kept as it is; a byte that is
 * none becomes U+FFFD, so that what is written is always JSON. */
void json_put_string(struct buf *out, struct slice s);
/* Shortest text that reads back as the same double, never that of an integer; `null` for NaN
 * and infinities. */
void json_put_double(struct buf *out, double value);
/* The same digits of a finite value as d.ddde-05, no NUL; returns their length. */
size_t json_scientific(double value, char text[JSON_NUMBER_MAX]);

#endif
