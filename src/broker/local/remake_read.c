#include "broker/local/remake_inside.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "broker/local/cursor.h"

#include <inttypes.h>

void remake_sum_add(struct remake_sum *sum, uint64_t ordinal, struct slice bytes)
{
	sum->records++;
	sum->crc = crc32c(sum->crc, &ordinal, sizeof(ordinal));
	sum->crc = crc32c(sum->crc, bytes.ptr, bytes.len);
}

/* NULL: it is of none. */
static struct remake_part *remake_read_part(struct remake *remake, const struct batch *batch)
{
	for (size_t i = 0; i < remake->list_count; i++)
		if (remake->lists[i][0].partition->topic->uid == batch->uid)
			return batch->partition >= 0 && batch->partition < remake->list_counts[i]
				       ? &remake->lists[i][batch->partition]
				       : NULL;
	return NULL;
}

static void sum_records(struct remake_part *part, const struct batch *batch, struct slice payload)
{
	struct batch_record record;

	for (uint32_t i = 0; i < batch->count; i++) {
		struct slice before = payload;

		if (!record_decode(&payload, &record))
			return;
		remake_sum_add(&part->found, batch->ordinal + i,
			       slice_of(before.ptr, before.len - payload.len));
	}
}

static enum err_code remake_read_all(struct remake *remake, uint64_t watermark, struct err *err)
{
	enum cursor_result result = CURSOR_BATCH;
	enum err_code code = ERR_OK;
	struct cursor cursor;
	struct slice payload;
	struct batch batch;

	cursor_init(&cursor, remake->part_fd);
	while (code == ERR_OK && result != CURSOR_WAIT) {
		struct remake_part *part;

		code = cursor_next(&cursor, watermark, &result, &batch, &payload, err);
		if (code != ERR_OK || result != CURSOR_BATCH)
			continue;
		part = remake_read_part(remake, &batch);
		if (part && batch.kind == BATCH_RECORDS)
			sum_records(part, &batch, payload);
		if (part && batch.kind == BATCH_GAP)
			part->found.gaps += batch.count;
	}
	cursor_release(&cursor);
	return code;
}

enum err_code remake_verify(struct remake *remake, uint64_t watermark, struct err *err)
{
	enum err_code code = remake_read_all(remake, watermark, err);

	for (size_t i = 0; i < remake->list_count && code == ERR_OK; i++)
		for (int32_t k = 0; k < remake->list_counts[i] && code == ERR_OK; k++) {
			const struct remake_part *part = &remake->lists[i][k];
			const struct remake_sum *added = &part->added, *found = &part->found;

			if (added->records != found->records || added->crc != found->crc ||
			    added->gaps != found->gaps)
				code = err_set(err, ERR_CORRUPT,
					       "partition %" PRId32 " of \"%s\" was written with %"
					       PRIu64 " records, and is read back otherwise (%" PRIu64
					       " records)", k, part->partition->topic->name,
					       added->records, found->records);
		}
	return code;
}
