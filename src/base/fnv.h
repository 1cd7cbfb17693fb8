/*
 * fnv.h - FNV-1a of 64 bits (draft-eastlake-fnv): a hash of short texts that are nobody's
 * to choose with intent, or of which little depends.
 */
#ifndef BASE_FNV_H
#define BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV1A_BEGIN UINT64_C(0xcbf29ce484222325)

/* Goes on from `hash`, FNV1A_BEGIN at first. */
static inline uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Of a text without the NUL at its end. */
static inline uint64_t fnv1a_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = fnv1a(hash, text, 1);
	return hash;
}

#endif
