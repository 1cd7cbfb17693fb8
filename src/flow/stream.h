/*
 * stream.h - the streaming path: records of the three streams, cleaned on the
 * fly, into three Delta tables.
 *
 *	reader ──records──► micro-batch a table ──clean()──► Parquet file ─┐
 *	                              └─► dead letters ────────────────────┴─► Delta commit
 *
 * A micro-batch is committed when it holds rows_max records or bytes_max of
 * them, or age_ms after its first one. The commit carries how far every shard in
 * it is, under the id "pinpipe/stream/<stream>/<shard>/<uid of the stream>": on
 * start each shard goes on after the position that its table names, so a record
 * is in the table once whatever was repeated, and by whom: where two streams
 * write one table, the commit of one of them is refused, and it reads again from
 * where the other is. Dead letters are written before the commit.
 *
 * With the position goes the history that its record is of. A log that has there
 * a record of another one (an older copy that was put back and written on) is
 * told, and so is one that ends before it; that table is left out then. With
 * `new_history` it takes the whole of the new history instead, as its next
 * generation: the rows' _offset begins with "g0002-".
 *
 * What is wrong with one table leaves that one out, and is told; the others go
 * on: other columns than its model now wants (one went, or changed its type), a
 * log that is not its own. What it would have taken stays in the log: nobody
 * says of its stream that it is read.
 *
 * A lake that is away is tried again for ever, with backoff (retry.h), while its
 * shards are paused and the log keeps what comes in; with until_end for
 * patience_ms. Any other failure ends the process with everything in its place,
 * and the next start repeats the batch.
 *
 * A shard that is revoked is given up once what was read of it is in the table,
 * or forgotten. The children of a shard that was closed begin when all of it is
 * in the tables.
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
	struct lake_keep keep;
	int64_t age_ms;
	bool until_end;			/* stop when all that is in the log now is in the tables */
	bool new_history;    /* a log that is another history: go on, in a next generation */
	int64_t patience_ms; /* with a lake that is away, with until_end; 0: a minute */
};

struct stream_counts {
	uint64_t *rows; /* by model, in their order */
	uint64_t *dead;
	uint64_t *unreadable;
	struct unknown_fields unknown; /* of all tables */
	uint64_t commits;
	size_t refused; /* tables that were left out */
};

void stream_counts_release(struct stream_counts *counts);

/* The caller releases *ret_counts. Runs until a stop is asked (then drains what is in the log) or,
 * with until_end, until the end. */
MUST_USE enum err_code stream_run(const struct stream_options *options,
				  struct stream_counts *ret_counts, struct err *err);

#endif
