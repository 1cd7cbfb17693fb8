/*
 * store_retry.c - what a service refused for the moment is asked again.
 *
 * Once a call has been tried for all of its time, the calls after it are tried once, until one
 * comes through: who has much to do with a store that is away is told so soon. That time begins
 * with the first refusal, however long that took; but where time itself ran out (ERR_TIMEOUT), what
 * it took is counted. After a stop there are a few tries yet, close together, so that what is
 * drained is not given up for an answer of 503.
 *
 * A listing that fails on its way goes on behind the last key that it gave, so
 * that nobody is given one twice; a get that fails gave nothing (store_get()).
 */
#include "store/layer.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { STOP_TRIES = 10, STOP_WAIT_MS = 30 };

struct store_retry {
	struct store_layer layer;
	int64_t for_ms;
	atomic_bool away; /* the last call that was tried for long came to nothing */
};
static_assert(offsetof(struct store_retry, layer.base) == 0, "base must be first");

/* The tries of one call. */
struct tries {
	struct store_retry *retry;
	int stop_tries;
	const char *call;
	const char *key;
	bool changes;			/* what the store holds: a repeat must be safe */
	int64_t start_ms;
	int64_t until_ms;		/* 0: no try has failed yet */
	int64_t stop_until_ms;		/* the same of the tries after a stop */
	struct backoff backoff;
};

static struct tries tries_begin(struct store *store, const char *call, const char *key,
				bool changes)
{
	struct store_retry *retry = (struct store_retry *)store;

	return (struct tries){
		.retry = retry,
		.call = call,
		.key = key,
		.changes = changes,
		.start_ms = clock_mono_ms(),
		.backoff = { .first_ms = 50, .max_ms = 2000 },
	};
}

/* Whatever else asks to end: the wait is short, and all of them take no longer than others. */
static bool again_at_the_end(struct tries *tries)
{
	const struct timespec wait = { .tv_nsec = STOP_WAIT_MS * 1000000 };
	int64_t now_ms = clock_mono_ms();

	if (tries->stop_tries == 0)
		tries->stop_until_ms = now_ms + tries->retry->for_ms;
	if (atomic_load(&tries->retry->away) || tries->stop_tries++ == STOP_TRIES ||
	    now_ms > tries->stop_until_ms)
		return false;
	(void)nanosleep(&wait, NULL);
	return true;
}

/* From the first failure on. */
static void tries_set_end(struct tries *tries, enum err_code code)
{
	int64_t from_ms = code == ERR_TIMEOUT ? tries->start_ms : clock_mono_ms();
	bool away = atomic_load(&tries->retry->away);

	if (tries->until_ms == 0)
		tries->until_ms = from_ms + (away ? 0 : tries->retry->for_ms);
}

/*
 * True, after a wait: the call is to be made again. An answer that was lost on the way (ERR_IO,
 * ERR_UNKNOWN) may be of a put that took place; one that says "not now" is of none.
 */
static bool again(struct tries *tries, enum err_code code, const struct err *err)
{
	bool passes = code == ERR_BUSY || code == ERR_TIMEOUT ||
		      ((code == ERR_IO || code == ERR_UNKNOWN) && !tries->changes);
	int64_t wait_ms;

	if (!passes) {
		atomic_store(&tries->retry->away, false);
		return false;
	}
	if (stop_requested())
		return again_at_the_end(tries);
	tries_set_end(tries, code);
	wait_ms = backoff_next_ms(&tries->backoff);
	if (clock_mono_ms() + wait_ms >= tries->until_ms) {
		atomic_store(&tries->retry->away, true);
		return false;
	}
	trace_debug("%s \"%s\": %s; it is tried again", tries->call, tries->key, err->msg);
	clock_sleep_ms(wait_ms);
	return true;
}

static enum err_code retry_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct tries tries = tries_begin(store, "put", put->key, true);
	enum err_code code;

	do
		code = store_layer_put(store, put, err);
	while (again(&tries, code, err));
	return code;
}

