#include "broker/kafka/msk.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/kafka/kafka.h"
#include "net/aws_msk.h"

#include <pthread.h>

enum { NEARLY_OVER_MS = 20 };

static const char msk_agent[] = "pinpipe/" PINPIPE_VERSION;

struct msk_client {
	struct msk_client *after;
	const rd_kafka_t *client;
	uint64_t generation; /* of the keys of the last token that it asked for; 0: it has none */
};

static struct {
	pthread_once_t once;
	struct aws_credentials *credentials; /* never let go of: a client may always come */
	pthread_mutex_t lock;		     /* of what follows, and of giving a token */
	struct aws_keys keys;		     /* the newest; generation 0: none */
	struct msk_client *clients;
} msk = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

static void msk_make_credentials(void) { msk.credentials = aws_credentials_new(NULL); }

static struct aws_credentials *msk_credentials(void)
{
	(void)pthread_once(&msk.once, msk_make_credentials);
	return msk.credentials;
}

/* NULL: not set; else the caller's. */
static char *msk_setting(const rd_kafka_conf_t *conf, const char *name)
{
	size_t size = 0;
	char *value;

	if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK || size == 0)
		return NULL;
	value = xmalloc(size);
	if (rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK)
		return value;
	free(value);
	return NULL;
}

static bool msk_has(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
	char *value = msk_setting(conf, name);
	bool has = value && strcmp(value, wanted) == 0;

	free(value);
	return has;
}

/* That of the brokers' names goes before that of the environment: a cluster is where it is. */
static enum err_code msk_region(const rd_kafka_conf_t *conf, char ret_region[AWS_REGION_MAX + 1],
				struct err *err)
{
	char *servers = msk_setting(conf, "bootstrap.servers");
	bool found = servers && aws_msk_region(servers, ret_region);
	enum err_code code = found ? ERR_OK : aws_region(NULL, ret_region, err);

	free(servers);
	if (code == ERR_OK)
		return ERR_OK;
	if (code == ERR_ABSENT)
		err->code = ERR_USAGE;
	return err_prefix(err, "AWS_MSK_IAM, and no broker's name says where it is");
}

/* With the lock, of the newest keys. `for_ms`: then librdkafka asks for another one; 0: as long as
 * it is good. */
static enum err_code msk_give_token(rd_kafka_t *client, int64_t for_ms, struct err *err)
{
	char region[AWS_REGION_MAX + 1], why[256];
	struct buf token;
	int64_t expires_s, over_ms;
	enum err_code code = msk_region(rd_kafka_conf(client), region, err);

	if (code != ERR_OK)
		return code;
	buf_init(&token, AWS_MSK_TOKEN_MAX);
	code = aws_msk_token(&msk.keys, region, msk_agent, clock_wall_ms() / 1000, &token,
			     &expires_s, err);
	if (code == ERR_OK) {
		over_ms = for_ms ? clock_wall_ms() + for_ms : expires_s * 1000;
		if (rd_kafka_oauthbearer_set_token(client, buf_cstr(&token), over_ms, "pinpipe",
						   NULL, 0, why,
						   sizeof(why)) != RD_KAFKA_RESP_ERR_NO_ERROR)
			code = err_set(err, ERR_IO, "%s", why);
	}
	buf_release(&token);
	return code;
}

/* With the lock. NULL: its mechanism is another. */
static struct msk_client *msk_find(const rd_kafka_t *client)
{
	struct msk_client *own = msk.clients;

	while (own && own->client != client)
		own = own->after;
	return own;
}

static rd_kafka_resp_err_t msk_on_destroy(rd_kafka_t *client, void *opaque)
{
	struct msk_client **at = &msk.clients, *own = opaque;

	(void)client;
	(void)pthread_mutex_lock(&msk.lock);
	while (*at != own)
		at = &(*at)->after;
	*at = own->after;
	(void)pthread_mutex_unlock(&msk.lock);
	free(own);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t msk_on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque,
				      char *why, size_t why_size)
{
	struct msk_client *own = xcalloc(1, sizeof(*own));

	(void)conf;
	(void)opaque;
	(void)why;
	(void)why_size;
	own->client = client;
	(void)pthread_mutex_lock(&msk.lock);
	own->after = msk.clients;
	msk.clients = own;
	(void)pthread_mutex_unlock(&msk.lock);
	return rd_kafka_interceptor_add_on_destroy(client, "msk", msk_on_destroy, own);
}

/* May ask a service. */
static void msk_refresh(rd_kafka_t *client, const char *config, void *opaque)
{
	struct aws_keys keys;
	struct err err;
	enum err_code code = aws_credentials_get(msk_credentials(), &keys, &err);

	(void)config;
	(void)opaque;
	if (code == ERR_OK) {
		(void)pthread_mutex_lock(&msk.lock);
		if (keys.generation > msk.keys.generation)
			msk.keys = keys;
		code = msk_give_token(client, 0, &err);
		if (code == ERR_OK)
			msk_find(client)->generation = msk.keys.generation;
		(void)pthread_mutex_unlock(&msk.lock);
		explicit_bzero(&keys, sizeof(keys));
	}
	if (code != ERR_OK)
		(void)rd_kafka_oauthbearer_set_token_failure(client, err.msg);
}

enum err_code msk_conf(rd_kafka_conf_t *conf, struct err *err)
{
	char region[AWS_REGION_MAX + 1];

	if (!msk_has(conf, "sasl.mechanisms", "AWS_MSK_IAM"))
		return ERR_OK;
	if (msk_region(conf, region, err) != ERR_OK)
		return err->code;
	kafka_conf_set(conf, "sasl.mechanisms", "OAUTHBEARER");
	if (!msk_has(conf, "security.protocol", "sasl_plaintext"))
		kafka_conf_set(conf, "security.protocol", "sasl_ssl");
	rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, msk_refresh);
	rd_kafka_conf_enable_sasl_queue(conf, 1);
	(void)rd_kafka_conf_interceptor_add_on_new(conf, "msk", msk_on_new, NULL);
	return ERR_OK;
}

/* On librdkafka's own thread: a place of keys may take seconds, and nobody else is to wait. */
void msk_started(rd_kafka_t *client)
{
	rd_kafka_error_t *error;
	rd_kafka_queue_t *queue = rd_kafka_queue_get_sasl(client);

	if (!queue)
		return;
	rd_kafka_queue_destroy(queue);
	error = rd_kafka_sasl_background_callbacks_enable(client);
	if (error)
		trace_error("no token for MSK can be had: %s", rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

/* librdkafka looks each second whether a token is nearly over, and cannot be asked to look: so it
 * is given one that is. That does not count as its last: other brokers' refusals of the one before
 * may be still to come. */
void msk_refused(rd_kafka_t *client)
{
	const struct msk_client *own;
	struct err unused;

	(void)pthread_mutex_lock(&msk.lock);
	own = msk_find(client);
	if (own && own->generation > 0) { /* else it asks for its first one by itself */
		aws_credentials_refused(msk_credentials(), own->generation);
		(void)!msk_give_token(client, NEARLY_OVER_MS, &unused);
	}
	(void)pthread_mutex_unlock(&msk.lock);
}
