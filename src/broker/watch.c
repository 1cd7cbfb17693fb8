#include "broker/watch.h"

#include "base/mem.h"
#include "base/trace.h"

#include <stdlib.h>
#include <string.h>

enum watch_state { WATCH_NONE, WATCH_READING, WATCH_REVOKED, WATCH_ENDED };

struct watched {
	enum watch_state state;
	enum topic_kind kind;
	char *name;
	uint32_t hash;
	int32_t partition;
	bool paused;
	bool caught_up;			/* since something came last */
	bool has_last;
	bool last_may_come;		/* `last` is where a seek put it, not yet given */
	struct position last;		/* what comes is after it */
};

struct reader_watch {
	bool group;
	size_t bytes_max;
	struct watched **table;		/* by topic and partition, a hash table */
	size_t cap;
	size_t count;
	struct watched *recent;
};

_Noreturn void contract_broken(const struct broker *broker, const char *call, const char *what)
{
	trace_error("the contract of the broker is broken: backend \"%s\", %s: %s",
		    broker->ops->name, call, what);
	abort();
}

struct reader_watch *watch_new(const struct reader_options *options)
{
	struct reader_watch *watch = xcalloc(1, sizeof(*watch));

	watch->group = options->group != NULL;
	watch->bytes_max = options->bytes_max;
	watch->cap = 16;
	watch->table = xcalloc(watch->cap, sizeof(struct watched *));
	return watch;
}

void watch_free(struct reader_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->cap; i++) {
		if (watch->table[i])
			free(watch->table[i]->name);
		free(watch->table[i]);
	}
	free(watch->table);
	free(watch);
}

/* --- partitions: once met, they stay ----------------------------------- */

