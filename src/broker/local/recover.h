/*
 * recover.h - find out what a journal holds after its writer is gone: steps 1
 * to 3 of the recovery in journal.h. Nothing is changed.
 */
#ifndef BROKER_LOCAL_RECOVER_H
#define BROKER_LOCAL_RECOVER_H

#include "base/err.h"
#include "broker/local/ordinals.h"
#include "broker/local/watermark.h"

struct recovery {
	uint64_t *bases;		/* of all segments, rising */
	size_t count;
	bool empty;			/* there is no log yet; the segments hold nothing */
	size_t tail;			/* the segment in which the log ends */
	uint64_t end;			/* where */
	uint64_t watermark;
	uint64_t cut_bytes;		/* of the torn tail, up to the last valid header in it */
	size_t damaged;			/* places below the watermark that are not valid */
	uint64_t epoch;			/* the highest */
	uint64_t next_base;		/* above every segment */
	int64_t newest_ms;		/* timestamp of the last batch */
	struct ordinals ordinals;	/* next ones, at the end */
	uint64_t unknown;		/* so many records may be lost and nobody knows whose;
					   `ordinals` has them counted in, as far as … */
	bool ends_hold;			/* … where this is true, the ends let it be */
};

/* `published`: what the watermark file says, or 0. `ends`: with it, or NULL. */
MUST_USE enum err_code recover_plan(int dir_fd, uint64_t published, const struct ends *ends,
				    struct recovery *ret, struct err *err);
/* Where a partition goes on that is known to have come to `next`, if `unknown` records may be lost
 * that may be its; `ends` NULL: nobody knows how many were. */
uint64_t recover_skip(uint64_t next, uint64_t unknown, const struct ends *ends, uint64_t uid,
		      int32_t partition);
void recovery_release(struct recovery *recovery);

#endif
