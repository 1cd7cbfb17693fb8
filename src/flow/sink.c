#include "flow/sink.h"

#include "base/backoff.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/sequence.h"
#include "flow/sink_partition.h"

#include <inttypes.h>
#include <poll.h>

enum {
	IDLE_MS = 500,			/* at most between two looks at the timers */
	DRAIN_IDLE_MS = 5,
	TOPICS_MS = 2000,		/* between two looks for new topics */
	TOPICS_MAX = 10000,
	EVENT_BYTES = 4 << 20,
	FILLING_BYTES_MAX = 64 << 20,	/* runs of all partitions */
	WRITING_BYTES_MAX = 32 << 20,	/* closed, not yet in the lake */
	RECORD_BYTES_MAX = 64 << 20,	/* more than any log takes */
};

struct sink {
	const struct sink_options *options;
	struct sink_counts *counts;
	struct sink_writer *writer;
	struct json_parser *parser;
	struct broker_reader *reader;
	char **topics;
	size_t topic_count;
	int64_t topics_ms;		/* when they were last listed */
	struct sink_partition **partitions;
	size_t partition_count;
	size_t filling_bytes;
	bool draining;			/* goals are set; end when they are reached */
};

/* --- partitions -------------------------------------------------------- */

static size_t table_of(const struct sink *sink, const char *topic)
{
	size_t table = 0;

	while (table < sink->options->table_count &&
	       strcmp(sink->options->tables[table].topic, topic) != 0)
		table++;
	return table;
}

static struct sink_partition *sink_find_partition(struct sink *sink, const char *topic, int32_t id)
{
	for (size_t i = 0; i < sink->partition_count; i++)
		if (sink->partitions[i]->id == id && !strcmp(sink->partitions[i]->topic, topic))
			return sink->partitions[i];
	return NULL;
}

static struct sink_partition *make_partition(struct sink *sink, const char *topic, int32_t id)
{
	struct sink_partition *partition = sink_find_partition(sink, topic, id);

	if (partition)
		return partition;
	partition = sink_partition_new(topic, id, table_of(sink, topic),
				       sink->options->flush_bytes + RECORD_BYTES_MAX);
	sink->partitions = xreallocarray(sink->partitions, sink->partition_count + 1,
					 sizeof(struct sink_partition *));
	sink->partitions[sink->partition_count++] = partition;
	return partition;
}

static void sink_halt(struct sink *sink, struct sink_partition *partition, const struct err *err)
{
	trace_error("%s, partition %d: %s; this partition halts, the others go on",
		    partition->topic, partition->id, err->msg);
	atomic_store(&partition->lane.halted, (int)err->code);
	sink->filling_bytes -= partition->bytes;
	sink_partition_drop(partition);
}

/* --- runs -------------------------------------------------------------- */

static void close_run(struct sink *sink, struct sink_partition *partition)
{
	if (partition->count == 0)
		return;
	sink->filling_bytes -= partition->bytes;
	sink_writer_push(sink->writer, sink_partition_close(partition));
}

static void count_ended(struct sink *sink, const struct sink_job *job,
			const struct sink_partition *partition)
{
	struct sink_counts *counts = sink->counts;

	if (job->letters) {
		counts->dead[partition->table] += job->records;
		metric_add(METRIC_SINK_DEAD, (int64_t)job->records);
		return;
	}
	counts->records[partition->table] += job->records;
	counts->objects++;
	counts->bytes += job->bytes;
	metric_add(METRIC_SINK_RECORDS, (int64_t)job->records);
	metric_add(METRIC_SINK_OBJECTS, 1);
}

/* Tell the broker. That it does not hear it costs nothing: the lake is what counts. */
static void sink_commit(struct sink *sink, const struct sink_partition *partition, uint64_t next)
{
	struct topic_ref topic = { TOPIC_LOG, partition->topic };
	struct position position = position_of_offset(next);
	struct err err;

	if (partition->assigned &&
	    reader_commit(sink->reader, topic, partition->id, position, &err) != ERR_OK)
		trace_debug("%s, partition %d: %s", partition->topic, partition->id, err.msg);
}

