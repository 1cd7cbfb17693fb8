/*
 * coding.h - bodies that were packed for their way (Content-Encoding: gzip,
 * zstd; RFC 9110 8.4, RFC 8878).
 *
 * Unpacked on the loop, as bodies are parsed there: with the reading that it
 * saves, 9 MB of lines cost 20 ms of CPU packed or not. What says itself that
 * it is larger than it may be is refused before a byte is unpacked; what lies,
 * once it is.
 */
#ifndef GATEWAY_CODING_H
#define GATEWAY_CODING_H

#include "base/buf.h"
#include "net/http_server.h"

/*
 * The text, with room for HTTP_BODY_PADDING bytes behind it, in place of what `text` held.
 * ERR_LIMIT: it has more than `bytes_max`; ERR_SYNTAX: nothing that was packed so, or cut.
 */
MUST_USE enum err_code coding_undo(enum http_coding coding, struct slice packed, size_t bytes_max,
				   struct buf *text, struct err *err);

#endif
