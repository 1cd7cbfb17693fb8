/*
 * bare_consume.c - the limit of the sink on Kafka: reads a topic from its beginning to its end, by
 * librdkafka's own defaults, and looks at nothing.
 *
 *	bare_consume BOOTSTRAP TOPIC PARTITIONS
 */
#include "bare_kafka.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 1000, WAIT_MS = 1000 };

static void assign_all(rd_kafka_t *client, const char *topic, int32_t partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

	for (int32_t i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	if (rd_kafka_assign(client, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		bare_kafka_die("the partitions could not be assigned");
	rd_kafka_topic_partition_list_destroy(list);
}

/* How many records there were. */
static uint64_t consume(rd_kafka_t *client, int32_t partitions)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
	rd_kafka_message_t *messages[BATCH];
	int32_t ended = 0;
	uint64_t count = 0;

	while (ended < partitions) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, BATCH);

		for (ssize_t i = 0; i < n; i++) {
			if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
				ended++;
			else if (!messages[i]->err)
				count++;
			rd_kafka_message_destroy(messages[i]);
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	const char *settings[] = {
		"bootstrap.servers",  argv[1], "group.id", "bare", "enable.partition.eof", "true",
		"enable.auto.commit", "false", NULL
	};
	int32_t partitions;
	rd_kafka_t *client;

	if (argc != 4) {
		fprintf(stderr, "usage: bare_consume BOOTSTRAP TOPIC PARTITIONS\n");
		return 2;
	}
	partitions = (int32_t)strtol(argv[3], NULL, 10);
	client = bare_kafka_new(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), settings);
	(void)rd_kafka_poll_set_consumer(client);
	assign_all(client, argv[2], partitions);
	printf("%" PRIu64 "\n", consume(client, partitions));
	return 0;
}
