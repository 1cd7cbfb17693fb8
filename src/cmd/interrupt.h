/*
 * interrupt.h - a stop that ends what an engine is doing: Ctrl-C while a query
 * runs. And, on a terminal, how far a query is that takes long.
 *
 * For commands that only read, and for those that lose nothing but the work of
 * their last piece (batch). Others that commit drain at the first signal, and the
 * second one ends the process (stop.h), whatever the engine does then.
 *
 * Threads: one of its own between interrupt_begin() and interrupt_end().
 */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

#include "cmd/progress.h"
#include "engine/engine.h"

#include <pthread.h>

struct interrupt {
	struct engine *engine;		/* NULL: not begun */
	pthread_t thread;
	int end_fd;
	pthread_mutex_t lock;		/* what follows, and the line on the terminal */
	bool shows;			/* progress */
	struct progress progress;
};

/* From here on a stop, now or later, ends the engine's statements with ERR_STOPPED. */
/* `what`: as progress.h has it. */
MUST_USE enum err_code interrupt_begin(struct interrupt *interrupt, const char *what,
				       struct engine *engine, struct err *err);
/* Until the end, or false: the progress of what runs goes to stderr, if that is a terminal. Call it
 * with false before anything else is written. */
void interrupt_show(struct interrupt *interrupt, bool shows);
void interrupt_end(struct interrupt *interrupt);	/* of a zeroed struct: nothing */

#endif
