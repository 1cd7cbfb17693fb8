/*
 * delta.h - append-only Delta Lake tables (protocol 1/2) on a store.
 *
 * Follows delta-io/delta PROTOCOL.md: "Delta Log Entries", "Checkpoints",
 * "Transaction Identifiers". A commit is one put-if-absent of
 * `_delta_log/<version, 20 digits>.json`; progress of a writer is the `txn`
 * actions inside it, so a batch is in the table once whatever is repeated. A
 * position is progress, too (struct delta_progress): delta_progress.c knows how
 * many actions it needs, nobody else.
 *
 * What an open table knows stays in memory: a commit lists nothing and reads
 * nothing but what others wrote since, whatever the version. Classic
 * checkpoints (delta_checkpoint.h) keep the opening short.
 *
 * Refused with ERR_UNSUPPORTED, because the protocol forbids to touch what one
 * does not know: to read, more than reader version 1, files outside the table,
 * a partitioned table; to write, more than writer version 2, a column that is
 * not null, generated, or has an invariant or a constraint, and a table whose
 * transaction identifiers expire (delta.setTransactionRetentionDuration).
 *
 * Columns go by their names; their order means nothing. A table may get more of
 * them, all nullable, by one commit of its metadata: its older data files have
 * no such column, and whoever reads them takes it for null. A column never goes
 * and never changes its type but in the commit that replaces all data files.
 *
 * Many small files become few by delta_rewrite(), which changes no row.
 *
 * Ownership: the table borrows its store. Threads: one thread a table; any
 * number of tables, processes and machines may write the same one.
 */
#ifndef DELTA_DELTA_H
#define DELTA_DELTA_H

#include "base/err.h"
#include "broker/broker.h"
#include "store/store.h"

#include <stdint.h>

enum delta_type {
	DELTA_INTEGER,
	DELTA_LONG,
	DELTA_DOUBLE,
	DELTA_STRING,
	DELTA_BOOLEAN,
	DELTA_TIMESTAMP,	/* UTC, microseconds */
	DELTA_ARRAY_DOUBLE,	/* array<double>, elements may be null */
};

struct delta_column {
	const char *name;
	enum delta_type type;
};

struct delta_schema {
	const struct delta_column *columns;
	size_t count;
};

/* How a table's columns differ from a schema: the gravest of it. */
enum delta_change {
	DELTA_SAME,
	DELTA_ADDED,		/* the table lacks some */
	DELTA_WENT,		/* it has one that the schema lacks */
	DELTA_RETYPED,		/* one is of another type in it */
};

struct delta_difference {
	enum delta_change change;
	size_t added;		/* columns that the table lacks */
	char says[200];		/* for a person: which column, and the types */
};

struct delta_add {
	char *path;		/* relative to the table's root, not URI-encoded */
	uint64_t size;		/* bytes */
	int64_t modified_ms;
	uint64_t rows;		/* stats.numRecords; 0 where there is none */
	char *stats;		/* JSON text; NULL: none, or a checkpoint holds it */
	int64_t made_ms;	/* clock_boot_ms() before it was put; 0: not known */
};

struct delta_txn {
	const char *app_id;
	int64_t version;
	int64_t after;			/* what it was when the batch was begun; -1: none */
};

/* How far a writer is with a partition. */
struct delta_progress {
	bool any;			/* false: nothing is noted, and the rest is zero */
	struct position position;	/* of the last record that is done with */
	struct lineage lineage;		/* of that record; zero: not noted. It lacks the highest bit
					   of each half: compare with delta_lineage_is() */
};

struct delta_step {
	const char *app_id;
	struct delta_progress now;
	struct delta_progress after;	/* what it was when the batch was begun */
};

struct delta_commit {
	const char *operation;		/* "STREAMING UPDATE" or "WRITE" */
	const struct delta_add *adds;
	size_t add_count;
	const struct delta_txn *txns;
	size_t txn_count;
	const struct delta_step *steps;
	size_t step_count;
	struct slice info;		/* members of commitInfo: JSON without braces, or empty */
	const char *const *removes;	/* of delta_replace() alone: paths of files that go */
	size_t remove_count;
};

/* The operation of a delta_rewrite() that heals. */
#define DELTA_HEALED "REMOVE DOUBLED ROWS"

/* The rows of some files in others. */
struct delta_rewrite {
	const struct delta_schema *schema; /* of the new files: the table's, as it was read */
	const struct delta_add *adds;
	size_t add_count;
	const char *const *removes; /* paths of live files that go */
	size_t remove_count;
	bool heals;		  /* rows that stand in `needs` once more are not in `adds` */
	const char *const *needs; /* paths of files that have to be live, too, and stay */
	size_t need_count;
};

struct delta_table;

