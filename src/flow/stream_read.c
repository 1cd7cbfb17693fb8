#include "flow/stream_private.h"

#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <inttypes.h>

enum {
	LOG_WAIT_MS = 5000, /* for a log that is behind a table, … */
	LOG_LOOK_MS = 50,   /* … looked at so often */
};

/* ---- How far the log is behind, and where to go on ---- */

/* The reader has to go on where the table does that is least far. False: no table is open. */
static bool least_start(const struct stream *stream, const struct stream_source *source, int32_t id,
			struct reader_start *ret_start)
{
	const struct stream_shard *least = NULL;
	struct stream_table *table = NULL;

	while ((table = stream_next_table(stream, source, table)) != NULL) {
		const struct stream_shard *shard = stream_table_shard(table, id);
		int order;

		if (!shard)
			continue;
		if (!shard->read.any) {
			*ret_start = stream_shard_start(shard);
			return true;
		}
		order = least ? position_cmp(shard->read.position, least->read.position) : -1;
		if (order < 0 || (order == 0 && !shard->proved))
			least = shard;
	}
	if (least)
		*ret_start = stream_shard_start(least);
	return least != NULL;
}

enum err_code stream_seek(struct stream *stream, struct stream_source *source,
			  struct stream_part *part, struct err *err)
{
	struct reader_start start;
	int64_t now_ms = clock_mono_ms();
	enum err_code code;

	if (!least_start(stream, source, part->id, &start))
		return ERR_OK; /* it is paused */
	part->caught_up = part->reached = part->ended = part->finished = part->missed = false;
	part->unsought = false;
	part->look_ms = 0;
	source->changed = true;
	code = reader_seek(stream->reader, source->topic, part->id, start, err);
	if (code == ERR_NO_TOPIC || code == ERR_NO_PARTITION)
		return ERR_OK; /* removed since; it is revoked soon */
	if (code != ERR_CORRUPT)
		return code;
	if (!part->behind_ms)
		part->behind_ms = now_ms;
	part->unsought = true;
	part->look_ms = now_ms + LOG_LOOK_MS;
	return ERR_OK;
}

/* Whether the log, of which `next` is what comes next, has not even what the table has. */
static bool lacks_what(const struct stream_shard *shard, struct position next)
{
	return shard && shard->read.any && position_cmp(shard->read.position, next) >= 0;
}

/* The log gave all that there is before `next`. Where that is less than a table has, its writer may
 * still find the rest after a power cut, or it is an older copy. */
static void stream_read_note_end(struct stream *stream, struct stream_source *source,
				 struct stream_part *part, struct position next)
{
	struct stream_table *table = NULL;
	bool lacks = false;

	while ((table = stream_next_table(stream, source, table)) != NULL)
		lacks |= lacks_what(stream_table_shard(table, part->id), next);
	if (!lacks) {
		part->behind_ms = part->look_ms = 0;
		return;
	}
	if (!part->behind_ms)
		part->behind_ms = clock_mono_ms();
	part->look_ms = part->behind_ms + LOG_WAIT_MS;
}

/* The log is not the one that the table was made of. */
static enum err_code on_other_history(struct stream *stream, struct stream_source *source,
				      struct stream_table *table, struct stream_shard *shard,
				      struct err *err)
{
	if (!stream->options->new_history) {
		stream_refuse(stream, table, err);
		return ERR_OK;
	}
	trace_warn("%s; it goes on in generation %" PRIu32, err->msg, shard->generation + 1);
	return stream_table_go_on(table, &source->info, shard, err);
}

static enum err_code stop_waiting(struct stream *stream, struct stream_source *source,
				  struct stream_part *part, struct err *err)
{
	struct topic_info info = { 0 };
	const struct partition_info *its = NULL;
	struct stream_table *table = NULL;
	enum err_code code = ERR_OK;

