#include "store/content.h"

#include "base/stage.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* From here on it is quicker past the page cache than into fresh pages of it. */
enum { CONTENT_LARGE = 128 << 10 };

static bool write_all(int fd, struct slice body)
{
	while (body.len > 0) {
		ssize_t n = write(fd, body.ptr, body.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		body = slice_from(body, (size_t)n);
	}
	return true;
}

static bool write_large(int fd, struct slice body)
{
	struct stage stage;
	struct err err;
	enum err_code code;

	stage_init(&stage);
	stage_start(&stage, fd, 0, "an object");
	code = stage_add(&stage, body.ptr, body.len, &err);
	if (code == ERR_OK)
		code = stage_flush(&stage, &err); /* to the end of a block, … */
	stage_release(&stage);
	if (code != ERR_OK)
		errno = err.sys;
	return code == ERR_OK && ftruncate(fd, (off_t)body.len) == 0; /* … which is cut off */
}

static bool copy_all(int fd, int from_fd)
{
	enum { CHUNK = 1 << 20 };
	off_t at = 0;
	ssize_t n;

	do
		n = sendfile(fd, from_fd, &at, CHUNK);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0;
}

bool content_write(const struct content *content, int fd)
{
	if (content->source)
		return store_source_write(content->source, fd);
	if (content->fd >= 0)
		return copy_all(fd, content->fd);
	if (content->body.len < CONTENT_LARGE)
		return write_all(fd, content->body);
	return write_large(fd, content->body);
}
