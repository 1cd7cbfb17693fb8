#include "broker/floors.h"

#include "base/mem.h"

#include <string.h>

void floors_release(struct floors *floors)
{
	for (size_t i = 0; i < floors->count; i++)
		free(floors->items[i].ordinals);
	free(floors->items);
	*floors = (struct floors){ 0 };
}

static struct topic_floor *floors_named(const struct floors *floors, enum topic_kind kind,
					const char *name)
{
	for (size_t i = 0; i < floors->count; i++)
		if (floors->items[i].kind == kind && strcmp(floors->items[i].name, name) == 0)
			return &floors->items[i];
	return NULL;
}

const struct topic_floor *floors_find(const struct floors *floors, struct topic_ref ref)
{
	const struct topic_floor *floor = floors_named(floors, ref.kind, ref.name);

	return floor ? floor : floors_named(floors, ref.kind, TOPIC_EVERY);
}

uint64_t floor_ordinal(const struct topic_floor *floor, size_t partition)
{
	if (!floor)
		return 0;
	return partition < floor->count ? floor->ordinals[partition] : floor->others;
}

/* Ordinals at the end that say nothing are left out. */
static void floor_trim(struct topic_floor *floor)
{
	while (floor->count > 0 && floor->ordinals[floor->count - 1] == floor->others)
		floor->count--;
}

static void floors_drop(struct floors *floors, struct topic_floor *floor)
{
	floors->ordinals -= floor->count;
	free(floor->ordinals);
	floors->count--;
	memmove(floor, floor + 1,
		(size_t)(floors->items + floors->count - floor) * sizeof(*floor));
}

void floors_add(struct floors *floors, const struct topic_floor *floor)
{
	struct topic_floor *old = floors_named(floors, floor->kind, floor->name);

	if (old)
		floors_drop(floors, old);
	if (floors->count == floors->cap) {
		floors->cap = floors->cap ? 2 * floors->cap : 16;
		floors->items = xreallocarray(floors->items, floors->cap, sizeof(*floor));
	}
	floors->items[floors->count] = *floor;
	floor_trim(&floors->items[floors->count]);
	floors->ordinals += floors->items[floors->count++].count;
}

void floors_add_ordinal(struct floors *floors, uint64_t ordinal)
{
	struct topic_floor *floor = &floors->items[floors->count - 1];

	floor->ordinals = xreallocarray(floor->ordinals, floor->count + 1,
					sizeof(*floor->ordinals));
	floor->ordinals[floor->count++] = ordinal;
	floors->ordinals++;
}

static uint64_t higher(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* One ordinal for all its partitions. */
static void floor_fold(struct floors *floors, struct topic_floor *floor)
{
	for (size_t i = 0; i < floor->count; i++)
		floor->others = higher(floor->others, floor->ordinals[i]);
	floors->ordinals -= floor->count;
	free(floor->ordinals);
	floor->ordinals = NULL;
	floor->count = 0;
}

/* The floor, which is folded, goes into the one of every name, which is made if need be. */
static void floors_merge(struct floors *floors, struct topic_floor *floor)
{
	struct topic_floor *every = floors_named(floors, floor->kind, TOPIC_EVERY);

	if (!every) {
		memcpy(floor->name, TOPIC_EVERY, sizeof(TOPIC_EVERY));
		return;
	}
	every->others = higher(every->others, floor->others);
	every->created_s = higher(every->created_s, floor->created_s);
	floors_drop(floors, floor);
}

void floors_fit(struct floors *floors, size_t names_max, size_t ordinals_max)
{
	size_t at = 0;

	for (size_t i = 0; i < floors->count && floors->ordinals > ordinals_max; i++)
		floor_fold(floors, &floors->items[i]);
	while (at < floors->count && floors->count > names_max + 2) {
		struct topic_floor *floor = &floors->items[at];
		bool merged = strcmp(floor->name, TOPIC_EVERY) == 0;

		if (merged) {
			at++;
			continue;
		}
		floor_fold(floors, floor);
		floors_merge(floors, floor);
	}
}
