/*
 * rebuild_rows.h - the rows of a table whose records a rebuild did not come by,
 * as one data file more with the model's columns: cast, null where that cannot
 * be, null where the old rows have no such column.
 *
 * Ownership: rebuild_rows_release(). Threads: the caller's one, and DuckDB's.
 */
#ifndef FLOW_REBUILD_ROWS_H
#define FLOW_REBUILD_ROWS_H

#include "delta/delta.h"
#include "flow/lake.h"
#include "flow/reach.h"
#include "sql/duck.h"

struct rebuild_rows_options {
	struct store *store;
	struct duck *duck;
	const char *dir; /* has "tmp" for the file on its way */
	const struct lake_table *place;
	const struct delta_table *old;
	const struct reach *reach;
	bool drop; /* only count them */
};

struct rebuild_rows {
	struct delta_add add; /* the file, in its place; rows 0: there is none */
	uint64_t dropped;
};

MUST_USE enum err_code rebuild_rows_keep(const struct rebuild_rows_options *options,
					 struct rebuild_rows *ret_rows, struct err *err);
void rebuild_rows_release(struct rebuild_rows *rows);

#endif
