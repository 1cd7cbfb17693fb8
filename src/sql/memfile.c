#include "sql/memfile.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum err_code memfile_open(struct memfile *ret_file, struct err *err)
{
	struct memfile file = { .fd = memfd_create("pinpipe", MFD_CLOEXEC) };

	if (file.fd < 0)
		return err_errno(err, "could not make a file in memory");
	(void)snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	*ret_file = file;
	return ERR_OK;
}

void memfile_close(struct memfile *file) { (void)close(file->fd); }

enum err_code memfile_write(struct memfile *file, struct slice bytes, struct err *err)
{
	while (bytes.len > 0) {
		ssize_t n = write(file->fd, bytes.ptr, bytes.len);

		if (n < 0)
			return err_errno(err, "could not write a file in memory");
		bytes = slice_from(bytes, (size_t)n);
	}
	return ERR_OK;
}

enum err_code memfile_read(struct memfile *file, struct buf *out, struct err *err)
{
	struct stat st;
	char *to;

	if (fstat(file->fd, &st) < 0)
		return err_errno(err, "could not size a file in memory");
	to = buf_room(out, (size_t)st.st_size);
	if (!to)
		return err_set(err, ERR_LIMIT, "a file of %lld bytes is too large",
			       (long long)st.st_size);
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = pread(file->fd, to + at, (size_t)(st.st_size - at), at);

		if (n <= 0)
			return err_errno(err, "could not read a file in memory");
		at += n;
	}
	buf_grew(out, (size_t)st.st_size);
	return ERR_OK;
}
