#include "flow/census.h"

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
	struct slice topic;
	int32_t partition;
	uint64_t start, lines = 0;

	if (!lake_object_parse(entry->key, &topic, &partition, &start))
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
	row->clean = delta_rows(table);
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

static enum err_code count_table(struct store *store, struct broker *broker, const char *id,
				 enum topic_kind kind, enum lake_table table,
				 struct census_row *row, struct err *err)
{
	struct buf name;
	struct buf root;
	enum err_code code;

	buf_init(&name, STORE_KEY_MAX);
	buf_init(&root, STORE_KEY_MAX);
	lake_topic_name(&name, kind, id, table);
	lake_table_root(&root, kind, id, table);
	code = count_log(broker, (struct topic_ref){ kind, buf_cstr(&name) }, row, err);
	if (code == ERR_OK && kind == TOPIC_LOG)
		code = count_objects(store, buf_cstr(&name), row, err);
	if (code == ERR_OK)
		code = dlq_list(store, buf_cstr(&name), census_count_letter, row, err);
	if (code == ERR_OK)
		code = count_rows(store, buf_cstr(&root), row, err);
	buf_release(&name);
	buf_release(&root);
	return code;
}

enum err_code census_take(struct store *store, struct broker *broker, const char *id,
			  struct census *ret_census, struct err *err)
{
	struct census census = { 0 };

	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (int table = 0; table < LAKE_TABLES; table++) {
			enum err_code code = count_table(store, broker, id, (enum topic_kind)kind,
							 (enum lake_table)table,
							 &census.path[kind][table], err);

			if (code != ERR_OK)
				return code;
		}
	*ret_census = census;
	return ERR_OK;
}

void census_subtract(struct census *census, const struct census *before)
{
	for (int kind = 0; kind < 2; kind++)
		for (int table = 0; table < LAKE_TABLES; table++) {
			struct census_row *row = &census->path[kind][table];
			const struct census_row *old = &before->path[kind][table];

			row->logged -= old->logged;
			row->landed -= old->landed;
			row->unlanded -= old->unlanded;
			row->clean -= old->clean;
			row->dead -= old->dead;
		}
}
