/*
 * lake_copy.h - a lake from one store to another: every object below the place,
 * with its words, byte for byte.
 *
 *  1. What is there already, with the same bytes and words, is passed over: so a
 *     copy that was cut is begun again and goes on. What is there with others
 *     refuses the whole copy before anything is written, unless it may be replaced.
 *     Objects that a pipeline replaces itself (results, Delta's hint of the last
 *     checkpoint) always may, and empty ones that bar a sink's way (group.h).
 *     A table's log is one history. Of one with another commit nothing stays: its log
 *     is removed, the newest version first, before the source's comes; a checkpoint
 *     of its own would be read with the source's commits. One that is ahead of the
 *     source refuses the copy in any case. So do raw objects of the copy's own in a
 *     partition where the source's have begun: their records would be there twice.
 *     Dead letters that the source has not any more (a rebuild made others in their
 *     place) go where others may be replaced: they would count.
 *  2. Every object that was put is read back and compared: a large one, which is never in
 *     memory as a whole, by the hashes of its pieces.
 *  3. Order: manifests, raw objects, dead letters, data files, and last the logs of
 *     the tables, each in the order of its versions. So a reader of the copy never
 *     sees a commit before what it names. The commits up to a table's newest
 *     checkpoint are put in any order where there is no table yet, its first one
 *     after them: without that it is none.
 *  4. A lake that is written to meanwhile gives a copy of one moment. The logs of
 *     the tables are listed first, then how far each partition of the raw objects
 *     and the sink's letters came; everything else is listed after that. What a
 *     commit names was put before it, and the objects and letters of a partition are
 *     put one after the other: so all that was seen to be needed is in the second
 *     listing, and of the raw side what has come since is left out. What is cleaned
 *     up meanwhile (delta_clean.h) that moment does not need, unless the copy takes
 *     longer than a table keeps it: then it ends with ERR_BUSY, and is to be made
 *     again, for what has come since. So it is where raw objects went by age: while
 *     the source was listed (a mark of raw_kept.h is another one), as the tables
 *     whose logs were listed first need not have had them; or before they were copied.
 *
 * Until it has ended nothing should work on the copy but readers of tables. A
 * rebuild removes letters: no copy should be made while one runs.
 *
 * FAILPOINTS  copy-put copy-log copy-remove
 *
 * Ownership: stores are borrowed. Threads: the caller's one and its own ones.
 */
#ifndef FLOW_LAKE_COPY_H
#define FLOW_LAKE_COPY_H

#include "store/store.h"

struct lake_copy_options {
	struct store *from;
	struct store *to;
	bool replace;		/* what is there and is another */
	bool dry_run;		/* compare, and copy nothing */
};

struct lake_copy_report {
	uint64_t objects;	/* of the source */
	uint64_t bytes;
	uint64_t same;		/* were there already */
	uint64_t copied;	/* in a dry run: would be */
	uint64_t copied_bytes;
	uint64_t replaced;	/* of them */
	uint64_t late;		/* came while the source was listed: for the next copy */
	uint64_t gone;		/* were removed meanwhile, as letters may be, and old files */
	uint64_t other;		/* that only the copy has: left alone, but for … */
	uint64_t letters;	/* … those of letters, which go with `replace`, … */
	uint64_t logs; /* … and of the logs of tables that were replaced, which are gone */
	uint64_t wordless;	/* whose words the copy cannot keep */
};

/* ERR_EXISTS: there are other objects, or a table or a partition has gone its own way. ERR_CORRUPT:
 * what was read back is not what was put. ERR_BUSY: files that a table needs were cleaned up before
 * they were copied. ERR_STOPPED. */
MUST_USE enum err_code lake_copy(const struct lake_copy_options *options,
				 struct lake_copy_report *ret_report, struct err *err);

#endif
