/* The backend of Kafka on librdkafka's own mock cluster, in this process: real sockets, and all of
 * the protocol but what makes and removes topics, which is done behind its back. */
#include "backends/backends.h"

#include "base/mem.h"
#include "broker/kafka/kafka.h"

#include <rdkafka_mock.h>
#include <stdio.h>

struct kafka_mock {
	rd_kafka_t *owner;
	rd_kafka_mock_cluster_t *cluster;
	struct broker *broker;		/* whose ops are these */
	struct broker_ops ops;
	const struct broker_ops *real;
};

static struct kafka_mock *kafka_mock_of(struct broker *broker)
{
	return (struct kafka_mock *)((char *)(uintptr_t)broker->ops -
				     offsetof(struct kafka_mock, ops));
}

static enum err_code mock_create(struct broker *broker, struct topic_ref topic,
				 const struct topic_options *options, struct err *err)
{
	struct kafka_mock *mock = kafka_mock_of(broker);
	struct kafka_topic found;
	rd_kafka_t *client;
	rd_kafka_resp_err_t code;

	if (kafka_topics_only(topic.kind, err) != ERR_OK ||
	    name_check_topic(slice_str(topic.name), err) != ERR_OK)
		return err->code;
	if (options->born)
		return err_set(err, ERR_UNSUPPORTED, "a topic of Kafka begins at offset 0");
	if (options->partitions < 1 || options->partitions > PARTITIONS_MAX)
		return err_set(err, ERR_SHAPE, "a topic has 1 to %d partitions", PARTITIONS_MAX);
	if (kafka_admin((struct kafka *)broker, &client, err) != ERR_OK)
		return err->code;
	if (kafka_look(client, topic.name, &found, err) == ERR_OK)
		return err_set(err, ERR_EXISTS, "it is there");
	code = rd_kafka_mock_topic_create(mock->cluster, topic.name, options->partitions, 1);
	if (code)
		return kafka_fail(err, code, topic.name);
	kafka_topic_changed((struct kafka *)broker, topic.name, true);
	return ERR_OK;
}

static enum err_code mock_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	struct kafka_mock *mock = kafka_mock_of(broker);
	rd_kafka_resp_err_t code;

	if (kafka_topics_only(topic.kind, err) != ERR_OK)
		return err->code;
	code = rd_kafka_mock_topic_delete(mock->cluster, topic.name);
	if (code)
		return kafka_fail(err, code, topic.name);
	kafka_topic_changed((struct kafka *)broker, topic.name, false);
	return ERR_OK;
}

static void mock_free(struct broker *broker)
{
	struct kafka_mock *mock = kafka_mock_of(broker);

	mock->real->free(broker);
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->owner);
	free(mock);
}


struct rd_kafka_mock_cluster_s *broker_kafka_mock_cluster(struct broker *broker)
{
	return kafka_mock_of(broker)->cluster;
}

struct broker *broker_kafka_mock_new(broker_done_fn *done, void *done_user)
{
	struct kafka_mock *mock = xcalloc(1, sizeof(*mock));
	/* The mock lets all members of a group wait for the session's time, but for a second, each
	 * time that one of them comes or goes. */
	struct config_setting settings[] = {
		{ .name = "bootstrap.servers", .place = "test" },
		{ .name = "session.timeout.ms", .text = "2000", .place = "test" },
		{ .name = "heartbeat.interval.ms", .text = "200", .place = "test" },
	};
	struct broker_kafka_options options = { .settings = settings,
						.setting_count = ARRAY_LEN(settings),
						.done = done, .done_user = done_user };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct err err;
	char why[200];

	mock->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	mock->cluster = rd_kafka_mock_cluster_new(mock->owner, 1);
	rd_kafka_mock_set_controller_id(mock->cluster, 1);
	rd_kafka_mock_group_initial_rebalance_delay_ms(mock->cluster, 0);
	settings[0].text = rd_kafka_mock_cluster_bootstraps(mock->cluster);
	if (broker_kafka_new(&options, &mock->broker, &err) != ERR_OK) {
		(void)fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	mock->real = mock->broker->ops;
	mock->ops = *mock->real;
	mock->ops.create = mock_create;
	mock->ops.remove = mock_remove;
	mock->ops.free = mock_free;
	mock->broker->ops = &mock->ops;
	return mock->broker;
}
