/*
 * status.h - how the pipeline of a data directory is: what runs, how fast, how far behind, and
 * whether a person should look. It is read from the registry (base/registry.h), the ledger of
 * batch, and the disk; neither the lake nor a service is asked, so it takes a millisecond. What
 * a path lacks whose process does not run, only the log can tell: status_ask_log().
 *
 * Unwell is what has a reason (status_why.c):
 *	nothing runs; a service of `up` does not, or one was killed and nobody starts it again
 *	a process says that it does not get on; partitions halted, tables left out
 *	the last batch failed
 *	a topic or table is behind: it lacks records, and longer than twice its own period and
 *	`behind_ms` more
 *	the last check found faults
 *	the disk is below the reserve, or has less than a hundredth of its inodes left
 *
 * Ownership: names are in the view, which status_release() closes. Threads: the caller's.
 */
#ifndef FLOW_STATUS_H
#define FLOW_STATUS_H

#include "base/registry.h"
#include "flow/disk.h"
#include "flow/lag.h"
#include "flow/lake.h"
#include "flow/run_ledger.h"

enum {
	STATUS_REASONS_MAX = 32,
	STATUS_REASON_MAX = 320,
	STATUS_PROCESSES_MAX = 16,
	STATUS_ROWS_MAX = SERIES_KINDS * (SERIES_NAMES_MAX + 1),
};

struct status_options {
	const char *dir;
	int64_t behind_ms;
	int64_t reserve_bytes; /* 0: none, nor for inodes */
};

enum status_state {
	STATUS_RUNS,
	STATUS_WAITS,  /* a job that is started when it is due */
	STATUS_STARTS, /* `up` has started it, and it has not come so far as to say so */
	STATUS_FAILED, /* `up` starts it again */
	STATUS_ENDED,  /* it said so */
	STATUS_KILLED, /* it did not */
};

struct status_process {
	const struct registry_slot *slot; /* NULL: it never came so far */
	const struct series *service;	  /* of the `up` that runs; NULL: it is none of its */
	const char *role;
	enum status_state state;
	int64_t restarts; /* by that `up`, -1: there is none */
	int64_t due_ms;	  /* when it is started next; 0: it runs, or nobody does */
	char doing[REGISTRY_TEXT_MAX];
	char unwell[REGISTRY_TEXT_MAX];
	char place[REGISTRY_TEXT_MAX];
};

/* A topic on its way to the lake, a stream, or a table. */
struct status_row {
	enum series_kind kind;
	const char *name;
	int64_t posted;	 /* kept by the gateway; -1: not known, as the next ones */
	int64_t records; /* landed, or rows */
	int64_t dead;
	int64_t lag;	    /* records that it lacks */
	int64_t late_ms;    /* for so long it may lack some; 0: it has all */
	int64_t landed_ms;  /* its last object or commit, wall clock; 0: none yet */
	int64_t allowed_ms; /* so late it may be; 0: whenever it is run */
	bool behind;	    /* it is later than that; status_judge() tells */
};

/* What `pinpipe check` found, last. */
enum status_part { STATUS_LOG, STATUS_BATCH, STATUS_STREAM, STATUS_PARTS };

struct status_checked {
	int64_t at_ms; /* wall clock; 0: never yet */
	int64_t faults[STATUS_PARTS];
};

struct status {
	struct registry_view view;
	int64_t now_ms; /* wall clock */
	struct status_process processes[STATUS_PROCESSES_MAX];
	size_t process_count;
	struct status_row *rows; /* in order of kind */
	size_t row_count;
	struct run_ledger_text batch;
	struct status_checked checked;
	bool disk_known;
	struct disk_room disk;
	bool disk_low; /* status_judge() tells, as the reasons */
	char reasons[STATUS_REASONS_MAX][STATUS_REASON_MAX];
	size_t reason_count;
};

/* A directory where nothing has run yet has a status, too. */
void status_take(const struct status_options *options, struct status *ret_status);
/* What a path lacks whose process does not run. `tables`: of the streams. */
void status_ask_log(struct status *status, const struct lag_of *of, const struct lake_table *tables,
		    size_t table_count);
/* Last: why it is not well, if it is not. */
void status_judge(struct status *status, const struct status_options *options);
void status_release(struct status *status);

/* For who checks: keeps what was found in the registry of `dir`, where there is one that it may
 * write to. */
void status_note_checked(const char *dir, const int64_t faults[STATUS_PARTS]);

const struct status_process *status_process(const struct status *status, const char *role);

#endif
