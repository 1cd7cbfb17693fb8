/*
 * layer.h - what decorators of a store share: each is a struct that begins with
 * a struct store_layer, and a table of methods in which those that it does not
 * care for are these, which pass the call on to the store within.
 *
 * A decorator that is to fail the 3rd put has store_layer_put() called by a put of its own
 * and STORE_LAYER_REST for everything else; tests/backends has some.
 */
#ifndef STORE_LAYER_H
#define STORE_LAYER_H

#include "store/store.h"

struct store_layer {
	struct store base;
	struct store *inner;		/* owned, unless the layer's own free says otherwise */
};

enum err_code store_layer_put(struct store *store, const struct store_put *put, struct err *err);
enum err_code store_layer_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err);
enum err_code store_layer_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			       struct err *err);
enum err_code store_layer_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err);
enum err_code store_layer_level(struct store *store, const char *folder, store_each_fn *each,
				void *user, struct err *err);
struct store_mark store_layer_mark(struct store *store, const char *folder);
bool store_layer_last(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1]);
enum err_code store_layer_remove(struct store *store, const char *key, struct err *err);
enum err_code store_layer_remove_all(struct store *store, const char *const *keys, size_t count,
				     struct err *err);
enum err_code store_layer_fetch(struct store *store, const struct store_entry *entry,
				struct store_fetched *ret_fetched, struct err *err);
const char *store_layer_fetch_dir(struct store *store);
bool store_layer_can(struct store *store, enum store_ability ability);
void store_layer_free(struct store *store);

#endif
