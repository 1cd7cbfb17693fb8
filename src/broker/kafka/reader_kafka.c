/* Opening a reader, and giving what it has (reader_kafka.h). */
#include "broker/kafka/reader_kafka.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	COMMIT_EVERY_MS = 1000,
	WAIT_MS = 100, /* then what has its time is looked at */
	LEAVE_MS = 5000,
	LOOK_MS = 10,
	REGEX_MAX = 2 * TOPIC_NAME_MAX + 3,
};

/* Kafka's own, of offsets and transactions, which a pattern does not mean. */
#define KAFKAS_OWN "^__"

/* --- opening --------------------------------------------------------------- */

static void reader_error(rd_kafka_t *client, int code, const char *why, void *opaque)
{
	struct reader_kafka *reader = opaque;

	kafka_note_error(client, &reader->links, code, why);
}

/* A cluster gives a member that comes back what it had, without asking what it wants now: who wants
 * other topics is another member. What it had is free once its session has ended. */
static void name_member(struct reader_kafka *reader, const struct reader_options *options,
			rd_kafka_conf_t *conf)
{
	char member[200], number[16] = "";
	uint32_t wants = 0;
	unsigned nth;

	(void)pthread_mutex_lock(&reader->kafka->lock);
	nth = reader->kafka->members++;
	(void)pthread_mutex_unlock(&reader->kafka->lock);
	for (size_t i = 0; i < options->topic_count; i++)
		wants = crc32c(wants, options->topics[i].name, strlen(options->topics[i].name) + 1);
	if (nth)
		(void)snprintf(number, sizeof(number), "-%u", nth);
	(void)snprintf(member, sizeof(member), "%s%s-%08" PRIx32, reader->kafka->options.member,
		       number, wants);
	kafka_conf_set(conf, "group.instance.id", member);
}

static void conf_read(struct reader_kafka *reader, const struct reader_options *options,
		      rd_kafka_conf_t *conf)
{
	/* librdkafka assigns nothing without the name of a group. */
	kafka_conf_set(conf, "group.id", reader->group ? reader->group : "pinpipe-none");
	kafka_conf_set(conf, "enable.auto.commit", "false");
	kafka_conf_set(conf, "enable.auto.offset.store", "false");
	kafka_conf_set(conf, "enable.partition.eof", "true");
	kafka_conf_set(conf, "auto.offset.reset", "error");
	kafka_conf_set(conf, "isolation.level", "read_committed");
	kafka_conf_set(conf, "check.crcs", "true");
	kafka_conf_set(conf, "partition.assignment.strategy", "cooperative-sticky");
	if (reader->group && reader->kafka->options.member)
		name_member(reader, options, conf);
	rd_kafka_conf_set_opaque(conf, reader);
	rd_kafka_conf_set_rebalance_cb(conf, part_rebalance);
	rd_kafka_conf_set_error_cb(conf, reader_error);
}

static bool has_pattern(const struct reader_options *options)
{
	for (size_t i = 0; i < options->topic_count; i++)
		if (name_is_pattern(options->topics[i].name))
			return true;
	return false;
}

static void hide_kafkas_own(rd_kafka_conf_t *conf)
{
	size_t size = 0, at;
	char *all;

	if (rd_kafka_conf_get(conf, "topic.blacklist", NULL, &size) != RD_KAFKA_CONF_OK)
		size = 0;
	all = xcalloc(1, size + sizeof("," KAFKAS_OWN));
	if (size > 0)
		(void)rd_kafka_conf_get(conf, "topic.blacklist", all, &size);
	at = strlen(all);
	(void)snprintf(all + at, sizeof("," KAFKAS_OWN), "%s" KAFKAS_OWN, at > 0 ? "," : "");
	kafka_conf_set(conf, "topic.blacklist", all);
	free(all);
}

/* As the regular expression that means the same. */
static const char *regex_of(const char *pattern, char regex[REGEX_MAX])
{
	char *to = regex;

	*to++ = '^';
	for (; *pattern; pattern++) {
		if (*pattern == '*' || *pattern == '?')
			*to++ = '.';
		else if (*pattern == '.')
			*to++ = '\\';
		if (*pattern != '?')
			*to++ = *pattern;
	}
	*to++ = '$';
	*to = '\0';
	return regex;
}

