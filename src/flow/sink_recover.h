/*
 * sink_recover.h - where the sink was in a partition, from what lies in the
 * lake: its newest object tells by its name where it starts and by its lines
 * where it ends; after that only dead letters can have come.
 */
#ifndef FLOW_SINK_RECOVER_H
#define FLOW_SINK_RECOVER_H

#include "flow/lake.h"

struct sink_place {
	uint64_t next;			/* ordinal of the record that comes next */
	struct buf last_line;		/* of record next - 1, if `has_line` */
	bool has_line;
};

/* The caller releases ret_place->last_line. ERR_CORRUPT: the newest object ends in mid-line. */
MUST_USE enum err_code sink_recover(struct store *store, const char *topic, int32_t partition,
				    struct sink_place *ret_place, struct err *err);

#endif
