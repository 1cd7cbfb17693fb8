/*
 * engine_duckdb_kept.h - which rows of a table are current, kept between runs in a file:
 *
 *	{"format":1,"program":…,"key":"ind","kind":"outdated|latest","rows":<n>,
 *	 "files":[["part-….parquet",<bytes>],…]}\n
 *	<n> row numbers, 8 bytes each (engine_duckdb_current.c), then the CRC-32C of all before, 4;
 *	both little-endian
 *
 *  1. Rows are numbered by the place of their file in the list and their own in the file. A table
 *     that has those files still, in that order, and maybe more behind them, has those rows under
 *     the same numbers: then only keys of the files behind them are looked for among the others.
 *     Anything else (files that went or changed their place, another key or program, damage), and
 *     whatever goes wrong here, is as if nothing were kept.
 *  2. It is put in place as a whole, and not synced: what a power cut leaves of it has not its CRC.
 *  3. One writer at a time: who keeps (`keeps` of engine.h) holds the lock of batch.
 *
 * Threads: the engine's caller.
 */
#ifndef ENGINE_ENGINE_DUCKDB_KEPT_H
#define ENGINE_ENGINE_DUCKDB_KEPT_H

#include "engine/engine_duckdb.h"

/* How a table's current rows are told: pinpipe."<name>_rows" has the numbers of the outdated ones,
 * or of the latest of each key. */
struct duckdb_choice {
	bool latest;
	uint64_t rows; /* in that table */
};

/* *ret_known false: nothing is kept that fits, and all is to be found out. *ret_fresh: it has been
 * kept just so. ERR_STOPPED alone is an error. */
MUST_USE enum err_code engine_duckdb_recall(struct engine_duckdb *engine,
					    const struct duckdb_table *table, const char *key,
					    struct duckdb_choice *ret_choice, bool *ret_known,
					    bool *ret_fresh, struct err *err);
/* Keeps it, if that is wanted; a failure costs the next one its work, no more. */
void engine_duckdb_keep(struct engine_duckdb *engine, const struct duckdb_table *table,
			const char *key, const struct duckdb_choice *choice);

#endif
