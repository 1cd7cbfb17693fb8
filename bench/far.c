/*
 * far.c - a TCP proxy that makes a server of this machine one that is far away:
 * what comes goes on DELAY_MS later, in either direction, and a new connection
 * takes the round trip that its handshake would.
 *
 *	far PORT SERVER_PORT DELAY_MS
 *
 * It counts the HTTP requests that pass. At SIGTERM it prints them by what they ask for, and ends:
 *	put 12 get 40 list 3 head 1 delete 0 other 0
 *
 * The delay is the same for all, so what is due first is what came first: one
 * queue for all connections. What a peer does not take yet waits with it.
 */
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK_BYTES = 128 << 10,
	WAITING_MAX = 16 << 20,		/* of one direction; no more is read then */
	EVENTS_MAX = 64,
	HEAD_MAX = 16 << 10,
	NS_A_MS = 1000000,
};

enum far_kind { FAR_PUT, FAR_GET, FAR_LIST, FAR_HEAD, FAR_DELETE, FAR_OTHER, FAR_KINDS };

static const char *const kind_names[] = { "put", "get", "list", "head", "delete", "other" };

struct chunk {
	struct chunk *next;
	struct way *way;
	int64_t due_ns;
	size_t at;
	size_t len;			/* 0: the end */
	char bytes[CHUNK_BYTES];
};

/* One direction of a connection. */
struct way {
	struct link *link;
	int from;
	int to;
	struct chunk *due;		/* what `to` has not taken yet */
	struct chunk **due_end;
	size_t waiting;			/* bytes read and not written */
	size_t chunks;			/* in the queue, or due */
	bool full;
	bool ended;			/* nothing more comes, or can be given */
};

/* The requests of a connection as they go by. */
struct sniffer {
	char head[HEAD_MAX];
	size_t len;
	uint64_t body_left;
};

struct link {
	struct link *next;
	struct way up, down;
	int64_t due_ns;			/* of its first bytes */
	bool over;
	struct sniffer sniffer;
};

static struct {
	int epoll;
	int listener;
	uint16_t server_port;
	int64_t delay_ns;
	struct chunk *queue, **queue_end;
	struct chunk *idle;
	struct link *opening, **opening_end;
	struct link *over;		/* to be freed at the end of the turn */
	uint64_t counts[FAR_KINDS];
} far;

static volatile sig_atomic_t ending;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 * NS_A_MS + now.tv_nsec;
}

/* --- counting ------------------------------------------------------------------ */

static enum far_kind kind_of(const char *head)
{
	size_t line = strcspn(head, "\r");

	if (strncmp(head, "PUT ", 4) == 0)
		return FAR_PUT;
	if (strncmp(head, "GET ", 4) == 0)
		return memmem(head, line, "list-type=2", 11) ? FAR_LIST : FAR_GET;
	if (strncmp(head, "HEAD ", 5) == 0)
		return FAR_HEAD;
	return strncmp(head, "DELETE ", 7) == 0 ? FAR_DELETE : FAR_OTHER;
}

static uint64_t body_of(const char *head)
{
	static const char name[] = "\r\ncontent-length:";

	for (const char *at = head; *at; at++)
		if (strncasecmp(at, name, sizeof(name) - 1) == 0)
			return strtoull(at + sizeof(name) - 1, NULL, 10);
	return 0;
}

static void sniff_head(struct sniffer *sniffer, char c)
{
	if (sniffer->len + 1 < HEAD_MAX)
		sniffer->head[sniffer->len++] = c;
	if (sniffer->len < 4 || memcmp(sniffer->head + sniffer->len - 4, "\r\n\r\n", 4) != 0)
		return;
	sniffer->head[sniffer->len] = '\0';
	far.counts[kind_of(sniffer->head)]++;
	sniffer->body_left = body_of(sniffer->head);
	sniffer->len = 0;
}

