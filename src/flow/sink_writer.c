/*
 * sink_writer.c - lanes that wait for one of a few threads.
 *
 *	            ┌────────────── jobs left, or to be tried again ─────────────┐
 *	            ▼                                                            │
 *	push ──► lanes that wait ── the first that is due ──► a thread's ──► its first job
 *	            (those that have jobs)                                       │
 *	take ◄── jobs that ended ◄───────────────────────────────────────────────┘
 *
 * A lane with jobs is in the queue or a thread's, so a thread needs no lock for
 * its lane. Idle threads sleep until a lane is due, and look for a stop, which
 * wakes nobody here, while one waits to be tried again. A thread begins when a
 * lane comes for which none is idle: most sinks have few partitions at a time.
 */
#include "flow/sink_writer.h"

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/gzip.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/group.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

enum {
	JOBS_MAX = 256,
	STOP_RETRY_MS = 100, /* the pace of tries once a stop is asked, … */
	STOP_TRIES = 50,     /* … and how many: the lane that has them first ends all */
	OUTPUT_BYTES_MAX = 2047 << 20,
	GZIP_LEVEL = -1, /* zlib's own */
};

struct sink_writer {
	struct store *store;
	size_t bytes_max;
	pthread_t threads[SINK_WRITERS_FAR];
	size_t thread_count; /* the sink's thread changes it */
	size_t threads_max;
	atomic_bool ending;		/* by sink_writer_end() */
	atomic_bool gave_up;		/* the tries after a stop are used up */
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t due;		/* for the threads: the queue is another, or closing */
	pthread_cond_t progress;	/* for the sink: a job has ended */
	struct sink_lane *queue;
	struct sink_lane **queue_end;
	struct sink_job *ended;
	struct sink_job **ended_end;
	size_t bytes;			/* waiting or at hand */
	size_t pending;			/* jobs, likewise */
	size_t waiting;			/* lanes in the queue */
	size_t busy;			/* threads with a lane */
	bool closing;
};

void sink_lane_init(struct sink_lane *lane)
{
	*lane = (struct sink_lane){
		.jobs_end = &lane->jobs,
		.retry = RETRY_INIT,
	};
}

static void sink_job_release_texts(struct sink_job *job)
{
	buf_release(&job->key);
	buf_release(&job->body);
	for (size_t i = 0; i < job->mark_count; i++) {
		buf_release(&job->marks[i].key);
		buf_release(&job->marks[i].text);
	}
	for (size_t i = 0; i < job->output_count; i++) {
		buf_release(&job->outputs[i].key);
		buf_release(&job->outputs[i].body);
	}
}

void sink_job_free(struct sink_job *job)
{
	sink_job_release_texts(job);
	dlq_batch_free(job->letters);
	free(job->outputs);
	free(job);
}

struct sink_mark *sink_job_add_mark(struct sink_job *job, size_t text_max)
{
	struct sink_mark *mark = &job->marks[job->mark_count++];

	assert(job->mark_count <= SINK_MARKS_MAX);
	buf_init(&mark->key, STORE_KEY_MAX * 2);
	buf_init(&mark->text, text_max);
	return mark;
}

/* --- lanes that wait; with the lock ------------------------------------- */

static void add_lane(struct sink_writer *writer, struct sink_lane *lane)
{
	lane->next = NULL;
	*writer->queue_end = lane;
	writer->queue_end = &lane->next;
	writer->waiting++;
	(void)pthread_cond_broadcast(&writer->due);
}

static bool is_ending(const struct sink_writer *writer)
{
	return stop_requested() || atomic_load(&writer->ending);
}

/* At the end no lane waits longer than the pace that then holds. */
static int64_t due_ms(const struct sink_writer *writer, const struct sink_lane *lane)
{
	if (atomic_load(&lane->dropped))
		return INT64_MIN;
	return lane->failed_ms + (is_ending(writer) ? STOP_RETRY_MS : lane->pause_ms);
}

/* The first lane that is due, out of the queue; NULL: none is before `ret_next_ms`. */
static struct sink_lane *take_lane(struct sink_writer *writer, int64_t now_ms, int64_t *ret_next_ms)
{
	int64_t next_ms = INT64_MAX;

