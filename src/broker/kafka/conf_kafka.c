/* Clients of librdkafka: what a user may set, and what is set here. */
#include "base/mem.h"
#include "base/nearest.h"
#include "base/trace.h"
#include "broker/kafka/kafka.h"
#include "broker/kafka/msk.h"

#include <stdio.h>

/* --- what may be set ------------------------------------------------------- */

/* Whoever sets them otherwise takes back what broker.h promises. */
static const struct promise {
	const char *name;
	const char *why;
} promises[] = {
	{ "acks", "a record is acknowledged once all replicas in sync have it" },
	{ "request.required.acks", "a record is acknowledged once all replicas in sync have it" },
	{ "enable.idempotence", "a record that is sent again is kept once" },
	{ "enable.gapless.guarantee", "a record that is lost does not end the program" },
	{ "transactional.id", "pipelines need no transactions: the lake takes each record once" },
	{ "partitioner", "a key's partition is the one that Kafka's own client chooses" },
	{ "allow.auto.create.topics", "gateway.auto_create says which topics are made" },
	{ "isolation.level", "only what is committed is read" },
	{ "check.crcs", "what is damaged is not read" },
	{ "group.id", "each process has its group" },
	{ "group.instance.id", "each member has its own" },
	{ "group.protocol", "partitions are shared as \"partition.assignment.strategy\" has it" },
	{ "group.remote.assignor", "partitions are shared as \"partition.assignment.strategy\" has it" },
	{ "partition.assignment.strategy", "a member keeps what it has while others come and go" },
	{ "enable.auto.commit", "what is done is committed, and nothing else" },
	{ "auto.commit.enable", "what is done is committed, and nothing else" },
	{ "auto.commit.interval.ms", "what is done is committed, and nothing else" },
	{ "enable.auto.offset.store", "what is done is committed, and nothing else" },
	{ "offset.store.method", "what is done is committed, and nothing else" },
	{ "offset.store.path", "what is done is committed, and nothing else" },
	{ "offset.store.sync.interval.ms", "what is done is committed, and nothing else" },
	{ "auto.offset.reset", "the lake says where it goes on, and nothing moves that in silence" },
	{ "enable.partition.eof", "the end of a partition has to be told" },
	{ "delivery.report.only.error", "each record is answered for" },
	{ "queue.buffering.max.messages", "log.inflight_bytes_max is the bound" },
	{ "queue.buffering.max.kbytes", "log.inflight_bytes_max is the bound" },
	{ "message.max.bytes", "gateway.record_bytes_max is the bound" },
	{ "plugin.library.paths", "no code is loaded for a setting" },
	{ "enabled_events", "it is the program's own" },
	{ "test.mock.num.brokers", "a mock is no cluster" },
	{ "test.mock.broker.rtt", "a mock is no cluster" },
};

enum { MESSAGE_MS_MAX = 25000 };	/* sooner than who waits for an answer gives up */

static const char *promise_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(promises); i++)
		if (strcmp(promises[i].name, name) == 0)
			return promises[i].why;
	return NULL;
}

/* Those that librdkafka's list of its settings leaves out, though they are the ones in use. */
static const char *const aliases[] = {
	"bootstrap.servers", "linger.ms", "retries", "compression.type", "delivery.timeout.ms",
	"sasl.mechanism", "max.in.flight", "max.partition.fetch.bytes", "acks",
};

/* Names and values in turn, of both kinds of settings that librdkafka has. */
struct dump {
	const char **words;
	size_t count;
	const char **topic_words;
	size_t topic_count;
};

static const char *dump_word(const void *list, size_t n)
{
	const struct dump *dump = list;

	if (n < ARRAY_LEN(aliases))
		return aliases[n];
	n = 2 * (n - ARRAY_LEN(aliases));
	if (n < dump->count)
		return dump->words[n];
	n -= dump->count;
	return n < dump->topic_count ? dump->topic_words[n] : NULL;
}

