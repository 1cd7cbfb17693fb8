/*
 * worker.h - a thread that runs the calls that may wait for a disk (topic
 * calls, reads), one after the other, so that a slow disk never holds up the
 * loop: records keep coming in and /healthz answers.
 *
 * Ownership: worker_take() copies what it needs of the call.
 * Threads: the loop, but for what the worker itself runs.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "gateway/call.h"

struct worker;

enum {
	WORKER_QUEUE_MAX = 256,
	WORKER_BODY_MAX = 64 << 10,
	WORKER_REPLY_MAX = 32 << 20,	/* a record may have 16 MiB, and base64 makes 22 of them */
};

MUST_USE enum err_code worker_new(struct gateway *gateway, struct worker **ret_worker,
				  struct err *err);
/* Ends what it has first; the answers are posted to the loop. Accepts NULL. */
void worker_free(struct worker *worker);
/* Defers the call, or fails it with ERR_BUSY. */
void worker_take(struct worker *worker, struct call *call, void (*handle)(struct call *call));

#endif
