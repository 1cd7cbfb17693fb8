#include "delta/delta_sweep.h"

#include "base/ahead.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/stop.h"

#include <errno.h>

enum { RUN_MAX = 100 }; /* before it is looked whether to stop */

void delta_sweep_add(struct delta_sweep *sweep, const char *key, uint64_t size)
{
	if (sweep->count == sweep->room) {
		sweep->room = sweep->room * 2 + 64;
		sweep->items = xreallocarray(sweep->items, sweep->room, sizeof(*sweep->items));
	}
	sweep->items[sweep->count++] = (struct delta_sweep_item){ xstrdup(key), size };
}

static enum err_code sweep_remove(void *user, size_t item, struct err *err)
{
	const struct delta_sweep *sweep = user;
	const char *key = sweep->items[item].key;
	int sys;
	enum err_code code = key ? store_remove(sweep->store, key, err) : ERR_OK;

	sys = code == ERR_OK && key ? FAILPOINT(sweep->failpoint) : 0;
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

enum err_code delta_sweep_run(struct delta_sweep *sweep, size_t from, size_t to,
			      struct delta_cleaned *cleaned, struct err *err)
{
	size_t at_once = store_at_once(sweep->store);
	size_t step = sweep->ordered ? at_once : RUN_MAX;
	struct delta_sweep some = *sweep;
	enum err_code code = ERR_OK;

	for (; from < to && code == ERR_OK; from += some.count) {
		some.items = sweep->items + from;
		some.count = to - from < step ? to - from : step;
		if (stop_requested())
			return err_set(err, ERR_STOPPED, "asked to stop");
		if (!sweep->options->dry_run)
			code = ahead_all(&(struct ahead_options){ .count = some.count,
								  .at_once = at_once,
								  .work = sweep_remove,
								  .user = &some },
					 err);
		if (code == ERR_OK)
			sweep_count(sweep, from, from + some.count, cleaned);
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
