/*
 * delta_parquet.h - the file of a classic checkpoint (PROTOCOL.md, "V1 Spec"): a
 * version of a table as Parquet, an action a row.
 *
 *	protocol	one row
 *	metaData	one row
 *	txn		the latest of each appId
 *	remove		tombstones younger than the table keeps files
 *	add		all live files, dataChange false
 *
 * A checkpoint is made from the one before it and from what came after that,
 * so statistics of old files are never held in memory. DuckDB reads and writes
 * the Parquet, in memory files (memfd), so no store needs a local directory.
 */
#ifndef DELTA_DELTA_PARQUET_H
#define DELTA_DELTA_PARQUET_H

#include "sql/duck.h"
#include "sql/memfile.h"
#include "delta/delta_state.h"

/* A checkpoint as it was read: the bytes of its file, or of its parts ("Multi-part checkpoint"). */
struct delta_parquet {
	struct buf bytes;
	size_t ends[DELTA_PARTS_MAX];	/* where in them each part ends */
	size_t parts;			/* 0: there is none */
};

/* ERR_CORRUPT: not a checkpoint. Files come without statistics, only with their rows. */
MUST_USE enum err_code delta_parquet_read(struct duck *duck, const struct delta_parquet *parquet,
					  struct delta_reader *reader,
					  struct delta_actions *ret_actions, struct err *err);

/* Adds the files that were removed after this time. */
MUST_USE enum err_code delta_parquet_tombstones(struct duck *duck,
						const struct delta_parquet *parquet,
						int64_t after_ms, struct delta_actions *actions,
						struct err *err);

/* Append the Parquet bytes of `state` to `out`. `base`: the checkpoint of version
 * state->checkpoint, of no parts if there is none. */
MUST_USE enum err_code delta_parquet_make(struct duck *duck, const struct delta_state *state,
					  const struct delta_parquet *base, int64_t now_ms,
					  struct buf *out, uint64_t *ret_actions, struct err *err);

/* ---- Between the two files of this module ---- */

struct delta_parquet_column {
	const char *name;
	const char *type;	/* as Spark writes it, in DuckDB's words */
};

enum { DELTA_PARQUET_COLUMNS = 5 };
extern const struct delta_parquet_column delta_parquet_columns[DELTA_PARQUET_COLUMNS];

/* The parts as files that DuckDB reads. */
struct delta_parquet_files {
	struct memfile files[DELTA_PARTS_MAX];
	size_t count;
};

/* Make them, and the view `base` over them: these columns, null where there is none. They are to
 * be closed, whatever comes of it. */
MUST_USE enum err_code delta_parquet_base(struct duck *duck, const struct delta_parquet *parquet,
					  struct delta_parquet_files *files, struct err *err);
void delta_parquet_close(struct delta_parquet_files *files);

#endif
