/*
 * heal.h - each row of a table once again, after another program's OPTIMIZE has
 * doubled some (delta.h, struct delta_doubled).
 *
 * The rows of a table have a lineage of their own, (_partition, _offset). Only
 * files are looked at that came since the doubled rows went elsewhere for the
 * first time. Where two rows of one lineage are equal in all columns the one in
 * the larger file stays; the smaller file is replaced by what is left of it,
 * or by nothing. Where they differ, as somebody has updated one of the two, all
 * stay, and that is told.
 *
 * The commit is of dataChange false: together with the one that doubled the rows it
 * changes nothing, and who follows the table's changes has passed over that one,
 * too. It counts only while all files are live that have what is left of the
 * rows (ERR_BUSY), so that two who heal do not each count on the other's.
 *
 * Ownership, threads: as of compact.h.
 */
#ifndef FLOW_HEAL_H
#define FLOW_HEAL_H

#include "flow/compact.h"

struct heal_step {
	bool done;	    /* something was committed */
	uint64_t rows;	    /* that went */
	uint64_t differing; /* that stay, though there is another one of their lineage */
};

/* Nothing at all where nothing is known to be doubled. `bars`: what others have begun is to fail,
 * for who lost to them too often. ERR_BUSY: another writer made it void, and
 * the table is at what that one wrote. ERR_ABSENT: a file is not there. */
MUST_USE enum err_code heal_step(struct compactor *compactor, struct delta_table *table,
				 const char *root, bool bars, struct heal_step *ret_step,
				 struct err *err);

#endif
