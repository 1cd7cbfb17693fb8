/*
 * reader_local.c - readers of broker_local: one pass over the journal for all
 * partitions of a reader, in the writer's process or in any other.
 *
 * The cursor stands at or before the next record of every partition that is not
 * paused. Each partition knows the ordinal that it wants next, so what the
 * cursor passes a second time (after a seek back of another partition, or for
 * one that was paused) is not given twice, and a higher ordinal than the wanted
 * one tells that records are missing. Why they are is known by their ordinals:
 * see struct sub. What the log had let go of when the partition was sought, the
 * state of the oldest segment told; what it let go of under the cursor, the
 * state of the segment tells to which the cursor jumped.
 */
#include "broker/local/reader_local.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"

#include <assert.h>

enum {
	STOP_CHECK_MS = 100,
	EVENT_BYTES = 1 << 20,
	HEADERS_BYTES_MAX = 1 << 30, /* a multiple of what a segment holds */
};

static_assert(offsetof(struct local_reader, base) == 0, "base must be first");

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
	reader->fd = reader->member_fd = -1;
	subs_init(&reader->subs, options);
	cursor_init(&reader->cursor, local->dir_fd);
	arena_init(&reader->headers, HEADERS_BYTES_MAX);
	commits_init(&reader->commits);
	local_readers_add(local, reader);
	if (options->group)
		group_join(reader, options);
	*ret_reader = &reader->base;
	return ERR_OK;
}

void local_reader_close(struct broker_reader *base)
{
	struct local_reader *reader = local_reader_of(base);

	group_leave(reader);
	local_readers_drop(local_of(base->broker), reader);
	subs_release(&reader->subs);
	cursor_release(&reader->cursor);
	ordinals_release(&reader->state);
	commits_release(&reader->commits);
	arena_release(&reader->headers);
	free(reader->records);
	free(reader);
}

/* --- where it reads ---------------------------------------------------- */

enum err_code local_find_partition(struct local_broker *local, struct topic_ref ref, int32_t id,
				   struct partition **ret_partition, struct err *err)
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
	code = local_find_partition(local, ref, id, &partition, err);
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

/*
 * What lies beyond the end by what is known here may still be in the log: a writer tells readers
 * of a commit before it counts it itself, and after a power cut the watermark may be old, while
 * recovery will find more. *ret_end: no ordinal up to it is beyond the end.
 */
static enum err_code find_end(struct local_broker *local, uint64_t uid, int32_t id,
			      uint64_t *ret_end, struct err *err)
{
	const struct ordinal *found;
	struct recovery plan;
	enum err_code code;

	if (local->options.writer) {
		committer_drain(&local->committer);
		return ERR_OK;
	}
	code = recover_plan(local->dir_fd, local_watermark(local), NULL, &plan, err);
	if (code != ERR_OK)
		return code;
	found = ordinals_find(&plan.ordinals, uid, id);
	*ret_end = found ? found->next : 0;
	recovery_release(&plan);
	return ERR_OK;
}

/* With the lock. *ret_uid: the start is beyond `end`, and whose it is; else 0. */
static enum err_code seek_within(struct local_reader *reader, struct topic_ref ref, int32_t id,
				 struct reader_start start, uint64_t end, uint64_t *ret_uid,
				 struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	struct partition *partition;
	enum err_code code = local_find_partition(local, ref, id, &partition, err);
	uint64_t ordinal;

	*ret_uid = 0;
	if (code != ERR_OK)
		return code;
	ordinal = start_ordinal(partition, start);
	if (ordinal <= partition->next || ordinal <= end) {
		(void)subs_seek(&reader->subs, partition, ordinal);
		local_reader_ring(reader);
		return ERR_OK;
	}
	*ret_uid = partition->topic->uid;
	return start_beyond(partition, start, err);
}

enum err_code local_reader_seek(struct broker_reader *base, struct topic_ref ref, int32_t id,
				struct reader_start start, struct err *err)
{
	struct local_broker *local = local_of(base->broker);
	struct local_reader *reader = local_reader_of(base);
	enum err_code code = ERR_OK;
	uint64_t beyond, end = 0;

