/*
 * batch_record.h - a run of batch in the history of runs.
 *
 * Threads: the caller's.
 */
#ifndef FLOW_BATCH_RECORD_H
#define FLOW_BATCH_RECORD_H

#include "flow/batch.h"

/* As the ledger calls the run, or by the time. */
void batch_name(const struct batch_options *options, char name[RUN_NAME_MAX]);
/* The history of a run, however it ended (`code`), which is returned. That it could not be written
 * is no failure of one that failed before. `idle`: it had nothing to do. */
MUST_USE enum err_code batch_record(const struct batch_options *options,
				    struct batch_report *report, bool idle, enum err_code code,
				    struct err *err);

#endif
