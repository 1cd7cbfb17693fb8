/*
 * completer.h - a thread that hands ended appends to a completion, for brokers
 * that have no thread of their own.
 *
 * Threads: push from any; the completion runs on the completer's.
 */
#ifndef BROKER_COMPLETER_H
#define BROKER_COMPLETER_H

#include "broker/broker.h"

#include <pthread.h>

struct completer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct append *first;
	struct append **last;
	bool ending;
	broker_done_fn *done;
	void *done_user;
};

void completer_init(struct completer *completer, broker_done_fn *done, void *done_user);
/* Hands over what was pushed, then ends the thread. */
void completer_release(struct completer *completer);
/* Its outcomes must be filled in. */
void completer_push(struct completer *completer, struct append *append);

#endif
