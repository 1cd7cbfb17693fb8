/*
 * bare_http.h - HTTP as far as a limit needs it: requests framed by their Content-Length, one
 * constant answer.
 */
#ifndef BENCH_BARE_HTTP_H
#define BENCH_BARE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

enum { BARE_CONNECTIONS_MAX = 1024 };

/* A request's body, valid for the call; false: there is no room now, and it stays for the next
 * read. */
typedef bool bare_take_fn(int fd, const char *body, size_t len);

void bare_die(const char *what);
/* Listens, and adds that to the epoll. */
int bare_listen(int epoll, int port);
/* Adds all that wait to the epoll. */
void bare_accept(int epoll, int listener);
/* Hands over all whole requests; at the end of the connection it is closed. */
void bare_read(int fd, bare_take_fn *take);
void bare_answer(int fd);

#endif
