/*
 * news.h - what a process tells of its work at most so often: some lines of a
 * kind, then none of it for a while, then with how many were left out.
 *
 * Threads: one at a time a kind.
 */
#ifndef BASE_NEWS_H
#define BASE_NEWS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { NEWS_LINES = 6, NEWS_MS = 10000 };

/* Zero at first. */
struct news {
	int64_t until_ms; /* of the NEWS_MS in which NEWS_LINES may be told */
	unsigned lines;
	uint64_t left_out;
};

/* Whether a line may be told now, and how many were not since the last one; if not, it counts as
 * one of them. */
bool news_may(struct news *news, uint64_t *ret_left_out);
/* A line of trace_info(), or none. */
void news_tell(struct news *news, const char *fmt, ...) PRINTF(2, 3);

#endif
