/*
 * batch_find.h - which objects of the lake a table has not cleaned yet.
 *
 * A partition's progress is an offset, and two txns beside it tell the object
 * that it stands in: its start and its bytes. By them a listing tells, without
 * reading anything, whether that object is still what it was. It is not if
 * somebody removed it and the sink landed it again, longer; then the batch begins
 * with it, and passes over the records that the table has.
 *
 * What it costs follows what is new. A service lists from that object on. A directory is read as a
 * whole, so a long one is not: the next object has the key of the next offset, and its lines tell
 * the key after it. Where that leads to nothing, the folder's mark tells whether anything came
 * since it was read last; only then is it read, for an object behind a hole, or one that is not
 * what it was. So in a long directory what is behind a hole is told by the next run.
 *
 * Ownership: everything is borrowed but `stopped`, which the caller frees.
 */
#ifndef FLOW_BATCH_FIND_H
#define FLOW_BATCH_FIND_H

#include "delta/delta.h"
#include "flow/lake_input.h"

/* What was known of a partition's folders when nothing came after offset `next` - 1 in them. */
struct batch_marks {
	int32_t partition;
	uint32_t generation;
	uint64_t next;
	uint64_t objects; /* store_mark(); 0: not known */
	uint64_t manifests;
	uint64_t until; /* where groups begin; UINT64_MAX: there are none */
};

/* What a run leaves behind about a table for those after it. */
struct batch_known {
	struct batch_txn {
		char *app_id;
		int64_t version;
	} * txns; /* of the table's log that tell how far partitions are */
	size_t txn_count;
	struct batch_marks *marks;
	size_t mark_count;
};

struct batch_finder {
	struct store *store;
	const struct lake_table *table;
	/* Tells how far partitions are; NULL: `known` does, or, without it, there is no table. */
	const struct delta_table *delta;
	struct batch_known *known;	 /* its marks are used, and brought up; or NULL */
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

void batch_known_add_txn(struct batch_known *known, const char *app_id, int64_t version);
void batch_known_clear_txns(struct batch_known *known);
void batch_known_release(struct batch_known *known);
void batch_ids_init(struct batch_ids *ids, const struct lake_partition *where);
/* Adds every partition of the topic to the input, and of each the objects that come next. */
MUST_USE enum err_code batch_find(struct batch_finder *finder, struct lake_input *input,
				  struct err *err);
/* Whether batch_find() would find anything, by as few requests as that takes. */
MUST_USE enum err_code batch_find_any(struct batch_finder *finder, bool *ret_any, struct err *err);

#endif
