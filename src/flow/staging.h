/*
 * staging.h - a table's rebuild on its way: what is made anew lies beside the
 * table until one commit puts it in place.
 *
 * It makes a store that is the lake, but for two places, which it has below
 * <root>/_rebuild/<id>/ (readers of Delta pass over names that begin with "_"):
 * the table's log, so that batch and stream fill a table of their own, with data
 * files in the real one's directory; and dead letters that are written.
 *
 *	staging_begin() ─► clean into it ─► staging_seal(letters ─► delta_replace() ─► staging_settle()
 *	 "began": a version                 that go) "sealed"        txn = the id       letters go over
 *
 *	1. Any number of rebuilds of a table may be under way, from anywhere: each has
 *	   an id of its own, created only. The table names the one that counts (txn
 *	   STAGING_APP_ID), as a rebuild is committed on the version that it was begun
 *	   on or never.
 *	2. Until the commit the old letters stand, the new ones are staged. What is
 *	   staged and can not be committed any more, as the table has moved on, is
 *	   thrown away by whoever comes by; what still can is left alone.
 *	3. From the commit on the new letters count: the old ones, those that the seal
 *	   names, are removed, and the staged ones copied over. Neither has a name of
 *	   the other, so that may be done again after a crash, late, and by several at
 *	   once: a letter is neither lost nor there twice once staging_settle() has run.
 *
 * Whoever opens a table to write it (batch, stream, rebuild), wherever it runs,
 * calls staging_settle() first. No lock is needed for any of it.
 *
 * Ownership: borrows the store; staging_release(). Threads: one at a time.
 */
#ifndef FLOW_STAGING_H
#define FLOW_STAGING_H

#include "delta/delta.h"
#include "flow/lake.h"

#define STAGING_APP_ID "pinpipe/rebuild"

struct staging {
	struct store base; /* first: to be given to batch and stream */
	struct store *store;
	char root[STORE_KEY_MAX / 2];
	int64_t id;
	char **kept; /* letters that stand, and were put again as they are */
	size_t kept_count;
};

/* `delta`: the table as it is, which the rebuild is planned on. */
MUST_USE enum err_code staging_begin(struct staging *staging, struct store *store, const char *root,
				     const struct delta_table *delta, struct err *err);
void staging_release(struct staging *staging);
/* Whether the letters of this key stay where they are. */
bool staging_keeps(const struct staging *staging, const char *key);
/* All is staged. `drop`: keys of letters that go with the commit, a line each. */
MUST_USE enum err_code staging_seal(const struct staging *staging, struct slice drop,
				    struct err *err);
/* Throw it away. It was not committed, for sure. */
MUST_USE enum err_code staging_abandon(const struct staging *staging, struct err *err);
/* Wall clock of the beginning of the oldest that may still be committed; 0: there is none. */
MUST_USE enum err_code staging_oldest(struct store *store, const char *root,
				      const struct delta_table *delta, int64_t *ret_ms,
				      struct err *err);
/* End what rebuilds left, one way or the other, by what the table says; it has just been read. */
MUST_USE enum err_code staging_settle(struct store *store, const struct lake_table *place,
				      const struct delta_table *delta, struct err *err);

#endif
