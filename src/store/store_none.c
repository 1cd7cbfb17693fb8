/*
 * store_none.c - the place where nothing has been written yet: no objects, and
 * none is taken. Who only reads need not make a directory to find it empty.
 */
#include "store/store.h"

#include "base/mem.h"

static enum err_code none_put(struct store *store, const char *key, struct slice body,
			      enum store_mode mode, struct err *err)
{
	(void)store;
	(void)body;
	(void)mode;
	return err_set(err, ERR_DENIED, "there is no lake that could take object \"%s\"", key);
}

static enum err_code none_put_file(struct store *store, const char *key, const char *path,
				   struct err *err)
{
	(void)path;
	return none_put(store, key, slice_of(NULL, 0), STORE_CREATE, err);
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

static enum err_code none_size(struct store *store, const char *key, uint64_t *ret_size,
			       struct err *err)
{
	(void)ret_size;
	return none_get(store, key, 0, 0, NULL, err);
}

static enum err_code none_list(struct store *store, const char *prefix, const char *after,
			       bool (*each)(void *user, const struct store_entry *entry),
			       void *user, struct err *err)
{
	(void)store;
	(void)prefix;
	(void)after;
	(void)each;
	(void)user;
	(void)err;
	return ERR_OK;
}

static enum err_code none_remove(struct store *store, const char *key, struct err *err)
{
	(void)store;
	(void)key;
	(void)err;
	return ERR_OK;
}

static enum err_code none_locate(struct store *store, const char *key, struct buf *out,
				 struct err *err)
{
	return none_get(store, key, 0, 0, out, err);
}

static void none_free(struct store *store)
{
	free(store);
}

static const struct store_ops none_ops = {
	.name = "none",
	.put = none_put,
	.put_file = none_put_file,
	.get = none_get,
	.size = none_size,
	.list = none_list,
	.remove = none_remove,
	.locate = none_locate,
	.free = none_free,
};

struct store *store_none_new(void)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->ops = &none_ops;
	return store;
}
