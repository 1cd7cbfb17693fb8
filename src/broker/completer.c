#include "broker/completer.h"

#include "base/mem.h"

static void *completer_run(void *arg)
{
	struct completer *completer = arg;

	(void)pthread_mutex_lock(&completer->lock);
	while (completer->first || !completer->ending) {
		struct append *chain = completer->first;

		if (!chain) {
			(void)pthread_cond_wait(&completer->some, &completer->lock);
			continue;
		}
		completer->first = NULL;
		completer->last = &completer->first;
		(void)pthread_mutex_unlock(&completer->lock);
		completer->done(completer->done_user, chain);
		(void)pthread_mutex_lock(&completer->lock);
	}
	(void)pthread_mutex_unlock(&completer->lock);
	return NULL;
}

void completer_init(struct completer *completer, broker_done_fn *done, void *done_user)
{
	*completer = (struct completer){ .done = done, .done_user = done_user };
	completer->last = &completer->first;
	(void)pthread_mutex_init(&completer->lock, NULL);
	(void)pthread_cond_init(&completer->some, NULL);
	if (pthread_create(&completer->thread, NULL, completer_run, completer) != 0)
		mem_or_abort(NULL);	/* no thread: no room for its stack */
}

void completer_release(struct completer *completer)
{
	(void)pthread_mutex_lock(&completer->lock);
	completer->ending = true;
	(void)pthread_cond_signal(&completer->some);
	(void)pthread_mutex_unlock(&completer->lock);
	(void)pthread_join(completer->thread, NULL);
	(void)pthread_cond_destroy(&completer->some);
	(void)pthread_mutex_destroy(&completer->lock);
}

void completer_push(struct completer *completer, struct append *append)
{
	append->next = NULL;
	(void)pthread_mutex_lock(&completer->lock);
	*completer->last = append;
	completer->last = &append->next;
	(void)pthread_cond_signal(&completer->some);
	(void)pthread_mutex_unlock(&completer->lock);
}
