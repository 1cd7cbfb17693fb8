#include "flow/retry.h"

#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

bool retry_may_pass(enum err_code code)
{
	switch (code) {
	case ERR_IO:
	case ERR_DENIED:
	case ERR_ABSENT:	/* the lake's directory, while it is not mounted */
		return true;
	default:
		return err_retry(code);
	}
}

int64_t retry_failed(struct retry *retry, const char *what, const struct err *err)
{
	int64_t wait_ms;

	/* Not by its text: that may name a file of this very try. */
	if (retry->code != err->code || retry->sys != err->sys)
		trace_warn("%s: %s; it is tried again", what, err->msg);
	else
		trace_debug("%s: %s; it is tried again", what, err->msg);
	if (retry->code == ERR_OK)
		retry->since_ms = clock_mono_ms();
	retry->code = err->code;
	retry->sys = err->sys;
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
	backoff_reset(&retry->backoff);
	retry->code = ERR_OK;
	retry->sys = 0;
}
