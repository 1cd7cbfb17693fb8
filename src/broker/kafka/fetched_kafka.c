/* What librdkafka has fetched, until it is sure whose it is (reader_kafka.h). */
#include "broker/kafka/reader_kafka.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <stdio.h>

enum {
	PULL_MAX = 1000,
	HELD_BYTES_MAX = 8 << 20,
	HOLD_AFTER_MS = 1000,
	ASK_EVERY_MS = 1000,	/* also of topics that give nothing */
	ASK_AGAIN_MS = 100,	/* after an answer that was none */
	UNKNOWN_MAX = 3,	/* answers that a topic is not there: one broker may not know yet */
	MESSAGE_OVERHEAD = 100,
};

/* --- the queue of a partition ---------------------------------------------- */

static size_t message_bytes(const rd_kafka_message_t *message)
{
	return message->len + message->key_len + MESSAGE_OVERHEAD;
}

rd_kafka_message_t *fetched_take(struct part *part)
{
	rd_kafka_message_t *message = part->fetched.list[part->fetched.given++];

	part->fetched.bytes -= message_bytes(message);
	return message;
}

void fetched_drop(struct part *part)
{
	struct fetched *fetched = &part->fetched;

	for (size_t i = fetched->given; i < fetched->count; i++)
		rd_kafka_message_destroy(fetched->list[i]);
	fetched->given = fetched->sure = fetched->asked = fetched->count = fetched->bytes = 0;
}

/* What was given goes, so that the list does not grow for ever. */
static void fetched_pack(struct fetched *fetched)
{
	size_t given = fetched->given;

	memmove(fetched->list, fetched->list + given,
		(fetched->count - given) * sizeof(*fetched->list));
	fetched->given = 0;
	fetched->sure -= given;
	fetched->asked -= given;
	fetched->count -= given;
}

static void fetched_add(struct fetched *fetched, rd_kafka_message_t *message)
{
	if (fetched->count == fetched->cap && fetched->given > fetched->cap / 2)
		fetched_pack(fetched);
	if (fetched->count == fetched->cap) {
		fetched->cap = fetched->cap ? 2 * fetched->cap : 64;
		fetched->list = xreallocarray(fetched->list, fetched->cap, sizeof(*fetched->list));
	}
	fetched->list[fetched->count++] = message;
	fetched->bytes += message_bytes(message);
}

/* --- pulling --------------------------------------------------------------- */

static struct part *part_of_message(struct reader_kafka *reader, const rd_kafka_message_t *message)
{
	struct part *recent = reader->recent;
	const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";

	if (!recent || recent->id != message->partition || strcmp(recent->topic, topic) != 0)
		recent = part_of(reader, topic, message->partition, false);
	if (recent)
		reader->recent = recent;
	return recent;
}

/* An error of one partition that no other try mends. */
static bool is_lasting(rd_kafka_resp_err_t code)
{
	enum err_code is = kafka_code(code);

	return is == ERR_CORRUPT || is == ERR_UNSUPPORTED || is == ERR_DENIED || is == ERR_LIMIT;
}

/* The group takes no member with these settings, whoever else is in it. */
static bool is_no_member(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT ||
	       code == RD_KAFKA_RESP_ERR_INVALID_GROUP_ID;
}

void reader_warn_once(struct reader_kafka *reader, const char *text)
{
	if (strcmp(reader->told, text) == 0)
		return;
	(void)snprintf(reader->told, sizeof(reader->told), "%s", text);
	trace_warn("kafka: %s%s%s%s", reader->group ? "group \"" : "",
		   reader->group ? reader->group : "", reader->group ? "\": " : "", reader->told);
}

/* By the epochs of its leaders: one that had not all that was acknowledged (min.insync.replicas 1,
 * unclean.leader.election.enable) has written on. librdkafka has one code for this and for an
 * offset that is not kept any more; the text holds the other one's. */
static bool says_cut(const char *text)
{
	return strstr(text, rd_kafka_err2str(RD_KAFKA_RESP_ERR__LOG_TRUNCATION)) != NULL;
}

