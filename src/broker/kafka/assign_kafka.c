/* The partitions of a reader: how they come and go, and where they begin (reader_kafka.h). */
#include "broker/kafka/reader_kafka.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	RETRY_MS = 200,
	ATTACH_AGAIN_MS = 1000,
	MOVE_MS = 1000, /* librdkafka's own thread answers */
	MOVES_MAX = 25, /* in vain */
	COMMIT_MS = 2000,
	ANSWER_MS = 5000, /* of where a partition begins and ends: meanwhile none is read */
};

struct part *part_of(struct reader_kafka *reader, const char *topic, int32_t id, bool make)
{
	struct part *part = reader->parts;

	while (part && !(part->id == id && strcmp(part->topic, topic) == 0))
		part = part->after;
	if (part || !make)
		return part;
	part = xcalloc(1, sizeof(*part));
	(void)snprintf(part->topic, sizeof(part->topic), "%s", topic);
	part->id = id;
	part->gap_first = part->gap_last = part->said = -1;
	part->after = reader->parts;
	reader->parts = part;
	return part;
}

void part_free_all(struct reader_kafka *reader)
{
	while (reader->parts) {
		struct part *part = reader->parts;

		reader->parts = part->after;
		fetched_drop(part);
		free(part->fetched.list);
		free(part);
	}
}

void part_event_add(struct reader_kafka *reader, enum reader_event_kind kind, struct part *part,
		    bool lost)
{
	reader->events = xreallocarray(reader->events, reader->event_count + 1,
				       sizeof(*reader->events));
	reader->events[reader->event_count++] =
		(struct part_event){ .kind = kind, .part = part, .lost = lost };
}

/* --- telling librdkafka ---------------------------------------------------- */

static void list_add(rd_kafka_topic_partition_list_t *list, const struct part *part)
{
	rd_kafka_topic_partition_list_add(list, part->topic, part->id)->offset = part->fetch;
}

/* A pause outlives an assignment in librdkafka. */
void part_hold(struct reader_kafka *reader, struct part *part, bool full)
{
	rd_kafka_topic_partition_list_t *list;
	bool hold = part->paused || full || part->state == PART_FAILED;

	part->full = full;
	if (part->held == hold || !part->attached)
		return;
	list = rd_kafka_topic_partition_list_new(1);
	list_add(list, part);
	if (hold)
		(void)rd_kafka_pause_partitions(reader->client, list);
	else
		(void)rd_kafka_resume_partitions(reader->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	part->held = hold;
}

static void note_failed(rd_kafka_error_t *error, const char *what)
{
	if (!error)
		return;
	trace_warn("kafka: %s: %s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

/* What librdkafka does not take is not read: it is tried again. */
static void attach_failed(struct reader_kafka *reader, rd_kafka_error_t *error)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "assigning: %s", rd_kafka_error_string(error));
	reader_warn_once(reader, text);
	rd_kafka_error_destroy(error);
	reader->attach_after_ms = clock_mono_ms() + ATTACH_AGAIN_MS;
}

static void attach_done(struct reader_kafka *reader, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		struct part *part =
			part_of(reader, list->elems[i].topic, list->elems[i].partition, true);

		part->attached = true;
		part_hold(reader, part, part->full);
	}
	reader->assign_due = false;
}

/* Whatever is given up while librdkafka waits for what it revoked is its answer, and then another
 * member has that at once: in a group it is done only as an answer, at a loss, and where nothing
 * else helps. */
static void parts_give_up(struct reader_kafka *reader, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_error_t *error = rd_kafka_incremental_unassign(reader->client, list);

	note_failed(error, "giving up");
	rd_kafka_topic_partition_list_destroy(list);
}

/* Adds it to what is given up, if librdkafka has it. */
static void part_give_up(struct part *part, rd_kafka_topic_partition_list_t *list)
{
	if (part->attached)
		list_add(list, part);
	part->attached = part->stale = part->idle = false;
	part->moves = 0;
}

static bool part_is_wanted(const struct part *part)
{
	return part->state == PART_READING && !part->going;
}

