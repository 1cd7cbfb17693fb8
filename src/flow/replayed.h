/*
 * replayed.h - which dead letters are rows now.
 *
 * A replay (replay.h) puts a marker beside the letters, then commits:
 *
 *	dlq/<topic>/replayed/<data file>.json
 *	{"table":"clicks","root":"tables/…_clean","file":"part-….parquet","rebuild":-1,
 *	 "letters":[["0","00000000000000000005"],…]}
 *
 * The commit carries the txn "pinpipe/replay/<data file>", so a marker counts from
 * the very commit on that made its letters rows, and one that a crash left without a
 * commit never does. It counts until the commit of the next rebuild, which cleans all anew:
 * `rebuild` is what the table's txn of STAGING_APP_ID says as long as it does (-1: there is
 * none). Where a program of before has not said it, its rows must still be in their file, if
 * there was a rebuild at all. Nothing has to be rewritten or removed, in whatever order
 * readers look.
 *
 * Ownership: replayed_free(). Threads: one at a time.
 */
#ifndef FLOW_REPLAYED_H
#define FLOW_REPLAYED_H

#include "base/buf.h"
#include "delta/delta.h"

/* A table's txn that each of its replays takes on by one, and each rebuild: so that one which chose
 * its letters before the other's commit cannot commit. */
#define REPLAY_APP_ID "pinpipe/replay"

enum { REPLAYED_APP_ID_MAX = 160 };
#define REPLAYED_BYTES_MAX ((size_t)64 << 20)	/* of a marker */

struct replayed;

/* The table at `root` as who asks has it open; NULL: it has none of that name. */
typedef const struct delta_table *replayed_table_fn(void *user, const char *root);

/* Of a topic, or of all (NULL). `table` NULL: the tables are opened as they are now. */
MUST_USE enum err_code replayed_load(struct store *store, const char *topic,
				     replayed_table_fn *table, void *user,
				     struct replayed **ret_replayed, struct err *err);
void replayed_free(struct replayed *replayed);	/* accepts NULL */
bool replayed_has(const struct replayed *replayed, struct slice topic, struct slice table,
		  struct slice partition, struct slice offset);

/* "pinpipe/replay/<data file>" */
void replayed_app_id(char app_id[REPLAYED_APP_ID_MAX], const char *file);
void replayed_key(struct buf *out, const char *topic, const char *file);
bool replayed_is_marker(const char *key);

#endif