	for (struct sink_lane **at = &writer->queue; *at; at = &(*at)->next) {
		struct sink_lane *lane = *at;
		int64_t lane_ms = due_ms(writer, lane);

		if (lane_ms <= now_ms) {
			*at = lane->next;
			if (!*at)
				writer->queue_end = at;
			writer->waiting--;
			return lane;
		}
		next_ms = lane_ms < next_ms ? lane_ms : next_ms;
	}
	*ret_next_ms = next_ms;
	return NULL;
}

/* Until the queue is another, or next_ms has come, or it is time to look for a stop again. */
static void await_lane(struct sink_writer *writer, int64_t now_ms, int64_t next_ms)
{
	struct timespec until;

	if (!writer->queue) {
		(void)pthread_cond_wait(&writer->due, &writer->lock);
		return;
	}
	if (next_ms > now_ms + STOP_RETRY_MS)
		next_ms = now_ms + STOP_RETRY_MS;
	until = (struct timespec){ .tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000 };
	(void)pthread_cond_timedwait(&writer->due, &writer->lock, &until);
}

/* --- a thread ----------------------------------------------------------- */

/* A lane that is due; NULL: the end. */
static struct sink_lane *next_lane(struct sink_writer *writer)
{
	struct sink_lane *lane = NULL;

	(void)pthread_mutex_lock(&writer->lock);
	while (!writer->closing) {
		int64_t now_ms = clock_mono_ms();
		int64_t next_ms;

		lane = take_lane(writer, now_ms, &next_ms);
		if (lane) {
			writer->busy++;
			break;
		}
		await_lane(writer, now_ms, next_ms);
	}
	(void)pthread_mutex_unlock(&writer->lock);
	return lane;
}

/* Something has the name: this very object, or one of who gave the group up (group.h, rule 7). */
static enum err_code settle_output(struct sink_writer *writer, const struct sink_output *output,
				   const char *key, struct err *err)
{
	struct buf there;
	struct err why;
	enum err_code code;

	buf_init(&there, OUTPUT_BYTES_MAX);
	code = group_get_text(writer->store, key, &there, &why);
	if (code == ERR_OK && there.len == 0)
		code = err_set(err, ERR_EXISTS, "\"%s\" is barred: its group was given up", key);
	else if (code == ERR_OK &&
		 (there.len != output->body.len || crc32c(0, there.ptr, there.len) != output->crc))
		code = err_set(err, ERR_EXISTS,
			       "\"%s\" is there, and is not what its group's"
			       " manifest says",
			       key);
	else if (code == ERR_CORRUPT || code == ERR_LIMIT)
		code = err_set(err, ERR_EXISTS, "\"%s\" is there: %s", key, why.msg);
	else if (code != ERR_OK)
		*err = why;
	buf_release(&there);
	return code;
}

static enum err_code put_output(struct sink_writer *writer, struct sink_output *output,
				struct err *err)
{
	const char *key = buf_cstr(&output->key);
	struct slice body = buf_slice(&output->body);
	struct buf packed;
	enum err_code code;

	buf_init(&packed, OUTPUT_BYTES_MAX);
	if (group_is_packed(key)) {
		gzip_pack(&packed, body, GZIP_LEVEL);
		assert(!buf_full(&packed));
		body = buf_slice(&packed);
	}
	code = store_put(writer->store, key, body, STORE_CREATE, err);
	if (code == ERR_EXISTS)
		code = settle_output(writer, output, key, err);
	buf_release(&packed);
	return code;
}

static enum err_code put_outputs(struct sink_writer *writer, struct sink_job *job, struct err *err)
{
	for (; job->output_at < job->output_count; job->output_at++) {
		struct sink_output *output = &job->outputs[job->output_at];

		int sys = FAILPOINT("sink-output");

		if (sys) {
			errno = sys;
			return err_errno(err, "sink-output");
		}
		if (put_output(writer, output, err) != ERR_OK)
			return err->code;
		buf_release(&output->body);
	}
	return ERR_OK;
}

static enum err_code sink_writer_put(struct sink_writer *writer, struct sink_job *job,
				     struct err *err)
{
	for (size_t i = 0; i < job->mark_count; i++) {
		struct sink_mark *mark = &job->marks[i];

		if (store_put_once(writer->store, buf_cstr(&mark->key), buf_slice(&mark->text),
				   err) != ERR_OK)
			return err->code;
	}
	if (job->letters)
		return dlq_batch_write(job->letters, err);
	if (job->outputs)
		return put_outputs(writer, job, err);
	return store_put_once(writer->store, buf_cstr(&job->key), buf_slice(&job->body), err);
}

