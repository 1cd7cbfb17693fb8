/*
 * delta_doubled.h - rows that stand in some data files more than once, by their
 * lineage: found, and left out of the files that have them to no use.
 *
 * Of copies that are equal in every column (null is equal to null) the one in the
 * first file stays, in the order that the files are given in. Rows of one lineage
 * that differ are not touched, nor are those without one.
 *
 * Threads: that of the connection.
 */
#ifndef DELTA_DELTA_DOUBLED_H
#define DELTA_DELTA_DOUBLED_H

#include "delta/delta_merge.h"

/* What is in one of the files. */
struct delta_doubled_file {
	uint64_t surplus; /* rows that can go */
	bool holds;	  /* rows of lineages that are there more than once */
};

/* Whether the table has the two columns; without them nothing can be said of it. */
bool delta_doubled_can(const struct delta_schema *schema);
/* Into `files`, as many as merge->count, zeroed by the caller. *ret_differing: rows more than
 * lineages, of copies that are not equal. The merge's path is not used. */
MUST_USE enum err_code delta_doubled_find(struct duck *duck, const struct delta_merge *merge,
					  struct delta_doubled_file *files, uint64_t *ret_differing,
					  struct err *err);
/*
 * One file of what is left of those that have a surplus; otherwise as delta_merge_files().
 * ERR_CORRUPT: not as many rows are left as there should be.
 */
MUST_USE enum err_code delta_doubled_drop(struct duck *duck, const struct delta_merge *merge,
					  const struct delta_doubled_file *files, struct buf *stats,
					  uint64_t *ret_rows, uint64_t *ret_bytes, struct err *err);

#endif
