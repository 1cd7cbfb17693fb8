/*
 * supervise.h - keeps the services of `pinpipe up` running.
 *
 * A service is a child process. One that ends on its own is started again,
 * after `first_ms` at first and twice as long each time, up to `most_ms`; one
 * that lived four times as long as it had waited begins anew. One that ends with status 2
 * (usage or configuration) would only fail again, so the supervisor ends with
 * its status.
 *
 * One that ends with any status before it has run for ten seconds even once
 * would fail again too: the supervisor ends with it, unless it says that this may pass (75), or a
 * lock is held, which it waits for as long as a service may take to drain.
 *
 * A job is a service with a period: it runs to its end, then again when the
 * period has passed since it began, whether it did its work or failed at it.
 *
 * One with a schedule begins when that says so. What a signal ended, a lock held up, or may pass
 * otherwise, is tried again with backoff; what failed at its work has its next turn.
 *
 * What a job failed at is told when it differs from what its last turn failed at.
 *
 * One that may be taken over, and was, ends all: another supervisor is there. One that takes over
 * holds up the clients of the other while it tries to: it has one try, whatever ended that, but for
 * a lock and what says that it may pass.
 *
 * One that is `held` is not started until somebody lets it go.
 *
 * One with `look` is no process: that is called at every turn, some ten times a second.
 *
 * On a stop the services end in the order of the table, each only when the
 * one before it has: first who writes, then who reads, so that the readers
 * drain what was acknowledged.
 */
#ifndef FLOW_SUPERVISE_H
#define FLOW_SUPERVISE_H

#include "flow/process.h"
#include "flow/schedule.h"

struct service {
	const char *name;
	const char *const *args;	/* as process_start() takes them */
	int64_t period_ms;		/* 0: runs for ever; else a job */
	struct schedule *schedule;	/* or NULL; of a job in place of its period */
	bool quiet;			/* what it prints is for programs, not for who watches us */
	int64_t drain_ms;		/* how long it may take to end */
	void (*look)(void *user);
	void (*stopping)(void *user); /* of one with `look`: before the first is asked to end */
	void *user;
	bool taken_over; /* that it ends with 0, unasked, says that another process does its work */
	bool takes_over; /* it ran once who looks at it says so, or it lives longer than any try */
	bool held;
	bool early; /* of a job with a period: its turn is now */
	/* State, zero at first: */
	struct process process;
	pid_t pid;     /* of the last one, also when it has ended */
	uint64_t told; /* hash of what a job failed at last; 0: nothing */
	int64_t started_ms;
	int64_t due_ms;
	int64_t backoff_ms;
	int64_t first_ms;		/* when it was first started */
	bool ran;			/* once, as long as tells that it can */
	bool again;			/* a scheduled job is to be tried again, at due_ms */
	uint64_t starts;
};

/* How long to wait before what ended is started again. */
struct restart_delay {
	int64_t first_ms;
	int64_t most_ms;
};

/* Runs until a stop is asked. ERR_OK: all ended well. */
MUST_USE enum err_code supervise(struct service *services, size_t count,
				 struct restart_delay delay, struct err *err);

#endif