/* Take back what the writer is done with. */
static void take_ended(struct sink *sink)
{
	struct sink_job *job = sink_writer_take(sink->writer);

	while (job) {
		struct sink_partition *partition = (struct sink_partition *)job->lane;
		struct sink_job *next = job->next;

		if (job->done) {
			count_ended(sink, job, partition);
			sink_commit(sink, partition, job->end);
		}
		sink_job_free(job);
		job = next;
	}
}

/* Close the largest run while all together are too large. */
static void keep_budget(struct sink *sink)
{
	while (sink->filling_bytes > FILLING_BYTES_MAX) {
		struct sink_partition *largest = sink->partitions[0];

		for (size_t i = 1; i < sink->partition_count; i++)
			if (sink->partitions[i]->bytes > largest->bytes)
				largest = sink->partitions[i];
		close_run(sink, largest);
	}
}

/* Close what is old enough (`all`: everything). Returns when the next one will be. */
static int64_t close_due(struct sink *sink, int64_t now_ms, bool all)
{
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < sink->partition_count; i++) {
		struct sink_partition *partition = sink->partitions[i];
		int64_t due_ms = partition->first_ms + sink->options->flush_age_ms;

		if (partition->count > 0 && (all || due_ms <= now_ms))
			close_run(sink, partition);
		else if (partition->count > 0 && due_ms < next_ms)
			next_ms = due_ms;
	}
	return next_ms;
}

/* --- records ----------------------------------------------------------- */

static void sink_add_letter(struct sink *sink, struct sink_partition *partition,
			    const struct dlq_letter *letter)
{
	struct store *store = sink->options->store;
	size_t before;
	struct err err;

	if (!partition->letters || partition->count == sink->options->flush_size)
		close_run(sink, partition);
	before = partition->bytes;
	if (sink_partition_add_letter(partition, store, letter, &err) == ERR_LIMIT) {
		close_run(sink, partition);
		before = 0;
		if (sink_partition_add_letter(partition, store, letter, &err) != ERR_OK) {
			sink_halt(sink, partition, &err); /* larger than any record may be */
			return;
		}
	}
	sink->filling_bytes += partition->bytes - before;
}

static void add_line(struct sink *sink, struct sink_partition *partition, struct json value,
		     size_t bytes)
{
	const struct sink_options *options = sink->options;
	size_t before;

	if (partition->letters || partition->bytes + bytes + 1 > options->flush_bytes)
		close_run(sink, partition);
	before = partition->bytes;
	sink_partition_add_line(partition, value);
	sink->filling_bytes += partition->bytes - before;
	if (partition->count >= options->flush_size || partition->bytes >= options->flush_bytes)
		close_run(sink, partition);
}

/* The log no longer has [partition->next, ordinal). */
static void miss(struct sink *sink, struct sink_partition *partition, uint64_t ordinal)
{
	uint64_t count = ordinal - partition->next;

	if (partition->next > 0)
		trace_warn("%s, partition %d: records %" PRIu64 " to %" PRIu64
			   " had left the log before they were read", partition->topic,
			   partition->id, partition->next, ordinal - 1);
	sink->counts->missed += count;
	metric_add(METRIC_SINK_MISSED, (int64_t)count);
	close_run(sink, partition);
	partition->next = ordinal;
	partition->unproved = false;	/* the record before is gone too */
}

/* The record before the first one due, which is in the lake already: is it this log's? */
static void prove(struct sink *sink, struct sink_partition *partition, struct slice value)
{
	struct json root;
	struct err err;
	struct buf line;

	buf_init(&line, value.len);
	if (value.ptr && json_parse(sink->parser, value, &root, &err) == ERR_OK)
		json_put(&line, root);
	partition->unproved = false;
	if (!slice_eq(buf_slice(&line), buf_slice(&partition->proof))) {
		(void)err_set(&err, ERR_CORRUPT, "record %" PRIu64 " in the lake is not that of the log:"
			      " one of them belongs to another pipeline", partition->next - 1);
		sink_halt(sink, partition, &err);
	}
	buf_release(&line);
}

