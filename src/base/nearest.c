#include "base/nearest.h"

#include "base/mem.h"

#include <stdint.h>

enum { WORD_MAX = 64 };		/* bytes; longer words are compared up to here */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's distance with swaps,
 * three rows of its matrix at a time. */
size_t word_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t a_len = strnlen(a, WORD_MAX), b_len = strnlen(b, WORD_MAX);

	for (size_t j = 0; j <= b_len; j++) {
		before[j] = 0;
		last[j] = j;
	}
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
				       least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

/* The only one that `word` is the beginning of. */
static const char *only_begun(const char *word, nearest_word_fn *word_at, const void *list)
{
	const char *begun = NULL, *candidate;
	size_t len = strlen(word);

	for (size_t n = 0; len > 0 && (candidate = word_at(list, n)); n++) {
		if (strncmp(candidate, word, len) != 0)
			continue;
		if (begun)
			return NULL;
		begun = candidate;
	}
	return begun;
}

const char *nearest(const char *word, nearest_word_fn *word_at, const void *list)
{
	const char *best = NULL, *candidate, *begun = only_begun(word, word_at, list);
	size_t best_distance = SIZE_MAX, word_len = strlen(word);

	if (begun)
		return begun;
	for (size_t n = 0; (candidate = word_at(list, n)); n++) {
		size_t len = strlen(candidate), bound = (len + 2) / 3, distance;

		if (len > word_len + bound || word_len > len + bound)
			continue;	/* every byte more is a step */
		distance = word_distance(word, candidate);
		if (distance <= bound && distance < best_distance) {
			best = candidate;
			best_distance = distance;
		}
	}
	return best;
}
