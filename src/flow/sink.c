#include "flow/sink.h"

#include "base/lock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/sink_inside.h"

#include <inttypes.h>
#include <time.h>

enum {
	IDLE_MS = 500, /* at most between two looks at the timers */
	DRAIN_IDLE_MS = 5,
	BUSY_MS = 10,	      /* between two looks at the writer, if it matters */
	COMMIT_MS = 1000,     /* between two commits of a partition */
	LEAVE_MS = 2000,      /* so long what was revoked may still land */
	JOIN_WAIT_MS = 30000, /* for a group's first assignment */
	AWAY_WAIT_MS = 10000, /* of a drain, for what nobody else can have */
	ALONE_EVERY_MS = 200, /* that is asked */
	EVENT_BYTES = 4 << 20,
	FILLING_BYTES_MAX = 48 << 20, /* runs of all partitions */
	WRITING_BYTES_MAX = 32 << 20, /* closed, not yet in the lake */
	PAUSE_FILL = 100,	      /* hundredths of that: no more is read … */
	RESUME_FILL = 50,	      /* … until so little waits */
};

/* --- partitions -------------------------------------------------------- */

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
	partition = sink_partition_new(topic, id, sink_table_of(sink, topic),
				       sink->options->flush_bytes + SINK_RECORD_MAX);
	sink->partitions = xreallocarray(sink->partitions, sink->partition_count + 1,
					 sizeof(struct sink_partition *));
	partition->groups = sink->options->path.pattern[0] || sink->options->gzip ||
			    sink->options->keys || sink->options->headers;
	sink->partitions[sink->partition_count++] = partition;
	sink_tell_partition(sink, partition);
	return partition;
}

static void count_ended(struct sink *sink, const struct sink_job *job,
			const struct sink_partition *partition)
{
	struct sink_counts *counts = sink->counts;

	sink_tell_landed(sink, (struct sink_partition *)job->lane, job);
	if (job->letters) {
		counts->dead[partition->table] += job->records;
		metric_add(METRIC_SINK_DEAD, (int64_t)job->records);
		return;
	}
	counts->records[partition->table] += job->records;
	counts->objects += job->objects;
	counts->bytes += job->bytes;
	metric_add(METRIC_SINK_RECORDS, (int64_t)job->records);
	metric_add(METRIC_SINK_OBJECTS, (int64_t)job->objects);
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
			partition->commit = lake_position(job->end);
			partition->commit_due = true;
		}
		sink_job_free(job);
		job = next;
	}
}

/* Close the largest run while all together are too large; what is being mended cannot be. */
static void keep_budget(struct sink *sink)
{
	while (sink->filling_bytes > FILLING_BYTES_MAX) {
		struct sink_partition *largest = NULL;

		for (size_t i = 0; i < sink->partition_count; i++) {
			struct sink_partition *partition = sink->partitions[i];

			if (partition->count > 0 && !sink_partition_is_mending(partition) &&
			    (!largest || partition->bytes > largest->bytes))
				largest = partition;
		}
		if (!largest)
			break;
		sink_close_run(sink, largest);
	}
}

/* Close what is old enough (`all`: everything). Returns when the next one will be. */
static int64_t close_due(struct sink *sink, int64_t now_ms, bool all)
{
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < sink->partition_count; i++) {
		struct sink_partition *partition = sink->partitions[i];

		if (partition->count == 0 || sink_partition_is_mending(partition))
			continue;
		if (all || partition->due_ms <= now_ms)
			sink_close_run(sink, partition);
		else if (partition->due_ms < next_ms)
			next_ms = partition->due_ms;
	}
	return next_ms;
}

/* --- telling the broker --------------------------------------------------- */

