/*
 * duck_rows.h - the rows of a DuckDB result, one after the other, as C values.
 *
 * The query casts: BIGINT columns are read with duck_i64(), VARCHAR ones with
 * duck_slice() and duck_text().
 *
 * Ownership: duck_rows_close(). A slice lives until the next row. Threads: that
 * of the connection.
 */
#ifndef SQL_DUCK_ROWS_H
#define SQL_DUCK_ROWS_H

#include "sql/duck.h"

struct duck_rows {
	duckdb_result result;
	duckdb_data_chunk chunk;
	idx_t at;
	idx_t count;
};

/* Run a query; on failure there is nothing to close. */
MUST_USE enum err_code duck_rows_open(struct duck *duck, const char *sql,
				      struct duck_rows *ret_rows, struct err *err);
void duck_rows_close(struct duck_rows *rows);
/* Go to the first, then to the next row. False: there is none. */
bool duck_rows_next(struct duck_rows *rows);

bool duck_is_null(struct duck_rows *rows, idx_t column);
int64_t duck_i64(struct duck_rows *rows, idx_t column, int64_t if_null);
struct slice duck_slice(struct duck_rows *rows, idx_t column);	/* null if null */
/* A copy to be freed; NULL where the cell is null or holds a NUL. */
char *duck_text(struct duck_rows *rows, idx_t column);

#endif
