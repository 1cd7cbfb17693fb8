/* broker_testing.h - appending and reading as the tests of brokers
 * want it: one call, then the answer. */
#ifndef TESTS_BROKER_TESTING_H
#define TESTS_BROKER_TESTING_H

#include "base/time.h"
#include "broker/broker.h"
#include "testing.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static inline enum err_code create_topic(struct broker *broker, struct topic_ref topic,
					 int32_t partitions, struct err *err)
{
	const struct topic_options options = { .partitions = partitions };

	return broker_create(broker, topic, &options, err);
}

/* Appends that ended; the completion of every broker under test. */
struct ended {
	pthread_mutex_t lock;
	pthread_cond_t some;
	size_t count;			/* appends */
};

#define ENDED_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

/* A broker_done_fn. An append's `user` is its own flag: set once, checked to be set only once. */
static inline void ended_done(void *user, struct append *chain)
{
	struct ended *ended = user;

	(void)pthread_mutex_lock(&ended->lock);
	while (chain) {
		struct append *next = chain->next;
		int *flag = chain->user;

		++*flag;
		ended->count++;
		chain = next;
	}
	(void)pthread_cond_broadcast(&ended->some);
	(void)pthread_mutex_unlock(&ended->lock);
}

/* Waits until the append whose flag this is has ended; returns how often it has. */
static inline int ended_wait(struct ended *ended, const int *flag)
{
	int times;

	(void)pthread_mutex_lock(&ended->lock);
	while (*flag == 0)
		(void)pthread_cond_wait(&ended->some, &ended->lock);
	times = *flag;
	(void)pthread_mutex_unlock(&ended->lock);
	return times;
}

static inline enum err_code append_and_wait(struct broker *broker, struct ended *ended,
					    struct topic_ref topic,
					    const struct append_record *records, size_t count,
					    struct append_outcome *outcomes, struct err *err)
{
	int flag = 0;
	struct append append = { .topic = topic, .records = records, .count = count,
				 .outcomes = outcomes, .user = &flag };
	enum err_code code = broker_append(broker, &append, err);

	if (code == ERR_OK)
		assert_int_equal(ended_wait(ended, &flag), 1);
	return code;
}

/* One record with this text, to this partition; gives its outcome. */
static inline struct append_outcome append_text(struct broker *broker, struct ended *ended,
						struct topic_ref topic, int32_t partition,
						const char *text)
{
	struct append_record record = { .value = slice_str(text), .partition = partition };
	struct append_outcome outcome = { 0 };
	struct err err = { 0 };

	enum err_code code = append_and_wait(broker, ended, topic, &record, 1, &outcome, &err);

	if (code != ERR_OK)
		outcome.code = code;
	return outcome;
}

/* Nothing that was a record, or has to do with one. */
static inline bool event_is_quiet(const struct reader_event *event)
{
	return event->kind == READER_CAUGHT_UP ||
	       (event->kind == READER_GAP && event->gap == GAP_NONE);
}

/* The next event before then that is more than quiet. */
static inline struct reader_event event_before(struct broker_reader *reader, int64_t deadline_ms)
{
	struct reader_event event = { .kind = READER_CAUGHT_UP };
	struct err err = { 0 };

	while (event_is_quiet(&event))
		assert_ok(reader_next(reader, deadline_ms, &event, &err));
	return event;
}

/* The next event that is not idle, within half a minute. */
static inline struct reader_event next_event(struct broker_reader *reader)
{
	return event_before(reader, clock_mono_ms() + 30000);
}

/* The next event if one is there now. */
static inline struct reader_event event_now(struct broker_reader *reader)
{
	return event_before(reader, clock_mono_ms());
}

/* A reader without a group on one partition. */
static inline struct broker_reader *reader_at(struct broker *broker, struct topic_ref topic,
					      int32_t partition, struct reader_start start)
{
	const struct reader_options options = { .bytes_max = 1 << 20 };
	struct broker_reader *reader = NULL;
	struct err err = { 0 };

	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	assert_ok(reader_seek(reader, topic, partition, start, &err));
	return reader;
}

/* Reads records until `count` have come; their values joined by blanks into `text`. */
static inline void read_texts(struct broker_reader *reader, size_t count, char *text, size_t size)
{
	size_t at = 0, seen = 0;

	text[0] = '\0';
	while (seen < count) {
		struct reader_event event = next_event(reader);

		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++, seen++)
			at += (size_t)snprintf(text + at, size - at, "%s%.*s", seen ? " " : "",
					       SLICE_ARG(event.records[i].value));
	}
	assert_int_equal(seen, count);
}

#endif
