#include "flow/census.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "delta/delta.h"
#include "flow/lake_input.h"
#include "flow/lake_text.h"
#include "flow/log_read.h"

#include <stdio.h>
#include <string.h>

enum { AHEAD_BYTES_MAX = 64 << 20 };

struct census_object {
	char *key;
	uint64_t size;
	uint64_t lines;
};

/* The objects of a topic. */
struct census_walk {
	struct store *store;
	struct census_object *objects;
	size_t count;
	size_t room;
};

uint64_t census_bytes_held(uint64_t size)
{
	return size < CENSUS_READ_BYTES ? size : CENSUS_READ_BYTES;
}

enum err_code census_count_lines(struct store *store, const char *key, uint64_t size,
				 uint64_t *ret_lines, struct err *err)
{
	struct lake_text_sum sum;
	enum err_code code;

	lake_text_sum_init(&sum);
	code = lake_text_each_same(store, key, size, CENSUS_READ_BYTES, lake_text_sum_take, &sum,
				   err);
	if (code == ERR_OK && sum.last != '\n')
		code = err_set(err, ERR_CORRUPT, "object \"%s\" does not end in a newline", key);
	if (code == ERR_OK)
		*ret_lines = sum.lines;
	return code;
}

static bool census_note_object(void *user, const struct store_entry *entry)
{
	struct census_walk *walk = user;
	struct lake_file_name name;

	if (!lake_file_parse(entry->key, &name) || name.side.ptr)
		return true;
	if (walk->count == walk->room) {
		walk->room = walk->room * 2 + 64;
		walk->objects = xreallocarray(walk->objects, walk->room, sizeof(*walk->objects));
	}
	walk->objects[walk->count++] = (struct census_object){ .key = xstrdup(entry->key),
							       .size = entry->size };
	return true;
}

static enum err_code census_count_object(void *user, size_t item, struct err *err)
{
	const struct census_walk *walk = user;
	struct census_object *object = &walk->objects[item];

	return census_count_lines(walk->store, object->key, object->size, &object->lines, err);
}

static uint64_t census_object_bytes(void *user, size_t item)
{
	return census_bytes_held(((const struct census_walk *)user)->objects[item].size);
}

bool census_is_loss(const struct dlq_entry *entry)
{
	static const char *const reasons[] = { "damaged in the log", "left the log",
					       "of a topic of this name", LAKE_INPUT_GAP_REASON };

	if (!slice_eq(entry->offset, entry->last))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(reasons) && !entry->value.ptr; i++)
		if (slice_starts(entry->reason, reasons[i]))
			return true;
	for (int gap = GAP_RETENTION; gap <= GAP_REMOVED && !entry->value.ptr; gap++)
		if (slice_starts(entry->reason, gap_reason_text((enum gap_reason)gap)))
			return true;
	return false;
}

static bool census_count_letter(void *user, const struct dlq_entry *entry)
{
	struct census_row *row = user;

	if (census_is_loss(entry))	/* no record of it can be counted anywhere */
		return true;
	row->dead++;
	row->unlanded += slice_is(entry->stage, "sink");
	return true;
}

static enum err_code count_objects(struct store *store, const char *topic,
				   struct census_row *row, struct err *err)
{
	struct census_walk walk = { .store = store };
	char prefix[STORE_KEY_MAX];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", topic);
	code = store_list(store, prefix, "", census_note_object, &walk, err);
	if (code == ERR_OK)
		code = ahead_all(&(struct ahead_options){ .count = walk.count,
							  .at_once = store_at_once(store),
							  .bytes_max = AHEAD_BYTES_MAX,
							  .bytes = census_object_bytes,
							  .work = census_count_object,
							  .user = &walk }, err);
	for (size_t i = 0; i < walk.count; i++) {
		row->landed += walk.objects[i].lines;
		free(walk.objects[i].key);
	}
	free(walk.objects);
	return code;
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

/* One topic or stream, and all tables that read it. */
static enum err_code count_topic(struct store *store, const char *id,
				 const struct lake_table *table, struct census_row *row,
				 struct err *err)
{
	enum err_code code = ERR_OK;

