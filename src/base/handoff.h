/*
 * handoff.h - messages with descriptors between two processes of one directory, over a socket that
 * is a file there (0600). A message comes whole or not at all (SOCK_SEQPACKET); both ends agree on
 * its length.
 *
 * The file is reached through the directory's descriptor, so that its path may be longer than the
 * 108 bytes of a socket's address.
 *
 * Threads: any; one an end.
 */
#ifndef BASE_HANDOFF_H
#define BASE_HANDOFF_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { HANDOFF_FDS_MAX = 128 };

/* In place of a file that another process has left. */
MUST_USE enum err_code handoff_listen(const char *dir, const char *name, int *ret_fd,
				      struct err *err);
/* The file. */
void handoff_remove(const char *dir, const char *name);
/* ERR_ABSENT: nobody listens. */
MUST_USE enum err_code handoff_connect(const char *dir, const char *name, int *ret_fd,
				       struct err *err);
/* Copies of the descriptors go along. ERR_TIMEOUT: the other end has not read enough of what it was
 * sent before; nothing was sent. */
MUST_USE enum err_code handoff_send(int fd, int64_t timeout_ms, const void *message, size_t len,
				    const int *fds, size_t fd_count, struct err *err);
/* The next message; its descriptors are the caller's. ERR_CLOSED: the other end is; ERR_TIMEOUT;
 * ERR_STOPPED: `wake_fd` (-1: none) became readable before; ERR_CORRUPT: one of another length. */
MUST_USE enum err_code handoff_receive(int fd, int wake_fd, int64_t timeout_ms, void *message,
				       size_t len, int fds[HANDOFF_FDS_MAX], size_t *ret_fd_count,
				       struct err *err);
/* The process at the other end; 0: it is not seen from here (of another container). */
int handoff_peer(int fd);

#endif
