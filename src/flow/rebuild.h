/*
 * rebuild.h - a table cleaned again with today's model, out of all that is
 * still there: the batch table out of the raw objects, the streaming table out
 * of the log.
 *
 * The model's own batch, or stream, fills a staged table (staging.h) from the
 * beginning. Old rows whose records it did not come by stay: they are cast to
 * the model's columns, null where that cannot be, or let go. Then one commit
 * removes the old files and adds the new ones, with the columns and the progress,
 * so a reader sees the old rows or the new. Dead letters of the table are made
 * anew with the rows; those of records that are not there any more stay, always.
 *
 * The batch table takes new objects as well, its progress goes on with them. The
 * streaming table is cleaned as far as it was; the stream goes on from there.
 *
 * Under the lock of the path ("batch.lock", "stream.lock"): ERR_LOCKED while a
 * batch or stream runs there. ERR_BUSY: a foreign writer changed the table
 * meanwhile; nothing was changed here. A crash at any point leaves the old table
 * or the new; the next writer of it ends what is half done (staging_settle()).
 *
 * Ownership: everything is borrowed. Threads: the caller's one, and the engine's.
 */
#ifndef FLOW_REBUILD_H
#define FLOW_REBUILD_H

#include "flow/lake.h"
#include "sql/duck.h"

struct engine;

struct rebuild_options {
	struct store *store;
	struct broker *broker;
	struct engine *engine;
	struct duck *duck; /* rewrites the rows that stay; its TimeZone is set to UTC */
	const struct models *models;
	const char *id;
	const char *dir; /* the data directory: locks, and "tmp" */
	uint64_t rows_max; /* of a file made out of the log */
	size_t bytes_max;
	bool drop_unreachable;
};

struct rebuild_report {
	bool there; /* false: there is no such table, and nothing was done */
	uint64_t rows_before;
	uint64_t rows_after;
	uint64_t kept;	  /* rows whose records are not there any more */
	uint64_t dropped; /* of them, instead */
	uint64_t dead;	  /* letters that stand now */
	int64_t duration_ms;
};

MUST_USE enum err_code rebuild_table(const struct rebuild_options *options,
				     const struct clean_model *model, enum topic_kind kind,
				     struct rebuild_report *ret_report, struct err *err);

#endif
