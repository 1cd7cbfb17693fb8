/*
 * ordinals.h - the next ordinal of every partition, as far as one has read a
 * journal; and both ends of every partition, as the files of a log tell them to
 * a process that is not its writer (extent). Of an extent a writer uses only the
 * first ones.
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_LOCAL_ORDINALS_H
#define BROKER_LOCAL_ORDINALS_H

#include "broker/local/cursor.h"
#include "broker/local/watermark.h"
#include "broker/topics.h"

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

struct extent {
	int dir_fd;			/* borrowed */
	uint64_t first_base;		/* the oldest segment, whose state is … */
	struct ordinals first;		/* … this */
	struct cursor cursor;		/* how far was read for … */
	struct ordinals next;		/* … this */
	struct watermark *watermark;	/* borrowed; NULL: there is none */
	struct ends ends;		/* what it told last, in place of reading */
};

void extent_init(struct extent *extent, int dir_fd);
void extent_release(struct extent *extent);
/* Look at the oldest segment again if it is another one now. */
MUST_USE enum err_code extent_read_first(struct extent *extent, struct err *err);
/* Learn where each partition ends at the watermark: from its page, or, where that does not tell, by
 * reading on from the newest state up to it; headers only. */
MUST_USE enum err_code extent_read_next(struct extent *extent, uint64_t watermark,
					struct err *err);
/* Records were lost that may be of any partition, also of one that nothing which was read names:
 * `count` of its ordinals are not used, or as many as the ends tell (NULL: they do not). */
void extent_skip(struct extent *extent, const struct topics *topics, uint64_t count,
		 const struct ends *ends);
/* Raises first, and next where that is known, of the partitions. */
void extent_apply(const struct extent *extent, struct topics *topics);

#endif