	if (table->kind == TOPIC_LOG)
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

/* --- the log, all of it in one pass ---------------------------------------- */

/* The mark of a partition in an earlier census: where its log ended then. */
static const struct census_mark *census_mark_of(const struct census *since, const char *uid,
					 int32_t partition)
{
	for (size_t i = 0; since && i < since->mark_count; i++)
		if (since->marks[i].partition == partition &&
		    strcmp(since->marks[i].uid, uid) == 0)
			return &since->marks[i];
	return NULL;
}

/* The marks of a census, and where the log is read from to find their ends. */
struct census_reading {
	struct census *census;
	struct log_place *places; /* a mark each */
	size_t room;
};

static void census_add_mark(struct census_reading *reading, struct topic_ref topic, const char *uid,
		     const struct partition_info *info, const struct census *since, size_t row)
{
	struct census *census = reading->census;
	const struct census_mark *before = census_mark_of(since, uid, info->id);
	struct census_mark mark = { .kind = topic.kind, .row = row, .partition = info->id };
	struct log_place place = { .topic = topic, .partition = info->id,
				   .start = { .kind = since ? START_FIRST : START_NEXT } };

	(void)snprintf(mark.uid, sizeof(mark.uid), "%s", uid);
	if (before)
		place.start = (struct reader_start){ .kind = START_AT, .position = before->end };
	if (census->mark_count == reading->room) {
		reading->room = reading->room * 2 + 16;
		census->marks = xreallocarray(census->marks, reading->room,
					      sizeof(*census->marks));
		reading->places = xreallocarray(reading->places, reading->room,
						sizeof(*reading->places));
	}
	reading->places[census->mark_count] = place;
	census->marks[census->mark_count++] = mark;
}

static enum err_code mark_topic(struct census_reading *reading, struct broker *broker,
				struct topic_ref topic, const struct census *since, size_t row,
				struct err *err)
{
	struct topic_info info;
	enum err_code code = broker_describe(broker, topic, &info, err);

	if (code == ERR_NO_TOPIC)
		return ERR_OK;
	if (code != ERR_OK)
		return code;
	for (int32_t i = 0; i < info.partition_count; i++)
		census_add_mark(reading, topic, info.uid, &info.partitions[i], since, row);
	topic_info_release(&info);
	return ERR_OK;
}

/* What comes after a mark is counted; where it stops is the next mark. */
static enum err_code census_take_event(struct log_place *place, const struct reader_event *event,
				       struct err *err)
{
	struct census_reading *reading = place->user;
	struct census_mark *mark = &reading->census->marks[place - reading->places];

	(void)err;
	if (event->kind == READER_RECORDS)
		reading->census->path[mark->kind][mark->row].logged += event->count;
	else if (event->kind == READER_CAUGHT_UP)
		mark->end = event->last;
	return ERR_OK;
}

static enum err_code count_log(struct broker *broker, const char *id, const struct census *since,
			       struct census *census, struct err *err)
{
	struct census_reading reading = { .census = census };
	size_t count = census->count[TOPIC_LOG] + census->count[TOPIC_STREAM];
	/* The places borrow their names. */
	struct lake_table *tables = xcalloc(count + 1, sizeof(*tables));
	struct lake_table *table = tables;
	enum err_code code = ERR_OK;

	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < census->count[kind] && code == ERR_OK; i++, table++) {
			code = lake_table_init(table, census->models[kind][i],
					       (enum topic_kind)kind, id, err);
			if (code == ERR_OK)
				code = mark_topic(&reading, broker, lake_table_topic(table), since,
						  i, err);
		}
	for (size_t i = 0; i < census->mark_count; i++)
		reading.places[i].user = &reading;
	if (code == ERR_OK)
		code = log_read(broker, reading.places, census->mark_count, census_take_event, err);
	free(reading.places);
	free(tables);
	return code;
}

/* --- the whole --------------------------------------------------------------- */

static enum err_code count_path(struct store *store, const struct models *models,
				enum topic_kind kind, const char *id, struct census *census,
				struct err *err)
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
		code = count_topic(store, id, &table, &census->path[kind][*count], err);
		census->models[kind][(*count)++] = &models->clean[i];
	}
	return code;
}

/* Of objects and letters retention may have let go since. */
static void census_take_off(uint64_t *count, uint64_t before)
{
	*count = *count > before ? *count - before : 0;
}

/* What came since; of the log nothing else was counted. */
static void census_subtract(struct census *census, const struct census *before)
{
	for (int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < census->count[kind]; i++) {
			struct census_row *row = &census->path[kind][i];
			const struct census_row *old = &before->path[kind][i];

			census_take_off(&row->landed, old->landed);
			census_take_off(&row->unlanded, old->unlanded);
			census_take_off(&row->clean, old->clean);
			census_take_off(&row->dead, old->dead);
		}
}

enum err_code census_take(struct store *store, struct broker *broker, const struct models *models,
			  const char *id, const struct census *since, struct census *ret_census,
			  struct err *err)
{
	struct census census = { 0 };
	enum err_code code = count_path(store, models, TOPIC_LOG, id, &census, err);

	if (code == ERR_OK)
		code = count_path(store, models, TOPIC_STREAM, id, &census, err);
	if (code == ERR_OK)
		code = count_log(broker, id, since, &census, err);
	if (code == ERR_OK && since)
		census_subtract(&census, since);
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
	free(census->marks);
	*census = (struct census){ 0 };
}
