/*
 * batch_find.h - which objects of the lake a table has not cleaned yet.
 *
 * A partition's progress is an offset, and two txns beside it tell the object
 * that it stands in: its start and its bytes. By them a listing tells, without
 * reading anything, whether that object is still what it was. It is not if
 * somebody removed it and the sink landed it again, longer; then the batch begins
 * with it, and passes over the records that the table has.
 *
 * Ownership: everything is borrowed but `stopped`, which the caller frees.
 */
#ifndef FLOW_BATCH_FIND_H
#define FLOW_BATCH_FIND_H

#include "delta/delta.h"
#include "flow/lake_input.h"

struct batch_finder {
	struct store *store;
	const struct lake_table *table;
	const struct delta_table *delta;
	uint64_t bytes_max;		/* of objects at once */
	bool all;			/* nothing was left out of what was found last */
	uint64_t empties;		/* objects without a byte, each time one is met */
	struct lake_partition *stopped;	/* partitions that are passed over */
	size_t stopped_count;
};

/* The application ids of a partition in the table's log. */
struct batch_ids {
	char progress[LAKE_APP_ID_MAX];
	char start[LAKE_APP_ID_MAX + 16];
	char bytes[LAKE_APP_ID_MAX + 16];
};

void batch_ids_init(struct batch_ids *ids, const struct lake_partition *where);
/* Adds every partition of the topic to the input, and of each the objects that come next. */
MUST_USE enum err_code batch_find(struct batch_finder *finder, struct lake_input *input,
				  struct err *err);

#endif
