/* registry_inside.h - what the files of the registry share. */
#ifndef BASE_REGISTRY_INSIDE_H
#define BASE_REGISTRY_INSIDE_H

#include "base/registry.h"

#include <limits.h>

enum { REGISTRY_PAGE = 4096 };

struct registry_head {
	char magic[8];
	uint64_t layout;
	uint64_t slot_bytes;
	_Atomic uint32_t slots; /* in use, or that were */
};

#define REGISTRY_MAGIC "PINPIPER"
#define REGISTRY_FILE "registry"
enum { REGISTRY_NAME_MAX = sizeof(REGISTRY_FILE ".01234567") };
/* Whole pages, so that slots share none. */
#define REGISTRY_SLOT_BYTES \
	((sizeof(struct registry_slot) + REGISTRY_PAGE - 1) / REGISTRY_PAGE * REGISTRY_PAGE)

static inline size_t registry_bytes(uint32_t slots)
{
	return REGISTRY_PAGE + slots * REGISTRY_SLOT_BYTES;
}

/* Of this program. */
uint64_t registry_layout(void);
/* Of its file. */
void registry_name(char ret_name[REGISTRY_NAME_MAX]);
/* Whether the file's head, and its length, are what this program writes. */
bool registry_head_fits(const struct registry_head *head, uint64_t file_bytes);
/* registry_mine(), which every count needs, without a call. */
extern struct registry_slot *_Atomic registry_own_slot;

static inline struct registry_slot *registry_slot_here(void)
{
	return atomic_load_explicit(&registry_own_slot, memory_order_relaxed);
}

/* The directory that was joined, or NULL. */
const char *registry_dir(void);

#endif