static enum err_code reader_subscribe(struct reader_kafka *reader,
				      const struct reader_options *options, struct err *err)
{
	char regex[REGEX_MAX];
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)options->topic_count);
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < options->topic_count; i++) {
		const char *name = options->topics[i].name;

		if (options->topics[i].kind == TOPIC_LOG)
			rd_kafka_topic_partition_list_add(
				list, name_is_pattern(name) ? regex_of(name, regex) : name, -1);
	}
	code = list->cnt ? rd_kafka_subscribe(reader->client, list) : RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_topic_partition_list_destroy(list);
	return code ? kafka_fail(err, code, "the group's topics") : ERR_OK;
}

static enum err_code reader_connect(struct reader_kafka *reader,
				    const struct reader_options *options, struct err *err)
{
	static const uint64_t one = 1;
	rd_kafka_conf_t *conf;
	enum err_code code = kafka_conf_new(&reader->kafka->options, KAFKA_READS, &conf, err);

	if (code != ERR_OK)
		return code;
	conf_read(reader, options, conf);
	if (has_pattern(options))
		hide_kafkas_own(conf);
	code = kafka_client_new(conf, KAFKA_READS, &reader->links, &reader->client, err);
	if (code != ERR_OK)
		return code;
	(void)rd_kafka_poll_set_consumer(reader->client);
	reader->queue = rd_kafka_queue_get_consumer(reader->client);
	reader->answers = rd_kafka_queue_new(reader->client);
	reader->commits = rd_kafka_queue_new(reader->client);
	rd_kafka_queue_io_event_enable(reader->queue, reader->fd, &one, sizeof(one));
	rd_kafka_queue_io_event_enable(reader->answers, reader->fd, &one, sizeof(one));
	return options->group ? reader_subscribe(reader, options, err) : ERR_OK;
}

enum err_code reader_kafka_open(struct broker *broker, const struct reader_options *options,
				struct broker_reader **ret_reader, struct err *err)
{
	struct reader_kafka *reader = xcalloc(1, sizeof(*reader));
	enum err_code code;

	reader->base.broker = broker;
	reader->kafka = (struct kafka *)broker;
	reader->bytes_max = options->bytes_max;
	reader->group = options->group ? xstrdup(options->group) : NULL;
	links_init(&reader->links);
	reader->fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC); /* nobody has looked yet */
	code = reader->fd < 0 ? err_errno(err, "could not open a descriptor")
			      : reader_connect(reader, options, err);
	if (code != ERR_OK) {
		reader_kafka_close(&reader->base);
		return code;
	}
	*ret_reader = &reader->base;
	return ERR_OK;
}

/* --- records --------------------------------------------------------------- */

static void reader_forget_given(struct reader_kafka *reader)
{
	for (size_t i = 0; i < reader->given_count; i++) {
		rd_kafka_message_destroy(reader->given[i]);
		free(reader->headers[i]);
	}
	reader->given_count = 0;
}

static struct record_header *record_headers(const rd_kafka_message_t *message, size_t *ret_count)
{
	struct record_header *headers;
	rd_kafka_headers_t *of;

	*ret_count = 0;
	if (rd_kafka_message_headers(message, &of) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	*ret_count = rd_kafka_header_cnt(of);
	headers = xcalloc(*ret_count, sizeof(*headers));
	for (size_t i = 0; i < *ret_count; i++) {
		const void *value;
		const char *name;
		size_t len;

		(void)rd_kafka_header_get_all(of, i, &name, &value, &len);
		headers[i] = (struct record_header){ slice_str(name), slice_of(value, len) };
	}
	return headers;
}

static void reader_grow(struct reader_kafka *reader)
{
	size_t cap = reader->given_cap ? 2 * reader->given_cap : 64;

	if (reader->given_count < reader->given_cap)
		return;
	reader->given = xreallocarray(reader->given, cap, sizeof(*reader->given));
	reader->records = xreallocarray(reader->records, cap, sizeof(*reader->records));
	reader->headers = xreallocarray(reader->headers, cap, sizeof(*reader->headers));
	reader->given_cap = cap;
}

static void reader_add_record(struct reader_kafka *reader, rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
	struct record *record;
	size_t header_count;

	reader_grow(reader);
	record = &reader->records[reader->given_count];
	reader->headers[reader->given_count] = record_headers(message, &header_count);
	reader->given[reader->given_count] = message;
	*record = (struct record){
		.position = position_of_offset((uint64_t)message->offset),
		.timestamp_ms = timestamp_ms > 0 ? timestamp_ms : 0,
		.key = slice_of(message->key, message->key_len),
		.value = slice_of(message->payload, message->len),
		.headers = reader->headers[reader->given_count],
		.header_count = header_count,
	};
	reader->given_count++;
}

/* --- events ---------------------------------------------------------------- */

static void event_of(struct reader_event *event, enum reader_event_kind kind,
		     const struct part *part)
{
	*event = (struct reader_event){ .kind = kind,
					.topic = { TOPIC_LOG, part->topic },
					.partition = part->id,
					.lineage = part->lineage,
					.children = { -1, -1 } };
}

static void give_part_gap(struct part *part, int64_t first, int64_t last, enum gap_reason reason,
		     struct reader_event *event)
{
	event_of(event, READER_GAP, part);
	event->first = position_of_offset((uint64_t)first);
	event->last = position_of_offset((uint64_t)last);
	event->gap = reason;
	part->next = last + 1;
}

/* Records that follow one another, as many as an event may hold. */
static void give_part_records(struct reader_kafka *reader, struct part *part,
			 struct reader_event *event)
{
	struct fetched *fetched = &part->fetched;
	size_t bytes = 0;