	if (start.kind == START_TIME)
		code = resolve_time(local, ref, id, &start, err);
	if (code != ERR_OK)
		return code;
	local_hold(local);
	code = seek_within(reader, ref, id, start, end, &beyond, err);
	local_let_go(local);
	if (beyond == 0)
		return code;
	code = find_end(local, beyond, id, &end, err);
	if (code != ERR_OK)
		return code;
	local_hold(local);
	code = seek_within(reader, ref, id, start, end, &beyond, err);
	local_let_go(local);
	return code;
}

enum err_code local_reader_pause(struct broker_reader *base, struct topic_ref ref, int32_t id,
				 bool paused, struct err *err)
{
	struct local_reader *reader = local_reader_of(base);
	struct sub *sub;
	enum err_code code = subs_get(&reader->subs, ref, id, &sub, err);

	if (code == ERR_OK)
		subs_pause(&reader->subs, sub, paused);
	if (code == ERR_OK && !paused)
		local_reader_ring(reader);
	return code;
}

void local_reader_release(struct broker_reader *base, struct topic_ref ref, int32_t id)
{
	struct local_reader *reader = local_reader_of(base);

	subs_let_go(&reader->subs, ref, id);
	reader->look_at_topics = true; /* one of the same name may have waited for that */
	local_reader_ring(reader);
}

/* --- placing the cursor ------------------------------------------------ */

