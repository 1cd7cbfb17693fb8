#include "flow/staging.h"

#include "base/ahead.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "flow/dlq.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { KEY_ROOM = 2 * STORE_KEY_MAX, OBJECT_MAX = 64 << 20 };

static const char log_dir[] = "_delta_log/";
static const char letter_dir[] = "dlq/";

/* --- the store ------------------------------------------------------------ */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What comes after "<root>/" of a key, or NULL. */
static const char *below_root(const struct staging *staging, const char *key)
{
	size_t len = strlen(staging->root);

	return begins(key, staging->root) && key[len] == '/' ? key + len + 1 : NULL;
}

/* Where the key really is, in `out`. */
static const char *staging_map(const struct staging *staging, const char *key, char out[KEY_ROOM])
{
	const char *rest = below_root(staging, key);

	if (rest && begins(rest, log_dir))
		(void)snprintf(out, KEY_ROOM, "%s/_rebuild/%s", staging->root, rest);
	else if (begins(key, letter_dir))
		(void)snprintf(out, KEY_ROOM, "%s/_rebuild/%s", staging->root, key);
	else
		(void)snprintf(out, KEY_ROOM, "%s", key);
	return out;
}

static struct store *staged_in(struct store *base) { return ((struct staging *)base)->store; }

static enum err_code staging_put(struct store *base, const struct store_put *put, struct err *err)
{
	struct store_put mapped = *put;
	char at[KEY_ROOM];

	mapped.key = staging_map((struct staging *)base, put->key, at);
	return store_put_as(staged_in(base), &mapped, err);
}

/* Letters of the sink are read where they are: they say what is missing between objects. */
static enum err_code staging_get(struct store *base, const char *key, uint64_t from, uint64_t len,
				 struct buf *out, struct err *err)
{
	char at[KEY_ROOM];
	enum err_code code;

	(void)staging_map((struct staging *)base, key, at);
	code = store_get(staged_in(base), at, from, len, out, err);
	if (code == ERR_ABSENT && begins(key, letter_dir))
		code = store_get(staged_in(base), key, from, len, out, err);
	return code;
}

static enum err_code staging_stat(struct store *base, const char *key,
				  struct store_stat *ret_stat, struct err *err)
{
	char at[KEY_ROOM];

	return store_stat(staged_in(base), staging_map((struct staging *)base, key, at), ret_stat,
			  err);
}

static enum err_code staging_remove(struct store *base, const char *key, struct err *err)
{
	char at[KEY_ROOM];

	return store_remove(staged_in(base), staging_map((struct staging *)base, key, at), err);
}

struct staged_listing {
	const struct staging *staging;
	store_each_fn *each;
	void *user;
	bool ended;
	struct store_entry *staged;	/* letters, by the names that they go by outside */
	size_t count, next;
};

/* An entry by the name that it goes by outside. */
static const char *outside_key(const struct staging *staging, const char *key, char out[KEY_ROOM])
{
	const char *rest = below_root(staging, key);

	if (!rest || !begins(rest, "_rebuild/"))
		return key;
	rest += strlen("_rebuild/");
	(void)snprintf(out, KEY_ROOM, "%s%s%s", begins(rest, log_dir) ? staging->root : "",
		       begins(rest, log_dir) ? "/" : "", rest);
	return out;
}

static bool staging_list_one(void *user, const struct store_entry *entry)
{
	struct staged_listing *listing = user;
	struct store_entry known = *entry;
	char key[KEY_ROOM];

	known.key = outside_key(listing->staging, entry->key, key);
	listing->ended = !listing->each(listing->user, &known);
	return !listing->ended;
}

static bool staging_keep_one(void *user, const struct store_entry *entry)
{
	struct staged_listing *listing = user;
	struct store_entry known = *entry;
	char key[KEY_ROOM];

	known.key = xstrdup(outside_key(listing->staging, entry->key, key));
	listing->staged = xreallocarray(listing->staged, listing->count + 1,
					sizeof(*listing->staged));
	listing->staged[listing->count++] = known;
	return true;
}

/* The staged ones that sort before `key` (NULL: all that are left). False: enough. */
static bool staging_give_before(struct staged_listing *listing, const char *key)
{
	for (; !listing->ended && listing->next < listing->count; listing->next++) {
		const struct store_entry *staged = &listing->staged[listing->next];

		if (key && strcmp(staged->key, key) >= 0)
			break;
		listing->ended = !listing->each(listing->user, staged);
	}
	return !listing->ended;
}

