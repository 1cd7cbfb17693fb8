/* kafka_fixture.h - the backend of Kafka on librdkafka's mock cluster, of one broker. */
#ifndef TESTS_KAFKA_FIXTURE_H
#define TESTS_KAFKA_FIXTURE_H

#include "broker/kafka/kafka.h"
#include "broker/kafka/reader_kafka.h"
#include "broker_fixture.h"

#include <rdkafka.h>
#include <rdkafka_mock.h>

enum { SOON_MS = 10000 };

struct kafka_fixture {
	struct broker *broker;
	rd_kafka_mock_cluster_t *cluster;
	struct ended ended;
};

static inline int open_mock(void **state)
{
	struct kafka_fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	f->broker = broker_kafka_mock_new(ended_done, &f->ended);
	f->cluster = broker_kafka_mock_cluster(f->broker);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	*state = f;
	return 0;
}

static inline int close_mock(void **state)
{
	struct kafka_fixture *f = *state;

	broker_free(f->broker);
	free(f);
	return 0;
}

#define MOCK(test) cmocka_unit_test_setup_teardown(test, open_mock, close_mock)

/* A member of the group "g". */
static inline struct broker_reader *join(struct kafka_fixture *f, struct topic_ref topic)
{
	const struct reader_options options = {
		.group = "g", .topics = &topic, .topic_count = 1, .bytes_max = 1 << 20
	};
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	return reader;
}

#endif
