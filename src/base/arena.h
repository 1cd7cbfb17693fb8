/*
 * arena.h - memory for one request or one batch, freed all at once.
 *
 * Passing `max` ends the program: callers bound what they put in (a body, a
 * batch) far below it. Ownership: arena_release() frees everything.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *block;	/* the newest; earlier ones chained */
	size_t bytes;			/* in all blocks */
	size_t max;
};

void arena_init(struct arena *arena, size_t max);
void arena_release(struct arena *arena);
/* Forget everything, keep the largest block. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
struct slice arena_copy(struct arena *arena, struct slice s);
/* A copy that ends in NUL. */
char *arena_str(struct arena *arena, struct slice s);

#endif
