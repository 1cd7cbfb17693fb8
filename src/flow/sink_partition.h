/*
 * sink_partition.h - what the sink holds of one partition: the run that is
 * being filled, which is lines of an object or dead letters, never both.
 *
 * Threads: the sink's; the writer knows the lane only.
 */
#ifndef FLOW_SINK_PARTITION_H
#define FLOW_SINK_PARTITION_H

#include "base/json.h"
#include "flow/sink.h"
#include "flow/sink_recover.h"
#include "flow/sink_writer.h"

struct sink_partition {
	struct sink_lane lane;		/* first: a job's lane leads back here */
	char topic[TOPIC_NAME_MAX + 1];
	int32_t id;
	size_t table; /* of sink_options.tables; past them: another topic */
	bool assigned;
	uint64_t next;			/* ordinal of the record that comes next */
	struct buf proof;		/* the line that the record before `next` must give, … */
	bool unproved;			/* … if it has not been compared yet */
	uint64_t goal;			/* a drain ends here */

	/* The run: records [start, next). */
	uint64_t start;
	uint64_t count;			/* 0: none */
	size_t bytes;
	int64_t first_ms;		/* monotonic clock when it got its first record */
	struct buf body;		/* lines of an object, or */
	struct dlq_batch *letters;	/* dead letters, unless NULL */
	size_t body_hint;		/* how large the last object became */
};

MUST_USE struct sink_partition *sink_partition_new(const char *topic, int32_t id, size_t table,
						   size_t body_max);
void sink_partition_free(struct sink_partition *partition);

static inline enum err_code sink_partition_halted(const struct sink_partition *partition)
{
	return (enum err_code)atomic_load(&partition->lane.halted);
}

/* Go on at `place`, whose last line is taken; what was being filled is forgotten. */
void sink_partition_begin(struct sink_partition *partition, struct sink_place *place);
/* Forget the run. */
void sink_partition_drop(struct sink_partition *partition);
/* The line of a record that is JSON, at the end of the run; it must be no run of letters. */
void sink_partition_add_line(struct sink_partition *partition, struct json value);
/* ERR_LIMIT: close the run first. It must be no run of lines. */
MUST_USE enum err_code sink_partition_add_letter(struct sink_partition *partition,
						 struct store *store,
						 const struct dlq_letter *letter, struct err *err);
/* The run as a job for the writer; the partition has none then. */
MUST_USE struct sink_job *sink_partition_close(struct sink_partition *partition);

#endif
