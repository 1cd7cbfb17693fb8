/*
 * The calls of store.h: what a backend is asked is checked here, and what it answers.
 */
#include "store/store.h"

#include "base/ahead.h"
#include "base/metrics.h"
#include "base/time.h"
#include "store/store_check.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CODE(code) (1u << (code))
/* What any call of a store may end with. */
#define CODES_OF_ALL (CODE(ERR_OK) | CODE(ERR_SHAPE) | CODE(ERR_AUTH) | CODE(ERR_DENIED) | \
	CODE(ERR_BUSY) | CODE(ERR_SPACE) | CODE(ERR_TIMEOUT) | CODE(ERR_STOPPED) | CODE(ERR_IO) | \
	CODE(ERR_CORRUPT) | CODE(ERR_LIMIT) | CODE(ERR_UNSUPPORTED))

/*
 * The calls, each with its two metrics and the codes that it may end with. A put finds something
 * absent where the whole store is: its directory, its bucket.
 */
static const struct call_kind {
	const char *name;
	enum metric count, time_us;
	unsigned codes;
} calls[] = {
#define CALL_PUT (&calls[0])
	{ "put", METRIC_STORE_PUTS, METRIC_STORE_PUT_US,
	  CODES_OF_ALL | CODE(ERR_EXISTS) | CODE(ERR_UNKNOWN) | CODE(ERR_ABSENT) },
#define CALL_GET (&calls[1])
	{ "get", METRIC_STORE_GETS, METRIC_STORE_GET_US,
	  CODES_OF_ALL | CODE(ERR_ABSENT) },
#define CALL_STAT (&calls[2])
	{ "stat", METRIC_STORE_STATS, METRIC_STORE_STAT_US, CODES_OF_ALL | CODE(ERR_ABSENT) },
#define CALL_LIST (&calls[3])
	{ "list", METRIC_STORE_LISTS, METRIC_STORE_LIST_US, CODES_OF_ALL | CODE(ERR_ABSENT) },
#define CALL_REMOVE (&calls[4])
	{ "remove", METRIC_STORE_REMOVES, METRIC_STORE_REMOVE_US,
	  CODES_OF_ALL | CODE(ERR_UNKNOWN) | CODE(ERR_ABSENT) },
#define CALL_FETCH (&calls[5])
	{ "fetch", METRIC_STORE_FETCHES, METRIC_STORE_FETCH_US,
	  CODES_OF_ALL | CODE(ERR_ABSENT) },
};

/* The end of a call that began at `start_us`. */
static enum err_code store_ended(const struct store *store, const struct call_kind *call,
			   int64_t start_us, enum err_code code, const struct err *err)
{
	assert(call->codes & CODE(code));
	assert(code == ERR_OK || code == err->code);
	if (!store->ops->layer) {
		int64_t took_us = clock_mono_us() - start_us;

		metric_add(call->count, 1);
		metric_add(call->time_us, took_us);
		if (call == CALL_PUT)
			histogram_note(HISTOGRAM_PUT, took_us);
		metric_add(METRIC_STORE_FAILED,
			   code != ERR_OK && code != ERR_ABSENT && code != ERR_EXISTS);
	}
	return code;
}

/* --- put ----------------------------------------------------------------------- */

static enum err_code put_checked(struct store *store, const struct store_put *put, struct err *err)
{
	int64_t start_us = clock_mono_us();
	enum err_code code = store->ops->put(store, put, err);

	assert(code != ERR_EXISTS || put->mode == STORE_CREATE);
	return store_ended(store, CALL_PUT, start_us, code, err);
}

/* Only the outermost call opens the file, and only it removes it. */
static enum err_code put_path(struct store *store, const struct store_put *put, struct err *err)
{
	struct store_put with_file = *put;
	enum err_code code = ERR_OK;
	struct stat st;

	with_file.fd = open(put->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (with_file.fd < 0)
		return err_errno(err, "could not open \"%s\"", put->path);
	if (fstat(with_file.fd, &st) < 0)
		code = err_errno(err, "could not look at \"%s\"", put->path);
	with_file.size = (uint64_t)st.st_size;
	if (code == ERR_OK)
		code = put_checked(store, &with_file, err);
	if (code == ERR_OK)
		(void)unlink(put->path);	/* gone already if it was moved */
	(void)close(with_file.fd);
	return code;
}

enum err_code store_put_as(struct store *store, const struct store_put *put, struct err *err)
{
	enum err_code code = store_check_put(put, err);
	struct store_put with_size = *put;