/* What comes of it from here on is of its new place: librdkafka has thrown away the rest. */
static void part_moved(struct reader_kafka *reader, const rd_kafka_topic_partition_t *to)
{
	struct part *part = part_of(reader, to->topic, to->partition, true);

	if (to->err) {
		trace_debug("kafka: moving: %s", rd_kafka_err2str(to->err));
		part->idle |= ++part->moves >= MOVES_MAX;
		reader->move_after_ms = clock_mono_ms() + RETRY_MS;
		return;
	}
	part->stale = false;
	part->moves = 0;
	part_hold(reader, part, part->full);
}

/* What is read already, and is to be read from elsewhere. */
static void parts_move(struct reader_kafka *reader)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error = NULL;

	if (clock_mono_ms() < reader->move_after_ms)
		return;
	list = rd_kafka_topic_partition_list_new(8);
	for (struct part *part = reader->parts; part; part = part->after)
		if (part_is_wanted(part) && part->stale && !part->idle)
			list_add(list, part);
	if (list->cnt > 0)
		error = rd_kafka_seek_partitions(reader->client, list, MOVE_MS);
	if (error)
		trace_debug("kafka: moving: %s", rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	for (int i = 0; i < list->cnt; i++)
		part_moved(reader, &list->elems[i]);
	rd_kafka_topic_partition_list_destroy(list);
}

/* librdkafka goes on with these only where they are assigned anew. */
static void parts_restart(struct reader_kafka *reader)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

	for (struct part *part = reader->parts; part && !reader->drop_due; part = part->after)
		if (part_is_wanted(part) && part->stale && part->idle)
			part_give_up(part, list);
	if (list->cnt > 0)
		parts_give_up(reader, list);
	else
		rd_kafka_topic_partition_list_destroy(list);
}

static bool some_wait(const struct reader_kafka *reader)
{
	const struct part *part = reader->parts;

	while (part && !(part_is_wanted(part) && (!part->attached || part->idle)))
		part = part->after;
	return part != NULL;
}

/* True: a callback that waited has noted something, which is to be told first. */
static bool callbacks_came(struct reader_kafka *reader)
{
	size_t count = reader->event_count;

	if (reader->group && some_wait(reader))
		(void)fetched_pull(reader);
	return reader->event_count > count;
}

/* What is read from now on, or from elsewhere; with the answer to a callback, if that is due. */
static void parts_attach(struct reader_kafka *reader)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error = NULL;

	parts_move(reader);
	if (clock_mono_ms() < reader->attach_after_ms || callbacks_came(reader))
		return;
	parts_restart(reader);
	list = rd_kafka_topic_partition_list_new(8);
	for (struct part *part = reader->parts; part; part = part->after)
		if (part_is_wanted(part) && !part->attached)
			list_add(list, part);
	if (list->cnt > 0 || reader->assign_due)
		error = rd_kafka_incremental_assign(reader->client, list);
	if (error)
		attach_failed(reader, error);
	else
		attach_done(reader, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* What librdkafka has of it is of no more interest. Without a group nobody waits for an answer. */
static void part_detach(struct reader_kafka *reader, struct part *part)
{
	rd_kafka_topic_partition_list_t *list;

	if (!part->attached)
		return;
	part->stale = true;
	part_hold(reader, part, part->full);
	if (reader->group)
		return;
	list = rd_kafka_topic_partition_list_new(1);
	part_give_up(part, list);
	parts_give_up(reader, list);
}

/* All that a callback took back was released. */
static void parts_leave(struct reader_kafka *reader)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

	part_flush_commits(reader, true);
	for (struct part *part = reader->parts; part; part = part->after) {
		if (part->leaving)
			part_give_up(part, list);
		part->leaving = false;
	}
	parts_give_up(reader, list);
	reader->drop_due = false;
}

static bool some_are_dropped(const struct reader_kafka *reader)
{
	const struct part *part = reader->parts;

	while (part && !part->dropped)
		part = part->after;
	return part != NULL;
}

