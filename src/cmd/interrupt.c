#include "cmd/interrupt.h"

#include "base/stop.h"
#include "base/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { AGAIN_MS = 10, SHOW_MS = 500 };

static void draw(struct interrupt *interrupt)
{
	double progress = engine_progress(interrupt->engine);

	(void)pthread_mutex_lock(&interrupt->lock);
	if (interrupt->shows && progress >= 0)
		progress_draw(&interrupt->progress, progress, "");
	(void)pthread_mutex_unlock(&interrupt->lock);
}

void interrupt_show(struct interrupt *interrupt, bool shows)
{
	(void)pthread_mutex_lock(&interrupt->lock);
	interrupt->shows = shows && terminal_draws(STDERR_FILENO);
	if (!shows) {
		progress_clear(&interrupt->progress);
		interrupt->progress.begun_ms = 0;
	}
	(void)pthread_mutex_unlock(&interrupt->lock);
}

/* Until the end is told: a statement that begins after one was interrupted is interrupted too. */
static void *interrupt_run(void *arg)
{
	struct interrupt *interrupt = arg;
	struct pollfd fds[] = {
		{ .fd = interrupt->end_fd, .events = POLLIN },
		{ .fd = stop_fd(), .events = POLLIN },
	};

	for (;;) {
		bool stopped = stop_requested();

		/* The stop's descriptor stays readable, so it is not waited for twice. */
		(void)poll(fds, stopped ? 1 : 2, stopped ? AGAIN_MS : SHOW_MS);
		if (fds[0].revents)
			return NULL;
		if (stop_requested())
			engine_interrupt(interrupt->engine);
		else
			draw(interrupt);
	}
}

enum err_code interrupt_begin(struct interrupt *interrupt, const char *what, struct engine *engine,
			      struct err *err)
{
	int failed;

	interrupt->end_fd = eventfd(0, EFD_CLOEXEC);
	if (interrupt->end_fd < 0)
		return err_errno(err, "could not make an event descriptor");
	interrupt->engine = engine;
	interrupt->shows = false;
	interrupt->progress = (struct progress){ .what = what };
	(void)pthread_mutex_init(&interrupt->lock, NULL);
	failed = pthread_create(&interrupt->thread, NULL, interrupt_run, interrupt);
	if (failed) {
		(void)close(interrupt->end_fd);
		interrupt->engine = NULL;
		errno = failed;
		return err_errno(err, "could not start a thread");
	}
	return ERR_OK;
}

void interrupt_end(struct interrupt *interrupt)
{
	if (!interrupt->engine)
		return;
	(void)eventfd_write(interrupt->end_fd, 1);
	(void)pthread_join(interrupt->thread, NULL);
	interrupt_show(interrupt, false);
	(void)pthread_mutex_destroy(&interrupt->lock);
	(void)close(interrupt->end_fd);
	interrupt->engine = NULL;
}
