/*
 * check_topic.h - the parts of the check to each other: one topic or stream,
 * what is known of its partitions, and who asks. Only check*.c include it.
 *
 *	check.c		which topics and streams there are; how far the log is
 *	check_objects.c	the sink's side: every offset in one object or letter
 *	check_places.c	the tables' side: every offset a row or a letter, once
 */
#ifndef FLOW_CHECK_TOPIC_H
#define FLOW_CHECK_TOPIC_H

#include "delta/delta.h"
#include "flow/check.h"

/* What is known of one partition. */
struct check_part {
	int32_t partition;
	uint64_t committed; /* all tables are done with the offsets before this */
	int64_t front;	    /* what the sink put up to here is surely seen; -1: nothing */
	uint64_t *sink;	    /* offsets of its dead letters, ascending once sorted */
	size_t sink_count;
	size_t sink_at;	     /* the next one that the walk over the objects has not met */
	uint64_t next;	     /* the offset that the objects must go on with */
	uint64_t places_end; /* the offset after the last one that is a row or letter */
};

/* A table that is made of the topic. */
struct check_table {
	struct lake_table place;
	struct delta_table *delta; /* NULL: there is none yet */
};

struct checking {
	const struct check_options *options;
	enum topic_kind kind;
	const char *topic;
	struct check_counts counts;
	struct check_table *tables; /* none: no model reads it */
	size_t table_count;
	struct topic_info info; /* no partitions: there is no topic */
	struct check_part *parts;
	size_t part_count;
	uint64_t settled;  /* letters that no commit brings once more */
	struct buf insert; /* letters on their way into the table "letters" */
	enum err_code code;
	struct err *err;
};

__attribute__((format(printf, 2, 3))) void check_fault(struct checking *checking, const char *fmt,
						       ...);
/* The progress of the table that is least far: the last offset that it is done with, or -1. */
int64_t check_done_of(const struct checking *checking, int32_t partition);
struct check_part *check_part_of(struct checking *checking, int32_t partition);

/* The listings of now: what the sink put before is surely seen by those that come. */
MUST_USE enum err_code check_find_fronts(struct checking *checking);
/* Every object, held against the letters that check_take_letters() found. */
MUST_USE enum err_code check_objects(struct checking *checking);

MUST_USE enum err_code check_take_letters(struct checking *checking);
MUST_USE enum err_code check_places(struct checking *checking);

#endif