/* What is done with a table that is there and has other columns than a writer. */
enum delta_columns {
	DELTA_COLUMNS_SAME,	/* it is refused */
	DELTA_COLUMNS_EVOLVE,	/* it gets those that it lacks; refused if one went or changed */
	DELTA_COLUMNS_REPLACE,	/* it is opened as it is, for delta_replace() */
};

/* Which version of a table is opened. */
struct delta_at {
	enum delta_at_kind { DELTA_AT_NEWEST, DELTA_AT_VERSION, DELTA_AT_TIME } kind;
	int64_t value; /* the version; or ms since 1970: the last one that is no younger */
};

struct delta_options {
	const struct delta_schema *create;	/* what a writer needs, borrowed; NULL: to read */
	enum delta_columns columns;
	const char *name;			/* a user's word for the table; NULL: root's end */
	uint32_t checkpoint_interval;		/* commits; 0: 10 */
	uint32_t checkpoint_times;		/* overdue, so that others come first; 0: 1 */
	bool checkpoints;			/* write them */
	int64_t look_back; /* commits to be read for delta_doubled(), about; 0: few */
	struct delta_at at;			/* not the newest: to read, and it stays so */
	int64_t keep_files_ms, keep_log_ms;	/* of a table that is made; 0: none is set */
	const char *description; /* likewise, which then says its name, too; NULL: neither */
};

/*
 * Commits that may have doubled rows. Some writers' OPTIMIZE, overtaken by another one, commits all
 * the same: what it removes has gone already, its rows stand in the other one's files, and what it
 * adds has them once more. It shows in that a commit of dataChange false removes what is not there.
 */
struct delta_doubled {
	int64_t at;    /* version of the last one; -1: none is known, and the rest means nothing */
	int64_t since; /* of files that came after this version some hold such rows, no others */
};

/* What a table says of how long it keeps what its latest version does not need. */
struct delta_retention {
	int64_t files_ms; /* delta.deletedFileRetentionDuration */
	int64_t log_ms;	  /* delta.logRetentionDuration */
	bool keeps_log;	  /* delta.enableExpiredLogCleanup is false */
};

/*
 * Reads the newest checkpoint and the log after it. `root`: the table's key prefix, no slash at its
 * end. With `create` the table is made if there is none; where there is one of other columns,
 * `columns` says what becomes of it (ERR_USAGE: refused; the message names the column, both types
 * and what to do). Without `create`: ERR_ABSENT, also where the log does not have what `at` asks
 * for: the message says what it has. The time of a version is its commitInfo's (delta_at.c).
 */
MUST_USE enum err_code delta_open(struct store *store, const char *root,
				  const struct delta_options *options,
				  struct delta_table **ret_table, struct err *err);
void delta_close(struct delta_table *table);	/* accepts NULL */
/* Read what others committed since. After an error the table is at the last version read. */
MUST_USE enum err_code delta_refresh(struct delta_table *table, struct err *err);

int64_t delta_version(const struct delta_table *table);
/* The last version of this application id, or -1: so of NULL, a table that is not there yet. */
int64_t delta_txn_version(const struct delta_table *table, const char *app_id);
/*
 * How far this application id is. A plain `txn`, whoever wrote it, is a position below 2^63.
 * ERR_CORRUPT: a part of it is missing, or of another commit: it is damage, and nothing may be
 * made of it. Of NULL, a table that is not there yet: nothing.
 */
MUST_USE enum err_code delta_progress(const struct delta_table *table, const char *app_id,
				      struct delta_progress *ret_progress, struct err *err);
/*
 * How far the first commit after version `since` brought this application id that left it elsewhere
 * than at `from`, where it was then; ret_progress->any false: none up to the version that is known.
 * ERR_ABSENT: such old commits are not kept.
 */
MUST_USE enum err_code delta_next_progress(struct delta_table *table, const char *app_id,
					   int64_t since, const struct delta_progress *from,
					   struct delta_progress *ret_progress, struct err *err);
bool delta_lineage_noted(struct lineage lineage);
/* Whether what was noted may be of this lineage; so it may, where none was noted. */
bool delta_lineage_is(struct lineage noted, struct lineage lineage);
/* Calls `each` for every application id that the table has a version of, until it returns false. */
void delta_each_app(const struct delta_table *table, bool (*each)(void *user, const char *app_id),
		    void *user);
/* Live data files, in the order they were added; valid until the table changes. */
size_t delta_file_count(const struct delta_table *table);
const struct delta_add *delta_file(const struct delta_table *table, size_t i);
uint64_t delta_rows(const struct delta_table *table);
/* The version that a file came with; if it was read from a checkpoint, that one's, which is later.
 */
