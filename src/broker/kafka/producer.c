/*
 * producer.c - what is appended: one idempotent producer for all threads.
 *
 *	append() ──► librdkafka ──► cluster
 *	                 │ delivery reports, many at a time
 *	                 ▼
 *	            producer_run(), a thread ──► done(), all appends that ended
 *
 * An append ends with the last report of its records. What librdkafka cannot say
 * of a record is ERR_UNKNOWN: it may be in the log. A fault after which librdkafka
 * gives up its producer ends all that is on its way so, and another one is made.
 */
#include "broker/kafka/kafka.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/partitioner.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
	RECORD_OVERHEAD = 300,	/* of a record in librdkafka's memory, and of its outcome here */
	REQUEST_OVERHEAD = 64 << 10,
	EVENTS_MAX = 64,	/* then those whose appends have ended are told */
	POLL_MS = 50,
	RENEW_EVERY_MS = 1000,	/* who has no right has none with the next producer, either */
	DOWN_MS = 50,		/* then what waits for a broker is given back */
};

/* How many partitions a topic had when it was last asked for; 0: it is gone. */
struct topic_known {
	char *name;
	int32_t partitions;
};

struct producer {
	struct kafka *kafka;
	size_t record_max;
	size_t inflight_max;
	struct links links;
	atomic_size_t inflight;		/* bytes */
	atomic_uint turn;		/* of records without a key */
	atomic_bool ending;
	pthread_t thread;
	pthread_mutex_t lock;		/* of the next nine */
	rd_kafka_t *client;
	rd_kafka_queue_t *events;
	bool broken;			/* the client takes no more, … */
	struct err why;			/* … therefore */
	struct topic_known *known;
	size_t known_count;
	size_t refreshing;		/* threads that use the client without the lock */
	size_t flights;			/* appends that have not ended */
	struct append *ended;		/* reported before append() had returned */
	int64_t renewed_ms;		/* the thread's: when there was another one last */
	bool batch_told;		/* the thread's, too */
	struct append *first;		/* the thread's, too: to be told */
	struct append **last;
};

/* An append that was taken. Of each of its records the outcome is librdkafka's opaque pointer, and
 * holds where this is until the report comes. */
struct flight {
	struct append *append;
	size_t bytes;
	atomic_size_t left;		/* reports to come, and one for append() itself */
};

static void flight_put(struct append_outcome *outcome, struct flight *flight)
{
	outcome->position.word[0] = (uint64_t)(uintptr_t)flight;
}

static struct flight *flight_of(const struct append_outcome *outcome)
{
	return (struct flight *)(uintptr_t)outcome->position.word[0];
}

/* --- the client ------------------------------------------------------------ */

/* As the Java client has it, and in turn where there is no key: among those with a leader. */
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

static enum err_code producer_open(struct producer *producer, rd_kafka_t **ret_client,
				   struct err *err)
{
	rd_kafka_conf_t *conf;
	enum err_code code = kafka_conf_new(&producer->kafka->options, KAFKA_PRODUCES, &conf, err);

	if (code != ERR_OK)
		return code;
	conf_produce(producer, conf);
	return kafka_client_new(conf, KAFKA_PRODUCES, &producer->links, ret_client, err);
}

/* --- appends that end ------------------------------------------------------ */

static void flight_ended(struct producer *producer, struct flight *flight)
{
	atomic_fetch_sub(&producer->inflight, flight->bytes);
	free(flight);
}

static struct topic_known *known_find(const struct producer *producer, const char *name)
{
	for (size_t i = 0; i < producer->known_count; i++)
		if (strcmp(producer->known[i].name, name) == 0)
			return &producer->known[i];
	return NULL;
}

/* Under the lock. librdkafka takes a topic that is gone for one that has lost its partitions, which
 * none does. */
static enum err_code code_of_partition(const struct producer *producer, const char *topic,
				       int32_t partition)
{
	const struct topic_known *known = known_find(producer, topic);

	return known && (known->partitions == 0 || partition < known->partitions)
		       ? ERR_NO_TOPIC
		       : ERR_NO_PARTITION;
}

