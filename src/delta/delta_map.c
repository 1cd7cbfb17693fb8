#include "delta/delta_map.h"

#include "base/fnv.h"
#include "base/mem.h"

#include <stdint.h>

enum { SLOTS_FIRST = 64 };

static uint64_t hash(const char *key)
{
	uint64_t h = fnv1a_text(FNV1A_BEGIN, key);

	return h ^ h >> 32;
}

/* The slot that holds the key or would. */
static struct delta_map_slot *slot_of(const struct delta_map *map, const char *key)
{
	size_t mask = map->slot_count - 1;
	size_t at = (size_t)hash(key) & mask;

	while (map->slots[at].key && strcmp(map->slots[at].key, key) != 0)
		at = (at + 1) & mask;
	return &map->slots[at];
}

static void delta_map_grow(struct delta_map *map)
{
	struct delta_map old = *map;

	map->slot_count = old.slot_count ? old.slot_count * 2 : SLOTS_FIRST;
	map->slots = xcalloc(map->slot_count, sizeof(*map->slots));
	for (size_t i = 0; i < old.slot_count; i++)
		if (old.slots[i].key)
			*slot_of(map, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

void delta_map_release(struct delta_map *map)
{
	free(map->slots);
	*map = (struct delta_map){ 0 };
}

void delta_map_put(struct delta_map *map, const char *key, size_t value)
{
	struct delta_map_slot *slot;

	if (map->count * 2 >= map->slot_count)
		delta_map_grow(map);
	slot = slot_of(map, key);
	if (!slot->key) {
		slot->key = key;
		map->count++;
	}
	slot->value = value;
}

bool delta_map_get(const struct delta_map *map, const char *key, size_t *ret_value)
{
	const struct delta_map_slot *slot;

	if (map->count == 0)
		return false;
	slot = slot_of(map, key);
	if (!slot->key)
		return false;
	*ret_value = slot->value;
	return true;
}

/* Keys behind it that it had kept from their own slots move up, so that each is still found. */
void delta_map_remove(struct delta_map *map, const char *key)
{
	size_t mask = map->slot_count - 1, hole, at;

	if (map->count == 0)
		return;
	hole = (size_t)(slot_of(map, key) - map->slots);
	if (!map->slots[hole].key)
		return;
	for (at = (hole + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
		size_t own = (size_t)hash(map->slots[at].key) & mask;

		if (((at - own) & mask) < ((at - hole) & mask))
			continue;
		map->slots[hole] = map->slots[at];
		hole = at;
	}
	map->slots[hole] = (struct delta_map_slot){ 0 };
	map->count--;
}
