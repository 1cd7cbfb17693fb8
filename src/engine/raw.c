#include "engine/raw.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/read.h"

enum { SHOWN_MAX = 40 };

struct raw_reader {
	const struct clean_model *model;
	struct slice *names;		/* of the model's fields */
	size_t key;			/* which of them is the key */
	size_t guess;			/* records of a topic have their fields in one order */
	bool *seen;
	struct json_parser *parser;
	struct slice *unknown;		/* names that are no field */
	size_t unknown_count;
	size_t unknown_room;
	struct err reason;
};

struct raw_reader *raw_reader_new(const struct clean_model *model)
{
	struct raw_reader *reader = xcalloc(1, sizeof(*reader));

	reader->model = model;
	reader->names = xcalloc(model->field_count, sizeof(*reader->names));
	reader->seen = xcalloc(model->field_count, sizeof(*reader->seen));
	reader->parser = json_parser_new(RAW_VALUE_BYTES_MAX);
	for (size_t i = 0; i < model->field_count; i++) {
		reader->names[i] = slice_str(model->fields[i]);
		if (slice_is(reader->names[i], model->key))
			reader->key = i;
	}
	return reader;
}

void raw_reader_free(struct raw_reader *reader)
{
	if (!reader)
		return;
	json_parser_free(reader->parser);
	free(reader->names);
	free(reader->seen);
	free(reader->unknown);
	free(reader);
}

/* Which field that is, or field_count. */
static size_t find_field(struct raw_reader *reader, struct slice name)
{
	size_t count = reader->model->field_count;
	size_t i = reader->guess < count ? reader->guess : 0;

	if (!slice_eq(reader->names[i], name))
		for (i = 0; i < count && !slice_eq(reader->names[i], name); )
			i++;
	reader->guess = i + 1;
	return i;
}

static struct slice text_of(struct json value)
{
	struct slice text;

	if (json_type(value) == JSON_NULL)
		return slice_of(NULL, 0);
	if (!json_get_string(value, &text))
		return json_text(value);
	return text.len ? text : slice_of(NULL, 0);
}

static void note_unknown(struct raw_reader *reader, struct slice name)
{
	if (reader->unknown_count == reader->unknown_room) {
		reader->unknown_room = reader->unknown_room * 2 + 16;
		reader->unknown = xreallocarray(reader->unknown, reader->unknown_room,
						sizeof(*reader->unknown));
	}
	reader->unknown[reader->unknown_count++] = name;
}

static bool dead_twice(struct raw_reader *reader, struct slice name)
{
	err_set(&reader->reason, ERR_SHAPE, "\"%.*s\" stands in it twice", SLICE_ARG(name));
	return false;
}

static int raw_by_bytes(const void *a, const void *b)
{
	const struct slice *x = a;
	const struct slice *y = b;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static bool unknown_differ(struct raw_reader *reader)
{
	if (reader->unknown_count > 1)
		qsort(reader->unknown, reader->unknown_count, sizeof(*reader->unknown),
		      raw_by_bytes);
	for (size_t i = 1; i < reader->unknown_count; i++)
		if (slice_eq(reader->unknown[i - 1], reader->unknown[i]))
			return dead_twice(reader, reader->unknown[i]);
	return true;
}

/* The members' texts into `fields`; false: a name stands twice. */
static bool read_members(struct raw_reader *reader, struct json object, struct slice *fields)
{
	size_t count = reader->model->field_count;
	struct json_iter iter = json_iter(object);

	memset(fields, 0, count * sizeof(*fields));
	memset(reader->seen, 0, count * sizeof(*reader->seen));
	reader->unknown_count = 0;
	while (json_next(&iter)) {
		size_t i = find_field(reader, iter.key);

		if (i == count) {
			note_unknown(reader, iter.key);
			continue;
		}
		if (reader->seen[i])
			return dead_twice(reader, iter.key);
		reader->seen[i] = true;
		fields[i] = text_of(iter.value);
	}
	return unknown_differ(reader);
}

static bool ours(struct raw_reader *reader)
{
	const struct clean_model *model = reader->model;

	for (size_t i = 0; i < model->field_count; i++)
		if (reader->seen[i] && i != reader->key)
			return true;
	for (size_t i = 0; i < reader->unknown_count; i++)
		for (size_t f = 0; f < model->foreign_count; f++)
			if (slice_is(reader->unknown[i], model->foreign[f].field)) {
				err_set(&reader->reason, ERR_SHAPE,
					"a %s record (it has \"%s\"), not a %s record",
					model->foreign[f].table, model->foreign[f].field,
					model->model.name);
				return false;
			}
	return true;
}

static bool key_ok(struct raw_reader *reader, struct slice text)
{
	const char *key = reader->model->key;
	int32_t value;

	if (text.ptr && read_int(text, &value))
		return true;
	if (!reader->seen[reader->key])
		err_set(&reader->reason, ERR_SHAPE, "lacks \"%s\"", key);
	else if (!text.ptr)
		err_set(&reader->reason, ERR_SHAPE, "\"%s\" is empty", key);
	else
		err_set(&reader->reason, ERR_SHAPE, "\"%s\" is no 32-bit integer: %.*s%s", key,
			(int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX), text.ptr,
			text.len > SHOWN_MAX ? "…" : "");
	return false;
}

static bool is_object(struct raw_reader *reader, struct json root)
{
	static const char *const what[] = {
		[JSON_NULL] = "null", [JSON_BOOL] = "a boolean", [JSON_INT] = "a number",
		[JSON_UINT] = "a number", [JSON_DOUBLE] = "a number", [JSON_BIG] = "a number",
		[JSON_STRING] = "a text (a body encoded twice?)", [JSON_ARRAY] = "an array",
	};

	if (json_type(root) == JSON_OBJECT)
		return true;
	err_set(&reader->reason, ERR_SHAPE, "%s, not a JSON object", what[json_type(root)]);
	return false;
}

bool raw_read(struct raw_reader *reader, struct slice value, bool padded, struct slice *ret_fields,
	      const char **ret_reason)
{
	struct json root;
	enum err_code code;

	*ret_reason = reader->reason.msg;
	if (!value.ptr) {
		err_set(&reader->reason, ERR_SHAPE, "a tombstone: it has no value");
		return false;
	}
	reader->guess = 0;
	code = padded ? json_parse_padded(reader->parser, value, &root, &reader->reason) :
	       json_parse(reader->parser, value, &root, &reader->reason);
	return code == ERR_OK && is_object(reader, root) &&
	       read_members(reader, root, ret_fields) && ours(reader) &&
	       key_ok(reader, ret_fields[reader->key]);
}
