/* http_accept.c - new connections: the listening address, limits, running out of descriptors. */
#include "net/http_internal.h"

#include "base/mem.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPT_BATCH = 64,		/* in a turn; the open connections have theirs */
	ACCEPT_PAUSE_MS = 100,		/* when the kernel has no memory for another socket */
	HANDSHAKE_PAUSE_MS = 10,	/* when as many handshakes go on as may */
	HANDSHAKE_SLOW_MS = 1000,	/* a client far away needs less */
	UNSENT_BYTES_MAX = 64 << 10,	/* held by the kernel for a client that does not read */
};

static bool split_address(const char *listen, char host[NI_MAXHOST], const char **ret_port)
{
	const char *colon = strrchr(listen, ':');
	size_t len = colon ? (size_t)(colon - listen) : 0;
	char *end;

	if (len > 2 && listen[0] == '[' && listen[len - 1] == ']') {
		listen++;
		len -= 2;
	} else if (len > 0 && memchr(listen, ':', len)) {
		return false;		/* IPv6 without brackets: where is the port? */
	}
	if (len == 0 || len >= NI_MAXHOST || colon[1] < '0' || colon[1] > '9'
	    || strtoul(colon + 1, &end, 10) > UINT16_MAX || *end != '\0')
		return false;
	memcpy(host, listen, len);
	host[len] = '\0';
	*ret_port = colon + 1;
	return true;
}

static enum err_code resolve(const char *listen, struct addrinfo **ret_found, struct err *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	char host[NI_MAXHOST];
	const char *port;
	int rc;

	if (!split_address(listen, host, &port))
		return err_set(err, ERR_USAGE, "\"%s\" is not an address with a port, such as "
					       "\"127.0.0.1:8082\" or \"[::1]:8082\"", listen);
	rc = getaddrinfo(host, port, &hints, ret_found);
	if (rc != 0)
		return err_set(err, ERR_USAGE, "could not find address \"%s\": %s", listen,
			       gai_strerror(rc));
	return ERR_OK;
}

enum err_code http_listen_check(const char *listen, bool *ret_loopback, struct err *err)
{
	struct addrinfo *found;
	enum err_code code = resolve(listen, &found, err);

	if (code != ERR_OK)
		return code;
	/* The first one is what http_listen_open() takes. */
	*ret_loopback = http_peer_is_loopback((struct sockaddr_storage *)(void *)found->ai_addr);
	freeaddrinfo(found);
	return ERR_OK;
}

bool http_listen_fits(const char *listen, int fd, uint16_t *ret_port)
{
	struct sockaddr_in6 wanted = { 0 }, bound = { 0 }; /* sin_port of IPv4 is sin6_port's */
	socklen_t len = sizeof(bound);
	struct addrinfo *found;
	struct err unused;

	if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0 ||
	    resolve(listen, &found, &unused) != ERR_OK)
		return false;
	memcpy(&wanted, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	*ret_port = ntohs(bound.sin6_port);
	if (wanted.sin6_port == 0)
		wanted.sin6_port = bound.sin6_port;
	return memcmp(&wanted, &bound, sizeof(bound)) == 0;
}

static enum err_code bind_and_listen(int fd, const struct addrinfo *address, uint16_t *ret_port,
				     struct err *err)
{
	struct sockaddr_in6 bound = { 0 };	/* sin_port of IPv4 stands where sin6_port does */
	socklen_t len = sizeof(bound);
	int unsent_max = UNSENT_BYTES_MAX;
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Both are inherited by the connections. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof(unsent_max));
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		if (errno == EADDRINUSE)
			return err_set(err, ERR_EXISTS, "the address is in use already");
		return err_errno(err, "could not listen");
	}
	if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
		return err_errno(err, "could not read the port");
	*ret_port = ntohs(bound.sin6_port);
	return ERR_OK;
}

enum err_code http_listen_open(const char *listen, int *ret_fd, uint16_t *ret_port, struct err *err)
{
	struct addrinfo *found;
	enum err_code code = resolve(listen, &found, err);
	int fd;

	if (code != ERR_OK)
		return code;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		code = err_errno(err, "could not make a socket");
	else
		code = bind_and_listen(fd, found, ret_port, err);
	freeaddrinfo(found);
	if (code == ERR_OK) {
		*ret_fd = fd;
		return ERR_OK;
	}
	if (fd >= 0)
		(void)close(fd);
	return err_prefix(err, "\"%s\"", listen);
}

/* Closes one that only waits: it lingers, is idle the longest, or is slowest with its handshake or
 * its headers. */
static bool http_accept_make_room(struct http_server *server)
{
	return http_conn_close_first(server, WAIT_LINGER, NULL) ||
	       http_conn_close_first(server, WAIT_IDLE, NULL) ||
	       http_conn_close_first(server, WAIT_HANDSHAKE, NULL) ||
	       http_conn_close_first(server, WAIT_HEAD, NULL);
}

