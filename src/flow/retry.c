#include "flow/retry.h"

#include "base/registry.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

bool retry_may_pass(enum err_code code)
{
	switch (code) {
	case ERR_IO:
	case ERR_DENIED:	/* no right to the lake, no bucket, another region */
	case ERR_AUTH:		/* the keys have run out: others are looked for at each try */
	case ERR_ABSENT:	/* the lake's directory, while it is not mounted */
		return true;
	default:
		return err_retry(code);
	}
}

/*
 * A reason is told once by all who meet it: of a store that is away each partition says the same.
 * When one of them has come through, it is told again.
 */
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static char told[ERR_MSG_MAX];
static atomic_int failing; /* retries whose last try failed */

static bool is_told(const char *text)
{
	bool is;

	(void)pthread_mutex_lock(&told_lock);
	is = strcmp(told, text) == 0;
	if (!is)
		(void)snprintf(told, sizeof(told), "%s", text);
	(void)pthread_mutex_unlock(&told_lock);
	return is;
}

/* False: nothing was told. */
static bool forget_told(void)
{
	bool was;

	(void)pthread_mutex_lock(&told_lock);
	was = told[0] != '\0';
	told[0] = '\0';
	(void)pthread_mutex_unlock(&told_lock);
	return was;
}

int64_t retry_failed(struct retry *retry, const char *what, const struct err *err)
{
	int64_t wait_ms;

	/* Not by its text: that may name a file of this very try. */
	if ((retry->code != err->code || retry->sys != err->sys) && !is_told(err->msg))
		trace_warn("%s: %s; it is tried again", what, err->msg);
	else
		trace_debug("%s: %s; it is tried again", what, err->msg);
	if (retry->code == ERR_OK) {
		retry->since_ms = clock_mono_ms();
		atomic_fetch_add(&failing, 1);
	}
	registry_say(REGISTRY_UNWELL, "%s: %s", what, err->msg);
	retry->code = err->code;
	retry->sys = err->sys;
	retry->what = what;
	wait_ms = backoff_next_ms(&retry->backoff);
	retry->due_ms = clock_mono_ms() + wait_ms;
	return wait_ms;
}

bool retry_again(struct retry *retry, const char *what, const struct err *err)
{
	if (!retry_may_pass(err->code) || stop_requested())
		return false;
	clock_sleep_ms(retry_failed(retry, what, err));
	return true;
}

void retry_passed(struct retry *retry)
{
	if (retry->code != ERR_OK && forget_told())
		trace_info("%s: it works again, after %" PRId64 " s", retry->what,
			   (clock_mono_ms() - retry->since_ms) / 1000);
	retry_end(retry);
}

void retry_end(struct retry *retry)
{
	if (retry->code != ERR_OK) {
		(void)forget_told();
		if (atomic_fetch_sub(&failing, 1) == 1)
			registry_say(REGISTRY_UNWELL, "%s", "");
	}
	backoff_reset(&retry->backoff);
	retry->code = ERR_OK;
	retry->sys = 0;
}
