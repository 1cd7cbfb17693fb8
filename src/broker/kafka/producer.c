/* The producer's client, the reports that it gives, and what becomes of a client that breaks. */
#include "broker/kafka/producer.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/partitioner.h"
#include "broker/sequence.h"

#include <stdio.h>

enum {
	REQUEST_OVERHEAD = 64 << 10,
	EVENTS_MAX = 64,		/* then those whose appends have ended are told */
	POLL_MS = 50,
	RENEW_EVERY_MS = 1000, /* who has no right has none with the next producer, either */
	DOWN_MS = 50,			/* then what waits for a broker is given back */
};

/* --- the client ------------------------------------------------------------ */

/* As the Java client has it, and in turn where there is no key: among those with a leader. Where a
 * user sets linger.ms, librdkafka does not ask for those without a key: for twice that time they
 * all go to one partition, taken at random. */
static int32_t choose_partition(const rd_kafka_topic_t *topic, const void *key, size_t key_len,
				int32_t count, void *opaque, void *unused)
{
	struct producer *producer = opaque;
	int32_t partition = 0;

	(void)unused;
	if (key)
		return partitioner_of_key(slice_of(key, key_len), count);
	for (int32_t i = 0; i < count; i++) {
		partition = (int32_t)(atomic_fetch_add(&producer->turn, 1) % (unsigned)count);
		if (rd_kafka_topic_partition_available(topic, partition))
			break;
	}
	return partition;
}

static void conf_produce(struct producer *producer, rd_kafka_conf_t *conf)
{
	rd_kafka_topic_conf_t *topic;
	char bytes[32];

	(void)snprintf(bytes, sizeof(bytes), "%zu", producer->record_max + REQUEST_OVERHEAD);
	kafka_conf_set(conf, "message.max.bytes", bytes);
	kafka_conf_set(conf, "enable.idempotence", "true");
	kafka_conf_set(conf, "acks", "all");
	kafka_conf_set(conf, "queue.buffering.max.messages", "0");
	kafka_conf_set(conf, "queue.buffering.max.kbytes", "2147483647");
	rd_kafka_conf_set_opaque(conf, producer);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	topic = rd_kafka_conf_get_default_topic_conf(conf);
	rd_kafka_topic_conf_set_partitioner_cb(topic, choose_partition);
	rd_kafka_topic_conf_set_opaque(topic, producer);
}

static void links_free(struct links *links)
{
	links_release(links);
	free(links);
}

static enum err_code producer_open(struct producer *producer, rd_kafka_t **ret_client,
				   struct links **ret_links, struct err *err)
{
	rd_kafka_conf_t *conf;
	struct links *links;
	enum err_code code = kafka_conf_new(&producer->kafka->options, KAFKA_PRODUCES, &conf, err);

	if (code != ERR_OK)
		return code;
	conf_produce(producer, conf);
	links = xcalloc(1, sizeof(*links));
	links_init(links);
	code = kafka_client_new(conf, KAFKA_PRODUCES, links, ret_client, err);
	if (code == ERR_OK)
		*ret_links = links;
	else
		links_free(links);
	return code;
}

/* --- appends that end ------------------------------------------------------ */

static struct topic_known *known_find(const struct producer *producer, const char *name)
{
	for (size_t i = 0; i < producer->known_count; i++)
		if (strcmp(producer->known[i].name, name) == 0)
			return &producer->known[i];
	return NULL;
}

enum err_code producer_code_of_partition(const struct producer *producer, const char *topic,
					 int32_t partition)
{
	const struct topic_known *known = known_find(producer, topic);

	return known && (known->partitions == 0 || partition < known->partitions)
		       ? ERR_NO_TOPIC
		       : ERR_NO_PARTITION;
}

enum err_code producer_code_of_report(struct producer *producer, const rd_kafka_message_t *message)
{
	/* Of a client that ends nothing is reported: a partition went before the record did. */
	enum err_code code = message->err == RD_KAFKA_RESP_ERR__DESTROY ? ERR_NO_PARTITION
									: kafka_code(message->err);

