/*
 * reader_local.c - readers of broker_local: one pass over the journal for all
 * partitions of a reader, in the writer's process or in any other.
 *
 * The cursor stands at or before the next record of every partition. Each
 * partition knows the ordinal that it wants next, so what the cursor passes a
 * second time (after a seek back of another partition) is not given twice, and
 * a higher ordinal than the wanted one tells that records are lost.
 */
#include "broker/local/broker_local.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/local/commits.h"
#include "broker/sequence.h"
#include "broker/subs.h"

#include <assert.h>

enum {
	STOP_CHECK_MS = 100,
	EVENT_BYTES = 1 << 20,
	HEADERS_BYTES_MAX = 1 << 30, /* a multiple of what a segment holds */
};

struct local_reader {
	struct broker_reader base;
	struct subs subs;
	struct commits commits;
	size_t bytes_max;
	bool look_at_topics; /* the group may be due an event */
	uint32_t topics_seen;
	struct cursor cursor;
	struct batch batch;    /* the one that is being given; count 0: none */
	struct slice rest;     /* of its payload */
	uint64_t ordinal;      /* of the record at `rest` */
	struct ordinals state; /* what the last state said, … */
	bool check_state;      /* … not yet compared with every partition */
	struct record *records;
	size_t records_cap;
	struct arena headers; /* of `records` */
};
static_assert(offsetof(struct local_reader, base) == 0, "base must be first");

static struct local_reader *of(struct broker_reader *reader)
{
	return (struct local_reader *)reader;
}

/* From now on retention spares the group's topics, also those that are still to come. */
static void join_group(struct local_broker *local, struct commits *commits,
		       const struct reader_options *options)
{
	struct err err;

	(void)commits_load(commits, local->dir_fd, options->group);
	if (commits_want(commits, options->topics, options->topic_count) &&
	    commits_save(commits, local->dir_fd, options->group, true, &err) != ERR_OK)
		trace_warn("%s", err.msg);
}

enum err_code local_reader_open(struct broker *broker, const struct reader_options *options,
				struct broker_reader **ret_reader, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = ERR_OK;
	struct local_reader *reader;

	if (options->group)
		code = name_check_topic(slice_str(options->group), err);
	if (code != ERR_OK)
		return err_prefix(err, "group");
	reader = xcalloc(1, sizeof(*reader));
	reader->base.broker = broker;
	reader->bytes_max = options->bytes_max ? options->bytes_max : EVENT_BYTES;
	reader->look_at_topics = true;
	subs_init(&reader->subs, options);
	cursor_init(&reader->cursor, local->dir_fd);
	arena_init(&reader->headers, HEADERS_BYTES_MAX);
	commits_init(&reader->commits);
	if (options->group)
		join_group(local, &reader->commits, options);
	*ret_reader = &reader->base;
	return ERR_OK;
}

void local_reader_close(struct broker_reader *base)
{
	struct local_reader *reader = of(base);

	subs_release(&reader->subs);
	cursor_release(&reader->cursor);
	ordinals_release(&reader->state);
	commits_release(&reader->commits);
	arena_release(&reader->headers);
	free(reader->records);
	free(reader);
}

/* With the lock. */
static enum err_code reader_local_find_partition(struct local_broker *local, struct topic_ref ref,
						 int32_t id, struct partition **ret_partition,
						 struct err *err)
{
	struct topic *topic;
	enum err_code code = local_refresh(local, err);

	if (code == ERR_OK)
		code = topics_get(&local->topics, ref, &topic, err);
	return code == ERR_OK ? topic_partition(topic, id, ret_partition, err) : code;
}

/* Makes a position of the time. It is sought without the lock: no append waits for the disk. */
static enum err_code resolve_time(struct local_broker *local, struct topic_ref ref, int32_t id,
				  struct reader_start *start, struct err *err)
{
	struct partition *partition;
	struct position next;
	enum err_code code;
	uint64_t uid, ordinal;

	local_hold(local);
	code = reader_local_find_partition(local, ref, id, &partition, err);
	if (code == ERR_OK) {
		uid = partition->topic->uid;
		next = partition_position(partition, partition->next);
	}
	local_let_go(local);
	if (code == ERR_OK)
		code = seek_time(local->dir_fd, local_watermark(local), uid, id, start->time_ms,
				 &ordinal, err);
	if (code != ERR_OK)
		return code;
	start->kind = START_AT;
	start->position = ordinal == UINT64_MAX ? next : position_with_ordinal(next, ordinal);
	return ERR_OK;
}

