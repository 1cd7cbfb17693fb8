/*
 * backoff.h - how long to wait before the next try: exponential with full
 * jitter, so that those who failed together do not come back together.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t first_ms;
	int64_t max_ms;
	uint32_t tries;		/* since the last success */
};

/* A random time of at most first_ms * 2^tries and max_ms; counts the try. */
int64_t backoff_next_ms(struct backoff *backoff);
static inline void backoff_reset(struct backoff *backoff) { backoff->tries = 0; }

#endif
