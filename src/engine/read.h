/*
 * read.h - what a model's functions make of a text: as_int, as_long,
 * as_count, as_double, as_boolean, as_timestamp (docs/models.md).
 *
 * A number may be a JSON number or a text that holds one, without blanks:
 * -12, 3.50, 1e3. False: it cannot be read; *ret is untouched.
 * Threads: any.
 */
#ifndef ENGINE_READ_H
#define ENGINE_READ_H

#include "base/slice.h"

/* A number without a fraction (7528.0 has none) that fits 32 bits. */
bool read_int(struct slice text, int32_t *ret);
/* The same with 64 bits. */
bool read_long(struct slice text, int64_t *ret);
/* Digits, decimals allowed, with an optional k (thousand) or M (million): "991k", "1.5M". The
 * result has no fraction. */
bool read_count(struct slice text, int64_t *ret);
bool read_double(struct slice text, double *ret);
/* true, false, 1, 0, t, f, yes, no, y, n, in any case. */
bool read_boolean(struct slice text, bool *ret);
/*
 * Microseconds since 1970 UTC: what Spark reads, and two forms more. 2020-08-28 03:52:47, its parts
 * with a digit or two, T for the blank; without seconds or a clock; 2020:08:28 for the date; or
 * 08/28/2020, 03:52:47. Behind minutes or seconds perhaps a fraction, then perhaps a zone (Z, UTC,
 * +1, +0100, +01:00). Without one it is UTC. Blanks around it are read over.
 */
bool read_timestamp(struct slice text, int64_t *ret_us);

#endif
