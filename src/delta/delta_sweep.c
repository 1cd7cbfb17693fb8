#include "delta/delta_sweep.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"

#include <errno.h>

enum { RUN_MAX = 500 }; /* before it is looked whether to stop */

void delta_sweep_add(struct delta_sweep *sweep, const char *key, uint64_t size)
{
	if (sweep->count == sweep->room) {
		sweep->room = sweep->room * 2 + 64;
		sweep->items = xreallocarray(sweep->items, sweep->room, sizeof(*sweep->items));
	}
	sweep->items[sweep->count++] = (struct delta_sweep_item){ xstrdup(key), size };
}

static enum err_code sweep_remove(const struct delta_sweep *sweep, size_t from, size_t to,
				  struct err *err)
{
	const char *keys[RUN_MAX];
	size_t count = 0;
	enum err_code code;
	int sys;

	for (size_t i = from; i < to; i++)
		if (sweep->items[i].key)
			keys[count++] = sweep->items[i].key;
	if (count == 0)
		return ERR_OK;
	code = store_remove_all(sweep->store, keys, count, err);
	sys = code == ERR_OK ? FAILPOINT(sweep->failpoint) : 0;
	if (sys == 0)
		return code;
	errno = sys;
	return err_errno(err, "failpoint %s", sweep->failpoint);
}

static void sweep_count(const struct delta_sweep *sweep, size_t from, size_t to,
			struct delta_cleaned *cleaned)
{
	const struct delta_clean_options *options = sweep->options;

	for (size_t i = from; i < to; i++) {
		const struct delta_sweep_item *item = &sweep->items[i];

		if (!item->key)
			continue;
		cleaned->removed++;
		cleaned->removed_bytes += item->size;
		if (options->each)
			options->each(options->user, item->key, item->size);
	}
}

/* The first time is the beginning of its time, which is no shorter than finding it all took. */
static bool sweep_is_over(struct delta_sweep *sweep)
{
	int64_t now_ms = clock_mono_ms(), took_ms = now_ms - sweep->began_ms;
	int64_t most_ms = sweep->options->most_ms;

	if (most_ms == 0)
		return false;
	if (sweep->end_ms == 0)
		sweep->end_ms = now_ms + (took_ms > most_ms ? took_ms : most_ms);
	return now_ms >= sweep->end_ms;
}

enum err_code delta_sweep_run(struct delta_sweep *sweep, size_t from, size_t to,
			      struct delta_cleaned *cleaned, struct err *err)
{
	size_t at_once = store_at_once(sweep->store);
	size_t step = sweep->ordered && at_once > 1 ? at_once : RUN_MAX;
	enum err_code code = ERR_OK;

	for (size_t end; from < to && code == ERR_OK; from = end) {
		end = to - from < step ? to : from + step;
		if (stop_requested())
			return err_set(err, ERR_STOPPED, "asked to stop");
		if (sweep_is_over(sweep)) {
			cleaned->unfinished = true;
			return ERR_OK;
		}
		if (!sweep->options->dry_run)
			code = sweep_remove(sweep, from, end, err);
		if (code == ERR_OK)
			sweep_count(sweep, from, end, cleaned);
	}
	return code;
}

void delta_sweep_release(struct delta_sweep *sweep)
{
	for (size_t i = 0; i < sweep->count; i++)
		free(sweep->items[i].key);
	free(sweep->items);
	sweep->items = NULL;
	sweep->count = sweep->room = 0;
}
