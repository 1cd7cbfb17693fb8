/*
 * store_prove.c - whether of several who create the same key only one wins, tried out.
 *
 * Commits rest on it, and services promise it that do not keep it: a conditional put is refused
 * once the object is there, but of those that come at the same time several win. One after the
 * other shows nothing, so RACERS put the same key at once, ROUNDS times. That it was proved is
 * remembered in the store, for all who open it; that it failed is not, for a service that was
 * mended.
 *
 *	_pinpipe/create-only-<hash of `of`>	it was proved, of this very store
 *	_pinpipe/race-<16 hex digits>		what a race is about; it goes when that ends
 *
 * (No listing shows what is below _pinpipe/.) Who dies in a race leaves its object; whoever looks
 * for the proof, as each process does before its first create, removes those older than a day.
 * It is found out before the first create. Where it cannot be, that fails: nothing is created on
 * trust.
 */
#include "store/layer.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

#define OWN "_pinpipe/"
#define RACE OWN "race-"

enum {
	RACERS = 8,
	ROUNDS = 3,
	KEY_BYTES = 64,
	LEFTOVER_MS = 24 * 3600 * 1000, /* far longer than a race, by anybody's clock */
	LEFTOVERS_MAX = 100,		/* of one look; the next goes on */
};

enum proof { UNPROVED, PROVED, REFUTED };

struct store_prove {
	struct store_layer layer;
	char *of;
	char key[KEY_BYTES];  /* of what is remembered */
	pthread_mutex_t lock; /* of proving */
	atomic_int proof;
	atomic_bool believed; /* can() said yes unproved, so a refutation must stop creates */
};
static_assert(offsetof(struct store_prove, layer.base) == 0, "base must be first");

/* --- a race ------------------------------------------------------------------ */

struct prove_race {
	struct store *store;
	char key[KEY_BYTES];
	pthread_mutex_t start; /* held until all of them are there */
	pthread_mutex_t lock;  /* what follows */
	int wins;
	struct err err; /* of one that neither won nor found it taken */
};

