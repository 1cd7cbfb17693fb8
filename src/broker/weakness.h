/*
 * weakness.h - settings of a service's topic under which an acknowledgement means
 * little: a record that was acknowledged may be lost by one fault of one machine.
 *
 * Threads: any that may wait.
 */
#ifndef BROKER_WEAKNESS_H
#define BROKER_WEAKNESS_H

#include "broker/broker.h"

enum weakness {
	WEAKNESS_NONE = 0,
	WEAKNESS_ONE_COPY = 1,	 /* there is one replica; the others need more than one */
	WEAKNESS_ONE_ENOUGH = 2, /* one in sync is enough to acknowledge */
	WEAKNESS_UNCLEAN = 4,	 /* one that lags may become leader */
	WEAKNESSES = 3,
};

/* The sum of what it has. Of what this process keeps itself there is none: its own machine's disk
 * is what it promises. ERR_NO_TOPIC, ERR_DENIED … May take long. */
MUST_USE enum err_code weakness_of(struct broker *broker, struct topic_ref topic,
				   unsigned *ret_weaknesses, struct err *err);
/* "…: what that means", of one of them. */
const char *weakness_text(enum weakness weakness);
/* Warns of each weakness once, with the topics that have it. What cannot be asked is passed over.
 */
void weakness_warn(struct broker *broker, enum topic_kind kind, const char *const *names,
		   size_t count);

#endif
