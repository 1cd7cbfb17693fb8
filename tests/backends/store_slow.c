#include "base/mem.h"
#include "base/time.h"
#include "backends/backends.h"
#include "store/layer.h"

struct store_slow {
	struct store_layer layer;
	int64_t wait_ms;
};

static void wait_in(const struct store *store)
{
	clock_sleep_ms(((const struct store_slow *)store)->wait_ms);
}

static enum err_code slow_put(struct store *store, const struct store_put *put, struct err *err)
{
	wait_in(store);
	return store_layer_put(store, put, err);
}

static enum err_code slow_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err)
{
	wait_in(store);
	return store_layer_get(store, key, from, len, out, err);
}

static enum err_code slow_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			       struct err *err)
{
	wait_in(store);
	return store_layer_stat(store, key, ret_stat, err);
}

static enum err_code slow_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	wait_in(store);
	return store_layer_list(store, prefix, after, wanted, each, user, err);
}

static enum err_code slow_level(struct store *store, const char *folder, store_each_fn *each,
				void *user, struct err *err)
{
	wait_in(store);
	return store_layer_level(store, folder, each, user, err);
}

static enum err_code slow_remove(struct store *store, const char *key, struct err *err)
{
	wait_in(store);
	return store_layer_remove(store, key, err);
}

static enum err_code slow_fetch(struct store *store, const struct store_entry *entry,
				struct store_fetched *ret_fetched, struct err *err)
{
	wait_in(store);
	return store_layer_fetch(store, entry, ret_fetched, err);
}

static bool slow_can(struct store *store, enum store_ability ability)
{
	return ability != STORE_CAN_FETCH_FREE && store_layer_can(store, ability);
}

static const struct store_ops slow_ops = {
	.name = "slow",
	.layer = true,
	.put = slow_put,
	.get = slow_get,
	.stat = slow_stat,
	.list = slow_list,
	.remove = slow_remove,
	.fetch = slow_fetch,
	.level = slow_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = slow_can,
	.free = store_layer_free,
};

struct store *store_slow_new(struct store *inner, int64_t wait_ms)
{
	struct store_slow *slow = xcalloc(1, sizeof(*slow));

	slow->layer = (struct store_layer){ { &slow_ops }, inner };
	slow->wait_ms = wait_ms;
	return &slow->layer.base;
}
