/*
 * pulse.h - a thread that once a second does what others who look at this process need: it keeps
 * what rates are reckoned from, asks how far behind the log a sink or a stream is, and tells of
 * dead letters.
 *
 * The work of the process never waits for it, nor it for that.
 *
 * Ownership: everything in the options is borrowed until pulse_free().
 * Threads: its own; new and free one.
 */
#ifndef FLOW_PULSE_H
#define FLOW_PULSE_H

#include "flow/lag.h"
#include "flow/lake.h"

struct pulse_options {
	struct lag_of lag; /* broker NULL: there is none to be asked */
	int64_t lag_every_ms;
	const struct lake_table *tables; /* of a stream; a sink's topics are those it has rows of */
	size_t table_count;
};

struct pulse;

/* NULL: it could not be started, which is told, and others see less. */
struct pulse *pulse_new(const struct pulse_options *options);
void pulse_free(struct pulse *pulse); /* accepts NULL */

#endif
