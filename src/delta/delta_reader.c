/* delta_reader.c - the JSON of a commit, one action a line. */
#include "base/mem.h"
#include "delta/delta_action.h"

#include <stdio.h>

enum { LINE_BYTES_MAX = 64 << 20, STATS_BYTES_MAX = 4 << 20 };

void delta_reader_init(struct delta_reader *reader)
{
	reader->line = json_parser_new(LINE_BYTES_MAX);
	reader->stats = json_parser_new(STATS_BYTES_MAX);
}

void delta_reader_release(struct delta_reader *reader)
{
	json_parser_free(reader->line);
	json_parser_free(reader->stats);
}

uint64_t delta_reader_rows(struct delta_reader *reader, struct slice stats)
{
	struct err err = { 0 };
	struct json root;
	struct json rows;
	int64_t count;

	if (json_parse(reader->stats, stats, &root, &err) == ERR_OK &&
	    json_type(root) == JSON_OBJECT && json_member(root, "numRecords", &rows) &&
	    json_get_i64(rows, &count) && count >= 0)
		return (uint64_t)count;
	return 0;
}

/* A member that may be missing or null. A C string must hold it: one with a NUL is as none. */
static char *member_text(struct json object, const char *name)
{
	struct json value;
	struct slice text;

	if (!json_member(object, name, &value) || !json_get_string(value, &text) ||
	    memchr(text.ptr, '\0', text.len))
		return NULL;
	return xstrndup(text.ptr, text.len);
}

static int64_t member_i64(struct json object, const char *name, int64_t otherwise)
{
	struct json value;

	if (json_member(object, name, &value))
		(void)json_get_i64(value, &otherwise);
	return otherwise;
}

static bool member_set(struct json object, const char *name)
{
	struct json value;

	return json_member(object, name, &value) && json_type(value) != JSON_NULL;
}

/* The protocol wants it said; who does not may have changed rows. */
static bool member_changes(struct json object)
{
	struct json value;
	bool changes = true;

	if (json_member(object, "dataChange", &value))
		(void)json_get_bool(value, &changes);
	return changes;
}

static enum err_code member_path(struct json object, char **ret_path, struct err *err)
{
	struct json value;
	struct slice text;

	if (!json_member(object, "path", &value) || !json_get_string(value, &text))
		return err_set(err, ERR_CORRUPT, "a file has no path");
	return delta_path_decode(text, ret_path, err);
}

static enum err_code read_add(struct delta_reader *reader, struct json value,
			      struct delta_actions *actions, struct err *err)
{
	struct delta_add *add = delta_actions_new_add(actions);
	int64_t size = member_i64(value, "size", -1);
	enum err_code code = member_path(value, &add->path, err);

	if (code != ERR_OK)
		return code;
	if (size < 0)
		return err_set(err, ERR_CORRUPT, "file \"%s\" has no size", add->path);
	if (member_set(value, "deletionVector"))
		return err_set(err, ERR_UNSUPPORTED, "file \"%s\" has a deletion vector", add->path);
	actions->data_change |= member_changes(value);
	add->size = (uint64_t)size;
	add->modified_ms = member_i64(value, "modificationTime", 0);
	add->stats = member_text(value, "stats");
	if (add->stats)
		add->rows = delta_reader_rows(reader, slice_str(add->stats));
	return ERR_OK;
}

static enum err_code read_remove(struct json value, struct delta_actions *actions, struct err *err)
{
	struct delta_remove *remove = delta_actions_new_remove(actions);

	remove->deleted_ms = member_i64(value, "deletionTimestamp", 0);
	remove->size = member_i64(value, "size", -1);
	actions->data_change |= member_changes(value);
	return member_path(value, &remove->path, err);
}

static enum err_code read_txn(struct json value, struct delta_actions *actions, struct err *err)
{
	struct delta_app *app = delta_actions_new_app(actions);

	app->id = member_text(value, "appId");
	app->version = member_i64(value, "version", -1);
	app->updated_ms = member_i64(value, "lastUpdated", -1);
	if (!app->id || app->version < 0)
		return err_set(err, ERR_CORRUPT, "a txn has no appId or no version");
	return ERR_OK;
}

static void read_features(struct json value, const char *name,
			  char features[static DELTA_FEATURES_SIZE])
{
	struct json list;
	struct json_iter iter;
	struct slice feature;

	if (!json_member(value, name, &list) || json_type(list) != JSON_ARRAY)
		return;
	iter = json_iter(list);
	while (json_next(&iter))
		if (json_get_string(iter.value, &feature))
			delta_add_feature(features, feature);
}

static enum err_code delta_reader_read_protocol(struct json value, struct delta_actions *actions,
						struct err *err)
{
	actions->protocol = (struct delta_protocol){ 0 };
	read_features(value, "readerFeatures", actions->protocol.reader_features);
	read_features(value, "writerFeatures", actions->protocol.writer_features);
	actions->protocol.reader = member_i64(value, "minReaderVersion", 0);
	actions->protocol.writer = member_i64(value, "minWriterVersion", 0);
	if (actions->protocol.reader < 1 || actions->protocol.writer < 1)
		return err_set(err, ERR_CORRUPT, "the protocol has no versions");
	return ERR_OK;
}

static void delta_reader_read_settings(struct json value, const char *name,
				       struct delta_settings *settings)
{
	struct json object;
	struct json_iter iter;

