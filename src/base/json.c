#include "base/json.h"

#include "base/json_simdjson.h"
#include "base/json_where.h"
#include "base/mem.h"

#include <assert.h>

enum { PAYLOAD_BITS = 56, COUNT_SHIFT = 32, COUNT_SATURATED = 0xffffff };
static_assert((int)JSON_PADDING == (int)SIMD_PADDING &&
	      (int)JSON_NUMBER_MAX == (int)SIMD_NUMBER_MAX, "json_simdjson.h says the same");

struct json_parser {
	struct simd_parser *simd;
	struct simd_doc doc;
	struct slice text;	/* what doc.tokens point into */
	uint32_t *close;	/* by the token of an opening bracket: the closing one */
	size_t close_room;
	struct buf copy;	/* of a text that came without padding */
};

struct json_parser *json_parser_new(size_t bytes_max)
{
	struct json_parser *parser = xcalloc(1, sizeof(*parser));

	assert(bytes_max < UINT32_MAX - JSON_PADDING);
	/* One level more, because simdjson does not count an empty innermost container;
	 * match_brackets() is exact. */
	parser->simd = simd_parser_new(bytes_max, JSON_DEPTH_MAX + 1);
	buf_init(&parser->copy, bytes_max + JSON_PADDING);
	return parser;
}

void json_parser_free(struct json_parser *parser)
{
	if (!parser)
		return;
	simd_parser_free(parser->simd);
	free(parser->close);
	buf_release(&parser->copy);
	free(parser);
}

static enum err_code refuse(enum simd_verdict verdict, struct slice text, struct err *err)
{
	struct json_fault fault;

	if (verdict == SIMD_EMPTY)
		return err_set(err, ERR_SYNTAX, "not JSON: the text is empty");
	if (verdict == SIMD_TOO_DEEP)
		return err_set(err, ERR_SYNTAX, "JSON nested deeper than %d levels",
			       JSON_DEPTH_MAX);
	if (!json_where(text, &fault))
		return err_set(err, ERR_SYNTAX, "not JSON");
	if (fault.at == text.len)
		return err_set(err, ERR_SYNTAX, "not JSON: at its end (byte %zu) %s", fault.at,
			       fault.what);
	return err_set(err, ERR_SYNTAX, "not JSON: at byte %zu %s", fault.at + 1, fault.what);
}

/* Of a text that is well formed. False: deeper than JSON_DEPTH_MAX. */
static bool match_brackets(struct json_parser *parser)
{
	const struct simd_doc *doc = &parser->doc;
	const char *text = parser->text.ptr;
	uint32_t open[JSON_DEPTH_MAX];
	size_t depth = 0;

	if (doc->token_count > parser->close_room) {
		parser->close_room = (size_t)doc->token_count * 2;
		free(parser->close);
		parser->close = xreallocarray(NULL, parser->close_room, sizeof(*parser->close));
	}
	for (uint32_t i = 0; i < doc->token_count; i++) {
		char c = (char)(text[doc->tokens[i]] | 0x20);	/* folds [ on { and ] on } */

		if (c == '{') {
			if (depth == JSON_DEPTH_MAX)
				return false;
			open[depth++] = i;
		} else if (c == '}') {
			assert(depth > 0);	/* simdjson has checked that they match */
			parser->close[open[--depth]] = i;
		}
	}
	return true;
}

enum err_code json_parse_padded(struct json_parser *parser, struct slice text,
				struct json *ret_root, struct err *err)
{
	enum simd_verdict verdict;

	if (text.len > parser->copy.max - JSON_PADDING)
		return err_set(err, ERR_LIMIT, "JSON text of %zu bytes, %zu are allowed", text.len,
			       parser->copy.max - JSON_PADDING);
	verdict = SIMD_EMPTY;
	if (text.len)
		verdict = simd_parse(parser->simd, text.ptr, text.len, &parser->doc);
	parser->text = text;
	if (verdict == SIMD_OK && !match_brackets(parser))
		verdict = SIMD_TOO_DEEP;
	if (verdict != SIMD_OK)
		return refuse(verdict, text, err);
	*ret_root = (struct json){ .doc = parser, .at = 1 };
	return ERR_OK;
}

enum err_code json_parse(struct json_parser *parser, struct slice text, struct json *ret_root,
			 struct err *err)
{
	static const char padding[JSON_PADDING];

	buf_clear(&parser->copy);
	buf_add_slice(&parser->copy, text);
	buf_add(&parser->copy, padding, sizeof(padding));
	if (!buf_full(&parser->copy))
		text.ptr = parser->copy.ptr;
	return json_parse_padded(parser, text, ret_root, err);
}

static uint64_t word(struct json value)
{
	return value.doc->doc.tape[value.at];
}

static char tag(struct json value)
{
	return (char)(word(value) >> PAYLOAD_BITS);
}

