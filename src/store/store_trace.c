#include "store/layer.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <inttypes.h>

static void trace_call(const char *call, const char *key, int64_t start_us, enum err_code code,
		 uint64_t bytes)
{
	trace_debug("store: %s \"%s\": %s, %" PRIu64 " bytes, %" PRId64 " us", call, key,
		    err_name(code), bytes, clock_mono_us() - start_us);
}

static enum err_code trace_put(struct store *store, const struct store_put *put, struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_put(store, put, err);

	trace_call(put->mode == STORE_CREATE ? "create" : "replace", put->key, start_us, code, put->size);
	return code;
}

static enum err_code trace_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			       struct buf *out, struct err *err)
{
	int64_t start_us = clock_mono_us();
	size_t before = out->len;
	enum err_code code = store_layer_get(store, key, from, len, out, err);

	trace_call("get", key, start_us, code, out->len - before);
	return code;
}

static enum err_code trace_stat(struct store *store, const char *key, struct store_stat *ret_stat,
				struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_stat(store, key, ret_stat, err);

	trace_call("stat", key, start_us, code, ret_stat->size);
	return code;
}

static enum err_code trace_list(struct store *store, const char *prefix, const char *after,
				size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_list(store, prefix, after, wanted, each, user, err);

	trace_call("list", prefix, start_us, code, 0);
	return code;
}

static enum err_code trace_level(struct store *store, const char *folder, store_each_fn *each,
				 void *user, struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_level(store, folder, each, user, err);

	trace_call("level", folder, start_us, code, 0);
	return code;
}

static enum err_code trace_remove(struct store *store, const char *key, struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_remove(store, key, err);

	trace_call("remove", key, start_us, code, 0);
	return code;
}

static enum err_code trace_remove_all(struct store *store, const char *const *keys, size_t count,
				      struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_remove_all(store, keys, count, err);

	for (size_t i = 0; i < count; i++)
		trace_call("remove", keys[i], start_us, code, 0);
	return code;
}

static enum err_code trace_fetch(struct store *store, const struct store_entry *entry,
				 struct store_fetched *ret_fetched, struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store_layer_fetch(store, entry, ret_fetched, err);

	trace_call("fetch", entry->key, start_us, code, ret_fetched->size);
	return code;
}

static const struct store_ops store_trace_ops = {
	.name = "trace",
	.layer = true,
	.put = trace_put,
	.get = trace_get,
	.stat = trace_stat,
	.list = trace_list,
	.level = trace_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.remove = trace_remove,
	.remove_all = trace_remove_all,
	.fetch = trace_fetch,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = store_layer_free,
};

struct store *store_trace_new(struct store *inner)
{
	struct store_layer *layer = xcalloc(1, sizeof(*layer));

	*layer = (struct store_layer){ { &store_trace_ops }, inner };
	return &layer->base;
}
