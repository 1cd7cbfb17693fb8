#include "flow/staging.h"

#include "base/ahead.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
	KEY_ROOM = 2 * STORE_KEY_MAX,
	OBJECT_MAX = 64 << 20,
	ID_DIGITS = 19, /* of 63 bits */
	TRIES = 1000,	/* that begin in the same millisecond */
};

static const char log_dir[] = "_delta_log/";
static const char letter_dir[] = "dlq/";
static const char began[] = "began";
static const char sealed[] = "sealed";

/* --- the store ------------------------------------------------------------ */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What comes after "<root>/" of a key, or NULL. */
static const char *below_root(const char *root, const char *key)
{
	size_t len = strlen(root);

	return begins(key, root) && key[len] == '/' ? key + len + 1 : NULL;
}

/* "<root>/_rebuild/<id>/<rest>" */
static const char *staged_key(const char *root, int64_t id, const char *rest, char out[KEY_ROOM])
{
	(void)snprintf(out, KEY_ROOM, "%s/_rebuild/%0*" PRId64 "/%s", root, ID_DIGITS, id, rest);
	return out;
}

/* Where the key really is, in `out`. */
static const char *staging_map(const struct staging *staging, const char *key, char out[KEY_ROOM])
{
	const char *rest = below_root(staging->root, key);

	if (rest && begins(rest, log_dir))
		return staged_key(staging->root, staging->id, rest, out);
	if (begins(key, letter_dir))
		return staged_key(staging->root, staging->id, key, out);
	(void)snprintf(out, KEY_ROOM, "%s", key);
	return out;
}

static struct store *staged_in(struct store *base) { return ((struct staging *)base)->store; }

static void keep_outside(struct staging *staging, const char *key)
{
	if (staging_keeps(staging, key))
		return;
	staging->kept = xreallocarray(staging->kept, staging->kept_count + 1,
				      sizeof(*staging->kept));
	staging->kept[staging->kept_count++] = xstrdup(key);
}

/*
 * The letters that stand and those that come have names of their own, so that to take the ones away
 * and to bring the others can be done again, late, and by several. The same letters stay.
 * *ret_kept: they do, and there is nothing to be put.
 */
static enum err_code look_outside(struct staging *staging, const struct store_put *put,
				  bool *ret_kept, struct err *err)
{
	struct buf body;
	enum err_code code;

	*ret_kept = false;
	buf_init(&body, OBJECT_MAX);
	code = store_get(staging->store, put->key, 0, UINT64_MAX, &body, err);
	if (code == ERR_OK) {
		*ret_kept = slice_eq(buf_slice(&body), put->body);
		if (*ret_kept)
			keep_outside(staging, put->key);
		else
			code = err_set(err, ERR_EXISTS, "other letters stand at \"%s\"",
				       put->key);
	}
	buf_release(&body);
	return code == ERR_ABSENT ? ERR_OK : code;
}

static enum err_code staging_put(struct store *base, const struct store_put *put, struct err *err)
{
	struct staging *staging = (struct staging *)base;
	struct store_put mapped = *put;
	bool kept = false;
	char at[KEY_ROOM];
	enum err_code code = ERR_OK;

	if (begins(put->key, letter_dir))
		code = look_outside(staging, put, &kept, err);
	if (code != ERR_OK || kept)
		return code;
	mapped.key = staging_map(staging, put->key, at);
	return store_put_as(staging->store, &mapped, err);
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
	const char *rest = below_root(staging->root, key);

	if (!rest || !begins(rest, "_rebuild/"))
		return key;
	rest += strlen("_rebuild/") + ID_DIGITS + 1;
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

static enum err_code staging_fetch(struct store *base, const struct store_entry *entry,
				   struct store_fetched *ret_fetched, struct err *err)
{
	struct store_entry staged = *entry;
	char at[KEY_ROOM];

	staged.key = staging_map((struct staging *)base, entry->key, at);
	return store_fetch(staged_in(base), &staged, ret_fetched, err);
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
	.level = store_level_by_list,
	.mark = store_mark_none,
	.last = store_last_none,
	.remove = staging_remove,
	.fetch = staging_fetch,
	.fetch_dir = staging_fetch_dir,
	.can = staging_can,
	.free = staging_free,
};

/* --- the beginning and the seal ------------------------------------------- */

/* What its name says is above the table's last, so the table can name the one that counts. */
static enum err_code take_id(struct staging *staging, const struct delta_table *delta,
			     struct err *err)
{
	int64_t last = delta_txn_version(delta, STAGING_APP_ID);
	int64_t now = clock_wall_ms() * 1000;
	char key[KEY_ROOM], body[32];
	enum err_code code = ERR_EXISTS;

