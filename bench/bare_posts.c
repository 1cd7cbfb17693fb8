/*
 * bare_posts.c - the limit of the gateway on Kafka: an epoll loop over librdkafka.
 *
 * It frames requests, produces each body as a record, and answers a constant
 * when that is delivered. No parsing of JSON, no checks, no offsets, no limits.
 * "each": a record is produced as soon as it is read; "turn": all that a turn of
 * the loop has read are, in one call.
 *
 *	bare_posts BOOTSTRAP TOPIC LINGER_MS PORT each|turn
 */
#include "bare_http.h"
#include "bare_kafka.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, TURN_BYTES_MAX = 4 << 20 };

static rd_kafka_topic_t *topic;
static rd_kafka_queue_t *reports;
static int epoll_fd, reports_fd;

/* Records of this turn. */
static char turn[TURN_BYTES_MAX];
static size_t turn_len;
static rd_kafka_message_t messages[BARE_CONNECTIONS_MAX];
static int message_count;

static bool produce_now(int fd, const char *body, size_t len)
{
	if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
			     (void *)(uintptr_t)body, len, NULL, 0, (void *)(intptr_t)fd) != 0)
		bare_kafka_die("a record was not taken");
	return true;
}

static bool keep_for_turn(int fd, const char *body, size_t len)
{
	if (turn_len + len > TURN_BYTES_MAX || message_count == BARE_CONNECTIONS_MAX)
		return false;
	memcpy(turn + turn_len, body, len);
	messages[message_count++] = (rd_kafka_message_t){
		.payload = turn + turn_len,
		.len = len,
		._private = (void *)(intptr_t)fd,
	};
	turn_len += len;
	return true;
}

static void end_turn(void)
{
	if (message_count > 0 &&
	    rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, messages,
				   message_count) != message_count)
		bare_kafka_die("a record was not taken");
	turn_len = 0;
	message_count = 0;
}

static void answer_delivered(void)
{
	const rd_kafka_message_t *message;
	rd_kafka_event_t *event;
	uint64_t count;

	(void)!read(reports_fd, &count, sizeof(count));
	while ((event = rd_kafka_queue_poll(reports, 0))) {
		while (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR &&
		       (message = rd_kafka_event_message_next(event))) {
			if (message->err)
				bare_kafka_die(rd_kafka_err2str(message->err));
			bare_answer((int)(intptr_t)message->_private);
		}
		rd_kafka_event_destroy(event);
	}
}

static void loop(int listener, bare_take_fn *take)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				bare_accept(epoll_fd, listener);
			else if (events[i].data.fd == reports_fd)
				answer_delivered();
			else
				bare_read(events[i].data.fd, take);
		}
		end_turn();
	}
}

static void start(const char *bootstrap, const char *name, const char *linger_ms)
{
	static const uint64_t one = 1;
	const char *settings[] = { "bootstrap.servers", bootstrap, "linger.ms", linger_ms, NULL };
	struct epoll_event event = { .events = EPOLLIN };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *client;

	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
	client = bare_kafka_new(RD_KAFKA_PRODUCER, conf, settings);
	topic = rd_kafka_topic_new(client, name, NULL);
	reports = rd_kafka_queue_get_main(client);
	reports_fd = eventfd(0, EFD_NONBLOCK);
	rd_kafka_queue_io_event_enable(reports, reports_fd, &one, sizeof(one));
	event.data.fd = reports_fd;
	if (!topic || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, reports_fd, &event) < 0)
		bare_die("start");
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: bare_posts BOOTSTRAP TOPIC LINGER_MS PORT each|turn\n");
		return 2;
	}
	epoll_fd = epoll_create1(0);
	start(argv[1], argv[2], argv[3]);
	loop(bare_listen(epoll_fd, (int)strtol(argv[4], NULL, 10)),
	     strcmp(argv[5], "turn") == 0 ? keep_for_turn : produce_now);
	return 0;
}