static uint64_t start_ordinal(const struct partition *partition, struct reader_start start)
{
	uint64_t ordinal = 0;

	switch (start.kind) {
	case START_FIRST:
		break;
	case START_NEXT:
		ordinal = partition->next;
		break;
	case START_AT:
		ordinal = partition_ordinal_from(partition, start.position);
		break;
	case START_AFTER:
		ordinal = partition_ordinal_after(partition, start.position);
		break;
	case START_TIME: /* resolved before */
		break;
	}
	return ordinal < partition->first ? partition->first : ordinal;
}

enum err_code local_reader_seek(struct broker_reader *base, struct topic_ref ref, int32_t id,
				struct reader_start start, struct err *err)
{
	struct local_broker *local = local_of(base->broker);
	struct local_reader *reader = of(base);
	struct partition *partition;
	enum err_code code = ERR_OK;

	if (start.kind == START_TIME)
		code = resolve_time(local, ref, id, &start, err);
	if (code != ERR_OK)
		return code;
	local_hold(local);
	code = reader_local_find_partition(local, ref, id, &partition, err);
	if (code == ERR_OK) {
		struct sub *sub = subs_add(&reader->subs, partition);

		sub->next = start_ordinal(partition, start);
		sub->sure = true;
		sub->placed = false;
		sub->announced = true;
		sub->ended = false;
	}
	local_let_go(local);
	return code;
}

/* Puts the cursor before the next record of every partition that was sought. If that is back, what
 * was read last is forgotten: of those partitions it says nothing. */
static enum err_code reader_local_place(struct local_reader *reader, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	uint64_t lowest = UINT64_MAX, watermark = local_watermark(local);
	bool any_placed = false, any = false;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < reader->subs.count && code == ERR_OK; i++) {
		struct sub *sub = reader->subs.items[i];
		uint64_t address;

		any_placed |= sub->placed;
		if (sub->placed)
			continue;
		any = true;
		(void)pthread_mutex_lock(&local->index_lock);
		code = seek_ordinal(&local->index_cache, watermark, sub->uid, sub->partition,
				    sub->next, &address, err);
		(void)pthread_mutex_unlock(&local->index_lock);
		if (code == ERR_OK && address < lowest)
			lowest = address;
	}
	if (code != ERR_OK || !any)
		return code;
	for (size_t i = 0; i < reader->subs.count; i++)
		reader->subs.items[i]->placed = true;
	if (any_placed && lowest >= reader->cursor.at)
		return ERR_OK;
	reader->batch.count = 0;
	reader->check_state = false;
	cursor_seek(&reader->cursor, lowest);
	return ERR_OK;
}

static struct reader_event event_of(enum reader_event_kind kind, const struct sub *sub)
{
	return (struct reader_event){ .kind = kind,
				      .topic = sub_ref(sub),
				      .partition = sub->partition };
}

/* Ordinals from sub->next up to `to` are lost. */
static void damage_event(struct sub *sub, uint64_t to, struct reader_event *ret_event)
{
	*ret_event = event_of(READER_GAP, sub);
	ret_event->gap = GAP_DAMAGED;
	ret_event->first = sub_position(sub, sub->next);
	ret_event->last = sub_position(sub, to - 1);
	sub->next = to;
}

/* The partition's ordinals go on with this one; false: none are missing before it. */
static bool is_gap(struct sub *sub, uint64_t ordinal, struct reader_event *ret_event)
{
	if (ordinal <= sub->next)
		return false;
	if (!sub->sure) {
		sub->next = ordinal;
		sub->sure = true;
		return false;
	}
	damage_event(sub, ordinal, ret_event);
	return true;
}

static struct record *reader_local_next_record(struct local_reader *reader, size_t count)
{
	if (count == reader->records_cap) {
		reader->records_cap = reader->records_cap ? 2 * reader->records_cap : 64;
		reader->records = xreallocarray(reader->records, reader->records_cap,
						sizeof(*reader->records));
	}
	return &reader->records[count];
}

/* Of a record that brings any. */
static const struct record_header *reader_local_headers(struct local_reader *reader,
							const struct batch_record *raw)
{
	struct record_header *headers =
		arena_alloc(&reader->headers, raw->header_count * sizeof(*headers));
	struct slice left = raw->headers;

	for (uint32_t i = 0; i < raw->header_count; i++)
		headers[i] = header_take(&left);
	return headers;
}

