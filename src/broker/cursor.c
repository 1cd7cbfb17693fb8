#include "broker/cursor.h"

#include "base/mem.h"

void cursor_init(struct cursor *cursor, int dir_fd)
{
	*cursor = (struct cursor){ .dir_fd = dir_fd, .segment = { .fd = -1 } };
	scan_init(&cursor->scan);
}

void cursor_release(struct cursor *cursor)
{
	segment_close(&cursor->segment);
	scan_release(&cursor->scan);
}

bool segment_state_read(int dir_fd, uint64_t base, struct ordinals *ordinals,
			struct segment_state *ret_state)
{
	struct segment segment;
	struct slice payload;
	struct batch batch;
	struct scan scan;
	struct err err;
	bool good;

	if (segment_open(dir_fd, base, &segment, &err) != ERR_OK)
		return false;
	scan_init(&scan);
	scan_seek(&scan, segment.fd, base, segment_start(&segment), segment_limit(&segment));
	scan.epoch = segment.header.epoch;
	good = segment_limit(&segment) > segment_start(&segment) &&
	       scan_next(&scan, &batch, &payload) == SCAN_BATCH && batch.kind == BATCH_STATE &&
	       state_decode(payload, &ret_state->previous_base, &ret_state->previous_end);
	if (good)
		ret_state->time_ms = batch.timestamp_ms;
	if (good && ordinals)
		ordinals_learn(ordinals, &batch, payload);
	scan_release(&scan);
	segment_close(&segment);
	return good;
}

void cursor_seek(struct cursor *cursor, uint64_t position)
{
	cursor->at = position;
	if (cursor->segment.fd < 0)
		return;
	if (position >= segment_start(&cursor->segment) &&
	    position <= segment_limit(&cursor->segment))
		scan_seek(&cursor->scan, cursor->segment.fd, cursor->segment.header.base, position,
			  position);
	else
		segment_close(&cursor->segment);
}

/* The segment that holds `at`, else the next one; 0: none. */
static enum err_code find(const struct cursor *cursor, uint64_t watermark, uint64_t *ret_base,
			  struct err *err)
{
	uint64_t *bases, base = 0;
	size_t count;
	enum err_code code = segment_list(cursor->dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < count && bases[i] < watermark; i++) {
		if (base != 0 && bases[i] > cursor->at)
			break;
		base = bases[i];
	}
	free(bases);
	*ret_base = base;
	return ERR_OK;
}

/* Opens the segment that `at` leads to. *ret_jumped: there is none before `at` any more. */
static enum err_code open_segment(struct cursor *cursor, uint64_t watermark, bool *ret_jumped,
				  struct err *err)
{
	enum err_code code;
	uint64_t base;

	do {
		code = find(cursor, watermark, &base, err);
		if (code == ERR_OK && base == 0)
			return ERR_OK;
		if (code == ERR_OK)
			code = segment_open(cursor->dir_fd, base, &cursor->segment, err);
	} while (code == ERR_ABSENT);	/* retired between the two */
	if (code != ERR_OK)
		return code;
	*ret_jumped = cursor->at != 0 && base > cursor->at;
	if (cursor->at < segment_start(&cursor->segment))
		cursor->at = segment_start(&cursor->segment);
	cursor->end_known = false;
	scan_release(&cursor->scan);
	scan_seek(&cursor->scan, cursor->segment.fd, base, cursor->at, cursor->at);
	return ERR_OK;
}

/* The log has gone on: learn where it left this segment. */
static enum err_code learn_end(struct cursor *cursor, uint64_t watermark, struct err *err)
{
	uint64_t base = cursor->segment.header.base, *bases;
	size_t count;
	enum err_code code = segment_list(cursor->dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	cursor->end = segment_limit(&cursor->segment);
	cursor->successor = 0;
	cursor->let_go = count > 0 && bases[0] > base;
	for (size_t i = 0; i < count && bases[i] < watermark; i++) {
		struct segment_state state;

		if (bases[i] <= base)
			continue;
		if (cursor->successor == 0)
			cursor->successor = bases[i];	/* unless one is found that says it is */
		if (segment_state_read(cursor->dir_fd, bases[i], NULL, &state) &&
		    state.previous_base == base) {
			cursor->successor = bases[i];
			cursor->end = state.previous_end;
			cursor->let_go = false;
			break;
		}
	}
	free(bases);
	cursor->end_known = cursor->successor != 0;
	return ERR_OK;
}

static enum cursor_result read_batch(struct cursor *cursor, struct batch *ret_batch,
				     struct slice *ret_payload)
{
	enum scan_result result = ret_payload
		? scan_next(&cursor->scan, ret_batch, ret_payload)
		: scan_next_header(&cursor->scan, ret_batch);

	if (result == SCAN_BAD)
		(void)scan_resync(&cursor->scan);
	cursor->at = cursor->scan.at;
	if (result == SCAN_BAD)
		return CURSOR_HOLE;
	return result == SCAN_BATCH ? CURSOR_BATCH : CURSOR_DAMAGED;
}

enum err_code cursor_next(struct cursor *cursor, uint64_t watermark,
			  enum cursor_result *ret_result, struct batch *ret_batch,
			  struct slice *ret_payload, struct err *err)
{
	enum err_code code = ERR_OK;
	bool jumped = false;

	for (;;) {
		struct segment *segment = &cursor->segment;

		*ret_result = CURSOR_WAIT;
		if (segment->fd < 0)
			code = open_segment(cursor, watermark, &jumped, err);
		if (code != ERR_OK || segment->fd < 0)
			return code;
		*ret_result = CURSOR_JUMPED;
		if (jumped)
			return ERR_OK;
		if (!cursor->end_known && watermark > segment_limit(segment))
			code = learn_end(cursor, watermark, err);
		if (code != ERR_OK)
			return code;
		cursor->scan.limit = cursor->end_known ? cursor->end : watermark;
		if (cursor->at < cursor->scan.limit) {
			*ret_result = read_batch(cursor, ret_batch, ret_payload);
			return ERR_OK;
		}
		*ret_result = CURSOR_WAIT;
		if (!cursor->end_known)
			return ERR_OK;
		if (!cursor->let_go)
			cursor->at = cursor->successor;	/* else opening it is a jump */
		segment_close(segment);
	}
}
