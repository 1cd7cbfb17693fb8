#include "gateway/coding.h"

#include "base/gzip.h"
#include "base/zstd.h"

enum {
	SLACK_BYTES = 512 << 10, /* for the last steps of those that unpack, and the padding */
	GZIP_TIMES_MAX = 1032,	 /* gzip packs no better than that */
};

static bool says_too_much(enum http_coding coding, struct slice packed, size_t bytes_max)
{
	uint64_t bytes = gzip_said_bytes(packed);

	if (coding == HTTP_CODING_ZSTD)
		return zstd_said_bytes(packed) > bytes_max;
	/* What can be no such number is of a text that was cut. */
	return bytes > bytes_max && bytes / GZIP_TIMES_MAX <= packed.len;
}

enum err_code coding_undo(enum http_coding coding, struct slice packed, size_t bytes_max,
			  struct buf *text, struct err *err)
{
	bool large = says_too_much(coding, packed, bytes_max);
	enum err_code code = ERR_OK;

	buf_clear(text);
	text->max = bytes_max + SLACK_BYTES;
	if (!large && coding == HTTP_CODING_GZIP)
		code = gzip_unpack(text, packed, err);
	else if (!large)
		code = zstd_unpack(text, packed, err);
	if (large || text->len > bytes_max)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", bytes_max);
	if (code == ERR_CORRUPT) {
		err->code = ERR_SYNTAX;
		return err_prefix(err, "the body could not be unpacked");
	}
	if (code == ERR_OK)
		(void)buf_room(text, HTTP_BODY_PADDING);
	return code;
}