/* Records of the batch in hand, as many as one event holds; false: there are no more. */
static bool give_records(struct local_reader *reader, struct reader_event *ret_event)
{
	uint64_t end = reader->batch.ordinal + reader->batch.count;
	struct sub *sub = subs_find_uid(&reader->subs, reader->batch.uid, reader->batch.partition);
	size_t count = 0, bytes = 0;
	struct batch_record raw;

	arena_reset(&reader->headers);
	while (sub && reader->ordinal < end) {
		struct slice before = reader->rest;
		struct record *record = reader_local_next_record(reader, count);

		if (!record_decode(&reader->rest, &raw))
			break; /* cannot be, under a good CRC */
		if (reader->ordinal < sub->next) {
			reader->ordinal++; /* given before, or before the start */
			continue;
		}
		bytes += raw.key.len + raw.value.len + raw.headers.len;
		if (count > 0 && bytes > reader->bytes_max) {
			reader->rest = before;
			break;
		}
		*record = (struct record){
			.position = sub_position(sub, reader->ordinal++),
			.timestamp_ms = raw.timestamp_ms == TIMESTAMP_NOW
						? reader->batch.timestamp_ms
						: raw.timestamp_ms,
			.key = raw.key,
			.value = raw.value,
			.header_count = raw.header_count,
		};
		if (raw.header_count > 0)
			record->headers = reader_local_headers(reader, &raw);
		sub->next = reader->ordinal;
		count++;
	}
	if (reader->ordinal == end || count == 0)
		reader->batch.count = 0;
	if (count == 0)
		return false;
	*ret_event = event_of(READER_RECORDS, sub);
	ret_event->records = reader->records;
	ret_event->count = count;
	ret_event->lineage = (struct lineage){
		.high = reader->batch.uid,
		.low = cursor_life(&reader->cursor, &reader->batch,
				   local_of(reader->base.broker)->log_id),
	};
	return true;
}

/* From now on retention spares what the group has not read of the partition. */
static void commit_start(struct local_reader *reader, const struct reader_event *event)
{
	struct local_broker *local = local_of(reader->base.broker);
	const struct sub *sub = subs_find(&reader->subs, event->topic, event->partition);
	struct err err;

	if (!sub || commits_has(&reader->commits, sub->uid, sub->partition))
		return;
	commits_set(&reader->commits, event->topic, sub->uid, sub->partition,
		    sub_position(sub, sub->next));
	if (commits_save(&reader->commits, local->dir_fd, reader->subs.group, true, &err) != ERR_OK)
		trace_warn("%s, partition %d: %s", event->topic.name, event->partition, err.msg);
}

static enum err_code group_event(struct local_reader *reader, bool *ret_given,
				 struct reader_event *ret_event, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	uint32_t now = watermark_topics(&local->watermark);
	enum err_code code;

	*ret_given = false;
	if (!reader->subs.group || (now == reader->topics_seen && !reader->look_at_topics))
		return ERR_OK;
	local_hold(local);
	code = local_refresh(local, err);
	if (code == ERR_OK)
		*ret_given = subs_group_event(&reader->subs, &local->topics, ret_event);
	local_let_go(local);
	if (code != ERR_OK)
		return code; /* having seen nothing, look again */
	if (*ret_given && ret_event->kind == READER_ASSIGNED)
		commit_start(reader, ret_event);
	else if (*ret_given)
		commits_forget(&reader->commits, ret_event->topic);
	reader->look_at_topics = *ret_given;
	reader->topics_seen = now;
	return ERR_OK;
}

/* A segment's state tells which ordinals came before it: a partition that lacks some lost them. */
static bool state_event(struct local_reader *reader, struct reader_event *ret_event)
{
	for (size_t i = 0; reader->check_state && i < reader->subs.count; i++) {
		struct sub *sub = reader->subs.items[i];
		const struct ordinal *found =
			ordinals_find(&reader->state, sub->uid, sub->partition);

		if (found && is_gap(sub, found->next, ret_event))
			return true;
	}
	reader->check_state = false;
	return false;
}

static void on_state(struct local_reader *reader, const struct batch *batch, struct slice payload)
{
	ordinals_clear(&reader->state);
	ordinals_learn(&reader->state, batch, payload);
	reader->check_state = true;
}

/* True: the batch begins with a gap, which is the event. */
static bool on_batch(struct local_reader *reader, const struct batch *batch, struct slice payload,
		     struct reader_event *ret_event)
{
	struct sub *sub;

	if (batch->kind == BATCH_STATE)
		on_state(reader, batch, payload);
	if (batch->kind != BATCH_RECORDS)
		return false;
	sub = subs_find_uid(&reader->subs, batch->uid, batch->partition);
	if (!sub || batch->ordinal + batch->count <= sub->next)
		return false;
	reader->batch = *batch;
	reader->rest = payload;
	reader->ordinal = batch->ordinal;
	return is_gap(sub, batch->ordinal, ret_event);
}

