/*
 * subs.h - the partitions that a reader reads, how far it is in each, and which
 * events are due without a look at the log. Shared by the readers of
 * broker_memory and broker_local.
 *
 * A group of these brokers has one member, so it is assigned every partition
 * of its topics: each as an event when it is first seen, new topics as they
 * appear; the partitions of a removed topic are revoked. A partition that was
 * revoked is the reader's until it releases it, and no other of the same name
 * is assigned before.
 *
 *	         assigned, or sought              revoked           released
 *	(nothing) ───────────────► being read ───────────► revoked ──────────► (nothing)
 *
 * Threads: the reader's, with the broker's topics held still where passed in.
 */
#ifndef BROKER_SUBS_H
#define BROKER_SUBS_H

#include "broker/sequence.h"
#include "broker/topics.h"

struct sub {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	uint64_t uid;
	int32_t partition;
	struct position like;		/* any of its positions */
	uint64_t next;			/* ordinal that the reader gets next; … */
	uint64_t born;			/* … those below this were another topic's, */
	uint64_t kept;			/* and those below this are let go of */
	bool unsure;			/* what is missing now may have been let go of, too */
	bool fresh;			/* sought, and not yet looked for */
	bool announced;			/* its READER_ASSIGNED was given, or none is due */
	bool revoked;			/* and not yet released */
	bool paused;
	bool passed;			/* while it was paused some of it went by */
	bool due;			/* in subs.due */
	bool owed;			/* a READER_CAUGHT_UP, which came while it was paused */
	bool ended;			/* its READER_END was given */
	uint64_t user;			/* broker_memory's */
};

struct subs {
	char *group;			/* NULL: none */
	struct topic_ref *topics;	/* of the group; owned */
	size_t topic_count;
	struct sub **items;
	size_t count;
	struct sub **table;		/* the same by uid and partition: a hash table … */
	size_t table_cap;		/* … of a power of two of places */
	size_t fresh_count;
	size_t revoked_count;
	struct sub **due;		/* were given something since they had caught up */
	size_t due_count;
	size_t due_cap;
	size_t turn;			/* whose turn it is, where that matters */
	struct sub *gone;		/* the last one: an event may name it until the next */
	struct err failure;		/* of a READER_FAILED, until the next one */
};

void subs_init(struct subs *subs, const struct reader_options *options);
void subs_release(struct subs *subs);

/* NULL: none. */
struct sub *subs_find(const struct subs *subs, struct topic_ref ref, int32_t partition);
struct sub *subs_find_uid(const struct subs *subs, uint64_t uid, int32_t partition);
/* As subs_find, but ERR_NO_PARTITION with its message. */
MUST_USE enum err_code subs_get(const struct subs *subs, struct topic_ref ref, int32_t partition,
				struct sub **ret_sub, struct err *err);

/* Where a start leads, START_TIME aside; an ordinal above partition->next is beyond the end. */
uint64_t start_ordinal(const struct partition *partition, struct reader_start start);
/* ERR_CORRUPT with its message. */
enum err_code start_beyond(const struct partition *partition, struct reader_start start,
			   struct err *err);
/* Reads the partition from this ordinal on. */
struct sub *subs_seek(struct subs *subs, const struct partition *partition, uint64_t ordinal);
/* Somebody looks for what is fresh: it is not any more. */
void subs_placed(struct subs *subs);
void subs_pause(struct subs *subs, struct sub *sub, bool paused);
/* The reader was given something of it: that it has caught up is to be said again. */
void subs_moved(struct subs *subs, struct sub *sub);
/* From now on it gives nothing; *ret_event says so. */
void subs_revoke(struct subs *subs, struct sub *sub, struct reader_event *ret_event);
/* READER_END was given. */
void subs_end(struct subs *subs, struct sub *sub);
/* It is the reader's no more. Nothing happens if it was not revoked. */
void subs_let_go(struct subs *subs, struct topic_ref ref, int32_t partition);

/* These fill *ret_event, if one is due. */

/* An assignment or a revocation; without a group, that a topic is gone. */
bool subs_group_event(struct subs *subs, const struct topics *topics,
		      struct reader_event *ret_event);
/* Of a partition that was sought: what it asked for and cannot get any more. */
bool subs_fresh_event(struct subs *subs, struct reader_event *ret_event);
/* One that has caught up: all that there is has been given to everyone. */
bool subs_caught_up(struct subs *subs, struct reader_event *ret_event);
/* Ordinals from sub->next up to `to`, excluded, give no records. The first of them that have one
 * reason are the event; sub->next goes behind those. */
void subs_gap(struct subs *subs, struct sub *sub, uint64_t to, struct reader_event *ret_event);

static inline struct topic_ref sub_ref(const struct sub *sub)
{
	return (struct topic_ref){ .kind = sub->kind, .name = sub->name };
}

static inline struct position sub_position(const struct sub *sub, uint64_t ordinal)
{
	return position_with_ordinal(sub->like, ordinal);
}

static inline struct reader_event sub_event(enum reader_event_kind kind, const struct sub *sub)
{
	return (struct reader_event){ .kind = kind,
				      .topic = sub_ref(sub),
				      .partition = sub->partition,
				      .children = { -1, -1 } };
}

#endif
