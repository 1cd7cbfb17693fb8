/*
 * sink.h - from the log to the lake: the records of each partition of a topic,
 * in order, as objects (lake.h has their names and contents).
 *
 *	              ┌─ JSON ──────► line of the object being filled ─┐
 *	reader ──► record                                               ├─► sink_writer ──► store
 *	              └─ not JSON ──► dead letter (stage "sink") ───────┘
 *
 *  1. An object takes records until it has flush_size of them, flush_bytes, or
 *     its first one is flush_age_ms old (a timer, so a quiet topic lands too);
 *     earlier if all that is being filled passes a budget of memory. So it does
 *     when the newest time of the partition's records has moved on by
 *     rotate_interval_ms, or the clock by that, and at the marks of the local clock
 *     that are whole multiples of rotate_schedule_ms from midnight on.
 *  2. Line n of an object is the record at its start offset + n, or a manifest
 *     says which (manifest.h). So a gap of numbers that were no records does not
 *     close an object, but a dead letter closes the one before it: tombstones, and
 *     values that are not JSON as json.h reads it. Values lose the white space
 *     between tokens.
 *     With time buckets, gzip, or keys and headers, objects land in groups, those of
 *     all buckets together (group.h, sink_group.h). Where offsets end up differs
 *     from one sink to another only in who was first: clocks decide when a group is
 *     closed, and its manifest, for ever, what is in it.
 *  3. What is closed goes into the lake in order of offsets, one after the
 *     other in each partition, create-only; partitions at the same time. So all
 *     of a partition below its newest object or dead letter is there, and a
 *     restart finds where it was from that alone. Positions told to the broker,
 *     once a second at most, are informative.
 *  4. On a start the last line of the newest object is compared with the same
 *     record in the log, if that is still kept, and their lineages are: a lake that
 *     belongs to another log must not be continued. A topic whose offsets begin
 *     again halts, or goes on as the next generation (history.h).
 *  5. A put is tried again for ever, with backoff, while other partitions go on.
 *     If the object is there with the same bytes the put has been done before.
 *     If it has other bytes another sink was faster, whose directory need not be
 *     this one's: what is queued is dropped, and the partition goes on from what
 *     the lake has then. Only what no other try can mend (4. fails, the newest
 *     object is not as 2. wants it) halts the partition: nothing is overwritten,
 *     the others go on, and sink_run() ends with an error.
 *     Once a bounded amount waits, partitions are paused until half of it has
 *     landed; the reader is asked all the time, so that its group keeps them.
 *  6. What was lost of the log (damage, retention, a topic that was removed before
 *     it was read) goes to the dead letters, one a range, without a value, so that
 *     the lake goes on and every offset is accounted for. (To wait for a person
 *     would let retention take the good records after it. The segment keeps its
 *     bytes, and the dead letters say which to restore.)
 *  7. A partition that is asked for is given up when nothing of it is on its way
 *     to the store any more: queued objects are dropped, one at hand is waited for.
 *
 *  8. Whoever ended in the middle of a group has left its manifest: the next one
 *     makes what is missing of it out of the log before anything else. What the log
 *     has lost of it in between is told as in 6.
 *
 * One process a data directory (lock "sink.lock").
 * Ownership: everything in the options is borrowed. Threads: the caller's, and
 * the writer's (sink_writer.h), which call the store.
 */
#ifndef FLOW_SINK_H
#define FLOW_SINK_H

#include "broker/broker.h"
#include "flow/event_time.h"
#include "flow/path_format.h"

/* What becomes of a record without a value. */
enum sink_nulls {
	SINK_NULLS_LETTER, /* a dead letter */
	SINK_NULLS_IGNORE, /* as if it had never been a record */
	SINK_NULLS_FAIL,   /* its partition halts */
};

struct sink_options {
	const char *dir;		/* data directory: the lock */
	const struct lake_table *tables; /* whose topics are taken (the batch path) … */
	size_t table_count;
	bool take_all;	 /* … and with this all others there are, and those that come */
	bool named_only; /* … or only `topics` */
	struct broker *broker;
	struct store *store;
	const char *group; /* whose members share the partitions: those of one lake;
			      NULL: "sink" */
	const char *const *topics; /* besides, by name or pattern */
	size_t topic_count;
	uint64_t flush_size;		/* records */
	size_t flush_bytes;
	int64_t flush_age_ms;
	int64_t rotate_interval_ms; /* 0: none, as the next one */
	int64_t rotate_schedule_ms;
	struct path_format path; /* of time buckets; without a pattern there are none */
	struct event_time time;
	bool gzip;
	bool keys; /* beside the values */
	bool headers;
	enum sink_nulls nulls;
	bool new_history;		/* what begins again goes on, as the next generation */
	bool until_end;			/* stop when all that is in the log now is in the lake */
};

struct sink_counts {
	uint64_t *records; /* lines put, by table (of those that share a topic the first);
			      the last one, [table_count]: of other topics */
	uint64_t *dead;
	uint64_t objects;
	uint64_t bytes;
	uint64_t missed;		/* records that the log no longer had */
	uint64_t halted;		/* partitions */
};

/*
 * Runs until a stop is asked (then what is in the log at that moment still goes into the lake, if
 * the store lets it within some seconds) or, with until_end, until the end. The counts are set on
 * errors too; the caller releases them. ERR_CORRUPT: a partition halted; ERR_STOPPED: not all could
 * be put.
 */
void sink_counts_release(struct sink_counts *counts);
MUST_USE enum err_code sink_run(const struct sink_options *options, struct sink_counts *ret_counts,
				struct err *err);

#endif
