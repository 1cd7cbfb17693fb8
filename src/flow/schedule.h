/*
 * schedule.h - when a job is due by the clock on the wall: at an interval from its last run, or by
 * a cron expression.
 *
 *	1. What was missed while nobody ran it is done once, at once.
 *	2. A clock that is put on makes it due once; one that is put back by up to SCHEDULE_BACK_MS
 *	   makes nothing due again, and one further back lets it be reckoned anew.
 *
 * Threads: the owner's one (zone.h).
 */
#ifndef FLOW_SCHEDULE_H
#define FLOW_SCHEDULE_H

#include "base/cron.h"

#define SCHEDULE_BACK_MS ((int64_t)3 * 3600 * 1000)

struct schedule {
	int64_t every_ms;	/* 0: cron */
	struct cron cron;
	struct zone zone;
	/* State: */
	int64_t began_ms;	/* the last run, or when it was asked first */
	int64_t due_ms;
};

/* `last_ms`: when the last run began that came to an end, -1: there was none. */
void schedule_begin(struct schedule *schedule, int64_t last_ms, int64_t now_ms);
bool schedule_is_due(struct schedule *schedule, int64_t now_ms);
/* It is run now. */
void schedule_run(struct schedule *schedule, int64_t now_ms);

#endif
