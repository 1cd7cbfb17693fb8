/*
 * sink_inside.h - what the files of the sink share: sink.c reads and ends;
 * sink_place.c finds where a partition goes on; sink_take.c makes runs out of what
 * was read; sink_amend.c gives groups up that cannot be made; sink_topics.c knows
 * which topics it takes; sink_tell.c lets others see how far it is.
 *
 * Threads: the sink's.
 */
#ifndef FLOW_SINK_INSIDE_H
#define FLOW_SINK_INSIDE_H

#include "base/backoff.h"
#include "flow/sink_partition.h"

enum { SINK_RECORD_MAX = 64 << 20 };	/* bytes; more than any log takes */

struct sink {
	const struct sink_options *options;
	struct sink_counts *counts;
	struct sink_writer *writer;
	struct json_parser *parser;
	struct broker_reader *reader;
	struct sink_partition **partitions;
	size_t partition_count;
	size_t filling_bytes;
	bool quiet;			/* the reader had nothing when it was asked last */
	bool assigning;			/* it gave a partition, and may be about to give more */
	bool draining;			/* goals are set; end when they are reached */
	bool hurried;			/* a stop has cut the waits for places short */
	bool joined;			/* something was assigned */
	int64_t began_ms;
	int64_t drain_ms; /* when it began to drain */
	int64_t drain_due_ms; /* when that is tried again */
	struct backoff drain_backoff;
	int64_t alone_ms; /* when it was last asked whether … */
	bool alone;	  /* … nobody else is in its group */
	struct sink_topic *topics; /* what others see of them */
	size_t topic_count;
	int64_t told_ms; /* when that was told last; monotonic clock */
};

static inline struct topic_ref sink_topic(const struct sink_partition *partition)
{
	return (struct topic_ref){ TOPIC_LOG, partition->topic };
}

/* Nothing of it lands any more; tells why, unless that is ERR_STOPPED. */
void sink_halt(struct sink *sink, struct sink_partition *partition, const struct err *err);
/* Forget the run. */
void sink_drop_run(struct sink *sink, struct sink_partition *partition);
/* Hand the run, if there is one, to the writer. */
void sink_close_run(struct sink *sink, struct sink_partition *partition);

/* ---- sink_place.c ---- */

/* Those that are SINK_PLACING, and it is time, go on, or are put off. */
void sink_place_due(struct sink *sink, int64_t now_ms);
/* It could not be found out now: while the partition is paused, others go on. */
void sink_place_again(struct sink *sink, struct sink_partition *partition, const char *what,
		      struct err *err);
/* Read on where the partition stands. */
MUST_USE enum err_code sink_seek(struct sink *sink, struct sink_partition *partition,
				 struct err *err);

/* ---- sink_topics.c ---- */

/* Names of topics, and patterns. */
struct sink_topics {
	char **names;
	size_t count;
};

/* The number of the table that is made of the topic; table_count: none is. */
size_t sink_table_of(const struct sink *sink, const char *topic);
/* True. */
bool sink_topics_add(void *topics, const char *name);
/* Those that the options name, by name or by pattern; tables may share one. */
void sink_topics_add_own(const struct sink *sink, struct sink_topics *topics);
bool sink_topics_match(const struct sink_topics *topics, const char *name);
void sink_topics_release(struct sink_topics *topics);

/* ---- sink_take.c ---- */

/* READER_RECORDS or READER_GAP of a partition that is SINK_READING. */
void sink_take_records(struct sink *sink, struct sink_partition *partition,
		       const struct reader_event *event);
void sink_take_gap(struct sink *sink, struct sink_partition *partition,
		   const struct reader_event *event);
/* So many records are missed for this reason. */
void sink_count_gap(struct sink *sink, enum gap_reason gap, uint64_t count);

/* ---- sink_tell.c ---- */

/* The place of its topic among the sink's. */
void sink_tell_partition(struct sink *sink, struct sink_partition *partition);
/* A job of it has ended well. */
void sink_tell_landed(struct sink *sink, struct sink_partition *partition,
		      const struct sink_job *job);
/* Some times a second, what others see of it all (base/registry.h). */
void sink_tell(struct sink *sink);

/* ---- sink_amend.c ---- */

enum group_none sink_lost_of(enum gap_reason gap);
/* As dead letters have it. */
const char *sink_reason_of(enum gap_reason gap);
/* If the newest group was amended: its letters come before anything else. */
void sink_tell_losses(struct sink *sink, struct sink_partition *partition);
/* What is left of the one that is being made is then found, and made, as any group that is not
 * whole. */
void sink_give_up_group(struct sink *sink, struct sink_partition *partition);

#endif