	if (part->unsought &&
	    broker_describe(stream->options->broker, source->topic, &info, err) == ERR_OK)
		its = topic_info_partition(&info, part->id);
	while ((table = stream_next_table(stream, source, table)) != NULL && code == ERR_OK) {
		struct stream_shard *shard = stream_table_shard(table, part->id);
		bool known = !part->unsought || (its && its->next_known);

		if (!shard || (known && !lacks_what(shard, its ? its->next : part->end)))
			continue;
		(void)stream_table_ends_early(table, shard, err);
		code = on_other_history(stream, source, table, shard, err);
	}
	topic_info_release(&info);
	part->behind_ms = 0;
	return code == ERR_OK ? stream_seek(stream, source, part, err) : code;
}

enum err_code stream_look_again(struct stream *stream, struct stream_source *source,
				struct err *err)
{
	int64_t now_ms = clock_mono_ms();

	for (size_t i = 0; i < source->count; i++) {
		struct stream_part *part = source->parts[i];
		enum err_code code;

		if (!part->behind_ms || (part->look_ms > now_ms && !stop_requested()))
			continue;
		if (now_ms - part->behind_ms >= LOG_WAIT_MS || stop_requested())
			code = stop_waiting(stream, source, part, err);
		else
			code = stream_seek(stream, source, part, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* ---- Pauses ---- */

static bool stream_holds(const struct stream *stream, const struct stream_source *source)
{
	struct stream_table *table = NULL;
	bool any = false;

	while ((table = stream_next_table(stream, source, table)) != NULL) {
		if (stream_table_is_held(table))
			return true;
		any = true;
	}
	return !any;
}

/* All of it is in the tables. */
static bool is_finished(const struct stream *stream, const struct stream_source *source,
			const struct stream_part *part)
{
	struct stream_table *table = NULL;

	while ((table = stream_next_table(stream, source, table)) != NULL) {
		const struct stream_shard *shard = stream_table_shard(table, part->id);

		if (shard && shard->dirty)
			return false;
	}
	return part->ended && !part->missed;
}

static enum err_code pause_one(struct stream *stream, struct stream_source *source,
			       struct stream_part *part, bool held, struct err *err)
{
	bool pause = held || part->unsought || stream_source_awaits_parent(source, part);
	enum err_code code = ERR_OK;

	if (part->missed && !held)
		code = stream_seek(stream, source, part, err);
	if (code != ERR_OK || pause == part->paused)
		return code;
	part->paused = pause;
	code = reader_pause(stream->reader, source->topic, part->id, pause, err);
	return code == ERR_NO_TOPIC || code == ERR_NO_PARTITION ? ERR_OK : code;
}

enum err_code stream_apply_pauses(struct stream *stream, struct stream_source *source,
				  struct err *err)
{
	bool held = stream_holds(stream, source);

	for (size_t i = 0; i < source->count; i++)
		source->parts[i]->finished = is_finished(stream, source, source->parts[i]);
	source->changed = false;
	for (size_t i = 0; i < source->count; i++)
		if (pause_one(stream, source, source->parts[i], held, err) != ERR_OK)
			return err->code;
	return ERR_OK;
}

/* ---- Events ---- */

static enum err_code stream_assign(struct stream *stream, struct stream_source *source, int32_t id,
				   struct err *err)
{
	struct stream_table *table = NULL;
	struct stream_part *part;
	enum err_code code = stream_source_assign(source, stream->options->broker, id, &part, err);

	if (code != ERR_OK || !part)
		return code;
	while ((table = stream_next_table(stream, source, table)) != NULL)
		if (stream_table_assign(table, &source->info, id, err) != ERR_OK)
			stream_refuse(stream, table, err);
	return stream_seek(stream, source, part, err);
}

/*
 * The next owner must find what we have of the shard in the table, or read it again. What cannot be
 * flushed now is forgotten, with all of that micro-batch.
 */
static enum err_code stream_read_on_revoked(struct stream *stream, struct stream_source *source,
				const struct reader_event *event, struct err *err)
{
	struct stream_table *table = NULL;
	enum err_code code = ERR_OK;

	stream_source_drop(source, event->partition);
	source->info_fresh = false;
	while ((table = stream_next_table(stream, source, table)) != NULL && code == ERR_OK) {
		struct stream_shard *shard = stream_table_shard(table, event->partition);

		if (!shard)
			continue;
		if (shard->dirty)
			code = stream_flush(stream, table, err);
		if (code == ERR_OK && table->delta && shard->dirty)
			code = stream_drop(stream, table, err);
		if (table->delta)
			stream_table_forget(table, event->partition);
	}
	if (!event->lost)
		reader_release(stream->reader, source->topic, event->partition);
	return code;
}

/* One table's part of what the log gives. */
static enum err_code give_table(struct stream *stream, struct stream_source *source,
				struct stream_part *part, struct stream_table *table,
				const struct reader_event *event, bool *ret_again, struct err *err)
{
	struct stream_shard *shard = stream_table_shard(table, part->id);
	enum err_code code;

	if (!shard)
		return ERR_OK;
	if (stream_table_is_held(table)) { /* it was on its way before the pause */
		part->missed = true;
		source->changed = true;
		return ERR_OK;
	}
	if (event->kind == READER_GAP) {
		code = stream_table_gap(table, shard, event, ret_again, err);
		if (code != ERR_LOCKED)
			return code;
		trace_warn("%s; it is read from there", err->msg);
		return stream_drop(stream, table, err);
	}
	code = stream_table_add(table, shard, event, err);
	if (code != ERR_CORRUPT)
		return code;
	*ret_again = true;
	return on_other_history(stream, source, table, shard, err);
}

static enum err_code give_tables(struct stream *stream, struct stream_source *source,
				 struct stream_part *part, const struct reader_event *event,
				 struct err *err)
{
	struct stream_table *table = NULL;
	bool again = false;

	part->behind_ms = part->look_ms = 0;
	while ((table = stream_next_table(stream, source, table)) != NULL) {
		bool its = false;

		if (give_table(stream, source, part, table, event, &its, err) != ERR_OK)
			return err->code;
		again |= its;
	}
	return again ? stream_seek(stream, source, part, err) : ERR_OK;
}

/* Its children wait for it, so its end is not to wait for the age of a micro-batch. */
static void on_end(struct stream *stream, struct stream_source *source)
{
	struct stream_table *table = NULL;

	while ((table = stream_next_table(stream, source, table)) != NULL)
		table->hurry = true;
}

/* Without this shard the tables of the stream would lack rows that others' offsets come behind. */
static void refuse_source(struct stream *stream, const struct stream_source *source,
			  const struct err *failure)
{
	for (size_t i = 0; i < stream->table_count; i++) {
		struct stream_table *table = &stream->tables[i];

		if (!table->refused && strcmp(table->place.topic, source->topic.name) == 0)
			stream_refuse(stream, table, failure);
	}
}

enum err_code stream_take_event(struct stream *stream, const struct reader_event *event,
				struct err *err)
{
	struct stream_source *source = stream_source_of(stream, event->topic.name);
	struct stream_part *part = stream_source_part(source, event->partition);

	if (event->kind == READER_ASSIGNED)
		return stream_assign(stream, source, event->partition, err);
	if (event->kind == READER_REVOKED)
		return stream_read_on_revoked(stream, source, event, err);
	if (!part)
		return ERR_OK;
	stream_source_note(source, part, event);
	if (event->kind == READER_RECORDS || event->kind == READER_GAP)
		return give_tables(stream, source, part, event, err);
	if (event->kind == READER_END)
		on_end(stream, source);
	if (event->kind == READER_FAILED)
		refuse_source(stream, source, event->failure);
	if (event->kind == READER_CAUGHT_UP) {
		stream_read_note_end(stream, source, part, event->last);
		if (part->told_any)
			stream_tell_group(stream, source, part);
	}
	return ERR_OK;
}
