/*
 * unknown.h - counts the fields of records that no column is made of, by name:
 * a mistyped field is the commonest mistake, and shows nowhere else.
 *
 * Bounded: what comes after UNKNOWN_NAMES_MAX names is counted together.
 * Ownership: unknown_fields_release(). Threads: one at a time.
 */
#ifndef ENGINE_UNKNOWN_H
#define ENGINE_UNKNOWN_H

#include "base/buf.h"

#include <stdint.h>

enum { UNKNOWN_NAMES_MAX = 64, UNKNOWN_NAME_BYTES = 64 };

struct unknown_field {
	char name[UNKNOWN_NAME_BYTES]; /* a longer one is cut */
	uint64_t records;
};

struct unknown_fields {
	struct unknown_field *list; /* in the order in which they were met */
	size_t count;
	uint64_t others; /* of names that found no room */
};

void unknown_fields_add(struct unknown_fields *unknown, struct slice name, uint64_t records);
void unknown_fields_merge(struct unknown_fields *into, const struct unknown_fields *from);
/* {"titel":3,…}; others under "…". */
void unknown_fields_put(struct buf *out, const struct unknown_fields *unknown);
void unknown_fields_release(struct unknown_fields *unknown);

#endif
