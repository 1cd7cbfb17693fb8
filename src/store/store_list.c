#include "store/store.h"

#include "base/ahead.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* A listing as it came, until it is its turn. */
struct listed {
	struct buf keys; /* each with its NUL */
	struct listed_key {
		size_t at;
		struct store_entry entry; /* its key is at `at` */
	} * list;
	size_t count;
	size_t room;
};

struct listing_all {
	struct store *store;
	const struct store_listing *listings;
	struct listed *listed;
};

static bool keep_listed(void *user, const struct store_entry *entry)
{
	struct listed *listed = user;

	if (listed->count == listed->room) {
		listed->room = listed->room * 2 + 64;
		listed->list = xreallocarray(listed->list, listed->room, sizeof(*listed->list));
	}
	listed->list[listed->count++] = (struct listed_key){ listed->keys.len, *entry };
	buf_add(&listed->keys, entry->key, strlen(entry->key) + 1);
	return true;
}

static enum err_code list_one_of(void *user, size_t item, struct err *err)
{
	const struct listing_all *all = user;
	struct listed *listed = &all->listed[item];

	buf_init(&listed->keys, SIZE_MAX / 2);
	return store_list(all->store, all->listings[item].prefix, "", keep_listed, listed, err);
}

static void give_listed(const struct store_listing *listing, const struct listed *listed)
{
	bool more = true;

	for (size_t i = 0; i < listed->count && more; i++) {
		struct store_entry entry = listed->list[i].entry;

		entry.key = listed->keys.ptr + listed->list[i].at;
		more = listing->each(listing->user, &entry);
	}
}

static enum err_code list_in_turn(struct store *store, const struct store_listing *listings,
				  size_t count, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = store_list(store, listings[i].prefix, "", listings[i].each, listings[i].user,
				  err);
	return code;
}

enum err_code store_list_all(struct store *store, const struct store_listing *listings,
			     size_t count, struct err *err)
{
	struct listing_all all = { store, listings, NULL };
	enum err_code code;

	if (store_at_once(store) == 1)
		return list_in_turn(store, listings, count, err);
	all.listed = xcalloc(count, sizeof(*all.listed));
	code = ahead_all(&(struct ahead_options){ .count = count,
						  .at_once = store_at_once(store),
						  .work = list_one_of,
						  .user = &all },
			 err);
	for (size_t i = 0; i < count; i++) {
		if (code == ERR_OK)
			give_listed(&listings[i], &all.listed[i]);
		buf_release(&all.listed[i].keys);
		free(all.listed[i].list);
	}
	free(all.listed);
	return code;
}

/* --- one level -------------------------------------------------------------- */

#define LAST_CHAR "\xf4\x8f\xbf\xbf" /* of UTF-8, in which keys are */

struct levelling {
	size_t prefix; /* its length */
	store_each_fn *each;
	void *user;
	char last[STORE_KEY_MAX + 1]; /* what was given last */
	bool ended;		      /* `each` has seen enough */
	bool skips;		      /* a folder was given: on behind it */
};

static bool level_give(void *user, const struct store_entry *entry)
{
	struct levelling *levelling = user;
	const char *slash = strchr(entry->key + levelling->prefix, '/');
	size_t len = slash ? (size_t)(slash - entry->key) + 1 : strlen(entry->key);
	struct store_entry folder = { .key = levelling->last };

	if (slash && slice_is(slice_of(entry->key, len), levelling->last))
		return true;
	(void)snprintf(levelling->last, sizeof(levelling->last), "%.*s", (int)len, entry->key);
	levelling->skips = slash != NULL;
	levelling->ended = !levelling->each(levelling->user, slash ? &folder : entry);
	return !levelling->ended && !slash;
}

enum err_code store_level_by_list(struct store *store, const char *folder, store_each_fn *each,
				  void *user, struct err *err)
{
	struct levelling levelling = { .prefix = strlen(folder), .each = each, .user = user };
	char after[sizeof(levelling.last) + sizeof(LAST_CHAR)];
	enum err_code code;

	do {
		(void)snprintf(after, sizeof(after), "%s%s", levelling.last,
			       levelling.skips ? LAST_CHAR : "");
		levelling.skips = false;
		code = store->ops->list(store, folder, after, 0, level_give, &levelling, err);
	} while (code == ERR_OK && levelling.skips && !levelling.ended);
	return code;
}

struct store_mark store_mark_none(struct store *store, const char *folder)
{
	(void)store;
	(void)folder;
	return (struct store_mark){ 0 };
}

bool store_last_none(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1])
{
	(void)store;
	(void)prefix;
	(void)ret_key;
	return false;
}
