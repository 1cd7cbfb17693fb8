/*
 * rebuild_stream.h - a streaming table's records out of the log once more, from
 * its first one kept to the last one that the old table has.
 */
#ifndef FLOW_REBUILD_STREAM_H
#define FLOW_REBUILD_STREAM_H

#include "flow/reach.h"
#include "flow/stream_table.h"

struct rebuild_log {
	struct stream_table_options table; /* with the staged store */
	struct broker *broker;
	const struct delta_table *old; /* says how far */
	uint64_t rows_max;
	struct reach *reach; /* what was read */
};

/* Fills the staged table; a stream that is not there leaves it empty. */
MUST_USE enum err_code rebuild_out_of_log(const struct rebuild_log *log, struct err *err);

#endif