	while (fetched->given < fetched->sure) {
		rd_kafka_message_t *message = fetched->list[fetched->given];

		bytes += message->len + message->key_len;
		if (message->err || message->offset != part->next ||
		    (reader->given_count > 0 && bytes > reader->bytes_max))
			break;
		fetched_take(part);
		reader_add_record(reader, message);
		part->next = message->offset + 1;
	}
	event_of(event, READER_RECORDS, part);
	event->records = reader->records;
	event->count = reader->given_count;
}

/* The end was reached there, unless more has come since. */
static bool give_end(struct part *part, struct reader_event *event)
{
	rd_kafka_message_t *message = fetched_take(part);
	int64_t end = message->offset;

	rd_kafka_message_destroy(message);
	if (end <= part->said || part->fetched.given < part->fetched.count)
		return false;
	part->said = end;
	event_of(event, READER_CAUGHT_UP, part);
	event->last = position_of_offset((uint64_t)end);
	return true;
}

static bool give_of_part(struct reader_kafka *reader, struct part *part,
			 struct reader_event *event)
{
	struct fetched *fetched = &part->fetched;

	if (part->gap_first >= 0) {
		give_part_gap(part, part->gap_first, part->gap_last, GAP_RETENTION, event);
		part->gap_first = -1;
		return true;
	}
	while (fetched->given < fetched->sure) {
		rd_kafka_message_t *message = fetched->list[fetched->given];

		if (message->offset > part->next) {
			give_part_gap(part, part->next, message->offset - 1, GAP_NONE, event);
			return true;
		}
		if (!message->err) {
			give_part_records(reader, part, event);
			return true;
		}
		if (give_end(part, event))
			return true;
	}
	if (part->misplaced && fetched->given == fetched->count)
		part_place(reader, part);
	return false;
}

static void give_part_event(struct reader_kafka *reader, struct reader_event *event)
{
	struct part_event told = reader->events[reader->event_at++];
	struct part *part = told.part;

	event_of(event, told.kind, part);
	event->lost = told.lost;
	event->failure = told.kind == READER_FAILED ? &part->failure : NULL;
	if (told.kind != READER_FAILED) {
		part->state = told.kind == READER_ASSIGNED ? PART_TOLD
			      : told.lost		   ? PART_NONE
							   : PART_REVOKED;
		if (told.kind == READER_REVOKED)
			part->going = false;
		part->paused = part->has_next = false;
		part->retry_ms = 0;
		fetched_drop(part);
	}
	if (reader->event_at == reader->event_count)
		reader->event_at = reader->event_count = 0;
}

static bool reader_give(struct reader_kafka *reader, struct reader_event *event)
{
	if (reader->event_at < reader->event_count) {
		give_part_event(reader, event);
		return true;
	}
	for (struct part *part = reader->parts; part; part = part->after)
		if (part->state == PART_READING && !part->paused &&
		    give_of_part(reader, part, event))
			return true;
	return false;
}

/* --- waiting --------------------------------------------------------------- */

/* True: something came. */
static bool reader_work(struct reader_kafka *reader)
{
	bool came = fetched_pull(reader);

	came |= fetched_answer(reader);
	fetched_ask(reader);
	if (reader->group && clock_mono_ms() - reader->committed_ms >= COMMIT_EVERY_MS)
		part_flush_commits(reader, false);
	return came || reader->event_at < reader->event_count;
}

static void reader_quieten(struct reader_kafka *reader)
{
	uint64_t count;

	(void)!read(reader->fd, &count, sizeof(count));
}

/* There may be more. */
static void reader_stir(struct reader_kafka *reader)
{
	static const uint64_t one = 1;

	(void)!write(reader->fd, &one, sizeof(one));
}

static void reader_wait(struct reader_kafka *reader, int64_t left_ms)
{
	struct pollfd fds[] = { { .fd = reader->fd, .events = POLLIN },
				{ .fd = stop_fd(), .events = POLLIN } };

	(void)poll(fds, ARRAY_LEN(fds), left_ms < WAIT_MS ? (int)left_ms : WAIT_MS);
}

enum err_code reader_kafka_next(struct broker_reader *base, int64_t deadline_ms,
				struct reader_event *ret_event, struct err *err)
{
	struct reader_kafka *reader = (struct reader_kafka *)base;
	bool quiet = false, looked = false;