static enum err_code setting_unknown(const struct config_setting *setting, rd_kafka_conf_t *conf,
				     struct err *err)
{
	rd_kafka_topic_conf_t *topic = rd_kafka_topic_conf_new();
	struct dump dump = { 0 };
	const char *near;

	dump.words = rd_kafka_conf_dump(conf, &dump.count);
	dump.topic_words = rd_kafka_topic_conf_dump(topic, &dump.topic_count);
	near = nearest(setting->name, dump_word, &dump);
	(void)err_set(err, ERR_USAGE, "%s: librdkafka has no setting \"%s\"%s%s%s", setting->place,
		      setting->name, near ? "; did you mean \"" : "", near ? near : "",
		      near ? "\"?" : "");
	rd_kafka_conf_dump_free(dump.words, dump.count);
	rd_kafka_conf_dump_free(dump.topic_words, dump.topic_count);
	rd_kafka_topic_conf_destroy(topic);
	return err->code;
}

static enum err_code check_message_ms(const struct config_setting *setting, struct err *err)
{
	long ms = strtol(setting->text, NULL, 10);

	if (strcmp(setting->name, "message.timeout.ms") != 0 &&
	    strcmp(setting->name, "delivery.timeout.ms") != 0)
		return ERR_OK;
	if (ms > 0 && ms <= MESSAGE_MS_MAX)
		return ERR_OK;
	return err_set(err, ERR_USAGE, "%s: \"%s\" must be 1 to %d: who waits is told in time",
		       setting->place, setting->name, MESSAGE_MS_MAX);
}

static enum err_code setting_apply(const struct config_setting *setting, rd_kafka_conf_t *conf,
				   struct err *err)
{
	const char *promise = promise_of(setting->name);
	char why[256];
	rd_kafka_conf_res_t res;

	if (promise)
		return err_set(err, ERR_USAGE, "%s: \"%s\" cannot be set: %s", setting->place,
			       setting->name, promise);
	if (check_message_ms(setting, err) != ERR_OK)
		return err->code;
	res = rd_kafka_conf_set(conf, setting->name, setting->text, why, sizeof(why));
	if (res == RD_KAFKA_CONF_OK)
		return ERR_OK;
	if (res == RD_KAFKA_CONF_UNKNOWN)
		return setting_unknown(setting, conf, err);
	/* librdkafka's words hold the value. */
	return err_set(err, ERR_USAGE, "%s: \"%s\": %s", setting->place, setting->name,
		       option_group_is_secret(setting->name) ? "its value is not right" : why);
}

/* --- what is set here ------------------------------------------------------ */

void kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return;
	trace_error("librdkafka does not take %s=%s: %s", name, value, why);
	abort();
}

/* What a user may set otherwise. The library's own defaults make a record wait 5 ms for others,
 * a client try a broker that is back after up to 10 s, and take one that does not answer at all for
 * one that will for 30 s, and who waits be told after 5 minutes. */
static const struct preset {
	const char *name;
	const char *value;
} presets[] = {
	{ "client.id", "pinpipe" },
	{ "socket.keepalive.enable", "true" },
	{ "socket.connection.setup.timeout.ms", "5000" },
	{ "reconnect.backoff.ms", "50" },
	{ "reconnect.backoff.max.ms", "1000" },
	{ "log.connection.close", "false" },
	{ "topic.metadata.refresh.interval.ms", "1000" },
	{ "topic.metadata.propagation.max.ms", "1000" },
};

static void conf_preset(rd_kafka_conf_t *conf)
{
	for (size_t i = 0; i < ARRAY_LEN(presets); i++)
		kafka_conf_set(conf, presets[i].name, presets[i].value);
}

/* What matters of it comes as an error, too, and is told once (links.h). */
static void conf_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	enum { SYSLOG_CRIT = 2 };

	(void)client;
	trace_at(level <= SYSLOG_CRIT ? TRACE_WARN : TRACE_DEBUG, "kafka: %s: %s", facility, text);
}