static void take_error(struct reader_kafka *reader, struct part *part,
		       const rd_kafka_message_t *message)
{
	const char *text = rd_kafka_message_errstr(message);
	struct err why;

	trace_debug("kafka: %s", text);
	if (is_no_member(message->err)) {
		(void)err_set(&reader->failure, ERR_USAGE, "group \"%s\": %s", reader->group, text);
	} else if (message->err == RD_KAFKA_RESP_ERR__FATAL ||
		   message->err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
		char fatal[200];
		rd_kafka_resp_err_t code =
			rd_kafka_fatal_error(reader->client, fatal, sizeof(fatal));

		if (!code) { /* not yet */
			code = message->err;
			(void)snprintf(fatal, sizeof(fatal), "%s", text);
		}
		(void)err_set(&reader->failure,
			      code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? ERR_BUSY : ERR_IO,
			      "Kafka has let this member of its group go: %s", fatal);
	} else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
		if (part && part->state == PART_READING) {
			part->misplaced = true;
			part->cut |= says_cut(text);
		}
	} else if (message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED && !reader->group) {
		; /* librdkafka asks for a group's coordinator though there is no group */
	} else if (is_lasting(message->err)) {
		(void)err_set(&why, kafka_code(message->err), "%s", text);
		if (part && part->state == PART_READING)
			part_fail(reader, part, &why);
		else if (!part || why.code == ERR_DENIED)
			reader->failure = why;
	} else if (kafka_code(message->err) == ERR_IO) {
		reader_warn_once(reader, text);
	}
}

