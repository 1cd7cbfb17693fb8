#include "gateway/worker.h"

#include "base/mem.h"
#include "gateway/state.h"

#include <errno.h>
#include <pthread.h>

struct job {
	struct http_task task;
	struct job *next;
	void (*handle)(struct call *call);
	struct call call;
	struct buf reply;
	struct buf text;		/* what the call's slices point into */
};

struct worker {
	struct gateway *gateway;
	struct json_parser *json;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock */
	struct job *first;
	struct job **last;
	size_t count;
	bool ending;
};

static void job_free(struct job *job)
{
	buf_release(&job->reply);
	buf_release(&job->text);
	free(job);
}

/* On the loop thread. */
static void worker_answer_task(struct http_server *server, struct http_task *task)
{
	struct job *job = (struct job *)((char *)task - offsetof(struct job, task));

	call_send(&job->call, server);
	job_free(job);
}

/* The next job, or NULL at the end. */
static struct job *next_job(struct worker *worker)
{
	struct job *job;

	(void)pthread_mutex_lock(&worker->lock);
	while (!worker->first && !worker->ending)
		(void)pthread_cond_wait(&worker->wake, &worker->lock);
	job = worker->first;
	if (job) {
		worker->first = job->next;
		if (!worker->first)
			worker->last = &worker->first;
		worker->count--;
	}
	(void)pthread_mutex_unlock(&worker->lock);
	return job;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct job *job;

	while ((job = next_job(worker))) {
		job->handle(&job->call);
		job->task = (struct http_task){ .run = worker_answer_task };
		http_post(worker->gateway->server, &job->task, &job->task);
	}
	return NULL;
}

enum err_code worker_new(struct gateway *gateway, struct worker **ret_worker, struct err *err)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));

	worker->gateway = gateway;
	worker->last = &worker->first;
	(void)pthread_mutex_init(&worker->lock, NULL);
	(void)pthread_cond_init(&worker->wake, NULL);
	errno = pthread_create(&worker->thread, NULL, work, worker);
	if (errno) {
		free(worker);
		return err_errno(err, "could not start the gateway's worker thread");
	}
	worker->json = json_parser_new(WORKER_BODY_MAX);
	*ret_worker = worker;
	return ERR_OK;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	(void)pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	(void)pthread_cond_signal(&worker->wake);
	(void)pthread_mutex_unlock(&worker->lock);
	(void)pthread_join(worker->thread, NULL);
	(void)pthread_mutex_destroy(&worker->lock);
	(void)pthread_cond_destroy(&worker->wake);
	json_parser_free(worker->json);
	free(worker);
}

/* The slice's copy in `text`, which has the room. */
static struct slice worker_keep(struct buf *text, struct slice s)
{
	size_t at = text->len;

	if (!s.ptr)
		return s;
	buf_add_slice(text, s);
	return slice_of(text->ptr + at, s.len);
}

static struct job *job_new(struct worker *worker, const struct call *call)
{
	struct job *job = xcalloc(1, sizeof(*job));
	size_t len = call->query.len + call->body.len + call->iterator.len;

	for (int i = 0; i < CALL_PARAMS_MAX; i++)
		len += call->param[i].len;
	buf_init(&job->text, len);
	(void)buf_room(&job->text, len);
	buf_init(&job->reply, WORKER_REPLY_MAX);
	job->call = *call;
	job->call.query = worker_keep(&job->text, call->query);
	job->call.body = worker_keep(&job->text, call->body);
	job->call.iterator = worker_keep(&job->text, call->iterator);
	for (int i = 0; i < CALL_PARAMS_MAX; i++)
		job->call.param[i] = worker_keep(&job->text, call->param[i]);
	job->call.json = worker->json;
	job->call.reply = &job->reply;
	return job;
}

/*
 * For requests that read the disk: on the loop they would hold up everybody's
 * ingest. The queue is bounded, so that they cannot pile up either.
 */
void worker_take(struct worker *worker, struct call *call, void (*handle)(struct call *call))
{
	struct job *job = job_new(worker, call);
	bool taken;

	job->handle = handle;
	(void)pthread_mutex_lock(&worker->lock);
	taken = worker->count < WORKER_QUEUE_MAX;
	if (taken) {
		worker->count++;
		*worker->last = job;
		worker->last = &job->next;
		(void)pthread_cond_signal(&worker->wake);
	}
	(void)pthread_mutex_unlock(&worker->lock);
	call->deferred = taken;
	if (taken)
		return;
	job_free(job);
	call_failf(call, ERR_BUSY, "%d requests wait already: try again later", WORKER_QUEUE_MAX);
}
