/*
 * base64.h - RFC 4648 section 4, strictly: padding is required, no line
 * breaks, and the bits that padding leaves over are zero, so that every byte
 * string has exactly one text.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

void base64_put(struct buf *out, struct slice bytes);
/* As a URL may have it (section 5): "-" and "_" for "+" and "/", and no padding. */
void base64_put_url(struct buf *out, struct slice bytes);
/* False: not base64; `out` keeps what it held. */
bool base64_decode(struct buf *out, struct slice text);

#endif