enum json_type json_type(struct json value)
{
	switch (tag(value)) {
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'l':
		return JSON_INT;
	case 'u':
		return JSON_UINT;
	case 'd':
		return JSON_DOUBLE;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return JSON_NULL;
	}
}

bool json_get_bool(struct json value, bool *ret)
{
	if (json_type(value) != JSON_BOOL)
		return false;
	*ret = tag(value) == 't';
	return true;
}

bool json_get_i64(struct json value, int64_t *ret)
{
	if (json_type(value) != JSON_INT)
		return false;
	*ret = (int64_t)value.doc->doc.tape[value.at + 1];
	return true;
}

bool json_get_double(struct json value, double *ret)
{
	uint64_t bits = value.doc->doc.tape[value.at + 1];

	switch (json_type(value)) {
	case JSON_INT:
		*ret = (double)(int64_t)bits;
		return true;
	case JSON_UINT:
		*ret = (double)bits;
		return true;
	case JSON_DOUBLE:
		memcpy(ret, &bits, sizeof(*ret));
		return true;
	default:
		return false;
	}
}

static struct slice string_at(struct json value)
{
	const uint8_t *p = value.doc->doc.strings +
			   (word(value) & (((uint64_t)1 << PAYLOAD_BITS) - 1));
	uint32_t len;

	memcpy(&len, p, sizeof(len));
	return slice_of(p + sizeof(len), len);
}

bool json_get_string(struct json value, struct slice *ret)
{
	if (json_type(value) != JSON_STRING)
		return false;
	*ret = string_at(value);
	return true;
}

/* The word after a value. */
static uint32_t at_after(struct json value)
{
	switch (json_type(value)) {
	case JSON_INT:
	case JSON_UINT:
	case JSON_DOUBLE:
		return value.at + 2;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return (uint32_t)word(value);
	default:
		return value.at + 1;
	}
}

static uint32_t token_last(struct json value)
{
	char c = tag(value);

	return c == '{' || c == '[' ? value.doc->close[value.token] : value.token;
}

struct json_iter json_iter(struct json container)
{
	return (struct json_iter){
		.next = { container.doc, container.at + 1, container.token + 1 },
		.end = at_after(container) - 1,
		.object = tag(container) == '{',
	};
}

bool json_next(struct json_iter *iter)
{
	if (iter->next.at >= iter->end)
		return false;
	if (iter->object) {
		iter->key = string_at(iter->next);
		iter->next.at += 1;
		iter->next.token += 2;	/* the name and the colon */
	}
	iter->value = iter->next;
	iter->next.at = at_after(iter->value);
	iter->next.token = token_last(iter->value) + 2;	/* and the comma */
	return true;
}

bool json_member(struct json object, const char *name, struct json *ret)
{
	struct json_iter iter = json_iter(object);

	if (!iter.object)
		return false;
	while (json_next(&iter))
		if (slice_is(iter.key, name)) {
			*ret = iter.value;
			return true;
		}
	return false;
}

size_t json_count(struct json container)
{
	size_t count = (word(container) >> COUNT_SHIFT) & COUNT_SATURATED;
	struct json_iter iter;

	if (count < COUNT_SATURATED)
		return count;
	iter = json_iter(container);
	for (count = 0; json_next(&iter); )
		count++;
	return count;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Where the token's bytes end: what separates it from the next one is white space only. */
static size_t token_end(const struct json_parser *doc, uint32_t token)
{
	size_t end = token + 1 < doc->doc.token_count ? doc->doc.tokens[token + 1] : doc->text.len;

	while (is_space(doc->text.ptr[end - 1]))
		end--;
	return end;
}

struct slice json_text(struct json value)
{
	size_t start = value.doc->doc.tokens[value.token];

	return slice_of(value.doc->text.ptr + start,
			token_end(value.doc, token_last(value)) - start);
}

/* White space before token i + 1. */
static bool gap_after(const struct json_parser *doc, uint32_t i)
{
	return is_space(doc->text.ptr[doc->doc.tokens[i + 1] - 1]);
}

void json_put(struct buf *out, struct json value)
{
	const char *text = value.doc->text.ptr;
	const uint32_t *tokens = value.doc->doc.tokens;
	uint32_t last = token_last(value);
	size_t start = tokens[value.token];

	/* Runs of tokens without a gap are copied as one. */
	for (uint32_t i = value.token; i < last; i++) {
		if (!gap_after(value.doc, i))
			continue;
		buf_add(out, text + start, token_end(value.doc, i) - start);
		start = tokens[i + 1];
	}
	buf_add(out, text + start, token_end(value.doc, last) - start);
}

struct slice json_compact(struct buf *room, struct json value)
{
	uint32_t last = token_last(value);
	size_t start = room->len;

	for (uint32_t i = value.token; i < last; i++)
		if (gap_after(value.doc, i)) {
			json_put(room, value);
			return slice_of(room->ptr + start, room->len - start);
		}
	return json_text(value);
}
