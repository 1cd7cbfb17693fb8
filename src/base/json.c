#include "base/json.h"

#include "base/json_check.h"
#include "base/json_where.h"
#include "base/mem.h"

#include <assert.h>

enum { CAPACITY_FIRST = 16 * 1024, CAPACITY_KEPT_MAX = 1024 * 1024 };
static_assert((int)JSON_PADDING == (int)SIMD_PADDING &&
	      (int)JSON_NUMBER_MAX == (int)SIMD_NUMBER_MAX, "json_simdjson.h says the same");

struct json_parser {
	size_t bytes_max;
	size_t capacity;	/* of a text, for all that follows; 0: there is nothing yet */
	struct simd_parser *simd;
	struct json_room room;
	char *unescaped;	/* strings with escapes, each at the place that it has in
				   the text, where none reaches the next; NULL: none yet */
	struct slice text;
	struct simd_tokens tokens;
	struct json_facts facts;
	struct buf copy;	/* of a text that came without padding */
};

struct json_parser *json_parser_new_deep(size_t bytes_max, unsigned depth_max)
{
	struct json_parser *parser = xcalloc(1, sizeof(*parser));

	assert(bytes_max < UINT32_MAX - JSON_PADDING);
	parser->bytes_max = bytes_max;
	parser->room.depth_max = depth_max;
	parser->room.open = xcalloc(depth_max, sizeof(*parser->room.open));
	buf_init(&parser->copy, bytes_max + JSON_PADDING);
	return parser;
}

struct json_parser *json_parser_new(size_t bytes_max)
{
	return json_parser_new_deep(bytes_max, JSON_DEPTH_MAX);
}

static void release_room(struct json_parser *parser)
{
	simd_parser_free(parser->simd);
	free(parser->room.close);
	free(parser->unescaped);
	parser->simd = NULL;
	parser->room.close = NULL;
	parser->unescaped = NULL;
}

void json_parser_free(struct json_parser *parser)
{
	if (!parser)
		return;
	release_room(parser);
	free(parser->room.open);
	buf_release(&parser->copy);
	free(parser);
}

/* Doubles, so that a steady load allocates nothing; one huge text is not kept for ever. */
static void json_make_room(struct json_parser *parser, size_t len)
{
	if (len <= parser->capacity &&
	    (parser->capacity <= CAPACITY_KEPT_MAX || len > CAPACITY_KEPT_MAX))
		return;
	release_room(parser);
	parser->capacity = CAPACITY_FIRST;
	while (parser->capacity < len)
		parser->capacity *= 2;
	parser->simd = simd_parser_new(parser->capacity);
	/* A token is a byte at least. What is not used of it costs no memory. */
	parser->room.close =
		xreallocarray(NULL, parser->capacity, sizeof(*parser->room.close));
}

static enum err_code json_refuse(struct slice text, unsigned depth_max, struct err *err)
{
	struct json_fault fault;

	if (!json_where(text, depth_max, &fault))
		return err_set(err, ERR_SYNTAX, "not JSON");
	if (fault.what == json_too_deep)
		return err_set(err, ERR_SYNTAX, "JSON nested deeper than %u levels",
			       depth_max);
	if (fault.at == text.len)
		return err_set(err, ERR_SYNTAX, "not JSON: at its end (byte %zu) %s", fault.at,
			       fault.what);
	return err_set(err, ERR_SYNTAX, "not JSON: at byte %zu %s", fault.at + 1, fault.what);
}

enum err_code json_parse_padded(struct json_parser *parser, struct slice text,
				struct json *ret_root, struct err *err)
{
	if (text.len > parser->bytes_max)
		return err_set(err, ERR_LIMIT, "JSON text of %zu bytes, %zu are allowed", text.len,
			       parser->bytes_max);
	if (text.len == 0)
		return err_set(err, ERR_SYNTAX, "not JSON: the text is empty");
	json_make_room(parser, text.len);
	parser->text = text;
	if (!simd_find_tokens(parser->simd, text.ptr, text.len, &parser->tokens) ||
	    !json_check(text, parser->tokens, &parser->room, &parser->facts))
		return json_refuse(text, parser->room.depth_max, err);
	if (parser->facts.escapes && !parser->unescaped)
		parser->unescaped = xmalloc(parser->capacity);
	*ret_root = (struct json){ .doc = parser };
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

/* The first byte tells a token's type. */
static char tag(struct json value)
{
	return value.doc->text.ptr[value.doc->tokens.at[value.token]];
}

static struct slice token_text(const struct json_parser *doc, uint32_t token)
{
	size_t start = doc->tokens.at[token];

