/*
 * remake.h - a log made anew of what others have kept of one: its topics with
 * their identity, its records with the ordinals, times and lives that they had.
 *
 *	remake_begin() ─► remake_topic() … ─► remake_add(), remake_gap() … ─► remake_end()
 *
 * It is made in DIR/log.part, which has a lock of its own, synced, read through
 * (every record is what was added, by count and CRC) and then named DIR/log,
 * which must not be there. A DIR/log.part that a crash left is begun anew.
 *
 * A segment is of one life (journal.h, LIVES), so each change of it begins one.
 * The last record of every partition is written at the very end: who goes on
 * behind it need not read the log to come there.
 *
 * Shards of a stream have no records here; they begin above positions that others
 * have of it, in a second of their own, so that no sequence number comes again.
 *
 * FAILPOINTS  remake-written remake-named
 *
 * Ownership: remake_free(). Threads: one.
 */
#ifndef BROKER_LOCAL_REMAKE_H
#define BROKER_LOCAL_REMAKE_H

#include "broker/broker.h"

struct remake;
struct remake_part;

/* ERR_EXISTS: there is a log. ERR_LOCKED: another one is being made there. */
MUST_USE enum err_code remake_begin(const char *dir, uint64_t segment_bytes,
				    struct remake **ret_remake, struct err *err);
void remake_free(struct remake *remake); /* accepts NULL; what was not ended is removed */

struct remake_topic {
	struct topic_ref topic;
	uint64_t uid;			/* 0: a new one */
	int32_t partitions;
	/* Of a topic, one a partition: no record before `born` is its, none before `first` kept. */
	const uint64_t *born;
	const uint64_t *first;
	/* Of a stream, one a shard: positions that are used up; zero: none. */
	const struct position *above;
};

/* All of them before the first record. *ret_parts: its partitions in order, the maker's. */
MUST_USE enum err_code remake_topic(struct remake *remake, const struct remake_topic *topic,
				    struct remake_part **ret_parts, struct err *err);
/* The `i`th of those. */
struct remake_part *remake_part(struct remake_part *parts, int32_t i);

/* The partition's next record. `life` 0: that of this log. */
MUST_USE enum err_code remake_add(struct remake_part *part, uint64_t ordinal, uint64_t life,
				  const struct append_record *record, struct err *err);
/* What is up to `next`, excluded, has no records. */
MUST_USE enum err_code remake_gap(struct remake_part *part, uint64_t next, enum gap_reason reason,
				  struct err *err);
/* No more will come. */
MUST_USE enum err_code remake_part_done(struct remake_part *part, struct err *err);

/* A file of the log's directory for who made it: there when the log is. */
MUST_USE enum err_code remake_note(struct remake *remake, const char *name, struct slice text,
				   struct err *err);

struct remade {
	uint64_t records;
	uint64_t bytes;			/* of segments */
	uint64_t segments;
};

/* Verified, durable and named. ERR_EXISTS: there is a log by now. ERR_CORRUPT: what was read back
 * is not what was written. */
MUST_USE enum err_code remake_end(struct remake *remake, struct remade *ret_remade,
				  struct err *err);

#endif