	if (code != ERR_OK)
		return code;
	if (put->path && put->fd == 0)
		return put_path(store, put, err);
	if (!put->path)
		with_size.size = put->source ? put->source->size : put->body.len;
	return put_checked(store, &with_size, err);
}

enum err_code store_put(struct store *store, const char *key, struct slice body,
			enum store_mode mode, struct err *err)
{
	const struct store_put put = { .key = key, .mode = mode, .body = body };

	return store_put_as(store, &put, err);
}

enum err_code store_put_file(struct store *store, const char *key, const char *path,
			     struct err *err)
{
	const struct store_put put = { .key = key, .mode = STORE_CREATE, .path = path };

	return store_put_as(store, &put, err);
}

/* ERR_OK: the object has exactly these bytes; ERR_EXISTS: it has others. */
static enum err_code compare(struct store *store, const char *key, struct slice body,
			     struct err *err)
{
	enum err_code code;
	struct buf there;

	buf_init(&there, body.len + 1);		/* one more tells a longer one */
	code = store_get(store, key, 0, body.len + 1, &there, err);
	if (code == ERR_OK && !slice_eq(buf_slice(&there), body))
		code = err_set(err, ERR_EXISTS, "object \"%s\" exists already, with other bytes",
			       key);
	buf_release(&there);
	return code;
}

enum err_code store_put_once(struct store *store, const char *key, struct slice body,
			     struct err *err)
{
	struct err first;
	enum err_code code = store_put(store, key, body, STORE_CREATE, &first);

	if (code == ERR_EXISTS)
		return compare(store, key, body, err);
	if (code != ERR_OK)
		*err = first;
	return code;
}

/* --- get, stat, remove, fetch -------------------------------------------------- */

enum err_code store_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			struct buf *out, struct err *err)
{
	enum err_code code = store_check_key(key, err);
	int64_t start_us = clock_mono_us();
	size_t before = out->len;
	uint64_t unused;

	if (code != ERR_OK)
		return code;
	if (len == 0)			/* which no range of HTTP can say */
		return store_size(store, key, &unused, err);
	code = store->ops->get(store, key, from, len, out, err);
	assert(out->len >= before);
	if (code == ERR_OK && out->len - before > len)
		code = err_set(err, ERR_CORRUPT, "of object \"%s\" came %zu bytes, not %llu", key,
			       out->len - before, (unsigned long long)len);
	if (code != ERR_OK)
		out->len = before;
	return store_ended(store, CALL_GET, start_us, code, err);
}

enum err_code store_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			 struct err *err)
{
	enum err_code code = store_check_key(key, err);
	int64_t start_us = clock_mono_us();
	struct store_stat stat = { 0 };

	if (code != ERR_OK)
		return code;
	code = store->ops->stat(store, key, &stat, err);
	assert(stat.words.count <= STORE_WORDS_MAX);
	if (code == ERR_OK)
		*ret_stat = stat;
	return store_ended(store, CALL_STAT, start_us, code, err);
}

enum err_code store_check_same(struct store *store, const char *key,
			       const struct store_stat *before, struct err *err)
{
	struct store_stat now;
	enum err_code code = store_stat(store, key, &now, err);

	if (code == ERR_OK && (now.size != before->size || now.version != before->version ||
			       now.modified_ms != before->modified_ms))
		code = err_set(err, ERR_BUSY, "object \"%s\" was replaced while it was read", key);
	return code == ERR_ABSENT ? ERR_OK : code;
}

enum err_code store_size(struct store *store, const char *key, uint64_t *ret_size,
			 struct err *err)
{
	struct store_stat stat = { 0 };
	enum err_code code = store_stat(store, key, &stat, err);

	if (code == ERR_OK)
		*ret_size = stat.size;
	return code;
}

enum err_code store_remove(struct store *store, const char *key, struct err *err)
{
	enum err_code code = store_check_key(key, err);
	int64_t start_us = clock_mono_us();

	if (code != ERR_OK)
		return code;
	code = store->ops->remove(store, key, err);
	return store_ended(store, CALL_REMOVE, start_us, code, err);
}

struct removing {
	struct store *store;
	const char *const *keys;
};

static enum err_code remove_one(void *user, size_t item, struct err *err)
{
	const struct removing *removing = user;

	return store_remove(removing->store, removing->keys[item], err);
}

enum err_code store_remove_all(struct store *store, const char *const *keys, size_t count,
			       struct err *err)
{
	struct removing removing = { store, keys };
	int64_t start_us = clock_mono_us();
	enum err_code code = ERR_OK;