/* What it is not told costs nothing: the lake is what counts. */
static void sink_commit(struct sink *sink, struct sink_partition *partition)
{
	struct err err;

	partition->commit_due = false;
	if (reader_commit(sink->reader, sink_topic(partition), partition->id, partition->commit,
			  &err) != ERR_OK)
		trace_debug("%s, partition %d: %s", partition->topic, partition->id, err.msg);
}

/* Numbers that were no records, after the last that was one, are done with it. */
static void pass_the_rest(struct sink *sink, struct sink_partition *partition)
{
	if (!partition->has_caught || partition->count > 0 || !partition->place.any ||
	    position_cmp(partition->caught, partition->commit) <= 0 ||
	    sink_writer_is_busy(sink->writer, &partition->lane))
		return;
	partition->commit = partition->caught;
	partition->commit_due = true;
}

static void commit_in_time(struct sink *sink, struct sink_partition *partition, int64_t now_ms)
{
	if (partition->state == SINK_READING)
		pass_the_rest(sink, partition);
	if (!partition->commit_due || now_ms < partition->commit_ms + COMMIT_MS)
		return;
	partition->commit_ms = now_ms;
	sink_commit(sink, partition);
}

static void sink_set_paused(struct sink *sink, struct sink_partition *partition, bool paused)
{
	struct err err;

	if (partition->paused == paused)
		return;
	if (reader_pause(sink->reader, sink_topic(partition), partition->id, paused, &err) ==
	    ERR_OK)
		partition->paused = paused;
	else
		trace_debug("%s, partition %d: %s", partition->topic, partition->id, err.msg);
}

/* --- the states of a partition --------------------------------------------- */

/* The writer gave the lane up: another sink was faster, or no try can mend it. */
static void on_lane_halted(struct sink *sink, struct sink_partition *partition, enum err_code code)
{
	sink_drop_run(sink, partition);
	if (code == ERR_EXISTS) {
		partition->state = SINK_PLACING;
		partition->retry_ms = 0;
		return;
	}
	partition->state = SINK_HALTED;
	partition->halted = code;
}

static void sink_leave(struct sink *sink, struct sink_partition *partition)
{
	take_ended(sink);
	if (partition->commit_due)
		sink_commit(sink, partition);
	partition->state = SINK_AWAY;
	retry_end(&partition->retry);
	reader_release(sink->reader, sink_topic(partition), partition->id);
}

/* No more is read than the store takes. */
static void keep_pace(struct sink *sink, struct sink_partition *partition)
{
	unsigned of_all = sink_writer_fill(sink->writer, NULL);
	unsigned of_lane = of_all > 0 ? sink_writer_fill(sink->writer, &partition->lane) : 0;

	if (of_all >= PAUSE_FILL || of_lane >= PAUSE_FILL)
		sink_set_paused(sink, partition, true);
	else if (of_all <= RESUME_FILL && of_lane <= RESUME_FILL)
		sink_set_paused(sink, partition, false);
}

/* What is due for a partition. Returns when to look again at the latest. */
static int64_t tend(struct sink *sink, struct sink_partition *partition, int64_t now_ms)
{
	enum err_code halted = (enum err_code)atomic_load(&partition->lane.halted);

	if (partition->state == SINK_AWAY)
		return INT64_MAX;
	if (partition->state == SINK_READING && halted != ERR_OK)
		on_lane_halted(sink, partition, halted);
	if (partition->state == SINK_LEAVING || partition->state == SINK_PLACING) {
		bool busy = sink_writer_is_busy(sink->writer, &partition->lane);

		if (partition->state == SINK_PLACING)
			sink_set_paused(sink, partition, true);
		if (busy && partition->state == SINK_LEAVING && now_ms >= partition->leave_ms)
			sink_writer_drop(sink->writer, &partition->lane);
		if (busy)
			return now_ms + BUSY_MS;
		if (partition->state == SINK_LEAVING)
			sink_leave(sink, partition);
	}
	if (partition->state == SINK_READING)
		keep_pace(sink, partition);
	else if (partition->state == SINK_HALTED)
		sink_set_paused(sink, partition, true);
	if (partition->state != SINK_AWAY)
		commit_in_time(sink, partition, now_ms);
	if (partition->state == SINK_PLACING)
		return partition->retry_ms;
	return partition->state == SINK_READING && partition->paused ? now_ms + BUSY_MS
								      : INT64_MAX;
}