/* One letter where letters are, in the order of all; one that is staged as well is that one. */
static bool staging_merge_one(void *user, const struct store_entry *entry)
{
	struct staged_listing *listing = user;

	if (!staging_give_before(listing, entry->key))
		return false;
	if (listing->next < listing->count &&
	    strcmp(listing->staged[listing->next].key, entry->key) == 0)
		return true;
	listing->ended = !listing->each(listing->user, entry);
	return !listing->ended;
}

static enum err_code staging_list(struct store *base, const char *prefix, const char *after,
				  size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	const struct staging *staging = (const struct staging *)base;
	struct staged_listing listing = { .staging = staging, .each = each, .user = user };
	char prefix_at[KEY_ROOM], after_at[KEY_ROOM];
	bool letters = begins(prefix, letter_dir);
	enum err_code code =
		store_list(staging->store, staging_map(staging, prefix, prefix_at),
			   *after ? staging_map(staging, after, after_at) : "",
			   letters ? staging_keep_one : staging_list_one, &listing, err);

	(void)wanted;		/* a rebuild's listings are read to their end */
	if (letters && code == ERR_OK)
		code = store_list(staging->store, prefix, after, staging_merge_one, &listing, err);
	if (letters && code == ERR_OK)
		(void)staging_give_before(&listing, NULL);
	for (size_t i = 0; i < listing.count; i++)
		free((void *)(uintptr_t)listing.staged[i].key);
	free(listing.staged);
	return code;
}

static enum err_code staging_fetch(struct store *base, const char *key,
				   struct store_fetched *ret_fetched, struct err *err)
{
	char at[KEY_ROOM];

	return store_fetch(staged_in(base), staging_map((struct staging *)base, key, at),
			   ret_fetched, err);
}

static const char *staging_fetch_dir(struct store *base)
{
	return store_fetch_dir(staged_in(base));
}

static bool staging_can(struct store *base, enum store_ability ability)
{
	return store_can(staged_in(base), ability);
}

static void staging_free(struct store *base) { (void)base; /* the caller's storage */ }

static const struct store_ops staging_ops = {
	.name = "staging",
	.layer = true,
	.put = staging_put,
	.get = staging_get,
	.stat = staging_stat,
	.list = staging_list,
	.remove = staging_remove,
	.fetch = staging_fetch,
	.fetch_dir = staging_fetch_dir,
	.can = staging_can,
	.free = staging_free,
};

void staging_init(struct staging *staging, struct store *store, const char *root)
{
	*staging = (struct staging){ .base = { .ops = &staging_ops }, .store = store };
	(void)snprintf(staging->root, sizeof(staging->root), "%s", root);
}

/* --- the marker ----------------------------------------------------------- */

static const char *marker_key(const char *root, char out[KEY_ROOM])
{
	(void)snprintf(out, KEY_ROOM, "%s/_rebuild/sealed", root);
	return out;
}

enum err_code staging_seal(const struct staging *staging, int64_t version, struct err *err)
{
	char key[KEY_ROOM], body[32];

	(void)snprintf(body, sizeof(body), "%" PRId64 "\n", version);
	return store_put(staging->store, marker_key(staging->root, key), slice_str(body),
			 STORE_REPLACE, err);
}

/* -1: there is none. */
static enum err_code staging_read_marker(struct store *store, const char *root,
					 int64_t *ret_version, struct err *err)
{
	char key[KEY_ROOM];
	struct buf body;
	enum err_code code;

	*ret_version = -1;
	buf_init(&body, 64);
	code = store_get(store, marker_key(root, key), 0, UINT64_MAX, &body, err);
	if (code == ERR_OK && sscanf(buf_cstr(&body), "%" SCNd64, ret_version) != 1)
		code = err_set(err, ERR_CORRUPT, "\"%s\" is no version of a table", key);
	buf_release(&body);
	return code == ERR_ABSENT ? ERR_OK : code;
}

/* --- the end -------------------------------------------------------------- */

struct next_key {
	char key[STORE_KEY_MAX + 1];
};

static bool take_next_key(void *user, const struct store_entry *entry)
{
	(void)snprintf(((struct next_key *)user)->key, STORE_KEY_MAX + 1, "%s", entry->key);
	return false;
}

