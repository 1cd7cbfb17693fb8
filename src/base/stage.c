#include "base/stage.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

void stage_init(struct stage *stage)
{
	*stage = (struct stage){
		.bytes = xalloc_huge(STAGE_BYTES),
		.fd = -1,
	};
}

void stage_release(struct stage *stage)
{
	free(stage->bytes);
	stage->bytes = NULL;
}

void stage_start(struct stage *stage, int fd, uint64_t offset, const char *what)
{
	assert(offset % STAGE_BLOCK_BYTES == 0);
	direct_set(fd, true);
	stage->fd = fd;
	stage->what = what;
	stage->offset = offset;
	stage->len = 0;
}

enum err_code stage_add(struct stage *stage, const void *bytes, size_t len, struct err *err)
{
	const unsigned char *from = bytes;

	while (len > 0) {
		size_t n = STAGE_BYTES - stage->len;

		if (n > len)
			n = len;
		memcpy(stage->bytes + stage->len, from, n);
		stage->len += n;
		from += n;
		len -= n;
		if (stage->len == STAGE_BYTES && stage_flush(stage, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code stage_flush(struct stage *stage, struct err *err)
{
	size_t used = stage->len % STAGE_BLOCK_BYTES;
	size_t whole = stage->len - used;
	size_t padding = used ? STAGE_BLOCK_BYTES - used : 0;

	memset(stage->bytes + stage->len, 0, padding);
	if (direct_write(stage->fd, stage->bytes, whole + used + padding, stage->offset,
			 stage->what, err) != ERR_OK)
		return err->code;
	memmove(stage->bytes, stage->bytes + whole, used);
	stage->offset += whole;
	stage->len = used;
	return ERR_OK;
}

void direct_set(int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	if (FAILPOINT("stage-direct"))
		direct = false;
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

enum err_code direct_write(int fd, const void *bytes, size_t len, uint64_t offset, const char *what,
			   struct err *err)
{
	enum err_code code = file_write_at(fd, bytes, len, offset, what, err);

	if (code == ERR_OK || err->sys != EINVAL)
		return code;
	direct_set(fd, false); /* larger blocks than ours, say */
	return file_write_at(fd, bytes, len, offset, what, err);
}
