/*
 * store_none.c - the place where nothing has been written yet: no objects, and
 * none is taken. Who only reads need not make a directory to find it empty.
 */
#include "store/store.h"

#include "base/mem.h"

static enum err_code none_put(struct store *store, const struct store_put *put, struct err *err)
{
	(void)store;
	return err_set(err, ERR_DENIED, "there is no lake that could take object \"%s\"", put->key);
}

static enum err_code none_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err)
{
	(void)store;
	(void)from;
	(void)len;
	(void)out;
	return err_set(err, ERR_ABSENT, "there is no object \"%s\": the lake is not there yet", key);
}

static enum err_code none_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			       struct err *err)
{
	(void)ret_stat;
	return none_get(store, key, 0, 0, NULL, err);
}

static enum err_code none_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	(void)store;
	(void)prefix;
	(void)after;
	(void)wanted;
	(void)each;
	(void)user;
	(void)err;
	return ERR_OK;
}

static enum err_code none_level(struct store *store, const char *folder, store_each_fn *each,
				void *user, struct err *err)
{
	return none_list(store, folder, "", 0, each, user, err);
}

static enum err_code none_remove(struct store *store, const char *key, struct err *err)
{
	(void)store;
	(void)key;
	(void)err;
	return ERR_OK;
}

static enum err_code none_fetch(struct store *store, const struct store_entry *entry,
				struct store_fetched *ret_fetched, struct err *err)
{
	(void)ret_fetched;
	return none_get(store, entry->key, 0, 0, NULL, err);
}

static const char *none_fetch_dir(struct store *store)
{
	(void)store;
	return "";
}

static bool none_can(struct store *store, enum store_ability ability)
{
	(void)store;
	return ability == STORE_CAN_FETCH_FREE;
}

static void none_free(struct store *store)
{
	free(store);
}

static const struct store_ops none_ops = {
	.name = "none",
	.put = none_put,
	.get = none_get,
	.stat = none_stat,
	.list = none_list,
	.level = none_level,
	.mark = store_mark_none,
	.last = store_last_none,
	.remove = none_remove,
	.fetch = none_fetch,
	.fetch_dir = none_fetch_dir,
	.can = none_can,
	.free = none_free,
};

struct store *store_none_new(void)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->ops = &none_ops;
	return store;
}