/*
 * A record below `next` has landed: the log was read from a little before. The
 * one right before it shows that object and log are of one history.
 */
static void sink_add_record(struct sink *sink, struct sink_partition *partition,
			    const struct record *record)
{
	uint64_t ordinal = position_ordinal(record->position);
	struct dlq_letter letter = {
		.position = record->position,
		.timestamp_ms = record->timestamp_ms,
		.value = record->value,
		.reason = "a tombstone: the record has no value",
	};
	struct json root;
	struct err err;

	if (ordinal < partition->next) {
		if (partition->unproved && ordinal + 1 == partition->next)
			prove(sink, partition, record->value);
		return;
	}
	if (ordinal > partition->next)
		miss(sink, partition, ordinal);
	if (!record->value.ptr) {
		sink_add_letter(sink, partition, &letter);
	} else if (json_parse(sink->parser, record->value, &root, &err) != ERR_OK) {
		letter.reason = err.msg;
		sink_add_letter(sink, partition, &letter);
	} else {
		add_line(sink, partition, root, record->value.len);
	}
}

/* Every record of the range is a dead letter without a value. */
static void add_damage(struct sink *sink, struct sink_partition *partition, uint64_t first,
		       uint64_t last)
{
	struct dlq_letter letter = { .reason = "damaged in the log" };

	partition->unproved = false;	/* it may be the record that was to be compared */
	if (last < partition->next)
		return;
	trace_error("%s, partition %d: records %" PRIu64 " to %" PRIu64
		    " are damaged in the log and go to the dead letters", partition->topic,
		    partition->id, first, last);
	if (first > partition->next)
		miss(sink, partition, first);
	while (partition->next <= last && !sink_partition_halted(partition)) {
		letter.position = position_of_offset(partition->next);
		sink_add_letter(sink, partition, &letter);
		metric_add(METRIC_SINK_DAMAGED, 1);
	}
}

/* --- events ------------------------------------------------------------ */

/* Where the partition was. A store that is away is asked again until a stop is asked. */
static enum err_code recover(struct sink *sink, struct sink_partition *partition,
			     struct sink_place *ret_place, struct err *err)
{
	struct retry retry = RETRY_INIT;

	for (;;) {
		enum err_code code = sink_recover(sink->options->store, partition->topic,
						  partition->id, ret_place, err);

		if (code == ERR_OK || !retry_may_pass(code))
			return code;
		if (!retry_again(&retry, "the lake", err))
			return err_set(err, ERR_STOPPED, "stopped while the store did not answer");
		metric_add(METRIC_SINK_RETRIES, 1);
	}
}

/*
 * Read on where the sink is, or one record before if that is to be compared. The partition is
 * assigned only once, so a log that cannot be read is asked again until a stop is asked.
 */
static enum err_code sink_seek(struct sink *sink, struct sink_partition *partition, struct err *err)
{
	struct backoff backoff = { .first_ms = 100, .max_ms = 20000 };
	struct topic_ref topic = { TOPIC_LOG, partition->topic };
	struct reader_start start = {
		.kind = START_AT,
		.position = position_of_offset(partition->next - partition->unproved),
	};
	struct err why;

	for (;;) {
		enum err_code code = reader_seek(sink->reader, topic, partition->id, start, &why);

		if (code == ERR_OK || code == ERR_NO_TOPIC || code == ERR_NO_PARTITION)
			return ERR_OK;		/* gone again: the reader will revoke it */
		if (!err_retry(code) || stop_requested()) {
			*err = why;
			return code;
		}
		trace_warn("%s; it is tried again", why.msg);
		clock_sleep_ms(backoff_next_ms(&backoff));
	}
}

