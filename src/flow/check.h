/*
 * check.h - does the lake hold what the log took: every offset once?
 *
 * Objects: of each partition the objects and the sink's dead letters together
 * hold every offset once, without a gap, up to where the sink is. Tables: each
 * offset up to what the table's `txn` says is a row once, or a dead letter
 * once. What has not been worked on yet is counted as "behind", not as a
 * fault. (The log itself is checked by journal_check.h.)
 *
 * All of them may go on meanwhile: what is downstream is looked at first, and
 * held against what was upstream then or later.
 *
 * Ownership: everything is borrowed. Threads: the caller's.
 */
#ifndef FLOW_CHECK_H
#define FLOW_CHECK_H

#include "sql/duck.h"
#include "flow/lake.h"

struct check_counts {
	uint64_t objects;
	uint64_t lines;
	uint64_t rows;
	uint64_t letters;
	uint64_t behind;	/* in the log, not yet in the lake or table */
	uint64_t faults;
};

struct check_options {
	struct store *store;
	struct broker *broker;
	struct duck *duck;	/* reads the tables' Parquet files */
	const char *id;
	/* Told of every fault, in words. */
	void (*fault)(void *user, const char *what);
	void *user;
};

/* The counts of one topic or stream and what was made of it. ERR_OK: checked, faults or not. */
MUST_USE enum err_code check_table(const struct check_options *options, enum topic_kind kind,
				   enum lake_table table, struct check_counts *ret_counts,
				   struct err *err);

#endif
