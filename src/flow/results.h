/*
 * results.h - asks the analyses and puts their answers into the lake:
 *
 *	results/<analysis>.json|csv|parquet	the latest answer
 *	results/runs/<run>.json			what a run of batch did; the last
 *						RESULTS_RUNS_MAX of them
 *
 * <analysis>.json: {"name":…,"title":…,"description":…,"chart":"bar|line|none",
 * "run":…,"columns":[…],"rows":[[…],…]}. <run> is the time at which the run began,
 * "20260102T030405678Z", so that names sort by time. Each object is replaced as
 * a whole; those of a name that is no analysis any more are removed.
 *
 * Threads: the caller's one, and the engine's.
 */
#ifndef FLOW_RESULTS_H
#define FLOW_RESULTS_H

#include "delta/delta.h"
#include "engine/engine.h"
#include "engine/sql_at.h"
#include "flow/lake.h"
#include "flow/live.h"
#include "store/store.h"

#include <limits.h>

/* RESULTS_IDLE_RUNS: one in so many runs that did nothing looks for older ones to let go of. */
enum { RESULTS_RUNS_MAX = 1000, RESULTS_IDLE_RUNS = 32, RUN_NAME_MAX = 24 };

struct results_options {
	struct store *store;
	struct engine *engine;
	const struct models *models;
	const char *id;
	const char *temp_dir;		/* for files on their way; one at a time writes results */
	const char *lake_url;		/* for an engine that opens files itself: where it finds the
					   store; NULL: files are fetched for it */
	struct live *live;		/* what <table>_live is read with; NULL: there is none */
	bool live_all;			/* the other views show that, too */
	bool live_softly;		/* a table whose log cannot be read is shown without it */
	const char *kept_dir;		/* where it is kept which rows are current; NULL: nowhere */
	bool keeps;			/* and brought up, by this process alone */
	/* Told of each table that is attached, as it is; several at a time. NULL: nobody is. */
	void (*note)(void *user, size_t table, const struct delta_table *delta);
	void *note_user;
	const char *const *refused;	/* by clean model, why its table is not to be read, or NULL;
					   NULL: all are */
	const struct sql_version *versions; /* which of them are also asked as they were */
	size_t version_count;
};

struct result_report {
	const char *name;		/* the model's */
	uint64_t rows;
	int64_t duration_ms;
	struct err err;			/* code ERR_OK: answered */
};

struct results_report {
	char run[RUN_NAME_MAX];
	struct result_report *list; /* in order of name, those with broken headers behind;
				       freed by the caller */
	size_t count;
	size_t failed;
	int64_t duration_ms;
};

/* Where a data directory keeps which rows are current, made if `make`. False: nowhere. */
bool results_kept_dir(const char *dir, bool make, char kept_dir[PATH_MAX]);

/* "20260102T030405678Z" */
void results_run_name(int64_t wall_ms, char run[RUN_NAME_MAX]);

/* Tables that were looked for where none of them is. */
struct results_missing {
	size_t count;			/* 0: one of them is there, or none was looked for */
	char first[STORE_KEY_MAX / 2];	/* the key below which the first of them would be */
};

/*
 * Let the engine's views show the tables of this path as they are now; one that is not there yet is
 * empty, one that cannot be read or is refused is broken (engine.h). `question`: the one SQL text
 * that will be asked, without the names of versions, so that no table is read whose name it does
 * not hold (`unread` in engine.h). NULL: any. `ret_missing` may be NULL. ERR_USAGE: a version is
 * not there.
 * that will be asked, so that no table is read whose name it does not hold (`unread` in engine.h).
 * NULL: any. `ret_missing` may be NULL. With `live` what the log holds is read and cleaned for the
 * tables whose live view the question names; where any may be asked, for those that an analysis
 * does.
 */
MUST_USE enum err_code results_attach(const struct results_options *options, enum topic_kind kind,
				      const char *question, struct results_missing *ret_missing,
				      struct err *err);

/*
 * Ask every analysis over what is attached and write its answer. One whose SQL fails is told in the
 * report and keeps its earlier answer; the others go on. ERR_OK even then.
 */
MUST_USE enum err_code results_write(const struct results_options *options, const char *run,
				     struct results_report *ret_report, struct err *err);

/* When a run of that name began; -1: it is none's. */
int64_t results_run_time(struct slice run);
/* The names of the newest runs, the newest first; the caller frees *ret_names. */
MUST_USE enum err_code results_runs(struct store *store, size_t most,
				    char (**ret_names)[RUN_NAME_MAX], size_t *ret_count,
				    struct err *err);
/* Appends what is kept of a run. ERR_ABSENT: another batch let go of it meanwhile. */
MUST_USE enum err_code results_read_run(struct store *store, const char *run, struct buf *out,
					struct err *err);

/* Write the history object of a run that did nothing; older ones are mostly left for those who do.
 */
MUST_USE enum err_code results_write_idle_run(struct store *store, const char *run,
					      struct slice text, struct err *err);
/* Write the history object of a run, and let go of the oldest. STORE_CREATE: ERR_EXISTS. */
MUST_USE enum err_code results_write_run(struct store *store, const char *run, struct slice text,
					 enum store_mode mode, struct err *err);

#endif