static bool http_accept_slot_free(struct http_server *server)
{
	struct http_conn *slab;

	if (server->free_count > 0)
		return true;
	if (server->slots == server->slots_max)
		return false;
	slab = xcalloc(SLAB_CONNS, sizeof(*slab));
	server->slabs[server->slots / SLAB_CONNS] = slab;
	for (uint32_t i = SLAB_CONNS; i-- > 0; ) {
		slab[i].slot = server->slots + i;
		server->free_slots[server->free_count++] = slab[i].slot;
	}
	server->slots += SLAB_CONNS;
	return true;
}

static bool http_accept_admit(struct http_server *server, const struct sockaddr_storage *address,
			      struct http_peer_key key)
{
	uint32_t per_ip_max = server->limits.connections_per_ip_max;

	if (server->options.client_header)
		per_ip_max = UINT32_MAX;	/* they are a proxy's: its clients are bound */
	else if (per_ip_max == 0)
		per_ip_max = http_peer_is_loopback(address) ? UINT32_MAX : HTTP_PER_IP_MAX;
	/* First, so that who has too many already cannot have others' connections closed. */
	if (!http_peers_add(&server->peers, key, per_ip_max))
		return false;
	if ((server->open < server->limits.connections_max || http_accept_make_room(server)) &&
	    http_accept_slot_free(server))
		return true;
	http_peers_remove(&server->peers, key);
	return false;
}

/*
 * Another handshake may begin. At the bound one that has been slow makes room; else the next
 * connection is left to the kernel, which refuses when it holds too many.
 */
static bool handshake_free(struct http_server *server)
{
	const struct http_timers *timers = &server->timers;
	struct http_timer *first;

	if (!server->tls || server->handshakes < server->limits.handshakes_max)
		return true;
	first = http_timers_first(&server->timers, WAIT_HANDSHAKE, NULL);
	if (first && server->now_ms - (first->deadline_ms - timers->length_ms[WAIT_HANDSHAKE]) >=
			     HANDSHAKE_SLOW_MS) {
		metric_add(METRIC_REFUSED, 1);
		return http_conn_close_first(server, WAIT_HANDSHAKE, NULL);
	}
	server->accept_after_ms = server->now_ms + HANDSHAKE_PAUSE_MS;
	return false;
}

static void http_accept_refuse(int fd)
{
	metric_add(METRIC_REFUSED, 1);
	(void)close(fd);
}

/*
 * No descriptor is left, and the listening socket stays readable: make room, or
 * else use the spare one to take the connection and close it, so that the
 * client is told and the loop does not spin.
 */
static bool refuse_without_descriptors(struct http_server *server, int listen_fd)
{
	int fd;

	if (http_accept_make_room(server))
		return true;
	if (server->spare_fd < 0)
		return false;
	(void)close(server->spare_fd);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		http_accept_refuse(fd);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

/* True: try again at once. */
static bool accept_failed(struct http_server *server, struct http_listener *listener, int error)
{
	switch (error) {
	case EAGAIN:
		listener->ready = false;
		return false;
	case EMFILE: case ENFILE:
		if (refuse_without_descriptors(server, listener->fd))
			return true;
		break;
	case ENOBUFS: case ENOMEM:
		break;
	default:		/* that one connection is gone already (accept(2)) */
		return true;
	}
	server->accept_after_ms = server->now_ms + ACCEPT_PAUSE_MS;
	return false;
}

/*
 * Few at a time, or a flood of connections would hold up those that are open;
 * the listening socket stays marked as ready, and the next turn goes on.
 */
static void http_accept_from(struct http_server *server, struct http_listener *listener)
{
	for (int n = 0; n < ACCEPT_BATCH && listener->ready; n++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof(address);
		struct http_peer_key key;
		int fd;

		if (server->now_ms < server->accept_after_ms || !handshake_free(server))
			return;
		fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (!accept_failed(server, listener, errno))
				return;
			continue;
		}
		key = http_peer_key(&address);
		if (http_accept_admit(server, &address, key))
			http_conn_open(server, fd, &address, key,
				       (unsigned)(listener - server->listeners));
		else
			http_accept_refuse(fd);
	}
}

void http_accept(struct http_server *server)
{
	if (!server->accept_ready || server->now_ms < server->accept_after_ms)
		return;
	server->accept_ready = false;
	for (unsigned i = 0; i < server->listener_count; i++) {
		http_accept_from(server, &server->listeners[i]);
		server->accept_ready |= server->listeners[i].ready;
	}
}

bool http_server_adopt(struct http_server *server, int fd, unsigned taken)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	struct http_peer_key key;
	unsigned listener = 0;

	while (listener < server->listener_count && server->listeners[listener].taken != taken + 1)
		listener++;
	if (listener == server->listener_count || server->tls ||
	    getpeername(fd, (struct sockaddr *)&address, &len) < 0) {
		(void)close(fd);
		return false;
	}
	key = http_peer_key(&address);
	if (!http_accept_admit(server, &address, key)) {
		http_accept_refuse(fd);
		return false;
	}
	http_conn_open(server, fd, &address, key, listener);
	return true;
}
