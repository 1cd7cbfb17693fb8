/*
 * duck.h - DuckDB's C API with our errors: open, run, fetch text.
 *
 * Only processes of the SQL side and whoever writes checkpoints open one; the
 * gateway never does. Ownership: duck_close() ends everything.
 * Threads: one thread a connection.
 */
#ifndef BASE_DUCK_H
#define BASE_DUCK_H

#include "base/buf.h"
#include "base/err.h"

#include <duckdb.h>

struct duck {
	duckdb_database db;
	duckdb_connection conn;
};

struct duck_options {
	uint64_t memory_bytes_max;	/* DuckDB's memory_limit */
	int threads;			/* at least 1 */
	const char *temp_dir;		/* spills go here; NULL: none allowed */
};

/* An in-memory database; no extension is loaded or fetched, no file outside is opened unasked. */
MUST_USE enum err_code duck_open(const struct duck_options *options, struct duck *ret_duck,
				 struct err *err);
void duck_close(struct duck *duck);

/* Run one statement and drop its rows. The message holds DuckDB's first line. */
MUST_USE enum err_code duck_run(struct duck *duck, const char *sql, struct err *err);
/* Run one statement; on ERR_OK the caller destroys *ret_result. */
MUST_USE enum err_code duck_query(struct duck *duck, const char *sql, duckdb_result *ret_result,
				  struct err *err);
/* 'text' with quotes doubled. */
void duck_put_literal(struct buf *out, struct slice text);

#endif