	(void)snprintf(body, sizeof(body), "%" PRId64 "\n", delta_version(delta));
	staging->id = now > last ? now : last;
	for (int i = 0; code == ERR_EXISTS && i < TRIES; i++) {
		staging->id++;
		code = store_put(staging->store,
				 staged_key(staging->root, staging->id, began, key),
				 slice_str(body), STORE_CREATE, err);
	}
	return code;
}

enum err_code staging_begin(struct staging *staging, struct store *store, const char *root,
			    const struct delta_table *delta, struct err *err)
{
	*staging = (struct staging){ .base = { .ops = &staging_ops }, .store = store };
	(void)snprintf(staging->root, sizeof(staging->root), "%s", root);
	return take_id(staging, delta, err);
}

void staging_release(struct staging *staging)
{
	for (size_t i = 0; i < staging->kept_count; i++)
		free(staging->kept[i]);
	free(staging->kept);
	staging->kept = NULL;
	staging->kept_count = 0;
}

bool staging_keeps(const struct staging *staging, const char *key)
{
	for (size_t i = 0; i < staging->kept_count; i++)
		if (strcmp(staging->kept[i], key) == 0)
			return true;
	return false;
}

enum err_code staging_seal(const struct staging *staging, struct slice drop, struct err *err)
{
	char key[KEY_ROOM];

