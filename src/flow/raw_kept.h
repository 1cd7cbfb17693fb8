/*
 * raw_kept.h - from where on raw objects and dead letters are kept: what retention
 * let go of is no damage.
 *
 *	manifests/<topic>/[generation=<g>/]partition=<p>/kept+<from, 20 digits>.json
 *	{"from":"<20 digits>"}
 *	dlq/<topic>/kept/<partition>+<g>+<upto>+<table>		(empty)
 *
 *  1. A mark is put before anything goes that it tells of, create-only; the highest one of a
 *     partition counts, and those before it are removed afterwards.
 *  2. The first kind: what begins before `from`, which is where an object or a group begins, is
 *     not looked at by anybody, be it there still or once more: a retention may have been cut off,
 *     and a sink that slept for long may put an object whose name is free again.
 *  3. From a partition's first group on there are groups only (group.h, rule 4): its manifest
 *     stays, without its objects.
 *  4. The second kind: letters of that table, or some of them, are gone up to that position.
 *
 * Ownership: letters_kept_release(). Threads: the caller's.
 */
#ifndef FLOW_RAW_KEPT_H
#define FLOW_RAW_KEPT_H

#include "flow/lake.h"

/* *ret_from 0: nothing went. One listing. */
MUST_USE enum err_code raw_kept_find(struct store *store, struct lake_partition where,
				     uint64_t *ret_from, struct err *err);
/* Before it is called again with a higher one, objects may be there that begin before `from`. */
MUST_USE enum err_code raw_kept_put(struct store *store, struct lake_partition where, uint64_t from,
				    struct err *err);

/* Of one table's letters in a partition; texts are parts of `key`. */
struct letters_mark {
	struct slice topic;
	struct slice partition; /* as partition_text() */
	uint32_t generation;	/* from 1 */
	struct position upto;
	struct slice table;
	char *key;
};

struct letters_kept {
	struct letters_mark *list;
	size_t count;
};

/* Whether a key below dlq/ is that of a mark. */
bool letters_kept_is_mark(const char *key);
/* Of a topic or stream. One listing. */
MUST_USE enum err_code letters_kept_find(struct store *store, const char *topic,
					 struct letters_kept *ret_kept, struct err *err);
void letters_kept_release(struct letters_kept *kept);
/* Up to where letters of the partition may be gone, of any table (NULL) or of this one. */
bool letters_kept_upto(const struct letters_kept *kept, struct slice partition, uint32_t generation,
		       const char *table, struct position *ret_upto);
/* `kept`: as they are; those that this one stands for are removed. */
MUST_USE enum err_code letters_kept_put(struct store *store, const struct letters_kept *kept,
					const struct letters_mark *mark, struct err *err);

#endif
