/*
 * retention.h - let go of the oldest segments, by age and by bytes.
 *
 * A segment goes as a whole, the oldest first and never the last three. Age is
 * what lies between the newest record in it and now. "Now" runs on by the time
 * that passes from where the wall clock stood at the start, and if that
 * was more than a day ahead of the newest record, from that record: a clock
 * that jumped never deletes a log. The price is that a log that rested for
 * long keeps its records for longer.
 *
 * A segment in which pinpipe's own groups, `sink` and `stream` (commits.h), have
 * a record still to take stays, whatever its age and the bytes, and each one
 * while it is not known how far they are. So what the log acknowledged gets into
 * the lake; what bounds a log whose readers are away is the reserve of disk
 * space, at which appends are refused. A topic that they take and have not
 * begun with counts from its first record, one that was removed not at all. Any
 * other group is named in a warning when records go that it has not read.
 *
 * Threads: one, the keeper's.
 */
#ifndef BROKER_LOCAL_RETENTION_H
#define BROKER_LOCAL_RETENTION_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct retention {
	int dir_fd;
	int64_t age_ms;			/* 0: for ever */
	uint64_t bytes_max;		/* 0: no bound */
	bool held;			/* over the bound of bytes, sink or stream being behind */
	int64_t start_ms;		/* "now" at the start … */
	int64_t start_boot_ms;		/* … and the time since the boot then */
	/* The log begins later than before. */
	void (*first_changed)(void *user);
	void *user;
};

/* `newest_ms`: timestamp of the newest record, 0: none. */
void retention_init(struct retention *retention, int64_t newest_ms);
void retention_apply(struct retention *retention);

#endif