	if (!store->ops->remove_all)
		return ahead_all(&(struct ahead_options){ .count = count,
							  .at_once = store_at_once(store),
							  .work = remove_one,
							  .user = &removing },
				 err);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = store_check_key(keys[i], err);
	if (code != ERR_OK || count == 0)
		return code;
	code = store->ops->remove_all(store, keys, count, err);
	if (!store->ops->layer)
		metric_add(METRIC_STORE_REMOVES, (int64_t)count - 1);
	return store_ended(store, CALL_REMOVE, start_us, code, err);
}

enum err_code store_fetch(struct store *store, const struct store_entry *entry,
			  struct store_fetched *ret_fetched, struct err *err)
{
	enum err_code code = store_check_key(entry->key, err);
	int64_t start_us = clock_mono_us();
	struct store_fetched fetched = { .fd = -1 };

	if (code != ERR_OK)
		return code;
	code = store->ops->fetch(store, entry, &fetched, err);
	assert((code == ERR_OK) == (fetched.fd >= 0 && fetched.path));
	if (code == ERR_OK)
		*ret_fetched = fetched;
	return store_ended(store, CALL_FETCH, start_us, code, err);
}

/* --- list ---------------------------------------------------------------------- */

struct checked_listing {
	const char *prefix;
	store_each_fn *each;
	void *user;
	char last[STORE_KEY_MAX + 1];	/* the key before, at first what to begin after */
	int64_t caller_us;		/* that `each` took */
	bool wrong;			/* a key came that should not have */
};

static bool give_checked(void *user, const struct store_entry *entry)
{
	struct checked_listing *listing = user;
	int64_t start_us = clock_mono_us();
	bool more;

	if (strcmp(entry->key, listing->last) <= 0 ||
	    !slice_starts(slice_str(entry->key), listing->prefix) ||
	    strlen(entry->key) > STORE_KEY_MAX) {
		listing->wrong = true;
		return false;
	}
	memcpy(listing->last, entry->key, strlen(entry->key) + 1);
	more = listing->each(listing->user, entry);
	listing->caller_us += clock_mono_us() - start_us;
	return more;
}

enum err_code store_list_some(struct store *store, const char *prefix, const char *after,
			      size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct checked_listing listing = { .prefix = prefix, .each = each, .user = user };
	int64_t start_us = clock_mono_us();
	enum err_code code;

	if (strlen(prefix) > STORE_KEY_MAX)
		return ERR_OK;
	(void)snprintf(listing.last, sizeof(listing.last), "%s", after);
	code = store->ops->list(store, prefix, after, wanted, give_checked, &listing, err);
	if (listing.wrong)
		code = err_set(err, ERR_CORRUPT,
			       "the store \"%s\" lists \"%s\" out of order, or what was not asked for",
			       store->ops->name, prefix);
	return store_ended(store, CALL_LIST, start_us + listing.caller_us, code, err);
}

enum err_code store_list(struct store *store, const char *prefix, const char *after,
			 store_each_fn *each, void *user, struct err *err)
{
	return store_list_some(store, prefix, after, 0, each, user, err);
}

enum err_code store_level(struct store *store, const char *folder, store_each_fn *each, void *user,
			  struct err *err)
{
	struct checked_listing listing = { .prefix = folder, .each = each, .user = user };
	int64_t start_us = clock_mono_us();
	enum err_code code;

	assert(!*folder || folder[strlen(folder) - 1] == '/');
	code = store->ops->level(store, folder, give_checked, &listing, err);
	if (listing.wrong)
		code = err_set(
			err, ERR_CORRUPT,
			"the store \"%s\" lists \"%s\" out of order, or what was not asked for",
			store->ops->name, folder);
	return store_ended(store, CALL_LIST, start_us + listing.caller_us, code, err);
}

/* --- the rest ------------------------------------------------------------------ */

struct store_mark store_mark(struct store *store, const char *folder)
{
	return store->ops->mark(store, folder);
}

bool store_last(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1])
{
	return strlen(prefix) <= STORE_KEY_MAX && store->ops->last(store, prefix, ret_key);
}

const char *store_fetch_dir(struct store *store) { return store->ops->fetch_dir(store); }

bool store_can(struct store *store, enum store_ability ability)
{
	return store->ops->can(store, ability);
}

/* A service answers after 20 ms or so, and takes some thousand requests a second. */
size_t store_at_once(struct store *store)
{
	enum { FAR = 32 };

	return store_can(store, STORE_CAN_FETCH_FREE) ? 1 : FAR;
}

void store_free(struct store *store)
{
	if (store)
		store->ops->free(store);
}
