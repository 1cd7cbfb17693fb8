/*
 * compact_plan.h - which of a table's files become one next.
 *
 * Files are of size classes: below 64 KiB, below eight times that, and so on, up
 * to half of the target size. Those of the target's half and more are done, and
 * are never touched again. As soon as ten files of one class are there, or as
 * many bytes of it as the target, they become one file, which is of a class
 * further up; where that makes ten of the next class, those go along at once.
 *
 *	class 0  ▪▪▪▪▪▪▪▪▪▪ ─┐
 *	class 1  ■■■■■■■■■ ──┴─► one of class 2
 *	class 2  █ █
 *	done     ███ ███ ███ …
 *
 * So a row is written once a class, whatever the table's size: a day of 345,600
 * commits of 20 KB is written four times by compaction (the unit test counts),
 * and has about seventy files in the end. Ten files, and classes eight apart: what
 * ten of a class become is of the next though they lose something on the way, as
 * a file of more rows takes less for each.
 *
 * Of many thousand files, which have come while nobody merged, a thousand are
 * taken at a time.
 *
 * Nothing here looks at a table; numbers come in and go out.
 */
#ifndef FLOW_COMPACT_PLAN_H
#define FLOW_COMPACT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMPACT_FILES_MAX = 1000 };

struct compact_policy {
	uint64_t target_bytes; /* of a file that is done */
	bool all;	       /* as few files as may be, now: for who asks for that */
};

/* Places in `sizes` of the files that become one now, in ascending order, into `ret_chosen`, which
 * has room for COMPACT_FILES_MAX; returns how many. 0: nothing is to be done. */
size_t compact_plan(const struct compact_policy *policy, const uint64_t *sizes, size_t count,
		    size_t *ret_chosen);

#endif
