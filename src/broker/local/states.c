#include "broker/local/states.h"

#include "base/mem.h"

enum { ENTRIES_MAX = 256 * 1024 }; /* some 16 MB */

static void states_forget(struct states *states, struct kept_state *item)
{
	states->entries -= item->ordinals.count;
	ordinals_release(&item->ordinals);
	item->limit = 0;
}

void states_release(struct states *states)
{
	for (size_t i = 0; i < states->count; i++)
		states_forget(states, &states->items[i]);
	free(states->items);
	*states = (struct states){ 0 };
}

/* The item of a segment that was there before too, as it is. */
static struct kept_state states_take(struct states *states, uint64_t base)
{
	for (size_t i = states->count; i-- > 0 && states->items[i].base >= base;)
		if (states->items[i].base == base) {
			struct kept_state item = states->items[i];

			states->items[i].limit = 0;
			ordinals_init(&states->items[i].ordinals);
			states->entries -= item.ordinals.count;
			return item;
		}
	return (struct kept_state){ .base = base };
}

static enum err_code states_list(struct states *states, int dir_fd, struct err *err)
{
	struct states now = { 0 };
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	now.items = xcalloc(count, sizeof(*now.items));
	for (size_t i = 0; i < count; i++) {
		now.items[i] = states_take(states, bases[i]);
		now.entries += now.items[i].ordinals.count;
	}
	now.count = count;
	free(bases);
	states_release(states);
	*states = now;
	return ERR_OK;
}

/* No segment before the watermark is missing from the list. */
static bool states_are_listed(const struct states *states, uint64_t watermark)
{
	const struct kept_state *last = states->count ? &states->items[states->count - 1] : NULL;

	return last && (last->base >= watermark || last->limit >= watermark);
}

/* *ret_known: the item has its state. ERR_ABSENT: the segment is not there any more. */
static enum err_code states_read(struct states *states, int dir_fd, struct kept_state *item,
				 bool *ret_known, struct err *err)
{
	struct segment_state state;
	struct segment segment;
	enum err_code code;

	*ret_known = item->limit != 0;
	if (*ret_known)
		return ERR_OK;
	for (size_t i = 0; i < states->count && states->entries > ENTRIES_MAX; i++)
		states_forget(states, &states->items[i]);
	code = segment_open(dir_fd, item->base, &segment, err);
	if (code != ERR_OK)
		return code;
	code = segment_state_of(&segment, &item->ordinals, &state, err);
	*ret_known = code == ERR_OK && state.known;
	if (*ret_known) {
		item->limit = segment_limit(&segment);
		states->entries += item->ordinals.count;
	} else {
		ordinals_release(&item->ordinals);
	}
	segment_close(&segment);
	return code;
}

/* A partition that the state does not know came later: all its records are above. */
static bool is_before(const struct ordinals *ordinals, uint64_t uid, int32_t partition,
		      uint64_t ordinal)
{
	const struct ordinal *found = ordinals_find(ordinals, uid, partition);

	return !found || found->next <= ordinal;
}

enum err_code states_find(struct states *states, int dir_fd, uint64_t watermark, uint64_t uid,
			  int32_t partition, uint64_t ordinal, uint64_t *ret_base, struct err *err)
{
	size_t low = 0, high;
	enum err_code code = ERR_OK;

	*ret_base = 0;
	if (!states_are_listed(states, watermark))
		code = states_list(states, dir_fd, err);
	if (code != ERR_OK)
		return code;
	high = states->count;
	while (high > 0 && states->items[high - 1].base >= watermark)
		high--;
	while (low < high) {
		size_t mid = low + (high - low) / 2, at = mid + 1;
		bool known = false;

		/* One whose state is damaged says nothing; what is before it may. */
		while (!known && at-- > low) {
			code = states_read(states, dir_fd, &states->items[at], &known, err);
			if (code == ERR_ABSENT)
				break; /* so are all before it */
			if (code != ERR_OK)
				return code;
		}
		if (!known) {
			low = mid + 1;
		} else if (is_before(&states->items[at].ordinals, uid, partition, ordinal)) {
			*ret_base = states->items[at].base;
			low = mid + 1;
		} else {
			high = at;
		}
	}
	return ERR_OK;
}
