/*
 * check.h - does the lake hold what the log took: every offset once?
 *
 * Objects: of each partition the objects and the sink's dead letters together
 * account for every offset once, up to where the sink is: offsets may be missing
 * that a manifest says were no records, and what was lost is told by a letter for
 * its range. Tables: each record up to what the table's `txn` says is a row once,
 * or a dead letter once. The log: the newest records that it and the lake have are
 * the same, so both are of one history; the lake may hold more, since the log
 * lets go of records, but nothing beyond its end. What has not been worked on yet
 * is counted as "behind", not as a fault, and what a letter says is lost as
 * "lost". Of a topic that no model reads only the objects are looked at; what left
 * the log and never reached the lake is a fault until the sink has told it. (What
 * the log itself is made of, broker_verify() looks at.) What went by retention (raw_kept.h) is no
 * fault: objects from before the mark are not looked at, nor rows of their records held against
 * them, or against letters that went.
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
	uint64_t in_log;	/* records that are kept; at most, where numbers may be none */
	uint64_t objects;
	uint64_t lines;
	uint64_t rows;
	uint64_t letters;
	uint64_t lost;		/* of them: offsets that letters say are lost; of a stream the
				   letters that say so */
	uint64_t behind;	/* in the log, not yet in the lake or table */
	uint64_t unread;	/* in the log of a stream that no model reads */
	uint64_t faults;
	bool end_unknown;	/* the log's backend does not tell how far it is */
};

struct check_options {
	struct store *store;
	struct broker *broker;
	struct duck *duck;	/* reads the tables' Parquet files */
	const struct models *models;
	const char *id;
	bool some; /* not every topic of the log is ours: those of the models, … */
	const char *const *topics; /* … these (names or patterns), and what is in the lake */
	size_t topic_count;
	/* Told of every fault, in words. */
	void (*fault)(void *user, const char *what);
	/* … and of what is not kept any more. */
	void (*note)(void *user, const char *what);
	void *user;
};

struct check_topic {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
};

struct check_topics {
	struct check_topic *list; /* the caller frees it */
	size_t count;
};

/* What there is to check: those of the models, then what else of ours is in the log, or in the
 * lake. */
MUST_USE enum err_code check_find_topics(const struct check_options *options,
					 struct check_topics *ret_topics, struct err *err);

/*
 * The counts of each topic or stream and what was made of it, in their order. ERR_OK: all are
 * checked, faults or not. The tables of those that come next are opened before it is their turn.
 */
MUST_USE enum err_code check_all_topics(const struct check_options *options,
					const struct check_topics *topics,
					struct check_counts *ret_counts, struct err *err);

#endif
