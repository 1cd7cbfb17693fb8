/*
 * states.h - what the states at the heads of the segments say, kept: which
 * segment to begin in is a question of every seek.
 *
 * Segments are listed again only when there may be others, and a state is read
 * when it is asked for, once: the search halves, since ordinals only rise.
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_LOCAL_STATES_H
#define BROKER_LOCAL_STATES_H

#include "broker/local/ordinals.h"

struct kept_state {
	uint64_t base;
	uint64_t limit;		  /* address of the file's end; 0: not read */
	struct ordinals ordinals; /* good if `limit` is not 0 */
};

struct states {
	struct kept_state *items; /* by base */
	size_t count;
	size_t entries; /* in all of them */
};

void states_release(struct states *states);
/* The last segment that begins at or before the ordinal; 0: none. */
MUST_USE enum err_code states_find(struct states *states, int dir_fd, uint64_t watermark,
				   uint64_t uid, int32_t partition, uint64_t ordinal,
				   uint64_t *ret_base, struct err *err);

#endif
