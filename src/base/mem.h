/*
 * mem.h - allocation that cannot fail.
 *
 * Running out of memory ends the program: every buffer, queue and table has a
 * maximum, so it means a bug or a machine that is too small, and no caller
 * could do better.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void *mem_or_abort(void *p)
{
	if (!p) {
		fputs("fatal: out of memory\n", stderr);
		abort();
	}
	return p;
}

static inline void *xmalloc(size_t size)
{
	return mem_or_abort(malloc(size ? size : 1));
}

/* `size` is a multiple of `align`. */
static inline void *xaligned_alloc(size_t align, size_t size)
{
	return mem_or_abort(aligned_alloc(align, size));
}

static inline void *xcalloc(size_t count, size_t size)
{
	return mem_or_abort(calloc(count ? count : 1, size));
}

static inline void *xreallocarray(void *p, size_t count, size_t size)
{
	return mem_or_abort(reallocarray(p, count ? count : 1, size));
}

static inline char *xstrdup(const char *s)
{
	return mem_or_abort(strdup(s));
}

static inline char *xstrndup(const char *s, size_t len)
{
	return mem_or_abort(strndup(s, len));
}

#endif
