#include "broker/local/ordinals.h"

#include "base/mem.h"
#include "broker/local/recover.h"

#include <fcntl.h>
#include <unistd.h>

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

	if (batch->kind == BATCH_RECORDS || batch->kind == BATCH_GAP)
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

void extent_init(struct extent *extent, int dir_fd)
{
	*extent = (struct extent){ .dir_fd = dir_fd };
	ordinals_init(&extent->first);
	ordinals_init(&extent->next);
	cursor_init(&extent->cursor, dir_fd);
}

void extent_release(struct extent *extent)
{
	ordinals_release(&extent->first);
	ordinals_release(&extent->next);
	cursor_release(&extent->cursor);
}

static bool first_is_there(const struct extent *extent)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(extent->first_base, "segment", name);
	return extent->first_base != 0 && faccessat(extent->dir_fd, name, F_OK, 0) == 0;
}

enum err_code extent_read_first(struct extent *extent, struct err *err)
{
	struct segment_state state;
	uint64_t *bases;
	enum err_code code;
	size_t count;

	if (first_is_there(extent))
		return ERR_OK; /* no older one comes */
	code = segment_list(extent->dir_fd, &bases, &count, err);
	if (code != ERR_OK)
		return code;
	if (count > 0 && bases[0] != extent->first_base) {
		ordinals_clear(&extent->first);
		code = segment_state_read(extent->dir_fd, bases[0], &extent->first, &state, err);
		if (code == ERR_OK && state.known)
			extent->first_base = bases[0];
	}
	free(bases);
	return code;
}

/*
 * To the last segment whose state is good, unless the cursor is there already: the state knows all
 * that was before it, so what is read follows from what has changed, not from all that there is.
 */
static enum err_code extent_begin(struct extent *extent, uint64_t watermark, struct err *err)
{
	struct segment_state state = { .known = false };
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(extent->dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	while (count > 0 && bases[count - 1] >= watermark)
		count--;
	for (; count > 0 && bases[count - 1] > extent->cursor.at && !state.known; count--) {
		code = segment_state_read(extent->dir_fd, bases[count - 1], &extent->next, &state,
					  err);
		if (code != ERR_OK)
			break;
		if (state.known)
			cursor_seek(&extent->cursor, bases[count - 1]);
	}
	free(bases);
	return code;
}

enum err_code extent_read_next(struct extent *extent, uint64_t watermark, struct err *err)
{
	enum err_code code = ERR_OK;
	enum cursor_result result = CURSOR_BATCH;
	struct segment_state state;
	struct batch batch;

	if (extent->watermark && watermark_ends(extent->watermark, watermark, &extent->ends))
		return ERR_OK;
	extent->ends.watermark = 0;
	code = extent_begin(extent, watermark, err);
	while (code == ERR_OK && result != CURSOR_WAIT) {
		code = cursor_next(&extent->cursor, watermark, &result, &batch, NULL, err);
		if (code != ERR_OK || result != CURSOR_BATCH)
			continue;
		if (batch.kind == BATCH_STATE)
			code = segment_state_read(extent->dir_fd,
						  extent->cursor.segment.header.base, &extent->next,
						  &state, err);
		else
			ordinals_learn(&extent->next, &batch, slice_of("", 0));
		if (code != ERR_OK) /* what it says is not known: read it again */
			cursor_seek(&extent->cursor, batch.address);
	}
	cursor_rest(&extent->cursor); /* who asks may never ask again: its space must not stay */
	return code;
}

static void extent_raise(const struct ordinals *ordinals, const struct partition *partition,
			 uint64_t *ordinal)
{
	const struct ordinal *found = ordinals_find(ordinals, partition->topic->uid, partition->id);

	if (found && found->next > *ordinal)
		*ordinal = found->next;
}

void extent_skip(struct extent *extent, const struct topics *topics, uint64_t count,
		 const struct ends *ends)
{
	for (size_t i = 0; count > 0 && i < topics->count; i++)
		for (int32_t p = 0; p < topics->items[i]->partition_count; p++) {
			const struct partition *partition = &topics->items[i]->partitions[p];
			uint64_t uid = topics->items[i]->uid;

			if (!ordinals_find(&extent->next, uid, p))
				ordinals_get(&extent->next, uid, p)->next =
					recover_skip(partition->floor, count, ends, uid, p);
		}
}

static void extent_apply_one(const struct extent *extent, struct partition *partition)
{
	extent_raise(&extent->first, partition, &partition->first);
	extent_raise(&extent->next, partition, &partition->next);
	if (extent->ends.watermark > 0) {
		uint64_t next = ends_next(&extent->ends, partition->topic->uid, partition->id);

		if (next > partition->next)
			partition->next = next;
	}
	if (partition->next < partition->first)
		partition->next = partition->first;
}

void extent_apply(const struct extent *extent, struct topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		for (int32_t p = 0; p < topics->items[i]->partition_count; p++)
			extent_apply_one(extent, &topics->items[i]->partitions[p]);
}