static void take_message(struct reader_kafka *reader, rd_kafka_message_t *message)
{
	struct part *part = part_of_message(reader, message);
	bool end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;

	if (part && message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		part->idle = part->attached;
	if (part && part->stale)
		; /* it is no more of interest what is there */
	else if (message->err && !end)
		take_error(reader, part, message);
	else if (part && part->state == PART_READING && part->attached && !part->misplaced &&
		 message->offset >= part->fetch) {
		part->fetch = message->offset + (end ? 0 : 1);
		fetched_add(&part->fetched, message);
		return;
	}
	rd_kafka_message_destroy(message);
}

static bool part_is_behind(const struct part *part)
{
	return part->state == PART_READING && !part->paused &&
	       part->fetched.given < part->fetched.count;
}

/* As much waits for an answer as may be. What librdkafka fetches nothing more of does not count: it
 * may wait for ever, and others are read. */
static bool reader_is_full(const struct reader_kafka *reader)
{
	size_t bytes = 0;

	for (const struct part *part = reader->parts; part; part = part->after)
		if (part_is_behind(part) && !part->full)
			bytes += part->fetched.bytes;
	return bytes > HELD_BYTES_MAX;
}

/* Callbacks come this way, and librdkafka takes who does not pull for dead: where an answer is long
 * in coming it holds back what waits for it. Not at once: it lets go of what it fetched ahead. */
bool fetched_pull(struct reader_kafka *reader)
{
	rd_kafka_message_t *messages[PULL_MAX];
	int64_t now_ms = clock_mono_ms();
	bool full = reader_is_full(reader);
	ssize_t count;

	if (!full)
		reader->full_ms = 0;
	else if (!reader->full_ms)
		reader->full_ms = now_ms;
	if (full && now_ms - reader->full_ms < HOLD_AFTER_MS)
		return false;
	for (struct part *part = reader->parts; part; part = part->after)
		part_hold(reader, part, part_is_behind(part) && (part->full || full));
	count = rd_kafka_consume_batch_queue(reader->queue, 0, messages, PULL_MAX);
	for (ssize_t i = 0; i < count; i++)
		take_message(reader, messages[i]);
	return count > 0;
}

/* --- asking ---------------------------------------------------------------- */

static bool part_is_asked(const struct part *part)
{
	return part->state == PART_READING && part->has_next && !part->going;
}

/* The topics of what is read, each once. */
static size_t topics_to_ask(const struct reader_kafka *reader, const char **names, bool *ret_due)
{
	size_t count = 0;

	*ret_due = clock_mono_ms() - reader->asked_ms >= ASK_EVERY_MS;
	for (struct part *part = reader->parts; part; part = part->after) {
		size_t i = 0;

		if (!part_is_asked(part))
			continue;
		*ret_due |= part->fetched.count > part->fetched.asked;
		while (i < count && strcmp(names[i], part->topic) != 0)
			i++;
		if (i == count)
			names[count++] = part->topic;
	}
	return count;
}

static size_t part_count(const struct reader_kafka *reader)
{
	size_t count = 0;

	for (const struct part *part = reader->parts; part; part = part->after)
		count++;
	return count;
}

static void send_question(struct reader_kafka *reader, const char **names, size_t count)
{
	rd_kafka_TopicCollection_t *topics =
		rd_kafka_TopicCollection_of_topic_names(names, count);
	rd_kafka_AdminOptions_t *options =
		kafka_ask_options(reader->client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);

	rd_kafka_DescribeTopics(reader->client, topics, options, reader->answers);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_TopicCollection_destroy(topics);
	reader->asking = true;
	reader->questions++;
	reader->asked_ms = clock_mono_ms();
	for (struct part *part = reader->parts; part; part = part->after)
		if (part_is_asked(part))
			part->fetched.asked = part->fetched.count;
}

void fetched_ask(struct reader_kafka *reader)
{
	const char **names;
	size_t count;
	bool due;

	if (reader->asking || !reader->parts || clock_mono_ms() < reader->ask_after_ms)
		return;
	names = xcalloc(part_count(reader), sizeof(*names));
	count = topics_to_ask(reader, names, &due);
	if (due && count > 0)
		send_question(reader, names, count);
	free(names);
}

/* --- answers --------------------------------------------------------------- */

/* Without an answer it is asked again, about the same. `name` NULL: of no topic. */
static void question_failed(struct reader_kafka *reader, const char *name)
{
	for (struct part *part = reader->parts; part; part = part->after)
		if (!name || strcmp(part->topic, name) == 0)
			part->fetched.asked = part->fetched.sure;
	reader->ask_after_ms = clock_mono_ms() + ASK_AGAIN_MS;
}

/* In a group it is revoked once all of the cluster know. */
static void part_is_unknown(struct reader_kafka *reader, struct part *part)
{
	struct err gone;

	if (reader->group || ++part->unknown < UNKNOWN_MAX)
		return;
	(void)err_set(&gone, ERR_NO_TOPIC, "topic \"%s\" was removed", part->topic);
	part_fail(reader, part, &gone);
}

/* A topic of that id is there now (NULL: none); one that was sought after the question is not
 * meant. */
static void topic_is(struct reader_kafka *reader, const char *name, const struct lineage *id)
{
	for (struct part *part = reader->parts; part; part = part->after) {
		if (!part_is_asked(part) || strcmp(part->topic, name) != 0 ||
		    part->sought == reader->questions)
			continue;
		if (!id) {
			part_is_unknown(reader, part);
		} else if (!lineage_eq(part->lineage, *id)) {
			part_is_another(reader, part);
		} else {
			if (part->fetched.sure < part->fetched.asked)
				reader->full_ms = 0;
			part->fetched.sure = part->fetched.asked;
			part->unknown = 0;
		}
	}
}

static void take_descriptions(struct reader_kafka *reader, const rd_kafka_event_t *answer)
{
	const rd_kafka_TopicDescription_t **found;
	size_t count;

	found = rd_kafka_DescribeTopics_result_topics(
		rd_kafka_event_DescribeTopics_result((rd_kafka_event_t *)(uintptr_t)answer),
		&count);
	for (size_t i = 0; i < count; i++) {
		const char *name = rd_kafka_TopicDescription_name(found[i]);
		struct kafka_topic topic;
		struct err err;
		enum err_code code = kafka_topic_of(found[i], &topic, &err);

		if (code == ERR_OK)
			topic_is(reader, name, &topic.id);
		else if (code == ERR_NO_TOPIC)
			topic_is(reader, name, NULL);
		if (code != ERR_OK)
			question_failed(reader, name);
	}
}

bool fetched_answer(struct reader_kafka *reader)
{
	rd_kafka_event_t *answer = reader->asking ? rd_kafka_queue_poll(reader->answers, 0) : NULL;

	if (!answer)
		return false;
	reader->asking = false;
	if (rd_kafka_event_error(answer) == RD_KAFKA_RESP_ERR_NO_ERROR)
		take_descriptions(reader, answer);
	else
		question_failed(reader, NULL);
	rd_kafka_event_destroy(answer);
	return true;
}
