#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>

enum { BLOCK_FIRST = 4096 };

struct arena_block {
	struct arena_block *prev;
	size_t size;
	size_t used;
	alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t max)
{
	*arena = (struct arena){ .max = max };
}

static void arena_free_chain(struct arena_block *block)
{
	while (block) {
		struct arena_block *prev = block->prev;

		free(block);
		block = prev;
	}
}

void arena_release(struct arena *arena)
{
	arena_free_chain(arena->block);
	*arena = (struct arena){ .max = arena->max };
}

void arena_reset(struct arena *arena)
{
	struct arena_block *block = arena->block;

	if (!block)
		return;
	arena_free_chain(block->prev); /* blocks double, so the newest is the largest */
	block->prev = NULL;
	block->used = 0;
	arena->bytes = block->size;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
	size_t want = arena->block ? arena->block->size * 2 : BLOCK_FIRST;
	struct arena_block *block;

	if (want < size)
		want = size;
	if (want > arena->max - arena->bytes)
		want = size;
	if (want > arena->max - arena->bytes) {
		fputs("fatal: an arena passed its maximum\n", stderr);
		abort();
	}
	block = xmalloc(sizeof(*block) + want);
	*block = (struct arena_block){ .prev = arena->block, .size = want };
	arena->block = block;
	arena->bytes += want;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t need = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct arena_block *block = arena->block;
	void *p;

	if (!block || need > block->size - block->used)
		block = add_block(arena, need);
	p = block->bytes + block->used;
	block->used += need;
	return memset(p, 0, size);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
	return slice_of(arena_str(arena, s), s.len);
}

char *arena_str(struct arena *arena, struct slice s)
{
	char *p = arena_alloc(arena, s.len + 1);

	if (s.len)
		memcpy(p, s.ptr, s.len);
	return p;
}
