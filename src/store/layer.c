#include "store/layer.h"

#include "base/mem.h"

static struct store *inner(struct store *store) { return ((struct store_layer *)store)->inner; }

enum err_code store_layer_put(struct store *store, const struct store_put *put, struct err *err)
{
	return store_put_as(inner(store), put, err);
}

enum err_code store_layer_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err)
{
	return store_get(inner(store), key, from, len, out, err);
}

enum err_code store_layer_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			       struct err *err)
{
	return store_stat(inner(store), key, ret_stat, err);
}

enum err_code store_layer_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	return store_list_some(inner(store), prefix, after, wanted, each, user, err);
}

enum err_code store_layer_level(struct store *store, const char *folder, store_each_fn *each,
				void *user, struct err *err)
{
	return store_level(inner(store), folder, each, user, err);
}

struct store_mark store_layer_mark(struct store *store, const char *folder)
{
	return store_mark(inner(store), folder);
}

bool store_layer_last(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1])
{
	return store_last(inner(store), prefix, ret_key);
}

enum err_code store_layer_remove(struct store *store, const char *key, struct err *err)
{
	return store_remove(inner(store), key, err);
}

enum err_code store_layer_remove_all(struct store *store, const char *const *keys, size_t count,
				     struct err *err)
{
	return store_remove_all(inner(store), keys, count, err);
}

enum err_code store_layer_fetch(struct store *store, const struct store_entry *entry,
				struct store_fetched *ret_fetched, struct err *err)
{
	return store_fetch(inner(store), entry, ret_fetched, err);
}

const char *store_layer_fetch_dir(struct store *store)
{
	return store_fetch_dir(inner(store));
}

bool store_layer_can(struct store *store, enum store_ability ability)
{
	return store_can(inner(store), ability);
}

void store_layer_free(struct store *store)
{
	store_free(inner(store));
	free(store);
}
