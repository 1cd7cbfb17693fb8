/*
 * stream_table.h - one table of the streaming path: its micro-batch, its
 * shards and its commits (see stream.h for what is promised).
 *
 * Ownership: the caller's storage; everything given is borrowed.
 * Threads: the caller's one thread.
 */
#ifndef FLOW_STREAM_TABLE_H
#define FLOW_STREAM_TABLE_H

#include "delta/delta.h"
#include "flow/micro_batch.h"

#include <limits.h>

struct stream_shard {
	struct batch_shard batch;	/* first: what the micro-batch holds on to */
	int32_t partition;
	char app_id[LAKE_APP_ID_MAX];
	int64_t done;			/* the last ordinal that the table has, or -1 */
	struct position read;		/* of the last record in the micro-batch */
	struct position goal;		/* drained once `next` has come this far */
	struct position next;		/* after the last record committed or in the batch */
	struct position committed;	/* after the last one that the table has */
	bool dirty;			/* has records in the micro-batch */
	bool ended;			/* read to its end, or not ours any more */
};

struct stream_table {
	struct store *store;
	struct engine *engine;
	struct lake_table place;
	char temp_path[PATH_MAX];
	struct delta_table *delta;	/* NULL: refused, the stream goes on without this table */
	struct micro_batch batch;
	struct stream_shard **shards;
	size_t shard_count;
	uint64_t rows;
	uint64_t dead;
	uint64_t unreadable;
	struct unknown_fields unknown;
	int64_t unknown_ms;		/* when they were told last; 0: never */
	uint64_t unknown_told;		/* how many there were then */
	uint64_t commits;
};

struct stream_table_options {
	struct store *store;
	struct engine *engine;
	const char *dir;		/* has "tmp" for the temporary file */
	struct lake_table place;
	size_t bytes_max;		/* of values in one micro-batch */
	bool staged;			/* a rebuild's own: the store is its staging */
};

MUST_USE enum err_code stream_table_open(struct stream_table *table,
					 const struct stream_table_options *options,
					 struct err *err);
void stream_table_close(struct stream_table *table);
struct topic_ref stream_table_topic(const struct stream_table *table);

/* A shard is ours from now on: where it goes on, from what the table says. ERR_CORRUPT: the log has
 * not even what the table has, and that does not change within seconds. */
MUST_USE enum err_code stream_table_assign(struct stream_table *table, struct broker *broker,
					   int32_t partition, struct reader_start *ret_start,
					   struct err *err);
struct stream_shard *stream_table_shard(struct stream_table *table, int32_t partition);
/* Copies the records into the micro-batch, but those that the table has: another table of the same
 * stream may be behind this one. */
void stream_table_add(struct stream_table *table, struct stream_shard *shard,
		      const struct record *records, size_t count);
/* The log lost [first, last]: dead letters without bytes stand for it, of the first table of the
 * stream. */
MUST_USE enum err_code stream_table_damage(struct stream_table *table, struct stream_shard *shard,
					   struct position first, struct position last,
					   struct err *err);
/*
 * Commit the micro-batch; nothing in it is success. A store that is away is tried again until a
 * stop is asked; then once. On success the shards' `done` and `next` are what the table has.
 */
MUST_USE enum err_code stream_table_flush(struct stream_table *table, struct err *err);

#endif
