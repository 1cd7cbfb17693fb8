/* The batch path: objects that the table has not, then the topic after those. */
#include "base/mem.h"
#include "flow/batch_find.h"
#include "flow/history.h"
#include "flow/lake_clean.h"
#include "flow/live.h"
#include "flow/sink_recover.h"

#include <inttypes.h>
#include <stdio.h>

enum { EVENT_BYTES = 4 << 20 };

struct live_batch;

/* A partition of the topic, beyond what the lake has of it. */
struct live_part {
	struct batch_shard shard; /* first: what the micro-batch holds on to */
	struct live_batch *reading;
	bool any;		  /* the lake has something of it: all before … */
	uint64_t next;		  /* … this offset */
	bool proved;		  /* the log's record before `next` is the lake's, or is gone */
	struct lineages lineages; /* that it may have */
};

struct live_batch {
	struct live *live;
	const struct lake_table *place;
	struct delta_table *delta;
	struct live_tail *tail;
	struct lake_input input;
	struct micro_batch batch;
	uint32_t generation; /* of the lake, that the topic is */
};

/* ---- Objects ---- */

static enum err_code clean_objects(struct live_batch *reading, struct err *err)
{
	struct clean_result result = { 0 };
	struct lake_cleaning cleaning = { .input = &reading->input,
					  .engine = reading->live->engine,
					  .model = reading->place->model };
	struct live_file file;
	enum err_code code;

	if (reading->input.object_count == 0)
		return ERR_OK;
	code = live_file_open(reading->live, &file, err);
	if (code != ERR_OK)
		return code;
	cleaning.path = file.path;
	(void)pthread_mutex_lock(&reading->live->turn);
	code = lake_clean(&cleaning, &result, err);
	(void)pthread_mutex_unlock(&reading->live->turn);
	return live_file_take(reading->tail, &file, code, &result);
}

static enum err_code live_batch_read_objects(struct live_batch *reading, struct err *err)
{
	struct batch_finder finder = { .store = reading->live->store,
				       .table = reading->place,
				       .delta = reading->delta,
				       .bytes_max = UINT64_MAX };
	enum err_code code;

	reading->input.gaps = true; /* batch tells of those */
	reading->input.unheard = true;
	code = batch_find(&finder, &reading->input, err);
	if (code == ERR_OK && !finder.all)
		code = err_set(err, ERR_LIMIT,
			       "more than %zu objects of topic \"%s\" wait: run batch first",
			       reading->input.object_count, reading->place->topic);
	reading->tail->there |= reading->input.object_count > 0;
	return code == ERR_OK ? clean_objects(reading, err) : code;
}

/* ---- The log ---- */

/* Of which generation the topic is, as the sink finds it; ERR_CORRUPT: it would not go on. */
static enum err_code find_generation(struct live_batch *reading, const struct topic_info *info,
				     struct err *err)
{
	struct live *live = reading->live;
	struct sink_place place;
	struct history history;
	enum err_code code = history_load(live->store, info->name, info->uid, &history, err);

	reading->generation = code == ERR_OK ? history.generation : 0;
	if (code != ERR_OK || !history.named || history.has_uid || info->partition_count == 0)
		return code;
	code = sink_find_place(live->store, live->broker, info->name, info->partitions[0].id, false,
			       &place, err);
	if (code != ERR_OK)
		return code;
	reading->generation = place.where.generation;
	sink_place_release(&place);
	return ERR_OK;
}

/* What the objects end with; where there are none (any more), what the table does. */
static enum err_code live_batch_find_end(const struct live_batch *reading,
					 struct lake_partition where, struct live_part *part,
					 struct err *err)
{
	const struct lake_input *input = &reading->input;
	struct delta_progress done;
	struct batch_ids ids;
	enum err_code code;

	for (size_t i = 0; i < input->part_count; i++) {
		const struct lake_part *its = input->parts[i];

		if (its->where.id != where.id || its->where.generation != where.generation)
			continue;
		part->next = its->end;
		part->any = !its->fresh || its->end > 0;
		return ERR_OK;
	}
	batch_ids_init(&ids, &where);
	code = delta_progress(reading->delta, ids.progress, &done, err);
	part->any = code == ERR_OK && done.any && lake_offset(done.position, &part->next);
	part->next += part->any;
	return code;
}

static enum err_code live_batch_begin(struct live_batch *reading, const struct partition_info *its,
				      struct live_part *part, struct log_place *ret_place,
				      struct err *err)
{
	struct lake_partition where = { reading->place->topic, its->id, reading->generation };
	enum err_code code = live_batch_find_end(reading, where, part, err);
	struct dlq_source source = dlq_source_of(reading->place, its->id);

