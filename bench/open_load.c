/*
 * open_load.c - a load that does not wait: posts arrive at a rate, whatever
 * becomes of those before them, as those of many clients do. (wrk asks again
 * only when it was answered, so it can never overload a server.)
 *
 * An arrival takes the connection that is idle the longest; if none is, it is
 * counted as unsent. Latency is counted from the moment at which a post was
 * due, so that a late generator is no help to the server.
 *
 *	open_load PORT PATH FILE RECORDS RATE SECONDS CONNECTIONS
 *
 * FILE has a row a line; RATE is in posts of RECORDS rows a second. Prints one
 * JSON object, rates in posts.
 */
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, ROWS = 2000, ROW_MAX = 64 * 1024, REPLY_MAX = 16 * 1024, HEAD_MAX = 512,
       BUCKETS = 20000, BUCKET_US = 100, TAIL_S = 5 };

struct connection {
	int fd;
	bool busy;
	int64_t arrived_us;
	size_t len;
	char reply[REPLY_MAX];
};

struct text {
	char *bytes;
	size_t len;
};

/* How long something took, in buckets of BUCKET_US; the last one holds all that took longer. */
struct times {
	uint64_t count;
	uint32_t buckets[BUCKETS];
};

static struct connection *connections;
static int *idle;			/* a ring: the longest idle is taken next */
static int idle_first, idle_count, connection_count;
static struct text *requests;
static size_t request_count;
static struct times stored, refused;
static uint64_t failed, unsent, stored_in_time;
static int epoll_fd, port;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note(struct times *times, int64_t us)
{
	int64_t bucket = us / BUCKET_US;

	times->count++;
	times->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* In milliseconds. */
static double quantile(const struct times *times, double part)
{
	uint64_t rank = (uint64_t)((double)times->count * part);
	uint64_t seen = 0;
	int bucket = 0;

	while (bucket < BUCKETS - 1 && (seen += times->buckets[bucket]) <= rank)
		bucket++;
	return times->count ? (bucket + 1) * BUCKET_US / 1000.0 : 0;
}

static void read_row(FILE *rows, struct text *row)
{
	static char line[ROW_MAX];

	if (!fgets(line, sizeof(line), rows)) {
		rewind(rows);
		if (!fgets(line, sizeof(line), rows))
			die("no rows");
	}
	row->len = strcspn(line, "\n");
	row->bytes = xmalloc(row->len);
	memcpy(row->bytes, line, row->len);
}

static void put(struct text *to, const char *bytes, size_t len)
{
	memcpy(to->bytes + to->len, bytes, len);
	to->len += len;
}

/* The rows from `first` on, as one post. */
static struct text make_request(const char *path, const struct text *rows, size_t first,
				size_t records)
{
	static const char before[] = "{\"value\":";
	size_t len = sizeof("{\"records\":[]}") - 1 + records - 1;
	struct text request;

	for (size_t i = 0; i < records; i++)
		len += rows[(first + i) % ROWS].len + sizeof(before);
	request.bytes = xmalloc(HEAD_MAX + len);
	request.len = (size_t)snprintf(request.bytes, HEAD_MAX,
				       "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
				       "Content-Type: application/vnd.kafka.json.v2+json\r\n"
				       "Content-Length: %zu\r\n\r\n{\"records\":[", path, len);
	for (size_t i = 0; i < records; i++) {
		if (i > 0)
			put(&request, ",", 1);
		put(&request, before, sizeof(before) - 1);
		put(&request, rows[(first + i) % ROWS].bytes, rows[(first + i) % ROWS].len);
		put(&request, "}", 1);
	}
	put(&request, "]}", 2);
	return request;
}

static void make_requests(const char *path, const char *file, size_t records)
{
	static struct text rows[ROWS];
	FILE *from = fopen(file, "r");

	if (!from)
		die(file);
	for (size_t i = 0; i < ROWS; i++)
		read_row(from, &rows[i]);
	(void)fclose(from);
	request_count = records < ROWS ? ROWS / records : 1;
	requests = xcalloc(request_count, sizeof(*requests));
	for (size_t i = 0; i < request_count; i++)
		requests[i] = make_request(path, rows, i * records, records);
}

static void open_connection(int number)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)number };
	struct connection *connection = &connections[number];
	int one = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		die("epoll_ctl");
}

