#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 3 };

size_t file_read_at(int fd, void *to, size_t len, uint64_t offset, int *ret_errno)
{
	char *into = to;
	size_t have = 0;
	int tries = 0;
	ssize_t n = 1;

	*ret_errno = 0;
	while (have < len && n != 0 && tries < TRIES) {
		n = pread(fd, into + have, len - have, (off_t)(offset + have));
		if (n < 0 && errno == EINTR)
			continue;
		*ret_errno = n < 0 ? errno : 0;
		tries = n < 0 ? tries + 1 : 0;
		have += n < 0 ? 0 : (size_t)n;
	}
	return have;
}

enum err_code file_write_at(int fd, const void *bytes, size_t len, uint64_t offset,
			    const char *what, struct err *err)
{
	const char *from = bytes;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "could not write %s", what);
		from += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return ERR_OK;
}

enum err_code file_read(int dir_fd, const char *name, struct buf *into, const char *what,
			struct err *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum err_code code = ERR_OK;
	struct stat st;
	int failure;
	char *to;

	if (fd < 0)
		return err_errno(err, "could not open %s", what);
	if (fstat(fd, &st) < 0) {
		code = err_errno(err, "could not look at %s", what);
	} else if (!(to = buf_room(into, (size_t)st.st_size))) {
		code = err_set(err, ERR_LIMIT, "%s is too long", what);
	} else {
		buf_grew(into, file_read_at(fd, to, (size_t)st.st_size, 0, &failure));
		errno = failure;
		if (failure != 0)
			code = err_errno(err, "could not read %s", what);
	}
	(void)close(fd);
	return code;
}

enum err_code file_write(int dir_fd, const char *name, struct slice bytes, bool sync,
			 const char *what, struct err *err)
{
	enum err_code code;
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, "could not make %s", what);
	code = file_write_at(fd, bytes.ptr, bytes.len, 0, what, err);
	if (code == ERR_OK && sync && fsync(fd) < 0)
		code = err_errno(err, "could not sync %s", what);
	(void)close(fd);
	return code;
}

enum err_code file_replace(int dir_fd, const char *name, const char *fresh, struct slice bytes,
			   bool sync, const char *what, struct err *err)
{
	enum err_code code = file_write(dir_fd, fresh, bytes, sync, what, err);

	if (code == ERR_OK && renameat(dir_fd, fresh, dir_fd, name) < 0)
		code = err_errno(err, "could not replace %s", what);
	return code;
}
