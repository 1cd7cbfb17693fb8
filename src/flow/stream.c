#include "flow/stream.h"

#include "base/lock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/retry.h"
#include "flow/stream_table.h"

enum { IDLE_MS = 500, EVENT_BYTES = 4 << 20 };

struct stream {
	const struct stream_options *options;
	struct stream_table *tables; /* one a model, in order of name */
	size_t table_count;
	struct broker_reader *reader;
	size_t refused;			/* of them */
	bool draining;			/* goals are set; end when they are reached */
};

/* The first table of a stream, and the next of those that share it; NULL: there is none (left).
 * Refused ones are none. */
static struct stream_table *stream_next_table(struct stream *stream, const char *topic,
					      const struct stream_table *after)
{
	struct stream_table *end = stream->tables + stream->table_count;
	struct stream_table *table = after ? stream->tables + (after - stream->tables) + 1
					   : stream->tables;

	for (; table < end; table++)
		if (table->delta && strcmp(table->place.topic, topic) == 0)
			return table;
	return NULL;
}

/* A lake that is away when the stream starts comes back like one that goes while it runs. */
static enum err_code stream_open_table(struct stream_table *table,
				       const struct stream_table_options *options, struct err *err)
{
	struct retry retry = RETRY_INIT;
	enum err_code code = stream_table_open(table, options, err);

	while (code != ERR_OK && retry_again(&retry, options->place.root, err)) {
		stream_table_close(table);
		code = stream_table_open(table, options, err);
	}
	return code;
}

/* Whether a table that shares the stream was refused. */
static bool stream_lacks_table(const struct stream *stream, const char *topic)
{
	for (size_t i = 0; i < stream->table_count; i++)
		if (!stream->tables[i].delta && strcmp(stream->tables[i].place.topic, topic) == 0)
			return true;
	return false;
}

static void refuse_table(struct stream *stream, struct stream_table *table, const struct err *err)
{
	struct lake_table place = table->place;

	trace_error("table \"%s\" is left out: %s", place.model->model.name, err->msg);
	stream_table_close(table);
	*table = (struct stream_table){ .place = place };
	stream->refused++;
}

static enum err_code open_tables(struct stream *stream, struct err *err)
{
	const struct stream_options *options = stream->options;
	const struct models *models = options->models;
	struct stream_table_options table = {
		.store = options->store,
		.engine = options->engine,
		.dir = options->dir,
		.bytes_max = options->bytes_max + EVENT_BYTES,
	};

	stream->tables = xcalloc(models->clean_count, sizeof(*stream->tables));
	for (size_t i = 0; i < models->clean_count; i++) {
		enum err_code code;

		if (lake_table_init(&table.place, &models->clean[i], TOPIC_STREAM, options->id,
				    err) != ERR_OK)
			return err->code;
		stream->table_count++;
		code = stream_open_table(&stream->tables[i], &table, err);
		if (code == ERR_USAGE)
			refuse_table(stream, &stream->tables[i], err);
		else if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

static enum err_code stream_open_reader(struct stream *stream, struct err *err)
{
	struct topic_ref *topics = xcalloc(stream->table_count, sizeof(*topics));
	struct reader_options reader = {
		.group = "stream",
		.topics = topics,
		.bytes_max = EVENT_BYTES,
	};
	enum err_code code;

	for (size_t i = 0; i < stream->table_count; i++)
		if (stream_next_table(stream, stream->tables[i].place.topic, NULL) ==
		    &stream->tables[i])
			topics[reader.topic_count++] = stream_table_topic(&stream->tables[i]);
	code = broker_reader_open(stream->options->broker, &reader, &stream->reader, err);
	free(topics);
	return code;
}

/* What is in the log now is what a drain must reach. */
static enum err_code stream_set_goals(struct stream *stream, struct stream_table *table,
				      struct err *err)
{
	struct topic_info info;
	enum err_code code = broker_describe(stream->options->broker, stream_table_topic(table),
					     &info, err);

	if (code == ERR_NO_TOPIC)
		return ERR_OK;
	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < table->shard_count; i++) {
		struct stream_shard *shard = table->shards[i];

		if (shard->partition < info.partition_count)
			shard->goal = info.partitions[shard->partition].next;
	}
	topic_info_release(&info);
	return ERR_OK;
}

static enum err_code stream_begin_drain(struct stream *stream, struct err *err)
{
	for (size_t i = 0; i < stream->table_count; i++) {
		enum err_code code = stream_set_goals(stream, &stream->tables[i], err);

		if (code != ERR_OK)
			return code;
	}
	stream->draining = true;
	return ERR_OK;
}

static bool stream_drained(const struct stream *stream)
{
	for (size_t i = 0; i < stream->table_count; i++)
		for (size_t j = 0; j < stream->tables[i].shard_count; j++) {
			const struct stream_shard *shard = stream->tables[i].shards[j];

			if (!shard->ended && position_cmp(shard->next, shard->goal) < 0)
				return false;
		}
	return true;
}

static bool stream_due(const struct stream *stream, const struct stream_table *table,
		       int64_t now_ms)
{
	const struct micro_batch *batch = &table->batch;

	return batch->count >= stream->options->rows_max ||
	       batch->bytes >= stream->options->bytes_max ||
	       now_ms - batch->first_ms >= stream->options->age_ms;
}

/* Tell the reader how far all tables of a stream are with a shard. That it does not hear it costs
 * nothing but what retention keeps longer. */
static void stream_commit_shard(struct stream *stream, const struct stream_table *table,
				int32_t partition)
{
	struct stream_table *other = NULL;
	const struct stream_shard *least = NULL;
	struct err err = { 0 };

	if (stream_lacks_table(stream, table->place.topic))
		return;		/* the log keeps what that one has still to take */
	while ((other = stream_next_table(stream, table->place.topic, other)) != NULL) {
		const struct stream_shard *shard = stream_table_shard(other, partition);

		if (shard && (!least || position_cmp(shard->committed, least->committed) < 0))
			least = shard;
	}
	if (least && reader_commit(stream->reader, stream_table_topic(table), partition,
				   least->committed, &err) != ERR_OK)
		trace_warn("could not note how far shard %s of stream \"%s\" is: %s",
			   least->batch.text, table->place.topic, err.msg);
}

static enum err_code stream_flush(struct stream *stream, struct stream_table *table,
				  struct err *err)
{
	bool *moves = xcalloc(table->shard_count + 1, sizeof(*moves));
	enum err_code code;

