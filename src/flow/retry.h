/*
 * retry.h - what is done when the lake fails: the one answer of all processes
 * that are to run on (sink, stream).
 *
 * What may pass is tried again with backoff until a stop is asked: a store that
 * is away, a full disk, an error of the disk, a right that is missing. It is told
 * once, and again when the reason is another; and so is that it works again. What no other try can
 * mend (other bytes under a create-only name, an unreadable table) ends it. A command that does one
 * piece of work and ends (batch, dlq replay) tries nothing again: whoever runs it does, as `pinpipe
 * up` does.
 *
 * Threads: one at a time a struct retry.
 */
#ifndef FLOW_RETRY_H
#define FLOW_RETRY_H

#include "base/backoff.h"
#include "base/err.h"

struct retry {
	struct backoff backoff;
	enum err_code code; /* told last; ERR_OK: the last try came through */
	int sys;
	const char *what; /* as it was told */
	int64_t since_ms; /* when the first of the tries failed that did in a row, … */
	int64_t due_ms;	  /* … and the next is to be made; monotonic clock */
};

#define RETRY_INIT { .backoff = { .first_ms = 100, .max_ms = 20000 } }

/* Whether another try at the lake may succeed. */
bool retry_may_pass(enum err_code code);
/* A try failed: tells it, if it is another reason than before, as "<what>: …"; the text must live
 * as long as `retry`. Returns how long to wait for the next one, which is due then (`due_ms`). */
int64_t retry_failed(struct retry *retry, const char *what, const struct err *err);
/* As that, and waits. False: the code is final, or a stop is asked; then nothing was told. */
bool retry_again(struct retry *retry, const char *what, const struct err *err);
/* A try came through: tells that, if others of the process have not. */
void retry_passed(struct retry *retry);
/* There is no other try, for a reason that is told elsewhere. */
void retry_end(struct retry *retry);

#endif