static void sniff(struct sniffer *sniffer, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t skip = sniffer->body_left < len ? (size_t)sniffer->body_left : len;

		sniffer->body_left -= skip;
		bytes += skip;
		len -= skip;
		if (len > 0) {
			sniff_head(sniffer, *bytes++);
			len--;
		}
	}
}

/* --- chunks ---------------------------------------------------------------------- */

static struct chunk *take_chunk(void)
{
	struct chunk *chunk = far.idle;

	if (!chunk)
		return xmalloc(sizeof(*chunk));
	far.idle = chunk->next;
	return chunk;
}

static void drop_chunk(struct chunk *chunk)
{
	chunk->way->chunks--;
	chunk->next = far.idle;
	far.idle = chunk;
}

/* --- one direction ---------------------------------------------------------------- */

static void watch(int fd, struct way *reads, struct way *writes)
{
	struct epoll_event event = { .data.ptr = reads };

	event.events = (!reads->full && !reads->ended ? EPOLLIN : 0u) |
		       (writes->due ? EPOLLOUT : 0u);
	if (epoll_ctl(far.epoll, EPOLL_CTL_MOD, fd, &event) < 0)
		die("epoll_ctl");
}

static void watch_both(struct link *link)
{
	watch(link->up.from, &link->up, &link->down);
	watch(link->down.from, &link->down, &link->up);
}

static void close_if_over(struct link *link)
{
	if (link->over || !link->up.ended || !link->down.ended || link->up.chunks ||
	    link->down.chunks)
		return;
	(void)close(link->up.from);
	(void)close(link->down.from);
	link->over = true;
	link->next = far.over;
	far.over = link;
}

