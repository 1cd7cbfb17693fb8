#include "engine/raw.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/read.h"

enum { SHOWN_MAX = 40 };

struct raw_reader {
	const struct clean_model *model;
	const struct clean_shared *shared; /* NULL: the records are this table's alone */
	struct slice *names;		   /* of the model's fields */
	size_t guess;			/* records of a topic have their fields in one order */
	bool *seen;
	struct json_parser *parser;
	struct slice *unknown;		/* names that are no field */
	size_t unknown_count;
	size_t unknown_room;
	struct unknown_fields counted;
	struct err reason;
};

struct raw_reader *raw_reader_new(const struct clean_model *model,
				  const struct clean_shared *shared)
{
	struct raw_reader *reader = xcalloc(1, sizeof(*reader));

	reader->model = model;
	reader->shared = shared && shared->count > 1 ? shared : NULL;
	reader->names = xcalloc(model->field_count, sizeof(*reader->names));
	reader->seen = xcalloc(model->field_count, sizeof(*reader->seen));
	reader->parser = json_parser_new(RAW_VALUE_BYTES_MAX);
	for (size_t i = 0; i < model->field_count; i++)
		reader->names[i] = slice_str(model->fields[i].name);
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
	unknown_fields_release(&reader->counted);
	free(reader);
}

