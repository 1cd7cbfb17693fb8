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
#include "bare_http.h"

#include "base/mem.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, FILE_BYTES = 256 << 20, GROUP_BYTES = 16 << 20 };

/* Bodies that the next sync makes durable, and who waits for it. */
struct group {
	char *bytes;
	size_t len;
	int waiting[BARE_CONNECTIONS_MAX];
	int count;
};

static struct group groups[2];
static struct group *open_group = &groups[0];
static struct group *busy_group;	/* the commit thread's, or NULL */
static off_t file_at;
static int file_fd, epoll_fd, done_fd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t handed = PTHREAD_COND_INITIALIZER;
static bool committed;

static void store_group(const struct group *group)
{
	if (file_at + (off_t)group->len > FILE_BYTES)
		file_at = 0;
	if (pwrite(file_fd, group->bytes, group->len, file_at) != (ssize_t)group->len)
		bare_die("pwrite");
	if (fdatasync(file_fd) < 0)
		bare_die("fdatasync");
	file_at += (off_t)group->len;
}

static void answer_group(struct group *group)
{
	for (int i = 0; i < group->count; i++)
		bare_answer(group->waiting[i]);
	group->count = 0;
	group->len = 0;
}

static bool take_request(int fd, const char *body, size_t len)
{
	if (open_group->len + len > GROUP_BYTES || open_group->count == BARE_CONNECTIONS_MAX)
		return false;
	memcpy(open_group->bytes + open_group->len, body, len);
	open_group->len += len;
	open_group->waiting[open_group->count++] = fd;
	return true;
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
			bare_die("eventfd");
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

static void fill_file(const char *path)
{
	static char zeros[1 << 20];

	file_fd = open(path, O_RDWR | O_CREAT, 0600);
	if (file_fd < 0)
		bare_die(path);
	for (off_t at = 0; at < FILE_BYTES; at += (off_t)sizeof(zeros))
		if (pwrite(file_fd, zeros, sizeof(zeros), at) < 0)
			bare_die("fill");
	if (fsync(file_fd) < 0)
		bare_die("fsync");
}

static void loop(int listener, bool threaded)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				bare_accept(epoll_fd, listener);
			else if (events[i].data.fd == done_fd)
				take_back();
			else
				bare_read(events[i].data.fd, take_request);
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
	listener = bare_listen(epoll_fd, (int)strtol(argv[1], NULL, 10));
	event.data.fd = done_fd;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, done_fd, &event);
	if (threaded && pthread_create(&thread, NULL, commit_thread, NULL) != 0)
		bare_die("thread");
	loop(listener, threaded);
	return 0;
}
