/*
 * up_takeover.h - `up --takeover`: its gateway takes over from the one of another `up` on the
 * directory, which drains and ends then; what else there is begins when that has.
 *
 *	the old `up`	gateway ends ── sink, stream, … drain and end ── ends, with 0
 *	this one	gateway serves ─────────── all else is held ────┴─► sink, stream, …
 *
 * Threads: the caller's.
 */
#ifndef CMD_UP_TAKEOVER_H
#define CMD_UP_TAKEOVER_H

#include "flow/supervise.h"

struct up_takeover {
	const char *dir;
	int *lock;		  /* "up.lock"; -1 while the other one has it */
	struct service *services; /* held until it is ours */
	size_t count;
	int64_t due_ms; /* when it is looked again */
};

/* Holds them, if *lock is -1. */
void up_takeover_init(struct up_takeover *takeover, const char *dir, int *lock,
		      struct service *services, size_t count);
/* Of struct service. */
void up_takeover_look(void *takeover);

#endif
