/*
 * batch_tell.h - what others see of the tables of batch (base/registry.h): a run is over soon, and
 * how far they are must be seen beside what the sink lands afterwards.
 *
 * What had landed when a run began, its tables have when it is done. So what they lack is what the
 * sink of the same directory has landed since, and what that lacks itself; without one there it is
 * not known.
 *
 * Threads: the caller's.
 */
#ifndef FLOW_BATCH_TELL_H
#define FLOW_BATCH_TELL_H

#include "base/metrics.h"
#include "flow/batch.h"

struct batch_tell {
	const struct models *models;
	struct batch_told {
		struct series *row;
		int64_t of; /* as SERIES_OF, SERIES_BASE */
		int64_t base;
		int64_t complete_ms;
	} * tables; /* one a model */
};

/* Before anything is looked for. `models` is borrowed until the end. `period_ms`: how often it
 * runs, 0: that is not known. */
MUST_USE enum err_code batch_tell_begin(struct batch_tell *tell, const struct models *models,
					const char *id, int64_t period_ms, struct err *err);
/* `report` NULL: it came to none. */
void batch_tell_end(struct batch_tell *tell, const struct batch_report *report);

#endif