	reader_forget_given(reader);
	for (;;) {
		int64_t left_ms = stop_requested() ? 0 : deadline_ms - clock_mono_ms();
		bool came;

		part_settle(reader);
		if (reader_give(reader, ret_event))
			return ERR_OK;
		if (reader->failure.code != ERR_OK) {
			*err = reader->failure;
			return err->code;
		}
		if (left_ms <= 0 && looked) {
			if (!quiet)
				reader_stir(reader);
			*ret_event = (struct reader_event){ .kind = READER_IDLE };
			return ERR_OK;
		}
		came = reader_work(reader);
		looked = came || quiet;
		if (came) {
			quiet = false;
		} else if (!quiet) { /* what comes from here on makes the descriptor readable */
			reader_quieten(reader);
			quiet = true;
		} else if (left_ms > 0) {
			reader_wait(reader, left_ms);
			quiet = looked = false;
		}
	}
}

enum err_code reader_kafka_fd(struct broker_reader *base, int *ret_fd, struct err *err)
{
	(void)err;
	*ret_fd = ((struct reader_kafka *)base)->fd;
	return ERR_OK;
}

/* --- closing --------------------------------------------------------------- */

static void reader_free(struct reader_kafka *reader)
{
	part_free_all(reader);
	links_release(&reader->links);
	if (reader->fd >= 0)
		(void)close(reader->fd);
	free(reader->events);
	free(reader->given);
	free(reader->records);
	free(reader->headers);
	free(reader->group);
	free(reader);
}

/* True: librdkafka has left the group, and what it asked for is answered. It calls back from here;
 * what it still gives is nobody's. */
static bool reader_await_left(struct reader_kafka *reader, int64_t until_ms)
{
	while (!rd_kafka_consumer_closed(reader->client) && clock_mono_ms() < until_ms) {
		rd_kafka_message_t *message;

		if (rd_kafka_consume_batch_queue(reader->leaving, LOOK_MS, &message, 1) > 0)
			rd_kafka_message_destroy(message);
	}
	return rd_kafka_consumer_closed(reader->client);
}

static void reader_destroy(struct reader_kafka *reader)
{
	rd_kafka_queue_destroy(reader->leaving);
	rd_kafka_queue_destroy(reader->queue);
	rd_kafka_queue_destroy(reader->answers);
	rd_kafka_queue_destroy(reader->commits);
	rd_kafka_destroy(reader->client);
	reader_free(reader);
}

static void *reader_leave_later(void *arg)
{
	struct reader_kafka *reader = arg;

	(void)reader_await_left(reader, INT64_MAX);
	reader_destroy(reader);
	return NULL;
}

/* Until then a broker that stands still keeps what it was asked, and librdkafka waits for its
 * answer: two minutes, for a commit. Nobody else is to. */
static void reader_leave(struct reader_kafka *reader)
{
	rd_kafka_error_t *error;
	pthread_t thread;

	reader->closing = true;
	if (reader->group)
		part_flush_commits(reader, true);
	rd_kafka_queue_io_event_enable(reader->queue, -1, NULL, 0);
	rd_kafka_queue_io_event_enable(reader->answers, -1, NULL, 0);
	reader->leaving = rd_kafka_queue_new(reader->client);
	error = rd_kafka_consumer_close_queue(reader->client, reader->leaving);
	if (error) /* of the member; it leaves nevertheless */
		rd_kafka_error_destroy(error);
	if (reader_await_left(reader, clock_mono_ms() + LEAVE_MS))
		reader_destroy(reader);
	else if (pthread_create(&thread, NULL, reader_leave_later, reader) == 0)
		(void)pthread_detach(thread);
}

void reader_kafka_close(struct broker_reader *base)
{
	struct reader_kafka *reader = (struct reader_kafka *)base;

	reader_forget_given(reader);
	for (struct part *part = reader->parts; part; part = part->after)
		fetched_drop(part);
	if (reader->client)
		reader_leave(reader);
	else
		reader_free(reader);
}