	return slice_of(doc->text.ptr + start,
			json_token_end(doc->text.ptr, doc->tokens, token) - start);
}

static enum json_type number_type(struct slice number)
{
	int64_t value;
	double real;

	if (json_is_real(number))
		return simd_get_double(number.ptr, number.len, &real) ? JSON_DOUBLE : JSON_BIG;
	if (json_fits_i64(number, &value))
		return JSON_INT;
	return json_fits_u64(number) ? JSON_UINT : JSON_BIG;
}

enum json_type json_type(struct json value)
{
	switch (tag(value)) {
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return number_type(token_text(value.doc, value.token));
	}
}

bool json_get_bool(struct json value, bool *ret)
{
	if (json_type(value) != JSON_BOOL)
		return false;
	*ret = tag(value) == 't';
	return true;
}

static bool is_number(char c)
{
	return c == '-' || (c >= '0' && c <= '9');
}

bool json_get_i64(struct json value, int64_t *ret)
{
	struct slice number;

	if (!is_number(tag(value)))
		return false;
	number = token_text(value.doc, value.token);
	return !json_is_real(number) && json_fits_i64(number, ret);
}

bool json_get_double(struct json value, double *ret)
{
	struct slice number;

	if (!is_number(tag(value)))
		return false;
	number = token_text(value.doc, value.token);
	return simd_get_double(number.ptr, number.len, ret);
}

static struct slice string_at(const struct json_parser *doc, uint32_t token)
{
	struct slice text = token_text(doc, token);
	char *to;

	text = slice_of(text.ptr + 1, text.len - 2);
	if (!doc->facts.escapes || !memchr(text.ptr, '\\', text.len))
		return text;
	to = doc->unescaped + (text.ptr - doc->text.ptr);
	return slice_of(to, json_unescape(text, to));
}

bool json_get_string(struct json value, struct slice *ret)
{
	if (tag(value) != '"')
		return false;
	*ret = string_at(value.doc, value.token);
	return true;
}

static uint32_t token_last(struct json value)
{
	char c = tag(value);

	return c == '{' || c == '[' ? value.doc->room.close[value.token] : value.token;
}

struct json_iter json_iter(struct json container)
{
	return (struct json_iter){
		.next = { container.doc, container.token + 1 },
		.end = token_last(container),
		.object = tag(container) == '{',
	};
}

bool json_next(struct json_iter *iter)
{
	if (iter->next.token >= iter->end)
		return false;
	if (iter->object) {
		iter->key = string_at(iter->next.doc, iter->next.token);
		iter->next.token += 2;	/* the name and the colon */
	}
	iter->value = iter->next;
	iter->next.token = token_last(iter->value) + 2;		/* and the comma */
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
	struct json_iter iter = json_iter(container);
	size_t count = 0;

	while (json_next(&iter))
		count++;
	return count;
}

struct slice json_text(struct json value)
{
	size_t start = value.doc->tokens.at[value.token];
	size_t end = json_token_end(value.doc->text.ptr, value.doc->tokens, token_last(value));

	return slice_of(value.doc->text.ptr + start, end - start);
}

void json_put(struct buf *out, struct json value)
{
	const struct json_parser *doc = value.doc;
	const char *text = doc->text.ptr;
	uint32_t last = token_last(value);
	size_t start = doc->tokens.at[value.token];

	/* Runs of tokens without a gap are copied as one. */
	for (uint32_t i = value.token; doc->facts.gaps && i < last; i++) {
		if (!json_is_space(text[doc->tokens.at[i + 1] - 1]))
			continue;
		buf_add(out, text + start, json_token_end(text, doc->tokens, i) - start);
		start = doc->tokens.at[i + 1];
	}
	buf_add(out, text + start, json_token_end(text, doc->tokens, last) - start);
}

struct slice json_compact(struct buf *room, struct json value)
{
	size_t start = room->len;

	if (!value.doc->facts.gaps)
		return json_text(value);
	json_put(room, value);
	return slice_of(room->ptr + start, room->len - start);
}
