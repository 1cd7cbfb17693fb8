/*
 * replayed.h - which dead letters are rows now.
 *
 * A replay (replay.h) puts a marker beside the letters, then commits:
 *
 *	dlq/<topic>/replayed/<data file>.json
 *	{"table":"clicks","root":"tables/…_clean","file":"part-….parquet",
 *	 "letters":[["0","00000000000000000005"],…]}
 *
 * The commit carries the txn "pinpipe/replay/<data file>", so a marker counts from
 * the very commit on that made its letters rows, and one that a crash left without a
 * commit never does. Nothing has to be rewritten or removed, in whatever order readers look.
 *
 * Ownership: replayed_free(). Threads: one at a time.
 */
#ifndef FLOW_REPLAYED_H
#define FLOW_REPLAYED_H

#include "base/buf.h"
#include "store/store.h"

enum { REPLAYED_APP_ID_MAX = 160 };
#define REPLAYED_BYTES_MAX ((size_t)64 << 20)	/* of a marker */

struct replayed;


/* Of a topic, or of all (NULL). `committed`: whether a table has a txn; NULL: the tables are opened
 * as they are now. */
MUST_USE enum err_code replayed_load(struct store *store, const char *topic,
				     bool (*committed)(void *user, const char *root,
						       const char *app_id),
				     void *user, struct replayed **ret_replayed, struct err *err);
void replayed_free(struct replayed *replayed);	/* accepts NULL */
bool replayed_has(const struct replayed *replayed, struct slice topic, struct slice table,
		  struct slice partition, struct slice offset);

/* "pinpipe/replay/<data file>" */
void replayed_app_id(char app_id[REPLAYED_APP_ID_MAX], const char *file);
void replayed_key(struct buf *out, const char *topic, const char *file);
bool replayed_is_marker(const char *key);

#endif
