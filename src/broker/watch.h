/*
 * watch.h - holds a reader and its caller to the protocol of broker.h: which
 * events may come of a partition, in which order, and which calls. What breaks
 * it is a bug, and ends the program with the backend's name.
 *
 *	           ASSIGNED, or a seek
 *	(nothing) ─────────────────────► READING ─ REVOKED ─► REVOKED ─ release ─► (nothing)
 *	                                 │    ▲   └ REVOKED, lost ───────────────► (nothing)
 *	                         END, FAILED  └ a seek
 *	                                 ▼    │
 *	                                 ENDED┘
 *
 * Threads: the reader's.
 */
#ifndef BROKER_WATCH_H
#define BROKER_WATCH_H

#include "broker/broker.h"

struct reader_watch;

/* The program ends; `what` was not so. */
_Noreturn void contract_broken(const struct broker *broker, const char *call, const char *what);

/* Of the backend, or of who calls it: `cond` is part of the contract. */
#define CONTRACT_HOLDS(broker, cond) do { \
	if (!(cond)) \
		contract_broken((broker), __func__, #cond); \
} while (0)

MUST_USE struct reader_watch *watch_new(const struct reader_options *options);
void watch_free(struct reader_watch *watch); /* accepts NULL */

/* The call is allowed; see broker_ops. */
void watch_may_seek(const struct broker_reader *reader, struct topic_ref topic, int32_t partition);
void watch_may_release(const struct broker_reader *reader, struct topic_ref topic,
		       int32_t partition);
/* The call was made, and went well. */
void watch_sought(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
		  struct reader_start start);
void watch_paused(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
		  bool paused);
void watch_released(struct broker_reader *reader, struct topic_ref topic, int32_t partition);
/* The event is allowed now. */
void watch_event(struct broker_reader *reader, const struct reader_event *event);

#endif
