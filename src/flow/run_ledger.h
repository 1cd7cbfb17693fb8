/*
 * run_ledger.h - what batch did on this data directory, kept in it: DIR/batch.runs.
 *
 * The lake's history (results.h) has no run that was killed, nor one that failed before the lake
 * was open, or because it was not. The ledger has: whoever runs next tells the lake of them.
 *
 *	line 1		{"running":NAME|null,"by":TEXT,"exits":{"0":N},"ms":N,"done_ms":N,
 *			"last":{"exit":N,"ms":N,"end_ms":N}}
 *	the others	a run each of which the lake has not been told, as in its history
 *
 * It is written whole, and synced before it has its name: a power cut takes the last line, not all.
 *
 * Use: run_ledger_begin(), run_ledger_tell() once the lake is open, run_ledger_end(), which
 * releases it in any case. Threads: the caller's one; reading any.
 */
#ifndef FLOW_RUN_LEDGER_H
#define FLOW_RUN_LEDGER_H

#include "flow/results.h"

enum { RUN_EXITS_MAX = 32, RUN_KILLED = 137 };

struct run_exit {
	int64_t status; /* 128 + n of one that a signal ended; RUN_KILLED, too, if nobody knows */
	int64_t count;
};

struct run_totals {
	struct run_exit exits[RUN_EXITS_MAX];
	size_t exit_count;
	int64_t ms;	     /* that all of them took but those that were killed */
	int64_t last_status; /* -1: none has ended yet */
	int64_t last_ms;
	int64_t last_end_ms; /* by the clock on the wall */
	int64_t done_ms;     /* when one ended with 0; 0: none did */
};

struct run_ledger {
	const char *dir; /* borrowed */
	const char *by;
	int lock;		/* "batch.lock" */
	char run[RUN_NAME_MAX]; /* this one's name */
	int64_t start_ms;
	struct run_totals totals;
	struct buf untold;
	bool recorded; /* the history has this one, or `untold` has */
};

/* A ledger as it stands. */
struct run_ledger_text {
	struct run_totals totals;
	char running[RUN_NAME_MAX]; /* "": none is */
	char by[RUN_NAME_MAX];	    /* what started it */
	bool killed;		    /* it does not live any more */
	struct buf untold;	    /* released by the caller */
};

/* Takes the lock of batch in `dir`, which is there (ERR_LOCKED); that the ledger cannot be written
 * is only told. `by`: what started the run; NULL: a command. */
MUST_USE enum err_code run_ledger_begin(struct run_ledger *ledger, const char *dir, const char *by,
					struct err *err);
/* Puts into the history what it lacks; that this fails is told, and tried again by the next run. */
void run_ledger_tell(struct run_ledger *ledger, struct store *store);
/* The history of this run, one object on a line; kept here if the store does not take it. `idle`:
 * it did nothing. */
MUST_USE enum err_code run_ledger_record(struct run_ledger *ledger, struct store *store, bool idle,
					 struct slice text, struct err *err);
/* `verdict`: how this one ended, ERR_OK or why not. */
void run_ledger_end(struct run_ledger *ledger, const struct err *verdict);

/* One that is not there is empty, and one that cannot be read is told and counts as that. */
void run_ledger_read(const char *dir, struct run_ledger_text *ret_text);
/* The first line of `lines`, which are the others then. */
struct slice run_ledger_line(struct slice *lines);
/* The metrics of the ledger in `dir`; nothing while no batch has run there. */
void run_ledger_put_metrics(const char *dir, struct buf *out);

#endif
