#include "bare_http.h"

#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20 };

struct connection {
	char in[REQUEST_MAX];
	size_t len;
};

static struct connection *connections[BARE_CONNECTIONS_MAX];

static const char reply[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.kafka.v2+json\r\nContent-Length: 122\r\n\r\n"
	"{\"offsets\":[{\"partition\":0,\"offset\":12345678,\"error_code\":null,\"error\":null}],"
	"\"key_schema_id\":null,\"value_schema_id\":null}";

void bare_die(const char *what)
{
	perror(what);
	exit(1);
}

static void add_to(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		bare_die("epoll");
}

int bare_listen(int epoll, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int one = 1;

	(void)signal(SIGPIPE, SIG_IGN);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0)
		bare_die("listen");
	add_to(epoll, fd);
	return fd;
}

void bare_accept(int epoll, int listener)
{
	int one = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= BARE_CONNECTIONS_MAX) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!connections[fd])
			connections[fd] = xmalloc(sizeof(*connections[fd]));
		connections[fd]->len = 0;
		add_to(epoll, fd);
	}
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

void bare_read(int fd, bare_take_fn *take)
{
	struct connection *connection = connections[fd];
	ssize_t n = read(fd, connection->in + connection->len, REQUEST_MAX - connection->len);
	size_t body, body_len, whole;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN) {
			close(fd);
			connection->len = 0;
		}
		return;
	}
	connection->len += (size_t)n;
	while ((whole = frame(connection->in, connection->len, &body, &body_len)) > 0 &&
	       take(fd, connection->in + body, body_len)) {
		connection->len -= whole;
		memmove(connection->in, connection->in + whole, connection->len);
	}
}

/* A client that is gone needs none. */
void bare_answer(int fd) { (void)!write(fd, reply, sizeof(reply) - 1); }
