/* Appending, and giving to librdkafka (producer.h). */
#include "broker/kafka/producer.h"

#include "base/mem.h"

#include <inttypes.h>

enum {
	RECORD_OVERHEAD = 300,	/* of a record in librdkafka's memory, and of its outcome here */
};

/* --- to librdkafka ------------------------------------------------------------ */

/* librdkafka copies; it only has no word for it. */
static void *producer_bytes(struct slice slice) { return (void *)(uintptr_t)slice.ptr; }

static rd_kafka_headers_t *headers_of(const struct append_record *record)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);

	for (size_t i = 0; i < record->header_count; i++)
		(void)rd_kafka_header_add(
			headers, record->headers[i].name.ptr, (ssize_t)record->headers[i].name.len,
			record->headers[i].value.ptr, (ssize_t)record->headers[i].value.len);
	return headers;
}

size_t record_bytes(const struct append_record *record)
{
	size_t bytes = record->key.len + record->value.len;

	for (size_t i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len;
	return bytes;
}

static enum err_code produce_failed(const struct producer *producer, const char *topic,
				    int32_t partition, rd_kafka_resp_err_t failure, const char *why,
				    struct err *err)
{
	enum err_code code = kafka_code(failure);

	if (code == ERR_NO_PARTITION)
		code = producer_code_of_partition(producer, topic, partition);
	if (failure == RD_KAFKA_RESP_ERR__FATAL)
		return err_set(err, ERR_BUSY, "the producer of Kafka is to be made anew");
	return err_set(err, code, "topic \"%s\": %s", topic, why);
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
		{ .vtype = RD_KAFKA_VTYPE_KEY,
		  .u.mem = { producer_bytes(record->key), record->key.len } },
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
	(void)produce_failed(producer, rd_kafka_topic_name(topic), record->partition,
			     rd_kafka_error_code(error), rd_kafka_error_string(error), err);
	rd_kafka_error_destroy(error);
	return err->code;
}

static enum err_code produce_checked(const struct producer *producer, rd_kafka_topic_t *topic,
				     const struct append_record *record,
				     struct append_outcome *outcome, struct err *err)
{
	size_t bytes = record_bytes(record);

	if (bytes > producer->record_max)
		return err_set(err, ERR_LIMIT, "a record of %zu bytes is over the maximum of %zu",
			       bytes, producer->record_max);
	if (record->partition < PARTITION_ANY)
		return err_set(err, ERR_NO_PARTITION, "there is no partition %" PRId32,
			       record->partition);
	return produce(producer, topic, record, outcome, err);
}

/* How many were taken; the error is of the first that was not. */
static size_t produce_each(struct producer *producer, rd_kafka_topic_t *topic,
			   struct flight *flight, struct err *err)
{
	struct append *append = flight->append;
	struct err first = { 0 }, other;
	size_t taken = 0;

	for (size_t i = 0; i < append->count; i++) {
		struct append_outcome *outcome = &append->outcomes[i];
		enum err_code code;

		flight_put(outcome, flight);
		atomic_fetch_add(&flight->left, 1);
		code = produce_checked(producer, topic, &flight->records[i], outcome,
				       first.code ? &other : &first);
		if (code == ERR_OK) { /* its report, which may have come already, says the rest */
			taken++;
			continue;
		}
		outcome->code = code;
		atomic_fetch_sub(&flight->left, 1);
	}
	*err = first;
	return taken;
}

/* What librdkafka's quickest call takes. */
static bool flight_is_plain(const struct producer *producer, const struct flight *flight)
{
	const struct append *append = flight->append;

	for (size_t i = 0; i < append->count; i++) {
		const struct append_record *record = &append->records[i];

		if (record->partition != PARTITION_ANY || record->header_count > 0 ||
		    record->timestamp_ms != TIMESTAMP_NOW ||
		    record_bytes(record) > producer->record_max)
			return false;
	}
	return true;
}

static rd_kafka_message_t *messages_of(struct flight *first, size_t *ret_count)
{
	rd_kafka_message_t *messages, *message;

	*ret_count = 0;
	for (struct flight *flight = first; flight; flight = flight->after)
		*ret_count += flight->append->count;
	message = messages = xcalloc(*ret_count, sizeof(*messages));
	for (struct flight *flight = first; flight; flight = flight->after)
		for (size_t i = 0; i < flight->append->count; i++) {
			const struct append_record *record = &flight->records[i];

			*message++ = (rd_kafka_message_t){
				.payload = producer_bytes(record->value),
				.len = record->value.len,
				.key = producer_bytes(record->key),
				.key_len = record->key.len,
				._private = &flight->append->outcomes[i],
			};
		}
	return messages;
}

/* In one call without a copy, which is over before the thread of the broker, woken by the first
 * record, looks. */
static size_t produce_plain(struct producer *producer, rd_kafka_topic_t *topic,
			    struct flight *first, struct err *err)
{
	size_t count, taken = 0;
	rd_kafka_message_t *messages = messages_of(first, &count);
	struct err other, *here = err;

	for (struct flight *flight = first; flight; flight = flight->after) {
		atomic_fetch_add(&flight->left, flight->append->count);
		for (size_t i = 0; i < flight->append->count; i++)
			flight_put(&flight->append->outcomes[i], flight);
	}
	(void)rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA,
				     first->copy ? 0 : RD_KAFKA_MSG_F_COPY, messages, (int)count);
	for (size_t i = 0; i < count; i++) {
		struct append_outcome *outcome = messages[i]._private;

		if (messages[i].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			taken++;
			continue;
		}
		outcome->code = produce_failed(producer, rd_kafka_topic_name(topic), PARTITION_ANY,
					       messages[i].err, rd_kafka_err2str(messages[i].err),
					       here);
		atomic_fetch_sub(&flight_of(outcome)->left, 1);
		here = &other;
	}
	free(messages);
	return taken;
}

