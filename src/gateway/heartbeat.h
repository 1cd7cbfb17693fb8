/*
 * heartbeat.h - tells the service manager (notify.h) that the gateway's loop
 * turns: where the manager waits for that, a thread gives the loop a task each
 * time it is due, and it is the loop that tells. A loop that hangs is silent.
 *
 * Ownership: the caller's storage, in its place until the server is freed, which
 * may still have the task.
 */
#ifndef GATEWAY_HEARTBEAT_H
#define GATEWAY_HEARTBEAT_H

#include "net/http_server.h"

#include <pthread.h>
#include <stdatomic.h>

struct heartbeat {
	struct http_task task;	    /* first */
	struct http_server *server; /* NULL: not started */
	int64_t every_ms;
	pthread_t thread;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t ends;
	bool ended;
	atomic_bool posted; /* the task is with the loop */
};

/* Where nobody waits for it, nothing is started. */
MUST_USE enum err_code heartbeat_start(struct heartbeat *heartbeat, struct http_server *server,
				       struct err *err);
void heartbeat_end(struct heartbeat *heartbeat); /* of a zeroed struct: nothing */

#endif