static enum err_code code_of_report(struct producer *producer, const rd_kafka_message_t *message)
{
	enum err_code code = kafka_code(message->err);

	if (code != ERR_NO_PARTITION || !message->rkt)
		return code;
	(void)pthread_mutex_lock(&producer->lock);
	code = code_of_partition(producer, rd_kafka_topic_name(message->rkt), message->partition);
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

/* On the thread of reports; `count` records were sent together. */
static void report(struct producer *producer, const rd_kafka_message_t *message, size_t count)
{
	struct append_outcome *outcome = message->_private;
	struct flight *flight = flight_of(outcome);
	enum err_code code = code_of_report(producer, message);

	if (code == ERR_OK) {
		report_place(message, outcome);
	} else if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && count > 1) {
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
	*producer->last = flight->append;
	producer->last = &flight->append->next;
	flight_ended(producer, flight);
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
	if (strcmp(producer->why.msg, why.msg) != 0)
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
			kafka_note_error(producer->client, &producer->links, code,
					 rd_kafka_event_error_string(event));
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(event);
}

/* Whose reports were faster than append() was. */
static void take_early(struct producer *producer)
{
	struct append *append;

	(void)pthread_mutex_lock(&producer->lock);
	append = producer->ended;
	producer->ended = NULL;
	(void)pthread_mutex_unlock(&producer->lock);
	while (append) {
		struct append *next = append->next;

		append->next = NULL;
		*producer->last = append;
		producer->last = &append->next;
		append = next;
	}
}

/* All that ended meanwhile, in one hand. */
static void tell_ended(struct producer *producer)
{
	struct append *chain, *append;
	size_t count = 0;

	take_early(producer);
	*producer->last = NULL;
	chain = producer->first;
	producer->first = NULL;
	producer->last = &producer->first;
	for (append = chain; append; append = append->next)
		count++;
	if (!chain)
		return;
	producer->kafka->options.done(producer->kafka->options.done_user, chain);
	(void)pthread_mutex_lock(&producer->lock);
	producer->flights -= count;
	(void)pthread_mutex_unlock(&producer->lock);
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
	struct err err;

	if (rd_kafka_outq_len(old) > 0 || is_refreshing(producer) ||
	    (producer->renewed_ms && clock_mono_ms() - producer->renewed_ms < RENEW_EVERY_MS))
		return;
	producer->renewed_ms = clock_mono_ms();
	if (producer_open(producer, &client, &err) != ERR_OK) {
		trace_warn("%s", err.msg);
		return;
	}
	(void)pthread_mutex_lock(&producer->lock);
	producer->client = client;
	producer->events = rd_kafka_queue_get_main(client);
	producer->broken = false;
	(void)pthread_mutex_unlock(&producer->lock);
	rd_kafka_queue_destroy(old_events);
	rd_kafka_destroy(old);
}

/* Nobody is to wait for a broker that is away: what was never sent is given back. */
static void producer_give_back(struct producer *producer)
{
	if (links_down_ms(&producer->links) >= DOWN_MS && rd_kafka_outq_len(producer->client) > 0)
		(void)rd_kafka_purge(producer->client,
				     RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static bool producer_is_done(struct producer *producer)
{
	bool done;

	(void)pthread_mutex_lock(&producer->lock);
	done = atomic_load(&producer->ending) && producer->flights == 0;
	(void)pthread_mutex_unlock(&producer->lock);
	return done;
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
	links_init(&producer->links);
	(void)pthread_mutex_init(&producer->lock, NULL);
	if (producer_open(producer, &producer->client, err) != ERR_OK) {
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
	rd_kafka_queue_yield(producer->events);
	(void)pthread_join(producer->thread, NULL);
	rd_kafka_queue_destroy(producer->events);
	rd_kafka_destroy(producer->client);
	links_release(&producer->links);
	(void)pthread_mutex_destroy(&producer->lock);
	for (size_t i = 0; i < producer->known_count; i++)
		free(producer->known[i].name);
	free(producer->known);
	free(producer);
}

rd_kafka_t *producer_client(const struct producer *producer) { return producer->client; }

/* --- appending ------------------------------------------------------------- */

/* librdkafka copies; it only has no word for it. */
static void *producer_bytes(struct slice slice) { return (void *)(uintptr_t)slice.ptr; }

static rd_kafka_headers_t *headers_of(const struct append_record *record)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);

	for (size_t i = 0; i < record->header_count; i++)
		(void)rd_kafka_header_add(headers, record->headers[i].name.ptr,
					  (ssize_t)record->headers[i].name.len,
					  record->headers[i].value.ptr,
					  (ssize_t)record->headers[i].value.len);
	return headers;
}

static size_t producer_record_bytes(const struct append_record *record)
{
	size_t bytes = record->key.len + record->value.len;

	for (size_t i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	return bytes;
}

static enum err_code produce_failed(const struct producer *producer, const char *topic,
				    int32_t partition, rd_kafka_error_t *error, struct err *err)
{
	enum err_code code = kafka_code(rd_kafka_error_code(error));

	if (code == ERR_NO_PARTITION)
		code = code_of_partition(producer, topic, partition);
	if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__FATAL)
		(void)err_set(err, ERR_BUSY, "the producer of Kafka is to be made anew");
	else
		(void)err_set(err, code, "topic \"%s\": %s", topic, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return err->code;
}

static enum err_code produce(const struct producer *producer, rd_kafka_topic_t *topic,
			     const struct append_record *record, struct append_outcome *outcome,
			     struct err *err)
{
	rd_kafka_headers_t *headers = record->header_count ? headers_of(record) : NULL;
	rd_kafka_vu_t with[] = {
		{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic },
		{ .vtype = RD_KAFKA_VTYPE_PARTITION,
		  .u.i32 = record->partition == PARTITION_ANY ? RD_KAFKA_PARTITION_UA
							      : record->partition },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { producer_bytes(record->key), record->key.len } },
		{ .vtype = RD_KAFKA_VTYPE_VALUE,
		  .u.mem = { producer_bytes(record->value), record->value.len } },
		{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = outcome },
		{ .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms },
		{ .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
	};
	rd_kafka_error_t *error =
		rd_kafka_produceva(producer->client, with, ARRAY_LEN(with) - (headers ? 0 : 1));

	if (!error)
		return ERR_OK;
	if (headers)
		rd_kafka_headers_destroy(headers);
	return produce_failed(producer, rd_kafka_topic_name(topic), record->partition, error, err);
}

static enum err_code produce_checked(const struct producer *producer, rd_kafka_topic_t *topic,
				     const struct append_record *record,
				     struct append_outcome *outcome, struct err *err)
{
	size_t bytes = producer_record_bytes(record);

	if (bytes > producer->record_max)
		return err_set(err, ERR_LIMIT, "a record of %zu bytes is over the maximum of %zu",
			       bytes, producer->record_max);
	if (record->partition < PARTITION_ANY)
		return err_set(err, ERR_NO_PARTITION, "there is no partition %" PRId32,
			       record->partition);
	return produce(producer, topic, record, outcome, err);
}

/* How many were taken; the error is of the first that was not. */
static size_t produce_all(struct producer *producer, rd_kafka_topic_t *topic,
			  struct flight *flight, struct err *err)
{
	struct append *append = flight->append;
	struct err first = { 0 }, other;
	size_t taken = 0;

	for (size_t i = 0; i < append->count; i++) {
		struct append_outcome *outcome = &append->outcomes[i];

		flight_put(outcome, flight);
		atomic_fetch_add(&flight->left, 1);
		outcome->code = produce_checked(producer, topic, &append->records[i], outcome,
						first.code ? &other : &first);
		if (outcome->code == ERR_OK)
			taken++;
		else
			atomic_fetch_sub(&flight->left, 1);
	}
	*err = first;
	return taken;
}

static size_t produce_to_topic(struct producer *producer, struct flight *flight, struct err *err)
{
	const char *name = flight->append->topic.name;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->client, name, NULL);
	size_t taken = 0;

	if (topic) {
		taken = produce_all(producer, topic, flight, err);
		rd_kafka_topic_destroy(topic);
	} else {
		(void)kafka_fail(err, rd_kafka_last_error(), name);
	}
	return taken;
}

/* append() is through with it: its reports may have come already. */
static void flight_leaves(struct producer *producer, struct flight *flight)
{
	struct append *append = flight->append;

	if (atomic_fetch_sub(&flight->left, 1) > 1)
		return;
	append->next = producer->ended;
	producer->ended = append;
	flight_ended(producer, flight);
	rd_kafka_queue_yield(producer->events);
}

static enum err_code append_taken(struct producer *producer, struct flight *flight,
				  struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&producer->lock);
	if (producer->broken) {
		*err = producer->why;
		code = err->code;
	} else if (produce_to_topic(producer, flight, err) == 0) {
		code = err->code;
	} else {
		producer->flights++;
		flight_leaves(producer, flight);
	}
	(void)pthread_mutex_unlock(&producer->lock);
	if (code != ERR_OK)
		flight_ended(producer, flight);
	return code;
}

static size_t append_bytes(const struct append *append)
{
	size_t bytes = 0;

	for (size_t i = 0; i < append->count; i++)
		bytes += producer_record_bytes(&append->records[i]) + RECORD_OVERHEAD;
	return bytes;
}

/* One append may be larger than all that may be on its way: then it goes alone. */
static enum err_code producer_has_room(struct producer *producer, size_t bytes, struct err *err)
{
	size_t inflight = atomic_load(&producer->inflight);

