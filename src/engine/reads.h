/*
 * reads.h - which of the tables' views an SQL text reads: clicks, clicks_all …
 *
 * DuckDB's parser tells, so a word in a text or a column of that name is none.
 * Threads: that of the connection.
 */
#ifndef ENGINE_READS_H
#define ENGINE_READS_H

#include "engine/model.h"
#include "sql/duck.h"

/* Adds "clicks, visits_all" in order of the models; nothing, if the SQL is not understood. */
void reads_put(struct buf *out, struct duck *duck, const char *sql, const struct models *models);

#endif
