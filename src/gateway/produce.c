#include "gateway/produce.h"

#include "base/base64.h"
#include "base/mem.h"

#include <strings.h>

enum { QUOTED_MAX = 40 };	/* bytes of a value that a message shows */

struct produce {
	enum produce_format format;
	struct records *records;
	size_t index;		/* of the record at hand */
};

static const char *const body_names[] = { "records",	  "key_schema",	     "key_schema_id",
					  "value_schema", "value_schema_id", NULL };
static const char *const record_names[] = { "key", "value", "partition", NULL };

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
	unsigned bit = bit_of(record_names, member->key);

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

static enum err_code produce_check_count(size_t count, struct err *err)
{
	if (count > REQUEST_RECORDS_MAX)
		return err_set(err, ERR_LIMIT, "%zu records in one request, %d are allowed", count,
			       REQUEST_RECORDS_MAX);
	return ERR_OK;
}

static enum err_code find_records(struct json root, struct json *ret, struct err *err)
{
	enum { RECORDS = 1 };
	struct json_iter member;
	unsigned seen = 0;

	if (json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "the body is not a JSON object");
	member = json_iter(root);
	while (json_next(&member)) {
		unsigned bit = bit_of(body_names, member.key);

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
	return produce_check_count(json_count(*ret), err);
}

/* A body of the API, in its JSON or its binary format. */
static enum err_code produce_take_body(struct produce *produce, struct json root, size_t body_len,
				       int32_t partition, struct err *err)
{
	struct json list = { 0 };
	struct json_iter element;

	if (find_records(root, &list, err) != ERR_OK)
		return err->code;
	/* Neither compact text nor decoded base64 is longer than what it comes from. */
	records_begin(produce->records, json_count(list), body_len);
	element = json_iter(list);
	while (json_next(&element)) {
		if (produce_take_record(produce, element.value, partition, err) != ERR_OK)
			return err->code;
		produce->index++;
	}
	return ERR_OK;
}

/* --- JSON without the form of the API ------------------------------------------------- */

/* The value itself is the record. */
static enum err_code produce_add_plain(struct produce *produce, struct json value,
				       int32_t partition, struct err *err)
{
	struct append_record record = { .partition = partition };

	if (json_type(value) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "a record is a JSON object");
	record.value = json_compact(&produce->records->bytes, value);
	records_add(produce->records, record);
	return ERR_OK;
}

static bool produce_line_is_blank(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
			return false;
	return true;
}

/* Takes the next line that is not blank off *rest, and counts all. False: there is none. */
static bool produce_next_line(struct slice *rest, size_t *number, struct slice *ret)
{
	do {
		const char *end;

		if (rest->len == 0)
			return false;
		end = memchr(rest->ptr, '\n', rest->len);
		*ret = slice_of(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
		*rest = slice_from(*rest, ret->len + (end != NULL));
		(*number)++;
	} while (produce_line_is_blank(*ret));
	return true;
}

static size_t produce_count_lines(struct slice body)
{
	size_t count = 0, number = 0;
	struct slice line;

	while (produce_next_line(&body, &number, &line))
		count++;
	return count;
}

/* A line's document is gone with the next one; what was kept of it stands in the body, or apart. */
static enum err_code produce_take_lines(struct produce *produce, struct json_parser *json,
					struct slice body, int32_t partition, struct err *err)
{
	size_t count = produce_count_lines(body), number = 0;
	struct slice rest = body, line;
	struct json root;

	if (count == 0)
		return err_set(err, ERR_SHAPE, "the body is empty");
	if (produce_check_count(count, err) != ERR_OK)
		return err->code;
	records_begin(produce->records, count, body.len);
	while (produce_next_line(&rest, &number, &line))
		if (json_parse_padded(json, line, &root, err) != ERR_OK ||
		    produce_add_plain(produce, root, partition, err) != ERR_OK)
			return err_prefix(err, "line %zu", number);
	return ERR_OK;
}

static bool produce_is_like_records(struct slice name)
{
	return name.len == strlen("records") && strncasecmp(name.ptr, "records", name.len) == 0;
}

/* Whether an object is a body of the API, a record of its own, or what nobody can tell. */
static enum err_code produce_tell_apart(struct json object, bool alone, bool *ret_body,
					struct err *err)
{
	static const char cure[] =
		"may be a record, or mean Kafka REST's: send application/x-ndjson"
		" with a record a line, or"
		" application/vnd.kafka.json.v2+json";
	bool records = false, value = false, of_body = true, of_record = true;
	struct json_iter member = json_iter(object);

	/* Most objects are told by their first member. */
	while ((alone || of_record) && json_next(&member)) {
		of_body = of_body && bit_of(body_names, member.key);
		of_record = of_record && bit_of(record_names, member.key);
		records |= produce_is_like_records(member.key);
		value |= slice_is(member.key, "value");
	}
	if (alone && records && !of_body)
		return err_set(err, ERR_SHAPE, "an object with \"records\" and others %s", cure);
	if (of_record && value)
		return err_set(err, ERR_SHAPE, "an object of \"value\" and no more %s", cure);
	*ret_body = alone && records;
	return ERR_OK;
}

static enum err_code produce_take_array(struct produce *produce, struct json array, size_t body_len,
					int32_t partition, struct err *err)
{
	struct json_iter element = json_iter(array);
	bool unused;

	if (json_count(array) == 0)
		return err_set(err, ERR_SHAPE, "the array has no record");
	if (produce_check_count(json_count(array), err) != ERR_OK)
		return err->code;
	records_begin(produce->records, json_count(array), body_len);
	for (; json_next(&element); produce->index++)
		if (produce_add_plain(produce, element.value, partition, err) != ERR_OK ||
		    produce_tell_apart(element.value, false, &unused, err) != ERR_OK)
			return err_prefix(err, "element %zu", produce->index);
	return ERR_OK;
}

static enum err_code produce_take_plain(struct produce *produce, struct json root, size_t body_len,
					int32_t partition, struct err *err)
{
	bool is_body;

	if (json_type(root) == JSON_ARRAY)
		return produce_take_array(produce, root, body_len, partition, err);
	if (json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE,
			       "the body is neither a JSON object nor an array of them");
	if (produce_tell_apart(root, true, &is_body, err) != ERR_OK)
		return err->code;
	if (is_body) {
		produce->format = PRODUCE_JSON;
		return produce_take_body(produce, root, body_len, partition, err);
	}
	records_begin(produce->records, 1, body_len);
	return produce_add_plain(produce, root, partition, err);
}

/* Lines that were sent as plain JSON are no JSON; says what they are. */
static enum err_code produce_fail_plain(struct json_parser *json, struct slice body,
					struct err *err)
{
	struct slice line;
	struct json root;
	struct err unused;
	size_t number = 0;

	if (produce_next_line(&body, &number, &line) && body.len > 0 &&
	    json_parse_padded(json, line, &root, &unused) == ERR_OK)
		return err_prefix(err, "lines of JSON are application/x-ndjson");
	return err->code;
}

enum err_code produce_parse(struct json_parser *json, struct slice body, enum produce_format format,
			    int32_t partition, struct records *records, struct err *err)
{
	struct produce produce = { .format = format, .records = records };
	struct json root;

	if (body.len == 0) /* the original takes it for null */
		return err_set(err, ERR_SHAPE, "the body is empty");
	if (format == PRODUCE_LINES)
		return produce_take_lines(&produce, json, body, partition, err);
	if (json_parse_padded(json, body, &root, err) != ERR_OK)
		return format == PRODUCE_PLAIN ? produce_fail_plain(json, body, err) : err->code;
	if (format == PRODUCE_PLAIN)
		return produce_take_plain(&produce, root, body.len, partition, err);
	return produce_take_body(&produce, root, body.len, partition, err);
}
