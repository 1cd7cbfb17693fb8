/*
 * delta_stats.h - statistics of a new data file, as Delta wants them (PROTOCOL.md,
 * "Per-file Statistics"), from what DuckDB says about the Parquet file it wrote.
 *
 * Run   COPY (…) TO '…' (FORMAT parquet, RETURN_STATS)   by duck_query() and hand its result over:
 *
 *	{"numRecords":3,"minValues":{"ind":1,…},"maxValues":{…},"nullCount":{…}}
 *
 * A string is cut to 32 characters; a cut maximum ends in U+10FFFF, so that it is
 * still one (as Spark does it). Timestamps are in milliseconds, the minimum rounded
 * down and the maximum up. Left out: minimum and maximum of booleans, of doubles
 * (DuckDB's pass over a NaN, which to Spark is larger than all numbers, and its
 * "has_nan" does not tell of one in any row group), and of what no integer or year 0
 * to 9999 can say; arrays altogether.
 */
#ifndef DELTA_DELTA_STATS_H
#define DELTA_DELTA_STATS_H

#include "base/buf.h"
#include "delta/delta.h"

#include "sql/duckdb_api.h"

/* Appends the JSON text to `out`. The result is still the caller's. ERR_SHAPE: it is not that of
 * such a COPY into one file. No row copied: rows 0, whether or not DuckDB made a file. */
MUST_USE enum err_code delta_stats_put(struct buf *out, duckdb_result *result,
				       const struct delta_schema *schema, uint64_t *ret_rows,
				       uint64_t *ret_bytes, struct err *err);

#endif