static uint32_t watch_hash(struct topic_ref topic, int32_t partition)
{
	uint32_t hash = 2166136261u ^ (uint32_t)topic.kind;

	for (const char *c = topic.name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return (hash ^ (uint32_t)partition) * 0x9e3779b1u;
}

static bool watched_is(const struct watched *watched, struct topic_ref topic, int32_t partition)
{
	return watched->partition == partition && watched->kind == topic.kind &&
	       strcmp(watched->name, topic.name) == 0;
}

static struct watched **watch_place(struct watched **table, size_t cap, uint32_t hash,
				    struct topic_ref topic, int32_t partition)
{
	for (size_t i = hash;; i++) {
		struct watched **place = &table[i & (cap - 1)];

		if (!*place || ((*place)->hash == hash && watched_is(*place, topic, partition)))
			return place;
	}
}

static void watch_grow(struct reader_watch *watch)
{
	size_t cap = 2 * watch->cap;
	struct watched **table = xcalloc(cap, sizeof(struct watched *));

	for (size_t i = 0; i < watch->cap; i++) {
		struct watched *watched = watch->table[i];

		if (watched)
			*watch_place(table, cap, watched->hash,
				     (struct topic_ref){ watched->kind, watched->name },
				     watched->partition) = watched;
	}
	free(watch->table);
	watch->table = table;
	watch->cap = cap;
}

static struct watched *watch_find(struct reader_watch *watch, struct topic_ref topic,
				  int32_t partition)
{
	struct watched **place, *watched = watch->recent;
	uint32_t hash;

	if (watched && watched_is(watched, topic, partition))
		return watched;
	if (2 * watch->count >= watch->cap)
		watch_grow(watch);
	hash = watch_hash(topic, partition);
	place = watch_place(watch->table, watch->cap, hash, topic, partition);
	if (!*place) {
		*place = xcalloc(1, sizeof(**place));
		**place = (struct watched){ .kind = topic.kind, .name = xstrdup(topic.name),
					    .hash = hash, .partition = partition };
		watch->count++;
	}
	watch->recent = *place;
	return *place;
}

/* --- calls ------------------------------------------------------------- */

void watch_may_seek(const struct broker_reader *reader, struct topic_ref topic, int32_t partition)
{
	const struct watched *watched;

	if (partition < 0)
		return; /* there is none, as the backend will say */
	watched = watch_find(reader->watch, topic, partition);
	CONTRACT_HOLDS(reader->broker, watched->state != WATCH_REVOKED);
	CONTRACT_HOLDS(reader->broker, !reader->watch->group || watched->state != WATCH_NONE);
}

void watch_may_release(const struct broker_reader *reader, struct topic_ref topic,
		       int32_t partition)
{
	CONTRACT_HOLDS(reader->broker,
		       watch_find(reader->watch, topic, partition)->state == WATCH_REVOKED);
}

void watch_sought(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
		  struct reader_start start)
{
	struct watched *watched = watch_find(reader->watch, topic, partition);

	watched->state = WATCH_READING;
	watched->caught_up = false;
	watched->has_last = start.kind == START_AT || start.kind == START_AFTER;
	watched->last_may_come = start.kind == START_AT;
	watched->last = start.position;
}

void watch_paused(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
		  bool paused)
{
	watch_find(reader->watch, topic, partition)->paused = paused;
}

void watch_released(struct broker_reader *reader, struct topic_ref topic, int32_t partition)
{
	watch_find(reader->watch, topic, partition)->state = WATCH_NONE;
}

/* --- events ------------------------------------------------------------ */

/* `first` comes after all that was given before. */
static bool watch_goes_on(const struct watched *watched, struct position first)
{
	int cmp = watched->has_last ? position_cmp(first, watched->last) : 1;

	return cmp > 0 || (cmp == 0 && watched->last_may_come);
}

static void watch_passed(struct watched *watched, struct position last)
{
	watched->last = last;
	watched->has_last = true;
	watched->last_may_come = false;
	watched->caught_up = false;
}

static void watch_records(const struct broker_reader *reader, struct watched *watched,
			  const struct reader_event *event)
{
	struct position last;
	size_t bytes = 0;

	CONTRACT_HOLDS(reader->broker, event->count > 0 && event->records);
	CONTRACT_HOLDS(reader->broker, watch_goes_on(watched, event->records[0].position));
	last = event->records[0].position;
	for (size_t i = 1; i < event->count; i++) {
		CONTRACT_HOLDS(reader->broker,
			       position_cmp(last, event->records[i].position) < 0);
		last = event->records[i].position;
		bytes += event->records[i].key.len + event->records[i].value.len;
	}
	CONTRACT_HOLDS(reader->broker, event->count == 1 || reader->watch->bytes_max == 0 ||
					       bytes <= reader->watch->bytes_max);
	watch_passed(watched, last);
}

/* Of a partition that is being read. */
static void watch_data(const struct broker_reader *reader, struct watched *watched,
		       const struct reader_event *event)
{
	CONTRACT_HOLDS(reader->broker, watched->state == WATCH_READING && !watched->paused);
	if (event->kind == READER_RECORDS)
		watch_records(reader, watched, event);
	if (event->kind == READER_GAP) {
		CONTRACT_HOLDS(reader->broker, event->gap <= GAP_REMOVED);
		CONTRACT_HOLDS(reader->broker, position_cmp(event->first, event->last) <= 0);
		CONTRACT_HOLDS(reader->broker, watch_goes_on(watched, event->first));
		watch_passed(watched, event->last);
	}
	if (event->kind == READER_CAUGHT_UP) {
		CONTRACT_HOLDS(reader->broker, !watched->caught_up);
		watched->caught_up = true;
	}
	if (event->kind == READER_END)
		watched->state = WATCH_ENDED;
}

void watch_event(struct broker_reader *reader, const struct reader_event *event)
{
	struct watched *watched;

	if (event->kind == READER_IDLE)
		return;
	CONTRACT_HOLDS(reader->broker, event->kind <= READER_FAILED && event->topic.name);
	watched = watch_find(reader->watch, event->topic, event->partition);
	switch (event->kind) {
	case READER_ASSIGNED:
		CONTRACT_HOLDS(reader->broker, reader->watch->group);
		CONTRACT_HOLDS(reader->broker, watched->state == WATCH_NONE);
		watched->state = WATCH_READING;
		watched->has_last = watched->caught_up = watched->paused = false;
		break;
	case READER_REVOKED:
		CONTRACT_HOLDS(reader->broker, reader->watch->group);
		CONTRACT_HOLDS(reader->broker, watched->state == WATCH_READING ||
						       watched->state == WATCH_ENDED);
		watched->state = event->lost ? WATCH_NONE : WATCH_REVOKED;
		watched->paused = false;
		break;
	case READER_FAILED:
		CONTRACT_HOLDS(reader->broker, watched->state == WATCH_READING);
		CONTRACT_HOLDS(reader->broker, event->failure && event->failure->code != ERR_OK);
		watched->state = WATCH_ENDED;
		break;
	default:
		watch_data(reader, watched, event);
	}
}