static bool on_damaged(struct local_reader *reader, const struct batch *batch,
		       struct reader_event *ret_event)
{
	uint64_t end = batch->ordinal + batch->count;
	struct sub *sub;

	metric_add(METRIC_LOG_DAMAGE, 1);
	if (batch->kind != BATCH_RECORDS)
		return false;
	sub = subs_find_uid(&reader->subs, batch->uid, batch->partition);
	if (!sub || end <= sub->next)
		return false;
	if (!sub->sure && batch->ordinal > sub->next)
		sub->next = batch->ordinal;
	damage_event(sub, end, ret_event);
	return true;
}

/* What was next is not kept any more; what comes now is not a gap. */
static void on_jump(struct local_reader *reader)
{
	trace_warn("records were let go before they were read; reading goes on after them");
	for (size_t i = 0; i < reader->subs.count; i++)
		reader->subs.items[i]->sure = false;
}

/* One step of the cursor; *ret_given: it made an event; *ret_wait: there is nothing to read. */
static enum err_code reader_local_step(struct local_reader *reader, bool *ret_given, bool *ret_wait,
				       struct reader_event *ret_event, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	enum cursor_result result = CURSOR_WAIT;
	enum err_code code = ERR_OK;
	struct slice payload;
	struct batch batch;

	if (reader->subs.count > 0)
		code = cursor_next(&reader->cursor, local_watermark(local), &result, &batch,
				   &payload, err);
	*ret_given = false;
	*ret_wait = result == CURSOR_WAIT;
	if (code != ERR_OK)
		return code;
	switch (result) {
	case CURSOR_BATCH:
		*ret_given = on_batch(reader, &batch, payload, ret_event);
		break;
	case CURSOR_DAMAGED:
		*ret_given = on_damaged(reader, &batch, ret_event);
		break;
	case CURSOR_HOLE:
		metric_add(METRIC_LOG_DAMAGE, 1);
		break;
	case CURSOR_JUMPED:
		on_jump(reader);
		break;
	case CURSOR_WAIT:
		break;
	}
	return ERR_OK;
}

/* False: the deadline has passed, or a stop was asked. */
static bool wait_for_more(const struct local_broker *local, uint32_t bell, int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();

	if (left <= 0 || stop_requested())
		return false;
	watermark_wait(&local->watermark, bell, left < STOP_CHECK_MS ? left : STOP_CHECK_MS);
	return true;
}

enum err_code local_reader_next(struct broker_reader *base, int64_t deadline_ms,
				struct reader_event *ret_event, struct err *err)
{
	enum { STEPS = 256 }; /* between two looks at the clock */
	struct local_broker *local = local_of(base->broker);
	struct local_reader *reader = of(base);
	bool given = false, wait = false;

	for (unsigned steps = 1;; steps++) {
		uint32_t bell = watermark_bell(&local->watermark);
		enum err_code code = group_event(reader, &given, ret_event, err);

		if (code == ERR_OK && !given)
			code = reader_local_place(reader, err);
		if (code != ERR_OK || given)
			return code;
		if ((reader->batch.count > 0 && give_records(reader, ret_event)) ||
		    state_event(reader, ret_event))
			return ERR_OK;
		code = reader_local_step(reader, &given, &wait, ret_event, err);
		if (code != ERR_OK || given)
			return code;
		if ((wait && !wait_for_more(local, bell, deadline_ms)) ||
		    (steps % STEPS == 0 && clock_mono_ms() > deadline_ms)) {
			*ret_event = (struct reader_event){ .kind = READER_IDLE };
			return ERR_OK;
		}
	}
}

enum err_code local_reader_commit(struct broker_reader *base, struct topic_ref ref, int32_t id,
				  struct position next, struct err *err)
{
	struct local_broker *local = local_of(base->broker);
	struct local_reader *reader = of(base);
	const struct sub *sub = subs_find(&reader->subs, ref, id);

	if (!reader->subs.group)
		return err_set(err, ERR_USAGE, "only a member of a group can commit");
	if (!sub)
		return err_set(err, ERR_NO_PARTITION, "partition %d of \"%s\" is not assigned", id,
			       ref.name);
	commits_set(&reader->commits, ref, sub->uid, id, next);
	return commits_save(&reader->commits, local->dir_fd, reader->subs.group, false, err);
}
