/*
 * floors.h - what topics that were removed leave behind: the ordinal of each
 * partition, and the second, above which a topic of the same name begins, so
 * that no position is ever used twice (broker.h, contract 6).
 *
 * They take no room from topics that are there. When that is wanted, the oldest
 * give way: first a floor keeps one ordinal for all its partitions, the highest
 * of them; then those of many names become one, under the name TOPIC_EVERY, that
 * holds for every name without its own. Either way some ordinals are passed over
 * that were never used, and none comes again.
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_FLOORS_H
#define BROKER_FLOORS_H

#include "broker/broker.h"

struct topic_floor {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	uint64_t created_s;
	uint64_t others;		/* ordinal of a partition that has none below */
	uint64_t *ordinals;		/* of the first partitions; owned */
	size_t count;
};

struct floors {
	struct topic_floor *items;	/* the oldest name first */
	size_t count;
	size_t cap;
	size_t ordinals;		/* in all of them */
};

void floors_release(struct floors *floors);
/* NULL: no topic of that name was ever removed. */
const struct topic_floor *floors_find(const struct floors *floors, struct topic_ref ref);
/* Of a partition; 0 without a floor. */
uint64_t floor_ordinal(const struct topic_floor *floor, size_t partition);
/* Takes `floor`, in the place of one of that name. */
void floors_add(struct floors *floors, const struct topic_floor *floor);
/* Of the last one that was added: the next partition's ordinal. */
void floors_add_ordinal(struct floors *floors, uint64_t ordinal);
/* No more than so many names (two more for what became one) and ordinals are kept. */
void floors_fit(struct floors *floors, size_t names_max, size_t ordinals_max);

#endif
