/*
 * lag.h - how many records of the log a path has not taken yet: those behind what its group was
 * told that it has. Of what a service numbers it is at most that, as numbers may be no records.
 *
 * Threads: any; nothing of a running sink or stream is asked, only the broker.
 */
#ifndef FLOW_LAG_H
#define FLOW_LAG_H

#include "base/metrics.h"
#include "broker/broker.h"

struct lag_of {
	struct broker *broker;
	const char *group; /* of consumers */
	enum topic_kind kind;
};

/* *ret_lag -1: where the topic ends nobody knows. `info`: of the group, as the broker has it. */
MUST_USE enum err_code lag_ask(const struct lag_of *of, const struct group_info *info,
			       const char *topic, int64_t *ret_lag, struct err *err);

#endif
