/* Writes what a sample came to: the model's file, and a record to post. */
#include "engine/infer.h"

#include "base/json.h"
#include "engine/model.h"

#include <ctype.h>

enum { LINE_WIDTH = 96, EXAMPLE_BYTES = 300 };

/* The value of a header's word, wrapped between its pieces. */
struct wrapped {
	struct buf *out;
	size_t column;
};

static void wrap(struct wrapped *wrapped, struct slice piece)
{
	if (wrapped->column + 1 + piece.len > LINE_WIDTH) {
		buf_add_str(wrapped->out, "\n--  ");
		wrapped->column = 4;
	}
	buf_add_char(wrapped->out, ' ');
	buf_add_slice(wrapped->out, piece);
	wrapped->column += 1 + piece.len;
}

static void wrap_begin(struct wrapped *wrapped, struct buf *out, const char *word)
{
	size_t before = out->len;

	buf_addf(out, "-- %s:", word);
	*wrapped = (struct wrapped){ .out = out, .column = out->len - before };
}

/* What reads the text of `raw`; NULL: it stays as it is. */
static const char *reader_of(enum delta_type type)
{
	switch (type) {
	case DELTA_INTEGER:
		return "as_int";
	case DELTA_LONG:
		return "as_long";
	case DELTA_DOUBLE:
		return "as_double";
	case DELTA_BOOLEAN:
		return "as_boolean";
	case DELTA_TIMESTAMP:
		return "as_timestamp";
	case DELTA_ARRAY_DOUBLE:
	case DELTA_STRING:
		break;
	}
	return NULL;
}

/* `id`, or `"US Gross" AS us_gross`. */
static void infer_put_field(struct buf *out, const struct infer_field *field)
{
	if (slice_is(field->name, field->alias)) {
		buf_add_str(out, field->alias);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < field->name.len; i++) {
		if (field->name.ptr[i] == '"')
			buf_add_char(out, '"');
		buf_add_char(out, field->name.ptr[i]);
	}
	buf_addf(out, "\" AS %s", field->alias);
}

static void infer_put_header(struct buf *out, const struct inferred *inferred, const char *table)
{
	struct wrapped wrapped;
	struct buf piece;

	buf_init(&piece, out->max);
	buf_addf(out, "-- title: %c", toupper((unsigned char)table[0]));
	for (const char *c = table + 1; *c; c++)
		buf_add_char(out, *c == '_' ? ' ' : *c);
	buf_add_char(out, '\n');
	if (inferred->key)
		buf_addf(out, "-- key: %s\n", inferred->key->alias);
	wrap_begin(&wrapped, out, "fields");
	for (size_t i = 0; i < inferred->count; i++) {
		buf_clear(&piece);
		infer_put_field(&piece, &inferred->fields[i]);
		wrap(&wrapped, buf_slice(&piece));
	}
	buf_add_char(out, '\n');
	wrap_begin(&wrapped, out, "columns");
	for (size_t i = 0; i < inferred->count; i++) {
		const struct infer_field *field = &inferred->fields[i];

		buf_clear(&piece);
		buf_addf(&piece, "%s %s%s", field->alias, model_type_name(field->type),
			 i + 1 < inferred->count ? "," : "");
		wrap(&wrapped, buf_slice(&piece));
	}
	buf_add_char(out, '\n');
	buf_release(&piece);
}

void infer_put_model(struct buf *out, const struct inferred *inferred, const char *table)
{
	infer_put_header(out, inferred, table);
	buf_add_str(out, "SELECT\n");
	for (size_t i = 0; i < inferred->count; i++) {
		const struct infer_field *field = &inferred->fields[i];
		const char *reader = reader_of(field->type);

		if (reader)
			buf_addf(out, "\t%s(%s) AS %s,\n", reader, field->alias, field->alias);
		else
			buf_addf(out, "\t%s,\n", field->alias);
	}
	buf_add_str(out, "\t_partition,\n\t_offset\nFROM raw\n");
}

static void infer_put_member(struct buf *out, struct slice name, struct json value)
{
	buf_add_char(out, out->len > 1 ? ',' : '{');
	json_put_string(out, name);
	buf_add_char(out, ':');
	json_put(out, value);
}

static void put_members(struct buf *out, const struct inferred *inferred, struct json record)
{
	struct json_iter iter = json_iter(record);
	struct slice key = inferred->key ? inferred->key->name : slice_of(NULL, 0);
	struct buf member;

	buf_init(&member, out->max);
	buf_clear(out);
	while (key.ptr && json_next(&iter))
		if (slice_eq(iter.key, key))
			infer_put_member(out, iter.key, iter.value);
	iter = json_iter(record);
	while (json_next(&iter)) {
		enum json_type type = json_type(iter.value);

		if (type == JSON_OBJECT || type == JSON_ARRAY ||
		    (key.ptr && slice_eq(iter.key, key)))
			continue;
		buf_clear(&member);
		infer_put_member(&member, iter.key, iter.value);
		if (out->len + member.len < EXAMPLE_BYTES)
			infer_put_member(out, iter.key, iter.value);
	}
	buf_add_str(out, out->len ? "}" : "{}");
	buf_release(&member);
}

void infer_put_example(struct buf *out, const struct inferred *inferred)
{
	struct json_parser *parser;
	struct json record;
	struct err unused;

	if (inferred->first.len <= EXAMPLE_BYTES) {
		buf_add_slice(out, inferred->first);
		return;
	}
	parser = json_parser_new(INFER_BYTES_MAX);
	if (json_parse(parser, inferred->first, &record, &unused) == ERR_OK)
		put_members(out, inferred, record);
	json_parser_free(parser);
}