static enum err_code retry_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			       struct buf *out, struct err *err)
{
	struct tries tries = tries_begin(store, "get", key, false);
	enum err_code code;

	do
		code = store_layer_get(store, key, from, len, out, err);
	while (again(&tries, code, err));
	return code;
}

static enum err_code retry_stat(struct store *store, const char *key, struct store_stat *ret_stat,
				struct err *err)
{
	struct tries tries = tries_begin(store, "stat", key, false);
	enum err_code code;

	do
		code = store_layer_stat(store, key, ret_stat, err);
	while (again(&tries, code, err));
	return code;
}

struct retry_listing {
	store_each_fn *each;
	void *user;
	char last[STORE_KEY_MAX + 1];
	bool ended;			/* `each` has seen enough */
};

static bool retry_give(void *user, const struct store_entry *entry)
{
	struct retry_listing *listing = user;

	(void)snprintf(listing->last, sizeof(listing->last), "%s", entry->key);
	listing->ended = !listing->each(listing->user, entry);
	return !listing->ended;
}

/* A service that gives keys gets on: only tries that gave none count. */
static enum err_code retry_list(struct store *store, const char *prefix, const char *after,
				size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct retry_listing listing = { .each = each, .user = user };
	char from[STORE_KEY_MAX + 1] = "";
	struct tries tries = tries_begin(store, "list", prefix, false);
	enum err_code code;

	(void)snprintf(listing.last, sizeof(listing.last), "%s", after);
	do {
		if (strcmp(listing.last, from) != 0)
			tries = tries_begin(store, "list", prefix, false);
		(void)snprintf(from, sizeof(from), "%s", listing.last);
		code = store_layer_list(store, prefix, from, wanted, retry_give, &listing, err);
	} while (!listing.ended && again(&tries, code, err));
	return listing.ended ? ERR_OK : code;
}

/* What a try gave before it failed is not given again. */
static bool retry_give_behind(void *user, const struct store_entry *entry)
{
	struct retry_listing *listing = user;

	return strcmp(entry->key, listing->last) <= 0 || retry_give(user, entry);
}

static enum err_code retry_level(struct store *store, const char *folder, store_each_fn *each,
				 void *user, struct err *err)
{
	struct retry_listing listing = { .each = each, .user = user };
	struct tries tries = tries_begin(store, "list", folder, false);
	enum err_code code;

	do
		code = store_layer_level(store, folder, retry_give_behind, &listing, err);
	while (!listing.ended && again(&tries, code, err));
	return listing.ended ? ERR_OK : code;
}

/* A key that another try has removed already is success as well. */
static enum err_code retry_remove(struct store *store, const char *key, struct err *err)
{
	struct tries tries = tries_begin(store, "remove", key, false);
	enum err_code code;

	do
		code = store_layer_remove(store, key, err);
	while (again(&tries, code, err));
	return code;
}

static enum err_code retry_fetch(struct store *store, const struct store_entry *entry,
				 struct store_fetched *ret_fetched, struct err *err)
{
	struct tries tries = tries_begin(store, "fetch", entry->key, false);
	enum err_code code;

	do
		code = store_layer_fetch(store, entry, ret_fetched, err);
	while (again(&tries, code, err));
	return code;
}

static const struct store_ops retry_ops = {
	.name = "retry",
	.layer = true,
	.put = retry_put,
	.get = retry_get,
	.stat = retry_stat,
	.list = retry_list,
	.level = retry_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.remove = retry_remove,
	.fetch = retry_fetch,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = store_layer_free,
};

struct store *store_retry_new(struct store *inner, int64_t for_ms)
{
	struct store_retry *retry = xcalloc(1, sizeof(*retry));

	retry->layer = (struct store_layer){ { &retry_ops }, inner };
	retry->for_ms = for_ms;
	return &retry->layer.base;
}
