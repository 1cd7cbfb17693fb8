#include "flow/micro_batch.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <unistd.h>

enum { PART_ITEMS = 8192, ITEMS_FIRST = 256 };

struct batch_item {
	struct slice value;
	struct slice key; /* only where tables share the stream */
	struct position position;
	int64_t timestamp_ms;
	struct batch_shard *shard;
	bool buried;			/* the engine does not see it any more */
};

/* One engine thread's walk over PART_ITEMS items. */
struct part {
	const struct batch_item *at;	/* the item after the current one */
	const struct batch_item *end;
	char offset[sizeof(((struct batch_shard *)0)->prefix) + POSITION_TEXT_MAX];
};

static enum err_code part_open(struct raw_input *input, size_t index, void **ret_part,
			       struct err *err)
{
	struct micro_batch *batch = (struct micro_batch *)input;
	struct part *part = xcalloc(1, sizeof(*part));
	size_t first = batch->from + index * PART_ITEMS;
	size_t left = batch->to - first;

	(void)err;
	part->at = batch->items + first;
	part->end = part->at + (left < PART_ITEMS ? left : PART_ITEMS);
	*ret_part = part;
	return ERR_OK;
}

static enum err_code part_next(void *opened, struct raw_record *ret_record, bool *ret,
			       struct err *err)
{
	struct part *part = opened;
	const struct batch_item *item;
	size_t len;

	(void)err;
	while (part->at < part->end && part->at->buried)
		part->at++;
	*ret = part->at < part->end;
	if (!*ret)
		return ERR_OK;
	item = part->at++;
	len = strlen(item->shard->prefix);
	memcpy(part->offset, item->shard->prefix, len);
	len += position_text(item->position, part->offset + len);
	*ret_record = (struct raw_record){
		.value = item->value,
		.key = item->key,
		.partition = slice_str(item->shard->text),
		.offset = slice_of(part->offset, len),
		.origin = item,
	};
	return ERR_OK;
}

static void part_close(void *opened)
{
	free(opened);
}

static enum err_code add_dead(struct raw_input *input, const struct raw_record *record,
			      const char *reason, struct err *err)
{
	struct micro_batch *batch = (struct micro_batch *)input;

	(void)err;
	if (batch->letter_count == batch->letter_cap) {
		batch->letter_cap = batch->letter_cap ? batch->letter_cap * 2 : ITEMS_FIRST;
		batch->letters = xreallocarray(batch->letters, batch->letter_cap,
					       sizeof(*batch->letters));
	}
	batch->letters[batch->letter_count++] = (struct batch_letter){
		.item = record->origin,
		.reason = arena_str(&batch->reasons, slice_str(reason)),
	};
	return ERR_OK;
}

void micro_batch_init(struct micro_batch *batch, const struct clean_shared *shared,
		      size_t bytes_max)
{
	*batch = (struct micro_batch){
		.input = { .shared = shared,
			   .padded = true,
			   .open = part_open,
			   .next = part_next,
			   .close = part_close,
			   .dead = add_dead },
	};
	/* A block may be as large again as all before it, and each value is padded. */
	arena_init(&batch->arena, bytes_max * 4 + ((size_t)64 << 20));
	arena_init(&batch->reasons, SIZE_MAX / 2);
}

void micro_batch_release(struct micro_batch *batch)
{
	arena_release(&batch->arena);
	arena_release(&batch->reasons);
	free(batch->items);
	free(batch->letters);
	batch->items = NULL;
	batch->letters = NULL;
}

/* With room after it that the JSON parser may read, so that it needs no copy of its own. */
static struct slice copy_padded(struct arena *arena, struct slice value)
{
	char *copy = arena_alloc(arena, value.len + JSON_PADDING);

	if (value.len)
		memcpy(copy, value.ptr, value.len);
	return slice_of(copy, value.len);
}