/*
 * The lake, not a position kept elsewhere, says where a partition goes on; so
 * what is still on its way there has to arrive first.
 */
static enum err_code on_assigned(struct sink *sink, const struct reader_event *event,
				 struct err *err)
{
	struct sink_partition *partition =
		make_partition(sink, event->topic.name, event->partition);
	struct sink_place place;
	struct err why;

	if (!partition->assigned) {
		sink_writer_wait(sink->writer, &partition->lane);
		take_ended(sink);
		if (recover(sink, partition, &place, &why) != ERR_OK) {
			partition->assigned = true;
			sink_halt(sink, partition, &why);
			return ERR_OK;
		}
		atomic_store(&partition->lane.halted, ERR_OK);
		sink_partition_begin(partition, &place);
		partition->assigned = true;
		trace_debug("%s, partition %d: goes on at %" PRIu64, partition->topic,
			    partition->id, partition->next);
	}
	return sink_seek(sink, partition, err);
}

/* What it holds and has not put is another reader's, or gone with its topic. */
static void on_revoked(struct sink *sink, const struct reader_event *event)
{
	struct sink_partition *partition =
		sink_find_partition(sink, event->topic.name, event->partition);

	if (!partition)
		return;
	sink->filling_bytes -= partition->bytes;
	sink_partition_drop(partition);
	partition->assigned = false;
	partition->goal = 0;		/* no drain can reach it any more */
}

static void on_data(struct sink *sink, const struct reader_event *event)
{
	struct sink_partition *partition =
		sink_find_partition(sink, event->topic.name, event->partition);

	if (!partition || !partition->assigned)
		return;
	if (event->kind == READER_GAP && !sink_partition_halted(partition))
		add_damage(sink, partition, position_ordinal(event->first),
			   position_ordinal(event->last));
	for (size_t i = 0; i < event->count && !sink_partition_halted(partition); i++)
		sink_add_record(sink, partition, &event->records[i]);
	keep_budget(sink);
}

static enum err_code sink_on_event(struct sink *sink, const struct reader_event *event,
				   struct err *err)
{
	switch (event->kind) {
	case READER_ASSIGNED:
		return on_assigned(sink, event, err);
	case READER_REVOKED:
		on_revoked(sink, event);
		if (!event->lost)
			reader_release(sink->reader, event->topic, event->partition);
		return ERR_OK;
	case READER_RECORDS:
	case READER_GAP:
		on_data(sink, event);
		return ERR_OK;
	case READER_CAUGHT_UP:
		return ERR_OK;
	case READER_IDLE:
		if (sink->draining)
			(void)poll(NULL, 0, DRAIN_IDLE_MS);
		return ERR_OK;
	case READER_END:		/* only streams have it */
		break;
	}
	return ERR_OK;
}

/* --- topics ------------------------------------------------------------ */

static void add_topic(struct sink *sink, const char *name)
{
	sink->topics = xreallocarray(sink->topics, sink->topic_count + 1, sizeof(char *));
	sink->topics[sink->topic_count++] = xstrdup(name);
}

static bool knows_topic(const struct sink *sink, const char *name)
{
	for (size_t i = 0; i < sink->topic_count; i++)
		if (!strcmp(sink->topics[i], name))
			return true;
	return false;
}

static bool add_new_topic(void *user, const char *name)
{
	struct sink *sink = user;

	if (!knows_topic(sink, name))
		add_topic(sink, name);
	return sink->topic_count < TOPICS_MAX;
}

static void add_own_topics(struct sink *sink)
{
	for (size_t i = 0; i < sink->options->table_count; i++)
		if (!knows_topic(sink, sink->options->tables[i].topic))
			add_topic(sink, sink->options->tables[i].topic);
}

