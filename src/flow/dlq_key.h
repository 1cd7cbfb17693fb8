/*
 * dlq_key.h - the names of objects of dead letters.
 *
 *	dlq/<topic>/[generation=<g>/]partition=<p>/<from>-<upto>[.<number>][+<table>].ndjson
 *
 * The letters that the commit of (from, upto] passed: positions as position_text(), "none" where
 * nothing was before. A range may have several objects, numbered from 2 on after the first. The
 * table is that whose commit it is; the sink's letters have none.
 *
 * Programs before these wrote, and this one reads for ever,
 *
 *	dlq/<topic>/partition=<p>/<topic>+<p>+<ordinal of the first letter, 10 digits>[+<table>].ndjson
 *
 * where only a table that shared its topic was named: of the others a letter's own words tell whose
 * it is.
 */
#ifndef FLOW_DLQ_KEY_H
#define FLOW_DLQ_KEY_H

#include "base/buf.h"
#include "broker/broker.h"

/* What a commit passed: all positions after `from` up to `upto`. */
struct dlq_range {
	bool begins; /* nothing was before, and `from` means nothing */
	struct position from;
	struct position upto;
};

/* `from` NULL: nothing was before. */
struct dlq_range dlq_range_of(const struct position *from, struct position upto);
/* In the order in which they begin, then end. */
int dlq_range_cmp(const struct dlq_range *a, const struct dlq_range *b);
/* Whether `range` begins before `at`. */
static inline bool dlq_range_is_before(const struct dlq_range *range, struct position at)
{
	return range->begins || position_cmp(range->from, at) < 0;
}

/* A name that was read. Its slices are parts of that. */
struct dlq_key {
	struct slice topic;
	uint32_t generation;	/* from 1, which is not named; see lake.h */
	struct slice partition; /* as partition_text() */
	struct slice table;	/* null: none is named */
	bool old;		/* one that is named by its first letter: … */
	uint64_t start;		/* … the ordinal of that */
	struct dlq_range range; /* else */
	uint32_t number;	/* from 1 */
};

/* Where the letters of a partition are. */
struct dlq_place {
	struct topic_ref topic;
	uint32_t generation; /* 0 or 1: the first */
	int32_t partition;
};

/* What follows replaces what `out` held. "dlq/<topic>/partition=<p>/" */
void dlq_key_dir(struct buf *out, const struct dlq_place *place);
/* `table` NULL: the sink's. */
void dlq_key_put(struct buf *out, const struct dlq_place *place, const struct dlq_range *range,
		 uint32_t number, const char *table);
/* False: not the name of an object of letters. */
bool dlq_key_parse(const char *key, struct dlq_key *ret);
/* Whether a range's object is of this table (NULL: of the sink). */
bool dlq_key_is_of(const struct dlq_key *key, const char *table);

#endif
