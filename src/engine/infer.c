/* Reads a sample and settles each field's type, and the key. infer_name.c names
 * the columns, infer_put.c writes the model. */
#include "engine/infer.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/read.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_MAX (INT64_C(1) << 53) /* whole numbers up to here are doubles too */

/* What a value may be. */
enum kind {
	KIND_BOOL = 1,
	KIND_LONG = 4, /* of any size: the next record's may be larger, and no column grows */
	KIND_WIDE = 8, /* a whole number that a double may not hold */
	KIND_DOUBLE = 16,
	KIND_TIME = 32,
	KIND_TEXT = 64, /* any other text, and whole numbers past 64 bits */
	KIND_NESTED = 128,
};

/* A field on its way. */
struct seen {
	struct slice name;
	unsigned kinds;
	uint64_t present;
	uint64_t last;	      /* the record that had it last, from 1 */
	bool may_be_key;      /* its name does not forbid it */
	struct slice *values; /* of one that may be the key */
	size_t room;
};

struct infer {
	struct json_parser *parser;
	struct inferred *result;
	struct seen *seen;
	size_t count;
	size_t guess; /* records have their fields in one order, mostly */
	const char *table;
	struct buf compact;
};

/* --- keys -------------------------------------------------------------- */

/* "click_id", "clickId", "Click-ID": letters and digits only, in lower case. */
static size_t squeeze(struct slice name, char *text, size_t room)
{
	size_t len = 0;

	for (size_t i = 0; i < name.len && len + 1 < room; i++)
		if (isalnum((unsigned char)name.ptr[i]))
			text[len++] = (char)tolower((unsigned char)name.ptr[i]);
	text[len] = '\0';
	return len;
}

/* "click_id" and "clicks_id" of the table clicks. */
static bool is_own_id(const char *text, const char *table)
{
	char own[128];
	size_t len = squeeze(slice_str(table), own, sizeof(own));

	if (strncmp(text, own, len) == 0 && strcmp(text + len, "id") == 0)
		return true;
	return len > 1 && own[len - 1] == 's' && strncmp(text, own, len - 1) == 0 &&
	       strcmp(text + len - 1, "id") == 0;
}

/* How much like a key's name it is: 0 not at all, 1 it ends as one, then more. */
static int key_rank(struct slice name, const char *table)
{
	static const char *const exact[] = { "guid", "uuid", "index", "ind", "key", "id" };
	static const char *const ends[] = { "id", "uuid", "guid", "key" };
	char text[128];
	size_t len = squeeze(name, text, sizeof(text));

	for (size_t i = 0; i < ARRAY_LEN(exact); i++)
		if (strcmp(text, exact[i]) == 0)
			return (int)i + 3;
	if (is_own_id(text, table))
		return ARRAY_LEN(exact) + 1; /* beside "id" itself */
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i]);
		const char *at = name.ptr + name.len - n;

		/* a word of its own: "paid" and "monkey" end in the letters only */
		if (len > n && strcmp(text + len - n, ends[i]) == 0 &&
		    (!isalnum((unsigned char)at[-1]) ||
		     (islower((unsigned char)at[-1]) && isupper((unsigned char)at[0]))))
			return 1;
	}
	return 0;
}

