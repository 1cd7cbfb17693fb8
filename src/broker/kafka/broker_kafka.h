/*
 * broker_kafka.h - topics of a Kafka cluster, through librdkafka.
 *
 *	position	the offset; a topic that is made anew begins at 0 again …
 *	lineage, uid	… and has another topic id
 *
 * What is appended goes through one idempotent producer with acks=all
 * (producer.c); each reader is a consumer of its own (reader_kafka.h). Streams
 * are not here (ERR_UNSUPPORTED).
 *
 * Settings are librdkafka's own, by its names, but for those that carry a promise
 * of broker.h, which are set here and refused (conf_kafka.c).
 *
 * Threads: as broker.h says. No call but append(), cork() and ready() is for an event loop.
 */
#ifndef BROKER_KAFKA_BROKER_KAFKA_H
#define BROKER_KAFKA_BROKER_KAFKA_H

#include "base/config.h"
#include "broker/broker.h"

struct broker_kafka_options {
	const struct config_setting *settings;	/* of librdkafka; copied */
	size_t setting_count;
	const char *member;		/* tells this process from other members of its groups, also
					   after a restart; NULL: it is a new one each time */
	size_t record_bytes_max;	/* key, value and headers; 0: 1 MiB */
	size_t inflight_bytes_max;	/* taken and not yet durable; past it ERR_BUSY; 0: 64 MiB */
	broker_done_fn *done;		/* NULL: nothing is appended */
	void *done_user;
};

/* No broker of the cluster need be there. ERR_USAGE: the settings are not right; says which. */
MUST_USE enum err_code broker_kafka_new(const struct broker_kafka_options *options,
					struct broker **ret_broker, struct err *err);

#endif
