/*
 * missing.h - topics that the gateway makes because somebody posts to them.
 *
 * Making one may take as long as a service far away likes, so a worker does it
 * (worker.h) and the requests for it wait here, each with a copy of its records
 * (post.h). When the topic is there they go to the broker in the order they
 * came; else all are answered with the reason, and so are those that come in
 * the next second (presence.h).
 *
 * Bounded: topics that are being made, those that wait for their turn, and the
 * bytes of what waits.
 * Threads: the loop.
 */
#ifndef GATEWAY_MISSING_H
#define GATEWAY_MISSING_H

#include "gateway/post.h"
#include "gateway/presence.h"

/* At once by the workers, which have other calls to do; in all. */
enum { MISSING_AT_ONCE = 4, MISSING_MAX = 1000 };

struct missing {
	size_t at_work;
	size_t waiting;
	struct presence_topic *first; /* for its turn */
	struct presence_topic **last;
};

void missing_init(struct missing *missing);
/* Lets go of those that nobody began with; there is nobody left to answer. */
void missing_release(struct gateway *gateway);
/* The post waits for its topic, which auto_create makes; its records are still there, or it has a
 * copy of them. ERR_BUSY: too much waits. */
MUST_USE enum err_code missing_park(struct post *post, struct err *err);

#endif
