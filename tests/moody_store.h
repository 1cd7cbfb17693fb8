/*
 * moody_store.h - a store whose next calls fail as they are told, or whose answers are wrong, as a
 * service's may be; and which counts its calls.
 */
#ifndef TESTS_MOODY_STORE_H
#define TESTS_MOODY_STORE_H

#include "backends/backends.h"
#include "base/mem.h"
#include "store/layer.h"

enum { MEMORY_MAX = 64 << 20 };

enum moody_fault { WELL, BACKWARDS, BEFORE, ELSEWHERE, TOO_MUCH };

/* What the next calls of a store end with, and how far a listing comes before. */
struct moody {
	struct store_layer layer;
	enum err_code moods[10]; /* ERR_OK ends them */
	int at;
	size_t keys; /* that a listing gives before it fails */
	enum moody_fault fault;
	size_t given;
	store_each_fn *each;
	void *user;
	int calls;
};

static inline struct moody *moody(struct store *store) { return (struct moody *)store; }

static inline enum err_code mood(struct store *store, struct err *err)
{
	enum err_code code = moody(store)->moods[moody(store)->at];

	moody(store)->calls++;
	if (code == ERR_OK)
		return ERR_OK;
	moody(store)->at++;
	return err_set(err, code, "try %d", moody(store)->at);
}

static inline enum err_code moody_put(struct store *store, const struct store_put *put,
				      struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_put(store, put, err) : err->code;
}

static inline enum err_code moody_get(struct store *store, const char *key, uint64_t from,
				      uint64_t len, struct buf *out, struct err *err)
{
	buf_add_str(out, moody(store)->fault == TOO_MUCH ? "much more than was asked for" : "");
	buf_add_str(out, moody(store)->moods[moody(store)->at] == ERR_OK ? "" : "a part");
	return mood(store, err) == ERR_OK ? store_layer_get(store, key, from, len, out, err)
					  : err->code;
}

static inline enum err_code moody_stat(struct store *store, const char *key,
				       struct store_stat *ret_stat, struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_stat(store, key, ret_stat, err) : err->code;
}

static inline bool moody_give(void *user, const struct store_entry *entry)
{
	struct moody *moody = user;

	if (moody->moods[moody->at] != ERR_OK && moody->given++ == moody->keys)
		return false;
	return moody->each(moody->user, entry);
}

static inline enum err_code moody_list(struct store *store, const char *prefix, const char *after,
				       size_t wanted, store_each_fn *each, void *user,
				       struct err *err)
{
	static const char *const wrong[] = {
		[BACKWARDS] = "a/0", [BEFORE] = "a/1", [ELSEWHERE] = "b"
	};
	enum err_code code;

	moody(store)->given = 0;
	moody(store)->each = each;
	moody(store)->user = user;
	code = store_layer_list(store, prefix, after, wanted, moody_give, store, err);
	if (code == ERR_OK && moody(store)->fault != WELL)
		(void)each(user, &(struct store_entry){ .key = wrong[moody(store)->fault] });
	return code == ERR_OK ? mood(store, err) : code;
}

static inline enum err_code moody_level(struct store *store, const char *folder,
					store_each_fn *each, void *user, struct err *err)
{
	enum err_code code;

	moody(store)->given = 0;
	moody(store)->each = each;
	moody(store)->user = user;
	code = store_layer_level(store, folder, moody_give, store, err);
	return code == ERR_OK ? mood(store, err) : code;
}

static inline enum err_code moody_remove(struct store *store, const char *key, struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_remove(store, key, err) : err->code;
}

static inline enum err_code moody_fetch(struct store *store, const struct store_entry *entry,
					struct store_fetched *ret_fetched, struct err *err)
{
	return mood(store, err) == ERR_OK ? store_layer_fetch(store, entry, ret_fetched, err)
					  : err->code;
}

static const struct store_ops moody_ops = {
	.name = "moody",
	.put = moody_put,
	.get = moody_get,
	.stat = moody_stat,
	.list = moody_list,
	.remove = moody_remove,
	.fetch = moody_fetch,
	.level = moody_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = store_layer_free,
};

static inline struct moody *moody_new(void)
{
	struct moody *moody = xcalloc(1, sizeof(*moody));

	moody->layer = (struct store_layer){ { &moody_ops }, store_memory_new(MEMORY_MAX) };
	return moody;
}

#endif