static void parts_leave_maybe(struct reader_kafka *reader)
{
	if (reader->drop_due && !some_are_dropped(reader))
		parts_leave(reader);
}

/* --- librdkafka's callback ------------------------------------------------- */

/* It was told that it is revoked, or will be, and is still to be released. */
static bool part_awaits_release(const struct reader_kafka *reader, const struct part *part)
{
	size_t i = reader->event_at;

	while (i < reader->event_count &&
	       !(reader->events[i].part == part && reader->events[i].kind == READER_REVOKED &&
		 !reader->events[i].lost))
		i++;
	return i < reader->event_count || part->state == PART_REVOKED;
}

/* What is still attached then is so from before: librdkafka took something else for the answer to
 * its revoke. */
static void parts_come(struct reader_kafka *reader, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *attached = rd_kafka_topic_partition_list_new(list->cnt);

	reader->assign_due = true;
	for (int i = 0; i < list->cnt; i++) {
		struct part *part = part_of(reader, list->elems[i].topic,
					    list->elems[i].partition, true);

		part_give_up(part, attached);
		part->dropped = part->leaving = false;
		if (part_awaits_release(reader, part))
			part->anew = true; /* it comes once it is released */
		else
			part_event_add(reader, READER_ASSIGNED, part, false);
	}
	if (attached->cnt > 0)
		parts_give_up(reader, attached);
	else
		rd_kafka_topic_partition_list_destroy(attached);
	parts_leave_maybe(reader);
}

/* It is told once, and after it nothing else. */
static void part_revoke(struct reader_kafka *reader, struct part *part, bool lost)
{
	if (!part->going)
		part_event_add(reader, READER_REVOKED, part, lost);
	part->going = true;
}

/* They are another's already: nothing is waited for. */
static void parts_are_lost(struct reader_kafka *reader, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *attached = rd_kafka_topic_partition_list_new(list->cnt);

	reader->assign_due = reader->drop_due = false;
	for (int i = 0; i < list->cnt; i++) {
		struct part *part = part_of(reader, list->elems[i].topic,
					    list->elems[i].partition, true);

		part_give_up(part, attached);
		part->dropped = part->dirty = false;
		/* One that was told already ends with its release, and may have. */
		if (part->state != PART_REVOKED && !part->leaving)
			part_revoke(reader, part, true);
		part->anew = part->leaving = false;
	}
	parts_give_up(reader, attached);
}

static void parts_go(struct reader_kafka *reader, const rd_kafka_topic_partition_list_t *list)
{
	reader->assign_due = false;
	reader->drop_due = true;
	for (int i = 0; i < list->cnt; i++) {
		struct part *part = part_of(reader, list->elems[i].topic,
					    list->elems[i].partition, true);

		part->dropped = true;
		if (!part->anew)
			part_revoke(reader, part, false);
		part->anew = false; /* revoked already, and now it is librdkafka that waits */
	}
}

void part_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
		    rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct reader_kafka *reader = opaque;

	if (reader->closing) { /* any answer counts as "none of them" then */
		note_failed(code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
				    ? rd_kafka_incremental_assign(client, list)
				    : rd_kafka_incremental_unassign(client, list), "closing");
		return;
	}
	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		parts_come(reader, list);
	else if (rd_kafka_assignment_lost(client))
		parts_are_lost(reader, list);
	else
		parts_go(reader, list);
}

/* --- where a partition begins ---------------------------------------------- */

struct extent {
	struct lineage lineage;
	int64_t low;
	int64_t next;
	int64_t at;			/* START_TIME: of the first record then, or -1 */
};

static enum err_code partition_measure(rd_kafka_t *client, const char *name,
				       const struct partition_info *partition,
				       const struct reader_start *start, struct extent *ret_extent,
				       struct err *err)
{
	enum err_code code;