	if (code != ERR_NO_PARTITION || !message->rkt)
		return code;
	(void)pthread_mutex_lock(&producer->lock);
	code = producer_code_of_partition(producer, rd_kafka_topic_name(message->rkt),
					  message->partition);
	(void)pthread_mutex_unlock(&producer->lock);
	return code;
}

/* A record that was sent again after the cluster had forgotten where the first one is has no
 * offset, but it is there. */
static void report_place(const rd_kafka_message_t *message, struct append_outcome *outcome)
{
	outcome->partition = message->partition;
	outcome->position = message->offset < 0 ? POSITION_NONE
						: position_of_offset((uint64_t)message->offset);
}

/* librdkafka does not take a batch apart that the topic takes only in parts: each alone may fit. */
static void warn_of_batch(struct producer *producer, const rd_kafka_message_t *message,
			  size_t count)
{
	if (!producer->batch_told)
		trace_warn("topic \"%s\" does not take %zu records that were sent as one batch, as "
			   "max.message.bytes is the most for all of them: set kafka: batch.size "
			   "below it",
			   rd_kafka_topic_name(message->rkt), count);
	producer->batch_told = true;
}

/* All that was sent together was refused for one of them: which are too large only together, or of
 * which another one lacks its key. */
static bool was_refused_for_others(const rd_kafka_message_t *message)
{
	return message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	       (message->err == RD_KAFKA_RESP_ERR_INVALID_RECORD && message->key);
}

/* On the thread of reports; `count` records were sent together. */
static void report(struct producer *producer, const rd_kafka_message_t *message, size_t count)
{
	struct append_outcome *outcome = message->_private;
	struct flight *flight = flight_of(outcome);
	enum err_code code = producer_code_of_report(producer, message);

	if (code == ERR_OK) {
		producer->works = true;
		report_place(message, outcome);
	} else if (count > 1 && was_refused_for_others(message)) {
		if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
			warn_of_batch(producer, message, count);
		code = ERR_BUSY;
	} else if (rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
		code = ERR_UNKNOWN;
	} else if (message->err == RD_KAFKA_RESP_ERR__FATAL ||
		   message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
		code = ERR_BUSY; /* another producer may take it */
	}
	outcome->code = code;
	if (atomic_fetch_sub(&flight->left, 1) > 1)
		return;
	*producer->last = flight;
	producer->last = &flight->after;
}