/* The first of what is due; false: the peer takes no more now. */
static bool write_chunk(struct way *way)
{
	struct chunk *chunk = way->due;
	ssize_t n = 0;

	if (chunk->len == 0)
		(void)shutdown(way->to, SHUT_WR);
	else
		n = send(way->to, chunk->bytes + chunk->at, chunk->len - chunk->at, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		n = (ssize_t)(chunk->len - chunk->at);	/* it is gone: the rest is for nobody */
	chunk->at += (size_t)n;
	way->waiting -= (size_t)n;
	if (chunk->at < chunk->len)
		return false;
	way->due = chunk->next;
	if (!way->due)
		way->due_end = &way->due;
	drop_chunk(chunk);
	return true;
}

static void give(struct way *way)
{
	struct link *link = way->link;

	while (way->due && write_chunk(way))
		;
	way->full = way->full && way->waiting > WAITING_MAX / 2;
	watch_both(link);
	close_if_over(link);
}

static void push(struct way *way, struct chunk *chunk)
{
	chunk->due_ns = now_ns() + far.delay_ns;
	chunk->way = way;
	chunk->at = 0;
	chunk->next = NULL;
	way->chunks++;
	way->waiting += chunk->len;
	way->full = way->waiting > WAITING_MAX;
	*far.queue_end = chunk;
	far.queue_end = &chunk->next;
}

static void take(struct way *way)
{
	struct chunk *chunk = take_chunk();
	ssize_t n = recv(way->from, chunk->bytes, CHUNK_BYTES, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		chunk->next = far.idle;
		far.idle = chunk;
		return;
	}
	chunk->len = n > 0 ? (size_t)n : 0;
	way->ended = n <= 0;
	if (way == &way->link->up)
		sniff(&way->link->sniffer, chunk->bytes, chunk->len);
	push(way, chunk);
	watch_both(way->link);
}

static void move_due(void)
{
	int64_t now = now_ns();

	while (far.queue && far.queue->due_ns <= now) {
		struct chunk *chunk = far.queue;
		struct way *way = chunk->way;

		far.queue = chunk->next;
		if (!far.queue)
			far.queue_end = &far.queue;
		chunk->next = NULL;
		*way->due_end = chunk;
		way->due_end = &chunk->next;
		give(way);
	}
}

/* --- connections -------------------------------------------------------------------- */

static struct sockaddr_in address_of(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void way_init(struct way *way, struct link *link, int from, int to)
{
	static const int on = 1;
	struct epoll_event event = { .data.ptr = way };

	*way = (struct way){ .link = link, .from = from, .to = to };
	way->due_end = &way->due;
	(void)setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (fcntl(from, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(far.epoll, EPOLL_CTL_ADD, from, &event) < 0)
		die("a new connection");
}

static void accept_one(void)
{
	struct sockaddr_in server = address_of(far.server_port);
	int client = accept(far.listener, NULL, NULL), up;
	struct link *link;

	if (client < 0)
		return;
	up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (up < 0 || connect(up, (struct sockaddr *)&server, sizeof(server)) < 0)
		die("the server");
	link = xcalloc(1, sizeof(*link));
	link->due_ns = now_ns() + 2 * far.delay_ns;
	way_init(&link->up, link, client, up);
	way_init(&link->down, link, up, client);
	*far.opening_end = link;
	far.opening_end = &link->next;
}

/* Handshakes that are over: from now on both sides are listened to. */
static void open_due(void)
{
	int64_t now = now_ns();

	while (far.opening && far.opening->due_ns <= now) {
		struct link *link = far.opening;

		far.opening = link->next;
		if (!far.opening)
			far.opening_end = &far.opening;
		watch_both(link);
	}
}

static void listen_on(uint16_t port)
{
	struct sockaddr_in own = address_of(port);
	struct epoll_event event = { .events = EPOLLIN };
	static const int on = 1;

	far.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)setsockopt(far.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(far.listener, (struct sockaddr *)&own, sizeof(own)) < 0 ||
	    listen(far.listener, SOMAXCONN) < 0 ||
	    epoll_ctl(far.epoll, EPOLL_CTL_ADD, far.listener, &event) < 0)
		die("the own port");
}

/* --- the loop ------------------------------------------------------------------------- */

/* Until something is due, half a second at the most. */
static struct timespec next_due(void)
{
	int64_t now = now_ns(), due = now + 500 * NS_A_MS;

	if (far.queue && far.queue->due_ns < due)
		due = far.queue->due_ns;
	if (far.opening && far.opening->due_ns < due)
		due = far.opening->due_ns;
	return (struct timespec){ .tv_nsec = due > now ? (long)(due - now) : 0 };
}

static void happened(struct way *way, uint32_t events)
{
	if (way->link->over)
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !way->ended)
		take(way);
	if (events & EPOLLOUT)
		give(way == &way->link->up ? &way->link->down : &way->link->up);
}

static void turn(void)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait = next_due();
	int count = epoll_pwait2(far.epoll, events, EVENTS_MAX, &wait, NULL);

	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			happened(events[i].data.ptr, events[i].events);
		else
			accept_one();
	}
	open_due();
	move_due();
	while (far.over) {
		struct link *link = far.over;

		far.over = link->next;
		free(link);
	}
}

static void end(int number)
{
	(void)number;
	ending = 1;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		(void)fprintf(stderr, "usage: far PORT SERVER_PORT DELAY_MS\n");
		return 2;
	}
	far.server_port = (uint16_t)strtoul(argv[2], NULL, 10);
	far.delay_ns = strtol(argv[3], NULL, 10) * NS_A_MS;
	far.queue_end = &far.queue;
	far.opening_end = &far.opening;
	far.epoll = epoll_create1(EPOLL_CLOEXEC);
	(void)signal(SIGTERM, end);
	(void)signal(SIGPIPE, SIG_IGN);
	listen_on((uint16_t)strtoul(argv[1], NULL, 10));
	while (!ending)
		turn();
	for (int i = 0; i < FAR_KINDS; i++)
		printf("%s %llu%s", kind_names[i], (unsigned long long)far.counts[i],
		       i + 1 < FAR_KINDS ? " " : "\n");
	return 0;
}
