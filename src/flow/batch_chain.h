/*
 * batch_chain.h - the plain objects that follow each other from an offset on, without a listing:
 * each has its first offset in its key, and as many offsets as lines.
 *
 * It ends where no object begins: at the end, at a hole, or behind an object whose lines are not
 * just its offsets. One that is too long to be followed is none.
 *
 * Threads: the caller's.
 */
#ifndef FLOW_BATCH_CHAIN_H
#define FLOW_BATCH_CHAIN_H

#include "flow/lake_input.h"

/* A folder whose listing is about this long or longer is one that had better not be listed. */
enum { LONG_FOLDER_BYTES = 256 << 10 };

/* Those from part->next on, up to `bytes_max` of them; the caller frees *ret_list. */
MUST_USE enum err_code batch_chain(struct store *store, const struct lake_part *part,
				   uint64_t bytes_max, struct lake_entry **ret_list,
				   size_t *ret_count, struct err *err);

#endif
