/*
 * ordinals.h - the next ordinal of every partition, as far as one has read a
 * journal.
 *
 * Threads: one.
 */
#ifndef BROKER_LOCAL_ORDINALS_H
#define BROKER_LOCAL_ORDINALS_H

#include "broker/local/batch.h"

/* The last one that there may be: a planted batch that tells of more is not believed. */
#define ORDINAL_MAX ((uint64_t)INT64_MAX)

struct ordinal {
	uint64_t uid;			/* 0: an empty place */
	int32_t partition;
	uint64_t next;
	uint64_t at;			/* address of what told so */
};

struct ordinals {
	struct ordinal *places;		/* a hash table */
	size_t cap;			/* a power of two */
	size_t count;
};

void ordinals_init(struct ordinals *ordinals);
void ordinals_release(struct ordinals *ordinals);
void ordinals_clear(struct ordinals *ordinals);

/* NULL: nothing is known of it. */
struct ordinal *ordinals_find(const struct ordinals *ordinals, uint64_t uid, int32_t partition);
/* As it is, or new with next 0. Pointers from before may be stale afterwards. */
struct ordinal *ordinals_get(struct ordinals *ordinals, uint64_t uid, int32_t partition);
/* Takes in what a good batch tells: of a state, its entries. */
void ordinals_learn(struct ordinals *ordinals, const struct batch *batch, struct slice payload);

#endif
