#include "source/python_random.h"

#include <assert.h>

enum { WORDS = PYTHON_RANDOM_WORDS, MIDDLE = 397 };

static void seed_by_word(struct python_random *random, uint32_t seed)
{
	uint32_t *w = random->words;

	w[0] = seed;
	for (uint32_t i = 1; i < WORDS; i++)
		w[i] = 1812433253U * (w[i - 1] ^ (w[i - 1] >> 30)) + i;
}

/* init_by_array() of the reference implementation. */
static void seed_by_array(struct python_random *random, const uint32_t *key, uint32_t count)
{
	uint32_t *w = random->words;
	uint32_t i = 1;
	uint32_t j = 0;

	seed_by_word(random, 19650218U);
	for (uint32_t k = WORDS; k > 0; k--) {	/* WORDS is more than any key here has */
		w[i] = (w[i] ^ ((w[i - 1] ^ (w[i - 1] >> 30)) * 1664525U)) + key[j] + j;
		j = (j + 1) % count;
		if (++i == WORDS) {
			w[0] = w[WORDS - 1];
			i = 1;
		}
	}
	for (uint32_t k = WORDS - 1; k > 0; k--) {
		w[i] = (w[i] ^ ((w[i - 1] ^ (w[i - 1] >> 30)) * 1566083941U)) - i;
		if (++i == WORDS) {
			w[0] = w[WORDS - 1];
			i = 1;
		}
	}
	w[0] = 0x80000000U;
}

void python_random_init(struct python_random *random, int64_t seed)
{
	uint64_t magnitude = seed < 0 ? 0 - (uint64_t)seed : (uint64_t)seed;
	uint32_t key[2] = { (uint32_t)magnitude, (uint32_t)(magnitude >> 32) };

	seed_by_array(random, key, key[1] ? 2 : 1);
	random->next = WORDS;
}

static void twist(uint32_t *w)
{
	for (uint32_t i = 0; i < WORDS; i++) {
		uint32_t y = (w[i] & 0x80000000U) | (w[(i + 1) % WORDS] & 0x7fffffffU);

		w[i] = w[(i + MIDDLE) % WORDS] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfU : 0);
	}
}

static uint32_t next_word(struct python_random *random)
{
	uint32_t y;

	if (random->next == WORDS) {
		twist(random->words);
		random->next = 0;
	}
	y = random->words[random->next++];
	y ^= y >> 11;
	y ^= (y << 7) & 0x9d2c5680U;
	y ^= (y << 15) & 0xefc60000U;
	return y ^ (y >> 18);
}

uint64_t python_random_bits(struct python_random *random, unsigned count)
{
	uint64_t low;

	assert(count >= 1 && count <= 64);
	if (count <= 32)
		return next_word(random) >> (32 - count);
	low = next_word(random);
	return low | (uint64_t)(next_word(random) >> (64 - count)) << 32;
}

/* Random._randbelow_with_getrandbits(): draw until the number fits. */
static uint64_t below(struct python_random *random, uint64_t end)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(end);
	uint64_t drawn;

	do
		drawn = python_random_bits(random, bits);
	while (drawn >= end);
	return drawn;
}

int64_t python_random_range(struct python_random *random, int64_t first, int64_t end)
{
	assert(first < end);
	return (int64_t)((uint64_t)first + below(random, (uint64_t)end - (uint64_t)first));
}

int64_t python_random_int(struct python_random *random, int64_t first, int64_t last)
{
	assert(last < INT64_MAX);
	return python_random_range(random, first, last + 1);
}
