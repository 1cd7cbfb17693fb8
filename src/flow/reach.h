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
	uint32_t generation; /* from 1 */
	struct position first;
	struct position last;
};

struct reach {
	struct reach_span *spans;
	size_t count;
};

/* Spans of a partition come in its order. `follows`: nothing was missing between this one and the
 * last one of its partition, and they become one. */
void reach_note(struct reach *reach, const struct reach_span *span, bool follows);
bool reach_has(const struct reach *reach, int32_t partition, uint32_t generation,
	       struct position position);
void reach_release(struct reach *reach);

#endif
