/*
 * log_read.h - reads partitions to where the log has no more to give, of one
 * topic or of several in one pass: for who counts and compares.
 *
 * Threads: the caller's.
 */
#ifndef FLOW_LOG_READ_H
#define FLOW_LOG_READ_H

#include "broker/broker.h"

/* A partition that is wanted, and from where. */
struct log_place {
	struct topic_ref topic;
	int32_t partition;
	struct reader_start start;
	bool bounded; /* only what stands before `until` is wanted: who writes on all the
			 time is not run after */
	struct position until;
	void *user;		/* the caller's */
	bool ended;		/* it was told that this is all */
	bool beyond;		/* there is no such place: the log ends before it */
};

/*
 * Calls `take` for the records and gaps of each place, and at last once for its end: an event of
 * kind READER_CAUGHT_UP, with the end in `last`, or READER_END; not where it had `until` before
 * that, and then the last records may go beyond it. ERR_STOPPED: asked to stop; and
 * what READER_FAILED says.
 * ERR_BUSY: the log tells nothing for a long time.
 */
MUST_USE enum err_code log_read(struct broker *broker, struct log_place *places, size_t count,
				enum err_code (*take)(struct log_place *place,
						      const struct reader_event *event,
						      struct err *err),
				struct err *err);

#endif
