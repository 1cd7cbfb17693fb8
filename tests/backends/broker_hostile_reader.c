/* broker_hostile_reader.c - the readers of broker_hostile.c, which see what it says. */
#include "backends/hostile.h"

#include "base/mem.h"
#include "broker/sequence.h"

#include <assert.h>

enum {
	REVOKE_EVERY = 300, /* events */
	QUEUE_MAX = 8,
};

/* A partition of the inner broker that is read, as one outer partition or the one that follows it.
 */
struct hostile_part {
	struct topic_ref topic; /* its name is owned */
	int32_t inner;
	int32_t outer;
	int32_t shards;	   /* of the stream, before any split */
	uint64_t expected; /* of a topic: the outer number that comes next, … */
	bool expects;	   /* … if that is known */
	bool away;	   /* revoked, ended, or not sought: nothing is given */
	bool gone;	   /* revoked in truth: with its topic */
	bool child_due;	   /* it was sought beside its parent, which comes first, … */
	struct reader_start child_start; /* … from there on */
};

struct hostile_reader {
	struct broker_reader base;
	struct broker_reader *inner;
	bool group;
	struct hostile_part **parts;
	size_t part_count;
	struct reader_event queue[QUEUE_MAX]; /* given before anything else */
	size_t queued;
	struct reader_event event; /* of the inner reader, given piece by piece … */
	size_t at;		   /* … from this record on */
	struct hostile_part *owed; /* was assigned last, and has not been sought */
	struct record *records;
	size_t room;
	unsigned events;
	unsigned revocations;
};

static struct hostile_reader *hostile_reader_of(struct broker_reader *reader)
{
	return (struct hostile_reader *)reader;
}

static struct hostile_part *find_part(struct hostile_reader *reader, struct topic_ref topic,
				      int32_t inner)
{
	for (size_t i = 0; i < reader->part_count; i++) {
		struct hostile_part *part = reader->parts[i];

		if (part->inner == inner && part->topic.kind == topic.kind &&
		    strcmp(part->topic.name, topic.name) == 0)
			return part;
	}
	return NULL;
}

static struct hostile_part *get_part(struct hostile_reader *reader, struct topic_ref topic,
				     int32_t inner)
{
	struct hostile_part *part = find_part(reader, topic, inner);

	if (part)
		return part;
	part = xcalloc(1, sizeof(*part));
	part->topic = (struct topic_ref){ topic.kind, xstrdup(topic.name) };
	part->inner = part->outer = inner;
	part->shards = hostile_shards(hostile_broker_of(reader->base.broker), topic);
	part->away = true;
	reader->parts =
		xreallocarray(reader->parts, reader->part_count + 1, sizeof(*reader->parts));
	reader->parts[reader->part_count++] = part;
	return part;
}

static struct hostile_part *part_of_outer(struct hostile_reader *reader, struct topic_ref topic,
					  int32_t outer)
{
	int32_t shards = hostile_shards(hostile_broker_of(reader->base.broker), topic);

	return get_part(reader, topic, hostile_inner_partition(topic, shards, outer));
}

static bool is_child(const struct hostile_part *part) { return part->outer != part->inner; }

static void queue_event(struct hostile_reader *reader, const struct hostile_part *part,
			enum reader_event_kind kind)
{
	assert(reader->queued < QUEUE_MAX);
	reader->queue[reader->queued++] = (struct reader_event){
		.kind = kind,
		.topic = part->topic,
		.partition = part->outer,
		.children = { -1, -1 },
	};
}

enum err_code hostile_reader_open(struct broker *broker, const struct reader_options *options,
				  struct broker_reader **ret_reader, struct err *err)
{
	struct hostile_reader *reader;
	struct broker_reader *inner;
	enum err_code code;

	hostile_be_slow(hostile_broker_of(broker));
	code = broker_reader_open(hostile_broker_of(broker)->inner, options, &inner, err);
	if (code != ERR_OK)
		return code;
	reader = xcalloc(1, sizeof(*reader));
	reader->base.broker = broker;
	reader->inner = inner;
	reader->group = options->group != NULL;
	*ret_reader = &reader->base;
	return ERR_OK;
}

/* A pause ends with what it was of. */
static void resume(struct hostile_reader *reader, const struct hostile_part *part)
{
	struct err err;

	if (reader_pause(reader->inner, part->topic, part->inner, false, &err) != ERR_OK)
		return; /* it has gone, and its pause with it */
}

