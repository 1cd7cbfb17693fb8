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

/*
 * The options of such a COPY, for every data file that is written here. A thread compresses a row
 * group that it has filled by half itself; smaller remains are put together and compressed by one
 * thread alone, which took a third of the time of a micro-batch with DuckDB's own 122,880 rows a
 * group. (Batch is no slower with these, with half of the memory; its files are 4 % larger.)
 * The path may be one of /proc/self/fd, where no other file can be made beside it.
 */
#define DELTA_STATS_PARQUET \
	"(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 32768, RETURN_STATS," \
	" USE_TMP_FILE false)"

#endif
