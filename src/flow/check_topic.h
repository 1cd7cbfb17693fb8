/*
 * check_topic.h - the parts of the check to each other: one topic or stream,
 * what is known of its partitions, and who asks. Only check*.c include it.
 *
 *	check.c		which topics and streams there are; the order of the parts
 *	check_objects.c	the sink's side: every offset in one object or letter
 *	check_log.c	the log: is it of the same history, and what is only there
 *	check_places.c	the tables' side: every record a row or a letter, once
 *	check_kept.c	what is not kept any more, which is no fault
 */
#ifndef FLOW_CHECK_TOPIC_H
#define FLOW_CHECK_TOPIC_H

#include "delta/delta.h"
#include "flow/check.h"
#include "flow/dlq.h"
#include "flow/group.h"

enum check_cover_kind { COVER_OBJECT, COVER_LETTERS };

/* Offsets [from, end) of a topic that something accounts for. */
struct check_cover {
	enum check_cover_kind kind;
	uint64_t from;
	uint64_t end;
	uint64_t start; /* of an object: the offset of its first line, where numbers that are no
			   records come before it */
};

/* Records that have to be somewhere: how many, and the sum of the last 20 digits of their positions
 * modulo 2^64, by which two sets of them are told apart without a list of either. */
struct check_sum {
	uint64_t count;
	uint64_t sum;
	struct position last;	/* meaningful if count > 0 */
};

void check_sum_add(struct check_sum *sum, struct position position);

/* What is known of one partition, of one generation of its topic. */
struct check_part {
	struct lake_partition where;
	bool any_done;		 /* all tables have progress: … */
	struct position done;	 /* … up to here, at least */
	struct lineage lineage;	 /* of that record, if it is noted */
	uint64_t done_end;	 /* of a topic: the offset after `done` */
	int64_t front;		 /* what the sink put up to here is surely seen; -1: nothing */
	uint64_t *sink;		 /* offsets of its dead letters, ascending once sorted */
	size_t sink_count;
	size_t sink_at;		 /* the next one that the walk over the objects has not met */
	struct check_cover *covers;
	size_t cover_count;
	bool any_end;		 /* there are covers, and that is … */
	uint64_t end;		 /* … the offset after the last one */
	bool holes;		 /* told; what else they bring is not told once more */
	char *newest_key;	 /* of the object with the last line; NULL: there is none */
	uint64_t newest_size;	 /* of its file */
	uint64_t newest_lines;
	struct manifest newest_manifest;
	struct manifest_run *runs; /* of lines */
	size_t run_count;
	size_t run_room;
	uint64_t kept;		   /* what begins before this went by raw.retention; 0: nothing */
	struct position since;	   /* records before this are not looked for in the tables: they, or
				      letters of theirs, are not kept any more */
	struct check_sum expected; /* from `since` up to `done` */
	bool other;		 /* the log's is another one, not to be compared with the lake's */
	struct position from;	 /* of a stream: the oldest record that the log still has */
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
	struct buf insert; /* letters on their way into the table "letters", … */
	bool any_letters;  /* … which is made for the first */
	enum err_code code;
	struct err *err;
};

__attribute__((format(printf, 2, 3))) void check_fault(struct checking *checking, const char *fmt,
						       ...);
/* No fault, but to be known. */
__attribute__((format(printf, 2, 3))) void check_note(struct checking *checking, const char *fmt,
						      ...);
/* Known from here on, with its progress; NULL and checking->code: it cannot be read. */
struct check_part *check_part_of(struct checking *checking, int32_t partition,
				 uint32_t generation);
/* Of the newest generation, which is the log's. */
struct check_part *check_newest_part(struct checking *checking, int32_t partition);
/* Whether all tables are done with it. */
bool check_is_done(const struct check_part *part, struct position position);

/* The listings of now: what the sink put before is surely seen by those that come. */
MUST_USE enum err_code check_find_fronts(struct checking *checking);
MUST_USE enum err_code check_take_letters(struct checking *checking);
/* What retention let go of up to now: after all that it may have let go of was looked for. */
MUST_USE enum err_code check_find_kept(struct checking *checking);
/* Every object, held against the letters. */
MUST_USE enum err_code check_objects(struct checking *checking);
MUST_USE enum err_code check_log(struct checking *checking);
MUST_USE enum err_code check_places(struct checking *checking);

#endif
