#include "gateway/worker.h"

#include "base/mem.h"
#include "gateway/state.h"

#include <errno.h>
#include <pthread.h>

struct job {
	struct worker_task work;
	struct http_task task;
	struct gateway *gateway;
	void (*handle)(struct call *call);
	struct call call;
	struct buf reply;
	struct buf text;		/* what the call's slices point into */
};

struct worker {
	struct gateway *gateway;
	pthread_t threads[WORKER_THREADS_MAX]; /* the loop's */
	size_t thread_count;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock */
	struct worker_task *first;
	struct worker_task **last;
	size_t count;
	size_t idle;
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

/* On a thread of the worker; few calls have a body to be parsed. */
static void job_run(struct worker_task *work)
{
	struct job *job = (struct job *)((char *)work - offsetof(struct job, work));

	job->call.json = job->call.body.len ? json_parser_new(WORKER_BODY_MAX) : NULL;
	job->handle(&job->call);
	json_parser_free(job->call.json);
	job->task = (struct http_task){ .run = worker_answer_task };
	http_post(job->gateway->server, &job->task, &job->task);
}

/* Who asked is there still where nobody took over (takeover.h). */
static void job_drop(struct worker_task *work)
{
	struct job *job = (struct job *)((char *)work - offsetof(struct job, work));

	call_failf(&job->call, ERR_BUSY, "the gateway is ending: try again");
	job->task = (struct http_task){ .run = worker_answer_task };
	http_post(job->gateway->server, &job->task, &job->task);
}

/* The next task, or NULL at the end. */
static struct worker_task *next_task(struct worker *worker)
{
	struct worker_task *task;

	(void)pthread_mutex_lock(&worker->lock);
	worker->idle++;
	while (!worker->first && !worker->ending)
		(void)pthread_cond_wait(&worker->wake, &worker->lock);
	worker->idle--;
	task = worker->ending ? NULL : worker->first;
	if (task) {
		worker->first = task->next;
		if (!worker->first)
			worker->last = &worker->first;
		worker->count--;
	}
	(void)pthread_mutex_unlock(&worker->lock);
	return task;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct worker_task *task;

	while ((task = next_task(worker)))
		task->run(task);
	return NULL;
}

/* errno, or 0. */
static int worker_add_thread(struct worker *worker)
{
	int failed = pthread_create(&worker->threads[worker->thread_count], NULL, work, worker);

	if (!failed)
		worker->thread_count++;
	return failed;
}

enum err_code worker_new(struct gateway *gateway, struct worker **ret_worker, struct err *err)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));

	worker->gateway = gateway;
	worker->last = &worker->first;
	(void)pthread_mutex_init(&worker->lock, NULL);
	(void)pthread_cond_init(&worker->wake, NULL);
	errno = worker_add_thread(worker);
	if (errno) {
		free(worker);
		return err_errno(err, "could not start the gateway's worker thread");
	}
	*ret_worker = worker;
	return ERR_OK;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	(void)pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	(void)pthread_cond_broadcast(&worker->wake);
	(void)pthread_mutex_unlock(&worker->lock);
	for (size_t i = 0; i < worker->thread_count; i++)
		(void)pthread_join(worker->threads[i], NULL);
	while (worker->first) {
		struct worker_task *task = worker->first;

		worker->first = task->next;
		task->drop(task);
	}
	(void)pthread_mutex_destroy(&worker->lock);
	(void)pthread_cond_destroy(&worker->wake);
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

static struct job *job_new(struct gateway *gateway, const struct call *call)
{
	struct job *job = xcalloc(1, sizeof(*job));
	size_t len = call->query.len + call->body.len + call->iterator.len;

	for (int i = 0; i < CALL_PARAMS_MAX; i++)
		len += call->param[i].len;
	buf_init(&job->text, len);
	(void)buf_room(&job->text, len);
	buf_init(&job->reply, WORKER_REPLY_MAX);
	job->work = (struct worker_task){ .run = job_run, .drop = job_drop };
	job->gateway = gateway;
	job->call = *call;
	job->call.request = NULL;
	job->call.query = worker_keep(&job->text, call->query);
	job->call.body = worker_keep(&job->text, call->body);
	job->call.iterator = worker_keep(&job->text, call->iterator);
	for (int i = 0; i < CALL_PARAMS_MAX; i++)
		job->call.param[i] = worker_keep(&job->text, call->param[i]);
	job->call.reply = &job->reply;
	return job;
}

/* False: more than `count_max` wait already. */
static bool worker_push(struct worker *worker, struct worker_task *task, size_t count_max)
{
	bool taken, all_at_work;

	task->next = NULL;
	(void)pthread_mutex_lock(&worker->lock);
	taken = worker->count < count_max;
	if (taken) {
		worker->count++;
		*worker->last = task;
		worker->last = &task->next;
		(void)pthread_cond_signal(&worker->wake);
	}
	all_at_work = worker->count > worker->idle;
	(void)pthread_mutex_unlock(&worker->lock);
	/* Where no thread can be had, those that are there get to it. */
	if (taken && all_at_work && worker->thread_count < WORKER_THREADS_MAX)
		(void)worker_add_thread(worker);
	return taken;
}

void worker_give(struct worker *worker, struct worker_task *task)
{
	(void)worker_push(worker, task, SIZE_MAX);
}

/*
 * For requests that may wait: on the loop they would hold up everybody's
 * ingest. The queue is bounded, so that they cannot pile up either.
 */
void worker_take(struct worker *worker, struct call *call, void (*handle)(struct call *call))
{
	struct job *job = job_new(worker->gateway, call);

	job->handle = handle;
	call->deferred = worker_push(worker, &job->work, WORKER_QUEUE_MAX);
	if (call->deferred)
		return;
	job_free(job);
	call_failf(call, ERR_BUSY, "%d requests wait already: try again later", WORKER_QUEUE_MAX);
}