static enum err_code first_below(struct store *store, const char *prefix, const char *after,
				 struct next_key *ret_next, struct err *err)
{
	ret_next->key[0] = '\0';
	return store_list_some(store, prefix, after, 1, take_next_key, ret_next, err);
}

/* Keys that were listed, and what is done with each of them: many at a time, where it takes a
 * while. (A listing need not stand what its callback removes.) */
struct staged_keys {
	struct store *store;
	char **list;
	size_t count;
	size_t room;
	size_t skip; /* bytes of a staged key before that of its letters */
};

static bool staged_keys_add(void *user, const struct store_entry *entry)
{
	struct staged_keys *keys = user;

	if (keys->count == keys->room) {
		keys->room = keys->room * 2 + 64;
		keys->list = xreallocarray(keys->list, keys->room, sizeof(char *));
	}
	keys->list[keys->count++] = xstrdup(entry->key);
	return true;
}

static enum err_code staged_keys_each(struct staged_keys *keys, const char *prefix,
				      enum err_code (*work)(void *user, size_t item,
							    struct err *err),
				      struct err *err)
{
	enum err_code code = store_list(keys->store, prefix, "", staged_keys_add, keys, err);

	if (code == ERR_OK)
		code = ahead_all(&(struct ahead_options){ .count = keys->count,
							  .at_once = store_at_once(keys->store),
							  .work = work,
							  .user = keys },
				 err);
	for (size_t i = 0; i < keys->count; i++)
		free(keys->list[i]);
	free(keys->list);
	return code;
}

static enum err_code staging_remove_one(void *user, size_t item, struct err *err)
{
	const struct staged_keys *keys = user;

	return store_remove(keys->store, keys->list[item], err);
}

static enum err_code staging_clear(struct store *store, const char *root, struct err *err)
{
	struct staged_keys keys = { .store = store };
	char prefix[KEY_ROOM];

	(void)snprintf(prefix, sizeof(prefix), "%s/_rebuild/", root);
	return staged_keys_each(&keys, prefix, staging_remove_one, err);
}

static enum err_code staging_copy_one(void *user, size_t item, struct err *err)
{
	const struct staged_keys *keys = user;
	const char *key = keys->list[item];
	struct buf body;
	enum err_code code;

	buf_init(&body, OBJECT_MAX);
	code = store_get(keys->store, key, 0, UINT64_MAX, &body, err);
	if (code == ERR_OK)
		code = store_put_once(keys->store, key + keys->skip, buf_slice(&body), err);
	buf_release(&body);
	return code;
}

static enum err_code copy_letters(struct store *store, const char *root, struct err *err)
{
	struct staged_keys keys = { .store = store };
	char prefix[KEY_ROOM];

	(void)snprintf(prefix, sizeof(prefix), "%s/_rebuild/%s", root, letter_dir);
	keys.skip = strlen(prefix) - strlen(letter_dir);
	return staged_keys_each(&keys, prefix, staging_copy_one, err);
}

static enum err_code put_letters_over(struct store *store, const struct lake_table *place,
				      struct err *err)
{
	char key[KEY_ROOM];
	enum err_code code = dlq_remove_all(store, place, err);

	if (code == ERR_OK && FAILPOINT("rebuild-forgot"))
		code = err_set(err, ERR_IO, "injected fault");
	if (code == ERR_OK)
		code = copy_letters(store, place->root, err);
	if (code == ERR_OK && FAILPOINT("rebuild-copied"))
		code = err_set(err, ERR_IO, "injected fault");
	if (code == ERR_OK)	/* before what it stands for: else half of that would go over */
		code = store_remove(store, marker_key(place->root, key), err);
	return code;
}

enum err_code staging_settle(struct store *store, const struct lake_table *place,
			     const struct delta_table *delta, struct err *err)
{
	char prefix[KEY_ROOM];
	int64_t sealed = -1;
	struct next_key next;
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "%s/_rebuild/", place->root);
	code = first_below(store, prefix, "", &next, err);
	if (code != ERR_OK || !next.key[0])
		return code;
	code = staging_read_marker(store, place->root, &sealed, err);
	if (code == ERR_OK && sealed >= 0 && delta_txn_version(delta, STAGING_APP_ID) == sealed)
		code = put_letters_over(store, place, err);
	else if (code == ERR_OK && sealed >= 0)
		code = store_remove(store, marker_key(place->root, prefix), err);
	return code == ERR_OK ? staging_clear(store, place->root, err) : code;
}