/* The client is of no use any more: what is on its way ends with it. */
static void producer_breaks(struct producer *producer, rd_kafka_t *client)
{
	char text[200];
	rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(client, text, sizeof(text));
	enum err_code code = kafka_code(fatal);
	struct err why;

	(void)err_set(&why, code == ERR_DENIED || code == ERR_AUTH ? code : ERR_BUSY,
		      "the producer of Kafka is made anew: %s: %s", rd_kafka_err2name(fatal), text);
	/* One that is of no use from its start on breaks each second, for the same reason. */
	if (producer->works || strcmp(producer->why.msg, why.msg) != 0)
		trace_warn("%s", why.msg);
	(void)pthread_mutex_lock(&producer->lock);
	producer->broken = true;
	producer->why = why;
	(void)pthread_mutex_unlock(&producer->lock);
	(void)rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

static void producer_take_event(struct producer *producer, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;
	rd_kafka_resp_err_t code;
	size_t count;

	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_DR:
		count = rd_kafka_event_message_count(event);
		while ((message = rd_kafka_event_message_next(event)))
			report(producer, message, count);
		break;
	case RD_KAFKA_EVENT_ERROR:
		code = rd_kafka_event_error(event);
		if (rd_kafka_fatal_error(producer->client, NULL, 0) && !producer->broken)
			producer_breaks(producer, producer->client);
		else
			kafka_note_error(producer->client, producer->links, code,
					 rd_kafka_event_error_string(event));
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(event);
}

/* Those that were reported here, then those whose reports were faster than append() was. Where
 * they were there is room for others. */
static struct append *land(struct producer *producer, size_t *ret_count)
{
	struct append *first = NULL, **last = &first;
	struct flight *flight;

	(void)pthread_mutex_lock(&producer->lock);
	*producer->last = producer->ended;
	producer->ended = NULL;
	*ret_count = 0;
	while ((flight = producer->first)) {
		producer->first = flight->after;
		flight->lane->flying -= flight->append->count;
		atomic_fetch_sub(&producer->inflight, flight->bytes);
		*last = flight->append;
		last = &flight->append->next;
		++*ret_count;
		free(flight->copy);
		free(flight);
	}
	producer->last = &producer->first;
	lanes_look(producer);
	(void)pthread_mutex_unlock(&producer->lock);
	*last = NULL;
	return first;
}

static bool may_be_kept(const struct append *append)
{
	for (size_t i = 0; i < append->count; i++)
		if (append->outcomes[i].code == ERR_OK || append->outcomes[i].code == ERR_UNKNOWN)
			return true;
	return false;
}

/* That there is no such topic is said of all records, which may then be sent again as they are, or
 * of none. */
static void append_agrees(struct append *append)
{
	bool lacks = false, kept;

	for (size_t i = 0; i < append->count; i++)
		lacks |= append->outcomes[i].code == ERR_NO_TOPIC;
	if (!lacks)
		return;
	kept = may_be_kept(append);
	for (size_t i = 0; i < append->count; i++)
		if (!kept)
			append->outcomes[i].code = ERR_NO_TOPIC;
		else if (append->outcomes[i].code == ERR_NO_TOPIC)
			append->outcomes[i].code = ERR_BUSY;
}

/* All that ended meanwhile, in one hand. */
static void tell_ended(struct producer *producer)
{
	size_t count;
	struct append *chain = land(producer, &count);

	if (!chain)
		return;
	for (struct append *append = chain; append; append = append->next)
		append_agrees(append);
	producer->kafka->options.done(producer->kafka->options.done_user, chain);
	atomic_fetch_sub(&producer->flights, count);
}

static bool is_refreshing(struct producer *producer)
{
	bool refreshing;

	(void)pthread_mutex_lock(&producer->lock);
	refreshing = producer->refreshing > 0;
	(void)pthread_mutex_unlock(&producer->lock);
	return refreshing;
}

/* Another client in the place of one that is broken, once that has reported all that it had. */
static void producer_renew(struct producer *producer)
{
	rd_kafka_t *client, *old = producer->client;
	rd_kafka_queue_t *old_events = producer->events;
	struct links *links, *old_links = producer->links;
	struct err err;

	if (rd_kafka_outq_len(old) > 0 || is_refreshing(producer) ||
	    (producer->renewed_ms && clock_mono_ms() - producer->renewed_ms < RENEW_EVERY_MS))
		return;
	producer->renewed_ms = clock_mono_ms();
	if (producer_open(producer, &client, &links, &err) != ERR_OK) {
		trace_warn("%s", err.msg);
		return;
	}
	(void)pthread_mutex_lock(&producer->lock);
	producer->client = client;
	producer->events = rd_kafka_queue_get_main(client);
	producer->links = links;
	producer->broken = false;
	(void)pthread_mutex_unlock(&producer->lock);
	producer->works = false;
	rd_kafka_queue_destroy(old_events);
	rd_kafka_destroy(old);
	links_free(old_links);
}

/* Nobody is to wait for a broker that is away: what was never sent is given back. */
static void producer_give_back(struct producer *producer)
{
	if (links_down_ms(producer->links) >= DOWN_MS && rd_kafka_outq_len(producer->client) > 0)
		(void)rd_kafka_purge(producer->client,
				     RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static bool producer_is_done(struct producer *producer)
{
	return atomic_load(&producer->ending) && atomic_load(&producer->flights) == 0;
}

static void *producer_run(void *arg)
{
	struct producer *producer = arg;

	while (!producer_is_done(producer)) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(producer->events, POLL_MS);

		for (int i = 0; event && i < EVENTS_MAX; i++) {
			producer_take_event(producer, event);
			event = rd_kafka_queue_poll(producer->events, 0);
		}
		if (event)
			producer_take_event(producer, event);
		tell_ended(producer);
		producer_give_back(producer);
		if (producer->broken)
			producer_renew(producer);
	}
	return NULL;
}

enum err_code producer_new(struct kafka *kafka, struct producer **ret_producer, struct err *err)
{
	struct producer *producer = xcalloc(1, sizeof(*producer));
	size_t record_max = kafka->options.record_bytes_max;
	size_t inflight_max = kafka->options.inflight_bytes_max;

	producer->kafka = kafka;
	producer->record_max = record_max ? record_max : KAFKA_RECORD_BYTES;
	producer->inflight_max = inflight_max ? inflight_max : KAFKA_INFLIGHT_BYTES;
	producer->last = &producer->first;
	(void)pthread_mutex_init(&producer->lock, NULL);
	if (producer_open(producer, &producer->client, &producer->links, err) != ERR_OK) {
		free(producer);
		return err->code;
	}
	producer->events = rd_kafka_queue_get_main(producer->client);
	if (pthread_create(&producer->thread, NULL, producer_run, producer) != 0)
		mem_or_abort(NULL);
	*ret_producer = producer;
	return ERR_OK;
}

void producer_free(struct producer *producer)
{
	if (!producer)
		return;
	atomic_store(&producer->ending, true);
	(void)pthread_mutex_lock(&producer->lock); /* another client may take its place */
	rd_kafka_queue_yield(producer->events);
	(void)pthread_mutex_unlock(&producer->lock);
	(void)pthread_join(producer->thread, NULL);
	rd_kafka_queue_destroy(producer->events);
	rd_kafka_destroy(producer->client);
	links_free(producer->links);
	(void)pthread_mutex_destroy(&producer->lock);
	for (size_t i = 0; i < producer->known_count; i++)
		free(producer->known[i].name);
	free(producer->known);
	free(producer);
}

rd_kafka_t *producer_client(const struct producer *producer) { return producer->client; }

/* --- what it knows of topics ------------------------------------------------- */

static void known_set(struct producer *producer, const char *name, int32_t partitions)
{
	struct topic_known *known;

	(void)pthread_mutex_lock(&producer->lock);
	known = known_find(producer, name);
	if (!known) {
		producer->known = xreallocarray(producer->known, producer->known_count + 1,
						sizeof(*known));
		known = &producer->known[producer->known_count++];
		known->name = xstrdup(name);
	}
	known->partitions = partitions;
	(void)pthread_mutex_unlock(&producer->lock);
}

/* Of what it asks about a topic librdkafka remembers the answer, too. */
static void ask_again(struct producer *producer, rd_kafka_t *client, const char *name)
{
	const struct rd_kafka_metadata *found;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);

	if (!topic)
		return;
	if (rd_kafka_metadata(client, 0, topic, &found, KAFKA_ANSWER_MS) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (found->topic_cnt == 1)
			known_set(producer, name, found->topics[0].partition_cnt);
		rd_kafka_metadata_destroy(found);
	}
	rd_kafka_topic_destroy(topic);
}

void producer_refresh(struct producer *producer, const char *topic)
{
	rd_kafka_t *client;

	(void)pthread_mutex_lock(&producer->lock);
	for (struct lane *lane = producer->lanes; lane; lane = lane->after)
		lane_give(producer, lane);
	client = producer->broken ? NULL : producer->client;
	producer->refreshing++;
	(void)pthread_mutex_unlock(&producer->lock);
	if (client)
		ask_again(producer, client, topic);
	(void)pthread_mutex_lock(&producer->lock);
	producer->refreshing--;
	(void)pthread_mutex_unlock(&producer->lock);
}