static int64_t tend_all(struct sink *sink, int64_t now_ms)
{
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < sink->partition_count; i++) {
		int64_t look_ms = tend(sink, sink->partitions[i], now_ms);

		next_ms = look_ms < next_ms ? look_ms : next_ms;
	}
	return next_ms;
}

/* --- events ------------------------------------------------------------ */

/* It is paused until it can be answered. */
static void on_assigned(struct sink *sink, const struct reader_event *event)
{
	struct sink_partition *partition =
		make_partition(sink, event->topic.name, event->partition);

	sink_drop_run(sink, partition);
	sink->joined = true;
	partition->was_ours = true;
	partition->state = SINK_PLACING;
	partition->paused = false;
	partition->retry_ms = 0;
	partition->fruitless = 0;
	partition->all_given = false;
	partition->complete_ms = 0;
	take_ended(sink);
	(void)tend(sink, partition, clock_mono_ms());
}

static void sink_drop_all(struct sink *sink, struct sink_partition *partition)
{
	sink_drop_run(sink, partition);
	sink_writer_drop(sink->writer, &partition->lane);
}

/*
 * What it holds and has not put is another reader's, or gone with its topic, once this one has
 * answered. Until then it may land: were it dropped, partitions that are taken often would never
 * get anywhere.
 */
static void on_revoked(struct sink *sink, const struct reader_event *event)
{
	struct sink_partition *partition =
		sink_find_partition(sink, event->topic.name, event->partition);

	if (!partition) {
		if (!event->lost)
			reader_release(sink->reader, event->topic, event->partition);
		return;
	}
	if (event->lost || partition->state != SINK_READING || sink_partition_is_mending(partition))
		sink_drop_all(sink, partition);
	else
		sink_close_run(sink, partition);
	partition->paused = false;
	partition->state = event->lost ? SINK_AWAY : SINK_LEAVING;
	partition->leave_ms = clock_mono_ms() + LEAVE_MS;
	(void)tend(sink, partition, clock_mono_ms());
}

/* A stop does not wait for what comes meanwhile: where others post it may never be caught up with.
 * It stays in the log. */
static bool sink_is_past_goal(const struct sink *sink, const struct sink_partition *partition)
{
	return sink->draining && sink->hurried && sink_partition_has_goal_added(partition);
}

static void on_data(struct sink *sink, const struct reader_event *event)
{
	struct sink_partition *partition =
		sink_find_partition(sink, event->topic.name, event->partition);

	if (!partition || partition->state != SINK_READING || sink_is_past_goal(sink, partition))
		return;
	if (event->kind == READER_RECORDS)
		sink_take_records(sink, partition, event);
	else if (event->kind == READER_GAP)
		sink_take_gap(sink, partition, event);
	else
		partition->caught = event->last;
	partition->all_given = event->kind == READER_CAUGHT_UP;
	if (event->kind == READER_CAUGHT_UP) {
		partition->has_caught = true;
		partition->loss_asked = false;	/* who knows how long nothing comes now */
	}
	keep_budget(sink);
}

/* What came before it may land. */
static void on_failed(struct sink *sink, const struct reader_event *event)
{
	struct sink_partition *partition =
		sink_find_partition(sink, event->topic.name, event->partition);
	struct err failure = *event->failure;

	if (!partition || partition->state != SINK_READING)
		return;
	sink_close_run(sink, partition);
	partition->state = SINK_PLACING;
	sink_place_again(sink, partition, "the log", &failure);
}

