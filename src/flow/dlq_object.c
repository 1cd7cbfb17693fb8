#include "flow/dlq_object.h"

#include "base/base64.h"
#include "base/mem.h"

void dlq_reader_init(struct dlq_reader *reader, struct store *store)
{
	*reader = (struct dlq_reader){ .store = store };
	reader->parser = json_parser_new(DLQ_OBJECT_BYTES_MAX);
	buf_init(&reader->body, DLQ_OBJECT_BYTES_MAX);
	buf_init(&reader->value, DLQ_OBJECT_BYTES_MAX);
}

void dlq_reader_release(struct dlq_reader *reader)
{
	json_parser_free(reader->parser);
	buf_release(&reader->body);
	buf_release(&reader->value);
}

static bool dlq_get_text(struct json object, const char *name, struct slice *ret)
{
	struct json member;

	return json_member(object, name, &member) && json_get_string(member, ret);
}

static bool get_value(struct dlq_reader *reader, struct json object, struct slice *ret)
{
	struct json member;
	struct slice text;

	buf_clear(&reader->value);
	*ret = slice_of(NULL, 0);
	if (!json_member(object, "value", &member))
		return false;
	if (json_type(member) == JSON_NULL)
		return true;
	if (!json_get_string(member, &text) || !base64_decode(&reader->value, text))
		return false;
	*ret = slice_str("");
	if (reader->value.len)
		*ret = buf_slice(&reader->value);
	return true;
}

/* "[g<4 digits>-]<position>" */
static bool parse_place(struct slice text, uint32_t *ret_generation, struct position *ret)
{
	uint32_t generation = 1;

	if (text.len > 6 && text.ptr[0] == 'g' && text.ptr[5] == '-') {
		generation = 0;
		for (size_t i = 1; i < 5; i++)
			generation = generation * 10 + (uint32_t)(text.ptr[i] - '0');
		text = slice_from(text, 6);
	}
	*ret_generation = generation;
	return generation >= 1 && generation <= LAKE_GENERATIONS_MAX && position_parse(text, ret);
}

static bool parse_entry(struct dlq_reader *reader, struct slice line, struct dlq_entry *ret)
{
	struct json root, timestamp;
	struct err err;

	*ret = (struct dlq_entry){ 0 };
	if (json_parse(reader->parser, line, &root, &err) != ERR_OK ||
	    json_type(root) != JSON_OBJECT || !dlq_get_text(root, "offset", &ret->offset))
		return false;
	ret->last = ret->offset;
	(void)dlq_get_text(root, "last", &ret->last);
	(void)dlq_get_text(root, "table", &ret->table);
	ret->placed = parse_place(ret->last, &ret->generation, &ret->last_position) &&
		      parse_place(ret->offset, &ret->generation, &ret->position);
	return dlq_get_text(root, "topic", &ret->topic) &&
	       dlq_get_text(root, "partition", &ret->partition) &&
	       dlq_get_text(root, "stage", &ret->stage) &&
	       dlq_get_text(root, "reason", &ret->reason) &&
	       json_member(root, "timestamp_ms", &timestamp) &&
	       json_get_i64(timestamp, &ret->timestamp_ms) && get_value(reader, root, &ret->value);
}

enum err_code dlq_reader_each_of(struct dlq_reader *reader, const char *key, struct slice body,
				 bool (*each)(void *user, const struct dlq_entry *entry),
				 void *user, struct err *err)
{
	struct slice rest = body;

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
		struct dlq_entry entry;

		if (!end || !parse_entry(reader, slice_of(rest.ptr, len), &entry))
			return err_set(err, ERR_CORRUPT,
				       "\"%s\": byte %zu does not begin a dead letter", key,
				       body.len - rest.len);
		if (!each(user, &entry))
			return ERR_OK;
		rest = slice_from(rest, len + 1);
	}
	return ERR_OK;
}

enum err_code dlq_get(struct store *store, const char *key, struct buf *body, struct err *err)
{
	enum err_code code = store_get(store, key, 0, UINT64_MAX, body, err);

	return code == ERR_ABSENT ? ERR_OK : code;	/* removed since it was listed */
}

enum err_code dlq_reader_each(struct dlq_reader *reader, const char *key,
			      bool (*each)(void *user, const struct dlq_entry *entry), void *user,
			      struct err *err)
{
	enum err_code code;

	buf_clear(&reader->body);
	code = dlq_get(reader->store, key, &reader->body, err);
	if (code == ERR_OK)
		code = dlq_reader_each_of(reader, key, buf_slice(&reader->body), each, user, err);
	return code;
}

struct dlq_place dlq_place_of(const struct dlq_source *source)
{
	return (struct dlq_place){ .topic = source->topic,
				   .generation = source->generation,
				   .partition = source->partition };
}

bool dlq_entry_is_of(const struct dlq_entry *entry, const struct dlq_source *source)
{
	return slice_is(entry->stage, source->stage) &&
	       (!source->table || !entry->table.ptr || slice_is(entry->table, source->table));
}

void dlq_list_add(struct dlq_listing *list, const struct store_entry *entry)
{
	struct dlq_listed *listed;

	if (list->count == list->room) {
		list->room = list->room * 2 + 64;
		list->at = xreallocarray(list->at, list->room, sizeof(*list->at));
	}
	listed = &list->at[list->count++];
	*listed = (struct dlq_listed){ .text = xstrdup(entry->key),
				       .size = entry->size,
				       .modified_ms = entry->modified_ms };
	listed->known = dlq_key_parse(listed->text, &listed->key);
}

void dlq_list_clear(struct dlq_listing *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->at[i].text);
		buf_release(&list->at[i].body);
	}
	list->count = 0;
}

void dlq_list_release(struct dlq_listing *list)
{
	dlq_list_clear(list);
	free(list->at);
	*list = (struct dlq_listing){ 0 };
}
