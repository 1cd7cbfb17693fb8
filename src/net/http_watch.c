/* http_watch.c - descriptors of others in the server's loop. */
#include "net/http_internal.h"

#include <sys/epoll.h>

static struct epoll_event http_watch_event(const struct http_server *server, uint32_t slot)
{
	return (struct epoll_event){
		.events = EPOLLIN,
		.data.u64 = (uint64_t)server->watches[slot].generation << 32 | HTTP_WATCH_EVENT |
			    slot,
	};
}

enum err_code http_watch_start(struct http_server *server, struct http_watch *watch,
			       struct err *err)
{
	struct epoll_event event;
	uint32_t slot = 0;

	while (slot < HTTP_WATCHES_MAX && server->watches[slot].watch)
		slot++;
	if (slot == HTTP_WATCHES_MAX)
		return err_set(err, ERR_BUSY, "%d descriptors are watched already",
			       HTTP_WATCHES_MAX);
	event = http_watch_event(server, slot);
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return err_errno(err, "could not watch a descriptor");
	server->watches[slot].watch = watch;
	watch->slot = slot;
	return ERR_OK;
}

/* Out of epoll and in again, or the end of a pipe would be told in spite of it. */
void http_watch_pause(struct http_server *server, struct http_watch *watch, bool pauses)
{
	struct epoll_event event = http_watch_event(server, watch->slot);

	(void)epoll_ctl(server->epoll_fd, pauses ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, watch->fd,
			&event);
	server->watches[watch->slot].ready = false;
}

void http_watch_stop(struct http_server *server, struct http_watch *watch)
{
	struct http_watch_slot *slot = &server->watches[watch->slot];

	(void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	*slot = (struct http_watch_slot){ .generation = slot->generation + 1 };
}

bool http_watch_note(struct http_server *server, uint64_t event)
{
	uint32_t slot = (uint32_t)event;

	if (slot < HTTP_WATCH_EVENT)
		return false;
	slot -= HTTP_WATCH_EVENT;
	if (server->watches[slot].watch && server->watches[slot].generation == event >> 32)
		server->watches[slot].ready = server->watch_ready = true;
	return true;
}

void http_watch_run(struct http_server *server)
{
	if (!server->watch_ready)
		return;
	server->watch_ready = false;
	for (uint32_t slot = 0; slot < HTTP_WATCHES_MAX; slot++) {
		struct http_watch_slot *at = &server->watches[slot];

		if (!at->ready)
			continue;
		at->ready = false;
		at->watch->ready(server, at->watch);
	}
}
