#include "base/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int asked;	/* the signal, or -1 for stop_request() */
static int event_fd = -1;

static void stop_wake(void)
{
	uint64_t one = 1;

	if (event_fd >= 0)
		(void)!write(event_fd, &one, sizeof(one));
}

static void on_signal(int sig)
{
	int saved = errno;
	int none = 0;

	if (!atomic_compare_exchange_strong(&asked, &none, sig))
		_exit(128 + sig);
	stop_wake();
	errno = saved;
}

void stop_init(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t asks;

	if (event_fd < 0)
		event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)sigemptyset(&action.sa_mask);	/* no SA_RESTART: blocked calls return */
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &action, NULL);
	(void)sigemptyset(&asks);	/* kept back by who started this program (process.c) */
	(void)sigaddset(&asks, SIGINT);
	(void)sigaddset(&asks, SIGTERM);
	(void)pthread_sigmask(SIG_UNBLOCK, &asks, NULL);
}

bool stop_requested(void)
{
	return atomic_load_explicit(&asked, memory_order_relaxed) != 0;
}

int stop_signal(void)
{
	int sig = atomic_load(&asked);

	return sig > 0 ? sig : 0;
}

void stop_request(void)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&asked, &none, -1))
		stop_wake();
}

void stop_forget(void)
{
	uint64_t count;

	(void)!read(event_fd, &count, sizeof(count));
	atomic_store(&asked, 0);
}

int stop_fd(void) { return event_fd; }
