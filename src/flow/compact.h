/*
 * compact.h - few files in place of many, a merge at a time.
 *
 *	compact_plan() ─► open the files ─► one Parquet file of their rows ─► put ─► delta_rewrite()
 *
 * No row changes, and no reader has to know: one sees the old files or the new
 * one. It goes on beside every other writer of the table. Whoever takes one of
 * the files away first, by a DELETE or a merge of its own, wins: what was made
 * here is removed, and the next step plans on what is there then.
 *
 * A crash leaves a file that no version names, which clean-up takes, or a table
 * that is merged; what is in DIR/tmp goes with the next who works there.
 *
 * It goes by the table, not by its model: columns that a model lacks are kept. A
 * table with a column of a type that is not written here, or that asks for more
 * of its writers than Delta's writer version 2, is left as it is (ERR_UNSUPPORTED).
 *
 * Ownership: what is in the options is borrowed. Threads: one at a time, and one
 * of its own during a merge, so that a stop ends that at once (ERR_STOPPED).
 */
#ifndef FLOW_COMPACT_H
#define FLOW_COMPACT_H

#include "delta/delta.h"
#include "engine/spills.h"
#include "flow/compact_plan.h"
#include "sql/duck.h"

struct compact_options {
	struct store *store;
	const char *dir; /* the data directory; "tmp" in it is made */
	struct compact_policy policy; /* what a table begins with */
	uint64_t memory_bytes_max;
	int threads;
};

struct compactor {
	struct compact_options options;
	struct spills spills; /* also has the file that is being written */
	struct duck duck;     /* opened for the first merge */
	bool open;
};

/* What a step has done; all zero: there was nothing to do. */
struct compact_step {
	size_t files_in;
	size_t files_out; /* 0: they held no row */
	uint64_t bytes_in;
	uint64_t bytes_out;
};

struct compact_report {
	bool there; /* false: there is no such table, and nothing was done */
	uint64_t files_before;
	uint64_t files_after;
	uint64_t bytes_before;
	uint64_t bytes_after;
	uint64_t commits;
};

void compactor_init(struct compactor *compactor, const struct compact_options *options);
/* Give back the memory; the next merge takes it again. */
void compactor_rest(struct compactor *compactor);
void compactor_release(struct compactor *compactor);

/*
 * One merge of this table, or nothing. Where memory_bytes_max is not enough for one, the table's
 * policy gets a smaller target, with a warning, and it is planned anew. ERR_BUSY: another writer
 * has made it void, and the table is at what that one wrote. ERR_ABSENT: a file of it is not there.
 * ERR_UNKNOWN: open the table again. ERR_LIMIT: the memory is not enough for the least, or the disk
 * for what is spilled.
 */
MUST_USE enum err_code compactor_step(struct compactor *compactor, struct compact_policy *policy,
				      struct delta_table *table, const char *root,
				      struct compact_step *ret_step, struct err *err);

/* All merges that are to be made of this table now. `name`: a user's word for it. ERR_BUSY: it lost
 * too often to other writers. */
MUST_USE enum err_code compactor_run(struct compactor *compactor, const char *root,
				     const char *name, struct compact_report *ret_report,
				     struct err *err);

#endif
