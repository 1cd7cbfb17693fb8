#include "gateway/put_records.h"

#include "gateway/velocity.h"

#include <stdio.h>

struct put {
	const char *data_name;
	const char *key_name;
	struct slice (*text)(struct buf *room, struct json data);
	char where[32];			/* "records[3]." before a member's name in messages */
	size_t record_bytes_max;
	struct records *records;
};

static struct slice velocity_text(struct buf *room, struct json value)
{
	size_t start = room->len;

	velocity_put(room, value);
	return slice_of(room->ptr + start, room->len - start);
}

static size_t count_chars(struct slice s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.len; i++)
		count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return count;
}

/* The member of that name, which must be there once. */
static enum err_code put_records_find(const struct put *put, struct json object, const char *name,
				      struct json *ret, struct err *err)
{
	struct json_iter iter = json_iter(object);
	bool found = false;

	while (json_next(&iter)) {
		if (!slice_is(iter.key, name))
			continue;
		if (found)
			return err_set(err, ERR_SYNTAX, "%s%s is there more than once", put->where,
				       name);
		found = true;
		*ret = iter.value;
	}
	if (!found)
		return err_set(err, ERR_SHAPE, "Value null at '%s%s' failed to satisfy constraint:"
			       " Member must not be null", put->where, name);
	return ERR_OK;
}

static enum err_code take_key(const struct put *put, struct json value, struct slice *ret,
			      struct err *err)
{
	size_t chars;

	*ret = slice_str("");
	if (json_type(value) != JSON_NULL)
		*ret = velocity_text(&put->records->bytes, value);
	chars = count_chars(*ret);
	if (chars == 0 || chars > PARTITION_KEY_CHARS_MAX)
		return err_set(err, ERR_SHAPE, "the partition key at '%s%s' has %zu characters, not"
			       " 1 to %d", put->where, put->key_name, chars,
			       PARTITION_KEY_CHARS_MAX);
	return ERR_OK;
}

static enum err_code put_records_take_record(const struct put *put, struct json object,
					     struct err *err)
{
	struct append_record record = { .partition = PARTITION_ANY };
	struct json data, key;

	if (json_type(object) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "%.*s is not a JSON object",
			       *put->where ? (int)strlen(put->where) - 1 : 8,
			       *put->where ? put->where : "the body");
	if (put_records_find(put, object, put->data_name, &data, err) != ERR_OK ||
	    put_records_find(put, object, put->key_name, &key, err) != ERR_OK ||
	    take_key(put, key, &record.key, err) != ERR_OK)
		return err->code;
	record.value = put->text(&put->records->bytes, data);
	if (record.key.len + record.value.len > put->record_bytes_max)
		return err_set(err, ERR_LIMIT, "the record at '%s%s' has %zu bytes with its key, %zu"
			       " are allowed", put->where, put->data_name,
			       record.key.len + record.value.len, put->record_bytes_max);
	records_add(put->records, record);
	return ERR_OK;
}

enum err_code put_record_parse(struct json_parser *json, struct slice body,
			       size_t record_bytes_max, struct records *records, struct err *err)
{
	struct put put = {
		.data_name = "Data",
		.key_name = "PartitionKey",
		.text = json_compact,
		.record_bytes_max = record_bytes_max,
		.records = records,
	};
	struct json root;

	if (json_parse_padded(json, body, &root, err) != ERR_OK)
		return err->code;
	records_begin(records, 1, VELOCITY_GROWTH_MAX * body.len);
	return put_records_take_record(&put, root, err);
}

static enum err_code find_list(const struct put *put, struct json root, struct json *ret,
			       struct err *err)
{
	if (json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "the body is not a JSON object");
	if (put_records_find(put, root, "records", ret, err) != ERR_OK)
		return err->code;
	if (json_type(*ret) != JSON_ARRAY)
		return err_set(err, ERR_SHAPE, "\"records\" is not an array");
	if (json_count(*ret) < 1 || json_count(*ret) > PUT_RECORDS_MAX)
		return err_set(err, ERR_SHAPE, "%zu records in one request, 1 to %d are allowed",
			       json_count(*ret), PUT_RECORDS_MAX);
	return ERR_OK;
}

enum err_code put_records_parse(struct json_parser *json, struct slice body,
				size_t record_bytes_max, struct records *records,
				struct err *err)
{
	struct put put = {
		.data_name = "data",
		.key_name = "partition-key",
		.text = velocity_text,
		.record_bytes_max = record_bytes_max,
		.records = records,
	};
	struct json root, list = { 0 };
	struct json_iter iter;

	if (json_parse_padded(json, body, &root, err) != ERR_OK ||
	    find_list(&put, root, &list, err) != ERR_OK)
		return err->code;
	records_begin(records, json_count(list), VELOCITY_GROWTH_MAX * body.len);
	iter = json_iter(list);
	for (size_t i = 0; json_next(&iter); i++) {
		(void)snprintf(put.where, sizeof(put.where), "records[%zu].", i);
		if (put_records_take_record(&put, iter.value, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}
