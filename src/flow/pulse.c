#include "flow/pulse.h"

#include "base/mem.h"
#include "base/registry.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/letter_news.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { BEAT_MS = 1000 };

struct pulse {
	struct pulse_options options;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ending;
	int64_t lag_ms; /* when it is due again; monotonic clock */
};

static bool pulse_is_ending(struct pulse *pulse)
{
	bool ending;

	(void)pthread_mutex_lock(&pulse->lock);
	ending = pulse->ending;
	(void)pthread_mutex_unlock(&pulse->lock);
	return ending || stop_requested();
}

/* False: the broker does not answer, and would not for the next topic. */
static bool pulse_ask(struct pulse *pulse, const struct group_info *info, const char *topic,
		      struct series *row)
{
	int64_t lag = -1, asked_ms = clock_wall_ms();
	struct err err;
	enum err_code code = lag_ask(&pulse->options.lag, info, topic, &lag, &err);

	if (code != ERR_OK && code != ERR_NO_TOPIC)
		trace_debug("how far behind \"%s\" is: %s", topic, err.msg);
	/* The group is told once a second; the process knows of itself when it has all. */
	if (lag > 0 && series_get(row, SERIES_COMPLETE_MS) >= asked_ms)
		lag = 0;
	series_set(row, SERIES_LAG, lag);
	return code == ERR_OK || code == ERR_NO_TOPIC;
}

/* Where that is not known, it is said so: how it was is not how it is. */
static bool pulse_ask_if(bool known, struct pulse *pulse, const struct group_info *info,
			 const char *topic, struct series *row)
{
	known = known && !pulse_is_ending(pulse) && pulse_ask(pulse, info, topic, row);
	if (!known)
		series_set(row, SERIES_LAG, -1);
	return known;
}

static void pulse_ask_all(struct pulse *pulse)
{
	const struct pulse_options *options = &pulse->options;
	const struct registry_slot *mine = registry_mine();
	const struct series *row = NULL;
	struct group_info info = { 0 };
	struct err err;
	enum err_code code;
	bool known;

	code = broker_describe_group(options->lag.broker, options->lag.group, &info, &err);
	if (code != ERR_OK)
		trace_debug("how far group \"%s\" is: %s", options->lag.group, err.msg);
	known = code == ERR_OK || code == ERR_ABSENT; /* that one has committed nothing yet */
	for (size_t i = 0; i < options->table_count; i++) {
		const struct lake_table *table = &options->tables[i];

		known = pulse_ask_if(known, pulse, &info, table->topic,
				     series_of(SERIES_STREAM_TABLE, table->model->model.name));
	}
	while (!options->tables && (row = registry_next_row(mine, SERIES_SINK, row)) != NULL)
		if (row != &mine->rows[SERIES_SINK])
			known = pulse_ask_if(known, pulse, &info, row->name,
					     series_of(SERIES_SINK, row->name));
	group_info_release(&info);
}

/* False: it is to end. */
static bool pulse_wait(struct pulse *pulse)
{
	struct timespec until;
	bool more;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += BEAT_MS / 1000;
	(void)pthread_mutex_lock(&pulse->lock);
	if (!pulse->ending)
		(void)pthread_cond_timedwait(&pulse->changed, &pulse->lock, &until);
	more = !pulse->ending;
	(void)pthread_mutex_unlock(&pulse->lock);
	return more;
}

static void *pulse_run(void *arg)
{
	struct pulse *pulse = arg;

	do {
		registry_tick();
		letter_news_tell(false);
		if (!pulse->options.lag.broker || clock_mono_ms() < pulse->lag_ms)
			continue;
		pulse_ask_all(pulse);
		pulse->lag_ms = clock_mono_ms() + pulse->options.lag_every_ms;
	} while (pulse_wait(pulse));
	return NULL;
}

struct pulse *pulse_new(const struct pulse_options *options)
{
	struct pulse *pulse = xcalloc(1, sizeof(*pulse));
	pthread_condattr_t attr;
	sigset_t all, before;
	int failed;

	pulse->options = *options;
	(void)pthread_mutex_init(&pulse->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&pulse->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	/* Signals are for the threads that look at them. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&pulse->thread, NULL, pulse_run, pulse);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0)
		return pulse;
	trace_warn("could not start the thread by which others see how far this process is: %s",
		   strerror(failed));
	free(pulse);
	return NULL;
}

void pulse_free(struct pulse *pulse)
{
	if (!pulse)
		return;
	(void)pthread_mutex_lock(&pulse->lock);
	pulse->ending = true;
	(void)pthread_cond_signal(&pulse->changed);
	(void)pthread_mutex_unlock(&pulse->lock);
	(void)pthread_join(pulse->thread, NULL);
	letter_news_tell(true);
	(void)pthread_cond_destroy(&pulse->changed);
	(void)pthread_mutex_destroy(&pulse->lock);
	free(pulse);
}
