/*
 * opening.h - the gateway's broker is opened, and its own topics are made, on a
 * thread beside the loop, and again and again while that fails: a gateway whose
 * broker is away answers that it is, and takes it up when it comes.
 *
 *	BROKER ─ it is open ─► TOPICS ─ the own ones are there ─► DONE
 *	   └─ the first try failed for a reason that does not pass ─► FAILED
 *
 * Threads: the loop, and the one that it starts; what they share is under the lock.
 */
#ifndef GATEWAY_OPENING_H
#define GATEWAY_OPENING_H

#include "gateway/gateway.h"
#include "net/http_server.h"

#include <pthread.h>

enum opening_phase { OPENING_BROKER, OPENING_TOPICS, OPENING_DONE, OPENING_FAILED };

struct opening {
	struct gateway *gateway;
	struct gateway_opener opener;
	struct http_task made; /* tells the loop that its own topics are there */
	pthread_t thread;
	bool started;
	bool patient; /* whatever fails may pass */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock */
	enum opening_phase phase;
	uint64_t tries; /* that have failed, of any phase */
	bool ending;
	struct err why; /* it is not done, once it was tried */
};

void opening_init(struct opening *opening, struct gateway *gateway);
MUST_USE enum err_code opening_start(struct opening *opening, const struct gateway_opener *opener,
				     struct err *err);
/* Waits until all is there, or until a try failed (of a patient one not), or for so long. What does
 * not pass is the error. */
MUST_USE enum err_code opening_await(struct opening *opening, int64_t wait_ms, struct err *err);
/* ERR_OK: all is there. ERR_BUSY: not yet, and the message says why; else what does not pass. */
MUST_USE enum err_code opening_state(struct opening *opening, struct err *err);
/* Waits for the call that it is in. */
void opening_end(struct opening *opening);
void opening_release(struct opening *opening);

#endif