/* Known partitions are assigned afresh, and then go on where they are. */
static enum err_code sink_open_reader(struct sink *sink, struct err *err)
{
	struct topic_ref *topics = xcalloc(sink->topic_count, sizeof(*topics));
	struct reader_options options = {
		.group = "sink",
		.topics = topics,
		.topic_count = sink->topic_count,
		.bytes_max = EVENT_BYTES,
	};
	enum err_code code;

	for (size_t i = 0; i < sink->topic_count; i++)
		topics[i] = (struct topic_ref){ TOPIC_LOG, sink->topics[i] };
	reader_close(sink->reader);
	sink->reader = NULL;
	code = broker_reader_open(sink->options->broker, &options, &sink->reader, err);
	free(topics);
	return code;
}

/* Those that are new. */
static enum err_code look_for_topics(struct sink *sink, struct err *err)
{
	size_t before = sink->topic_count;
	enum err_code code;

	if (!sink->options->take_all)
		return ERR_OK;
	sink->topics_ms = clock_mono_ms();
	code = broker_list(sink->options->broker, TOPIC_LOG, add_new_topic, sink, err);
	if (code == ERR_OK && sink->topic_count > before)
		code = sink_open_reader(sink, err);
	return code;
}

/* --- draining ---------------------------------------------------------- */

/* What is in the log of a topic now is what a drain must reach. */
static enum err_code sink_set_goals(struct sink *sink, const char *topic, struct err *err)
{
	struct topic_ref ref = { TOPIC_LOG, topic };
	struct topic_info info;
	struct err why;
	enum err_code code = broker_describe(sink->options->broker, ref, &info, &why);

	if (code == ERR_NO_TOPIC)
		return ERR_OK;
	if (code != ERR_OK) {
		*err = why;
		return code;
	}
	for (int32_t i = 0; i < info.partition_count; i++) {
		const struct partition_info *partition = &info.partitions[i];
		bool empty = position_cmp(partition->first, partition->next) == 0;

		make_partition(sink, topic, partition->id)->goal =
			empty ? 0 : position_ordinal(partition->next);
	}
	topic_info_release(&info);
	return ERR_OK;
}

static enum err_code sink_begin_drain(struct sink *sink, struct err *err)
{
	enum err_code code = look_for_topics(sink, err); /* one may have come just now */

	for (size_t i = 0; i < sink->topic_count && code == ERR_OK; i++)
		code = sink_set_goals(sink, sink->topics[i], err);
	sink->draining = code == ERR_OK;	/* without its goals it would end at once */
	return code;
}

static bool sink_drained(const struct sink *sink)
{
	for (size_t i = 0; i < sink->partition_count; i++) {
		const struct sink_partition *partition = sink->partitions[i];

		if (partition->goal > 0 && !sink_partition_halted(partition) &&
		    (!partition->assigned || partition->next < partition->goal))
			return false;
	}
	return true;
}

/* --- the whole --------------------------------------------------------- */

static enum err_code sink_turn(struct sink *sink, struct err *err)
{
	int64_t now_ms = clock_mono_ms();
	int64_t due_ms = close_due(sink, now_ms, false);
	int64_t idle_ms = sink->draining ? now_ms : now_ms + IDLE_MS;
	int64_t deadline_ms = due_ms < idle_ms ? due_ms : idle_ms;
	struct reader_event event;
	enum err_code code = ERR_OK;

	take_ended(sink);
	if (now_ms >= sink->topics_ms + TOPICS_MS)
		code = look_for_topics(sink, err);
	if (code == ERR_OK)
		code = reader_next(sink->reader, deadline_ms, &event, err);
	return code == ERR_OK ? sink_on_event(sink, &event, err) : code;
}

/* What a retry may mend never ends the sink: the log keeps what comes in meanwhile. */
static enum err_code sink_loop(struct sink *sink, struct err *err)
{
	struct backoff backoff = { .first_ms = 100, .max_ms = 20000 };
	enum err_code code = ERR_OK;

