/*
 * subs.h - the partitions that a reader reads, and how far it is in each.
 * Shared by the readers of broker_memory and broker_local.
 *
 * A group of these brokers has one member, so it is assigned every partition
 * of its topics: each as an event when it is first seen, new topics as they
 * appear; the partitions of a removed topic are revoked.
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
	uint64_t next;			/* ordinal that the reader gets next */
	bool sure;			/* … and a higher one means that some were lost */
	bool placed;			/* broker_local: the cursor stands before `next` */
	bool announced;			/* its READER_ASSIGNED was given, or none is due */
	bool ended;			/* its READER_END was given */
};

struct subs {
	char *group;			/* NULL: none */
	struct topic_ref *topics;	/* of the group; owned */
	size_t topic_count;
	struct sub **items;
	size_t count;
	size_t turn;			/* whose turn it is, where that matters */
	struct sub *revoked;		/* the last one: its event names it until the next */
};

void subs_init(struct subs *subs, const struct reader_options *options);
void subs_release(struct subs *subs);

/* NULL: none. `uid` 0: whichever topic has that name. */
struct sub *subs_find(const struct subs *subs, struct topic_ref ref, int32_t partition);
struct sub *subs_find_uid(const struct subs *subs, uint64_t uid, int32_t partition);
/* The subscription to `partition`, new or as it was. */
struct sub *subs_add(struct subs *subs, const struct partition *partition);

/* Fills *ret_event with an assignment or a revocation that is due, if there is one. */
bool subs_group_event(struct subs *subs, const struct topics *topics,
		      struct reader_event *ret_event);

static inline struct topic_ref sub_ref(const struct sub *sub)
{
	return (struct topic_ref){ .kind = sub->kind, .name = sub->name };
}

static inline struct position sub_position(const struct sub *sub, uint64_t ordinal)
{
	return position_with_ordinal(sub->like, ordinal);
}

#endif