const struct unknown_fields *raw_reader_unknown(const struct raw_reader *reader)
{
	return &reader->counted;
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

static bool has_own_field(const struct raw_reader *reader)
{
	const struct clean_model *model = reader->model;

	for (size_t i = 0; i < model->field_count; i++)
		if (reader->seen[i] && !(model->key && i == model->key_field))
			return true;
	return false;
}

/* Another table's, by one of its fields; else its fields are nobody's. */
static void say_whose(struct raw_reader *reader)
{
	const struct clean_model *model = reader->model;

	for (size_t i = 0; i < reader->unknown_count; i++)
		for (size_t f = 0; f < model->foreign_count; f++)
			if (slice_is(reader->unknown[i], model->foreign[f].field)) {
				err_set(&reader->reason, ERR_SHAPE,
					"a %s record (it has \"%s\"), not a %s record",
					model->foreign[f].table, model->foreign[f].field,
					model->model.name);
				return;
			}
	if (reader->unknown_count > 0)
		err_set(&reader->reason, ERR_SHAPE, "has none of the fields of %s, but \"%.*s\"",
			model->model.name,
			(int)(reader->unknown[0].len < SHOWN_MAX ? reader->unknown[0].len
								 : SHOWN_MAX),
			reader->unknown[0].ptr);
	else
		err_set(&reader->reason, ERR_SHAPE, "has none of the fields of %s",
			model->model.name);
}

static bool ours(struct raw_reader *reader)
{
	bool nothing_but_key = reader->model->key && reader->unknown_count == 0;

	if (nothing_but_key || has_own_field(reader))
		return true;
	say_whose(reader);
	return false;
}

static enum delta_type key_type(const struct clean_model *model)
{
	return model->schema.columns[model->key_column].type;
}

/* What the column of the key can hold. */
static bool key_fits(const struct clean_model *model, struct slice text)
{
	int32_t narrow;
	int64_t wide;

	switch (key_type(model)) {
	case DELTA_INTEGER:
		return read_int(text, &narrow);
	case DELTA_LONG:
		return read_long(text, &wide);
	default:
		return true;
	}
}

static bool key_ok(struct raw_reader *reader, const struct slice *fields)
{
	const struct clean_model *model = reader->model;
	struct slice text;

	if (!model->key)
		return true;
	text = fields[model->key_field];
	if (text.ptr && key_fits(model, text))
		return true;
	if (!reader->seen[model->key_field])
		err_set(&reader->reason, ERR_SHAPE, "lacks \"%s\"", model->key);
	else if (!text.ptr)
		err_set(&reader->reason, ERR_SHAPE, "\"%s\" is empty", model->key);
	else
		err_set(&reader->reason, ERR_SHAPE, "\"%s\" is no %s-bit integer: %.*s%s",
			model->key, key_type(model) == DELTA_INTEGER ? "32" : "64",
			(int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX), text.ptr,
			text.len > SHOWN_MAX ? "…" : "");
	return false;
}

/* --- a topic or stream that several tables share ------------------------- */

/* How many of the table's fields, its key aside, the record has; -1: not its key. */
static int likeness(const struct clean_model *model, struct json object)
{
	struct json_iter iter = json_iter(object);
	bool has_key = !model->key;
	int fields = 0;

	while (json_next(&iter))
		for (size_t i = 0; i < model->field_count; i++) {
			struct slice text;

			if (!slice_is(iter.key, model->fields[i].name))
				continue;
			if (!model->key || i != model->key_field) {
				fields++;
				continue;
			}
			text = text_of(iter.value);
			has_key = text.ptr && key_fits(model, text);
		}
	return has_key ? fields : -1;
}

/* "123-clicks" ends with "clicks", and a table's name may be all of it. */
static bool key_names(struct slice key, const char *name)
{
	size_t len = strlen(name);

	if (!key.ptr || key.len < len || memcmp(key.ptr + key.len - len, name, len) != 0)
		return false;
	return key.len == len || strchr("-._/:", key.ptr[key.len - len - 1]) != NULL;
}

/* NULL: nobody's. */
static const struct clean_model *owner_of(const struct clean_shared *shared,
					  const struct json *object, struct slice key)
{
	size_t owner = shared->count;
	int most = 0;

	for (size_t i = 0; object && i < shared->count; i++) {
		const struct clean_model *model = shared->models[i];
		int like = likeness(model, *object);

		if (like > most ||
		    (like == most && like > 0 && key_names(key, model->model.name))) {
			owner = i;
			most = like;
		}
	}
	for (size_t i = 0; owner == shared->count && i < shared->count; i++)
		if (key_names(key, shared->models[i]->model.name))
			owner = i;
	return owner < shared->count ? shared->models[owner] : NULL;
}

/* Whether the record may be a row of this table; else the verdict. `object`: NULL: it is none. */
static bool is_owner(struct raw_reader *reader, const struct json *object, struct slice key,
		     enum raw_verdict *ret_verdict)
{
	const struct clean_shared *shared = reader->shared;
	const struct clean_model *owner = shared ? owner_of(shared, object, key) : reader->model;
	bool leads = !shared || shared->models[0] == reader->model;

	if (owner == reader->model)
		return true;
	*ret_verdict = !owner && leads ? RAW_DEAD : RAW_OTHERS;
	if (object && *ret_verdict == RAW_DEAD)
		err_set(&reader->reason, ERR_SHAPE,
			"no record of any of the tables that share this topic");
	return false;
}

/* --- one record ----------------------------------------------------------- */

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

/* What has no JSON that could tell: the table that the key names, or the first. */
static enum raw_verdict unreadable(struct raw_reader *reader, struct slice key)
{
	enum raw_verdict verdict = RAW_DEAD;

	(void)is_owner(reader, NULL, key, &verdict);
	return verdict;
}

static void count_unknown(struct raw_reader *reader)
{
	for (size_t i = 0; i < reader->unknown_count; i++)
		unknown_fields_add(&reader->counted, reader->unknown[i], 1);
}

enum raw_verdict raw_read(struct raw_reader *reader, struct slice value, struct slice key,
			  bool padded, struct slice *ret_fields, const char **ret_reason)
{
	enum raw_verdict verdict;
	struct json root;
	enum err_code code;

	*ret_reason = reader->reason.msg;
	if (!value.ptr) {
		err_set(&reader->reason, ERR_SHAPE, "a tombstone: it has no value");
		return unreadable(reader, key);
	}
	reader->guess = 0;
	code = padded ? json_parse_padded(reader->parser, value, &root, &reader->reason) :
	       json_parse(reader->parser, value, &root, &reader->reason);
	if (code != ERR_OK)
		return unreadable(reader, key);
	if (!is_object(reader, root))
		return unreadable(reader, key);
	if (reader->shared && !is_owner(reader, &root, key, &verdict))
		return verdict;
	if (!read_members(reader, root, ret_fields) || !ours(reader) ||
	    !key_ok(reader, ret_fields))
		return RAW_DEAD;
	if (reader->unknown_count > 0)
		count_unknown(reader);
	return RAW_ROW;
}
