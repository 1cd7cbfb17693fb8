/*
 * replay.h - dead letters once more: after a model was mended, what it can clean
 * now becomes rows of its table, with the place in the log that they had.
 *
 *	letters ──► clean ──► data file ──► marker (replayed.h) ──► commit
 *
 *	1. Letters of the stages batch and stream are taken, of records that their
 *	   table is done with: those past that are brought again by their own stage.
 *	   What the sink put aside is no JSON and stays a letter.
 *	2. Rows once, whatever crashes and however many replays there are: the commit
 *	   that adds them carries both the txn of its marker and "pinpipe/replay", counted
 *	   up by one from what this replay found: of two, one is refused (ERR_LOCKED).
 *	3. A letter that fails again stays as it is.
 *
 * One at a time works on a data directory. Ownership: options are borrowed.
 * Threads: the caller's one, and the engine's.
 */
#ifndef FLOW_REPLAY_H
#define FLOW_REPLAY_H

#include "broker/broker.h"
#include "engine/engine.h"
#include "store/store.h"

struct replay_options {
	struct store *store;
	struct engine *engine;
	struct broker *broker;
	const struct models *models;
	const char *id;
	const char *dir;
	const char *topic;		/* or stream; NULL: all */
	const char *reason;		/* dlq_reason_has(); NULL: any */
	int64_t since_ms;		/* letters of then or later */
};

struct replay_report {
	uint64_t letters;		/* that were tried */
	uint64_t rows;			/* of them */
	uint64_t dead;			/* and those that failed again */
	uint64_t sink;			/* not tried: the sink's */
};

MUST_USE enum err_code replay_run(const struct replay_options *options,
				  struct replay_report *ret_report, struct err *err);

#endif
