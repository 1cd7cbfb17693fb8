/*
 * zstd.h - texts out of the Zstandard format (RFC 8878), by libzstd.
 *
 * Threads: any.
 */
#ifndef BASE_ZSTD_H
#define BASE_ZSTD_H

#include "base/buf.h"

/* What the first frame says of the length of its text; 0: nothing. */
uint64_t zstd_said_bytes(struct slice packed);
/* Appends what was packed, of all frames. ERR_CORRUPT: it is no such text, is cut, or wants a
 * window of more than 8 MiB (RFC 9659); ERR_LIMIT: more than `out` may hold. */
MUST_USE enum err_code zstd_unpack(struct buf *out, struct slice packed, struct err *err);

#endif