	for (size_t i = 0; i < table->shard_count; i++)
		moves[i] = table->shards[i]->dirty;
	code = stream_table_flush(table, err);
	for (size_t i = 0; i < table->shard_count && code == ERR_OK; i++)
		if (moves[i])
			stream_commit_shard(stream, table, table->shards[i]->partition);
	free(moves);
	return code;
}

static bool waits(const struct stream_table *table)
{
	for (size_t i = 0; i < table->shard_count; i++)
		if (table->shards[i]->dirty)
			return true;
	return false;
}

static enum err_code flush_due(struct stream *stream, bool all, struct err *err)
{
	for (size_t i = 0; i < stream->table_count; i++) {
		struct stream_table *table = &stream->tables[i];
		enum err_code code;

		if (!waits(table) || !(all || stream_due(stream, table, clock_mono_ms())))
			continue;
		code = stream_flush(stream, table, err);
		if (code != ERR_OK)
			return err_prefix(err, "table \"%s\"", table->place.root);
	}
	return ERR_OK;
}

/* When the next micro-batch comes of age. */
static int64_t next_deadline_ms(const struct stream *stream)
{
	int64_t wait_ms = stream->options->until_end ? 0 : IDLE_MS;
	int64_t deadline = clock_mono_ms() + wait_ms;

	for (size_t i = 0; i < stream->table_count; i++) {
		const struct stream_table *table = &stream->tables[i];
		int64_t of_age = table->batch.first_ms + stream->options->age_ms;

		if (waits(table) && of_age < deadline)
			deadline = of_age;
	}
	return deadline;
}

/* A shard of all tables of a stream: read from where the one that is least far goes on. */
static enum err_code stream_assign(struct stream *stream, const struct reader_event *event,
				   struct err *err)
{
	struct stream_table *table = NULL;
	const struct stream_shard *least = NULL;
	struct reader_start start = { .kind = START_FIRST };

	while ((table = stream_next_table(stream, event->topic.name, table)) != NULL) {
		struct retry retry = RETRY_INIT;
		const struct stream_shard *shard;
		struct reader_start its;

		while (stream_table_assign(table, stream->options->broker, event->partition, &its,
					   err) != ERR_OK)
			if (!retry_again(&retry, table->place.root, err))
				return err->code;
		shard = stream_table_shard(table, event->partition);
		if (!least || position_cmp(shard->next, least->next) < 0) {
			least = shard;
			start = its;
		}
	}
	return reader_seek(stream->reader, event->topic, event->partition, start, err);
}

static enum err_code stream_take(struct stream *stream, struct stream_table *table,
				 const struct reader_event *event, struct err *err)
{
	struct stream_shard *shard = stream_table_shard(table, event->partition);

	switch (event->kind) {
	case READER_IDLE:
	case READER_CAUGHT_UP:
	case READER_ASSIGNED:
		return ERR_OK;
	case READER_RECORDS:
		stream_table_add(table, shard, event->records, event->count);
		return ERR_OK;
	case READER_REVOKED:	/* its next owner must find our commit, or read it all again */
	case READER_END:
		if (shard)
			shard->ended = true;
		return stream_flush(stream, table, err);
	case READER_GAP:
		return stream_table_damage(table, shard, event->first, event->last, err);
	}
	return ERR_OK;
}

static enum err_code take_event(struct stream *stream, const struct reader_event *event,
				struct err *err)
{
	struct stream_table *table = NULL;

	if (event->kind == READER_ASSIGNED)
		return stream_assign(stream, event, err);
	while ((table = stream_next_table(stream, event->topic.name, table)) != NULL)
		if (stream_take(stream, table, event, err) != ERR_OK)
			return err->code;
	if (event->kind == READER_REVOKED && !event->lost)
		reader_release(stream->reader, event->topic, event->partition);
	return ERR_OK;
}

static enum err_code stream_turn(struct stream *stream, struct err *err)
{
	struct reader_event event;
	enum err_code code = reader_next(stream->reader, next_deadline_ms(stream), &event, err);

	if (code == ERR_OK && event.kind != READER_IDLE)
		code = take_event(stream, &event, err);
	if (code == ERR_OK)
		code = flush_due(stream, false, err);
	/* Shards are assigned before anything else comes, so now all goals can be set. */
	if (code == ERR_OK && !stream->draining && event.kind != READER_ASSIGNED &&
	    (stop_requested() || stream->options->until_end))
		code = stream_begin_drain(stream, err);
	return code;
}

static enum err_code stream_run_all(struct stream *stream, struct err *err)
{
	enum err_code code = open_tables(stream, err);

	if (code == ERR_OK)
		code = stream_open_reader(stream, err);
	while (code == ERR_OK && !(stream->draining && stream_drained(stream)))
		code = stream_turn(stream, err);
	return code == ERR_OK ? flush_due(stream, true, err) : code;
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
		stream_table_close(&stream.tables[i]);
	free(stream.tables);
	lock_release(lock_fd);
	return code;
}
