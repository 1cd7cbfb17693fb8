/*
 * sink_inside.h - what the files of the sink share: sink.c reads, places and
 * ends; sink_take.c makes runs out of what was read; sink_drain.c tells which
 * topics there are, and when all of them was read.
 *
 * Threads: the sink's.
 */
#ifndef FLOW_SINK_INSIDE_H
#define FLOW_SINK_INSIDE_H

#include "flow/sink_partition.h"

enum { SINK_RECORD_MAX = 64 << 20 }; /* bytes; more than any log takes */

struct sink {
	const struct sink_options *options;
	struct sink_counts *counts;
	struct sink_writer *writer;
	struct json_parser *parser;
	struct broker_reader *reader;
	struct sink_partition **partitions;
	size_t partition_count;
	size_t filling_bytes;
	bool quiet;	/* the reader had nothing when it was asked last */
	bool assigning; /* it gave a partition, and may be about to give more */
	bool draining;	/* goals are set; end when they are reached */
	bool joined;	/* something was assigned */
	int64_t began_ms;
};

/* Which of the options' tables is the topic's. */
size_t sink_table_of(const struct sink *sink, const char *topic);
/* It, or a new one. */
struct sink_partition *sink_make_partition(struct sink *sink, const char *topic, int32_t id);
/* The reader goes on behind what has landed. */
MUST_USE enum err_code sink_seek(struct sink *sink, struct sink_partition *partition,
				 struct err *err);
/* Close what is old enough (`all`: everything). Returns when the next one will be. */
int64_t sink_close_due(struct sink *sink, int64_t now_ms, bool all);

MUST_USE enum err_code sink_open_reader(struct sink *sink, struct err *err);
/* What is in the log now is what has to land before sink_drained(). */
MUST_USE enum err_code sink_begin_drain(struct sink *sink, struct err *err);
/* All has been read, is closed, and the writer is done with it. (If another sink was faster it may
 * have to be read again.) */
bool sink_drained(struct sink *sink);

/* Nothing of it lands any more; tells why, unless that is ERR_STOPPED. */
void sink_halt(struct sink *sink, struct sink_partition *partition, const struct err *err);
/* Forget the run. */
void sink_drop_run(struct sink *sink, struct sink_partition *partition);
/* Hand the run, if there is one, to the writer. */
void sink_close_run(struct sink *sink, struct sink_partition *partition);

/* READER_RECORDS or READER_GAP of a partition that is SINK_READING. */
void sink_take_records(struct sink *sink, struct sink_partition *partition,
		       const struct reader_event *event);
void sink_take_gap(struct sink *sink, struct sink_partition *partition,
		   const struct reader_event *event);

#endif
