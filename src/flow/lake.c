#include "flow/lake.h"

#include "base/mem.h"
#include "base/names.h"

#include <inttypes.h>
#include <stdio.h>

static const char objects[] = "topics";
static const char letters[] = "dlq";

static enum err_code check_topic(const struct lake_table *table, struct slice topic, const char *id,
				 struct err *err)
{
	const char *what = table->kind == TOPIC_STREAM ? "stream" : "topic";
	enum err_code code = table->kind == TOPIC_STREAM ? name_check_stream(topic, err)
							 : name_check_topic(topic, err);

	if (code == ERR_OK)
		return ERR_OK;
	if (topic.len > STREAM_NAME_MAX)
		return err_set(err, ERR_USAGE, "table \"%s\": with the id \"%.40s…\" the name of its %s"
			       " is too long", table->model->model.name, id, what);
	err->code = ERR_USAGE;
	return err_prefix(err, "table \"%s\": %s \"%.*s\"", table->model->model.name,
			  what, SLICE_ARG(topic));
}

enum err_code lake_table_init(struct lake_table *table, const struct clean_model *model,
			      enum topic_kind kind, const char *id, struct err *err)
{
	bool stream = kind == TOPIC_STREAM;
	enum err_code code;
	struct buf topic;

	*table = (struct lake_table){
		.model = model,
		.kind = kind,
		.shared = stream ? &model->stream_shared : &model->topic_shared,
	};
	buf_init(&topic, STORE_KEY_MAX);
	clean_name(&topic, stream ? model->stream : model->topic, id);
	code = check_topic(table, buf_slice(&topic), id, err);
	if (code == ERR_OK)
		(void)snprintf(table->topic, sizeof(table->topic), "%s", buf_cstr(&topic));
	buf_release(&topic);
	if (code != ERR_OK)
		return code;
	if (snprintf(table->root, sizeof(table->root), "tables/%s_%s_%s", id, model->model.name,
		     stream ? "table" : "clean") >= (int)sizeof(table->root))
		return err_set(err, ERR_USAGE,
			       "table \"%s\": its name is too long with the id \"%s\"",
			       model->model.name, id);
	return ERR_OK;
}

enum err_code lake_tables_new(const struct models *models, enum topic_kind kind, const char *id,
			      struct lake_table **ret_tables, struct err *err)
{
	struct lake_table *tables = xcalloc(models->clean_count, sizeof(*tables));

	for (size_t i = 0; i < models->clean_count; i++)
		if (lake_table_init(&tables[i], &models->clean[i], kind, id, err) != ERR_OK) {
			free(tables);
			return err->code;
		}
	*ret_tables = tables;
	return ERR_OK;
}

struct topic_ref lake_table_topic(const struct lake_table *table)
{
	return (struct topic_ref){ .kind = table->kind, .name = table->topic };
}

bool lake_table_leads(const struct lake_table *table)
{
	return table->shared->models[0] == table->model;
}

void lake_app_id(char app_id[LAKE_APP_ID_MAX], enum topic_kind kind, const char *topic,
		 int32_t partition, const char *uid)
{
	char text[PARTITION_TEXT_MAX];

	(void)partition_text(kind, partition, text);
	if (kind == TOPIC_LOG)
		(void)snprintf(app_id, LAKE_APP_ID_MAX, "pinpipe/batch/%s/%s", topic, text);
	else
		(void)snprintf(app_id, LAKE_APP_ID_MAX, "pinpipe/stream/%s/%s/%s", topic, text, uid);
}

static void put_prefix(struct buf *out, const char *place, enum topic_kind kind, const char *topic,
		       int32_t partition)
{
	char part[PARTITION_TEXT_MAX];

	(void)partition_text(kind, partition, part);
	buf_clear(out);
	buf_addf(out, "%s/%s/partition=%s/%s+%s+", place, topic, part, topic, part);
}

void lake_object_prefix(struct buf *out, const char *topic, int32_t partition)
{
	put_prefix(out, objects, TOPIC_LOG, topic, partition);
}

void lake_object_key(struct buf *out, const char *topic, int32_t partition, uint64_t start)
{
	lake_object_prefix(out, topic, partition);
	buf_addf(out, "%010" PRIu64 ".json", start);
}

void lake_dlq_prefix(struct buf *out, enum topic_kind kind, const char *topic, int32_t partition)
{
	put_prefix(out, letters, kind, topic, partition);
}

void lake_dlq_key(struct buf *out, enum topic_kind kind, const char *topic, int32_t partition,
		  uint64_t start)
{
	lake_dlq_prefix(out, kind, topic, partition);
	buf_addf(out, "%010" PRIu64 ".ndjson", start);
}

/* The text between two marks; `rest` moves behind it. False: `end` is not there. */
static bool take_until(struct slice *rest, char end, struct slice *ret)
{
	const char *at = memchr(rest->ptr, end, rest->len);

	if (!at)
		return false;
	*ret = slice_of(rest->ptr, (size_t)(at - rest->ptr));
	*rest = slice_from(*rest, ret->len + 1);
	return true;
}

/* Ten digits or, without a zero in front, more. */
static bool lake_parse_start(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len < 10 || text.len > 19 || (text.len > 10 && text.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*ret = value;
	return true;
}

/* <place>/<topic>/partition=<p>/<topic>+<p>+<start>.<extension>, nothing else. */
static bool lake_parse(const char *key, const char *place, const char *extension,
		       enum topic_kind kind, struct slice *ret_topic, int32_t *ret_partition,
		       uint64_t *ret_start)
{
	struct slice rest = slice_str(key);
	struct slice topic, part, text;
	int32_t partition;
	uint64_t start;

	if (!take_until(&rest, '/', &text) || !slice_is(text, place) ||
	    !take_until(&rest, '/', &topic) || !take_until(&rest, '=', &text) ||
	    !slice_is(text, "partition") || !take_until(&rest, '/', &part) ||
	    !partition_parse(kind, part, &partition))
		return false;
	if (!take_until(&rest, '+', &text) || !slice_eq(text, topic) ||
	    !take_until(&rest, '+', &text) || !slice_eq(text, part) ||
	    !take_until(&rest, '.', &text) || !lake_parse_start(text, &start) ||
	    !slice_is(rest, extension))
		return false;
	*ret_topic = topic;
	*ret_partition = partition;
	*ret_start = start;
	return true;
}

bool lake_object_parse(const char *key, struct slice *ret_topic, int32_t *ret_partition,
		       uint64_t *ret_start)
{
	return lake_parse(key, objects, "json", TOPIC_LOG, ret_topic, ret_partition, ret_start);
}

bool lake_dlq_parse(const char *key, enum topic_kind kind, struct slice *ret_topic,
		    int32_t *ret_partition, uint64_t *ret_start)
{
	return lake_parse(key, letters, "ndjson", kind, ret_topic, ret_partition, ret_start);
}
