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
#include <sys/mman.h>

enum { HUGE_PAGE_BYTES = 2 << 20 };

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

/*
 * At least `size` bytes for large writes that pass the page cache by; free() gives them back.
 * Whole huge pages, where the kernel has them: a device is handed one piece instead of one every
 * 4 KiB.
 */
static inline void *xalloc_huge(size_t size)
{
	size_t len = (size + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
	void *p = mem_or_abort(aligned_alloc(HUGE_PAGE_BYTES, len));

	(void)madvise(p, len, MADV_HUGEPAGE);
	return p;
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
