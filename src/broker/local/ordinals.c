#include "broker/local/ordinals.h"

#include "base/mem.h"

enum { FIRST_CAP = 64 };

void ordinals_init(struct ordinals *ordinals) { *ordinals = (struct ordinals){ 0 }; }

void ordinals_release(struct ordinals *ordinals)
{
	free(ordinals->places);
	ordinals_init(ordinals);
}

void ordinals_clear(struct ordinals *ordinals)
{
	if (ordinals->cap > 0)
		memset(ordinals->places, 0, ordinals->cap * sizeof(*ordinals->places));
	ordinals->count = 0;
}

/* The place of the partition, or the empty one where it would go. */
static struct ordinal *ordinals_place(const struct ordinals *ordinals, uint64_t uid,
				      int32_t partition)
{
	uint64_t hash =
		(uid ^ (uint64_t)(uint32_t)partition * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
	size_t i = (size_t)(hash >> 32);

	for (;; i++) {
		struct ordinal *ordinal = &ordinals->places[i & (ordinals->cap - 1)];

		if (ordinal->uid == 0 || (ordinal->uid == uid && ordinal->partition == partition))
			return ordinal;
	}
}

struct ordinal *ordinals_find(const struct ordinals *ordinals, uint64_t uid, int32_t partition)
{
	struct ordinal *ordinal = ordinals->cap ? ordinals_place(ordinals, uid, partition) : NULL;

	return ordinal && ordinal->uid ? ordinal : NULL;
}

static void ordinals_grow(struct ordinals *ordinals)
{
	struct ordinals larger = { .cap = ordinals->cap ? 2 * ordinals->cap : FIRST_CAP };

	larger.places = xcalloc(larger.cap, sizeof(*larger.places));
	larger.count = ordinals->count;
	for (size_t i = 0; i < ordinals->cap; i++) {
		const struct ordinal *old = &ordinals->places[i];

		if (old->uid)
			*ordinals_place(&larger, old->uid, old->partition) = *old;
	}
	free(ordinals->places);
	*ordinals = larger;
}

struct ordinal *ordinals_get(struct ordinals *ordinals, uint64_t uid, int32_t partition)
{
	struct ordinal *ordinal = ordinals_find(ordinals, uid, partition);

	if (ordinal)
		return ordinal;
	if (2 * (ordinals->count + 1) > ordinals->cap)
		ordinals_grow(ordinals);
	ordinal = ordinals_place(ordinals, uid, partition);
	*ordinal = (struct ordinal){ .uid = uid, .partition = partition };
	ordinals->count++;
	return ordinal;
}

static void ordinals_raise(struct ordinals *ordinals, uint64_t uid, int32_t partition,
			   uint64_t next, uint64_t at)
{
	struct ordinal *ordinal;

	if (uid == 0 || next > ORDINAL_MAX)
		return; /* no topic has it; a planted batch might */
	ordinal = ordinals_get(ordinals, uid, partition);
	if (next > ordinal->next)
		ordinal->next = next;
	ordinal->at = at;
}

void ordinals_learn(struct ordinals *ordinals, const struct batch *batch, struct slice payload)
{
	uint64_t base, end;

	if (batch->kind == BATCH_RECORDS)
		ordinals_raise(ordinals, batch->uid, batch->partition,
			       batch->ordinal + batch->count, batch->address);
	if (batch->kind != BATCH_STATE || !state_decode(payload, &base, &end) ||
	    batch->count > (payload.len - STATE_HEADER_BYTES) / STATE_ENTRY_BYTES)
		return;
	for (uint32_t k = 0; k < batch->count; k++) {
		struct state_entry entry = state_entry_decode(payload, k);

		ordinals_raise(ordinals, entry.uid, entry.partition, entry.next, batch->address);
	}
}