/* The oldest segment's address, with what its state says of what was before it; 0: none. */
static enum err_code find_oldest(struct local_reader *reader, uint64_t watermark,
				 uint64_t *ret_address, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	struct segment_state state = { .known = false };
	struct ordinals first;
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(local->dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	ordinals_init(&first);
	*ret_address = count > 0 && bases[0] < watermark ? bases[0] : 0;
	if (*ret_address != 0)
		code = segment_state_read(local->dir_fd, bases[0], &first, &state, err);
	for (size_t i = 0; code == ERR_OK && state.known && i < reader->subs.count; i++) {
		struct sub *sub = reader->subs.items[i];
		const struct ordinal *found = ordinals_find(&first, sub->uid, sub->partition);

		if (sub->fresh && found && found->next > sub->kept)
			sub->kept = found->next;
	}
	ordinals_release(&first);
	free(bases);
	return code;
}

/* The lowest address at which there may be something for a partition that is fresh. */
static enum err_code find_lowest(struct local_reader *reader, uint64_t *ret_lowest,
				 struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	uint64_t watermark = local_watermark(local);
	enum err_code code = ERR_OK;

	*ret_lowest = UINT64_MAX;
	for (size_t i = 0; i < reader->subs.count && code == ERR_OK && *ret_lowest > 0; i++) {
		struct sub *sub = reader->subs.items[i];
		uint64_t address;

		if (!sub->fresh)
			continue;
		(void)pthread_mutex_lock(&local->index_lock);
		code = seek_ordinal(&local->index_cache, watermark, sub->uid, sub->partition,
				    sub->next, &address, err);
		(void)pthread_mutex_unlock(&local->index_lock);
		if (code == ERR_OK && address < *ret_lowest)
			*ret_lowest = address;
	}
	if (code == ERR_OK && *ret_lowest == 0)
		code = find_oldest(reader, watermark, ret_lowest, err);
	return code;
}

/* Puts the cursor before the next record of every partition that was sought. If that is back, what
 * was read last is forgotten: of those partitions it says nothing. */
static enum err_code reader_local_place(struct local_reader *reader, struct err *err)
{
	uint64_t lowest;
	enum err_code code;

	if (reader->subs.fresh_count == 0)
		return ERR_OK;
	code = find_lowest(reader, &lowest, err);
	if (code != ERR_OK)
		return code;
	subs_placed(&reader->subs);
	if (reader->placed && lowest >= reader->cursor.at)
		return ERR_OK;
	reader->placed = true;
	reader->batch.count = 0;
	reader->check_state = false;
	cursor_seek(&reader->cursor, lowest);
	return ERR_OK;
}

/* --- events ------------------------------------------------------------ */

/* The partition wants what has just gone by, but is paused. */
static bool goes_by(struct sub *sub, uint64_t end)
{
	if (sub->paused && end > sub->next)
		sub->passed = true;
	return sub->paused;
}

/* The partition's ordinals go on with this one; false: none are missing before it. */
static bool is_gap(struct local_reader *reader, struct sub *sub, uint64_t ordinal,
		   struct reader_event *ret_event)
{
	if (ordinal > sub->next) {
		subs_gap(&reader->subs, sub, ordinal, ret_event);
		return true;
	}
	sub->unsure = false;
	return false;
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

/* As many records of the batch in hand as one event holds, of those that the partition wants. */
static size_t take_records(struct local_reader *reader, struct sub *sub)
{
	uint64_t end = reader->batch.ordinal + reader->batch.count;
	size_t count = 0, bytes = 0;
	struct batch_record raw;

	arena_reset(&reader->headers);
	while (reader->ordinal < end) {
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
	return count;
}

/* The batch in hand, which has no records. */
static bool give_gap(struct local_reader *reader, struct sub *sub, uint64_t end,
		     struct reader_event *ret_event)
{
	reader->batch.count = 0;
	if (!is_gap(reader, sub, end, ret_event))
		return false;
	if (ret_event->gap == GAP_DAMAGED)
		ret_event->gap = reader->gap;
	return true;
}

/* What is left of the batch in hand, but first what is missing before it; false: nothing, or nobody
 * wants it. */
static bool give_records(struct local_reader *reader, struct reader_event *ret_event)
{
	struct sub *sub = subs_find_uid(&reader->subs, reader->batch.uid, reader->batch.partition);
	uint64_t end = reader->batch.ordinal + reader->batch.count;
	size_t count = 0;

	if (!sub || sub->revoked || goes_by(sub, end)) {
		reader->batch.count = 0;
		return false;
	}
	if (is_gap(reader, sub, reader->ordinal, ret_event))
		return true;
	if (reader->batch_lost)
		return give_gap(reader, sub, end, ret_event);
	count = take_records(reader, sub);
	if (count == 0)
		return false;
	*ret_event = sub_event(READER_RECORDS, sub);
	ret_event->records = reader->records;
	ret_event->count = count;
	ret_event->lineage = reader->lineage;
	subs_moved(&reader->subs, sub);
	return true;
}

static enum err_code group_event(struct local_reader *reader, bool *ret_given,
				 struct reader_event *ret_event, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	uint32_t now = watermark_topics(&local->watermark);
	enum err_code code;

	*ret_given = false;
	if (now == reader->topics_seen && !reader->look_at_topics)
		return ERR_OK;
	local_hold(local);
	code = local_refresh(local, err);
	if (code == ERR_OK)
		*ret_given = subs_group_event(&reader->subs, &local->topics, ret_event);
	local_let_go(local);
	if (code != ERR_OK)
		return code; /* having seen nothing, look again */
	if (*ret_given && ret_event->kind == READER_ASSIGNED)
		group_begin(reader, ret_event);
	else if (*ret_given && ret_event->kind == READER_REVOKED)
		group_forget(reader, ret_event->topic);
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

		if (found && sub->unsure && found->next > sub->kept)
			sub->kept = found->next; /* this is the oldest segment now */
		sub->unsure = false;
		if (found && !sub->revoked && !goes_by(sub, found->next) &&
		    is_gap(reader, sub, found->next, ret_event))
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

/* Takes the batch in hand, of records or a gap, if a partition of the reader's wants it; `lost`: it
 * cannot be read. */
static void on_records(struct local_reader *reader, const struct batch *batch, struct slice payload,
		       bool lost)
{
	const struct local_broker *local = local_of(reader->base.broker);
	uint64_t end = batch->ordinal + batch->count;
	struct sub *sub = subs_find_uid(&reader->subs, batch->uid, batch->partition);

	if (!sub || sub->revoked || end <= sub->next || goes_by(sub, end))
		return;
	reader->batch = *batch;
	reader->gap = GAP_DAMAGED;
	reader->batch_lost = lost || batch->kind == BATCH_GAP;
	if (!lost && batch->kind == BATCH_GAP)
		(void)gap_decode(payload, &reader->gap);
	reader->rest = payload;
	reader->ordinal = batch->ordinal;
	reader->lineage = (struct lineage){
		.high = batch->uid,
		.low = cursor_life(&reader->cursor, batch, local->log_id),
	};
}

/* What was next may not be kept any more. */
static void on_jump(struct local_reader *reader)
{
	for (size_t i = 0; i < reader->subs.count; i++)
		reader->subs.items[i]->unsure = true;
}

/* One step of the cursor; *ret_wait: there is nothing to read. */
static enum err_code reader_local_step(struct local_reader *reader, bool *ret_wait, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	enum cursor_result result = CURSOR_WAIT;
	enum err_code code = ERR_OK;
	struct slice payload;
	struct batch batch;

	if (reader->subs.count > 0)
		code = cursor_next(&reader->cursor, local_watermark(local), &result, &batch,
				   &payload, err);
	*ret_wait = result == CURSOR_WAIT;
	if (code != ERR_OK)
		return code;
	if (result == CURSOR_BATCH && batch.kind == BATCH_STATE)
		on_state(reader, &batch, payload);
	if (result == CURSOR_DAMAGED || result == CURSOR_HOLE)
		metric_add(METRIC_LOG_DAMAGE, 1);
	if ((result == CURSOR_BATCH || result == CURSOR_DAMAGED) &&
	    (batch.kind == BATCH_RECORDS || batch.kind == BATCH_GAP))
		on_records(reader, &batch, payload, result == CURSOR_DAMAGED);
	if (result == CURSOR_JUMPED)
		on_jump(reader);
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

/* How a call of reader_next() looked for an event. */
struct look {
	int64_t deadline_ms;
	bool armed; /* what was rung before is forgotten; … */
	bool empty; /* … but all was looked at since, and there was nothing */
};

/* Nothing has come yet; false: nor will it be waited for. `bell`: from before the last look. */
static bool go_on_waiting(struct local_reader *reader, uint32_t bell, struct look *look)
{
	group_flush(reader);
	if (reader->fd >= 0 && !look->armed) {
		local_reader_arm(reader);
		look->armed = true; /* and look once more */
		return true;
	}
	look->empty = !wait_for_more(local_of(reader->base.broker), bell, look->deadline_ms);
	return !look->empty;
}

static enum err_code reader_local_look(struct local_reader *reader, struct look *look,
				       struct reader_event *ret_event, struct err *err)
{
	enum { STEPS = 256 }; /* between two looks at the clock */
	struct local_broker *local = local_of(reader->base.broker);
	bool given = false, wait = false;

	for (unsigned steps = 1;; steps++) {
		uint32_t bell = watermark_bell(&local->watermark);
		enum err_code code = group_event(reader, &given, ret_event, err);

		if (code != ERR_OK || given || subs_fresh_event(&reader->subs, ret_event))
			return code;
		code = reader_local_place(reader, err);
		if (code != ERR_OK)
			return code;
		if ((reader->batch.count > 0 && give_records(reader, ret_event)) ||
		    state_event(reader, ret_event))
			return ERR_OK;
		code = reader_local_step(reader, &wait, err);
		if (code != ERR_OK || (wait && subs_caught_up(&reader->subs, ret_event)))
			return code;
		if ((wait && !go_on_waiting(reader, bell, look)) ||
		    (steps % STEPS == 0 && clock_mono_ms() > look->deadline_ms)) {
			*ret_event = (struct reader_event){ .kind = READER_IDLE };
			return ERR_OK;
		}
	}
}

enum err_code local_reader_next(struct broker_reader *base, int64_t deadline_ms,
				struct reader_event *ret_event, struct err *err)
{
	struct local_reader *reader = local_reader_of(base);
	struct look look = { .deadline_ms = deadline_ms };
	enum err_code code;

	group_flush(reader);
	code = reader_local_look(reader, &look, ret_event, err);
	/* What was durable before it was armed rings nobody, and there may be more of it. */
	if (look.armed && !look.empty)
		local_reader_ring(reader);
	return code;
}
