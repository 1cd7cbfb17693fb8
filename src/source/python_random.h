/*
 * python_random.h - CPython's `random`, bit for bit: the Mersenne Twister
 * MT19937 (Matsumoto and Nishimura, 1998), seeded and drawn from as
 * Modules/_randommodule.c and Lib/random.py do since Python 3.2.
 *
 * The original emulators call random.seed(100) and so post the same rows in
 * the same order everywhere; to post those rows we draw the same numbers.
 *
 * Ownership: the caller owns the struct. Threads: one thread a struct.
 */
#ifndef SOURCE_PYTHON_RANDOM_H
#define SOURCE_PYTHON_RANDOM_H

#include <stdint.h>

enum { PYTHON_RANDOM_WORDS = 624 };

struct python_random {
	uint32_t words[PYTHON_RANDOM_WORDS];
	uint32_t next;		/* word to give; all given: PYTHON_RANDOM_WORDS */
};

/* random.seed(seed); like CPython's it looks at the magnitude only. */
void python_random_init(struct python_random *random, int64_t seed);
/* random.getrandbits(count), count 1 to 64. */
uint64_t python_random_bits(struct python_random *random, unsigned count);
/* random.randrange(first, end): end itself is not drawn; first < end. */
int64_t python_random_range(struct python_random *random, int64_t first, int64_t end);
/* random.randint(first, last): last may be drawn; first <= last < INT64_MAX. */
int64_t python_random_int(struct python_random *random, int64_t first, int64_t last);

#endif