size_t flights_produce(struct producer *producer, struct flight *first, struct err *err)
{
	const char *name = first->append->topic.name;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->client, name, NULL);
	size_t taken;

	if (topic) {
		taken = first->plain ? produce_plain(producer, topic, first, err)
				     : produce_each(producer, topic, first, err);
		rd_kafka_topic_destroy(topic);
		return taken;
	}
	(void)kafka_fail(err, rd_kafka_last_error(), name);
	for (struct flight *flight = first; flight; flight = flight->after)
		for (size_t i = 0; i < flight->append->count; i++)
			flight->append->outcomes[i].code = err->code;
	return 0;
}

void flight_leaves(struct producer *producer, struct flight *flight)
{
	if (atomic_fetch_sub(&flight->left, 1) > 1)
		return;
	flight->after = producer->ended;
	producer->ended = flight;
	rd_kafka_queue_yield(producer->events);
}

/* --- append ---------------------------------------------------------------- */

static enum err_code flight_starts(struct producer *producer, struct flight *flight,
				   struct err *err)
{
	size_t count = flight->append->count;

	flight->lane->flying += count;
	if (flights_produce(producer, flight, err) == 0) {
		flight->lane->flying -= count;
		return err->code;
	}
	flight_leaves(producer, flight);
	return ERR_OK;
}

static enum err_code append_taken(struct producer *producer, struct flight *flight, struct err *err)
{
	enum err_code code = ERR_OK;

	atomic_fetch_add(&producer->flights, 1);
	(void)pthread_mutex_lock(&producer->lock);
	if (producer->broken) {
		*err = producer->why;
		code = err->code;
	} else {
		flight->lane = lane_of(producer, flight->append->topic.name);
		flight->plain = flight_is_plain(producer, flight);
		if (!lane_hold(producer, flight))
			code = flight_starts(producer, flight, err);
		if (code != ERR_OK)
			lanes_look(producer);
	}
	(void)pthread_mutex_unlock(&producer->lock);
	if (code != ERR_OK) {
		atomic_fetch_sub(&producer->flights, 1);
		atomic_fetch_sub(&producer->inflight, flight->bytes);
		free(flight);
	}
	return code;
}

static size_t append_bytes(const struct append *append)
{
	size_t bytes = 0;

	for (size_t i = 0; i < append->count; i++)
		bytes += record_bytes(&append->records[i]) + RECORD_OVERHEAD;
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

static enum err_code producer_can_go(struct producer *producer, struct err *err)
{
	enum err_code code;

	(void)pthread_mutex_lock(&producer->lock);
	code = links_check(producer->links, err);
	if (code == ERR_OK && producer->broken) {
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
	if (producer_can_go(producer, err) != ERR_OK)
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
	*flight = (struct flight){ .append = append, .records = append->records, .bytes = bytes };
	atomic_init(&flight->left, 1);
	atomic_fetch_add(&producer->inflight, bytes);
	return append_taken(producer, flight, err);
}
