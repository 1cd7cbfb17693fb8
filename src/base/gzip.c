#include "base/gzip.h"

#include "base/mem.h"

#include <zlib.h>

enum {
	GZIP_WINDOW = 15 + 16, /* the largest, and a gzip header */
	GZIP_MEMORY = 8,
	UNPACK_STEP = 256 << 10, /* room for so much more at a time */
	PIECE_MAX = 1 << 30,	 /* what zlib is handed at once */
};

bool gzip_is(struct slice text) { return text.len >= 2 && memcmp(text.ptr, "\x1f\x8b", 2) == 0; }

static unsigned gzip_feed(z_stream *stream, struct slice *rest)
{
	size_t len = rest->len < PIECE_MAX ? rest->len : PIECE_MAX;

	stream->next_in = (Bytef *)(uintptr_t)rest->ptr; /* zlib only reads it */
	stream->avail_in = (uInt)len;
	*rest = slice_from(*rest, len);
	return stream->avail_in;
}

void gzip_pack(struct buf *out, struct slice text, int level)
{
	z_stream stream = { 0 };
	int end = Z_OK;

	if (deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		(void)mem_or_abort(NULL);
	while (end != Z_STREAM_END) {
		char *to;

		if (stream.avail_in == 0)
			(void)gzip_feed(&stream, &text);
		to = buf_room(out, UNPACK_STEP);
		if (!to)
			break; /* the buffer tells */
		stream.next_out = (Bytef *)to;
		stream.avail_out = UNPACK_STEP;
		end = deflate(&stream, text.len > 0 ? Z_NO_FLUSH : Z_FINISH);
		buf_grew(out, UNPACK_STEP - stream.avail_out);
	}
	(void)deflateEnd(&stream);
}

/* One turn of zlib. *ret_done: the last member has ended. */
static enum err_code gzip_turn(z_stream *stream, struct slice *rest, struct buf *out,
			       bool *ret_done, struct err *err)
{
	char *to = buf_room(out, UNPACK_STEP);
	int end;

	if (!to)
		return err_set(err, ERR_LIMIT, "unpacked it is too large");
	if (stream->avail_in == 0)
		(void)gzip_feed(stream, rest);
	stream->next_out = (Bytef *)to;
	stream->avail_out = UNPACK_STEP;
	end = inflate(stream, Z_NO_FLUSH);
	buf_grew(out, UNPACK_STEP - stream->avail_out);
	if (end == Z_STREAM_END) {
		*ret_done = stream->avail_in == 0 && rest->len == 0;
		if (!*ret_done)
			end = inflateReset(stream);
	}
	if (end == Z_BUF_ERROR && stream->avail_in == 0 && rest->len == 0)
		return err_set(err, ERR_CORRUPT, "the gzip file is cut");
	if (end != Z_OK && end != Z_STREAM_END && end != Z_BUF_ERROR)
		return err_set(err, ERR_CORRUPT, "it is no gzip file: %s",
			       stream->msg ? stream->msg : zError(end));
	return ERR_OK;
}

enum err_code gzip_unpack(struct buf *out, struct slice packed, struct err *err)
{
	z_stream stream = { 0 };
	enum err_code code = ERR_OK;
	bool done = false;

	if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		(void)mem_or_abort(NULL);
	while (!done && code == ERR_OK)
		code = gzip_turn(&stream, &packed, out, &done, err);
	(void)inflateEnd(&stream);
	return code;
}
