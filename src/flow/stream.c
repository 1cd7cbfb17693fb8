/*
 * stream.c - the loop of the streaming path. Each turn: what is due (a table to
 * be opened, a log to be looked at, shards to be paused or let go on), one event
 * of the reader, what is to be flushed.
 *
 * Nothing in a turn waits for the lake: a table that cannot be flushed is held,
 * the shards that it is made of are paused, and the reader is asked on, so that
 * its group keeps them. What goes wrong with one table (columns, another history,
 * a log that ends too early) leaves that one out, and the others go on.
 */
#include "flow/stream_private.h"

#include "base/lock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <inttypes.h>

enum {
	IDLE_MS = 500,
	EVENT_BYTES = 4 << 20,
	JOIN_WAIT_MS = 30000, /* for a group's first assignment */
	PATIENCE_MS = 60000,  /* with a lake, where the work is to end */
};

/* ---- Tables of a stream ---- */

struct stream_table *stream_next_table(const struct stream *stream,
				       const struct stream_source *source,
				       const struct stream_table *after)
{
	struct stream_table *end = stream->tables + stream->table_count;
	struct stream_table *table = after ? stream->tables + (after - stream->tables) + 1
					   : stream->tables;

	for (; table < end; table++)
		if (table->delta && strcmp(table->place.topic, source->topic.name) == 0)
			return table;
	return NULL;
}

struct stream_source *stream_source_of(const struct stream *stream, const char *topic)
{
	for (size_t i = 0; i < stream->source_count; i++)
		if (strcmp(stream->sources[i].topic.name, topic) == 0)
			return &stream->sources[i];
	return NULL;
}

/* Whether a table that shares the stream was left out, or is still to be opened. */
static bool stream_lacks_table(const struct stream *stream, const struct stream_source *source)
{
	for (size_t i = 0; i < stream->table_count; i++)
		if (!stream->tables[i].delta &&
		    strcmp(stream->tables[i].place.topic, source->topic.name) == 0)
			return true;
	return false;
}

void stream_refuse(struct stream *stream, struct stream_table *table, const struct err *err)
{
	struct stream_source *source = stream_source_of(stream, table->place.topic);

	trace_error("table \"%s\" is left out: %s", table->place.model->model.name, err->msg);
	stream_table_close(table);
	retry_end(&table->retry);
	table->refused = true;
	stream->refused++;
	if (source)
		source->changed = true;
}

/* A try at the lake failed. ERR_OK: another one is made when it is due. */
static enum err_code stream_hold(struct stream *stream, struct stream_table *table, struct err *err)
{
	struct stream_source *source = stream_source_of(stream, table->place.topic);
	int64_t patience_ms = stream->options->patience_ms ? stream->options->patience_ms
							   : PATIENCE_MS;

	if (!retry_may_pass(err->code) || stop_requested())
		return err_prefix(err, "table \"%s\"", table->place.root);
	(void)retry_failed(&table->retry, table->place.root, err);
	source->changed = true;
	if (!stream->options->until_end || clock_mono_ms() - table->retry.since_ms < patience_ms)
		return ERR_OK;
	(void)err_prefix(err, "table \"%s\" could not be written for %" PRId64 " s",
			 table->place.root, patience_ms / 1000);
	return err->code = ERR_BUSY;
}

/* ---- Opening ---- */

/* Shards that were assigned before the table was open. */
static enum err_code stream_join_table(struct stream *stream, struct stream_table *table,
				       struct err *err)
{
	struct stream_source *source = stream_source_of(stream, table->place.topic);
	enum err_code code = ERR_OK;

	for (size_t i = 0; source && table->delta && i < source->count && code == ERR_OK; i++) {
		struct stream_part *part = source->parts[i];

		if (stream_table_assign(table, &source->info, part->id, err) != ERR_OK)
			stream_refuse(stream, table, err);
		else
			code = stream_seek(stream, source, part, err);
	}
	return code;
}

/* What no other try can mend leaves this table out, and no other. */
static enum err_code stream_try_open(struct stream *stream, struct stream_table *table,
				     struct err *err)
{
	struct stream_table_options options = stream->table_options;
	enum err_code code;

	options.place = table->place;
	code = stream_table_open(table, &options, err);
	if (code == ERR_OK) {
		retry_passed(&table->retry);
		return stream_join_table(stream, table, err);
	}
	if (retry_may_pass(code))
		return stream_hold(stream, table, err);
	stream_refuse(stream, table, err);
	return ERR_OK;
}

