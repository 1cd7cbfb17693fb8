/*
 * store_recall.c - listings that were heard to their end, as long as they are short.
 *
 * Where a caller goes through a whole place and then asks for parts of it, the parts are
 * answered from what it has heard. That is older than an answer would be, so the caller
 * says by which store he asks what.
 */
#include "base/mem.h"
#include "store/layer.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

/* All keys of a prefix, in their order. */
struct recalled {
	struct recalled *next;
	char *prefix;
	struct buf keys; /* each with its NUL */
	struct recalled_key {
		size_t at;
		struct store_entry entry; /* its key is at `at` */
	} * list;
	size_t count, room;
};

struct store_recall {
	struct store_layer layer;
	size_t keys_max;
	pthread_mutex_t lock; /* what follows; one that is in `heard` is never changed */
	size_t keys;
	struct recalled *heard;
};
static_assert(offsetof(struct store_recall, layer.base) == 0, "base must be first");

static void recalled_free(struct recalled *recalled)
{
	free(recalled->prefix);
	buf_release(&recalled->keys);
	free(recalled->list);
	free(recalled);
}

/* --- what is heard ----------------------------------------------------------- */

struct hearing {
	struct recalled *recalled; /* NULL: it is too much */
	size_t keys_max;
	store_each_fn *each;
	void *user;
	bool stopped;
};

static bool recall_hear(void *user, const struct store_entry *entry)
{
	struct hearing *hearing = user;
	struct recalled *recalled = hearing->recalled;

	if (recalled && recalled->count == hearing->keys_max) {
		recalled_free(recalled);
		recalled = hearing->recalled = NULL;
	}
	if (recalled) {
		if (recalled->count == recalled->room) {
			recalled->room = recalled->room * 2 + 64;
			recalled->list = xreallocarray(recalled->list, recalled->room,
						       sizeof(*recalled->list));
		}
		recalled->list[recalled->count++] =
			(struct recalled_key){ recalled->keys.len, *entry };
		buf_add(&recalled->keys, entry->key, strlen(entry->key) + 1);
	}
	hearing->stopped = !hearing->each(hearing->user, entry);
	return !hearing->stopped;
}

static void keep_heard(struct store_recall *recall, struct recalled *recalled)
{
	(void)pthread_mutex_lock(&recall->lock);
	if (recalled->count <= recall->keys_max - recall->keys) {
		recall->keys += recalled->count;
		recalled->next = recall->heard;
		recall->heard = recalled;
		recalled = NULL;
	}
	(void)pthread_mutex_unlock(&recall->lock);
	if (recalled)
		recalled_free(recalled);
}

static enum err_code list_and_keep(struct store_recall *recall, const char *prefix, size_t wanted,
				   store_each_fn *each, void *user, struct err *err)
{
	struct recalled *recalled = xcalloc(1, sizeof(*recalled));
	struct hearing hearing = {
		.recalled = recalled, .keys_max = recall->keys_max, .each = each, .user = user
	};
	enum err_code code;

	recalled->prefix = xstrdup(prefix);
	buf_init(&recalled->keys, SIZE_MAX / 2);
	code = store_layer_list(&recall->layer.base, prefix, "", wanted, recall_hear, &hearing, err);
	if (!hearing.recalled)
		return code;
	if (code == ERR_OK && !hearing.stopped)
		keep_heard(recall, recalled);
	else
		recalled_free(recalled);
	return code;
}

/* --- what is answered -------------------------------------------------------- */

static const struct recalled *find_heard(struct store_recall *recall, const char *prefix)
{
	const struct recalled *found;

	(void)pthread_mutex_lock(&recall->lock);
	for (found = recall->heard; found; found = found->next)
		if (strncmp(prefix, found->prefix, strlen(found->prefix)) == 0)
			break;
	(void)pthread_mutex_unlock(&recall->lock);
	return found;
}

bool store_recalls(struct store *recall, const char *prefix)
{
	return find_heard((struct store_recall *)recall, prefix) != NULL;
}

static void give_heard(const struct recalled *recalled, const char *prefix, const char *after,
		       store_each_fn *each, void *user)
{
	size_t len = strlen(prefix);

	for (size_t i = 0; i < recalled->count; i++) {
		struct store_entry entry = recalled->list[i].entry;

		entry.key = recalled->keys.ptr + recalled->list[i].at;
		if (strncmp(entry.key, prefix, len) != 0 || strcmp(entry.key, after) <= 0)
			continue;
		if (!each(user, &entry))
			return;
	}
}

static enum err_code recall_list(struct store *store, const char *prefix, const char *after,
				 size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct store_recall *recall = (struct store_recall *)store;
	const struct recalled *heard = find_heard(recall, prefix);

	if (heard) {
		give_heard(heard, prefix, after, each, user);
		return ERR_OK;
	}
	if (*after)
		return store_layer_list(store, prefix, after, wanted, each, user, err);
	return list_and_keep(recall, prefix, wanted, each, user, err);
}

/* --- the decorator ----------------------------------------------------------- */

static void recall_free(struct store *store)
{
	struct store_recall *recall = (struct store_recall *)store;
	struct recalled *next;

	for (struct recalled *recalled = recall->heard; recalled; recalled = next) {
		next = recalled->next;
		recalled_free(recalled);
	}
	(void)pthread_mutex_destroy(&recall->lock);
	free(recall);
}

static const struct store_ops recall_ops = {
	.name = "recall",
	.layer = true,
	.put = store_layer_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = recall_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = recall_free,
};

struct store *store_recall_new(struct store *inner, size_t keys_max)
{
	struct store_recall *recall = xcalloc(1, sizeof(*recall));

	recall->layer = (struct store_layer){ { &recall_ops }, inner };
	recall->keys_max = keys_max;
	(void)pthread_mutex_init(&recall->lock, NULL);
	return &recall->layer.base;
}