static void make_idle(int number)
{
	connections[number].busy = false;
	connections[number].len = 0;
	idle[(idle_first + idle_count++) % connection_count] = number;
}

static void open_all(void)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	connections = xcalloc((size_t)connection_count, sizeof(*connections));
	idle = xcalloc((size_t)connection_count, sizeof(*idle));
	epoll_fd = epoll_create1(0);
	for (int i = 0; i < connection_count; i++) {
		open_connection(i);
		make_idle(i);
	}
}

static void lose(int number)
{
	failed += connections[number].busy;
	(void)close(connections[number].fd);
	open_connection(number);
	if (connections[number].busy)
		make_idle(number);
}

static void send_one(uint64_t serial, int64_t arrived_us)
{
	const struct text *request = &requests[serial % request_count];
	int number = idle[idle_first];
	struct connection *connection = &connections[number];

	idle_first = (idle_first + 1) % connection_count;
	idle_count--;
	connection->busy = true;
	connection->arrived_us = arrived_us;
	if (send(connection->fd, request->bytes, request->len, MSG_NOSIGNAL) !=
	    (ssize_t)request->len)
		lose(number);
}

static bool is_whole(const struct connection *connection)
{
	const char *end = memmem(connection->reply, connection->len, "\r\n\r\n", 4);
	const char *length;

	if (!end)
		return false;
	length = memmem(connection->reply, connection->len, "Content-Length: ", 16);
	return length && connection->len >= (size_t)(end + 4 - connection->reply) +
					    strtoul(length + 16, NULL, 10);
}

static void receive(int number)
{
	struct connection *connection = &connections[number];
	ssize_t n = recv(connection->fd, connection->reply + connection->len,
			 REPLY_MAX - connection->len, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !connection->busy) {
		lose(number);
		return;
	}
	connection->len += (size_t)n;
	if (!is_whole(connection))
		return;
	if (memcmp(connection->reply, "HTTP/1.1 200", 12) == 0)
		note(&stored, now_us() - connection->arrived_us);
	else if (memcmp(connection->reply, "HTTP/1.1 503", 12) == 0)
		note(&refused, now_us() - connection->arrived_us);
	else
		failed++;
	make_idle(number);
}

static void receive_all(int wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms);

	for (int i = 0; i < n; i++)
		receive((int)events[i].data.u32);
}

static void run(double rate, double seconds)
{
	int64_t begin_us = now_us();
	int64_t end_us = begin_us + (int64_t)(seconds * 1e6);
	uint64_t serial = 0;
	int64_t us;

	while ((us = now_us()) < end_us) {
		uint64_t due = (uint64_t)((double)(us - begin_us) * rate / 1e6);

		for (int burst = 0; serial < due && burst < EVENTS_MAX; burst++) {
			int64_t arrived_us = begin_us + (int64_t)((double)serial * 1e6 / rate);

			if (idle_count > 0)
				send_one(serial, arrived_us);
			else
				unsent++;
			serial++;
		}
		receive_all(serial < due ? 0 : 1);
	}
	stored_in_time = stored.count;
	while (idle_count < connection_count && now_us() < end_us + TAIL_S * 1000000)
		receive_all(10);
}

int main(int argc, char **argv)
{
	double seconds = argc == 8 ? strtod(argv[6], NULL) : 0;

	if (argc != 8) {
		fprintf(stderr, "usage: open_load PORT PATH FILE RECORDS RATE SECONDS CONNECTIONS\n");
		return 2;
	}
	port = (int)strtol(argv[1], NULL, 10);
	connection_count = (int)strtol(argv[7], NULL, 10);
	make_requests(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	open_all();
	run(strtod(argv[5], NULL), seconds);
	printf("{\"stored\": %.0f, \"refused\": %.0f, \"unsent\": %.0f, \"failed\": %.0f,"
	       " \"stored_p50_ms\": %.1f, \"stored_p99_ms\": %.1f, \"refused_p50_ms\": %.1f,"
	       " \"refused_p99_ms\": %.1f, \"refused_max_ms\": %.1f}\n",
	       (double)stored_in_time / seconds, (double)refused.count / seconds,
	       (double)unsent / seconds, (double)failed / seconds, quantile(&stored, 0.5),
	       quantile(&stored, 0.99), quantile(&refused, 0.5), quantile(&refused, 0.99),
	       quantile(&refused, 1));
	return 0;
}