	part->reading = reading;
	/* The record that is to be compared may be gone. */
	part->proved = !part->any || position_cmp(its->first, lake_position(part->next - 1)) > 0;
	if (code == ERR_OK && !part->proved)
		code = lineage_load(reading->live->store, where, part->next - 1, &part->lineages,
				    err);
	if (code != ERR_OK)
		return code;
	part->proved |= part->lineages.count == 0;
	part->shard.letters = dlq_batch_new(reading->live->store, &source);
	(void)partition_text(TOPIC_LOG, its->id, part->shard.text);
	if (where.generation > 1)
		(void)snprintf(part->shard.prefix, sizeof(part->shard.prefix), "g%04" PRIu32 "-",
			       where.generation);
	*ret_place = (struct log_place){
		.topic = lake_table_topic(reading->place),
		.partition = its->id,
		.bounded = its->next_known,
		.until = its->next,
		.user = part,
	};
	if (part->any)
		ret_place->start = (struct reader_start){
			.kind = part->proved ? START_AFTER : START_AT,
			.position = lake_position(part->next - 1),
		};
	return ERR_OK;
}

static enum err_code live_batch_other(const struct live_part *part, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		       "record %" PRIu64
		       " in the lake is not that of the log: one of them belongs to"
		       " another pipeline",
		       part->next - 1);
}

static enum err_code live_batch_add(struct live_batch *reading, struct live_part *part,
				    const struct reader_event *event, struct err *err)
{
	for (size_t i = 0; i < event->count; i++) {
		struct record record = event->records[i];
		uint64_t offset;

		if (!lake_offset(record.position, &offset))
			return err_set(err, ERR_CORRUPT,
				       "topic \"%s\" has a record that no offset"
				       " names",
				       reading->place->topic);
		if (part->any && offset < part->next) {
			if (!part->proved && offset + 1 == part->next &&
			    !lineages_allow(&part->lineages, event->lineage))
				return live_batch_other(part, err);
			continue;
		}
		record.key = (struct slice){ 0 }; /* objects have none either */
		micro_batch_add(&reading->batch, &part->shard, &record);
	}
	return reading->batch.bytes >= LIVE_BYTES_MAX
		       ? live_clean(reading->live, reading->place, &reading->batch, reading->tail,
				    err)
		       : ERR_OK;
}

static enum err_code live_batch_ends_early(const struct live_batch *reading,
					   const struct live_part *part, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		       "partition %s of topic \"%s\" ends before what the lake has of it: is this "
		       "log an older copy?",
		       part->shard.text, reading->place->topic);
}

static enum err_code live_batch_take(struct log_place *place, const struct reader_event *event,
				     struct err *err)
{
	struct live_part *part = place->user;
	uint64_t last;

	switch (event->kind) {
	case READER_RECORDS:
		return live_batch_add(part->reading, part, event, err);
	case READER_GAP:
		if (!part->any || !lake_offset(event->last, &last) || last >= part->next)
			live_note_loss(part->reading->tail, event);
		return ERR_OK;
	case READER_CAUGHT_UP:
		return part->any && lake_offset(event->last, &last) && last < part->next
			       ? live_batch_ends_early(part->reading, part, err)
			       : ERR_OK;
	default:
		return ERR_OK;
	}
}

static enum err_code live_batch_check_ends(const struct live_batch *reading,
					   const struct live_part *parts,
					   const struct log_place *places, size_t count,
					   struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (places[i].beyond)
			return live_batch_ends_early(reading, &parts[i], err);
	return ERR_OK;
}

static enum err_code live_batch_read(struct live_batch *reading, const struct topic_info *info,
				     struct err *err)
{
	size_t count = (size_t)info->partition_count;
	struct log_place *places = xcalloc(count, sizeof(*places));
	struct live_part *parts = xcalloc(count, sizeof(*parts));
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = live_batch_begin(reading, &info->partitions[i], &parts[i], &places[i], err);
	if (code == ERR_OK)
		code = live_read_log(reading->live, places, count, live_batch_take, err);
	if (code == ERR_OK)
		code = live_batch_check_ends(reading, parts, places, count, err);
	if (code == ERR_OK)
		code = live_clean(reading->live, reading->place, &reading->batch, reading->tail,
				  err);
	for (size_t i = 0; i < count; i++)
		dlq_batch_free(parts[i].shard.letters);
	free(places);
	free(parts);
	return code;
}

/* The topic is asked for first: what comes later need not be seen. */
static enum err_code live_batch_read_all(struct live_batch *reading, struct err *err)
{
	struct topic_info info;
	enum err_code code = broker_describe(reading->live->broker,
					     lake_table_topic(reading->place), &info, err);

	reading->tail->there = code == ERR_OK;
	if (code == ERR_NO_TOPIC)
		return live_batch_read_objects(reading, err);
	if (code != ERR_OK)
		return code;
	code = find_generation(reading, &info, err);
	if (code == ERR_OK)
		code = live_batch_read_objects(reading, err);
	if (code == ERR_OK)
		code = live_batch_read(reading, &info, err);
	topic_info_release(&info);
	return code;
}

enum err_code live_read_batch(struct live *live, const struct lake_table *place,
			      struct delta_table *delta, struct live_tail *tail, struct err *err)
{
	struct live_batch reading = { .live = live, .place = place, .delta = delta, .tail = tail };
	enum err_code code;

	lake_input_init(&reading.input, live->store, place);
	micro_batch_init(&reading.batch, place->shared, LIVE_BYTES_MAX + EVENT_BYTES);
	code = live_batch_read_all(&reading, err);
	micro_batch_release(&reading.batch);
	lake_input_release(&reading.input);
	delta_close(delta);
	return code;
}