	return store_put_once(staging->store, staged_key(staging->root, staging->id, sealed, key),
			      drop, err);
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
	const char *spared; /* NULL: none */
	size_t skip; /* bytes of a staged key before that of its letters */
};

static bool staged_keys_add(void *user, const struct store_entry *entry)
{
	struct staged_keys *keys = user;

	if (keys->spared && strcmp(entry->key, keys->spared) == 0)
		return true;
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

/* The table's version that it was begun on goes last: what lacks it is nobody's. */
static enum err_code staging_clear(struct store *store, const char *root, int64_t id,
				   struct err *err)
{
	struct staged_keys keys = { .store = store };
	char prefix[KEY_ROOM], first[KEY_ROOM], last[KEY_ROOM];
	enum err_code code = store_remove(store, staged_key(root, id, sealed, first), err);

	(void)staged_key(root, id, "", prefix);
	keys.spared = staged_key(root, id, began, last);
	if (code == ERR_OK)
		code = staged_keys_each(&keys, prefix, staging_remove_one, err);
	return code == ERR_OK ? store_remove(store, last, err) : code;
}

static enum err_code drop_letters(struct store *store, struct slice drop, struct err *err)
{
	enum err_code code = ERR_OK;
	char key[KEY_ROOM];

	while (code == ERR_OK && drop.len > 0) {
		const char *end = memchr(drop.ptr, '\n', drop.len);

		if (!end || end - drop.ptr > STORE_KEY_MAX)
			return err_set(err, ERR_CORRUPT, "a rebuild's list of letters is damaged");
		(void)snprintf(key, sizeof(key), "%.*s", (int)(end - drop.ptr), drop.ptr);
		code = store_remove(store, key, err);
		drop = slice_from(drop, (size_t)(end + 1 - drop.ptr));
	}
	return code;
}

/* To where it belongs: what stands there otherwise is of a commit that lost against this one. */
static enum err_code copy_letter(struct store *store, const char *from, const char *to,
				 struct buf *body, struct err *err)
{
	enum err_code code;

	buf_clear(body);
	code = store_get(store, from, 0, UINT64_MAX, body, err);
	if (code == ERR_ABSENT) /* another was faster with all of it */
		return ERR_OK;
	if (code == ERR_OK)
		code = store_put_once(store, to, buf_slice(body), err);
	if (code == ERR_EXISTS)
		code = store_put(store, to, buf_slice(body), STORE_REPLACE, err);
	return code;
}

static enum err_code staging_copy_one(void *user, size_t item, struct err *err)
{
	const struct staged_keys *keys = user;
	const char *key = keys->list[item];
	struct buf body;
	enum err_code code;

	buf_init(&body, OBJECT_MAX);
	code = copy_letter(keys->store, key, key + keys->skip, &body, err);
	buf_release(&body);
	return code;
}

static enum err_code copy_letters(struct store *store, const char *root, int64_t id,
				  struct err *err)
{
	struct staged_keys keys = { .store = store };
	char prefix[KEY_ROOM];

	(void)staged_key(root, id, letter_dir, prefix);
	keys.skip = strlen(prefix) - strlen(letter_dir);
	return staged_keys_each(&keys, prefix, staging_copy_one, err);
}

/* The rebuild that the table names. */
static enum err_code put_letters_over(struct store *store, const char *root, int64_t id,
				      struct err *err)
{
	char key[KEY_ROOM];
	struct buf drop;
	enum err_code code;

	buf_init(&drop, OBJECT_MAX);
	code = store_get(store, staged_key(root, id, sealed, key), 0, UINT64_MAX, &drop, err);
	if (code == ERR_OK)
		code = drop_letters(store, buf_slice(&drop), err);
	buf_release(&drop);
	if (code == ERR_ABSENT) /* it is done, but for what is to be cleared */
		return ERR_OK;
	if (code == ERR_OK && FAILPOINT("rebuild-forgot"))
		code = err_set(err, ERR_IO, "injected fault");
	if (code == ERR_OK)
		code = copy_letters(store, root, id, err);
	if (code == ERR_OK && FAILPOINT("rebuild-copied"))
		code = err_set(err, ERR_IO, "injected fault");
	return code;
}

/*
 * Whether it can still be committed: only on the version that it was begun on. The rebuild itself
 * may be at work at this moment, anywhere.
 */
static enum err_code may_still_come(struct store *store, const char *root, int64_t id,
				    const struct delta_table *delta, bool *ret, struct err *err)
{
	int64_t planned_on = -1;
	char key[KEY_ROOM];
	struct buf body;
	enum err_code code;

	buf_init(&body, 64);
	code = store_get(store, staged_key(root, id, began, key), 0, UINT64_MAX, &body, err);
	if (code == ERR_OK && sscanf(buf_cstr(&body), "%" SCNd64, &planned_on) != 1)
		code = err_set(err, ERR_CORRUPT, "\"%s\" is no version of a table", key);
	buf_release(&body);
	if (code != ERR_OK && code != ERR_ABSENT)
		return code;
	*ret = code == ERR_OK && planned_on >= delta_version(delta);
	return ERR_OK;
}

static enum err_code settle_one(struct store *store, const char *root, int64_t id,
				const struct delta_table *delta, int64_t *ret_ms, struct err *err)
{
	bool comes = false;
	enum err_code code;

	(void)ret_ms;
	if (delta_txn_version(delta, STAGING_APP_ID) == id)
		code = put_letters_over(store, root, id, err);
	else
		code = may_still_come(store, root, id, delta, &comes, err);
	return code == ERR_OK && !comes ? staging_clear(store, root, id, err) : code;
}

/* Of "<prefix><id>/…". False: it is nothing of ours. */
static bool staged_id(const char *key, const char *prefix, int64_t *ret_id)
{
	int len = 0;

	return sscanf(key + strlen(prefix), "%19" SCNd64 "%n", ret_id, &len) == 1 &&
	       len == ID_DIGITS && key[strlen(prefix) + ID_DIGITS] == '/' && *ret_id >= 0;
}

/* Calls `each` for every rebuild that has something staged. */
static enum err_code staging_each(struct store *store, const char *root,
				  const struct delta_table *delta,
				  enum err_code (*each)(struct store *store, const char *root,
							int64_t id, const struct delta_table *delta,
							int64_t *ret_ms, struct err *err),
				  int64_t *ret_ms, struct err *err)
{
	char prefix[KEY_ROOM], after[KEY_ROOM] = "";
	struct next_key next;
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "%s/_rebuild/", root);
	for (;;) {
		int64_t id = 0;

		code = first_below(store, prefix, after, &next, err);
		if (code != ERR_OK || !next.key[0])
			return code;
		(void)snprintf(after, sizeof(after), "%s", next.key);
		if (!staged_id(next.key, prefix, &id))
			continue;
		code = each(store, root, id, delta, ret_ms, err);
		if (code != ERR_OK)
			return code;
		/* All of it is passed: '0' comes right after '/'. */
		(void)snprintf(after, sizeof(after), "%s%0*" PRId64 "0", prefix, ID_DIGITS, id);
	}
}

enum err_code staging_settle(struct store *store, const struct lake_table *place,
			     const struct delta_table *delta, struct err *err)
{
	return staging_each(store, place->root, delta, settle_one, NULL, err);
}

static enum err_code staging_note_oldest(struct store *store, const char *root, int64_t id,
					 const struct delta_table *delta, int64_t *ret_ms,
					 struct err *err)
{
	bool comes = false;
	struct store_stat stat;
	char key[KEY_ROOM];
	enum err_code code = may_still_come(store, root, id, delta, &comes, err);

	if (code != ERR_OK || !comes)
		return code;
	code = store_stat(store, staged_key(root, id, began, key), &stat, err);
	if (code == ERR_OK && (*ret_ms == 0 || stat.modified_ms < *ret_ms))
		*ret_ms = stat.modified_ms;
	return code == ERR_ABSENT ? ERR_OK : code; /* it was given up just now */
}

enum err_code staging_oldest(struct store *store, const char *root, const struct delta_table *delta,
			     int64_t *ret_ms, struct err *err)
{
	int64_t oldest_ms = 0;
	enum err_code code = staging_each(store, root, delta, staging_note_oldest, &oldest_ms, err);

	if (code == ERR_OK)
		*ret_ms = oldest_ms;
	return code;
}

enum err_code staging_abandon(const struct staging *staging, struct err *err)
{
	return staging_clear(staging->store, staging->root, staging->id, err);
}
