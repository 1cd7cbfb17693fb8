/*
 * delta_map.h - from a text to a number: which file has this path, which
 * application this id.
 *
 * Ownership: keys are borrowed; they must outlive the map, or be removed before.
 */
#ifndef DELTA_DELTA_MAP_H
#define DELTA_DELTA_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct delta_map_slot {
	const char *key;	/* NULL: free */
	size_t value;
};

struct delta_map {
	struct delta_map_slot *slots;	/* open addressing; a power of two, at most half full */
	size_t slot_count;
	size_t count;
};

void delta_map_release(struct delta_map *map);
/* A key that is there gets the new value, and keeps its own text. */
void delta_map_put(struct delta_map *map, const char *key, size_t value);
void delta_map_remove(struct delta_map *map, const char *key);
bool delta_map_get(const struct delta_map *map, const char *key, size_t *ret_value);

#endif