static int infer_by_bytes(const void *a, const void *b)
{
	const struct slice *x = a;
	const struct slice *y = b;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* In every record, and never the same. */
static bool tells_apart(const struct seen *seen, uint64_t records)
{
	if (seen->present != records)
		return false;
	qsort(seen->values, seen->present, sizeof(*seen->values), infer_by_bytes);
	for (size_t i = 1; i < seen->present; i++)
		if (slice_eq(seen->values[i - 1], seen->values[i]))
			return false;
	return true;
}

/* --- a record ---------------------------------------------------------- */

static unsigned infer_kind_of(struct json value)
{
	struct slice text;
	int64_t number;

	switch (json_type(value)) {
	case JSON_BOOL:
		return KIND_BOOL;
	case JSON_INT:
		if (!read_long(json_text(value), &number))
			return KIND_TEXT;
		return KIND_LONG |
		       (number > EXACT_MAX || number < -EXACT_MAX ? KIND_WIDE : 0);
	case JSON_DOUBLE:
		return KIND_DOUBLE;
	case JSON_STRING:
		if (!json_get_string(value, &text))
			return KIND_TEXT;
		return read_timestamp(text, &number) ? KIND_TIME : KIND_TEXT;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return KIND_NESTED;
	case JSON_NULL:
	case JSON_UINT:
	case JSON_BIG: /* every digit counts */
		break;
	}
	return KIND_TEXT;
}

/* As a model sees it: null for what is null or "". */
static struct slice infer_text_of(struct json value)
{
	struct slice text;

	if (json_type(value) == JSON_NULL)
		return slice_of(NULL, 0);
	if (!json_get_string(value, &text))
		return json_text(value);
	return text.len ? text : slice_of(NULL, 0);
}

static struct seen *find_seen(struct infer *infer, struct slice name)
{
	size_t i = infer->guess < infer->count ? infer->guess : 0;

	if (i < infer->count && !slice_eq(infer->seen[i].name, name))
		for (i = 0; i < infer->count && !slice_eq(infer->seen[i].name, name);)
			i++;
	if (i == infer->count) {
		if (infer->count == INFER_FIELDS_MAX)
			return NULL;
		infer->seen[infer->count++] = (struct seen){
			.name = arena_copy(&infer->result->memory, name),
			.may_be_key = key_rank(name, infer->table) > 0,
		};
	}
	infer->guess = i + 1;
	return &infer->seen[i];
}

static void keep_value(struct infer *infer, struct seen *seen, struct slice text)
{
	if (seen->present == seen->room) {
		seen->room = seen->room ? 2 * seen->room : 64;
		seen->values = xreallocarray(seen->values, seen->room, sizeof(*seen->values));
	}
	seen->values[seen->present] = arena_copy(&infer->result->memory, text);
}

static enum err_code add_member(struct infer *infer, const struct json_iter *member,
				struct err *err)
{
	struct seen *seen = find_seen(infer, member->key);
	struct slice text = infer_text_of(member->value);

	if (!seen)
		return err_set(err, ERR_LIMIT,
			       "the records have more than %d fields: names that are values"
			       " belong into a field of their own",
			       INFER_FIELDS_MAX);
	if (seen->last == infer->result->records)
		return err_set(err, ERR_SHAPE, "\"%.*s\" stands in it twice",
			       SLICE_ARG(seen->name));
	seen->last = infer->result->records;
	if (!text.ptr)
		return ERR_OK;
	seen->kinds |= infer_kind_of(member->value);
	seen->may_be_key &= !(seen->kinds & (KIND_BOOL | KIND_DOUBLE | KIND_NESTED));
	if (seen->may_be_key)
		keep_value(infer, seen, text);
	seen->present++;
	return ERR_OK;
}

static enum err_code add_record(struct infer *infer, struct json record, struct err *err)
{
	struct inferred *result = infer->result;
	struct json_iter iter;

	if (json_type(record) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "a record is a JSON object, this is none");
	result->records++;
	if (result->records == 1) {
		json_put(&infer->compact, record);
		result->first = arena_copy(&result->memory, buf_slice(&infer->compact));
	}
	infer->guess = 0;
	iter = json_iter(record);
	while (json_next(&iter))
		if (add_member(infer, &iter, err) != ERR_OK)
			return err->code;
	return ERR_OK;
}

/* --- a sample ---------------------------------------------------------- */

static struct slice cut_line(struct slice *rest)
{
	const char *end = memchr(rest->ptr, '\n', rest->len);
	struct slice line = slice_of(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);

	*rest = slice_from(*rest, line.len + (end != NULL));
	return line;
}

static bool is_blank(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (!isspace((unsigned char)line.ptr[i]))
			return false;
	return true;
}

static enum err_code read_lines(struct infer *infer, struct slice rest, struct err *err)
{
	for (int number = 1; rest.len > 0; number++) {
		struct slice line = cut_line(&rest);
		struct json record;
		enum err_code code;

		if (is_blank(line))
			continue;
		code = json_parse(infer->parser, line, &record, err);
		if (code == ERR_OK)
			code = add_record(infer, record, err);
		if (code != ERR_OK)
			return err_prefix(err, "line %d of the sample", number);
	}
	return ERR_OK;
}

static enum err_code read_array(struct infer *infer, struct json array, struct err *err)
{
	struct json_iter iter = json_iter(array);

	for (int number = 1; json_next(&iter); number++)
		if (add_record(infer, iter.value, err) != ERR_OK)
			return err_prefix(err, "record %d of the sample", number);
	return ERR_OK;
}

static struct slice without_bom(struct slice sample)
{
	if (slice_starts(sample, "\xef\xbb\xbf"))
		sample = slice_from(sample, 3);
	while (sample.len && isspace((unsigned char)sample.ptr[0]))
		sample = slice_from(sample, 1);
	return sample;
}

/* An object that ends in its first line is one of NDJSON's; any other text is one value. */
static enum err_code read_sample(struct infer *infer, struct slice sample, struct err *err)
{
	struct slice rest = sample = without_bom(sample);
	struct slice line = cut_line(&rest);
	enum err_code code;
	struct json root;
	struct err unused;

	if (line.len > 0 && line.ptr[0] != '[' &&
	    json_parse(infer->parser, line, &root, &unused) == ERR_OK)
		return read_lines(infer, sample, err);
	if (sample.len == 0)
		return ERR_OK;
	code = json_parse(infer->parser, sample, &root, err);
	if (code != ERR_OK)
		return err_prefix(err,
				  "the sample is neither an object a line nor an array of objects"
				  " nor an object");
	return json_type(root) == JSON_ARRAY ? read_array(infer, root, err)
					     : add_record(infer, root, err);
}

/* --- what it comes to -------------------------------------------------- */

static enum delta_type infer_type_of(unsigned kinds)
{
	if (kinds == KIND_BOOL)
		return DELTA_BOOLEAN;
	if (kinds == KIND_TIME)
		return DELTA_TIMESTAMP;
	if (kinds && !(kinds & ~(unsigned)(KIND_LONG | KIND_WIDE)))
		return DELTA_LONG;
	if (kinds && !(kinds & ~(unsigned)(KIND_LONG | KIND_DOUBLE)))
		return DELTA_DOUBLE;
	return DELTA_STRING;
}

/* A header has no line breaks, and no text of C a NUL. */
static bool fits_header(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
			return false;
	return name.len > 0;
}

static void choose_key(struct infer *infer)
{
	struct inferred *result = infer->result;
	int best = 0;

	for (size_t i = 0, f = 0; i < infer->count; i++) {
		struct seen *seen = &infer->seen[i];
		enum delta_type type = infer_type_of(seen->kinds);
		int rank = key_rank(seen->name, infer->table);

		if (!fits_header(seen->name))
			continue;
		f++;
		/* One record does not show that what only ends like a key differs in all. */
		if (!seen->may_be_key || type == DELTA_TIMESTAMP || rank <= best ||
		    (rank == 1 && result->records == 1) || !tells_apart(seen, result->records))
			continue;
		best = rank;
		result->key = &result->fields[f - 1];
	}
}

static enum err_code settle(struct infer *infer, struct err *err)
{
	struct inferred *result = infer->result;

	if (result->records == 0)
		return err_set(err, ERR_USAGE,
			       "there are no sample records on stdin: an object a line, or an"
			       " array of objects");
	result->fields = arena_alloc(&result->memory, infer->count * sizeof(*result->fields) + 1);
	for (size_t i = 0; i < infer->count; i++) {
		const struct seen *seen = &infer->seen[i];

		if (fits_header(seen->name))
			result->fields[result->count++] = (struct infer_field){
				.name = seen->name,
				.type = infer_type_of(seen->kinds),
				.present = seen->present,
			};
		else
			result->left_out++;
	}
	if (result->count == 0)
		return err_set(err, ERR_SHAPE,
			       "the sample's records have no field that a model could name");
	infer_name_all(result);
	choose_key(infer);
	return ERR_OK;
}

enum err_code infer_read(struct slice sample, const char *table, struct inferred *ret_inferred,
			 struct err *err)
{
	struct inferred result = { 0 };
	struct infer infer = {
		.parser = json_parser_new(INFER_BYTES_MAX),
		.result = &result,
		.seen = xcalloc(INFER_FIELDS_MAX, sizeof(*infer.seen)),
		.table = table,
	};
	enum err_code code;

	/* Of the text, only names, keys' values and the first record are kept. */
	arena_init(&result.memory, (size_t)16 * INFER_BYTES_MAX);
	buf_init(&infer.compact, INFER_BYTES_MAX);
	code = read_sample(&infer, sample, err);
	if (code == ERR_OK)
		code = settle(&infer, err);
	for (size_t i = 0; i < infer.count; i++)
		free(infer.seen[i].values);
	free(infer.seen);
	buf_release(&infer.compact);
	json_parser_free(infer.parser);
	if (code == ERR_OK)
		*ret_inferred = result;
	else
		arena_release(&result.memory);
	return code;
}

void infer_release(struct inferred *inferred)
{
	arena_release(&inferred->memory);
	*inferred = (struct inferred){ 0 };
}
