/*
 * aging_store.h - a store in memory whose objects are as old as a test wants them, that fails a
 * removal, and that lets something happen just before a put.
 */
#ifndef TESTS_AGING_STORE_H
#define TESTS_AGING_STORE_H

#include "backends/backends.h"
#include "base/mem.h"
#include "base/time.h"
#include "store/layer.h"

#include <stdlib.h>
#include <string.h>

struct aging {
	struct store_layer layer;
	int64_t age_ms;		/* of data files named "old…", and of the log … */
	int64_t below;		/* … up to this version; those after it are as old as they are */
	int64_t step_ms;	/* so much younger each version is than the one before it */
	int fail_at;		/* this removal fails, from 1; 0: none */
	int64_t pause_ms;	/* before each hundredth removal */
	unsigned removals;
	const char *before_put; /* of a key that ends so … */
	void (*hook)(void *user); /* … this happens first, once */
	void *user;
	store_each_fn *each;
	void *each_user;
};

static inline struct aging *aging(struct store *store) { return (struct aging *)store; }

static inline bool aging_give(void *user, const struct store_entry *entry)
{
	struct aging *its = user;
	struct store_entry aged = *entry;
	const char *name = strrchr(entry->key, '/') + 1;
	int64_t version = strtoll(name, NULL, 10);

	if (strstr(entry->key, "/_delta_log/0") && version < its->below)
		aged.modified_ms -= its->age_ms - version * its->step_ms;
	else if (strncmp(name, "old", 3) == 0)
		aged.modified_ms -= its->age_ms;
	return its->each(its->each_user, &aged);
}

static inline enum err_code aging_list(struct store *store, const char *prefix, const char *after,
				       size_t wanted, store_each_fn *each, void *user,
				       struct err *err)
{
	aging(store)->each = each;
	aging(store)->each_user = user;
	return store_layer_list(store, prefix, after, wanted, aging_give, store, err);
}

/* As a listing has it. */
static inline enum err_code aging_stat(struct store *store, const char *key,
				       struct store_stat *ret_stat, struct err *err)
{
	enum err_code code = store_layer_stat(store, key, ret_stat, err);

	if (code == ERR_OK && strstr(key, "/_delta_log/0") &&
	    strtoll(strrchr(key, '/') + 1, NULL, 10) < aging(store)->below)
		ret_stat->modified_ms -= aging(store)->age_ms;
	return code;
}

static inline enum err_code aging_remove(struct store *store, const char *key, struct err *err)
{
	if (aging(store)->fail_at > 0 && --aging(store)->fail_at == 0)
		return err_set(err, ERR_IO, "\"%s\" cannot be removed", key);
	if (aging(store)->pause_ms && aging(store)->removals++ % 100 == 0)
		clock_sleep_ms(aging(store)->pause_ms);
	return store_layer_remove(store, key, err);
}

static inline enum err_code aging_put(struct store *store, const struct store_put *put,
				      struct err *err)
{
	const char *end = aging(store)->before_put;
	size_t len = strlen(put->key);

	if (end && len >= strlen(end) && strcmp(put->key + len - strlen(end), end) == 0) {
		aging(store)->before_put = NULL;
		aging(store)->hook(aging(store)->user);
	}
	return store_layer_put(store, put, err);
}

static const struct store_ops aging_ops = {
	.name = "aging",
	.layer = true,
	.put = aging_put,
	.get = store_layer_get,
	.stat = aging_stat,
	.list = aging_list,
	.remove = aging_remove,
	.fetch = store_layer_fetch,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = store_layer_free,
};

static inline struct store *aging_new(void)
{
	struct aging *its = xcalloc(1, sizeof(*its));

	its->layer = (struct store_layer){ { &aging_ops }, store_memory_new(64 << 20) };
	return &its->layer.base;
}

#endif