	for (;;) {
		if (!sink->draining && (stop_requested() || sink->options->until_end))
			code = sink_begin_drain(sink, err);
		if (code == ERR_OK && sink->draining && sink_drained(sink))
			return ERR_OK;
		if (code == ERR_OK)
			code = sink_turn(sink, err);
		if (code == ERR_OK) {
			backoff_reset(&backoff);
			continue;
		}
		if (!err_retry(code) || stop_requested())
			return code;
		trace_warn("%s; it is tried again", err->msg);
		clock_sleep_ms(backoff_next_ms(&backoff));
		code = ERR_OK;
	}
}

/* What kept the whole from being done, though the loop ended well. */
static enum err_code verdict(struct sink *sink, struct err *err)
{
	const struct sink_partition *first = NULL;
	bool gave_up = false;

	for (size_t i = 0; i < sink->partition_count; i++) {
		enum err_code halted = sink_partition_halted(sink->partitions[i]);

		gave_up = gave_up || halted == ERR_STOPPED;
		if (halted == ERR_OK || halted == ERR_STOPPED)
			continue;
		first = first ? first : sink->partitions[i];
		sink->counts->halted++;
	}
	metric_set(METRIC_SINK_HALTED, (int64_t)sink->counts->halted);
	if (first)
		return err_set(err, ERR_CORRUPT, "%" PRIu64 " partition(s) halted, the first is %d of"
			       " \"%s\"", sink->counts->halted, first->id, first->topic);
	if (gave_up)
		return err_set(err, ERR_STOPPED, "stopped before all was in the lake; the next start"
			       " goes on there");
	return ERR_OK;
}

static enum err_code sink_run_all(struct sink *sink, struct err *err)
{
	enum err_code code = ERR_OK;

	sink->topics_ms = clock_mono_ms();
	add_own_topics(sink); /* at once, though they may not be there yet */
	if (sink->options->take_all)
		code = broker_list(sink->options->broker, TOPIC_LOG, add_new_topic, sink, err);
	if (code == ERR_OK)
		code = sink_open_reader(sink, err);
	if (code == ERR_OK)
		code = sink_loop(sink, err);
	if (code != ERR_OK) {	/* the lake may be away too, and that would never be told */
		if (code != ERR_STOPPED)
			trace_error("%s; the sink ends", err->msg);
		sink_writer_end(sink->writer);
	}
	(void)close_due(sink, 0, true);
	sink_writer_wait(sink->writer, NULL);
	take_ended(sink);
	return code == ERR_OK ? verdict(sink, err) : code;
}

static void sink_release(struct sink *sink)
{
	reader_close(sink->reader);
	sink_writer_free(sink->writer);
	json_parser_free(sink->parser);
	for (size_t i = 0; i < sink->partition_count; i++)
		sink_partition_free(sink->partitions[i]);
	free(sink->partitions);
	for (size_t i = 0; i < sink->topic_count; i++)
		free(sink->topics[i]);
	free(sink->topics);
}

void sink_counts_release(struct sink_counts *counts)
{
	free(counts->records);
	free(counts->dead);
	*counts = (struct sink_counts){ 0 };
}

enum err_code sink_run(const struct sink_options *options, struct sink_counts *ret_counts,
		       struct err *err)
{
	struct sink sink = { .options = options, .counts = ret_counts };
	enum err_code code;
	int lock_fd;

	*ret_counts = (struct sink_counts){
		.records = xcalloc(options->table_count + 1, sizeof(uint64_t)),
		.dead = xcalloc(options->table_count + 1, sizeof(uint64_t)),
	};
	code = lock_take(options->dir, "sink.lock", "sink", &lock_fd, err);
	if (code != ERR_OK)
		return code;
	code = sink_writer_new(options->store, WRITING_BYTES_MAX, &sink.writer, err);
	if (code == ERR_OK) {
		sink.parser = json_parser_new(RECORD_BYTES_MAX);
		code = sink_run_all(&sink, err);
		sink_release(&sink);
	}
	lock_release(lock_fd);
	return code;
}
