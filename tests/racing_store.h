/*
 * racing_store.h - a store one of whose listings lacks an object, as one does
 * that runs while the sink puts it, and the objects that test this.
 */
#ifndef TESTS_RACING_STORE_H
#define TESTS_RACING_STORE_H

#include "base/mem.h"
#include "store/layer.h"
#include "testing.h"

#include <stdio.h>
#include <string.h>

struct racing {
	struct store_layer layer;
	const char *listing;		/* the first one whose prefix begins like this, or NULL … */
	const char *missed;		/* … lacks this key; NULL: it has been */
	const char *gone;		/* this one is listed, and not there; or NULL */
	const char *stuck;		/* this one cannot be removed; or NULL */
};

/* Of a listing, and not of the store: others run beside it. */
struct racing_shown {
	const char *missed;
	store_each_fn *each;
	void *user;
};

static inline bool racing_show(void *user, const struct store_entry *entry)
{
	const struct racing_shown *shown = user;

	return strcmp(entry->key, shown->missed) == 0 || shown->each(shown->user, entry);
}

static inline enum err_code racing_list(struct store *store, const char *prefix, const char *after,
					size_t wanted, store_each_fn *each, void *user,
					struct err *err)
{
	struct racing *racing = (struct racing *)store;
	/* In this order: the others must not look at what this one changes. */
	bool misses = racing->listing && slice_starts(slice_str(prefix), racing->listing) &&
		      racing->missed;
	struct racing_shown shown = { .each = each, .user = user };
	enum err_code code;

	if (!misses)
		return store_layer_list(store, prefix, after, wanted, each, user, err);
	shown.missed = racing->missed;
	code = store_layer_list(store, prefix, after, wanted, racing_show, &shown, err);
	racing->missed = NULL;
	return code;
}

static inline enum err_code racing_get(struct store *store, const char *key, uint64_t from,
				       uint64_t len, struct buf *out, struct err *err)
{
	const struct racing *racing = (const struct racing *)store;

	if (racing->gone && strcmp(key, racing->gone) == 0)
		return err_set(err, ERR_ABSENT, "no object \"%s\"", key);
	return store_layer_get(store, key, from, len, out, err);
}

static inline enum err_code racing_remove(struct store *store, const char *key, struct err *err)
{
	const struct racing *racing = (const struct racing *)store;

	if (racing->stuck && strcmp(key, racing->stuck) == 0)
		return err_set(err, ERR_IO, "\"%s\" cannot be removed", key);
	return store_layer_remove(store, key, err);
}

/* The caller's storage. */
static inline void racing_free(struct store *store)
{
	store_free(((struct racing *)store)->layer.inner);
}

static const struct store_ops racing_ops = {
	.name = "racing",
	.layer = true,
	.put = store_layer_put,
	.get = racing_get,
	.stat = store_layer_stat,
	.list = racing_list,
	.remove = racing_remove,
	.fetch = store_layer_fetch,
	.fetch_dir = store_layer_fetch_dir,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.can = store_layer_can,
	.free = racing_free,
};

#define RACING_PIN(start) "topics/id.pin/partition=0/id.pin+0+000000000" start ".json"

/* Three objects of one pin each. */
static inline void racing_put_pins(struct store *store)
{
	static const char *const keys[] = { RACING_PIN("0"), RACING_PIN("1"), RACING_PIN("2") };
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char pin[32];

		(void)snprintf(pin, sizeof(pin), "{\"index\":%zu}\n", i);
		assert_ok(store_put(store, keys[i], slice_str(pin), STORE_CREATE, &err));
	}
}

#endif