static void *prove_run(void *user)
{
	struct prove_race *all = user;
	struct err err;
	enum err_code code;

	(void)pthread_mutex_lock(&all->start);
	(void)pthread_mutex_unlock(&all->start);
	code = store_put(all->store, all->key, slice_str("a race of several who create this\n"),
			 STORE_CREATE, &err);
	(void)pthread_mutex_lock(&all->lock);
	if (code == ERR_OK)
		all->wins++;
	else if (code != ERR_EXISTS)
		all->err = err;
	(void)pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* ERR_UNSUPPORTED: several have won. That nobody did shows nothing of that. */
static enum err_code prove_round(struct store *store, struct err *err)
{
	struct prove_race all = { .store = store };
	pthread_t threads[RACERS];
	uint64_t random = 0;
	int started = 0;
	struct err unused;

	(void)!getrandom(&random, sizeof(random), 0);
	(void)snprintf(all.key, sizeof(all.key), RACE "%016" PRIx64, random);
	(void)pthread_mutex_init(&all.lock, NULL);
	(void)pthread_mutex_init(&all.start, NULL);
	(void)pthread_mutex_lock(&all.start);
	while (started < RACERS && pthread_create(&threads[started], NULL, prove_run, &all) == 0)
		started++;
	(void)pthread_mutex_unlock(&all.start);
	for (int i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_mutex_destroy(&all.start);
	(void)pthread_mutex_destroy(&all.lock);
	if (started < RACERS)
		return err_set(err, ERR_BUSY, "could not start the threads of a race");
	(void)!store_remove(store, all.key, &unused);
	if (all.wins == 0 && all.err.code == ERR_OK)
		return err_set(err, ERR_BUSY, "of %d who created one object at once each found it "
			       "taken", RACERS);
	if (all.wins > 1)
		return err_set(err, ERR_UNSUPPORTED, "of %d who created one object at once %d won",
			       RACERS, all.wins);
	if (all.err.code == ERR_OK)
		return ERR_OK;
	*err = all.err;
	return err_prefix(err, "could not find out whether only one can create an object");
}

/* --- what is known -------------------------------------------------------------- */

/* One look at all that is ours: it costs what a look at the proof alone would. */
struct prove_look {
	const struct store_prove *prove;
	int64_t old_ms; /* what is older … */
	char old[LEFTOVERS_MAX][KEY_BYTES];
	size_t old_count; /* … and of a race */
	bool remembered;
};

static bool prove_look_at(void *user, const struct store_entry *entry)
{
	struct prove_look *look = user;

	if (strcmp(entry->key, look->prove->key) == 0)
		look->remembered = entry->size == strlen(look->prove->of);
	else if (slice_starts(slice_str(entry->key), RACE) && entry->modified_ms > 0 &&
		 entry->modified_ms < look->old_ms && strlen(entry->key) < KEY_BYTES &&
		 look->old_count < LEFTOVERS_MAX)
		(void)snprintf(look->old[look->old_count++], KEY_BYTES, "%s", entry->key);
	return true;
}

static enum err_code is_remembered(struct store_prove *prove, bool *ret_is, struct err *err)
{
	struct prove_look *look = xcalloc(1, sizeof(*look));
	enum err_code code;
	struct err unused;

	look->prove = prove;
	look->old_ms = clock_wall_ms() - LEFTOVER_MS;
	code = store_list(prove->layer.inner, OWN, "", prove_look_at, look, err);
	for (size_t i = 0; code == ERR_OK && i < look->old_count; i++)
		(void)!store_remove(prove->layer.inner, look->old[i], &unused);
	*ret_is = look->remembered;
	free(look);
	return code;
}

static enum err_code prove_now(struct store_prove *prove, struct err *err)
{
	bool remembered = false;
	enum err_code code = is_remembered(prove, &remembered, err);
	struct err unused;

	for (int i = 0; code == ERR_OK && !remembered && i < ROUNDS; i++)
		code = prove_round(prove->layer.inner, err);
	if (code == ERR_UNSUPPORTED) {
		trace_warn("%s: %s; no table can be written there", prove->of, err->msg);
		atomic_store(&prove->proof, REFUTED);
		return ERR_OK;
	}
	if (code != ERR_OK)
		return code;
	if (!remembered) /* else it is proved again some day */
		(void)!store_put(prove->layer.inner, prove->key, slice_str(prove->of),
				 STORE_REPLACE, &unused);
	atomic_store(&prove->proof, PROVED);
	return ERR_OK;
}

static enum err_code prove_once(struct store_prove *prove, struct err *err)
{
	enum err_code code = ERR_OK;

	if (atomic_load(&prove->proof) != UNPROVED)
		return ERR_OK;
	(void)pthread_mutex_lock(&prove->lock);
	if (atomic_load(&prove->proof) == UNPROVED)
		code = prove_now(prove, err);
	(void)pthread_mutex_unlock(&prove->lock);
	return code;
}

/* --- what is of its own is none of the store's -------------------------------------- */

struct prove_listing {
	store_each_fn *each;
	void *user;
};

static bool prove_show(void *user, const struct store_entry *entry)
{
	const struct prove_listing *listing = user;

	return slice_starts(slice_str(entry->key), OWN) || listing->each(listing->user, entry);
}

static enum err_code prove_list(struct store *store, const char *prefix, const char *after,
				size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct prove_listing listing = { each, user };

	return store_layer_list(store, prefix, after, wanted, prove_show, &listing, err);
}

static enum err_code prove_level(struct store *store, const char *folder, store_each_fn *each,
				 void *user, struct err *err)
{
	struct prove_listing listing = { each, user };

	return store_layer_level(store, folder, prove_show, &listing, err);
}

/* --- the decorator ---------------------------------------------------------------- */

static enum err_code prove_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct store_prove *prove = (struct store_prove *)store;

	if (put->mode == STORE_CREATE && prove_once(prove, err) != ERR_OK)
		return err->code = err->code == ERR_UNKNOWN || err->code == ERR_EXISTS ? ERR_BUSY
										       : err->code;
	if (put->mode == STORE_CREATE && atomic_load(&prove->proof) == REFUTED &&
	    atomic_load(&prove->believed))
		return err_set(err, ERR_UNSUPPORTED, "%s lets several create the same object",
			       prove->of);
	return store_layer_put(store, put, err);
}

static bool prove_can(struct store *store, enum store_ability ability)
{
	struct store_prove *prove = (struct store_prove *)store;
	struct err err;

	if (ability != STORE_CAN_CREATE_ONLY)
		return store_layer_can(store, ability);
	if (prove_once(prove, &err) != ERR_OK) /* the put that follows tries it again, and tells */
		atomic_store(&prove->believed, true);
	return atomic_load(&prove->proof) != REFUTED;
}

static void prove_free(struct store *store)
{
	struct store_prove *prove = (struct store_prove *)store;

	(void)pthread_mutex_destroy(&prove->lock);
	free(prove->of);
	store_layer_free(store);
}

static const struct store_ops prove_ops = {
	.name = "prove",
	.layer = true,
	.put = prove_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = prove_list,
	.level = prove_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.fetch_dir = store_layer_fetch_dir,
	.can = prove_can,
	.free = prove_free,
};

struct store *store_prove_new(struct store *inner, const char *of)
{
	struct store_prove *prove = xcalloc(1, sizeof(*prove));
	unsigned char hash[SHA256_DIGEST_LENGTH];
	size_t len;

	prove->layer = (struct store_layer){ { &prove_ops }, inner };
	prove->of = xstrdup(of);
	(void)SHA256((const unsigned char *)of, strlen(of), hash);
	len = (size_t)snprintf(prove->key, sizeof(prove->key), OWN "create-only-");
	for (size_t i = 0; i < 8; i++)
		len += (size_t)snprintf(prove->key + len, sizeof(prove->key) - len, "%02x",
					hash[i]);
	(void)pthread_mutex_init(&prove->lock, NULL);
	return &prove->layer.base;
}