	if (inflight == 0 || inflight + bytes <= producer->inflight_max)
		return ERR_OK;
	return err_set(err, ERR_BUSY, "%zu bytes wait for Kafka already", inflight);
}

static enum err_code producer_is_whole(struct producer *producer, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&producer->lock);
	if (producer->broken) {
		*err = producer->why;
		code = err->code;
	}
	(void)pthread_mutex_unlock(&producer->lock);
	return code;
}

enum err_code kafka_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
			  struct err *err)
{
	struct producer *producer = ((struct kafka *)broker)->producer;

	if (kafka_topics_only(kind, err) != ERR_OK)
		return err->code;
	if (!producer)
		return err_set(err, ERR_UNSUPPORTED, "this broker was opened to read");
	if (links_check(&producer->links, err) != ERR_OK ||
	    producer_is_whole(producer, err) != ERR_OK)
		return err->code;
	return producer_has_room(producer, bytes, err);
}

enum err_code kafka_append(struct broker *broker, struct append *append, struct err *err)
{
	struct producer *producer = ((struct kafka *)broker)->producer;
	size_t bytes = append_bytes(append);
	struct flight *flight;

	if (kafka_ready(broker, append->topic.kind, bytes, err) != ERR_OK)
		return err->code;
	flight = xcalloc(1, sizeof(*flight));
	*flight = (struct flight){ .append = append, .bytes = bytes };
	atomic_init(&flight->left, 1);
	atomic_fetch_add(&producer->inflight, bytes);
	return append_taken(producer, flight, err);
}

/* What the turn of a loop gives goes together anyway: librdkafka lingers for it. */
void kafka_cork(struct broker *broker, bool corked)
{
	(void)broker;
	(void)corked;
}

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
	client = producer->broken ? NULL : producer->client;
	producer->refreshing++;
	(void)pthread_mutex_unlock(&producer->lock);
	if (client)
		ask_again(producer, client, topic);
	(void)pthread_mutex_lock(&producer->lock);
	producer->refreshing--;
	(void)pthread_mutex_unlock(&producer->lock);
}
