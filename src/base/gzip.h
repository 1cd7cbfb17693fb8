/*
 * gzip.h - whole texts in and out of the gzip format (RFC 1952), by zlib.
 *
 * Threads: any.
 */
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include "base/buf.h"

/* Whether a text begins as a gzip file does. */
bool gzip_is(struct slice text);
/* Appends `text`, packed. It names no file and no time, so the same library gives the same bytes.
 * `level` 1 to 9, or -1: zlib's own. */
void gzip_pack(struct buf *out, struct slice text, int level);
/* Appends what was packed, of all members. ERR_CORRUPT: it is no such file, or is cut; ERR_LIMIT:
 * more than `out` may hold. */
MUST_USE enum err_code gzip_unpack(struct buf *out, struct slice packed, struct err *err);

#endif
