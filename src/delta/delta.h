/*
 * delta.h - append-only Delta Lake tables (protocol 1/2) on a store.
 *
 * Follows delta-io/delta PROTOCOL.md: "Delta Log Entries", "Checkpoints",
 * "Transaction Identifiers". A commit is one put-if-absent of
 * `_delta_log/<version, 20 digits>.json`; progress of a writer is the `txn`
 * action inside it, so a batch is in the table once whatever is repeated.
 *
 * A table whose protocol asks for more than reader 1 / writer 2, or whose
 * metadata holds invariants, constraints, generated or identity columns, or
 * column mapping, is refused (ERR_UNSUPPORTED): the protocol forbids a writer
 * to touch what it does not know.
 *
 * Ownership: the table borrows its store. Threads: one thread a table.
 */
#ifndef DELTA_DELTA_H
#define DELTA_DELTA_H

#include "base/err.h"
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

struct delta_add {
	char *path;		/* relative to the table's root, not URI-encoded */
	uint64_t size;		/* bytes */
	int64_t modified_ms;
	uint64_t rows;		/* from stats.numRecords */
	char *stats;		/* JSON text or NULL */
};

struct delta_txn {
	const char *app_id;
	int64_t version;
};

struct delta_commit {
	const char *operation;		/* "STREAMING UPDATE" or "WRITE" */
	const struct delta_add *adds;
	size_t add_count;
	const struct delta_txn *txns;
	size_t txn_count;
	struct slice info;		/* JSON members to put into commitInfo, without braces; may be empty */
};

struct delta_table;

struct delta_options {
	const struct delta_schema *create;	/* make the table with this schema if absent; NULL: ERR_ABSENT */
	uint32_t checkpoint_interval;		/* commits; 0: 10 */
	bool checkpoints;			/* write them */
};

/* Reads the newest checkpoint and the log after it. `root`: the table's key prefix, no slash at its end. */
MUST_USE enum err_code delta_open(struct store *store, const char *root,
				  const struct delta_options *options,
				  struct delta_table **ret_table, struct err *err);
void delta_close(struct delta_table *table);	/* accepts NULL */
/* Read what others committed since. */
MUST_USE enum err_code delta_refresh(struct delta_table *table, struct err *err);

int64_t delta_version(const struct delta_table *table);
/* The last version of this application id, or -1. */
int64_t delta_txn_version(const struct delta_table *table, const char *app_id);
/* Live data files, in the order they were added; valid until the next call that may change the table. */
size_t delta_file_count(const struct delta_table *table);
const struct delta_add *delta_file(const struct delta_table *table, size_t i);
uint64_t delta_rows(const struct delta_table *table);

/*
 * Blind append. Loses against another writer: reads what it wrote, takes the next version and tries
 * again. ERR_EXISTS: a txn of this commit is in the log already with at least its version; nothing was
 * written and the batch is to be dropped. ERR_UNKNOWN is never returned: an ambiguous put is resolved by
 * reading the entry back (commitInfo.txnId).
 */
MUST_USE enum err_code delta_commit(struct delta_table *table, const struct delta_commit *commit,
				    int64_t *ret_version, struct err *err);

/* A name for a new data file, unique: "part-<uuid>.snappy.parquet". */
void delta_new_file_name(struct buf *out);

#endif