/* False: the end was asked for, and time is up. */
static bool put_off(struct sink_writer *writer, struct sink_lane *lane, const struct err *err)
{
	lane->failed_ms = clock_mono_ms();
	lane->pause_ms = retry_failed(&lane->retry, "the lake", err);
	if (!is_ending(writer))
		return true;
	if (++lane->stop_tries == STOP_TRIES)
		atomic_store(&writer->gave_up, true);
	return !atomic_load(&writer->gave_up);
}

static void sink_writer_halt(struct sink_lane *lane, enum err_code code, const struct err *err)
{
	atomic_store(&lane->halted, (int)code);
	if (code == ERR_EXISTS)		/* the sink tells if it comes to nothing */
		trace_info("%s; another sink was faster", err->msg);
	else if (code != ERR_STOPPED)
		trace_error("%s; this partition halts, the others go on", err->msg);
}

/* One try of the lane's first job. False: it has to be made again. */
static bool perform(struct sink_writer *writer, struct sink_lane *lane)
{
	struct sink_job *job = lane->jobs;
	struct err err;
	enum err_code code;

	if (atomic_load(&lane->halted) != ERR_OK || atomic_load(&lane->dropped)) {
		retry_end(&lane->retry); /* nobody tries it again */
		return true;
	}
	code = sink_writer_put(writer, job, &err);
	job->done = code == ERR_OK;
	if (job->done) {
		retry_passed(&lane->retry);
		lane->pause_ms = 0;
		return true;
	}
	if (retry_may_pass(code)) {
		metric_add(METRIC_SINK_RETRIES, 1);
		if (put_off(writer, lane, &err))
			return false;
		code = ERR_STOPPED;
	}
	sink_writer_halt(lane, code, &err);
	return true;
}

/* The lane's first job goes to the sink; with the lock. */
static void end_job(struct sink_writer *writer, struct sink_lane *lane)
{
	struct sink_job *job = lane->jobs;

	lane->jobs = job->next;
	if (!lane->jobs)
		lane->jobs_end = &lane->jobs;
	job->next = NULL;
	*writer->ended_end = job;
	writer->ended_end = &job->next;
	writer->bytes -= job->bytes;
	lane->bytes -= job->bytes;
	writer->pending--;
	(void)pthread_cond_broadcast(&writer->progress);
}

static void *sink_writer_run(void *user)
{
	struct sink_writer *writer = user;
	struct sink_lane *lane;

	while ((lane = next_lane(writer))) {
		bool ended = perform(writer, lane);

		if (ended) /* the sink may be long in coming for it */
			sink_job_release_texts(lane->jobs);
		(void)pthread_mutex_lock(&writer->lock);
		if (ended)
			end_job(writer, lane);
		if (lane->jobs)
			add_lane(writer, lane);
		writer->busy--;
		(void)pthread_mutex_unlock(&writer->lock);
	}
	return NULL;
}

/* --- the writer --------------------------------------------------------- */

static void sink_writer_free_chain(struct sink_job *job)
{
	while (job) {
		struct sink_job *next = job->next;

		sink_job_free(job);
		job = next;
	}
}

static void init_locks(struct sink_writer *writer)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&writer->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&writer->due, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_cond_init(&writer->progress, NULL);
}

static int start_writer_thread(struct sink_writer *writer)
{
	int sys = pthread_create(&writer->threads[writer->thread_count], NULL, sink_writer_run,
				 writer);

	if (sys == 0)
		writer->thread_count++;
	return sys;
}

/* Of lanes that wait for their next try as well: they may all be due at once. Where no thread is to
 * be had, those that there are do it all. */
static void start_threads_for_all(struct sink_writer *writer)
{
	size_t wanted;

	(void)pthread_mutex_lock(&writer->lock);
	wanted = writer->waiting + writer->busy;
	(void)pthread_mutex_unlock(&writer->lock);
	while (writer->thread_count < wanted && writer->thread_count < writer->threads_max &&
	       start_writer_thread(writer) == 0)
		continue;
}

enum err_code sink_writer_new(struct store *store, size_t bytes_max,
			      struct sink_writer **ret_writer, struct err *err)
{
	struct sink_writer *writer = xcalloc(1, sizeof(*writer));
	int sys;

