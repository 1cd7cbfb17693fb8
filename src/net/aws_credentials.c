#include "net/aws_credentials.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "net/aws_source.h"

#include <pthread.h>

enum {
	AWS_READ_EVERY_MS = 1000,	/* where that fails, or keys are refused */
	AWS_GOOD_S = 60,		/* what was just read is tried, even if it seems old */
};

struct aws_credentials {
	char *profile;			/* NULL: as the environment says */
	bool fixed;			/* the keys are the only ones */
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t read;
	struct aws_keys keys;		/* of generation 0 there are none */
	int64_t renew_s;		/* Unix time from which they are read anew; 0: never */
	int64_t end_s;			/* until which they are given; 0: always */
	bool refused;			/* a service did not take them */
	bool reading;			/* somebody is */
	int64_t failed_ms;		/* when reading failed last; 0: it did not */
	int64_t refused_ms;		/* when they were refused last; 0: never */
	struct err failure;
};

static struct aws_credentials *aws_credentials_make(void)
{
	struct aws_credentials *credentials = xcalloc(1, sizeof(*credentials));

	(void)pthread_mutex_init(&credentials->lock, NULL);
	(void)pthread_cond_init(&credentials->read, NULL);
	return credentials;
}

struct aws_credentials *aws_credentials_new(const char *profile)
{
	struct aws_credentials *credentials = aws_credentials_make();

	credentials->profile = profile ? xstrdup(profile) : NULL;
	return credentials;
}

struct aws_credentials *aws_credentials_fixed(const char *id, const char *secret,
					      const char *token)
{
	struct aws_credentials *credentials = aws_credentials_make();
	struct err err;

	credentials->fixed = true;
	credentials->keys.generation = 1;
	if (aws_keys_set(&credentials->keys, slice_str(id), slice_str(secret),
			 slice_str(token ? token : ""), "given", &err) != ERR_OK) {
		credentials->failure = err;
		return credentials;
	}
	credentials->keys.generation = 1;
	return credentials;
}

void aws_credentials_free(struct aws_credentials *credentials)
{
	if (!credentials)
		return;
	(void)pthread_mutex_destroy(&credentials->lock);
	(void)pthread_cond_destroy(&credentials->read);
	free(credentials->profile);
	explicit_bzero(&credentials->keys, sizeof(credentials->keys));
	free(credentials);
}

static bool aws_is_good(const struct aws_credentials *credentials, int64_t now_s)
{
	return credentials->keys.generation > 0 && !credentials->refused &&
	       (credentials->end_s == 0 || now_s < credentials->end_s);
}

static bool aws_is_fresh(const struct aws_credentials *credentials, int64_t now_s)
{
	return aws_is_good(credentials, now_s) &&
	       (credentials->renew_s == 0 || now_s < credentials->renew_s);
}

static bool aws_failed_lately(const struct aws_credentials *credentials)
{
	return credentials->failed_ms != 0 &&
	       clock_mono_ms() - credentials->failed_ms < AWS_READ_EVERY_MS;
}

/* Short-lived ones are used for half of their time. */
static void aws_take_keys(struct aws_credentials *credentials, const struct aws_keys *keys)
{
	uint64_t generation = credentials->keys.generation + 1;
	int64_t now_s = clock_wall_ms() / 1000;
	int64_t left_s = keys->expires_s - now_s, early_s;

	credentials->keys = *keys;
	credentials->keys.generation = generation;
	credentials->refused = false;
	credentials->failed_ms = 0;
	credentials->renew_s = credentials->end_s = 0;
	if (keys->expires_s == 0)
		return;
	early_s = left_s / 2 < AWS_CREDENTIALS_EARLY_S ? left_s / 2 : AWS_CREDENTIALS_EARLY_S;
	credentials->renew_s = left_s < AWS_GOOD_S ? now_s + AWS_GOOD_S / 2 :
						     keys->expires_s - early_s;
	credentials->end_s = left_s < AWS_GOOD_S ? now_s + AWS_GOOD_S : keys->expires_s;
}

/* With the lock, which is given up while it reads. */
static void aws_read_keys(struct aws_credentials *credentials)
{
	struct aws_keys keys = { 0 };
	struct err err = { 0 };
	enum err_code code;

	credentials->reading = true;
	(void)pthread_mutex_unlock(&credentials->lock);
	code = aws_chain_read(credentials->profile, &keys, &err);
	(void)pthread_mutex_lock(&credentials->lock);
	credentials->reading = false;
	if (code == ERR_OK) {
		aws_take_keys(credentials, &keys);
		trace_debug("keys of AWS come from %s", keys.place);
	} else {
		if (aws_is_good(credentials, clock_wall_ms() / 1000))
			trace_warn("keys of AWS could not be read anew: %s", err.msg);
		credentials->failed_ms = clock_mono_ms();
		credentials->failure = err;
	}
	explicit_bzero(&keys, sizeof(keys));
	(void)pthread_cond_broadcast(&credentials->read);
}

/* With the lock: reads, or waits until somebody has, unless what there is will do. */
static void aws_make_ready(struct aws_credentials *credentials)
{
	while (!aws_is_fresh(credentials, clock_wall_ms() / 1000)) {
		bool good = aws_is_good(credentials, clock_wall_ms() / 1000);

		if (credentials->reading) {
			if (good)
				return;
			(void)pthread_cond_wait(&credentials->read, &credentials->lock);
		} else if (aws_failed_lately(credentials)) {
			return;
		} else {
			aws_read_keys(credentials);
		}
	}
}

static enum err_code aws_give(struct aws_credentials *credentials, struct aws_keys *ret_keys,
			      struct err *err)
{
	if (!aws_is_good(credentials, clock_wall_ms() / 1000)) {
		*err = credentials->failure;
		return err->code;
	}
	*ret_keys = credentials->keys;
	return ERR_OK;
}

enum err_code aws_credentials_get(struct aws_credentials *credentials, struct aws_keys *ret_keys,
				  struct err *err)
{
	enum err_code code;

	if (credentials->fixed && credentials->failure.code != ERR_OK) {
		*err = credentials->failure;
		return err->code;
	}
	(void)pthread_mutex_lock(&credentials->lock);
	if (!credentials->fixed)
		aws_make_ready(credentials);
	code = aws_give(credentials, ret_keys, err);
	(void)pthread_mutex_unlock(&credentials->lock);
	return code;
}

void aws_credentials_refused(struct aws_credentials *credentials, uint64_t generation)
{
	int64_t now_ms = clock_mono_ms();

	if (credentials->fixed)
		return;
	(void)pthread_mutex_lock(&credentials->lock);
	if (credentials->keys.generation == generation &&
	    (credentials->refused_ms == 0 ||
	     now_ms - credentials->refused_ms >= AWS_READ_EVERY_MS)) {
		credentials->refused = true;
		credentials->refused_ms = now_ms;
		credentials->failed_ms = 0;
	}
	(void)pthread_mutex_unlock(&credentials->lock);
}

void aws_credentials_age(struct aws_credentials *credentials, int64_t age_s)
{
	(void)pthread_mutex_lock(&credentials->lock);
	credentials->renew_s -= age_s;
	credentials->end_s -= age_s;
	(void)pthread_mutex_unlock(&credentials->lock);
}
