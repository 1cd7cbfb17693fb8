#include "base/handoff.h"

#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket, and the address of the file; *ret_dir_fd must stay open until it is used. */
static enum err_code handoff_open(const char *dir, const char *name, int *ret_fd, int *ret_dir_fd,
				  struct sockaddr_un *ret_address, struct err *err)
{
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (dir_fd < 0)
		return err_errno(err, "could not open \"%s\"", dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		enum err_code code = err_errno(err, "could not make a socket");

		(void)close(dir_fd);
		return code;
	}
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/%s",
		       dir_fd, name);
	*ret_fd = fd;
	*ret_dir_fd = dir_fd;
	return ERR_OK;
}

/* Closes what is of no more use. */
static enum err_code handoff_opened(bool done, int fd, int dir_fd, const char *dir,
				    const char *name, int *ret_fd, struct err *err)
{
	if (done)
		*ret_fd = fd;
	else if (errno == ECONNREFUSED || errno == ENOENT)
		(void)err_set(err, ERR_ABSENT, "nobody listens at \"%s/%s\"", dir, name);
	else
		(void)err_errno(err, "socket \"%s/%s\"", dir, name);
	(void)close(dir_fd);
	if (!done)
		(void)close(fd);
	return done ? ERR_OK : err->code;
}

enum err_code handoff_listen(const char *dir, const char *name, int *ret_fd, struct err *err)
{
	struct sockaddr_un address;
	int fd, dir_fd;
	bool done;

	if (handoff_open(dir, name, &fd, &dir_fd, &address, err) != ERR_OK)
		return err->code;
	(void)unlinkat(dir_fd, name, 0);
	/* Of a socket without a name it is what its file will have. */
	done = fchmod(fd, S_IRUSR | S_IWUSR) == 0 &&
	       bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       listen(fd, 1) == 0;
	return handoff_opened(done, fd, dir_fd, dir, name, ret_fd, err);
}

void handoff_remove(const char *dir, const char *name)
{
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		return;
	(void)unlinkat(dir_fd, name, 0);
	(void)close(dir_fd);
}

enum err_code handoff_connect(const char *dir, const char *name, int *ret_fd, struct err *err)
{
	struct sockaddr_un address;
	int fd, dir_fd;
	bool done;

	if (handoff_open(dir, name, &fd, &dir_fd, &address, err) != ERR_OK)
		return err->code;
	done = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	return handoff_opened(done, fd, dir_fd, dir, name, ret_fd, err);
}

/* Of a socket that has no room: until it may have some. */
static enum err_code handoff_await_room(int fd, int64_t until_ms, struct err *err)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	int64_t left_ms = until_ms - clock_mono_ms();
	int n = left_ms > 0 ? poll(&room, 1, (int)left_ms) : 0;

	if (n > 0 || (n < 0 && errno == EINTR))
		return ERR_OK;
	if (n < 0)
		return err_errno(err, "could not wait for the other process");
	return err_set(err, ERR_TIMEOUT, "the other process does not read what it is told");
}

enum err_code handoff_send(int fd, int64_t timeout_ms, const void *message, size_t len,
			   const int *fds, size_t fd_count, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(HANDOFF_FDS_MAX * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec bytes = { .iov_base = (void *)(uintptr_t)message, .iov_len = len };
	struct msghdr all = { .msg_iov = &bytes, .msg_iovlen = 1 };
	ssize_t n;

	if (fd_count > 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
		all.msg_control = &control;
		all.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
	}
	while ((n = sendmsg(fd, &all, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 &&
	       (errno == EAGAIN || errno == EINTR))
		if (errno == EAGAIN && handoff_await_room(fd, until_ms, err) != ERR_OK)
			return err->code;
	return n == (ssize_t)len ? ERR_OK : err_errno(err, "could not hand anything over");
}

static enum err_code handoff_await(int fd, int wake_fd, int64_t timeout_ms, struct err *err)
{
	struct pollfd polls[] = { { .fd = fd, .events = POLLIN },
				  { .fd = wake_fd, .events = POLLIN } };
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	int n;

	do {
		int64_t left_ms = until_ms - clock_mono_ms();

		n = poll(polls, 2, left_ms > 0 ? (int)left_ms : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, "could not wait for the other process");
	if (polls[1].revents)
		return err_set(err, ERR_STOPPED, "stopped");
	if (n == 0)
		return err_set(err, ERR_TIMEOUT, "the other process has said nothing for %lld s",
			       (long long)timeout_ms / 1000);
	return ERR_OK;
}

/* The descriptors that came along. */
static size_t handoff_take(struct msghdr *all, int fds[HANDOFF_FDS_MAX])
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(all);
	size_t count = 0;

	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(head), count * sizeof(int));
	}
	return count;
}

enum err_code handoff_receive(int fd, int wake_fd, int64_t timeout_ms, void *message, size_t len,
			      int fds[HANDOFF_FDS_MAX], size_t *ret_fd_count, struct err *err)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(HANDOFF_FDS_MAX * sizeof(int))];
	} control;
	struct iovec bytes = { .iov_base = message, .iov_len = len };
	struct msghdr all = { .msg_iov = &bytes,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	size_t count;
	ssize_t n;

	if (handoff_await(fd, wake_fd, timeout_ms, err) != ERR_OK)
		return err->code;
	do
		n = recvmsg(fd, &all, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return err_set(err, ERR_CLOSED, "the other process has gone");
	if (n < 0)
		return err_errno(err, "could not read what the other process says");
	count = handoff_take(&all, fds);
	if ((size_t)n == len && !(all.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		*ret_fd_count = count;
		return ERR_OK;
	}
	while (count > 0)
		(void)close(fds[--count]);
	return err_set(err, ERR_CORRUPT,
		       all.msg_flags & MSG_CTRUNC ? "not all descriptors could be taken (ulimit -n)"
						  : "the other process speaks another way");
}

int handoff_peer(int fd)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}