int64_t delta_file_version(const struct delta_table *table, size_t i);
/* As far as commits were read: those that a checkpoint stood for are not looked at. */
struct delta_doubled delta_doubled(const struct delta_table *table);
/* The rows are each there once again, up to the version `at` of what was known. */
void delta_doubled_settle(struct delta_table *table, int64_t at);
/* Time (ms since 1970) by the commit of the last OPTIMIZE that another program made; 0: none. */
int64_t delta_others_optimized_ms(const struct delta_table *table);
/* ERR_UNSUPPORTED: it says something that no clean-up may guess at; the message has what. */
MUST_USE enum err_code delta_retention(const struct delta_table *table,
				       struct delta_retention *ret_retention, struct err *err);
/*
 * Have the table keep files and log for so long, by a commit of its metadata. What somebody else
 * has set stays as it is: ours are those that were set here before, which the table notes.
 */
MUST_USE enum err_code delta_set_retention(struct delta_table *table, int64_t files_ms,
					   int64_t log_ms, struct err *err);
MUST_USE enum err_code delta_compare(struct delta_table *table, const struct delta_schema *wanted,
				     struct delta_difference *ret_difference, struct err *err);

/*
 * Blind append of data files that are in the store already; they are never removed here, whatever
 * happens. Loses against another writer: reads what it wrote and tries again at the next version.
 *
 * ERR_EXISTS: the txns and steps of this commit are in the log already, or what is further of the
 * same lineage; nothing was written, the batch is to be dropped. ERR_LOCKED: another writer took
 * one of them on meanwhile, the batch may be there in part, and nothing was written:
 * delta_refresh(), and begin where that is now. ERR_EXPIRED: a data file was put so long ago
 * (made_ms) that a clean-up could take it before it is in the table; nothing was written: make it
 * anew. ERR_UNSUPPORTED, ERR_USAGE: another writer changed
 * the table, or its columns, so that this one may not write it. ERR_UNKNOWN, only when the store
 * could not be asked for a long time whether an ambiguous put came through (commitInfo.txnId
 * tells): keep the files, open again and compare the progress. After any other error nothing was
 * written, and the same commit may be tried again.
 */
MUST_USE enum err_code delta_commit(struct delta_table *table, const struct delta_commit *commit,
				    int64_t *ret_version, struct err *err);

/*
 * Replace files by others in one commit, with the writer's columns: a reader sees the old rows or
 * the new, never a part of both. `planned_on`: the version of which delta_file() named `removes`,
 * the files that go (all of them, if a column went or changed its type). The txns and steps are set
 * as they are, without a look at `after`. The files stay in the store: older versions have them.
 *
 * ERR_BUSY: the table moved on (another writer won the version, and the table is at the latest one
 * now); nothing was written: plan again on that. ERR_UNKNOWN and all others: as of delta_commit().
 */
MUST_USE enum err_code delta_replace(struct delta_table *table, const struct delta_commit *commit,
				     int64_t planned_on, int64_t *ret_version, struct err *err);

/*
 * Write a checkpoint if that is due, or overdue so many `times`: as commits do, for who wants them
 * to have no need to. It only saves readers work: a failure is just traced.
 */
void delta_checkpoint_if_due(struct delta_table *table, uint32_t times);
/* The same after a fifth of that, ten commits at least: for a table to which nothing came for a
 * while, so that who opens it has hardly anything to replay. */
void delta_checkpoint_at_rest(struct delta_table *table);

/*
 * Put the same rows into other files: readers of either version see the same, and who follows the
 * changes of the table passes over it (dataChange is false, delta.appendOnly does not forbid it).
 * That is so of one that heals, too: who followed has passed over the commit that doubled the rows.
 * Such a one repeats the table's metadata: what others began before it then fails, where it would
 * double the rows again.
 * Progress and columns stay as they are. Loses against another writer: tries again at the next
 * version, as long as all files that go are live.
 *
 * ERR_BUSY: one of them, or of `needs`, is not any more, or the columns have changed, and nothing
 * was written; the work is lost: plan again on the version that the table is at now. ERR_UNKNOWN
 * and all others: as of delta_commit().
 */
MUST_USE enum err_code delta_rewrite(struct delta_table *table, const struct delta_rewrite *rewrite,
				     int64_t *ret_version, struct err *err);
/* A commit of the metadata as it is: what other programs began on an older version fails. */
MUST_USE enum err_code delta_bar(struct delta_table *table, struct err *err);
/* The table's own columns; the caller releases them. ERR_UNSUPPORTED: one is of a type that is not
 * written here, or the table is not to be written at all. */
MUST_USE enum err_code delta_own_schema(struct delta_table *table, struct delta_schema *ret_schema,
					struct err *err);
void delta_schema_release(struct delta_schema *schema); /* accepts a zeroed one */

/* A name for a new data file, unique: "part-<uuid>.snappy.parquet". */
void delta_new_file_name(struct buf *out);

#endif
