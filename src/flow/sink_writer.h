/*
 * sink_writer.h - the thread that puts what the sink has closed into the lake,
 * in the order in which it was pushed, while the sink reads on.
 *
 * A job that cannot be put halts its lane: later jobs of the lane end unput, so
 * that nothing lands after a gap. Other lanes go on. Whatever may pass (a store
 * that is away, a full disk) is tried again for ever; once the process is asked
 * to stop, for a few seconds.
 *
 * Ownership: the writer owns a job from the push until it is handed back; the
 * lane outlives its jobs. Threads: all calls from the sink's.
 */
#ifndef FLOW_SINK_WRITER_H
#define FLOW_SINK_WRITER_H

#include "flow/dlq.h"

#include <stdatomic.h>

/* What must be written in order: a partition. */
struct sink_lane {
	atomic_int halted;		/* an enum err_code, ERR_OK: it goes on */
};

/* An object, or dead letters. */
struct sink_job {
	struct sink_job *next;		/* the writer's, then the chain that is handed back */
	struct sink_lane *lane;
	struct buf key;			/* an object's; empty for letters, and after the end */
	struct buf body;
	struct dlq_batch *letters;	/* NULL: an object */
	size_t bytes;			/* about what it holds in memory */
	uint64_t records;
	uint64_t end;			/* ordinal after the last record */
	bool done;			/* it is in the lake */
};

void sink_job_free(struct sink_job *job);

struct sink_writer;

/* While jobs of `bytes_max` in all wait, or too many, sink_writer_push() waits too. */
MUST_USE enum err_code sink_writer_new(struct store *store, size_t bytes_max,
				       struct sink_writer **ret_writer, struct err *err);
/* Lets the job at hand end, drops the rest. */
void sink_writer_free(struct sink_writer *writer);

void sink_writer_push(struct sink_writer *writer, struct sink_job *job);
/* The jobs that ended since the last call, in order; NULL: none. `wait`: until all have ended. */
MUST_USE struct sink_job *sink_writer_take(struct sink_writer *writer, bool wait);

#endif