	if (!json_member(value, name, &object) || json_type(object) != JSON_OBJECT)
		return;
	iter = json_iter(object);
	while (json_next(&iter)) {
		struct delta_setting *setting = delta_settings_new(settings);
		struct slice text = slice_str("");

		(void)json_get_string(iter.value, &text);
		setting->key = xstrndup(iter.key.ptr, iter.key.len);
		setting->value = xstrndup(text.ptr, text.len);
	}
}

static void delta_reader_read_partitions(struct json value, struct delta_metadata *metadata)
{
	struct slice name = slice_str("");
	struct json columns;
	struct json_iter iter;

	if (!json_member(value, "partitionColumns", &columns) || json_type(columns) != JSON_ARRAY)
		return;
	iter = json_iter(columns);
	if (!json_next(&iter))
		return;
	(void)json_get_string(iter.value, &name);
	metadata->partitioned_by = xstrndup(name.ptr, name.len);
}

static enum err_code delta_reader_read_metadata(struct json value, struct delta_actions *actions,
						struct err *err)
{
	struct delta_metadata *metadata = xcalloc(1, sizeof(*metadata));
	struct json part;

	delta_metadata_free(actions->metadata);
	actions->metadata = metadata;
	metadata->id = member_text(value, "id");
	metadata->name = member_text(value, "name");
	metadata->description = member_text(value, "description");
	metadata->schema = member_text(value, "schemaString");
	metadata->created_ms = member_i64(value, "createdTime", -1);
	if (json_member(value, "format", &part) && json_type(part) == JSON_OBJECT) {
		metadata->provider = member_text(part, "provider");
		delta_reader_read_settings(part, "options", &metadata->options);
	}
	delta_reader_read_partitions(value, metadata);
	delta_reader_read_settings(value, "configuration", &metadata->settings);
	if (!metadata->id || !metadata->schema)
		return err_set(err, ERR_CORRUPT, "the metadata has no id or no schemaString");
	return ERR_OK;
}

static void read_word(struct json value, const char *name, char word[static DELTA_INFO_SIZE])
{
	struct json member;
	struct slice text;

	if (json_member(value, name, &member) && json_get_string(member, &text) && text.len > 0)
		(void)snprintf(word, DELTA_INFO_SIZE, "%.*s",
			       (int)(text.len < DELTA_INFO_SIZE ? text.len : DELTA_INFO_SIZE),
			       text.ptr);
}

static void read_info(struct json value, struct delta_actions *actions)
{
	char *id = member_text(value, "txnId");

	actions->timestamp_ms = member_i64(value, "timestamp", 0);
	actions->read_version = member_i64(value, "readVersion", -1);
	read_word(value, "operation", actions->operation);
	read_word(value, "clientVersion", actions->engine); /* of older delta-rs */
	read_word(value, "engineInfo", actions->engine);
	if (id && strlen(id) < sizeof(actions->txn_id))
		memcpy(actions->txn_id, id, strlen(id) + 1);
	free(id);
}

static enum err_code read_action(struct delta_reader *reader, struct slice name, struct json value,
				 struct delta_actions *actions, struct err *err)
{
	if (json_type(value) != JSON_OBJECT)
		return json_type(value) == JSON_NULL ? ERR_OK :
			err_set(err, ERR_CORRUPT, "\"%.*s\" is no object", SLICE_ARG(name));
	if (slice_is(name, "add"))
		return read_add(reader, value, actions, err);
	if (slice_is(name, "remove"))
		return read_remove(value, actions, err);
	if (slice_is(name, "txn"))
		return read_txn(value, actions, err);
	if (slice_is(name, "protocol"))
		return delta_reader_read_protocol(value, actions, err);
	if (slice_is(name, "metaData"))
		return delta_reader_read_metadata(value, actions, err);
	if (slice_is(name, "commitInfo"))
		read_info(value, actions);
	return ERR_OK;
}

static enum err_code read_line(struct delta_reader *reader, struct slice line,
			       struct delta_actions *actions, struct err *err)
{
	enum err_code code;
	struct json root;
	struct json_iter iter;

	code = json_parse(reader->line, line, &root, err);
	if (code != ERR_OK)
		return err->code = ERR_CORRUPT;	/* the message stands: it says what is wrong */
	if (json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_CORRUPT, "not an object");
	iter = json_iter(root);
	while (json_next(&iter)) {
		code = read_action(reader, iter.key, iter.value, actions, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

enum err_code delta_reader_parse(struct delta_reader *reader, struct slice text,
				 struct delta_actions *ret_actions, struct err *err)
{
	struct delta_actions actions = { .read_version = -1 };
	enum err_code code = ERR_OK;
	size_t number = 0;

	while (text.len > 0 && code == ERR_OK) {
		const char *newline = memchr(text.ptr, '\n', text.len);
		struct slice line = slice_of(text.ptr, newline ? (size_t)(newline - text.ptr) :
					     text.len);

		number++;
		text = slice_from(text, line.len + (newline != NULL));
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len > 0)
			code = read_line(reader, line, &actions, err);
	}
	if (code != ERR_OK) {
		delta_actions_release(&actions);
		return err_prefix(err, "line %zu", number);
	}
	*ret_actions = actions;
	return ERR_OK;
}
