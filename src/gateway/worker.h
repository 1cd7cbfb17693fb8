/*
 * worker.h - a few threads that run what may wait for a disk or for a service
 * far away (topic calls, reads), so that it never holds up the loop: records
 * keep coming in and /healthz answers. One that takes long does not hold up the
 * others either: a thread is added whenever all are at work, up to a bound.
 *
 * Ownership: worker_take() copies what it needs of the call; a task is its
 * maker's.
 * Threads: worker_take(), worker_give() and worker_free() on the loop.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "gateway/call.h"

struct worker;

enum {
	WORKER_THREADS_MAX = 16,
	WORKER_QUEUE_MAX = 256,
	WORKER_BODY_MAX = 64 << 10,
	WORKER_REPLY_MAX = 32 << 20, /* a record may have 16 MiB, and base64 makes 22 of them */
};

struct worker_task {
	struct worker_task *next;
	void (*run)(struct worker_task *task);	/* on a thread of the worker … */
	void (*drop)(struct worker_task *task); /* … or this, where it ends before that */
};

MUST_USE enum err_code worker_new(struct gateway *gateway, struct worker **ret_worker,
				  struct err *err);
/* Ends what it has begun; the answers are posted to the loop. Accepts NULL. */
void worker_free(struct worker *worker);
/* Defers the call, or fails it with ERR_BUSY. */
void worker_take(struct worker *worker, struct call *call, void (*handle)(struct call *call));
/* Of our own making: who gives tasks bounds them. */
void worker_give(struct worker *worker, struct worker_task *task);

#endif
