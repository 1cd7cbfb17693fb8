/*
 * up_gateway.h - what `up` does by the gateway that it runs: lets --demo begin as soon as it
 * listens, which says of one that takes over that it has; turns the service manager's watchdog
 * while it does not; and tells at the end how much has landed since the stop.
 *
 * Threads: the caller's.
 */
#ifndef CMD_UP_GATEWAY_H
#define CMD_UP_GATEWAY_H

#include "base/config.h"
#include "broker/broker.h"
#include "flow/supervise.h"

enum { UP_DEMOS = 2, UP_DEMO_URL_MAX = 512 };

struct up_gateway {
	const struct config *config;
	struct service *gateway;
	struct service *demos;	   /* UP_DEMOS of them, held until it listens; NULL: none */
	char url[UP_DEMO_URL_MAX]; /* of theirs */
	const char *args[UP_DEMOS][8];
	int64_t watchdog_ms; /* 0: never */
	int64_t watchdog_due_ms;
	int64_t due_ms; /* when it is looked again whether it listens */
	pid_t found;	/* of the one whose address is known */
	int64_t landed; /* records, as a stop was asked */
	int64_t rows;
};

/* `demos`: their names are given; they get what to run. */
void up_gateway_init(struct up_gateway *up, const struct config *config, struct service *gateway,
		     struct service *demos);
/* These are of struct service. */
void up_gateway_look(void *up);
void up_gateway_stopping(void *up);
/* All has ended. */
void up_gateway_tell_drained(const struct up_gateway *up);

#endif