	if (partition->leader == NODE_NONE) /* librdkafka would wait for one */
		return kafka_fail_leader(err, name, partition->id);
	code = kafka_list_offsets(client, name, partition, 1, RD_KAFKA_OFFSET_SPEC_EARLIEST,
				  ANSWER_MS, &ret_extent->low, err);
	if (code == ERR_OK)
		code = kafka_list_offsets(client, name, partition, 1, RD_KAFKA_OFFSET_SPEC_LATEST,
					  ANSWER_MS, &ret_extent->next, err);
	if (code == ERR_OK && start->kind == START_TIME)
		code = kafka_list_offsets(client, name, partition, 1, start->time_ms, ANSWER_MS,
					  &ret_extent->at, err);
	return code;
}

static enum err_code part_measure(struct reader_kafka *reader, const char *name, int32_t id,
				  const struct reader_start *start, struct extent *ret,
				  struct err *err)
{
	struct extent extent = { .at = -1 };
	struct topic_info info = { 0 };
	const struct partition_info *partition;
	struct kafka_topic topic;
	rd_kafka_t *client;
	enum err_code code = kafka_admin(reader->kafka, &client, err);

	if (code == ERR_OK)
		code = kafka_look_whole(client, name, &topic, &info, err);
	if (code != ERR_OK)
		return code;
	partition = topic_info_partition(&info, id);
	code = partition ? partition_measure(client, name, partition, start, &extent, err)
			 : err_set(err, ERR_NO_PARTITION, "topic \"%s\" has no partition %" PRId32,
				   name, id);
	topic_info_release(&info);
	if (code != ERR_OK)
		return code;
	extent.lineage = topic.id;
	*ret = extent;
	return ERR_OK;
}

static enum err_code check_given(const struct reader_start *start, const struct extent *extent,
				 struct err *err)
{
	int64_t at = (int64_t)start->position.word[2];

	if (start->kind != START_AT && start->kind != START_AFTER)
		return ERR_OK;
	if (position_is_ordinal(start->position) &&
	    (at < extent->next || (at == extent->next && start->kind == START_AT)))
		return ERR_OK;
	return err_set(err, ERR_CORRUPT, "the position sought is beyond the end, offset %" PRId64,
		       extent->next);
}

static int64_t start_offset(const struct reader_start *start, const struct extent *extent)
{
	uint64_t kept = (uint64_t)(extent->next - extent->low);

	switch (start->kind) {
	case START_FIRST:
		return extent->low;
	case START_LAST:
		return start->count < kept ? extent->next - (int64_t)start->count : extent->low;
	case START_AT:
		return (int64_t)start->position.word[2];
	case START_AFTER:
		return (int64_t)start->position.word[2] + 1;
	case START_TIME:
		return extent->at >= 0 ? extent->at : extent->next;
	case START_NEXT:
		break;
	}
	return extent->next;
}

/* From there on: what is not kept any more is a gap. */
static void part_begin(struct reader_kafka *reader, struct part *part, int64_t at,
		       const struct extent *extent)
{
	fetched_drop(part);
	part->gap_first = part->gap_last = part->said = -1;
	if (at < extent->low) {
		part->gap_first = at;
		part->gap_last = extent->low - 1;
		at = extent->low;
	}
	part->next = part->fetch = at;
	part->has_next = true;
	part->misplaced = part->cut = false;
	part->lineage = extent->lineage;
	part->sought = reader->questions;
	part->unknown = 0;
}

static enum err_code part_seek(struct reader_kafka *reader, const char *name, int32_t id,
			       struct reader_start start, struct err *err)
{
	struct extent extent;
	enum err_code code = part_measure(reader, name, id, &start, &extent, err);

	if (code == ERR_OK)
		code = check_given(&start, &extent, err);
	if (code == ERR_OK)
		part_begin(reader, part_of(reader, name, id, true), start_offset(&start, &extent),
			   &extent);
	return code;
}

enum err_code reader_kafka_seek(struct broker_reader *base, struct topic_ref topic,
				int32_t partition, struct reader_start start, struct err *err)
{
	struct reader_kafka *reader = (struct reader_kafka *)base;
	struct part *part;

	if (kafka_topics_only(topic.kind, err) != ERR_OK ||
	    part_seek(reader, topic.name, partition, start, err) != ERR_OK)
		return err->code;
	part = part_of(reader, topic.name, partition, true);
	if (part->state == PART_TOLD || part->going)
		return ERR_OK; /* with all others of its callback; or no more */
	part_detach(reader, part);
	part->state = PART_READING;
	parts_attach(reader);
	return ERR_OK;
}

