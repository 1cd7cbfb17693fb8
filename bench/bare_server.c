/*
 * bare_server.c - the limit that the gateway is measured against: an epoll
 * loop that does only what cannot be avoided.
 *
 * It reads requests, frames them by their Content-Length, appends the bodies
 * to one file whose blocks were written before, syncs once for all that wait,
 * and answers a constant. No parsing of JSON, no checks, no offsets, no
 * limits. With one thread the loop itself writes and syncs; with two, a commit
 * thread does while the loop reads on.
 *
 *	bare_server PORT FILE 1|2
 */
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, CONNECTIONS_MAX = 1024, REQUEST_MAX = 1 << 20,
       FILE_BYTES = 256 << 20, GROUP_BYTES = 16 << 20 };

struct connection {
	char in[REQUEST_MAX];
	size_t len;
};

/* Bodies that the next sync makes durable, and who waits for it. */
struct group {
	char *bytes;
	size_t len;
	int waiting[CONNECTIONS_MAX];
	int count;
};

static struct connection *connections[CONNECTIONS_MAX];
static struct group groups[2];
static struct group *open_group = &groups[0];
static struct group *busy_group;	/* the commit thread's, or NULL */
static off_t file_at;
static int file_fd, epoll_fd, done_fd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t handed = PTHREAD_COND_INITIALIZER;
static bool committed;

static const char reply[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.kafka.v2+json\r\nContent-Length: 122\r\n\r\n"
	"{\"offsets\":[{\"partition\":0,\"offset\":12345678,\"error_code\":null,\"error\":null}],"
	"\"key_schema_id\":null,\"value_schema_id\":null}";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void store_group(const struct group *group)
{
	if (file_at + (off_t)group->len > FILE_BYTES)
		file_at = 0;
	if (pwrite(file_fd, group->bytes, group->len, file_at) != (ssize_t)group->len)
		die("pwrite");
	if (fdatasync(file_fd) < 0)
		die("fdatasync");
	file_at += (off_t)group->len;
}

static void answer_group(struct group *group)
{
	for (int i = 0; i < group->count; i++)
		if (write(group->waiting[i], reply, sizeof(reply) - 1) < 0 && errno != EPIPE)
			continue;
	group->count = 0;
	group->len = 0;
}

/* The length of a whole request in `text`, or 0; its body's place too. */
static size_t frame(const char *text, size_t len, size_t *ret_body, size_t *ret_body_len)
{
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	const char *length;
	size_t head;

	if (!end)
		return 0;
	head = (size_t)(end - text) + 4;
	length = memmem(text, head, "Content-Length: ", 16);
	*ret_body_len = length ? strtoul(length + 16, NULL, 10) : 0;
	*ret_body = head;
	return len >= head + *ret_body_len ? head + *ret_body_len : 0;
}

static void take_requests(int fd, struct connection *connection)
{
	size_t body, body_len, whole;

	while ((whole = frame(connection->in, connection->len, &body, &body_len)) > 0) {
		if (open_group->len + body_len > GROUP_BYTES ||
		    open_group->count == CONNECTIONS_MAX)
			return;
		memcpy(open_group->bytes + open_group->len, connection->in + body, body_len);
		open_group->len += body_len;
		open_group->waiting[open_group->count++] = fd;
		connection->len -= whole;
		memmove(connection->in, connection->in + whole, connection->len);
	}
}

static void read_from(int fd)
{
	struct connection *connection = connections[fd];
	ssize_t n = read(fd, connection->in + connection->len, REQUEST_MAX - connection->len);

	if (n > 0) {
		connection->len += (size_t)n;
		take_requests(fd, connection);
	} else if (n == 0 || errno != EAGAIN) {
		close(fd);
		connection->len = 0;
	}
}

static void accept_from(int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	int one = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= CONNECTIONS_MAX) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!connections[fd])
			connections[fd] = xmalloc(sizeof(*connections[fd]));
		connections[fd]->len = 0;
		event.data.fd = fd;
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	}
}

static void *commit_thread(void *unused)
{
	uint64_t one = 1;

	(void)unused;
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!busy_group || committed)
			pthread_cond_wait(&handed, &lock);
		pthread_mutex_unlock(&lock);
		store_group(busy_group);
		pthread_mutex_lock(&lock);
		committed = true;
		pthread_mutex_unlock(&lock);
		if (write(done_fd, &one, sizeof(one)) < 0)
			die("eventfd");
	}
	return NULL;
}

/* Hand the open group over if the commit thread is free. */
static void hand_over(void)
{
	if (busy_group || open_group->count == 0)
		return;
	pthread_mutex_lock(&lock);
	busy_group = open_group;
	committed = false;
	open_group = busy_group == &groups[0] ? &groups[1] : &groups[0];
	pthread_cond_signal(&handed);
	pthread_mutex_unlock(&lock);
}

static void take_back(void)
{
	uint64_t count;

	if (read(done_fd, &count, sizeof(count)) < 0)
		return;
	assert(busy_group);	/* only what was handed over is told done */
	answer_group(busy_group);
	pthread_mutex_lock(&lock);
	busy_group = NULL;
	pthread_mutex_unlock(&lock);
}

static int make_listener(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0)
		die("listen");
	return fd;
}

static void fill_file(const char *path)
{
	static char zeros[1 << 20];

	file_fd = open(path, O_RDWR | O_CREAT, 0600);
	if (file_fd < 0)
		die(path);
	for (off_t at = 0; at < FILE_BYTES; at += (off_t)sizeof(zeros))
		if (pwrite(file_fd, zeros, sizeof(zeros), at) < 0)
			die("fill");
	if (fsync(file_fd) < 0)
		die("fsync");
}

static void loop(int listener, bool threaded)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_from(listener);
			else if (events[i].data.fd == done_fd)
				take_back();
			else
				read_from(events[i].data.fd);
		}
		if (threaded) {
			hand_over();
		} else if (open_group->count) {
			store_group(open_group);
			answer_group(open_group);
		}
	}
}

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN };
	bool threaded = argc > 3 && argv[3][0] == '2';
	pthread_t thread;
	int listener;

	if (argc != 4) {
		fprintf(stderr, "usage: bare_server PORT FILE 1|2\n");
		return 2;
	}
	groups[0].bytes = xmalloc(GROUP_BYTES);
	groups[1].bytes = xmalloc(GROUP_BYTES);
	fill_file(argv[2]);
	epoll_fd = epoll_create1(0);
	done_fd = eventfd(0, EFD_NONBLOCK);
	listener = make_listener((int)strtol(argv[1], NULL, 10));
	event.data.fd = listener;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
	event.data.fd = done_fd;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, done_fd, &event);
	if (threaded && pthread_create(&thread, NULL, commit_thread, NULL) != 0)
		die("thread");
	loop(listener, threaded);
	return 0;
}
