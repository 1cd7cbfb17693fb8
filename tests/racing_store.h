/*
 * racing_store.h - a store one of whose listings lacks an object, as one does
 * that runs while the sink puts it, and the objects that test this.
 */
#ifndef TESTS_RACING_STORE_H
#define TESTS_RACING_STORE_H

#include "base/mem.h"
#include "store/store.h"
#include "testing.h"

#include <stdio.h>
#include <string.h>

struct racing {
	struct store base;
	struct store *inner;
	const char *listing;		/* the first one whose prefix begins like this … */
	const char *missed;		/* … lacks this key; NULL: it has been */
	bool (*each)(void *user, const struct store_entry *entry);
	void *user;
};

static inline struct store *racing_inner(struct store *store)
{
	return ((struct racing *)store)->inner;
}

static inline enum err_code racing_put(struct store *store, const char *key, struct slice body,
				       enum store_mode mode, struct err *err)
{
	return store_put(racing_inner(store), key, body, mode, err);
}

static inline enum err_code racing_put_file(struct store *store, const char *key, const char *path,
					    struct err *err)
{
	return store_put_file(racing_inner(store), key, path, err);
}

static inline enum err_code racing_get(struct store *store, const char *key, uint64_t from,
				       uint64_t len, struct buf *out, struct err *err)
{
	return store_get(racing_inner(store), key, from, len, out, err);
}

static inline enum err_code racing_size(struct store *store, const char *key, uint64_t *ret_size,
					struct err *err)
{
	return store_size(racing_inner(store), key, ret_size, err);
}

static inline bool racing_show(void *user, const struct store_entry *entry)
{
	struct racing *racing = user;

	return strcmp(entry->key, racing->missed) == 0 || racing->each(racing->user, entry);
}

static inline enum err_code racing_list(struct store *store, const char *prefix, const char *after,
					bool (*each)(void *user, const struct store_entry *entry),
					void *user, struct err *err)
{
	struct racing *racing = (struct racing *)store;
	bool misses = racing->missed && slice_starts(slice_str(prefix), racing->listing);
	enum err_code code;

	racing->each = each;
	racing->user = user;
	code = store_list(racing->inner, prefix, after, misses ? racing_show : each,
			  misses ? racing : user, err);
	if (misses)
		racing->missed = NULL;
	return code;
}

static inline enum err_code racing_remove(struct store *store, const char *key, struct err *err)
{
	return store_remove(racing_inner(store), key, err);
}

static inline enum err_code racing_locate(struct store *store, const char *key, struct buf *out,
					  struct err *err)
{
	return store_locate(racing_inner(store), key, out, err);
}

static inline void racing_free(struct store *store)
{
	store_free(racing_inner(store));
}

static const struct store_ops racing_ops = {
	.name = "racing", .put = racing_put, .put_file = racing_put_file, .get = racing_get,
	.size = racing_size, .list = racing_list, .remove = racing_remove,
	.locate = racing_locate, .free = racing_free,
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
