#include "gateway/heartbeat.h"

#include "base/notify.h"

#include <errno.h>
#include <time.h>

static void heartbeat_tell(struct http_server *server, struct http_task *task)
{
	struct heartbeat *heartbeat = (struct heartbeat *)task;

	(void)server;
	notify_send("WATCHDOG=1");
	atomic_store(&heartbeat->posted, false);
}

/* With the lock. */
static void heartbeat_wait(struct heartbeat *heartbeat)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += heartbeat->every_ms / 1000;
	until.tv_nsec += heartbeat->every_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!heartbeat->ended &&
	       pthread_cond_timedwait(&heartbeat->ends, &heartbeat->lock, &until) == 0)
		;
}

static void *heartbeat_run(void *arg)
{
	struct heartbeat *heartbeat = arg;

	(void)pthread_mutex_lock(&heartbeat->lock);
	while (!heartbeat->ended) {
		if (!atomic_exchange(&heartbeat->posted, true))
			http_post(heartbeat->server, &heartbeat->task, &heartbeat->task);
		heartbeat_wait(heartbeat);
	}
	(void)pthread_mutex_unlock(&heartbeat->lock);
	return NULL;
}

enum err_code heartbeat_start(struct heartbeat *heartbeat, struct http_server *server,
			      struct err *err)
{
	pthread_condattr_t monotonic;

	heartbeat->every_ms = notify_watchdog_ms();
	if (heartbeat->every_ms == 0)
		return ERR_OK;
	heartbeat->task.run = heartbeat_tell;
	heartbeat->server = server;
	(void)pthread_mutex_init(&heartbeat->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&heartbeat->ends, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	errno = pthread_create(&heartbeat->thread, NULL, heartbeat_run, heartbeat);
	if (errno == 0)
		return ERR_OK;
	heartbeat->server = NULL;
	return err_errno(err, "could not start a thread");
}

void heartbeat_end(struct heartbeat *heartbeat)
{
	if (!heartbeat->server)
		return;
	(void)pthread_mutex_lock(&heartbeat->lock);
	heartbeat->ended = true;
	(void)pthread_cond_signal(&heartbeat->ends);
	(void)pthread_mutex_unlock(&heartbeat->lock);
	(void)pthread_join(heartbeat->thread, NULL);
	(void)pthread_cond_destroy(&heartbeat->ends);
	(void)pthread_mutex_destroy(&heartbeat->lock);
	heartbeat->server = NULL;
}
