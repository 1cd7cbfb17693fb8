/*
 * runs.h - the history of batch, read: results/runs/<run>.json (results.h), of which older programs
 * wrote less, and what the ledger of a data directory has beyond it (run_ledger.h).
 *
 * Ownership: a run's texts are in the arena that it was read with.
 */
#ifndef FLOW_RUNS_H
#define FLOW_RUNS_H

#include "base/arena.h"
#include "store/store.h"

#include <stdbool.h>

struct run {
	const char *name;
	int64_t began_ms;
	int64_t duration_ms;
	const char *outcome;	/* done, failed, stopped, killed, running */
	int64_t status;		/* its exit status, -1: it has none */
	const char *by;		/* NULL: that was not kept */
	int64_t rows;
	int64_t dead;
	int64_t tables_failed;
	int64_t answers_failed;
	const char *error;	/* or NULL */
};

/* Up to `most`, the newest first; the caller frees *ret_runs. `dir`: whose ledger is read, too. */
MUST_USE enum err_code runs_read(struct store *store, const char *dir, size_t most,
				 struct arena *arena, struct run **ret_runs, size_t *ret_count,
				 struct err *err);
/* When the last run began that had its turn: it did its work, or failed at it in a way that would
 * not have passed. -1: there is none. */
MUST_USE enum err_code runs_last(struct store *store, const char *dir, int64_t *ret_began_ms,
				 struct err *err);

#endif