static void sink_on_event(struct sink *sink, const struct reader_event *event)
{
	switch (event->kind) {
	case READER_ASSIGNED:
		on_assigned(sink, event);
		break;
	case READER_REVOKED:
		on_revoked(sink, event);
		break;
	case READER_RECORDS:
	case READER_GAP:
	case READER_CAUGHT_UP:
		on_data(sink, event);
		break;
	case READER_FAILED:
		on_failed(sink, event);
		break;
	case READER_IDLE:
	case READER_END:		/* only streams have it */
		break;
	}
}

/* --- topics ------------------------------------------------------------ */

static const char *sink_group_name(const struct sink *sink)
{
	return sink->options->group ? sink->options->group : "sink";
}

static enum err_code sink_open_reader(struct sink *sink, struct err *err)
{
	struct sink_topics topics = { 0 };
	struct reader_options options = { .group = sink_group_name(sink),
					  .bytes_max = EVENT_BYTES };
	struct topic_ref *refs;
	enum err_code code;

	sink_topics_add_own(sink, &topics);
	refs = xcalloc(topics.count + 1, sizeof(*refs));
	for (size_t i = 0; i < topics.count; i++)
		refs[i] = (struct topic_ref){ TOPIC_LOG, topics.names[i] };
	options.topics = refs;
	options.topic_count = topics.count;
	code = broker_reader_open(sink->options->broker, &options, &sink->reader, err);
	free(refs);
	sink_topics_release(&topics);
	return code;
}

/* --- draining ---------------------------------------------------------- */

/*
 * Where the end is not known it is where the reader has caught up from now on. What has no leader
 * cannot be read, and nobody knows where it ends: a stop leaves it.
 */
static enum err_code sink_set_goal(struct sink *sink, struct sink_partition *partition,
			      const struct partition_info *info, struct err *err)
{
	bool led = info->replica_count == 0 || info->leader != NODE_NONE;

	partition->has_goal = partition->goal_open = false;
	if (!led && stop_requested())
		return ERR_OK;
	if (!led)
		return err_set(err, ERR_BUSY,
			       "partition %d of topic \"%s\" has no leader, who "
			       "knows where it ends",
			       info->id, partition->topic);
	partition->has_goal = info->next_known;
	partition->goal = info->next;
	partition->goal_open = !info->next_known;
	if (partition->goal_open && partition->state == SINK_READING)
		return sink_seek(sink, partition, err);
	return ERR_OK;
}

/* A stop does not wait for the next try of a place, which may be far away: it is made now, and is
 * the last one. */
static void sink_hurry(struct sink *sink)
{
	if (sink->hurried || !stop_requested())
		return;
	sink->hurried = true;
	for (size_t i = 0; i < sink->partition_count; i++)
		sink->partitions[i]->retry_ms = 0;
}

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
	for (int32_t i = 0; i < info.partition_count && code == ERR_OK; i++)
		code = sink_set_goal(sink, make_partition(sink, topic, info.partitions[i].id),
				&info.partitions[i], err);
	topic_info_release(&info);
	return code;
}

static enum err_code sink_begin_drain(struct sink *sink, struct err *err)
{
	struct sink_topics own = { 0 }, there = { 0 };
	enum err_code code =
		broker_list(sink->options->broker, TOPIC_LOG, sink_topics_add, &there, err);

	sink_topics_add_own(sink, &own);
	for (size_t i = 0; i < there.count && code == ERR_OK; i++)
		if (sink_topics_match(&own, there.names[i]))
			code = sink_set_goals(sink, there.names[i], err);
	sink_topics_release(&own);
	sink_topics_release(&there);
	sink->draining = code == ERR_OK;	/* without its goals it would end at once */
	sink->drain_ms = clock_mono_ms();
	return code;
}

