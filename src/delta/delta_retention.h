/*
 * delta_retention.h - the properties of a table that say how long it keeps what
 * its latest version does not need.
 *
 *	delta.deletedFileRetentionDuration	data files
 *	delta.logRetentionDuration		commits and checkpoints
 *
 * Beside each that is set here its value stands a second time, as
 * "pinpipe.deletedFileRetentionDuration": where the two differ somebody else has
 * set the property since, and it is theirs.
 */
#ifndef DELTA_DELTA_RETENTION_H
#define DELTA_DELTA_RETENTION_H

#include "delta/delta_action.h"

/* How long files are kept; INT64_MAX: its word for it cannot be read. */
int64_t delta_retention_files_ms(const struct delta_metadata *metadata);

/*
 * Set both in `settings`, where they are ours to set and differ (0: leave that one). False: nothing
 * was to be done.
 */
bool delta_retention_set(struct delta_settings *settings, int64_t files_ms, int64_t log_ms);

#endif
