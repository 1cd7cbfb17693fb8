/*
 * bare_produce.c - what librdkafka delivers to a topic without HTTP before it: always so many
 * records are on their way.
 *
 *	bare_produce BOOTSTRAP TOPIC LINGER_MS ROWS.ndjson ON_THEIR_WAY SECONDS COUNT
 *
 * Ends when SECONDS have passed since the first delivery, or COUNT records are delivered (0: no
 * bound), and prints how many were in how many seconds, from the first delivery on.
 */
#include "bare_kafka.h"

#include "base/mem.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 20000, QUEUE_MAX = 1 << 20, WAIT_MS = 100 };

static struct slice rows[ROWS_MAX];
static size_t row_count;
static uint64_t produced, delivered, first_delivered;
static int64_t began_us;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void)client;
	(void)opaque;
	if (message->err)
		bare_kafka_die(rd_kafka_err2str(message->err));
	delivered++;
}

static void load_rows(const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while (file && row_count < ROWS_MAX && (len = getline(&line, &cap, file)) > 1) {
		rows[row_count++] = slice_of(line, (size_t)len - 1);
		line = NULL; /* kept for good */
		cap = 0;
	}
	if (row_count == 0)
		bare_kafka_die("there are no rows");
	(void)fclose(file);
}

static rd_kafka_t *start(const char *bootstrap, const char *linger_ms)
{
	char queue[24];
	const char *settings[] = { "bootstrap.servers",
				   bootstrap,
				   "linger.ms",
				   linger_ms,
				   "queue.buffering.max.messages",
				   queue,
				   NULL };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	(void)snprintf(queue, sizeof(queue), "%d", QUEUE_MAX);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return bare_kafka_new(RD_KAFKA_PRODUCER, conf, settings);
}

static void produce_one(rd_kafka_topic_t *topic)
{
	struct slice row = rows[produced++ % row_count];

	if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
			     (void *)(uintptr_t)row.ptr, row.len, NULL, 0, NULL) != 0)
		bare_kafka_die("a record was not taken");
}

/* Until the time is over, or all are delivered. */
static void drive(rd_kafka_t *client, rd_kafka_topic_t *topic, uint64_t window, int64_t us,
		  uint64_t count)
{
	while ((count == 0 || delivered < count) &&
	       (us == 0 || began_us == 0 || clock_mono_us() - began_us < us)) {
		while (produced - delivered < window && (count == 0 || produced < count))
			produce_one(topic);
		(void)rd_kafka_poll(client, WAIT_MS);
		if (began_us == 0 && delivered > 0) {
			began_us = clock_mono_us();
			first_delivered = delivered;
		}
	}
}

int main(int argc, char **argv)
{
	rd_kafka_topic_t *topic;
	rd_kafka_t *client;

	if (argc != 8) {
		fprintf(stderr, "usage: bare_produce BOOTSTRAP TOPIC LINGER_MS ROWS ON_THEIR_WAY "
				"SECONDS COUNT\n");
		return 2;
	}
	load_rows(argv[4]);
	client = start(argv[1], argv[3]);
	topic = rd_kafka_topic_new(client, argv[2], NULL);
	drive(client, topic, strtoull(argv[5], NULL, 10), strtoll(argv[6], NULL, 10) * 1000000,
	      strtoull(argv[7], NULL, 10));
	printf("%" PRIu64 " %.3f\n", delivered - first_delivered,
	       (double)(clock_mono_us() - began_us) / 1e6);
	(void)rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	return 0;
}
