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

struct gzip_reader {
	z_stream stream;
	bool ended; /* the last member, so far */
};

struct gzip_reader *gzip_reader_new(void)
{
	struct gzip_reader *reader = xcalloc(1, sizeof(*reader));

	if (inflateInit2(&reader->stream, GZIP_WINDOW) != Z_OK)
		(void)mem_or_abort(NULL);
	return reader;
}

void gzip_reader_free(struct gzip_reader *reader)
{
	if (!reader)
		return;
	(void)inflateEnd(&reader->stream);
	free(reader);
}

/* There is more to take, or to give. */
static bool gzip_has_more(const struct gzip_reader *reader, struct slice rest)
{
	return reader->stream.avail_in > 0 || rest.len > 0 ||
	       (!reader->ended && reader->stream.avail_out == 0);
}

static enum err_code gzip_turn(struct gzip_reader *reader, struct slice *rest, struct buf *out,
			       struct err *err)
{
	z_stream *stream = &reader->stream;
	char *to = buf_room(out, UNPACK_STEP);
	int end;

	if (!to)
		return err_set(err, ERR_LIMIT, "unpacked it is too large");
	if (reader->ended)
		(void)inflateReset(stream);
	if (stream->avail_in == 0)
		(void)gzip_feed(stream, rest);
	stream->next_out = (Bytef *)to;
	stream->avail_out = UNPACK_STEP;
	end = inflate(stream, Z_NO_FLUSH);
	buf_grew(out, UNPACK_STEP - stream->avail_out);
	reader->ended = end == Z_STREAM_END;
	if (end != Z_OK && end != Z_STREAM_END && end != Z_BUF_ERROR)
		return err_set(err, ERR_CORRUPT, "it is no gzip file: %s",
			       stream->msg ? stream->msg : zError(end));
	return ERR_OK;
}

enum err_code gzip_reader_end(const struct gzip_reader *reader, struct err *err)
{
	return reader->ended ? ERR_OK : err_set(err, ERR_CORRUPT, "the gzip file is cut");
}

enum err_code gzip_reader_feed(struct gzip_reader *reader, struct slice packed,
			       void (*take)(void *user, struct slice text), void *user,
			       struct err *err)
{
	enum err_code code = ERR_OK;
	struct buf text;

	buf_init(&text, UNPACK_STEP);
	while (code == ERR_OK && gzip_has_more(reader, packed)) {
		buf_clear(&text);
		code = gzip_turn(reader, &packed, &text, err);
		if (text.len > 0)
			take(user, buf_slice(&text));
	}
	buf_release(&text);
	return code;
}

uint64_t gzip_said_bytes(struct slice packed)
{
	enum { TRAILER = 4 };
	const unsigned char *end = (const unsigned char *)packed.ptr + packed.len;

	if (packed.len < TRAILER)
		return 0;
	return (uint64_t)end[-4] | (uint64_t)end[-3] << 8 | (uint64_t)end[-2] << 16 |
	       (uint64_t)end[-1] << 24;
}

/* So that the buffer need not grow, by doubling, to more than the file says. */
static void gzip_make_room(struct buf *out, struct slice packed)
{
	enum { TIMES_MAX = 1032 }; /* deflate packs no better than that */
	/* and of the last turn, which finds the end */
	uint64_t len = gzip_said_bytes(packed) + UNPACK_STEP;

	if (len / TIMES_MAX <= packed.len && len <= out->max - out->len)
		(void)buf_room(out, len);
}

enum err_code gzip_unpack(struct buf *out, struct slice packed, struct err *err)
{
	struct gzip_reader *reader = gzip_reader_new();
	enum err_code code = ERR_OK;

	gzip_make_room(out, packed);
	while (code == ERR_OK && gzip_has_more(reader, packed))
		code = gzip_turn(reader, &packed, out, err);
	if (code == ERR_OK)
		code = gzip_reader_end(reader, err);
	gzip_reader_free(reader);
	return code;
}
