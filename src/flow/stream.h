/*
 * stream.h - the streaming path: records of the three streams, cleaned on the
 * fly, into three Delta tables.
 *
 *	reader ──records──► micro-batch a table ──clean()──► Parquet file ─┐
 *	                              └─► dead letters ────────────────────┴─► Delta commit
 *
 * A micro-batch is committed when it holds rows_max records or bytes_max of
 * them, or age_ms after its first one. The commit carries a `txn` for every
 * shard in it, {"pinpipe/stream/<stream>/<shard>/<uid of the stream>", last
 * ordinal}: on start each shard goes on after the ordinal that its table
 * names, so a record is in the table once whatever was repeated. Dead letters
 * are written before the commit; those past it are forgotten on start. A log
 * that ends before the ordinal is an older copy, and is refused.
 *
 * A table that has other columns than its model now wants (one went, or changed
 * its type) is refused, and told; the others go on. What it would have taken
 * stays in the log: until a rebuild nobody says that its stream is read.
 *
 * A store that is away is tried again for ever, with backoff, while the log
 * keeps what comes in; any other failure ends the process with everything in
 * its place, and the next start repeats the batch.
 *
 * One process a data directory (lock "stream.lock").
 * Ownership: everything in the options is borrowed. Threads: the caller's.
 */
#ifndef FLOW_STREAM_H
#define FLOW_STREAM_H

#include "broker/broker.h"
#include "engine/engine.h"
#include "flow/lake.h"

struct stream_options {
	const char *dir;		/* data directory: the lock; "tmp" in it exists */
	const char *id;
	struct broker *broker;
	struct store *store;
	struct engine *engine;
	const struct models *models;
	uint64_t rows_max;
	size_t bytes_max;
	int64_t age_ms;
	bool until_end;			/* stop when all that is in the log now is in the tables */
};

struct stream_counts {
	uint64_t *rows; /* by model, in their order */
	uint64_t *dead;
	uint64_t *unreadable;
	struct unknown_fields unknown; /* of all tables */
	uint64_t commits;
	size_t refused; /* tables whose columns are not the model's any more */
};

void stream_counts_release(struct stream_counts *counts);

/* The caller releases *ret_counts. Runs until a stop is asked (then drains what is in the log) or,
 * with until_end, until the end. */
MUST_USE enum err_code stream_run(const struct stream_options *options,
				  struct stream_counts *ret_counts, struct err *err);

#endif