/* --- answering librdkafka -------------------------------------------------- */

/* A cluster that was waited for in vain for one need not be for each of the others; where only this
 * one has no leader, they go on. */
static void part_retry_later(struct reader_kafka *reader, struct part *part, int64_t began_ms,
			     const struct err *err)
{
	int64_t now_ms = clock_mono_ms(), retry_ms = now_ms + RETRY_MS;
	bool all = err->code == ERR_BUSY && now_ms - began_ms >= RETRY_MS;

	trace_debug("kafka: %s", err->msg);
	part->retry_ms = retry_ms;
	for (part = reader->parts; part && all; part = part->after)
		part->retry_ms = retry_ms;
}

/* Who was not sought begins with the first record; if the cluster does not say where that is, then
 * later. */
static bool part_is_settled(struct reader_kafka *reader, struct part *part)
{
	const struct reader_start first = { .kind = START_FIRST };
	int64_t began_ms = clock_mono_ms();
	struct err err;

	if (part->has_next)
		return true;
	if (began_ms < part->retry_ms)
		return false;
	if (part_seek(reader, part->topic, part->id, first, &err) == ERR_OK)
		return true;
	part_retry_later(reader, part, began_ms, &err);
	return false;
}

void part_settle(struct reader_kafka *reader)
{
	if (reader->event_at < reader->event_count)
		return;
	for (struct part *part = reader->parts; part; part = part->after)
		if (part->state == PART_TOLD && part_is_settled(reader, part))
			part->state = PART_READING;
	parts_attach(reader);
}

void reader_kafka_release(struct broker_reader *base, struct topic_ref topic, int32_t partition)
{
	struct reader_kafka *reader = (struct reader_kafka *)base;
	struct part *part = part_of(reader, topic.name, partition, true);

	part->state = PART_NONE;
	if (part->anew) {
		part->anew = part->dirty = false; /* that was of the topic before */
		kafka_forget_told(reader->kafka, topic.name);
		part_detach(reader, part);
		part_event_add(reader, READER_ASSIGNED, part, false);
	} else if (part->dropped) { /* else lost meanwhile */
		part->leaving = true;
	}
	part->dropped = false;
	parts_leave_maybe(reader);
}

/* --- what befalls a partition ---------------------------------------------- */

void part_fail(struct reader_kafka *reader, struct part *part, const struct err *why)
{
	if (part->going)
		return;
	part->state = PART_FAILED;
	part->failure = *why;
	fetched_drop(part);
	part_detach(reader, part);
	part_event_add(reader, READER_FAILED, part, false);
}

void part_is_another(struct reader_kafka *reader, struct part *part)
{
	struct err anew;

	if (!reader->group) {
		(void)err_set(&anew, ERR_NO_TOPIC, "topic \"%s\" was removed and made anew",
			      part->topic);
		part_fail(reader, part, &anew);
		return;
	}
	if (part->going)
		return;
	fetched_drop(part);
	part->state = PART_REVOKED;
	part->anew = true;
	part_revoke(reader, part, false);
}

void part_place(struct reader_kafka *reader, struct part *part)
{
	const struct reader_start first = { .kind = START_FIRST };
	int64_t began_ms = clock_mono_ms();
	struct extent extent;
	struct err err;
	enum err_code code;

	if (began_ms < part->retry_ms)
		return;
	code = part_measure(reader, part->topic, part->id, &first, &extent, &err);
	if (code != ERR_OK) {
		part_retry_later(reader, part, began_ms, &err);
	} else if (!lineage_eq(extent.lineage, part->lineage)) {
		part_is_another(reader, part);
	} else if (part->cut || part->fetch >= extent.low) {
		/* Where it is longer again meanwhile it holds other records there. */
		(void)err_set(&err, ERR_CORRUPT,
			      "partition %" PRId32 " of topic \"%s\" was cut: it "
			      "was read to offset %" PRId64 ", and holds something else before it, "
			      "or nothing; it ends at %" PRId64,
			      part->id, part->topic, part->fetch, extent.next);
		part_fail(reader, part, &err);
	} else {
		part_detach(reader, part);
		part_begin(reader, part, part->fetch, &extent);
	}
}

