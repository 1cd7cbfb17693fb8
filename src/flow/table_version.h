/*
 * table_version.h - a Delta table as it was, for an engine that has its files fetched.
 */
#ifndef FLOW_TABLE_VERSION_H
#define FLOW_TABLE_VERSION_H

#include "engine/engine.h"
#include "engine/sql_at.h"
#include "flow/lake.h"

/* ERR_USAGE: the log does not have it. What has the log, but not the files, is broken (engine.h).
 */
MUST_USE enum err_code table_version_open(struct store *store, const struct lake_table *place,
					  const struct sql_version *version,
					  struct engine_table *ret_table, struct err *err);

#endif
