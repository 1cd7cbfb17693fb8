/*
 * sink_writer.h - the threads that put what the sink has closed into the lake
 * while the sink reads on.
 *
 *  1. The jobs of a lane are put in the order of their pushes, each after the
 *     one before is in the lake. Lanes are put at the same time.
 *  2. Whatever may pass (retry.h) is tried again for ever, with backoff; once the
 *     process is asked to stop, or sink_writer_end() was called, for a few seconds.
 *     A lane that waits for its next try keeps no thread from the others. A put
 *     that hangs does: as many of them as there are threads, and nothing is put.
 *  3. A job that can never be put, or not before the stop, halts its lane: later
 *     jobs of the lane end unput, so that nothing lands after a gap. Other lanes
 *     go on. So it does if something else stands under its name (ERR_EXISTS):
 *     then another sink was faster, and the lake tells where to go on.
 *  4. Nothing here waits for the store but sink_writer_wait(): who pushes looks
 *     first how much waits already (sink_writer_fill()).
 *
 * Ownership: the writer owns a job from the push until it is handed back; the
 * lane outlives its jobs. Threads: all calls from the sink's.
 */
#ifndef FLOW_SINK_WRITER_H
#define FLOW_SINK_WRITER_H

#include "flow/dlq.h"
#include "flow/retry.h"

#include <stdatomic.h>

/*
 * What a thread does is wait, for a sync or an answer. On a disk: one for each table of a pipeline,
 * and one for what is slow; where a sync takes 0.3 ms reading is the limit, with 2 threads as with
 * 8. Of a service that is 20 ms away each thread gets 50 puts a second done, at the most.
 */
enum { SINK_WRITERS = 4, SINK_WRITERS_FAR = 16 };

/* What must be written in order: a partition. */
struct sink_lane {
	atomic_int halted;		/* an enum err_code, ERR_OK: it goes on */

	/* The writer's. */
	struct sink_job *jobs;		/* not ended; a thread may have the first at hand */
	struct sink_job **jobs_end;
	struct sink_lane *next;		/* that waits for a thread */
	struct retry retry;
	int64_t failed_ms;		/* when the last try failed, … */
	int64_t pause_ms;		/* … and how long after it the next one is due */
	int stop_tries;			/* that failed since the end was asked for */
	atomic_bool dropped;		/* its jobs end unput */
	size_t bytes;			/* of its jobs */
};

void sink_lane_init(struct sink_lane *lane);

enum { SINK_MARKS_MAX = 4, SINK_MANIFEST_MAX = 64 << 20 };

/* Another object that must be there before the job's own, create-only as that. */
struct sink_mark {
	struct buf key;
	struct buf text;
};

/* An object of a group, or the keys or headers of one: the group's manifest says what it is, so
 * that it may be there already (group.h). */
struct sink_output {
	struct buf key; /* ….gz: it is packed on its way */
	struct buf body;
	uint32_t crc;
};

/* An object, a group of them, or dead letters. */
struct sink_job {
	struct sink_job *next;		/* the writer's, then the chain that is handed back */
	struct sink_lane *lane;
	struct buf key; /* of a plain object; else, and after the end, empty */
	struct buf body;
	struct sink_output *outputs; /* of a group: put in this order … */
	size_t output_count;
	size_t output_at; /* … as far as this */
	size_t objects;
	struct dlq_batch *letters;	/* NULL: an object */
	struct sink_mark marks[SINK_MARKS_MAX];
	size_t mark_count;
	size_t bytes;			/* about what it holds in memory */
	uint64_t records;
	uint64_t end;			/* offset after the last record */
	int64_t newest_ms;		/* the newest time of its records, by themselves */
	bool done;			/* it is in the lake */
};

void sink_job_free(struct sink_job *job);
/* One more, empty; those before it are put first. */
struct sink_mark *sink_job_add_mark(struct sink_job *job, size_t text_max);

struct sink_writer;

/* Jobs of `bytes_max` may wait. */
MUST_USE enum err_code sink_writer_new(struct store *store, size_t bytes_max,
				       struct sink_writer **ret_writer, struct err *err);
/* Lets the puts at hand end, drops the rest. */
void sink_writer_free(struct sink_writer *writer);

/* As if a stop had been asked: the sink is to end with an error, and must not wait for the
 * store. */
void sink_writer_end(struct sink_writer *writer);
/* Takes it, however much waits. */
void sink_writer_push(struct sink_writer *writer, struct sink_job *job);
/* How much waits, in hundredths of what may. With a lane: in it alone, of the half that it may have
 * of that, so that others need not wait for it. */
unsigned sink_writer_fill(struct sink_writer *writer, const struct sink_lane *lane);
/* Whether jobs of the lane have not ended. */
bool sink_writer_is_busy(struct sink_writer *writer, const struct sink_lane *lane);
/* Its jobs end unput, but for one that a thread has at hand: soon it is not busy any more. */
void sink_writer_drop(struct sink_writer *writer, struct sink_lane *lane);
/* An idle lane takes jobs again after a halt or a drop. */
void sink_writer_revive(struct sink_writer *writer, struct sink_lane *lane);
/* Until all jobs of the lane (NULL: of every lane) have ended. */
void sink_writer_wait(struct sink_writer *writer, const struct sink_lane *lane);
/* The jobs that ended since the last call, those of a lane in order; NULL: none. */
MUST_USE struct sink_job *sink_writer_take(struct sink_writer *writer);

#endif