	writer->store = store;
	writer->threads_max = store_at_once(store) > 1 ? SINK_WRITERS_FAR : SINK_WRITERS;
	writer->bytes_max = bytes_max;
	writer->queue_end = &writer->queue;
	writer->ended_end = &writer->ended;
	init_locks(writer);
	sys = start_writer_thread(writer);
	if (sys != 0) {
		sink_writer_free(writer);
		errno = sys;
		return err_errno(err, "could not start a thread");
	}
	*ret_writer = writer;
	return ERR_OK;
}

void sink_writer_free(struct sink_writer *writer)
{
	(void)pthread_mutex_lock(&writer->lock);
	writer->closing = true;
	(void)pthread_cond_broadcast(&writer->due);
	(void)pthread_mutex_unlock(&writer->lock);
	for (size_t i = 0; i < writer->thread_count; i++)
		(void)pthread_join(writer->threads[i], NULL);
	for (struct sink_lane *lane = writer->queue; lane; lane = lane->next)
		sink_writer_free_chain(lane->jobs);
	sink_writer_free_chain(writer->ended);
	(void)pthread_cond_destroy(&writer->due);
	(void)pthread_cond_destroy(&writer->progress);
	(void)pthread_mutex_destroy(&writer->lock);
	free(writer);
}

unsigned sink_writer_fill(struct sink_writer *writer, const struct sink_lane *lane)
{
	size_t of_bytes, of_jobs = 0;

	(void)pthread_mutex_lock(&writer->lock);
	if (lane) {
		of_bytes = lane->bytes * 2 * 100 / writer->bytes_max;
	} else {
		of_bytes = writer->bytes * 100 / writer->bytes_max;
		of_jobs = writer->pending * 100 / JOBS_MAX;
	}
	(void)pthread_mutex_unlock(&writer->lock);
	return (unsigned)(of_bytes > of_jobs ? of_bytes : of_jobs);
}

bool sink_writer_is_busy(struct sink_writer *writer, const struct sink_lane *lane)
{
	bool busy;

	(void)pthread_mutex_lock(&writer->lock);
	busy = lane->jobs != NULL;
	(void)pthread_mutex_unlock(&writer->lock);
	return busy;
}

void sink_writer_end(struct sink_writer *writer)
{
	atomic_store(&writer->ending, true);
	(void)pthread_mutex_lock(&writer->lock);
	(void)pthread_cond_broadcast(&writer->due);
	(void)pthread_mutex_unlock(&writer->lock);
}

void sink_writer_push(struct sink_writer *writer, struct sink_job *job)
{
	struct sink_lane *lane = job->lane;
	bool idle;

	(void)pthread_mutex_lock(&writer->lock);
	idle = !lane->jobs;
	job->next = NULL;
	*lane->jobs_end = job;
	lane->jobs_end = &job->next;
	if (idle)
		add_lane(writer, lane);
	writer->bytes += job->bytes;
	lane->bytes += job->bytes;
	writer->pending++;
	(void)pthread_mutex_unlock(&writer->lock);
	start_threads_for_all(writer);
}

/* A thread that has the lane reads `dropped` without the lock, before its next job: late by one at
 * the most, so it is atomic. What waits for its next try is due at once. */
void sink_writer_drop(struct sink_writer *writer, struct sink_lane *lane)
{
	atomic_store(&lane->dropped, true);
	(void)pthread_mutex_lock(&writer->lock);
	(void)pthread_cond_broadcast(&writer->due);
	(void)pthread_mutex_unlock(&writer->lock);
}

void sink_writer_revive(struct sink_writer *writer, struct sink_lane *lane)
{
	(void)pthread_mutex_lock(&writer->lock);
	assert(!lane->jobs);
	atomic_store(&lane->dropped, false);
	atomic_store(&lane->halted, ERR_OK);
	lane->pause_ms = 0;
	retry_end(&lane->retry);
	(void)pthread_mutex_unlock(&writer->lock);
}

void sink_writer_wait(struct sink_writer *writer, const struct sink_lane *lane)
{
	(void)pthread_mutex_lock(&writer->lock);
	while (lane ? lane->jobs != NULL : writer->pending > 0)
		(void)pthread_cond_wait(&writer->progress, &writer->lock);
	(void)pthread_mutex_unlock(&writer->lock);
}

struct sink_job *sink_writer_take(struct sink_writer *writer)
{
	struct sink_job *chain;

	(void)pthread_mutex_lock(&writer->lock);
	chain = writer->ended;
	writer->ended = NULL;
	writer->ended_end = &writer->ended;
	(void)pthread_mutex_unlock(&writer->lock);
	return chain;
}
