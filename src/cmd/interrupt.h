/*
 * interrupt.h - a stop that ends what an engine is doing: Ctrl-C while a query
 * runs.
 *
 * For commands that only read. Those that commit drain at the first signal, and
 * the second one ends the process (stop.h), whatever the engine does then.
 *
 * Threads: one of its own between interrupt_begin() and interrupt_end().
 */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

#include "engine/engine.h"

#include <pthread.h>

struct interrupt {
	struct engine *engine;		/* NULL: not begun */
	pthread_t thread;
	int end_fd;
};

/* From here on a stop, now or later, ends the engine's statements with ERR_STOPPED. */
MUST_USE enum err_code interrupt_begin(struct interrupt *interrupt, struct engine *engine,
				       struct err *err);
void interrupt_end(struct interrupt *interrupt);	/* of a zeroed struct: nothing */

#endif
