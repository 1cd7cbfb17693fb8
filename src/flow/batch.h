/*
 * batch.h - the batch path: new objects of the lake into the clean tables, then
 * the analyses.
 *
 * For each table, one after another:
 *
 *	Delta's txn      list the objects      clean         dead letters     data file
 *	says how far ──► that come after   ──► to Parquet ──► written     ──► put in place ──►
 *	commit
 *
 *	1. A partition's progress is the txn "pinpipe/batch/<topic>/<partition>" of the
 *	   commit itself: the last offset that is in the table or a dead letter. So
 *	   what a crash leaves half done is done again, and shows once.
 *	2. Nothing is skipped: offsets missing between two objects that are not dead
 *	   letters of the sink are an error that names them.
 *	3. The cost follows what is new. A commit takes at most BATCH_BYTES_MAX of
 *	   objects, so a run of ordinary size is one file and one commit a table.
 *	4. A record that makes the model's SQL fail becomes a dead letter; it is found
 *	   by halving. More than POISON_MAX (poison.h) of them: the model is at fault, and
 *	   the run ends with its error.
 *
 * One batch at a time works on a data directory: the caller holds "batch.lock" (run_ledger.h).
 * batch_run() looks at stop_requested() between commits.
 *
 * Threads: the caller's one, and the engine's.
 */
#ifndef FLOW_BATCH_H
#define FLOW_BATCH_H

#include "engine/engine.h"
#include "flow/answered.h"
#include "flow/lake.h"
#include "flow/reach.h"
#include "flow/results.h"
#include "flow/run_ledger.h"
#include "store/store.h"

#define BATCH_BYTES_MAX ((uint64_t)4 << 30)

struct batch_options {
	struct store *store;
	struct engine *engine;
	const struct models *models;
	const char *id;
	const char *dir;		/* the data directory; its "tmp" takes files on their way */
	const char *lake_url;		/* as of results_options */
	struct run_ledger
		*ledger; /* which names the run, and keeps what the lake cannot; or NULL */
	/* What the answers that are there were made of, to be brought up; NULL: nobody asks. */
	struct answered *answered;
	int64_t start_ms; /* of batch_run_idle(): when the look began, clock_mono_ms() */
	uint64_t bytes_max;		/* of a commit's objects; 0: BATCH_BYTES_MAX */
	struct lake_keep keep;		/* of a table that is made */
	/* A rebuild's (the store is its staging) or NULL: told of the records that were cleaned. */
	struct reach *reach;
};

/* What a run did with one table, and what that holds now. */
struct batch_table {
	const char *name; /* the model's */
	uint64_t objects;
	uint64_t rows;
	uint64_t dead;
	uint64_t unreadable;
	struct unknown_fields unknown; /* fields that no column is made of */
	uint64_t commits;
	uint64_t bytes;			/* raw */
	uint64_t total_rows;
	int64_t duration_ms;
	bool waits;	/* some of what is new is not there yet as a whole */
	struct err err; /* code ERR_OK: all that was new is cleaned */
};

struct batch_report {
	struct batch_table *tables; /* in order of name, those of broken models behind */
	size_t table_count;
	size_t tables_failed;
	struct results_report results;
	const char *by;
	struct err verdict;	/* of the run: code ERR_OK, or why not all was done */
	int64_t clean_ms;
	int64_t duration_ms;
};

/* ERR_OK even if a table could not be cleaned or an analysis failed: none takes another with it,
 * the report tells. An analysis over such a table is answered by the rows that it has. The caller
 * releases *ret_report. */
MUST_USE enum err_code batch_run(const struct batch_options *options,
				 struct batch_report *ret_report, struct err *err);
/* The run of one that has nothing to do, as answered_is_now() says of options->answered: it is
 * noted, without an engine. */
MUST_USE enum err_code batch_run_idle(const struct batch_options *options,
				      struct batch_report *ret_report, struct err *err);
/* One table alone. The caller releases ret_report->unknown. */
MUST_USE enum err_code batch_clean_table(const struct batch_options *options,
					 const struct clean_model *model,
					 struct batch_table *ret_report, struct err *err);
/* What was not done is one error, of the first table's kind. A model at fault is one of the inputs,
 * not of a command's use: `up` goes on with the other tables. */
enum err_code batch_report_verdict(const struct batch_report *report, struct err *err);
/* As one JSON object on a line: what "pinpipe batch --format json" and the run's history show. */
void batch_report_put(struct buf *out, const struct batch_report *report);
void batch_report_release(struct batch_report *report);

#endif