static bool sink_lacks_some(const struct sink *sink)
{
	for (size_t i = 0; i < sink->partition_count; i++) {
		const struct sink_partition *partition = sink->partitions[i];

		if (partition->state == SINK_AWAY && !partition->was_ours &&
		    (partition->has_goal || partition->goal_open))
			return true;
	}
	return false;
}

/* Also where a service does not know the group yet, or does not say. */
static bool sink_is_alone(struct sink *sink)
{
	struct group_info info;
	struct err unused;
	bool alone;

	if (broker_describe_group(sink->options->broker, sink_group_name(sink), &info, &unused) !=
	    ERR_OK)
		return true;
	alone = info.member_count <= 1;
	group_info_release(&info);
	return alone;
}

/* The only member of a group gets all that there is. What it never had, of a topic that was made a
 * moment ago, is on its way to it. */
static bool sink_awaits_some(struct sink *sink)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - sink->drain_ms > AWAY_WAIT_MS || !sink_lacks_some(sink))
		return false;
	if (now_ms - sink->alone_ms < ALONE_EVERY_MS)
		return sink->alone;
	sink->alone = sink_is_alone(sink);
	sink->alone_ms = clock_mono_ms();
	return sink->alone;
}

/* A service may take its time to say what is whose; it says it of all partitions at once. */
static bool sink_has_joined(const struct sink *sink)
{
	return sink->joined || stop_requested() ||
	       clock_mono_ms() - sink->began_ms > JOIN_WAIT_MS;
}

/* All has been read, is closed, and the writer is done with it; what was asked back has its answer.
 * (If another sink was faster it may have to be read again.) */
static bool sink_drained(struct sink *sink)
{
	bool quiet = sink->quiet && sink_has_joined(sink) && !sink_awaits_some(sink);
	bool busy = false;

	for (size_t i = 0; i < sink->partition_count; i++)
		if (!sink_partition_drained(sink->partitions[i], quiet) &&
		    !sink_is_past_goal(sink, sink->partitions[i]))
			return false;
	(void)close_due(sink, 0, true);
	for (size_t i = 0; i < sink->partition_count; i++) {
		const struct sink_partition *partition = sink->partitions[i];

		busy = busy || sink_writer_is_busy(sink->writer, &partition->lane) ||
		       partition->state == SINK_LEAVING ||
		       (partition->state == SINK_READING &&
			atomic_load(&partition->lane.halted) != ERR_OK);
	}
	return !busy;
}

/* --- the whole --------------------------------------------------------- */

/* Once a stop is asked no reader waits, and what the sink then waits for, the writer and the lake,
 * needs the processor more. */
static void sink_rest(int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - clock_mono_ms();
	const struct timespec rest = { .tv_nsec = left_ms * 1000000 };

	if (left_ms > 0)
		(void)nanosleep(&rest, NULL);
}

/* Who is not in the group any more has nothing of it, and another reader enters it: what was at
 * hand is read again by whoever gets it. */
static enum err_code sink_enter_anew(struct sink *sink, struct err *err)
{
	if (sink->reader)
		trace_warn("%s; the sink enters the group anew", err->msg);
	for (size_t i = 0; i < sink->partition_count; i++) {
		struct sink_partition *partition = sink->partitions[i];

		sink_drop_all(sink, partition);
		partition->paused = partition->was_ours = false;
		partition->state = SINK_AWAY;
	}
	reader_close(sink->reader);
	sink->reader = NULL;
	sink->joined = sink->assigning = sink->quiet = false;
	sink->began_ms = sink->drain_ms = clock_mono_ms();
	return sink_open_reader(sink, err);
}

static enum err_code sink_turn(struct sink *sink, struct err *err)
{
	int64_t now_ms = clock_mono_ms();
	int64_t deadline_ms = now_ms + (sink->draining ? DRAIN_IDLE_MS : IDLE_MS);
	int64_t look_ms, due_ms;
	struct reader_event event;
	enum err_code code;