enum err_code kafka_conf_new(const struct broker_kafka_options *options, enum kafka_role role,
			     rd_kafka_conf_t **ret_conf, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	conf_preset(conf);
	if (role == KAFKA_PRODUCES) {
		kafka_conf_set(conf, "linger.ms", "0"); /* a loop's turn comes together */
		kafka_conf_set(conf, "message.timeout.ms", "10000");
	} else if (role == KAFKA_READS) {
		kafka_conf_set(conf, "session.timeout.ms", "6000");
		kafka_conf_set(conf, "heartbeat.interval.ms", "1000");
		kafka_conf_set(conf, "queued.max.messages.kbytes", "16384");
		kafka_conf_set(conf, "fetch.max.bytes", "8388608"); /* each broker's, beyond that */
		kafka_conf_set(conf, "fetch.wait.max.ms", "100");
		kafka_conf_set(conf, "fetch.error.backoff.ms", "50");
		kafka_conf_set(conf, "fetch.queue.backoff.ms", "5");
	}
	for (size_t i = 0; i < options->setting_count; i++)
		if (setting_apply(&options->settings[i], conf, err) != ERR_OK)
			goto bad;
	/* A producer that only looks whether a topic is there would have it made. */
	kafka_conf_set(conf, "allow.auto.create.topics", "false");
	if (msk_conf(conf, err) != ERR_OK)
		goto bad;
	rd_kafka_conf_set_log_cb(conf, conf_log);
	*ret_conf = conf;
	return ERR_OK;
bad:
	rd_kafka_conf_destroy(conf);
	return err->code;
}

enum err_code kafka_settings_check(const struct broker_kafka_options *options, struct err *err)
{
	rd_kafka_conf_t *conf = NULL;
	enum err_code code = kafka_conf_new(options, KAFKA_READS, &conf, err);
	size_t size;

	if (code != ERR_OK)
		return code;
	if (rd_kafka_conf_get(conf, "bootstrap.servers", NULL, &size) != RD_KAFKA_CONF_OK ||
	    size <= 1)
		code = err_set(err, ERR_USAGE, "which Kafka is it? set bootstrap.servers below "
			       "kafka: (or --kafka bootstrap.servers=HOST:PORT,…)");
	rd_kafka_conf_destroy(conf);
	return code;
}

/* --- a client -------------------------------------------------------------- */

void kafka_note_error(rd_kafka_t *client, struct links *links, int code, const char *why)
{
	/* Where no token could be had nobody was refused, and another one is asked for in time. */
	if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION && !strstr(why, "Failed to acquire"))
		msk_refused(client);
	/* A producer that breaks is told by itself, each link by its own error. With an alert TLS
	 * refuses; librdkafka has it as a broken connection. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && code != RD_KAFKA_RESP_ERR__FATAL)
		links_say(links,
			  code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
				  code == RD_KAFKA_RESP_ERR__SSL || strstr(why, "SSL alert"),
			  why);
}

static rd_kafka_resp_err_t on_link(rd_kafka_t *client, int32_t id, const char *protocol,
				   const char *name, int port, const char *state, void *links)
{
	(void)client;
	(void)protocol;
	links_change(links, id, name, port, state);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *links,
				  char *why, size_t why_size)
{
	(void)conf;
	(void)why;
	(void)why_size;
	return rd_kafka_interceptor_add_on_broker_state_change(client, "pinpipe", on_link, links);
}

enum err_code kafka_client_new(rd_kafka_conf_t *conf, enum kafka_role role, struct links *links,
			       rd_kafka_t **ret_client, struct err *err)
{
	rd_kafka_type_t type = role == KAFKA_READS ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
	rd_kafka_t *client;
	char why[256];

	(void)rd_kafka_conf_interceptor_add_on_new(conf, "pinpipe", on_new, links);
	client = rd_kafka_new(type, conf, why, sizeof(why));
	if (!client) {
		rd_kafka_conf_destroy(conf);
		return err_set(err, ERR_USAGE, "librdkafka does not take these settings: %s", why);
	}
	msk_started(client);
	*ret_client = client;
	return ERR_OK;
}
