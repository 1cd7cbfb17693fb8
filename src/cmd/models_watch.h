/*
 * models_watch.h - when a file of the models changes under a running `up`, the batch that has a
 * period has its turn at once, for it reads them at each run; and it is said once that the stream
 * does so when it starts.
 *
 * Threads: the caller's.
 */
#ifndef CMD_MODELS_WATCH_H
#define CMD_MODELS_WATCH_H

#include "base/config.h"
#include "base/err.h"
#include "flow/supervise.h"

#include <limits.h>

struct models_watch {
	char dir[PATH_MAX];
	uint64_t state;		/* of the files, as they were last looked at */
	int64_t due_ms;		/* when they are looked at next */
	bool told;
	struct service *batch; /* or NULL */
};

MUST_USE enum err_code models_watch_begin(struct models_watch *watch, const struct config *config,
					  struct err *err);
/* A `struct models_watch`; may be called as often as one likes. */
void models_watch_look(void *watch);

#endif
