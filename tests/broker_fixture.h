/* broker_fixture.h - the brokers that the contract of broker.h is tried on. */
#ifndef TESTS_BROKER_FIXTURE_H
#define TESTS_BROKER_FIXTURE_H

#include "backends/backends.h"
#include "base/mem.h"
#include "broker/broker_kinds.h"
#include "broker/sequence.h"
#include "broker_testing.h"
#include "scratch.h"

static const struct topic_ref pin = { TOPIC_LOG, "124df56aef51.pin" };
static const struct topic_ref geo = { TOPIC_LOG, "124df56aef51.geo" };
static const struct topic_ref stream = { TOPIC_STREAM, "streaming-124df56aef51-pin" };
static const struct reader_start from_first = { .kind = START_FIRST };

struct fixture {
	struct broker *broker;
	struct ended ended;
	char dir[SCRATCH_NAME_MAX];
};

static inline int open_memory(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->ended = (struct ended)ENDED_INIT;
	f->broker = broker_memory_new(1 << 20, ended_done, &f->ended);
	*state = f;
	return 0;
}

/* A service at its worst: nothing is dense, and nobody knows the end. */
static inline int open_sparse(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct memory_options options = { .bytes_max = 1 << 20, .spread = 1000,
						.markers = true, .end_unknown = true,
						.done = ended_done, .done_user = &f->ended };

	f->ended = (struct ended)ENDED_INIT;
	f->broker = broker_memory_open(&options);
	*state = f;
	return 0;
}

/* Positions begin again with each topic, as a service's do. */
static inline int open_again(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct memory_options options = { .bytes_max = 1 << 20, .begins_again = true,
						.done = ended_done, .done_user = &f->ended };

	f->ended = (struct ended)ENDED_INIT;
	f->broker = broker_memory_open(&options);
	*state = f;
	return 0;
}

static inline int open_faulty(void **state)
{
	const struct broker_fault none = { 0 };
	struct fixture *f;

	(void)open_memory(state);
	f = *state;
	f->broker = broker_faulty_new(f->broker, &none, ended_done, &f->ended);
	return 0;
}

static inline int open_slow(void **state)
{
	struct fixture *f;

	(void)open_faulty(state);
	f = *state;
	f->broker = broker_slow_new(f->broker, 2);
	return 0;
}

static inline int open_kinds(void **state)
{
	struct fixture *f;

	(void)open_memory(state);
	f = *state;
	f->broker = broker_kinds_new(f->broker,
				     broker_memory_new(1 << 20, ended_done, &f->ended));
	return 0;
}

/* Both kinds of the same broker. */
static inline int open_kinds_of_one(void **state)
{
	struct fixture *f;

	(void)open_memory(state);
	f = *state;
	f->broker = broker_kinds_new(f->broker, f->broker);
	return 0;
}

/* On a directory of its own. */
static inline int open_log(void **state,
			   enum err_code (*open)(const struct broker_local_options *options,
						 struct broker **ret_broker, struct err *err))
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct broker_local_options options = { .dir = f->dir, .writer = true,
						.segment_bytes = 1 << 20, .done = ended_done,
						.done_user = &f->ended };
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	assert_ok(open(&options, &f->broker, &err));
	*state = f;
	return 0;
}

/* Topics of a mock cluster of Kafka, or of the real one that the variable names; streams are in
 * memory. */
static inline int open_kafka(void **state)
{
	const char *servers = getenv("PINPIPE_TEST_KAFKA");
	struct broker *topics;
	struct fixture *f;

	(void)open_memory(state);
	f = *state;
	topics = servers ? broker_kafka_real_new(servers, ended_done, &f->ended)
			 : broker_kafka_mock_new(ended_done, &f->ended);
	f->broker = broker_kinds_new(topics, f->broker);
	return 0;
}

/* Where a cluster is named, only what is of Kafka is tested. */
static inline void only_kafka_if_named(void)
{
	if (getenv("PINPIPE_TEST_KAFKA"))
		cmocka_set_test_filter("open_kafka*");
}

static inline int open_local(void **state) { return open_log(state, broker_local_new); }
static inline int open_hostile(void **state) { return open_log(state, broker_hostile_new); }

static inline int close_fixture(void **state)
{
	struct fixture *f = *state;

	broker_free(f->broker);
	if (f->dir[0])
		scratch_remove(f->dir);
	free(f);
	return 0;
}

static inline struct append_outcome put(struct fixture *f, struct topic_ref topic,
					int32_t partition, const char *text)
{
	struct append_outcome outcome =
		append_text(f->broker, &f->ended, topic, partition, text);

	assert_int_equal(outcome.code, ERR_OK);
	assert_true(partition == PARTITION_ANY || outcome.partition == partition);
	return outcome;
}

static inline void create(struct fixture *f, struct topic_ref topic, int32_t partitions)
{
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, topic, partitions, &err));
}

/* What is in a partition from `start` on, `count` records. */
static inline void expect(struct fixture *f, struct topic_ref topic, int32_t partition,
		   struct reader_start start, size_t count, const char *want)
{
	struct broker_reader *reader = reader_at(f->broker, topic, partition, start);
	char text[256];

	read_texts(reader, count, text, sizeof(text));
	assert_string_equal(text, want);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	reader_close(reader);
}

#endif
