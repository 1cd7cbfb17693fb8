/*
 * links.h - which brokers of a cluster a client reaches, as librdkafka tells it
 * with each change: nobody has to ask, and wait, to know that all are away.
 *
 * Down is: none is reached, and an attempt to reach one has failed since the last
 * one was. (A cluster closes what is idle, and is reached again with the next
 * record: that alone is no fault.) It is traced once, with its reason, where it
 * is no matter of an instant, and so is its end.
 *
 * Threads: any.
 */
#ifndef BROKER_KAFKA_LINKS_H
#define BROKER_KAFKA_LINKS_H

#include "base/err.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { LINKS_MAX = 256 };	/* brokers, and the names that they were asked for by */

struct links {
	pthread_mutex_t lock;
	struct link {
		int32_t id;
		int port;
		char name[256];
		bool up;
		bool trying;
	} list[LINKS_MAX];
	size_t count;
	int up;
	bool failed;			/* since one was up, or ever */
	int64_t failed_ms;		/* since then, on the monotonic clock */
	bool told;
	bool refused;			/* one of us does not take the other */
	char why[200];			/* as librdkafka has it */
};

void links_init(struct links *links);
void links_release(struct links *links);
/* `state`: librdkafka's name of it. */
void links_change(struct links *links, int32_t id, const char *name, int port, const char *state);
/* Why a broker was not reached. `refused`: it is there, but does not take who we are, or is not who
 * it should be: that does not pass by itself. */
void links_say(struct links *links, bool refused, const char *why);
/* ERR_AUTH, with the reason: for two seconds now all that came was refused. */
MUST_USE enum err_code links_refused(struct links *links, struct err *err);
/* ERR_BUSY, with the reason: none is reached. */
MUST_USE enum err_code links_check(struct links *links, struct err *err);
/* For how long that has been so; -1: it is not. */
int64_t links_down_ms(struct links *links);

#endif