void micro_batch_add(struct micro_batch *batch, struct batch_shard *shard,
		     const struct record *record)
{
	struct slice value = record->value;
	struct slice key = { 0 };

	if (batch->count == batch->cap) {
		batch->cap = batch->cap ? batch->cap * 2 : ITEMS_FIRST;
		batch->items = xreallocarray(batch->items, batch->cap, sizeof(*batch->items));
	}
	if (batch->count == 0) {
		batch->first_ms = clock_mono_ms();
		batch->oldest_ms = batch->newest_ms = record->timestamp_ms;
	}
	if (record->timestamp_ms < batch->oldest_ms)
		batch->oldest_ms = record->timestamp_ms;
	if (record->timestamp_ms > batch->newest_ms)
		batch->newest_ms = record->timestamp_ms;
	if (value.ptr)
		value = copy_padded(&batch->arena, value);
	if (batch->input.shared->count > 1 && record->key.ptr)
		key = arena_copy(&batch->arena, record->key);
	batch->items[batch->count++] = (struct batch_item){
		.value = value,
		.key = key,
		.position = record->position,
		.timestamp_ms = record->timestamp_ms,
		.shard = shard,
	};
	batch->bytes += value.len;
}

void micro_batch_clear(struct micro_batch *batch)
{
	arena_reset(&batch->arena);
	batch->count = 0;
	batch->bytes = 0;
	micro_batch_select(batch, 0, 0);
}

void micro_batch_select(struct micro_batch *batch, size_t from, size_t to)
{
	batch->from = from;
	batch->to = to;
	batch->letter_count = 0;
	arena_reset(&batch->reasons);
	batch->input.part_count = (to - from + PART_ITEMS - 1) / PART_ITEMS;
}

static enum err_code micro_batch_bury_item(const struct batch_item *item, const char *reason,
					   struct err *err)
{
	struct dlq_letter letter = {
		.position = item->position,
		.timestamp_ms = item->timestamp_ms,
		.value = item->value,
		.reason = reason,
	};

	return dlq_batch_add(item->shard->letters, &letter, err);
}

enum err_code micro_batch_take_letters(struct micro_batch *batch, struct err *err)
{
	for (; batch->letter_count > 0; batch->letter_count--) {
		const struct batch_letter *letter = &batch->letters[batch->letter_count - 1];

		if (micro_batch_bury_item(letter->item, letter->reason, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code micro_batch_bury(struct micro_batch *batch, size_t at, const char *reason,
			       struct err *err)
{
	enum err_code code = micro_batch_bury_item(&batch->items[at], reason, err);

	batch->items[at].buried = code == ERR_OK;
	return code;
}

/* ---- Cleaning ---- */

static enum err_code clean_range(const struct micro_batch_cleaning *cleaning, size_t from,
				 size_t to, struct clean_result *ret_result, struct err *err)
{
	micro_batch_select(cleaning->batch, from, to);
	return engine_clean(cleaning->engine, cleaning->table->model, &cleaning->batch->input,
			    cleaning->path, ret_result, err);
}

/* Clean [from, to) only to see whether that works. No letter is found by it. */
static enum err_code micro_batch_attempt(void *user, size_t from, size_t to, struct err *err)
{
	const struct micro_batch_cleaning *cleaning = user;
	struct clean_result result = { 0 };
	enum err_code code = clean_range(cleaning, from, to, &result, err);

	micro_batch_select(cleaning->batch, 0, 0);
	clean_result_release(&result);
	(void)unlink(cleaning->path);
	return code;
}

static enum err_code micro_batch_blame(void *user, size_t at, const char *reason, struct err *err)
{
	const struct micro_batch_cleaning *cleaning = user;

	trace_error("a record of %s \"%s\" makes the engine fail: %s",
		    cleaning->table->kind == TOPIC_STREAM ? "stream" : "topic",
		    cleaning->table->topic, reason);
	return micro_batch_bury(cleaning->batch, at, reason, err);
}

enum err_code micro_batch_clean(struct micro_batch_cleaning *cleaning, struct poison *poison,
				struct clean_result *ret_result, struct err *err)
{
	size_t count = cleaning->batch->count;
	enum err_code code = clean_range(cleaning, 0, count, ret_result, err);

	poison->attempt = micro_batch_attempt;
	poison->bury = micro_batch_blame;
	poison->user = cleaning;
	if (code == ERR_SHAPE) {
		code = poison_find(poison, count, err);
		if (code == ERR_OK)
			code = clean_range(cleaning, 0, count, ret_result, err);
		if (code == ERR_SHAPE && poison->found > 0)
			code = poison_not_found(err);
	}
	if (code != ERR_OK)
		micro_batch_select(cleaning->batch, 0, 0); /* not all letters were found */
	return code;
}
