#include "store/store.h"

#include "base/file.h"

#include <errno.h>

enum { SOURCE_PIECE_BYTES = 8 << 20 };

enum err_code store_source_read(struct store_source *source, uint64_t from, size_t len,
				struct buf *out, struct err *err)
{
	size_t before = out->len;
	enum err_code code = source->read(source, from, len, out, err);

	if (code != ERR_OK)
		return err->code = ERR_IO;
	if (out->len - before != len)
		return err_set(err, ERR_IO,
			       "what is to be an object is shorter than it was said to be");
	return ERR_OK;
}

bool store_source_write(struct store_source *source, int fd)
{
	bool done = true;
	struct buf piece;
	struct err err;

	buf_init(&piece, SOURCE_PIECE_BYTES);
	for (uint64_t at = 0; at < source->size && done; at += piece.len) {
		uint64_t left = source->size - at;

		buf_clear(&piece);
		done = store_source_read(source, at,
					 left < SOURCE_PIECE_BYTES ? (size_t)left
								   : SOURCE_PIECE_BYTES,
					 &piece, &err) == ERR_OK;
		if (!done)
			err.sys = EIO;
		else
			done = file_write_at(fd, piece.ptr, piece.len, at, "an object", &err) ==
			       ERR_OK;
	}
	buf_release(&piece);
	if (!done)
		errno = err.sys;
	return done;
}
