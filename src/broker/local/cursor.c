#include "broker/local/cursor.h"

#include "base/mem.h"
#include "broker/local/index.h"

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

enum err_code segment_state_of(const struct segment *segment, struct ordinals *ordinals,
			       struct segment_state *ret_state, struct err *err)
{
	struct segment_state state = { .known = false };
	enum scan_result result = SCAN_END;
	enum err_code code = ERR_OK;
	struct slice payload;
	struct batch batch;
	struct scan scan;

	scan_init(&scan);
	scan_seek(&scan, segment->fd, segment->header.base, segment_start(segment),
		  segment_limit(segment));
	scan.epoch = segment->header.epoch;
	if (segment_limit(segment) > segment_start(segment))
		result = scan_next(&scan, &batch, &payload);
	if (result == SCAN_FAILED)
		code = scan_error(&scan, err);
	state.known = result == SCAN_BATCH && batch.kind == BATCH_STATE &&
		       state_decode(payload, &state.previous_base, &state.previous_end);
	if (state.known) {
		state.time_ms = batch.timestamp_ms;
		state.life = batch.uid;
	}
	if (state.known && ordinals)
		ordinals_learn(ordinals, &batch, payload);
	scan_release(&scan);
	if (code == ERR_OK)
		*ret_state = state;
	return code;
}

enum err_code segment_state_read(int dir_fd, uint64_t base, struct ordinals *ordinals,
				 struct segment_state *ret_state, struct err *err)
{
	struct segment_state state = { .known = false };
	struct segment segment;
	struct err why;
	enum err_code code = segment_open(dir_fd, base, &segment, &why);

	if (code == ERR_OK) {
		code = segment_state_of(&segment, ordinals, &state, &why);
		segment_close(&segment);
	}
	if (code != ERR_OK && code != ERR_ABSENT) {
		*err = why;
		return code;
	}
	*ret_state = state;
	return ERR_OK;
}

void cursor_seek(struct cursor *cursor, uint64_t address)
{
	cursor->at = address;
	if (cursor->segment.fd < 0)
		return;
	if (address >= segment_start(&cursor->segment) &&
	    address <= segment_limit(&cursor->segment))
		scan_seek(&cursor->scan, cursor->segment.fd, cursor->segment.header.base, address,
			  address);
	else
		segment_close(&cursor->segment);
}

void cursor_rest(struct cursor *cursor)
{
	segment_close(&cursor->segment);
	scan_release(&cursor->scan);
}

/* Of an epoch, from the header of any segment that a writer began in it; 0: none is good. */
static uint64_t life_of_another(int dir_fd, uint64_t epoch)
{
	uint64_t *bases, life = 0;
	struct err ignored;
	size_t count;

	if (segment_list(dir_fd, &bases, &count, &ignored) != ERR_OK)
		return 0;
	for (size_t i = 0; i < count && life == 0; i++) {
		struct segment segment;

		if (segment_open(dir_fd, bases[i], &segment, &ignored) != ERR_OK)
			continue;
		if (segment.header_good && segment.header.epoch == epoch)
			life = segment.header.life;
		segment_close(&segment);
	}
	free(bases);
	return life;
}

uint64_t cursor_life(struct cursor *cursor, const struct batch *batch, uint64_t log_id)
{
	struct segment_state state = { .known = false };
	struct err ignored;

	if (cursor->life != 0)
		return cursor->life;
	/* The header is damaged: the state tells it too, or a segment of the same epoch. */
	if (segment_state_of(&cursor->segment, NULL, &state, &ignored) == ERR_OK && state.known)
		cursor->life = state.life;
	if (cursor->life == 0)
		cursor->life = life_of_another(cursor->dir_fd, batch->epoch);
	if (cursor->life == 0)
		cursor->life = life_of_epoch(log_id, batch->epoch);
	return cursor->life;
}

/* The segment that holds `at`, else the next one; 0: none. */
static enum err_code cursor_find(const struct cursor *cursor, uint64_t watermark,
				 uint64_t *ret_base, struct err *err)
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
		code = cursor_find(cursor, watermark, &base, err);
		if (code == ERR_OK && base == 0)
			return ERR_OK;
		if (code == ERR_OK)
			code = segment_open(cursor->dir_fd, base, &cursor->segment, err);
	} while (code == ERR_ABSENT); /* retired between the two */
	if (code != ERR_OK)
		return code;
	cursor->life = cursor->segment.header_good ? cursor->segment.header.life : 0;
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
		code = segment_state_read(cursor->dir_fd, bases[i], NULL, &state, err);
		if (code != ERR_OK)
			break;
		if (cursor->successor == 0)
			cursor->successor = bases[i]; /* unless one is found that says it is */
		if (state.known && state.previous_base == base) {
			cursor->successor = bases[i];
			cursor->end = state.previous_end;
			cursor->let_go = false;
			break;
		}
	}
	free(bases);
	cursor->end_known = code == ERR_OK && cursor->successor != 0;
	return code;
}

