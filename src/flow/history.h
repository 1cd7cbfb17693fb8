/*
 * history.h - of which topic the lake's objects are.
 *
 *	manifests/<topic>/generation=<g>.json		{"uid":"<hex>"}
 *	manifests/<topic>/generation=<g>+<uid>.json	{"uid":"<hex>"}
 *	manifests/<topic>/[generation=<g>/]partition=<p>/lineage+<first, 20 digits>+<32 hex>.json
 *
 *  1. An offset names a record only within one topic's life. The first kind of
 *     object says of which topic a generation is; it is put before the
 *     generation's first record, create-only, so that one topic has it.
 *  2. A topic that was made anew under the old name and goes on where the other
 *     ended (as those of our own log do) is of the same generation, which the
 *     second kind says. One whose offsets begin again is not: what it calls 5 is
 *     not what the lake has as 5. It stops, alone, or goes on as the next
 *     generation, if that is asked for.
 *  3. Within a topic's life, too, a log may be put back and written on. The third
 *     kind says which lineage the records have from an offset on, and is put
 *     before the first of them, so that the sink can tell that the record which it
 *     read last is not the one that the log has now, though it may look like it.
 *
 * A lake that is older than these has none, and then nothing is said.
 */
#ifndef FLOW_HISTORY_H
#define FLOW_HISTORY_H

#include "flow/lake.h"

enum { HISTORY_UID_MAX = 33 };	/* as topic_info.uid */

/* Of a topic's newest generation. */
struct history {
	uint32_t generation;		/* at least 1 */
	bool named;			/* it is said of which topic it is … */
	bool has_uid;			/* … and that is the one that was asked for */
};

/* One listing. */
MUST_USE enum err_code history_load(struct store *store, const char *topic, const char *uid,
				    struct history *ret, struct err *err);
/* Key and text of what names the topic; cleared first. `first`: of the generation. */
void history_write(struct buf *key, struct buf *text, const char *topic, uint32_t generation,
		   const char *uid, bool first);

/* Calls `each` for all that is said of a topic's generations: with the uid, or with an empty one
 * for that which the generation's first object says. */
MUST_USE enum err_code history_list(struct store *store, const char *topic,
				    void (*each)(void *user, uint32_t generation, struct slice uid),
				    void *user, struct err *err);
/* What the generation's first object says. ERR_ABSENT; ERR_CORRUPT: it says nothing. */
MUST_USE enum err_code history_read(struct store *store, const char *topic, uint32_t generation,
				    char uid[HISTORY_UID_MAX], struct err *err);

/* Key and text of what says that records from offset `first` on are of a lineage. */
void lineage_write(struct buf *key, struct buf *text, struct lake_partition where, uint64_t first,
		   struct lineage lineage);

enum { LINEAGES_MAX = 8 };

/* What a record's lineage can be. Several: sinks ended between saying it and putting the record,
 * and the log was put back in between. */
struct lineages {
	struct lineage list[LINEAGES_MAX];
	size_t count;			/* 0: it is not said */
};

/* Of the record at offset `at`. One listing. */
MUST_USE enum err_code lineage_load(struct store *store, struct lake_partition where, uint64_t at,
				    struct lineages *ret, struct err *err);
/* Calls `each` for all that is said of a partition, in the order of `first`. */
MUST_USE enum err_code lineage_list(struct store *store, struct lake_partition where,
				    void (*each)(void *user, uint64_t first,
						 struct lineage lineage),
				    void *user, struct err *err);
bool lineages_allow(const struct lineages *lineages, struct lineage lineage);

#endif
