/*
 * vacuum.h - what a table does not need any more, taken away (delta_clean.h):
 * data files, the old end of its log.
 *
 * A table says itself how long both are kept; where it does not say so, or has it
 * from us, it is told first. Files of a rebuild that is under way (staging.h) are
 * in no version yet, however old: none goes that is younger than its beginning.
 *
 * FAILPOINTS  vacuum-listed vacuum-removed clean-log-removed
 *
 * Ownership: everything is borrowed. Threads: the table's.
 */
#ifndef FLOW_VACUUM_H
#define FLOW_VACUUM_H

#include "delta/delta_clean.h"
#include "flow/lake.h"

struct vacuum_options {
	struct store *store;
	struct lake_keep keep;
	bool dry_run; /* nothing is written or removed */
	int64_t most_ms; /* so long it removes files, and so long of the log; 0: until all is gone
			  */
	void (*each)(void *user, const char *key, uint64_t size); /* what goes; or NULL */
	void *user;
};

struct vacuum_report {
	struct delta_cleaned files;
	struct delta_cleaned log;
};

/* `delta`: of that place, opened with or without columns. Adds to *report also where it fails.
 * ERR_UNSUPPORTED: by its own word nothing may be cleaned up. */
MUST_USE enum err_code vacuum_table(const struct vacuum_options *options,
				    const struct lake_table *place, struct delta_table *delta,
				    struct vacuum_report *report, struct err *err);

#endif