static enum err_code open_due(struct stream *stream, struct err *err)
{
	for (size_t i = 0; i < stream->table_count; i++) {
		struct stream_table *table = &stream->tables[i];

		if (table->delta || table->refused ||
		    (table->retry.due_ms > clock_mono_ms() && !stop_requested()))
			continue;
		if (stream_try_open(stream, table, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code stream_begin(struct stream *stream, struct err *err)
{
	const struct stream_options *options = stream->options;
	const struct models *models = options->models;

	stream->table_options = (struct stream_table_options){
		.store = options->store,
		.engine = options->engine,
		.dir = options->dir,
		.bytes_max = options->bytes_max + EVENT_BYTES,
		.keep = options->keep,
	};
	stream->began_ms = clock_mono_ms();
	stream->draining = options->until_end;
	stream->tables = xcalloc(models->clean_count, sizeof(*stream->tables));
	stream->sources = xcalloc(models->clean_count, sizeof(*stream->sources));
	for (size_t i = 0; i < models->clean_count; i++) {
		struct stream_table *table = &stream->tables[i];

		if (lake_table_init(&table->place, &models->clean[i], TOPIC_STREAM, options->id,
				    err) != ERR_OK)
			return err->code;
		table->retry = (struct retry)RETRY_INIT;
		table->facts = series_of(SERIES_STREAM_TABLE, models->clean[i].model.name);
		series_set(table->facts, SERIES_PERIOD_MS, options->age_ms);
		stream->table_count++;
		if (!stream_source_of(stream, table->place.topic))
			stream->sources[stream->source_count++].topic = stream_table_topic(table);
	}
	return ERR_OK;
}

static bool is_read(const struct stream *stream, const struct stream_source *source)
{
	for (size_t i = 0; i < stream->table_count; i++)
		if (!stream->tables[i].refused &&
		    strcmp(stream->tables[i].place.topic, source->topic.name) == 0)
			return true;
	return false;
}

static enum err_code stream_open_reader(struct stream *stream, struct err *err)
{
	struct topic_ref *topics = xcalloc(stream->source_count, sizeof(*topics));
	struct reader_options reader = {
		.group = "stream",
		.topics = topics,
		.bytes_max = EVENT_BYTES,
	};
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < stream->source_count; i++)
		if (is_read(stream, &stream->sources[i]))
			topics[reader.topic_count++] = stream->sources[i].topic;
	if (reader.topic_count > 0)
		code = broker_reader_open(stream->options->broker, &reader, &stream->reader, err);
	free(topics);
	return code;
}

/* ---- Flushing ---- */

void stream_tell_group(struct stream *stream, struct stream_source *source,
		       struct stream_part *part)
{
	const struct stream_shard *least = NULL;
	struct stream_table *table = NULL;
	struct position next = part->end;
	struct err err = { 0 };
	bool dirty = false;

	while ((table = stream_next_table(stream, source, table)) != NULL) {
		const struct stream_shard *shard = stream_table_shard(table, part->id);

		if (!shard || !shard->done.any)
			return;
		dirty |= shard->dirty;
		if (!least || position_cmp(shard->done.position, least->done.position) < 0)
			least = shard;
	}
	if (!least || stream_lacks_table(stream, source))
		return; /* the log keeps what that one has still to take */
	if (dirty || !part->caught_up || part->behind_ms)
		next = position_made_whole(least->done.position, least->like);
	if (part->told_any && position_cmp(next, part->told) == 0)
		return;
	part->told_any = true;
	part->told = next;
	if (reader_commit(stream->reader, source->topic, part->id, next, &err) != ERR_OK)
		trace_warn("could not note how far shard %s of stream \"%s\" is: %s",
			   least->batch.text, source->topic.name, err.msg);
}

enum err_code stream_drop(struct stream *stream, struct stream_table *table, struct err *err)
{
	struct stream_source *source = stream_source_of(stream, table->place.topic);
	enum err_code code = ERR_OK;

	table->stale = false;
	if (stream_table_drop(table, err) != ERR_OK) {
		stream_refuse(stream, table, err);
		return ERR_OK;
	}
	for (size_t i = 0; i < source->count && code == ERR_OK; i++)
		code = stream_seek(stream, source, source->parts[i], err);
	return code;
}

/* One try; a table that has lost against another is to be looked at first. */
static enum err_code flush_or_refresh(struct stream_table *table, struct err *err)
{
	enum err_code code = table->stale ? ERR_OK : stream_table_flush(table, err);

	if (code == ERR_LOCKED) {
		trace_warn("%s; it is read from there", err->msg);
		table->stale = true;
		code = ERR_OK;
	}
	return code == ERR_OK && table->stale ? delta_refresh(table->delta, err) : code;
}

enum err_code stream_flush(struct stream *stream, struct stream_table *table, struct err *err)
{
	struct stream_source *source = stream_source_of(stream, table->place.topic);
	enum err_code code = flush_or_refresh(table, err);

	if (code != ERR_OK)
		return stream_hold(stream, table, err);
	retry_passed(&table->retry);
	table->hurry = false;
	source->changed = true;
	if (table->stale)
		return stream_drop(stream, table, err);
	for (size_t i = 0; i < source->count; i++)
		stream_tell_group(stream, source, source->parts[i]);
	return ERR_OK;
}

static bool stream_due(const struct stream *stream, const struct stream_table *table,
		       int64_t now_ms)
{
	const struct micro_batch *batch = &table->batch;

	if (stream_table_is_held(table))
		return table->retry.due_ms <= now_ms || stop_requested();
	if (!stream_table_waits(table))
		return false;
	return table->hurry || batch->count >= stream->options->rows_max ||
	       batch->bytes >= stream->options->bytes_max ||
	       now_ms - batch->first_ms >= stream->options->age_ms;
}

static enum err_code flush_due(struct stream *stream, bool all, struct err *err)
{
	for (size_t i = 0; i < stream->table_count; i++) {
		struct stream_table *table = &stream->tables[i];

		if (!table->delta)
			continue;
		if (stream_due(stream, table, clock_mono_ms()) ||
		    (all && stream_table_waits(table) && !stream_table_is_held(table)))
			if (stream_flush(stream, table, err) != ERR_OK)
				return err->code;
	}
	return ERR_OK;
}

/* ---- The loop ---- */

static enum err_code drain_source(struct stream *stream, struct stream_source *source,
				  struct err *err)
{
	struct topic_info now;
	enum err_code code = broker_describe(stream->options->broker, source->topic, &now, err);

	if (code != ERR_OK)
		return code == ERR_NO_TOPIC ? ERR_OK : code;
	for (size_t i = 0; i < source->count && code == ERR_OK; i++) {
		bool again = false;

		stream_part_begin_drain(source->parts[i], &now, &again);
		if (again)
			code = stream_seek(stream, source, source->parts[i], err);
	}
	topic_info_release(&now);
	return code;
}

static enum err_code stream_begin_drain(struct stream *stream, struct err *err)
{
	stream->draining = true;
	for (size_t i = 0; i < stream->source_count; i++)
		if (drain_source(stream, &stream->sources[i], err) != ERR_OK)
			return err->code;
	return ERR_OK;
}

/* A stream that is there, and of which a service may still give us something. */
static bool may_be_assigned(const struct stream *stream, const struct stream_source *source)
{
	struct topic_info info;
	struct err ignored;
	bool any;

	if (source->count > 0 || clock_mono_ms() - stream->began_ms > JOIN_WAIT_MS ||
	    broker_describe(stream->options->broker, source->topic, &info, &ignored) != ERR_OK)
		return false;
	any = info.partition_count > 0;
	topic_info_release(&info);
	return any;
}

/* All that there was when the drain began has been given to the tables. */
static bool stream_all_read(const struct stream *stream)
{
	if (!stream->draining || !stream->heard)
		return false;
	for (size_t i = 0; i < stream->source_count; i++) {
		const struct stream_source *source = &stream->sources[i];

		if (!is_read(stream, source))
			continue;
		if (!stop_requested() && may_be_assigned(stream, source))
			return false;
		for (size_t j = 0; j < source->count; j++)
			if (!source->parts[j]->reached || source->parts[j]->behind_ms ||
			    source->parts[j]->missed)
				return false;
	}
	return true;
}

/* And the tables have it. */
static bool stream_drained(const struct stream *stream)
{
	for (size_t i = 0; i < stream->table_count; i++) {
		const struct stream_table *table = &stream->tables[i];

		if (!table->refused &&
		    (!table->delta || stream_table_is_held(table) || stream_table_waits(table)))
			return false;
	}
	return stream_all_read(stream);
}

static void sooner(int64_t *deadline_ms, int64_t than_ms)
{
	if (than_ms < *deadline_ms)
		*deadline_ms = than_ms;
}

/* When there is something to be done though the reader has nothing. */
static int64_t next_deadline_ms(const struct stream *stream)
{
	int64_t deadline = clock_mono_ms() + (stream->heard ? IDLE_MS : 0);

	for (size_t i = 0; i < stream->table_count; i++) {
		const struct stream_table *table = &stream->tables[i];

		if (stream_table_is_held(table))
			sooner(&deadline, table->retry.due_ms);
		else if (table->delta && stream_table_waits(table))
			sooner(&deadline, table->batch.first_ms + stream->options->age_ms);
	}
	for (size_t i = 0; i < stream->source_count; i++)
		for (size_t j = 0; j < stream->sources[i].count; j++)
			if (stream->sources[i].parts[j]->look_ms)
				sooner(&deadline, stream->sources[i].parts[j]->look_ms);
	return deadline;
}

static enum err_code do_what_is_due(struct stream *stream, struct err *err)
{
	if (open_due(stream, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < stream->source_count; i++) {
		struct stream_source *source = &stream->sources[i];
		enum err_code code = stream_look_again(stream, source, err);

		if (code == ERR_OK && source->changed)
			code = stream_apply_pauses(stream, source, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* Without a table it idles, as a service is to, until it is asked to stop. */
static enum err_code stream_wait(struct stream *stream, struct reader_event *ret_event,
				 struct err *err)
{
	int64_t deadline_ms = next_deadline_ms(stream);

	if (stream->reader)
		return reader_next(stream->reader, deadline_ms, ret_event, err);
	*ret_event = (struct reader_event){ .kind = READER_IDLE };
	clock_sleep_ms(deadline_ms - clock_mono_ms());
	return ERR_OK;
}

static enum err_code stream_turn(struct stream *stream, struct err *err)
{
	struct reader_event event;
	enum err_code code = do_what_is_due(stream, err);

	if (code == ERR_OK)
		code = stream_wait(stream, &event, err);
	if (code == ERR_OK && event.kind != READER_IDLE)
		code = stream_take_event(stream, &event, err);
	if (code != ERR_OK)
		return code;
	/* Shards are assigned before anything else comes, so now all goals can be set. */
	stream->heard |= event.kind != READER_ASSIGNED;
	if (!stream->draining && stream->heard && stop_requested())
		code = stream_begin_drain(stream, err);
	if (code == ERR_OK)
		code = flush_due(stream, stream_all_read(stream), err);
	stream_tell(stream);
	return code;
}

static enum err_code stream_run_all(struct stream *stream, struct err *err)
{
	enum err_code code = stream_begin(stream, err);

	/* Before the tables, which may take long: what the log knows to be wanted it keeps. */
	if (code == ERR_OK)
		code = stream_open_reader(stream, err);
	while (code == ERR_OK && !stream_drained(stream))
		code = stream_turn(stream, err);
	return code;
}

static void stream_count(const struct stream *stream, struct stream_counts *ret_counts)
{
	*ret_counts = (struct stream_counts){
		.refused = stream->refused,
		.rows = xcalloc(stream->table_count, sizeof(uint64_t)),
		.dead = xcalloc(stream->table_count, sizeof(uint64_t)),
		.unreadable = xcalloc(stream->table_count, sizeof(uint64_t)),
	};
	for (size_t i = 0; i < stream->table_count; i++) {
		ret_counts->rows[i] = stream->tables[i].rows;
		ret_counts->dead[i] = stream->tables[i].dead;
		ret_counts->unreadable[i] = stream->tables[i].unreadable;
		ret_counts->commits += stream->tables[i].commits;
		unknown_fields_merge(&ret_counts->unknown, &stream->tables[i].unknown);
	}
}

void stream_counts_release(struct stream_counts *counts)
{
	free(counts->rows);
	free(counts->dead);
	free(counts->unreadable);
	unknown_fields_release(&counts->unknown);
}

enum err_code stream_run(const struct stream_options *options, struct stream_counts *ret_counts,
			 struct err *err)
{
	struct stream stream = { .options = options };
	int lock_fd = -1;
	enum err_code code = lock_take(options->dir, "stream.lock", "stream", &lock_fd, err);

	if (code != ERR_OK)
		return code;
	code = stream_run_all(&stream, err);
	if (code == ERR_OK)
		stream_count(&stream, ret_counts);
	reader_close(stream.reader);
	for (size_t i = 0; i < stream.table_count; i++)
		stream_table_release(&stream.tables[i]);
	for (size_t i = 0; i < stream.source_count; i++)
		stream_source_release(&stream.sources[i]);
	free(stream.sources);
	free(stream.tables);
	lock_release(lock_fd);
	return code;
}