/* The parent's end was reached: it is told, and its child is given, or read from where it was
 * sought. */
static void end_parent(struct hostile_reader *reader, struct hostile_part *part)
{
	int32_t child = part->inner + part->shards;
	struct err err;

	part->away = true;
	resume(reader, part);
	queue_event(reader, part, READER_END);
	reader->queue[reader->queued - 1].children[0] = child;
	if (reader->group) {
		part->outer = child;
		queue_event(reader, part, READER_ASSIGNED);
	} else if (part->child_due) {
		part->child_due = false;
		if (hostile_reader_seek(&reader->base, part->topic, child, part->child_start,
					&err) != ERR_OK)
			part->away = true;
	}
}

/* Where the inner reader begins; the first outer number that is then accounted for. */
static struct reader_start inner_start(const struct hostile_broker *hostile,
				       struct hostile_part *part, struct reader_start start)
{
	uint64_t number = hostile_number(start.position), n;

	part->expects = start.kind == START_AT || start.kind == START_AFTER;
	if (part->topic.kind == TOPIC_STREAM || !part->expects) {
		if (start.kind == START_FIRST && hostile->cut > 0 && part->topic.kind == TOPIC_LOG)
			start = (struct reader_start){
				.kind = START_AT, .position = position_of_offset(hostile->cut)
			};
		return start;
	}
	part->expected = number + (start.kind == START_AFTER);
	n = hostile_record_from(part->expected);
	/* Behind a run that nothing follows is its end, not the next run. */
	return (struct reader_start){ .kind = START_AT,
				      .position = position_of_offset(n + hostile->cut) };
}

enum err_code hostile_reader_seek(struct broker_reader *base, struct topic_ref topic,
				  int32_t partition, struct reader_start start, struct err *err)
{
	struct hostile_broker *hostile = hostile_broker_of(base->broker);
	struct hostile_reader *reader = hostile_reader_of(base);
	struct hostile_part *part = part_of_outer(reader, topic, partition), before = *part;
	enum err_code code;

	hostile_be_slow(hostile);
	if (!reader->group && partition != part->inner && !is_child(part) && !part->away) {
		part->child_due = true;
		part->child_start = start;
		return ERR_OK;
	}
	part->outer = partition;
	if (is_child(part) && start.kind == START_FIRST)
		start = (struct reader_start){ .kind = START_AT,
					       .position = { { 0, 0, HOSTILE_SPLIT } } };
	code = reader_seek(reader->inner, topic, part->inner, inner_start(hostile, part, start),
			   err);
	if (code != ERR_OK) {
		*part = before;
		return code;
	}
	part->away = false;
	if (reader->owed == part)
		reader->owed = NULL;
	if (reader->event.kind == READER_RECORDS && reader->at < reader->event.count &&
	    find_part(reader, reader->event.topic, reader->event.partition) == part)
		reader->event.count = 0;
	return ERR_OK;
}

static struct record *room_for(struct hostile_reader *reader, size_t count)
{
	if (count > reader->room) {
		reader->room = count * 2;
		reader->records =
			xreallocarray(reader->records, reader->room, sizeof(*reader->records));
	}
	return reader->records;
}

static void show_gap(struct hostile_part *part, uint64_t first, uint64_t last,
		     enum gap_reason reason, struct reader_event *ret_event)
{
	*ret_event = (struct reader_event){
		.kind = READER_GAP,
		.topic = part->topic,
		.partition = part->outer,
		.first = position_of_offset(first),
		.last = position_of_offset(last),
		.gap = reason,
		.children = { -1, -1 },
	};
	part->expected = last + 1;
}

/* As many of the records at hand as are of one run, or the hole before them. */
static bool show_run(struct hostile_reader *reader, struct hostile_part *part,
		     struct reader_event *ret_event)
{
	struct hostile_broker *hostile = hostile_broker_of(reader->base.broker);
	const struct record *from = reader->event.records + reader->at;
	size_t left = reader->event.count - reader->at, count = 0;
	uint64_t number = hostile_number(hostile_outer(hostile, TOPIC_LOG, from->position));
	struct record *records = room_for(reader, left);

