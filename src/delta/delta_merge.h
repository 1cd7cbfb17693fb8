/*
 * delta_merge.h - one data file out of many: all of their rows, in the order of
 * their lineage, so that its bounds and those of its row groups stay narrow.
 *
 * It goes by the table's own columns and no model's. A column that a file lacks
 * is null, and what a file has beyond them is left out, as for every reader of
 * the table. As many rows must come out as the log says that the files hold.
 *
 * Threads: that of the connection.
 */
#ifndef DELTA_DELTA_MERGE_H
#define DELTA_DELTA_MERGE_H

#include "delta/delta.h"
#include "sql/duck.h"

struct delta_merge {
	const struct delta_schema *schema; /* of delta_own_schema() */
	const struct store_fetched *files;
	const uint64_t *rows; /* of each file, as the log has it; 0: it does not say */
	size_t count;
	const char *path; /* of the new file */
};

/* Its TimeZone is set, as timestamps need it. */
MUST_USE enum err_code delta_merge_open(const struct duck_options *options, struct duck *ret_duck,
					struct err *err);
/*
 * Appends the new file's statistics to `stats` (delta_stats.h). No row: no file, and 0 bytes.
 * ERR_CORRUPT: other rows came out than the log says. After an error there may be a part of the
 * new file.
 */
MUST_USE enum err_code delta_merge_files(struct duck *duck, const struct delta_merge *merge,
					 struct buf *stats, uint64_t *ret_rows, uint64_t *ret_bytes,
					 struct err *err);

/* ---- For delta_doubled.c ---- */

/* "SELECT … FROM …": all rows of the files, by the table's columns, and of each row in one column
 * more the name that DuckDB was told of its file (duck_put_files_end_named()). NULL: without. */
void delta_merge_put_rows(struct buf *sql, const struct delta_merge *merge, uint64_t turn,
			  const char *file_column);
/* As duck_query(); a message has the file that is to blame by its path. */
MUST_USE enum err_code delta_merge_ask(struct duck *duck, const struct delta_merge *merge,
				       uint64_t turn, struct buf *sql, duckdb_result *ret_result,
				       struct err *err);
/* Ends `sql`, which is "COPY (SELECT …", so that the rows come into the merge's new file in the
 * order of their lineage, as far as the table has one; runs it, and appends to `stats`. */
MUST_USE enum err_code delta_merge_copy(struct duck *duck, const struct delta_merge *merge,
					uint64_t turn, struct buf *sql, struct buf *stats,
					uint64_t *ret_rows, uint64_t *ret_bytes, struct err *err);
/* How many rows the files have, by the log, or where that says nothing by themselves. */
MUST_USE enum err_code delta_merge_expect(struct duck *duck, const struct delta_merge *merge,
					  uint64_t turn, uint64_t *ret_rows, struct err *err);

#endif
