#include "base/zstd.h"

#include "base/mem.h"

#include <zstd.h>

enum { ZSTD_STEP = 256 << 10, WINDOW_LOG_MAX = 23 };

uint64_t zstd_said_bytes(struct slice packed)
{
	unsigned long long bytes = ZSTD_getFrameContentSize(packed.ptr, packed.len);

	return bytes == ZSTD_CONTENTSIZE_UNKNOWN || bytes == ZSTD_CONTENTSIZE_ERROR ? 0 : bytes;
}

/* More of the text. *ret_left: 0 at a frame's end. */
static enum err_code zstd_step(ZSTD_DCtx *zstd, ZSTD_inBuffer *in, struct buf *out,
			       size_t *ret_left, struct err *err)
{
	ZSTD_outBuffer to = { .dst = buf_room(out, ZSTD_STEP), .size = ZSTD_STEP };

	if (!to.dst)
		return err_set(err, ERR_LIMIT, "unpacked it is too large");
	*ret_left = ZSTD_decompressStream(zstd, &to, in);
	buf_grew(out, to.pos);
	if (ZSTD_isError(*ret_left))
		return err_set(err, ERR_CORRUPT, "it is no zstd: %s", ZSTD_getErrorName(*ret_left));
	/* With room left it has given all that it could of what is there. */
	if (*ret_left > 0 && in->pos == in->size && to.pos < to.size)
		return err_set(err, ERR_CORRUPT, "the zstd text is cut");
	return ERR_OK;
}

enum err_code zstd_unpack(struct buf *out, struct slice packed, struct err *err)
{
	ZSTD_DCtx *zstd = mem_or_abort(ZSTD_createDCtx());
	ZSTD_inBuffer in = { .src = packed.ptr, .size = packed.len };
	enum err_code code = ERR_OK;
	size_t left = 1;

	if (zstd_said_bytes(packed) < out->max)
		(void)buf_room(out, zstd_said_bytes(packed) + ZSTD_STEP);
	(void)ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	while (code == ERR_OK && (left > 0 || in.pos < in.size))
		code = zstd_step(zstd, &in, out, &left, err);
	(void)ZSTD_freeDCtx(zstd);
	return code;
}
