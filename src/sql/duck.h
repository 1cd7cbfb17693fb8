/*
 * duck.h - DuckDB's C API with our errors: open, run, quote.
 *
 * Only processes of the SQL side and whoever writes checkpoints open one; the
 * gateway never does. The database is in memory; no extension is loaded or
 * fetched. What else a caller wants set (preserve_insertion_order, TimeZone, …)
 * it sets itself. Who runs SQL that is not its own then calls duck_confine(),
 * which leaves that SQL no file but below some directories, and duck_lock(), so
 * that it changes no setting. What it may say is for the caller to check.
 *
 * Codes of a failed statement: ERR_USAGE the SQL is wrong (syntax, no such
 * column or table), ERR_SHAPE a value did not fit, ERR_LIMIT the memory limit,
 * ERR_SPACE the disk is full, ERR_IO, ERR_STOPPED interrupted.
 *
 * Ownership: duck_close() ends everything. Threads: one thread a connection;
 * duck_interrupt() and duck_progress() from any.
 */
#ifndef SQL_DUCK_H
#define SQL_DUCK_H

#include "base/buf.h"
#include "base/err.h"

#include "sql/duckdb_api.h"

enum { DUCK_HINT_MAX = 1000 };

struct duck {
	duckdb_database db;
	duckdb_connection conn;
	int error_line;		/* of its SQL, where the last failure was, from 1; 0: unknown */
	char error_hint[DUCK_HINT_MAX];	/* what its message said below the first line, or "" */
};

struct duck_options {
	uint64_t memory_bytes_max;	/* DuckDB's memory_limit */
	int threads;			/* at least 1 */
	const char *temp_dir;		/* spills go here; NULL: none allowed */
};

MUST_USE enum err_code duck_open(const struct duck_options *options, struct duck *ret_duck,
				 struct err *err);
void duck_close(struct duck *duck);	/* again, or of a zeroed struct: nothing */
/*
 * From here on no SQL reads or writes a file but below these directories (and `temp_dir`),
 * attaches a database or loads an extension. What duck_put_file() names counts as being where its
 * path is; where it has none any more, it is allowed.
 */
MUST_USE enum err_code duck_confine(struct duck *duck, const char *const *dirs, size_t count,
				    struct err *err);
/* From here on no SQL changes a setting of this database. */
MUST_USE enum err_code duck_lock(struct duck *duck, struct err *err);
/* End the running statement with ERR_STOPPED. */
void duck_interrupt(struct duck *duck);
/* How much of the running statement is done, from 0 to 1; below 0: none is running, or it is not
 * known. Only where enable_progress_bar is set. */
double duck_progress(struct duck *duck);

/* Run one statement and drop its rows. The message holds DuckDB's first line. */
MUST_USE enum err_code duck_run(struct duck *duck, const char *sql, struct err *err);
/* Run one statement; on ERR_OK the caller destroys *ret_result. */
MUST_USE enum err_code duck_query(struct duck *duck, const char *sql, duckdb_result *ret_result,
				  struct err *err);
/* The error of a result, an appender or a prepared statement as ours; `message` may be NULL. */
enum err_code duck_error(struct duck *duck, duckdb_error_type type, const char *message,
			 struct err *err);

/* 'text' with quotes doubled. A NUL cannot stand in SQL text: the caller keeps it out. */
void duck_put_literal(struct buf *out, struct slice text);
/* "name" with quotes doubled. */
void duck_put_name(struct buf *out, struct slice name);

/*
 * A table function over data files: duck_put_files_begin(), each file, duck_put_files_end().
 *
 * A file is named by its descriptor, which stays open for as long as what names it is used: so no
 * character of a path is a pattern, no directory's name is a value ("country=Peru"), and no link
 * leads elsewhere. DuckDB keeps what it read by name, and numbers of descriptors come again: a
 * turn, of duck_turn(), makes the names of one set of files others than all before. A column that a
 * file lacks is null in its rows; told that columns may differ, DuckDB also knows the
 * smallest and largest value over all files.
 */
uint64_t duck_turn(void);	/* any thread */
void duck_put_files_begin(struct buf *out);
void duck_put_file(struct buf *out, int fd, uint64_t turn);
void duck_put_files_end(struct buf *out);
/* With one more column of this name: the name that DuckDB was told of a row's file. */
void duck_put_files_end_named(struct buf *out, const char *column);
/* A message has the file by the name that DuckDB was told: put its path there instead. True: it was
 * this file. */
bool duck_name_file(int fd, uint64_t turn, const char *path, struct err *err);

#endif
