#include "flow/table_facts.h"

#include "base/mem.h"
#include "flow/batch_find.h"
#include "flow/dlq_object.h"
#include "flow/history.h"
#include "flow/stream_table.h"

#include <stdio.h>

/* --- files ------------------------------------------------------------------------- */

static int smaller_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void take_files(struct table_facts *facts, const struct delta_table *delta)
{
	size_t count = delta_file_count(delta);
	uint64_t *sizes = xcalloc(count, sizeof(*sizes));

	for (size_t i = 0; i < count; i++) {
		sizes[i] = delta_file(delta, i)->size;
		facts->bytes += sizes[i];
	}
	facts->files = count;
	facts->rows = delta_rows(delta);
	if (count > 0) {
		qsort(sizes, count, sizeof(*sizes), smaller_first);
		facts->smallest = sizes[0];
		facts->median = sizes[count / 2];
		facts->largest = sizes[count - 1];
	}
	free(sizes);
}

/* --- letters ------------------------------------------------------------------------- */

struct letter_count {
	const struct lake_table *table;
	uint64_t seen;
	uint64_t its;
};

static bool count_letters(void *user, const struct store_entry *entry)
{
	struct letter_count *count = user;
	const char *name = count->table->model->model.name;
	struct dlq_key key;

	count->seen++;
	if (dlq_key_parse(entry->key, &key))
		count->its += key.old && !key.table.ptr ? lake_table_leads(count->table)
							: dlq_key_is_of(&key, name);
	return count->seen < TABLE_LETTER_FILES_MAX;
}

static enum err_code facts_take_letters(struct table_facts *facts, struct store *store,
					const struct lake_table *table, struct err *err)
{
	struct letter_count count = { .table = table };
	struct buf prefix;
	enum err_code code;

	buf_init(&prefix, DLQ_KEY_MAX);
	buf_addf(&prefix, "dlq/%s/", table->topic);
	code = store_list(store, buf_cstr(&prefix), "", count_letters, &count, err);
	buf_release(&prefix);
	facts->letter_files = count.its;
	return code;
}

/* --- what waits ------------------------------------------------------------------------ */

/* Records behind the one at `done`; NULL: all that are kept. */
static uint64_t records_after(const struct partition_info *partition, const struct position *done)
{
	uint64_t records;

	if (!done || position_cmp(*done, partition->first) < 0)
		return partition->records;
	records = partition_records_from(partition, *done);
	return records > 0 ? records - 1 : 0;
}

/* How far the table is with a partition of the topic that has this uid. */
static enum err_code table_facts_progress(const struct lake_table *table,
					  const struct delta_table *delta,
					  const struct topic_info *topic,
					  struct lake_partition where,
					  struct delta_progress *ret_progress, struct err *err)
{
	char app_id[LAKE_APP_ID_MAX];
	enum err_code code = ERR_OK;

	if (table->kind == TOPIC_STREAM)
		code = stream_newest_generation(delta, &where, topic->uid, err);
	if (code != ERR_OK)
		return code;
	lake_app_id(app_id, table->kind, where, topic->uid);
	return delta_progress(delta, app_id, ret_progress, err);
}

/* `generation`: of the lake's objects, where they are this topic's; 0: they are another's. */
static enum err_code take_waiting(struct table_facts *facts, const struct lake_table *table,
				  const struct delta_table *delta, const struct topic_info *topic,
				  uint32_t generation, struct err *err)
{
	facts->waiting_known = true;
	for (int32_t i = 0; i < topic->partition_count; i++) {
		const struct partition_info *partition = &topic->partitions[i];
		struct lake_partition where = { table->topic, partition->id, generation };
		struct delta_progress done = { 0 };
		enum err_code code = ERR_OK;

		if (delta && generation > 0)
			code = table_facts_progress(table, delta, topic, where, &done, err);
		if (code != ERR_OK)
			return code;
		if (table->kind == TOPIC_STREAM)
			done.position = position_made_whole(done.position, partition->first);
		facts->waiting_known &= partition->next_known;
		facts->waiting += records_after(partition, done.any ? &done.position : NULL);
	}
	return ERR_OK;
}

static enum err_code facts_take_objects(struct table_facts *facts, struct store *store,
					const struct lake_table *table,
					const struct delta_table *delta, struct err *err)
{
	struct batch_finder finder = {
		.store = store, .table = table, .delta = delta, .bytes_max = UINT64_MAX
	};
	struct lake_input input;
	enum err_code code;

	lake_input_init(&input, store, table);
	code = batch_find(&finder, &input, err);
	facts->objects = input.object_count;
	lake_input_release(&input);
	free(finder.stopped);
	return code;
}

/* `delta` NULL: there is no table yet. */
static enum err_code take_all_waiting(struct table_facts *facts, struct store *store,
				      const struct lake_table *table,
				      const struct delta_table *delta,
				      const struct topic_info *topic, struct err *err)
{
	struct history history = { .generation = 1, .has_uid = true };
	enum err_code code = ERR_OK;

	if (table->kind == TOPIC_LOG && topic && delta)
		code = history_load(store, table->topic, topic->uid, &history, err);
	if (code == ERR_OK && topic)
		code = take_waiting(facts, table, delta, topic,
				    history.has_uid || !history.named ? history.generation : 0,
				    err);
	if (code == ERR_OK && table->kind == TOPIC_LOG && delta)
		code = facts_take_objects(facts, store, table, delta, err);
	return code;
}

/* --- all of it ------------------------------------------------------------------------- */

/* A stage goes on without a table whose columns are others than the model's. */
static enum err_code take_refusal(struct table_facts *facts, const struct lake_table *table,
				  struct delta_table *delta, struct err *err)
{
	struct delta_difference difference;
	enum err_code code = ERR_OK;

	(void)snprintf(facts->refused, sizeof(facts->refused), "%s", facts->recent.refused);
	if (*facts->refused)
		return ERR_OK;
	code = delta_compare(delta, &table->model->schema, &difference, err);
	if (code == ERR_OK && difference.change > DELTA_ADDED)
		(void)snprintf(facts->refused, sizeof(facts->refused), "%s", difference.says);
	return code;
}

static enum err_code facts_take_table(struct table_facts *facts, struct store *store,
				      const struct lake_table *table,
				      const struct topic_info *topic, struct err *err)
{
	const struct delta_options read_only = { .name = table->model->model.name };
	struct delta_table *delta = NULL;
	enum err_code code = delta_open(store, table->root, &read_only, &delta, err);

	if (code == ERR_ABSENT && take_all_waiting(facts, store, table, NULL, topic, err) != ERR_OK)
		code = err->code;
	if (code != ERR_OK)
		return code;
	take_files(facts, delta);
	code = delta_recent(delta, &facts->recent, err);
	if (code == ERR_OK)
		code = take_refusal(facts, table, delta, err);
	if (code == ERR_OK)
		code = take_all_waiting(facts, store, table, delta, topic, err);
	delta_close(delta);
	return code;
}

void table_facts_take(struct store *store, const struct lake_table *table,
		      const struct topic_info *topic, struct table_facts *ret_facts)
{
	struct table_facts facts = { 0 };
	struct err err;

	if (facts_take_letters(&facts, store, table, &err) != ERR_OK ||
	    facts_take_table(&facts, store, table, topic, &err) != ERR_OK)
		facts.fault = err;
	*ret_facts = facts;
}
