/* http_server.c - start, the loop, work from other threads, stop. */
#include "net/http_internal.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256, /* of one turn */
	SLEEP_MS_MAX = 60 * 1000,
	LEAVING_MS = 20,	 /* while it is looked whether somebody is still awaited */
	DESCRIPTORS_OTHER = 256, /* that the process may need beside the connections' */
};

/* What epoll's events carry instead of a connection; below the last, the number of a listener. */
#define EVENT_WAKE UINT64_MAX
#define EVENT_LISTEN(number) (UINT64_MAX - 1 - (number))

static_assert(HTTP_WATCHES_MAX < 0xff00,
	      "the last slots are those of the listeners and the wake-up");

const struct http_limits http_limits_default = {
	.body_bytes_max = 8 << 20,
	.header_bytes_max = 16 << 10,
	.headers_max = HTTP_HEADERS_MAX,
	.connections_max = 10000,
	.connections_per_ip_max = 0,
	.handshakes_max = 1024,
	.pipeline_max = HTTP_PIPELINE_MAX,
	.buffer_bytes_max = 96 << 20,
	.header_ms = 10000,
	.body_ms = 60000,
	.body_grace_ms = 10000,
	.body_bytes_per_s_min = 1024,
	.write_ms = 30000,
	.idle_ms = 60000,
};

static void set_timers(struct http_server *server)
{
	const struct http_limits *limits = &server->limits;
	int64_t *length_ms = server->timers.length_ms;
	int64_t grace_ms = limits->body_grace_ms < limits->body_ms ? limits->body_grace_ms
								   : limits->body_ms;

	length_ms[WAIT_HANDSHAKE] = limits->header_ms;
	length_ms[WAIT_HEAD] = limits->header_ms;
	length_ms[WAIT_BODY] = grace_ms;
	length_ms[WAIT_BODY_RATE] = grace_ms / 10 + 1;
	length_ms[WAIT_WRITE] = limits->write_ms;
	length_ms[WAIT_IDLE] = limits->idle_ms;
	length_ms[WAIT_LINGER] = LINGER_MS;
}

/* What a shell or a service manager lets a process have by default is for programs of less. */
static void allow_descriptors(uint32_t connections_max)
{
	rlim_t wanted = (rlim_t)connections_max + DESCRIPTORS_OTHER;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
		trace_warn("there may not be descriptors for %u connections (ulimit -Hn)",
			   connections_max);
}

static enum err_code open_descriptors(struct http_server *server, struct err *err)
{
	struct epoll_event wake = { .events = EPOLLIN | EPOLLET, .data.u64 = EVENT_WAKE };

	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server->epoll_fd < 0 || server->wake_fd < 0 || server->spare_fd < 0 ||
	    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->wake_fd, &wake) < 0)
		return err_errno(err, "could not set up the server's loop");
	for (unsigned i = 0; i < server->listener_count; i++) {
		struct epoll_event listen = { .events = EPOLLIN | EPOLLET,
					      .data.u64 = EVENT_LISTEN(i) };

		if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listeners[i].fd, &listen) <
		    0)
			return err_errno(err, "could not set up the server's loop");
	}
	if (stop_fd() >= 0)		/* only to wake the loop, which asks stop_requested() */
		(void)epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, stop_fd(), &wake);
	return ERR_OK;
}

static enum err_code open_listeners(struct http_server *server, struct err *err)
{
	const char *const *also = server->options.listen_also;
	const char *listen = server->options.listen;

	while (listen) {
		struct http_listener *listener = &server->listeners[server->listener_count];

		assert(server->listener_count < HTTP_LISTENERS_MAX);
		if (!http_listener_take(server, listen, listener) &&
		    http_listen_open(listen, &listener->fd, &listener->port, err) != ERR_OK)
			return err->code;
		server->listener_count++;
		listen = also ? *also++ : NULL;
	}
	return ERR_OK;
}

