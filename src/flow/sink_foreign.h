/*
 * sink_foreign.h - how far another program came: objects in folders of times
 * (Confluent's TimeBasedPartitioner) that no manifest names.
 *
 * Which offset a line of theirs has nothing tells, since several were filled side
 * by side. But together they hold every record up to some offset, so the number
 * of all their lines says where that is, if the log numbers nothing but records.
 * If it does, the record there is none that an object ends with, and the sink sees
 * that it must not go on. All are read, once: what the sink puts then has a
 * manifest. They themselves are left alone, and nothing reads them.
 */
#ifndef FLOW_SINK_FOREIGN_H
#define FLOW_SINK_FOREIGN_H

#include "flow/lake.h"

struct sink_foreign {
	size_t objects;
	uint64_t next;	       /* the offset after their last record */
	struct buf last_lines; /* one of them is that record's */
};

/* Those of a partition; the caller releases ret_foreign->last_lines. ERR_CORRUPT: one of them ends
 * in mid-line, or cannot be unpacked. */
MUST_USE enum err_code sink_foreign_find(struct store *store, struct lake_partition where,
					 struct sink_foreign *ret_foreign, struct err *err);

#endif