/* --- pauses and commits ---------------------------------------------------- */

enum err_code reader_kafka_pause(struct broker_reader *base, struct topic_ref topic,
				 int32_t partition, bool paused, struct err *err)
{
	struct reader_kafka *reader = (struct reader_kafka *)base;
	struct part *part =
		topic.kind == TOPIC_LOG ? part_of(reader, topic.name, partition, false) : NULL;

	if (!part || part->state == PART_NONE || part->state == PART_REVOKED)
		return err_set(err, ERR_NO_PARTITION, "partition %" PRId32 " of \"%s\" is not read",
			       partition, topic.name);
	part->paused = paused;
	part_hold(reader, part, part->full);
	return ERR_OK;
}

enum err_code reader_kafka_commit(struct broker_reader *base, struct topic_ref topic,
				  int32_t partition, struct position next, struct err *err)
{
	struct reader_kafka *reader = (struct reader_kafka *)base;
	struct part *part =
		topic.kind == TOPIC_LOG ? part_of(reader, topic.name, partition, false) : NULL;

	if (!part)
		return err_set(err, ERR_NO_PARTITION, "partition %" PRId32 " of \"%s\" is not read",
			       partition, topic.name);
	if (!reader->group)
		return err_set(err, ERR_UNSUPPORTED, "a reader without a group commits nothing");
	if (!position_is_ordinal(next))
		return err_set(err, ERR_SHAPE, "that is no offset");
	part->commit = (int64_t)next.word[2];
	part->dirty = true;
	kafka_tell(reader->kafka, reader->group, topic.name, partition, next);
	return ERR_OK;
}

/* What the cluster did not take, a flush later tries again; but of what is another member's by now
 * nothing is said any more. */
static void take_commit_result(struct reader_kafka *reader, rd_kafka_event_t *done)
{
	const rd_kafka_topic_partition_list_t *list =
		rd_kafka_event_error(done) ? rd_kafka_event_topic_partition_list(done) : NULL;

	if (list)
		trace_debug("kafka: a commit failed: %s", rd_kafka_event_error_string(done));
	for (int i = 0; list && i < list->cnt; i++) {
		struct part *part =
			part_of(reader, list->elems[i].topic, list->elems[i].partition, false);

		if (part && part->attached && part->state == PART_READING)
			part->dirty = true;
	}
	rd_kafka_event_destroy(done);
}

static void send_commits(struct reader_kafka *reader, rd_kafka_topic_partition_list_t *list,
			 bool wait)
{
	rd_kafka_queue_t *queue = wait ? rd_kafka_queue_new(reader->client) : reader->commits;
	rd_kafka_event_t *done;

	if (rd_kafka_commit_queue(reader->client, list, queue, NULL, NULL) ==
		    RD_KAFKA_RESP_ERR_NO_ERROR &&
	    wait) {
		done = rd_kafka_queue_poll(queue, COMMIT_MS);
		if (done)
			rd_kafka_event_destroy(done);
	}
	if (wait)
		rd_kafka_queue_destroy(queue);
}

void part_flush_commits(struct reader_kafka *reader, bool wait)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
	rd_kafka_event_t *done;

	while ((done = rd_kafka_queue_poll(reader->commits, 0)))
		take_commit_result(reader, done);
	for (struct part *part = reader->parts; part; part = part->after)
		if (part->dirty) {
			rd_kafka_topic_partition_list_add(list, part->topic, part->id)->offset =
				part->commit;
			part->dirty = false;
		}
	if (list->cnt > 0)
		send_commits(reader, list, wait);
	rd_kafka_topic_partition_list_destroy(list);
	reader->committed_ms = clock_mono_ms();
}
