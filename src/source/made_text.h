/*
 * made_text.h - texts that look like those of pins: titles, descriptions, tags
 * and the names of posters, out of our own words, written as JSON string
 * contents (escaped, without the quotes).
 *
 * Lengths, and how often a text holds a quote, a newline, an emoji or another
 * character that breaks careless readers, follow what was counted in the real
 * rows (data-quirks, section 2).
 *
 * Threads: any; only the caller's struct made_random changes.
 */
#ifndef SOURCE_MADE_TEXT_H
#define SOURCE_MADE_TEXT_H

#include "base/buf.h"

#include <stdint.h>

/* SplitMix64 (Steele, Lea, Flood 2014). Any seed is good, so row k starts from mix(seed, k). */
struct made_random {
	uint64_t state;
};

static inline uint64_t made_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint64_t made_next(struct made_random *random)
{
	random->state += 0x9e3779b97f4a7c15ULL;
	return made_mix(random->state);
}

/* 0 to end - 1; end below 2^32. The bias, under end / 2^32, does not show here. */
static inline uint32_t made_below(struct made_random *random, uint32_t end)
{
	return (uint32_t)(((made_next(random) >> 32) * end) >> 32);
}

enum { MADE_CATEGORIES = 13 };
/* In alphabetical order, as the rows are sorted. */
extern const char *const made_category[MADE_CATEGORIES];

void made_put_title(struct buf *out, struct made_random *random, uint32_t category);
void made_put_description(struct buf *out, struct made_random *random, uint32_t category);
void made_put_tags(struct buf *out, struct made_random *random, uint32_t category);
void made_put_poster(struct buf *out, struct made_random *random);

#endif
