/*
 * fuzz.h - what the fuzz targets share.
 *
 * A target is one file that defines LLVMFuzzerTestOneInput(). libFuzzer calls
 * it (make fuzz), or replay.c, once for every file of the target's corpus
 * (make test). It keeps everything in memory, and never exits by itself: what
 * must hold is said by FUZZ_MUST, what must not be touched is the sanitizers'.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/mem.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_MUST(condition) ( \
	(condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))

_Noreturn static inline void fuzz_broken(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* A copy with `padding` bytes behind it that may be read but mean nothing; one more is found by the
 * sanitizer. The caller frees it. */
static inline char *fuzz_padded(const uint8_t *data, size_t len, size_t padding)
{
	char *copy = xmalloc(len + padding);

	if (len > 0)
		memcpy(copy, data, len);
	memset(copy + len, '"', padding);
	return copy;
}

/* The next byte of the input, or 0 at its end. */
static inline uint8_t fuzz_take(struct slice *input)
{
	uint8_t byte = 0;

	if (input->len > 0) {
		byte = (uint8_t)input->ptr[0];
		*input = slice_from(*input, 1);
	}
	return byte;
}

#endif
