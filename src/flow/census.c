#include "flow/census.h"

#include "base/mem.h"
#include "broker/sequence.h"
#include "delta/delta.h"
#include "flow/dlq.h"

#include <stdio.h>

enum { READ_BYTES = 8 << 20 };

struct walk {
	struct store *store;
	struct census_row *row;
	enum err_code code;
	struct err *err;
};

static uint64_t count_newlines(struct slice text)
{
	const char *at = text.ptr;
	const char *end = text.ptr + text.len;
	uint64_t lines = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		lines++;
		at++;
	}
	return lines;
}

enum err_code census_count_lines(struct store *store, const char *key, uint64_t size,
				 uint64_t *ret_lines, struct err *err)
{
	enum err_code code = ERR_OK;
	uint64_t lines = 0;
	uint64_t from = 0;
	char last = '\n';
	struct buf part;

	buf_init(&part, READ_BYTES);
	while (from < size && code == ERR_OK) {
		buf_clear(&part);
		code = store_get(store, key, from, READ_BYTES, &part, err);
		if (code != ERR_OK || part.len == 0)
			break;
		lines += count_newlines(buf_slice(&part));
		last = part.ptr[part.len - 1];
		from += part.len;
	}
	buf_release(&part);
	if (code == ERR_OK && last != '\n')
		code = err_set(err, ERR_CORRUPT, "object \"%s\" does not end in a newline", key);
	if (code == ERR_OK)
		*ret_lines = lines;
	return code;
}

static bool count_object(void *user, const struct store_entry *entry)
{
	struct walk *walk = user;
	struct lake_object_name name;
	uint64_t lines = 0;

	if (!lake_object_parse(entry->key, &name))
		return true;
	walk->code = census_count_lines(walk->store, entry->key, entry->size, &lines, walk->err);
	walk->row->landed += lines;
	return walk->code == ERR_OK;
}

static bool census_count_letter(void *user, const struct dlq_entry *entry)
{
	struct census_row *row = user;

	row->dead++;
	row->unlanded += slice_is(entry->stage, "sink");
	return true;
}

static enum err_code count_objects(struct store *store, const char *topic,
				   struct census_row *row, struct err *err)
{
	struct walk walk = { .store = store, .row = row, .code = ERR_OK, .err = err };
	char prefix[STORE_KEY_MAX];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", topic);
	code = store_list(store, prefix, "", count_object, &walk, err);
	return code == ERR_OK ? walk.code : code;
}

static enum err_code count_rows(struct store *store, const char *root, struct census_row *row,
				struct err *err)
{
	struct delta_options options = { 0 };
	struct delta_table *table;
	enum err_code code = delta_open(store, root, &options, &table, err);

	if (code == ERR_ABSENT)
		return ERR_OK;
	if (code != ERR_OK)
		return code;
	row->clean += delta_rows(table);
	delta_close(table);
	return ERR_OK;
}

static enum err_code count_log(struct broker *broker, struct topic_ref topic,
			       struct census_row *row, struct err *err)
{
	struct topic_info info;
	enum err_code code = broker_describe(broker, topic, &info, err);

	if (code == ERR_NO_TOPIC)
		return ERR_OK;
	if (code != ERR_OK)
		return code;
	for (int32_t i = 0; i < info.partition_count; i++)
		row->logged += position_ordinal(info.partitions[i].next);
	topic_info_release(&info);
	return ERR_OK;
}

/* One topic or stream, and all tables that read it. */
static enum err_code count_topic(struct store *store, struct broker *broker, const char *id,
				 const struct lake_table *table, struct census_row *row,
				 struct err *err)
{
	enum err_code code = count_log(broker, lake_table_topic(table), row, err);

	if (code == ERR_OK && table->kind == TOPIC_LOG)
		code = count_objects(store, table->topic, row, err);
	if (code == ERR_OK)
		code = dlq_list(store, table->topic, census_count_letter, row, err);
	for (size_t i = 0; i < table->shared->count && code == ERR_OK; i++) {
		struct lake_table one;

		code = lake_table_init(&one, table->shared->models[i], table->kind, id, err);
		if (code == ERR_OK)
			code = count_rows(store, one.root, row, err);
	}
	return code;
}

static enum err_code count_path(struct store *store, struct broker *broker,
				const struct models *models, enum topic_kind kind, const char *id,
				struct census *census, struct err *err)
{
	size_t *count = &census->count[kind];
	enum err_code code = ERR_OK;

	census->path[kind] = xcalloc(models->clean_count, sizeof(struct census_row));
	census->models[kind] = xcalloc(models->clean_count, sizeof(struct clean_model *));
	for (size_t i = 0; i < models->clean_count && code == ERR_OK; i++) {
		struct lake_table table;

		code = lake_table_init(&table, &models->clean[i], kind, id, err);
		if (code != ERR_OK || !lake_table_leads(&table))
			continue;
		code = count_topic(store, broker, id, &table, &census->path[kind][*count], err);
		census->models[kind][(*count)++] = &models->clean[i];
	}
	return code;
}

enum err_code census_take(struct store *store, struct broker *broker, const struct models *models,
			  const char *id, struct census *ret_census, struct err *err)
{
	struct census census = { 0 };
	enum err_code code = count_path(store, broker, models, TOPIC_LOG, id, &census, err);

	if (code == ERR_OK)
		code = count_path(store, broker, models, TOPIC_STREAM, id, &census, err);
	if (code == ERR_OK)
		*ret_census = census;
	else
		census_release(&census);
	return code;
}

void census_release(struct census *census)
{
	for (int kind = 0; kind < 2; kind++) {
		free(census->path[kind]);
		free(census->models[kind]);
	}
	*census = (struct census){ 0 };
}

void census_subtract(struct census *census, const struct census *before)
{
	for (int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < census->count[kind]; i++) {
			struct census_row *row = &census->path[kind][i];
			const struct census_row *old = &before->path[kind][i];

			row->logged -= old->logged;
			row->landed -= old->landed;
			row->unlanded -= old->unlanded;
			row->clean -= old->clean;
			row->dead -= old->dead;
		}
}
