#include "flow/sink_writer.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

enum {
	JOBS_MAX = 256,
	RETRY_FIRST_MS = 100,
	RETRY_MAX_MS = 20000,
	STOP_RETRY_MS = 100,		/* the pace of tries once a stop is asked, … */
	STOP_TRIES = 50,		/* … and how many */
};

struct sink_writer {
	struct store *store;
	size_t bytes_max;
	pthread_t thread;
	int stop_tries;			/* the thread's */
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	struct sink_job *queue;
	struct sink_job **queue_end;
	struct sink_job *ended;
	struct sink_job **ended_end;
	size_t bytes;			/* waiting or at hand */
	size_t pending;			/* jobs, likewise */
	bool closing;
};

void sink_job_free(struct sink_job *job)
{
	buf_release(&job->key);
	buf_release(&job->body);
	dlq_batch_free(job->letters);
	free(job);
}

/* Another try can never succeed. */
static bool is_final(enum err_code code)
{
	return code == ERR_EXISTS || code == ERR_SHAPE || code == ERR_LIMIT || code == ERR_USAGE ||
	       code == ERR_UNSUPPORTED;
}

static enum err_code put(struct sink_writer *writer, struct sink_job *job, struct err *err)
{
	if (job->letters)
		return dlq_batch_write(job->letters, err);
	return store_put_once(writer->store, buf_cstr(&job->key), buf_slice(&job->body), err);
}

/* False: the process has been asked to stop, and time is up. */
static bool wait_to_retry(struct sink_writer *writer, struct backoff *backoff)
{
	if (!stop_requested()) {
		clock_sleep_ms(backoff_next_ms(backoff));
		return true;
	}
	(void)poll(NULL, 0, STOP_RETRY_MS);
	return ++writer->stop_tries < STOP_TRIES;
}

static void perform(struct sink_writer *writer, struct sink_job *job)
{
	struct backoff backoff = { .first_ms = RETRY_FIRST_MS, .max_ms = RETRY_MAX_MS };
	struct err err;
	enum err_code code;

	if (atomic_load(&job->lane->halted) != ERR_OK)
		return;
	while ((code = put(writer, job, &err)) != ERR_OK && !is_final(code)) {
		metric_add(METRIC_SINK_RETRIES, 1);
		trace_warn("%s; it is tried again", err.msg);
		if (!wait_to_retry(writer, &backoff)) {
			code = ERR_STOPPED;
			break;
		}
	}
	job->done = code == ERR_OK;
	if (job->done)
		return;
	atomic_store(&job->lane->halted, (int)code);
	if (code != ERR_STOPPED)
		trace_error("%s; this partition halts, the others go on", err.msg);
}

static struct sink_job *next_job(struct sink_writer *writer)
{
	struct sink_job *job;

	(void)pthread_mutex_lock(&writer->lock);
	while (!writer->queue && !writer->closing)
		(void)pthread_cond_wait(&writer->changed, &writer->lock);
	job = writer->closing ? NULL : writer->queue;
	if (job) {
		writer->queue = job->next;
		if (!writer->queue)
			writer->queue_end = &writer->queue;
	}
	(void)pthread_mutex_unlock(&writer->lock);
	return job;
}

static void end_job(struct sink_writer *writer, struct sink_job *job)
{
	(void)pthread_mutex_lock(&writer->lock);
	job->next = NULL;
	*writer->ended_end = job;
	writer->ended_end = &job->next;
	writer->bytes -= job->bytes;
	writer->pending--;
	(void)pthread_cond_broadcast(&writer->changed);
	(void)pthread_mutex_unlock(&writer->lock);
}

static void *run(void *user)
{
	struct sink_writer *writer = user;
	struct sink_job *job;

	while ((job = next_job(writer))) {
		perform(writer, job);
		buf_release(&job->key);
		buf_release(&job->body);	/* the sink may be long in coming for it */
		end_job(writer, job);
	}
	return NULL;
}

static void free_chain(struct sink_job *job)
{
	while (job) {
		struct sink_job *next = job->next;

		sink_job_free(job);
		job = next;
	}
}

static void release(struct sink_writer *writer)
{
	free_chain(writer->queue);
	free_chain(writer->ended);
	(void)pthread_cond_destroy(&writer->changed);
	(void)pthread_mutex_destroy(&writer->lock);
	free(writer);
}

enum err_code sink_writer_new(struct store *store, size_t bytes_max,
			      struct sink_writer **ret_writer, struct err *err)
{
	struct sink_writer *writer = xcalloc(1, sizeof(*writer));
	int sys;

	writer->store = store;
	writer->bytes_max = bytes_max;
	writer->queue_end = &writer->queue;
	writer->ended_end = &writer->ended;
	(void)pthread_mutex_init(&writer->lock, NULL);
	(void)pthread_cond_init(&writer->changed, NULL);
	sys = pthread_create(&writer->thread, NULL, run, writer);
	if (sys != 0) {
		release(writer);
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
	(void)pthread_cond_broadcast(&writer->changed);
	(void)pthread_mutex_unlock(&writer->lock);
	(void)pthread_join(writer->thread, NULL);
	release(writer);
}

void sink_writer_push(struct sink_writer *writer, struct sink_job *job)
{
	(void)pthread_mutex_lock(&writer->lock);
	while (writer->pending > 0 && (writer->pending == JOBS_MAX ||
				       writer->bytes + job->bytes > writer->bytes_max))
		(void)pthread_cond_wait(&writer->changed, &writer->lock);
	job->next = NULL;
	*writer->queue_end = job;
	writer->queue_end = &job->next;
	writer->bytes += job->bytes;
	writer->pending++;
	(void)pthread_cond_broadcast(&writer->changed);
	(void)pthread_mutex_unlock(&writer->lock);
}

struct sink_job *sink_writer_take(struct sink_writer *writer, bool wait)
{
	struct sink_job *chain;

	(void)pthread_mutex_lock(&writer->lock);
	while (wait && writer->pending > 0)
		(void)pthread_cond_wait(&writer->changed, &writer->lock);
	chain = writer->ended;
	writer->ended = NULL;
	writer->ended_end = &writer->ended;
	(void)pthread_mutex_unlock(&writer->lock);
	return chain;
}