	if (part->expects && number > part->expected) {
		show_gap(part, part->expected, number - 1, hostile_reason(part->expected),
			 ret_event);
		return true;
	}
	for (; count < left; count++) {
		records[count] = from[count];
		records[count].position = hostile_outer(hostile, TOPIC_LOG, from[count].position);
		if (hostile_number(records[count].position) != number + count)
			break;
	}
	*ret_event = reader->event;
	ret_event->topic = part->topic;
	ret_event->records = records;
	ret_event->count = count;
	ret_event->lineage.high ^= hostile->cut;	/* of another topic */
	reader->at += count;
	part->expects = true;
	part->expected = number + count;
	return true;
}

/* Those that are before the split, or after it. */
static bool show_shard(struct hostile_reader *reader, struct hostile_part *part,
		       struct reader_event *ret_event)
{
	const struct record *from = reader->event.records + reader->at;
	size_t left = reader->event.count - reader->at, count = 0;

	while (count < left &&
	       (is_child(part) || position_ordinal(from[count].position) < HOSTILE_SPLIT))
		count++;
	*ret_event = reader->event;
	ret_event->topic = part->topic;
	ret_event->partition = part->outer;
	ret_event->records = from;
	ret_event->count = count;
	reader->at += count;
	if (reader->at < reader->event.count) {
		reader->event.count = 0; /* the child is sought afresh */
		end_parent(reader, part);
	}
	return count > 0;
}

/* Of the records at hand; false: there are none left. */
static bool show_records(struct hostile_reader *reader, struct reader_event *ret_event)
{
	struct hostile_part *part;

	if (reader->event.kind != READER_RECORDS || reader->at >= reader->event.count)
		return false;
	part = find_part(reader, reader->event.topic, reader->event.partition);
	if (!part || part->away) {
		reader->event.count = 0;
		return false;
	}
	return part->topic.kind == TOPIC_LOG ? show_run(reader, part, ret_event)
					     : show_shard(reader, part, ret_event);
}

static void show_inner_gap(struct hostile_reader *reader, struct hostile_part *part,
			   const struct reader_event *event, struct reader_event *ret_event)
{
	struct hostile_broker *hostile = hostile_broker_of(reader->base.broker);
	uint64_t first, last;

	*ret_event = *event;
	ret_event->topic = part->topic;
	ret_event->partition = part->outer;
	if (part->topic.kind == TOPIC_STREAM) {
		if (!is_child(part) && position_ordinal(event->last) >= HOSTILE_SPLIT)
			ret_event->last = position_with_ordinal(event->last, HOSTILE_SPLIT - 1);
		return;
	}
	first = hostile_number(hostile_outer(hostile, TOPIC_LOG, event->first));
	last = hostile_number(hostile_outer(hostile, TOPIC_LOG, event->last));
	show_gap(part, part->expects && part->expected < first ? part->expected : first, last,
		 event->gap, ret_event);
	part->expects = true;
}

/* Other events than records; false: this one is not told. */
static bool show_event(struct hostile_reader *reader, const struct reader_event *event,
		       struct reader_event *ret_event)
{
	struct hostile_broker *hostile = hostile_broker_of(reader->base.broker);
	struct hostile_part *part;

	*ret_event = *event;
	if (event->kind == READER_IDLE)
		return true;
	part = get_part(reader, event->topic, event->partition);
	ret_event->topic = part->topic;
	ret_event->partition = part->outer;
	switch (event->kind) {
	case READER_ASSIGNED:
		part->outer = part->inner;
		part->shards = hostile_shards(hostile, part->topic);
		ret_event->partition = part->outer;
		reader->owed = part;
		return true;
	case READER_REVOKED:
		part->away = true;
		part->gone = !event->lost;
		return true;
	case READER_FAILED:
		return !part->away;
	case READER_GAP:
		if (!part->away && part->topic.kind == TOPIC_STREAM && !is_child(part) &&
		    position_ordinal(event->first) >= HOSTILE_SPLIT) {
			end_parent(reader, part); /* what is missing is the child's */
			return false;
		}
		if (!part->away)
			show_inner_gap(reader, part, event, ret_event);
		return !part->away;
	case READER_CAUGHT_UP:
		ret_event->last = hostile_outer_end(hostile, part->topic.kind, event->last);
		if (!part->away && part->topic.kind == TOPIC_STREAM && !is_child(part) &&
		    position_ordinal(event->last) >= HOSTILE_SPLIT) {
			end_parent(reader, part);
			return false;
		}
		return !part->away;
	default:
		return true;
	}
}

