/*
 * staging.h - a table's rebuild on its way: what is made anew lies beside the
 * table until one commit puts it in place.
 *
 * staging_init() makes a store that is the lake, but for two places, which it
 * has below <root>/_rebuild/ (readers of Delta pass over names that begin with
 * "_"): the table's log, so that batch and stream fill a table of their own,
 * with data files in the real one's directory; and dead letters that are written.
 *
 *	clean into the staged table ─► staging_seal(version) ─► delta_replace() ─► staging_settle()
 *	                               marker "sealed"           txn STAGING_APP_ID    letters go over
 *
 *	1. Until the commit the old letters stand, the new ones are staged. A crash
 *	   leaves the old table; what is staged is thrown away.
 *	2. The commit's txn STAGING_APP_ID has the marker's version. From then on the
 *	   new letters count: the old ones are removed and the staged ones copied over,
 *	   all of it again after a crash, until the marker is gone. So a letter is
 *	   neither lost nor there twice once staging_settle() has run.
 *
 * Whoever opens a table to write it (batch, stream, rebuild), under its lock,
 * calls staging_settle() first.
 *
 * Ownership: borrows the store. Threads: as the store's.
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
};

void staging_init(struct staging *staging, struct store *store, const char *root);
/* All is staged; `version`: what the commit's txn will say. */
MUST_USE enum err_code staging_seal(const struct staging *staging, int64_t version,
				    struct err *err);
/* End what a rebuild left, one way or the other, by what the table says. */
MUST_USE enum err_code staging_settle(struct store *store, const struct lake_table *place,
				      const struct delta_table *delta, struct err *err);

#endif
