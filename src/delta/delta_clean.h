/*
 * delta_clean.h - taking away what a table keeps longer than it says that it
 * does (delta_retention()).
 *
 * Files: data files that are in no version younger than that: removed ones, and
 * those that no commit ever named, as a crash leaves them. Names that begin with
 * "_" or ".", and what is no ".parquet", are somebody else's.
 *
 * Log: of the checkpoints that are as old as that the newest stays, with all
 * that came after it; what came before goes, the oldest first. Between there and
 * now checkpoints are thinned out to one for each tenth of the time.
 *
 *	1. Nothing younger than a minute goes, whatever the table says: it is refused
 *	   to keep less. Writers rest on that (delta_table.h, delta_add.made_ms), and
 *	   readers that have just listed.
 *	2. What cannot be told goes on: a property that cannot be read, a checkpoint
 *	   that cannot, a file without a time.
 *	3. It may end anywhere, and be done by several at once: a table is whole after
 *	   each removal, and the next one goes on.
 *	4. Before a file goes of a table that nobody has written since its writer may have
 *	   looked at its age last, an empty version is written, so that none which names it
 *	   can come any more. While a rebuild is under way that waits.
 *	5. Ages are those of the store's objects, by this machine's clock; and of the
 *	   removals, by the clocks of those who made them.
 *
 * Threads: the table's.
 */
#ifndef DELTA_DELTA_CLEAN_H
#define DELTA_DELTA_CLEAN_H

#include "delta/delta.h"

struct delta_clean_options {
	bool dry_run;	       /* nothing is removed */
	int64_t spare_from_ms; /* data files no older than this stay (wall clock); 0: none */
	/* So long it removes, or as long as it took to find out what; 0: until all is gone. */
	int64_t most_ms;
	void (*each)(void *user, const char *key, uint64_t size); /* what goes; or NULL */
	void *user;
};

struct delta_cleaned {
	uint64_t removed, removed_bytes;
	uint64_t kept, kept_bytes; /* of those that could be told */
	bool unfinished;	   /* its time was over; more could have gone */
};

/* Adds to *cleaned also where it fails. ERR_STOPPED: this process is asked to stop. */
MUST_USE enum err_code delta_clean_files(struct delta_table *table,
					 const struct delta_clean_options *options,
					 struct delta_cleaned *cleaned, struct err *err);
MUST_USE enum err_code delta_clean_log(struct delta_table *table,
				       const struct delta_clean_options *options,
				       struct delta_cleaned *cleaned, struct err *err);

#endif