/* Take a partition away, and give it back once it is released. */
static void revoke_one(struct hostile_reader *reader)
{
	struct hostile_part *part;

	if (!reader->group || reader->part_count == 0 || reader->queued > 0)
		return;
	part = reader->parts[reader->revocations % reader->part_count];
	if (part->away)
		return;
	reader->revocations++;
	part->away = true;
	resume(reader, part);
	queue_event(reader, part, READER_REVOKED);
	if (reader->revocations % 4 != 0)
		return;
	reader->queue[reader->queued - 1].lost = true;
	queue_event(reader, part, READER_ASSIGNED);
}

static void take_queued(struct hostile_reader *reader, struct reader_event *ret_event)
{
	*ret_event = reader->queue[0];
	memmove(reader->queue, reader->queue + 1, --reader->queued * sizeof(reader->queue[0]));
	if (ret_event->kind == READER_ASSIGNED)
		reader->owed = part_of_outer(reader, ret_event->topic, ret_event->partition);
}

enum err_code hostile_reader_next(struct broker_reader *base, int64_t deadline_ms,
				  struct reader_event *ret_event, struct err *err)
{
	struct hostile_reader *reader = hostile_reader_of(base);
	enum err_code code = ERR_OK;

	if (reader->owed)
		code = hostile_reader_seek(base, reader->owed->topic, reader->owed->outer,
					   (struct reader_start){ .kind = START_FIRST }, err);
	reader->owed = NULL;
	if (code != ERR_OK && code != ERR_NO_TOPIC && code != ERR_NO_PARTITION)
		return code;
	for (;;) {
		if (reader->queued > 0) {
			take_queued(reader, ret_event);
			return ERR_OK;
		}
		if (show_records(reader, ret_event))
			return ERR_OK;
		if (reader->queued > 0)
			continue;
		if (++reader->events % REVOKE_EVERY == 0) {
			revoke_one(reader);
			continue;
		}
		code = reader_next(reader->inner, deadline_ms, &reader->event, err);
		if (code != ERR_OK)
			return code;
		reader->at = 0;
		if (reader->event.kind != READER_RECORDS &&
		    show_event(reader, &reader->event, ret_event))
			return ERR_OK;
	}
}

/* What is at hand of a partition that pauses is read again after it. */
static enum err_code put_back(struct hostile_reader *reader, struct hostile_part *part,
			      struct err *err)
{
	struct reader_start start = { .kind = START_AT };

	if (reader->event.kind != READER_RECORDS || reader->at >= reader->event.count ||
	    find_part(reader, reader->event.topic, reader->event.partition) != part)
		return ERR_OK;
	start.position = reader->event.records[reader->at].position;
	reader->event.count = 0;
	return reader_seek(reader->inner, part->topic, part->inner, start, err);
}

enum err_code hostile_reader_pause(struct broker_reader *base, struct topic_ref topic,
				   int32_t partition, bool paused, struct err *err)
{
	struct hostile_reader *reader = hostile_reader_of(base);
	struct hostile_part *part = part_of_outer(reader, topic, partition);
	enum err_code code = paused ? put_back(reader, part, err) : ERR_OK;

	return code == ERR_OK ? reader_pause(reader->inner, topic, part->inner, paused, err) : code;
}

void hostile_reader_release(struct broker_reader *base, struct topic_ref topic, int32_t partition)
{
	struct hostile_reader *reader = hostile_reader_of(base);
	struct hostile_part *part = part_of_outer(reader, topic, partition);

	if (part->gone) {
		part->gone = false;
		part->outer = part->inner;
		reader_release(reader->inner, topic, part->inner);
		return;
	}
	queue_event(reader, part, READER_ASSIGNED);
}

enum err_code hostile_reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err)
{
	return reader_fd(hostile_reader_of(reader)->inner, ret_fd, err);
}

enum err_code hostile_reader_commit(struct broker_reader *base, struct topic_ref topic,
				    int32_t partition, struct position next, struct err *err)
{
	struct hostile_reader *reader = hostile_reader_of(base);
	struct hostile_part *part = part_of_outer(reader, topic, partition);

	return reader_commit(reader->inner, topic, part->inner,
			     hostile_inner_from(hostile_broker_of(base->broker), topic.kind, next),
			     err);
}

void hostile_reader_close(struct broker_reader *base)
{
	struct hostile_reader *reader = hostile_reader_of(base);

	reader_close(reader->inner);
	for (size_t i = 0; i < reader->part_count; i++) {
		free((void *)(uintptr_t)reader->parts[i]->topic.name);
		free(reader->parts[i]);
	}
	free(reader->parts);
	free(reader->records);
	free(reader);
}