	if (!sink->reader)
		return sink_enter_anew(sink, err);
	take_ended(sink);
	sink_hurry(sink);
	sink_place_due(sink, now_ms);
	look_ms = tend_all(sink, now_ms);
	if (sink_writer_fill(sink->writer, NULL) < PAUSE_FILL) {
		due_ms = close_due(sink, now_ms, false);
		deadline_ms = due_ms < deadline_ms ? due_ms : deadline_ms;
	}
	deadline_ms = look_ms < deadline_ms ? look_ms : deadline_ms;
	code = reader_next(sink->reader, deadline_ms, &event, err);
	if (code == ERR_BUSY)
		return sink_enter_anew(sink, err);
	if (code != ERR_OK)
		return code;
	sink->quiet = event.kind == READER_IDLE;
	if (sink->quiet && sink->draining && stop_requested())
		sink_rest(deadline_ms);
	sink->assigning = event.kind == READER_ASSIGNED;
	sink_on_event(sink, &event);
	sink_tell(sink);
	return ERR_OK;
}

/* Without all goals no drain begins: it is tried again by and by, and what there is read meanwhile.
 * But a stop does not wait. */
static enum err_code sink_try_drain(struct sink *sink, struct err *err)
{
	enum err_code code;

	if (sink->draining || (!stop_requested() && clock_mono_ms() < sink->drain_due_ms))
		return ERR_OK;
	code = sink_begin_drain(sink, err);
	if (code == ERR_OK || !err_retry(code) || stop_requested())
		return code;
	trace_warn("%s; it is tried again", err->msg);
	sink->drain_due_ms = clock_mono_ms() + backoff_next_ms(&sink->drain_backoff);
	return ERR_OK;
}

/* What a retry may mend never ends the sink: the log keeps what comes in meanwhile. */
static enum err_code sink_loop(struct sink *sink, struct err *err)
{
	struct backoff backoff = { .first_ms = 100, .max_ms = 20000 };
	enum err_code code = ERR_OK;

	sink->drain_backoff = backoff;
	for (;;) {
		if (stop_requested() || sink->options->until_end)
			code = sink_try_drain(sink, err);
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
		const struct sink_partition *partition = sink->partitions[i];

		if (partition->state != SINK_HALTED)
			continue;
		gave_up = gave_up || partition->halted == ERR_STOPPED;
		if (partition->halted == ERR_STOPPED)
			continue;
		first = first ? first : partition;
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

/* What ended the loop ends the puts too: the lake may be away, and it would never be told. */
static void sink_end(struct sink *sink, enum err_code code, const struct err *err)
{
	if (code != ERR_OK) {
		if (code != ERR_STOPPED)
			trace_error("%s; the sink ends", err->msg);
		sink_writer_end(sink->writer);
		(void)close_due(sink, 0, true);
	}
	sink_writer_wait(sink->writer, NULL);
	take_ended(sink);
	for (size_t i = 0; i < sink->partition_count; i++) {
		struct sink_partition *partition = sink->partitions[i];
		enum err_code halted = (enum err_code)atomic_load(&partition->lane.halted);

		if (partition->state == SINK_READING && halted != ERR_OK)
			on_lane_halted(sink, partition, halted);
		if (partition->state == SINK_READING)
			pass_the_rest(sink, partition);
		if (partition->state != SINK_AWAY && partition->commit_due)
			sink_commit(sink, partition);
	}
}

static enum err_code sink_run_all(struct sink *sink, struct err *err)
{
	enum err_code code = sink_open_reader(sink, err);

	if (code == ERR_OK)
		code = sink_loop(sink, err);
	sink_end(sink, code, err);
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
	struct sink sink = { .options = options, .counts = ret_counts,
			     .began_ms = clock_mono_ms() };
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
		sink.parser = json_parser_new(SINK_RECORD_MAX);
		code = sink_run_all(&sink, err);
		sink_release(&sink);
	}
	lock_release(lock_fd);
	return code;
}
