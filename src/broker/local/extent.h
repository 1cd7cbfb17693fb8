/*
 * extent.h - the first and the next ordinal of every partition, as the files of
 * a log tell them to a process that is not its writer. (A writer uses only
 * the first ones.)
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_LOCAL_EXTENT_H
#define BROKER_LOCAL_EXTENT_H

#include "broker/local/cursor.h"
#include "broker/topics.h"

struct extent {
	int dir_fd;			/* borrowed */
	uint64_t first_base;		/* the oldest segment, whose state is … */
	struct ordinals first;		/* … this */
	struct cursor cursor;		/* how far was read for … */
	struct ordinals next;		/* … this */
};

void extent_init(struct extent *extent, int dir_fd);
void extent_release(struct extent *extent);
/* Look at the oldest segment again if it is another one now. */
MUST_USE enum err_code extent_read_first(struct extent *extent, struct err *err);
/* Read on up to the watermark; headers only. */
MUST_USE enum err_code extent_read_next(struct extent *extent, uint64_t watermark,
					struct err *err);
/* Records were lost that may be of any partition, also of one that nothing which was read names:
 * `count` of its ordinals are not used. */
void extent_skip(struct extent *extent, const struct topics *topics, uint64_t count);
/* Raises first, and next where that is known, of the partitions. */
void extent_apply(const struct extent *extent, struct topics *topics);

#endif
