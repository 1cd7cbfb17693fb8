/*
 * reach.h - which records a rebuild has read again: spans of positions of the
 * partitions of one topic or stream.
 *
 * Ownership: reach_release(). Threads: one at a time.
 */
#ifndef FLOW_REACH_H
#define FLOW_REACH_H

#include "base/buf.h"
#include "broker/position.h"

struct reach_span {
	int32_t partition;
	struct position first;
	struct position last;
};

struct reach {
	struct reach_span *spans;
	size_t count;
};

/* Spans of a partition come in its order; one that follows on another becomes part of it. */
void reach_note(struct reach *reach, int32_t partition, struct position first,
		struct position last);
bool reach_has(const struct reach *reach, int32_t partition, struct position position);
void reach_release(struct reach *reach);

#endif
