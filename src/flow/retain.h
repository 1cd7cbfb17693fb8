/*
 * retain.h - raw objects and dead letters that are older than they are to be
 * kept, taken away: `raw.retention` and `letters.retention`.
 *
 *	mark put (raw_kept.h) ─► objects removed, oldest first ─► their manifests removed
 *
 *  1. A raw object goes when it is as old as that, and every table that is made of its topic has
 *     begun with the object after it. So the one that a table stands in stays, the newest of a
 *     partition, and its newest group: what the sink finds its place by. Objects of a group go
 *     together, by the age of the last one that was put.
 *  2. What is left of a partition is where it ends, without a hole. So nothing goes behind an
 *     object that stays.
 *  3. Nothing of a topic goes while one of its tables is not there yet, cannot be read, or is being
 *     rebuilt; nothing at all goes while a clean model is broken, which may read any topic; and
 *     nothing of topics that no model reads.
 *  4. Letters of a table go when they are as old as that, and the table has passed their range.
 *     Those of the sink account for offsets, as objects do: they go when the raw objects around
 *     them have gone, too. Letters of older programs, whose names tell no range, stay.
 *  5. Only what has a name of flow/lake.h, or dlq_key.h, is looked at.
 *
 * Who was cut off is followed by who comes next: what begins before the mark goes, however old.
 *
 * FAILPOINTS  retain-marked retain-removed retain-letters-marked retain-letters-removed
 *
 * Ownership: everything is borrowed. Threads: the caller's one; removals several at a time.
 */
#ifndef FLOW_RETAIN_H
#define FLOW_RETAIN_H

#include "flow/lake.h"

/* How long both are kept, by the store's times; 0: for ever. */
struct retain_keep {
	int64_t raw_ms;
	int64_t letters_ms;
};

struct retain_options {
	struct store *store;
	const struct models *models;
	const char *id;
	struct retain_keep keep;
	bool dry_run; /* nothing is written or removed */
	void (*each)(void *user, const char *key, uint64_t size); /* what goes; or NULL */
	void *user;
};

struct retained {
	uint64_t removed;
	uint64_t removed_bytes; /* as stored; of the objects of groups as they are unpacked */
};

struct retain_report {
	struct retained raw;
	struct retained letters;
};

/* The topic or stream of `table`, all that are made of it. Adds to *report also where it fails.
 * ERR_ABSENT: one of them is not there yet, and nothing went. */
MUST_USE enum err_code retain_topic(const struct retain_options *options,
				    const struct lake_table *table, struct retain_report *report,
				    struct err *err);

#endif
