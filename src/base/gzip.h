/*
 * gzip.h - texts in and out of the gzip format (RFC 1952), by zlib.
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
/* What the last member says of the length of its text: the whole has no less, unless the file is
 * torn. Modulo 2^32; 0 where there is nothing that could say it. */
uint64_t gzip_said_bytes(struct slice packed);
/* Appends what was packed, of all members. ERR_CORRUPT: it is no such file, or is cut; ERR_LIMIT:
 * more than `out` may hold. */
MUST_USE enum err_code gzip_unpack(struct buf *out, struct slice packed, struct err *err);

/* The same of a file that comes in pieces, whose text is not to be in memory either. */
struct gzip_reader;

MUST_USE struct gzip_reader *gzip_reader_new(void);
/* Gives what is unpacked by that, a little at a time. */
MUST_USE enum err_code gzip_reader_feed(struct gzip_reader *reader, struct slice packed,
					void (*take)(void *user, struct slice text), void *user,
					struct err *err);
/* ERR_CORRUPT: the file is cut. */
MUST_USE enum err_code gzip_reader_end(const struct gzip_reader *reader, struct err *err);
void gzip_reader_free(struct gzip_reader *reader); /* accepts NULL */

#endif
