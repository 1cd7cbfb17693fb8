#include "gateway/produce.h"

#include "base/base64.h"
#include "base/mem.h"

enum { QUOTED_MAX = 40 };	/* bytes of a value that a message shows */

struct produce {
	enum produce_format format;
	struct records *records;
	size_t index;		/* of the record at hand */
};

/* A name seen twice would make two readers of one body disagree. */
static enum err_code mark(unsigned *seen, unsigned bit, const char *where, struct slice name,
			  struct err *err)
{
	if (*seen & bit)
		return err_set(err, ERR_SYNTAX, "%s holds \"%.*s\" more than once", where,
			       SLICE_ARG(name));
	*seen |= bit;
	return ERR_OK;
}

/* Bit of `name` in a list ended by NULL; 0: not in it. */
static unsigned bit_of(const char *const *names, struct slice name)
{
	for (unsigned i = 0; names[i]; i++)
		if (slice_is(name, names[i]))
			return 1u << i;
	return 0;
}

static enum err_code decode(struct produce *produce, const char *what, struct json value,
			    struct err *err)
{
	struct slice text = json_text(value);
	struct slice digits;

	if (json_get_string(value, &digits) && base64_decode(&produce->records->bytes, digits))
		return ERR_OK;
	return err_set(err, ERR_USAGE, "records[%zu].%s: data=%.*s%s is not a base64 string",
		       produce->index, what, (int)(text.len < QUOTED_MAX ? text.len : QUOTED_MAX),
		       text.ptr, text.len < QUOTED_MAX ? "" : "...");
}

static enum err_code take_bytes(struct produce *produce, const char *what, struct json value,
				struct slice *ret, struct err *err)
{
	struct buf *bytes = &produce->records->bytes;
	size_t start = bytes->len;

	if (json_type(value) == JSON_NULL)
		return ERR_OK;
	if (produce->format == PRODUCE_JSON) {
		*ret = json_compact(bytes, value);
		return ERR_OK;
	}
	if (decode(produce, what, value, err) != ERR_OK)
		return err->code;
	*ret = slice_of(bytes->ptr + start, bytes->len - start);
	return ERR_OK;
}

static enum err_code take_partition(const struct produce *produce, struct json value, int32_t *ret,
				    struct err *err)
{
	int64_t partition;

	if (json_type(value) == JSON_NULL)
		return ERR_OK;
	if (!json_get_i64(value, &partition) || partition < 0 || partition > INT32_MAX)
		return err_set(err, ERR_SHAPE, "records[%zu].partition is not an integer from 0 up",
			       produce->index);
	*ret = (int32_t)partition;
	return ERR_OK;
}

static enum err_code take_member(struct produce *produce, const struct json_iter *member,
				 unsigned *seen, struct append_record *record, struct err *err)
{
	enum { KEY = 1, VALUE = 2, PARTITION = 4 };
	static const char *const names[] = { "key", "value", "partition", NULL };
	unsigned bit = bit_of(names, member->key);

	if (!bit)
		return err_set(err, ERR_SHAPE, "Unrecognized field: records[%zu].%.*s",
			       produce->index, SLICE_ARG(member->key));
	if (mark(seen, bit, "a record", member->key, err) != ERR_OK)
		return err_prefix(err, "records[%zu]", produce->index);
	if (bit == KEY)
		return take_bytes(produce, "key", member->value, &record->key, err);
	if (bit == VALUE)
		return take_bytes(produce, "value", member->value, &record->value, err);
	return take_partition(produce, member->value, &record->partition, err);
}

static enum err_code produce_take_record(struct produce *produce, struct json value,
					 int32_t partition, struct err *err)
{
	struct append_record record = { .partition = partition };
	struct json_iter member;
	unsigned seen = 0;

	if (json_type(value) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "records[%zu] is not an object", produce->index);
	member = json_iter(value);
	while (json_next(&member))
		if (take_member(produce, &member, &seen, &record, err) != ERR_OK)
			return err->code;
	records_add(produce->records, record);
	return ERR_OK;
}

static enum err_code find_records(struct json root, struct json *ret, struct err *err)
{
	enum { RECORDS = 1 };
	static const char *const names[] = { "records", "key_schema", "key_schema_id",
					     "value_schema", "value_schema_id", NULL };
	struct json_iter member;
	unsigned seen = 0;

	if (json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "the body is not a JSON object");
	member = json_iter(root);
	while (json_next(&member)) {
		unsigned bit = bit_of(names, member.key);

		if (!bit)
			return err_set(err, ERR_SHAPE, "Unrecognized field: %.*s",
				       SLICE_ARG(member.key));
		if (mark(&seen, bit, "the body", member.key, err) != ERR_OK)
			return err->code;
		if (bit == RECORDS)
			*ret = member.value;
	}
	if (!(seen & RECORDS) || json_type(*ret) != JSON_ARRAY || json_count(*ret) == 0)
		return err_set(err, ERR_SHAPE, "records may not be empty: \"records\" must be an"
			       " array of at least one record");
	if (json_count(*ret) > REQUEST_RECORDS_MAX)
		return err_set(err, ERR_LIMIT, "%zu records in one request, %d are allowed",
			       json_count(*ret), REQUEST_RECORDS_MAX);
	return ERR_OK;
}

enum err_code produce_parse(struct json_parser *json, struct slice body,
			    enum produce_format format, int32_t partition,
			    struct records *records, struct err *err)
{
	struct produce produce = { .format = format, .records = records };
	struct json root, list = { 0 };
	struct json_iter element;

	if (body.len == 0)	/* the original takes it for null */
		return err_set(err, ERR_SHAPE, "the body is empty");
	if (json_parse_padded(json, body, &root, err) != ERR_OK ||
	    find_records(root, &list, err) != ERR_OK)
		return err->code;
	/* Neither compact text nor decoded base64 is longer than what it comes from. */
	records_begin(records, json_count(list), body.len);
	element = json_iter(list);
	while (json_next(&element)) {
		if (produce_take_record(&produce, element.value, partition, err) != ERR_OK)
			return err->code;
		produce.index++;
	}
	return ERR_OK;
}
