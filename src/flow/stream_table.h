/*
 * stream_table.h - one table of the streaming path: its micro-batch, its
 * shards and its commits (see stream.h for what is promised).
 *
 *	                      ┌── full, of age, its stream drains ──┐
 *	(closed) ──open──► collecting ◄──── flushed ──── being flushed
 *	   ▲                  │  ▲                        │       │
 *	   └─ tried again     │  └── another was faster ───┘       └─ tried again, with
 *	      when it is due  ▼      (stream_table_drop)               what it has made
 *	                   left out: another history, other columns
 *
 * Nothing here waits for a lake that is away: a try that fails leaves the table
 * as it is, and the same call is made again when table->retry says so. Until
 * then nothing may be added.
 *
 * Ownership: the caller's storage; everything given is borrowed.
 * Threads: the caller's one thread.
 */
#ifndef FLOW_STREAM_TABLE_H
#define FLOW_STREAM_TABLE_H

#include "base/metrics.h"
#include "delta/delta.h"
#include "flow/micro_batch.h"
#include "flow/poison.h"
#include "flow/retry.h"

#include <limits.h>

struct stream_shard {
	struct batch_shard batch;	/* first: what the micro-batch holds on to */
	int32_t partition;
	uint32_t generation; /* from 1 on; see lake.h */
	char app_id[LAKE_APP_ID_MAX];
	struct delta_progress done; /* as the table notes it */
	struct delta_progress read; /* the last record in the table or the micro-batch */
	bool proved;		    /* the log's record at `done` was seen to be the table's, or
				       cannot be */
	bool settled;		    /* what others left of letters where we began is gone */
	bool dirty;		    /* records or letters of it wait for a flush */
	bool lacks;		    /* of what waits some is lost, and its letter says so */
	bool told;		    /* letters of it are written, and not yet of a commit */
	int64_t since;		    /* a version at which the table was at `done` */
	bool asked;		    /* for a gap once more, from after `read` */
	struct position like;	    /* any position of it */
};

/* What the tries of one flush have made so far. */
struct stream_flush {
	struct delta_add add; /* the data file in its place; path NULL: there is none */
	bool cleaned;	      /* all of it is in the file, or letters */
	bool ours;	      /* the commit is this process' own */
	struct poison poison;
	uint64_t rows;
	uint64_t dead;
	uint64_t unreadable;
};

struct stream_table {
	struct store *store;
	struct engine *engine;
	struct lake_table place;
	char temp_path[PATH_MAX];
	bool refused;		   /* told; the stream goes on without this table */
	struct delta_table *delta; /* NULL: not open (yet) */
	struct retry retry;	   /* of the opening, then of each flush */
	struct micro_batch batch;
	struct stream_flush flush;
	bool stale; /* another one has written it: first see what */
	bool hurry; /* flush as soon as may be */
	struct stream_shard **shards; /* in order of partition */
	size_t shard_count;
	uint64_t rows;
	uint64_t dead;
	uint64_t unreadable;
	struct unknown_fields unknown;
	int64_t unknown_ms;		/* when they were told last; 0: never */
	uint64_t unknown_told;		/* how many there were then */
	uint64_t commits;
	struct series *facts; /* what others see of it; NULL: nobody looks */
};

struct stream_table_options {
	struct store *store;
	struct engine *engine;
	const char *dir;		/* has "tmp" for the temporary file */
	struct lake_table place;
	size_t bytes_max;		/* of values in one micro-batch */
	struct lake_keep keep;		/* of a table that is made */
	bool staged;			/* a rebuild's own: the store is its staging */
};

/* After an error it is closed, and may be opened again. */
MUST_USE enum err_code stream_table_open(struct stream_table *table,
					 const struct stream_table_options *options,
					 struct err *err);
/* To be looked at alone, with what may be added to it: nothing is made, written or flushed. `delta`
 * is taken; NULL: there is no table yet. */
void stream_table_look(struct stream_table *table, const struct stream_table_options *options,
		       struct delta_table *delta);
/* Of what it counted nothing is lost. */
void stream_table_close(struct stream_table *table);
void stream_table_release(struct stream_table *table);
struct topic_ref stream_table_topic(const struct stream_table *table);
/* A try at the lake has failed, and the next is not made yet. */
bool stream_table_is_held(const struct stream_table *table);

/*
 * A shard is ours from now on, and goes on after what the table has of it; it must not be dirty.
 * `info`: of the stream. ERR_CORRUPT: what the table says of that makes no sense.
 */
MUST_USE enum err_code stream_table_assign(struct stream_table *table,
					   const struct topic_info *info, int32_t partition,
					   struct err *err);
/* Sets where->generation to the newest one that the table has something of, or the first. */
MUST_USE enum err_code stream_newest_generation(const struct delta_table *delta,
						struct lake_partition *where, const char *uid,
						struct err *err);
/* NULL: it is not ours. */
struct stream_shard *stream_table_shard(struct stream_table *table, int32_t partition);
/* It is not ours any more; it must not be dirty. */
void stream_table_forget(struct stream_table *table, int32_t partition);
/* Where the reader has to go on for it. */
struct reader_start stream_shard_start(const struct stream_shard *shard);
/* The stream is another history: the shard begins from its first record, in the next generation. */
MUST_USE enum err_code stream_table_go_on(struct stream_table *table, const struct topic_info *info,
					  struct stream_shard *shard, struct err *err);

/* ERR_CORRUPT, which says that the log ends before what the table has. */
enum err_code stream_table_ends_early(const struct stream_table *table,
				      const struct stream_shard *shard, struct err *err);

/*
 * Copies the records into the micro-batch, but those that the table has: another table of the same
 * stream may be behind this one. ERR_CORRUPT: the last record that the table has is of another
 * history than the log's; then none was taken.
 */
MUST_USE enum err_code stream_table_add(struct stream_table *table, struct stream_shard *shard,
					const struct reader_event *records, struct err *err);
/*
 * The log gives nothing of [first, last]. If that is a loss, one dead letter of the first table of
 * the stream says so. *ret_again: what the table has ends amid it; read from after that once more.
 * ERR_LOCKED: another one has taken the table further since, and what is lost may be there: see
 * stream_table_drop().
 */
MUST_USE enum err_code stream_table_gap(struct stream_table *table, struct stream_shard *shard,
					const struct reader_event *gap, bool *ret_again,
					struct err *err);
bool stream_table_waits(const struct stream_table *table); /* for a flush */
/*
 * One try to commit the micro-batch; nothing in it is success. On success the shards' `done` is
 * what the table has. ERR_LOCKED: another one was faster, with something else; see
 * stream_table_drop().
 */
MUST_USE enum err_code stream_table_flush(struct stream_table *table, struct err *err);
/* Another one is further with the shard, as far as can be found out now. */
bool stream_table_is_overtaken(struct stream_table *table, const struct stream_shard *shard);
/* ERR_LOCKED, which says so. */
enum err_code stream_table_lost(const struct stream_table *table, struct err *err);
/* Another one may have committed other records than those that the letters which were written are
 * of: then they go. The table is refreshed. */
void stream_table_withdraw(struct stream_table *table, struct stream_shard *shard);
/* Forget the micro-batch: all shards are to be read from where the table is, as it is known. */
MUST_USE enum err_code stream_table_drop(struct stream_table *table, struct err *err);

#endif