enum err_code http_server_new(const struct http_server_options *options,
			      struct http_server **ret_server, struct err *err)
{
	struct http_server *server = xcalloc(1, sizeof(*server));
	const struct http_limits *limits = &options->limits;
	enum err_code code = ERR_OK;

	assert(limits->pipeline_max > 0 && limits->pipeline_max <= HTTP_PIPELINE_MAX);
	assert(limits->headers_max <= HTTP_HEADERS_MAX && limits->connections_max > 0);
	server->options = *options;
	server->limits = *limits;
	server->epoll_fd = server->wake_fd = server->spare_fd = -1;
	(void)pthread_mutex_init(&server->listeners_lock, NULL);
	server->slots_max = (limits->connections_max / SLAB_CONNS + 2) * SLAB_CONNS;
	server->slabs = xcalloc(server->slots_max / SLAB_CONNS, sizeof(struct http_conn *));
	server->free_slots = xcalloc(server->slots_max, sizeof(uint32_t));
	server->path_room = xmalloc(limits->header_bytes_max);
	server->now_ms = clock_mono_ms();
	http_pool_init(&server->pool, limits->buffer_bytes_max);
	http_timers_init(&server->timers);
	http_peers_init(&server->peers, limits->connections_max);
	if (options->client_header)
		http_peers_init(&server->clients, limits->connections_max);
	set_timers(server);
	http_refresh_date(server);
	allow_descriptors(limits->connections_max);
	if (options->tls_cert || options->tls_key)
		code = http_tls_open(options->tls_cert, options->tls_key, &server->tls, err);
	if (code == ERR_OK)
		http_tls_refresh(server);	/* the first time, it notes what the files are */
	if (code == ERR_OK)
		code = open_listeners(server, err);
	if (code == ERR_OK)
		code = open_descriptors(server, err);
	if (code != ERR_OK) {
		http_server_free(server);
		return code;
	}
	*ret_server = server;
	return ERR_OK;
}

struct http_conn *http_server_conn(const struct http_server *server, uint32_t slot)
{
	return &server->slabs[slot / SLAB_CONNS][slot % SLAB_CONNS];
}