static enum err_code read_batch(struct cursor *cursor, enum cursor_result *ret_result,
				struct batch *ret_batch, struct slice *ret_payload, struct err *err)
{
	enum scan_result result = ret_payload ? scan_next(&cursor->scan, ret_batch, ret_payload)
					      : scan_next_header(&cursor->scan, ret_batch);

	*ret_result = result == SCAN_BATCH ? CURSOR_BATCH : CURSOR_DAMAGED;
	if (result == SCAN_BAD) {
		*ret_result = CURSOR_HOLE;
		result = scan_resync(&cursor->scan);
	}
	if (result == SCAN_FAILED)
		return scan_error(&cursor->scan, err);
	cursor->at = cursor->scan.at;
	return ERR_OK;
}

enum err_code cursor_next(struct cursor *cursor, uint64_t watermark, enum cursor_result *ret_result,
			  struct batch *ret_batch, struct slice *ret_payload, struct err *err)
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
		if (cursor->at < cursor->scan.limit)
			return read_batch(cursor, ret_result, ret_batch, ret_payload, err);
		*ret_result = CURSOR_WAIT;
		if (!cursor->end_known)
			return ERR_OK;
		if (!cursor->let_go)
			cursor->at = cursor->successor; /* else opening it is a jump */
		segment_close(segment);
	}
}

/* What is asked for is still to come: it will stand after the watermark. */
static bool is_to_come(const struct index_cache *cache, uint64_t watermark, uint64_t uid,
		       int32_t partition, uint64_t ordinal)
{
	struct ends ends;

	return cache->watermark && watermark_ends(cache->watermark, watermark, &ends) &&
	       ordinal >= ends_next(&ends, uid, partition);
}

enum err_code seek_ordinal(struct index_cache *cache, uint64_t watermark, uint64_t uid,
			   int32_t partition, uint64_t ordinal, uint64_t *ret_address,
			   struct err *err)
{
	uint64_t base;
	enum err_code code;

	if (is_to_come(cache, watermark, uid, partition, ordinal)) {
		*ret_address = watermark;
		return ERR_OK;
	}
	code = states_find(&cache->states, cache->dir_fd, watermark, uid, partition, ordinal, &base,
			   err);
	if (code != ERR_OK)
		return code;
	if (base != 0)
		return index_find(cache, base, watermark, uid, partition, ordinal, ret_address,
				  err);
	*ret_address = 0;
	return ERR_OK;
}

/* The last segment that begins before the time; 0: none. Time never falls, so the search halves. */
static enum err_code find_segment_at(int dir_fd, uint64_t watermark, int64_t time_ms,
				     uint64_t *ret_base, struct err *err)
{
	struct segment_state state;
	uint64_t *bases;
	size_t count, low = 0, high;
	enum err_code code = segment_list(dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	*ret_base = 0;
	while (count > 0 && bases[count - 1] >= watermark)
		count--;
	for (high = count; low < high;) {
		size_t mid = low + (high - low) / 2, at = mid + 1;

		state.known = false;
		while (!state.known && at-- > low && code == ERR_OK)
			code = segment_state_read(dir_fd, bases[at], NULL, &state, err);
		if (code != ERR_OK)
			break;
		if (state.known && state.time_ms >= time_ms) {
			high = at;
			continue;
		}
		if (state.known)
			*ret_base = bases[at];
		low = mid + 1;
	}
	free(bases);
	return code;
}

enum err_code seek_time(int dir_fd, uint64_t watermark, uint64_t uid, int32_t partition,
			int64_t time_ms, uint64_t *ret_ordinal, struct err *err)
{
	struct cursor cursor;
	enum cursor_result result = CURSOR_BATCH;
	struct batch batch;
	uint64_t base = 0;
	enum err_code code;

	cursor_init(&cursor, dir_fd);
	*ret_ordinal = UINT64_MAX;
	code = find_segment_at(dir_fd, watermark, time_ms, &base, err);
	cursor_seek(&cursor, base);
	while (code == ERR_OK && result != CURSOR_WAIT) {
		code = cursor_next(&cursor, watermark, &result, &batch, NULL, err);
		if (code != ERR_OK || result != CURSOR_BATCH || batch.kind != BATCH_RECORDS ||
		    batch.uid != uid || batch.partition != partition)
			continue;
		if (batch.timestamp_ms >= time_ms) {
			*ret_ordinal = batch.ordinal;
			break;
		}
	}
	cursor_release(&cursor);
	return code;
}
