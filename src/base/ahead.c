#include "base/ahead.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>

enum { WINDOW_TIMES = 2 };

enum ahead_state { ITEM_WAITS, ITEM_BEGUN, ITEM_DONE, ITEM_TAKEN };

struct ahead_failure {
	struct ahead_failure *next;
	size_t item;
	struct err err;
};

struct ahead {
	struct ahead_options options;
	pthread_t *threads;
	size_t thread_count;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t room;		/* for the threads: there may be some, or the end */
	pthread_cond_t done;		/* for who takes */
	unsigned char *states;
	size_t next;			/* those before it do not wait */
	size_t open;			/* begun and not taken */
	uint64_t open_bytes;		/* of them */
	struct ahead_failure *failures;
	bool closing;
};

static uint64_t ahead_bytes(const struct ahead *ahead, size_t item)
{
	const struct ahead_options *options = &ahead->options;

	uint64_t bytes = options->bytes ? options->bytes(options->user, item) : 0;

	/* More than fits makes no difference, and the sum of guesses does not overflow. */
	return bytes < options->bytes_max ? bytes : options->bytes_max;
}

/* Does it, with the lock, which is given away meanwhile. */
static void ahead_perform(struct ahead *ahead, size_t item)
{
	const struct ahead_options *options = &ahead->options;
	struct ahead_failure *failure = NULL;
	uint64_t guess = ahead_bytes(ahead, item);
	struct err err;

	ahead->states[item] = ITEM_BEGUN;
	ahead->open++;
	ahead->open_bytes += guess;
	(void)pthread_mutex_unlock(&ahead->lock);
	if (options->work(options->user, item, &err) != ERR_OK) {
		failure = xmalloc(sizeof(*failure));
		*failure = (struct ahead_failure){ .item = item, .err = err };
	}
	(void)pthread_mutex_lock(&ahead->lock);
	if (failure) {
		failure->next = ahead->failures;
		ahead->failures = failure;
	}
	ahead->open_bytes += ahead_bytes(ahead, item) - guess;
	ahead->states[item] = ITEM_DONE;
	(void)pthread_cond_signal(&ahead->room); /* it may hold less than was thought */
	(void)pthread_cond_broadcast(&ahead->done);
}

/* --- a thread ----------------------------------------------------------------- */

static bool ahead_has_room(const struct ahead *ahead)
{
	const struct ahead_options *options = &ahead->options;

	return ahead->open == 0 ||
	       (ahead->open < WINDOW_TIMES * options->at_once &&
		(!options->bytes || ahead->open_bytes + ahead_bytes(ahead, ahead->next) <=
					    options->bytes_max));
}

/* One thread wakes the next, so that room for several is not one thread's alone. */
static void *ahead_run(void *user)
{
	struct ahead *ahead = user;

	(void)pthread_mutex_lock(&ahead->lock);
	for (;;) {
		while (ahead->next < ahead->options.count &&
		       ahead->states[ahead->next] != ITEM_WAITS)
			ahead->next++;
		if (ahead->closing || ahead->next == ahead->options.count)
			break;
		if (!ahead_has_room(ahead)) {
			(void)pthread_cond_wait(&ahead->room, &ahead->lock);
			continue;
		}
		(void)pthread_cond_signal(&ahead->room);
		ahead_perform(ahead, ahead->next);
	}
	(void)pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

/* --- the interface -------------------------------------------------------------- */

/* Where no thread is to be had, none is needed: who takes does it all. */
struct ahead *ahead_new(const struct ahead_options *options)
{
	struct ahead *ahead = xcalloc(1, sizeof(*ahead));
	size_t helpers = options->count < options->at_once ? options->count : options->at_once;

	if (helpers == 1)
		helpers = 0;
	ahead->options = *options;
	ahead->states = xcalloc(options->count, sizeof(*ahead->states));
	ahead->threads = xcalloc(helpers, sizeof(*ahead->threads));
	(void)pthread_mutex_init(&ahead->lock, NULL);
	(void)pthread_cond_init(&ahead->room, NULL);
	(void)pthread_cond_init(&ahead->done, NULL);
	while (ahead->thread_count < helpers &&
	       pthread_create(&ahead->threads[ahead->thread_count], NULL, ahead_run, ahead) == 0)
		ahead->thread_count++;
	return ahead;
}

/* Its failure, out of the list. */
static enum err_code take_failure(struct ahead *ahead, size_t item, struct err *err)
{
	for (struct ahead_failure **at = &ahead->failures; *at; at = &(*at)->next) {
		struct ahead_failure *failure = *at;

		if (failure->item != item)
			continue;
		*at = failure->next;
		*err = failure->err;
		free(failure);
		return err->code;
	}
	return ERR_OK;
}

enum err_code ahead_take(struct ahead *ahead, size_t item, struct err *err)
{
	enum err_code code;

	assert(item < ahead->options.count);
	(void)pthread_mutex_lock(&ahead->lock);
	assert(ahead->states[item] != ITEM_TAKEN);
	if (ahead->states[item] == ITEM_WAITS)
		ahead_perform(ahead, item);
	while (ahead->states[item] != ITEM_DONE)
		(void)pthread_cond_wait(&ahead->done, &ahead->lock);
	ahead->states[item] = ITEM_TAKEN;
	ahead->open--;
	ahead->open_bytes -= ahead_bytes(ahead, item);
	(void)pthread_cond_signal(&ahead->room);
	code = take_failure(ahead, item, err);
	(void)pthread_mutex_unlock(&ahead->lock);
	return code;
}

void ahead_free(struct ahead *ahead)
{
	if (!ahead)
		return;
	(void)pthread_mutex_lock(&ahead->lock);
	ahead->closing = true;
	(void)pthread_cond_broadcast(&ahead->room);
	(void)pthread_mutex_unlock(&ahead->lock);
	while (ahead->thread_count > 0)
		(void)pthread_join(ahead->threads[--ahead->thread_count], NULL);
	while (ahead->failures) {
		struct ahead_failure *failure = ahead->failures;

		ahead->failures = failure->next;
		free(failure);
	}
	(void)pthread_cond_destroy(&ahead->done);
	(void)pthread_cond_destroy(&ahead->room);
	(void)pthread_mutex_destroy(&ahead->lock);
	free(ahead->threads);
	free(ahead->states);
	free(ahead);
}

enum err_code ahead_all(const struct ahead_options *options, struct err *err)
{
	struct ahead *ahead = ahead_new(options);
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < options->count && code == ERR_OK; i++)
		code = ahead_take(ahead, i, err);
	ahead_free(ahead);
	return code;
}