static void close_descriptor(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void close_listeners(struct http_server *server)
{
	(void)pthread_mutex_lock(&server->listeners_lock);
	for (unsigned i = 0; i < server->listener_count; i++) {
		close_descriptor(server->listeners[i].fd);
		server->listeners[i].fd = -1;
		server->listeners[i].ready = false;
	}
	(void)pthread_mutex_unlock(&server->listeners_lock);
	server->accept_ready = false;
}

static void close_all(struct http_server *server)
{
	for (uint32_t slot = 0; slot < server->slots; slot++)
		if (http_server_conn(server, slot)->phase != PHASE_CLOSED)
			http_conn_close(server, http_server_conn(server, slot));
}

static void run_tasks(struct http_server *server)
{
	struct http_task *task;
	struct http_task *turned = NULL;
	struct http_task *next;

	task = atomic_exchange_explicit(&server->tasks, NULL, memory_order_acquire);
	for (; task; task = next) {
		next = task->next;
		task->next = turned;
		turned = task;
	}
	for (task = turned; task; task = next) {
		next = task->next;	/* run() may free it */
		task->run(server, task);
	}
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	run_tasks(server);
	close_all(server);
	http_pieces_tell(server);
	for (uint32_t slot = 0; slot < server->slots; slot += SLAB_CONNS)
		free(server->slabs[slot / SLAB_CONNS]);
	close_listeners(server);
	(void)pthread_mutex_destroy(&server->listeners_lock);
	close_descriptor(server->epoll_fd);
	close_descriptor(server->wake_fd);
	close_descriptor(server->spare_fd);
	http_tls_close(server->tls);
	http_peers_release(&server->peers);
	http_peers_release(&server->clients);
	http_pool_release(&server->pool);
	free(server->slabs);
	free(server->free_slots);
	free(server->path_room);
	free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
	return http_server_port_of(server, 0);
}

uint16_t http_server_port_of(const struct http_server *server, unsigned listener)
{
	assert(listener < server->listener_count);
	return server->listeners[listener].port;
}

static void wake(struct http_server *server)
{
	uint64_t one = 1;

	/* Never read: edge-triggered, so that each write is an event. */
	(void)!write(server->wake_fd, &one, sizeof(one));
}

void http_server_stop(struct http_server *server)
{
	atomic_store(&server->stop, true);
	wake(server);
}

void http_server_part(struct http_server *server) { atomic_store(&server->part, true); }

void http_server_leave(struct http_server *server)
{
	atomic_store(&server->part, true);
	atomic_store(&server->leave, true);
	wake(server);
}

bool http_server_stops(struct http_server *server)
{
	return server->draining || atomic_load(&server->stop) || stop_requested();
}

/*
 * The tasks are a stack. A chain goes on it last task first, so that the loop,
 * which takes all and turns them round once, gets every chain in its order and
 * the chains in theirs. Only who finds it empty and the loop asleep wakes: the
 * loop takes everything after a wake-up, and looks once more after it has said
 * that it sleeps.
 */
void http_post(struct http_server *server, struct http_task *first, struct http_task *last)
{
	struct http_task *turned = NULL;
	struct http_task *newest;

	assert(first && last);
	last->next = NULL;
	for (struct http_task *task = first, *next; task; task = next) {
		next = task->next;
		task->next = turned;
		turned = task;
	}
	newest = atomic_load_explicit(&server->tasks, memory_order_relaxed);
	do
		first->next = newest;
	while (!atomic_compare_exchange_weak(&server->tasks, &newest, turned));
	if (!newest && atomic_load(&server->asleep))
		wake(server);
}

void http_server_queue(struct http_server *server, struct http_conn *conn)
{
	if (conn->queued || conn->turning)
		return;
	conn->queued = true;
	conn->queue_next = NULL;
	if (server->queue_tail)
		server->queue_tail->queue_next = conn;
	else
		server->queue_head = conn;
	server->queue_tail = conn;
}

/* One turn for each that is queued now; those that queue again wait for the others. */
static void run_queue(struct http_server *server)
{
	struct http_conn *last = server->queue_tail;
	struct http_conn *conn = NULL;

	while (conn != last && server->queue_head) {
		conn = server->queue_head;
		server->queue_head = conn->queue_next;
		if (!server->queue_head)
			server->queue_tail = NULL;
		conn->queued = false;
		if (conn->phase == PHASE_CLOSED)
			server->free_slots[server->free_count++] = conn->slot;
		else
			http_conn_turn(server, conn);
	}
}

/*
 * Only marks what is known: epoll is edge-triggered and tells each thing once.
 * An event of a slot's former connection, closed in this very turn, is told by
 * its generation.
 */
static void note_event(struct http_server *server, const struct epoll_event *event)
{
	uint32_t slot = (uint32_t)event->data.u64;
	struct http_conn *conn;

	if (event->data.u64 == EVENT_WAKE)
		return;
	if (event->data.u64 >= EVENT_LISTEN(HTTP_LISTENERS_MAX - 1)) {
		server->listeners[EVENT_LISTEN(0) - event->data.u64].ready = true;
		server->accept_ready = true;
		return;
	}
	if (http_watch_note(server, event->data.u64))
		return;
	conn = http_server_conn(server, slot);
	if (conn->generation != event->data.u64 >> 32)
		return;
	if (event->events & (EPOLLIN | EPOLLRDHUP))
		conn->readable = true;
	if (event->events & EPOLLRDHUP)
		conn->hung_up = true;
	if (event->events & EPOLLOUT)
		conn->blocked = false;
	if (event->events & (EPOLLERR | EPOLLHUP))
		conn->dead = true;
	http_server_queue(server, conn);
}

static void expire(struct http_server *server)
{
	struct http_timer *timer;

	while ((timer = http_timers_expired(&server->timers, server->now_ms)) != NULL)
		http_conn_expire(server, http_conn_of_timer(timer));
}

static int sleep_ms(struct http_server *server, int64_t end_ms)
{
	int64_t most_ms = end_ms - server->now_ms;

	if (most_ms > SLEEP_MS_MAX)
		most_ms = SLEEP_MS_MAX;
	if (server->options.turn_every_ms && most_ms > server->options.turn_every_ms)
		most_ms = server->options.turn_every_ms;
	if ((server->leaving || atomic_load(&server->leave)) && most_ms > LEAVING_MS)
		most_ms = LEAVING_MS;
	if (server->queue_head)
		return 0;
	if (server->accept_ready && server->accept_after_ms - server->now_ms < most_ms)
		most_ms = server->accept_after_ms - server->now_ms;
	return (int)http_timers_sleep_ms(&server->timers, server->now_ms, most_ms);
}

/* Stops accepting; every connection gets a turn, in which it closes if nothing is owed to it. */
static void http_server_drain(struct http_server *server)
{
	server->draining = true;
	close_listeners(server);
	for (uint32_t slot = 0; slot < server->slots; slot++) {
		struct http_conn *conn = http_server_conn(server, slot);

		if (conn->phase == PHASE_CLOSED)
			continue;
		http_pieces_drain(server, conn);
		http_server_queue(server, conn);
	}
}

/*
 * Answers first, accepting last: who is here already is served before somebody
 * new is let in. What the turn appends shares a commit, which is why `turn` is
 * told of both ends.
 */
static void http_server_one_turn(struct http_server *server, const struct epoll_event *events,
				 int n)
{
	const struct http_server_options *options = &server->options;

	if (options->turn)
		options->turn(options->user, true);
	http_refresh_date(server);
	http_tls_refresh(server);
	server->handshake_steps = 0;
	run_tasks(server);
	for (int i = 0; i < n; i++)
		note_event(server, &events[i]);
	http_watch_run(server);
	expire(server);
	run_queue(server);
	http_pieces_tell(server);
	http_accept(server);
	if (options->turn)
		options->turn(options->user, false);
}

enum err_code http_server_turn(struct http_server *server, int wait_ms, struct err *err)
{
	struct epoll_event events[EVENTS_MAX];
	int n;

	atomic_store(&server->asleep, true);
	if (atomic_load(&server->tasks))
		wait_ms = 0;
	n = epoll_wait(server->epoll_fd, events, EVENTS_MAX, wait_ms);
	atomic_store(&server->asleep, false);
	if (n < 0 && errno != EINTR)
		return err_errno(err, "could not wait for connections");
	server->now_ms = clock_mono_ms();
	http_server_one_turn(server, events, n);
	return ERR_OK;
}

static bool is_at_its_end(const struct http_server *server)
{
	return server->leaving ? http_handover_ready(server)
			       : server->draining && server->open == 0;
}

enum err_code http_server_run(struct http_server *server, int64_t drain_ms, struct err *err)
{
	int64_t end_ms = INT64_MAX;

	while (server->now_ms < end_ms && !is_at_its_end(server)) {
		enum err_code code = http_server_turn(server, sleep_ms(server, end_ms), err);

		if (code != ERR_OK)
			return code;
		if (server->draining || server->leaving)
			continue;
		if (http_server_stops(server))
			http_server_drain(server);
		else if (atomic_load(&server->leave) && http_handover_is_due(server, drain_ms))
			http_handover_begin(server);
		else
			continue;
		end_ms = server->now_ms + drain_ms;
	}
	if (server->leaving)
		return ERR_OK;
	if (server->open > 0)
		trace_warn("%u connections were closed before they were answered", server->open);
	close_all(server);
	http_pieces_tell(server);
	return ERR_OK;
}
