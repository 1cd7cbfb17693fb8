#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

void lock_read_holder(int fd, char pid[LOCK_HOLDER_MAX])
{
	ssize_t n = pread(fd, pid, LOCK_HOLDER_MAX - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
}

static enum err_code lock_refuse(int fd, const char *dir, const char *what, struct err *err)
{
	char pid[LOCK_HOLDER_MAX];

	lock_read_holder(fd, pid);
	return err_set(err, ERR_LOCKED, "another %s (process %s) works on \"%s\"", what,
		       *pid ? pid : "unknown", dir);
}

/* False: errno says why. */
static bool write_pid(int fd)
{
	char pid[LOCK_HOLDER_MAX];
	size_t len = (size_t)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid()), done = 0;
	ssize_t n = ftruncate(fd, 0);

	while (n >= 0 && done < len) {
		n = pwrite(fd, pid + done, len - done, (off_t)done);
		done += n < 0 ? 0 : (size_t)n;
	}
	return n >= 0;
}

void lock_note_holder(int fd)
{
	(void)write_pid(fd);
}

enum err_code lock_take(const char *dir, const char *name, const char *what, int *ret_fd,
			struct err *err)
{
	char path[PATH_MAX];
	enum err_code code;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "the path \"%s\" is too long", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "could not open \"%s\"", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		code = errno == EWOULDBLOCK ? lock_refuse(fd, dir, what, err)
					    : err_errno(err, "could not lock \"%s\"", path);
		(void)close(fd);
		return code;
	}
	if (!write_pid(fd)) {
		code = err_errno(err, "could not write \"%s\"", path);
		(void)close(fd);
		return code;
	}
	*ret_fd = fd;
	return ERR_OK;
}

bool lock_is_held(const char *dir, const char *name, char ret_holder[LOCK_HOLDER_MAX])
{
	char path[PATH_MAX];
	bool held;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (held)
		lock_read_holder(fd, ret_holder);
	(void)close(fd);
	return held;
}

void lock_release(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}
