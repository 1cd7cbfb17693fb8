#include "broker/local/seek.h"

#include "base/mem.h"

/* A partition that the state does not know came later: all its records are above. */
static bool is_before(const struct ordinals *ordinals, uint64_t uid, int32_t partition,
		      uint64_t ordinal)
{
	const struct ordinal *found = ordinals_find(ordinals, uid, partition);

	return !found || found->next <= ordinal;
}

/* The last segment that begins at or before the ordinal; 0: none. */
static enum err_code find_segment(int dir_fd, uint64_t watermark, uint64_t uid, int32_t partition,
				  uint64_t ordinal, uint64_t *ret_base, struct err *err)
{
	struct ordinals ordinals;
	struct segment_state state;
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	ordinals_init(&ordinals);
	*ret_base = 0;
	for (size_t i = count; i-- > 0 && code == ERR_OK && *ret_base == 0;) {
		if (bases[i] >= watermark)
			continue;
		ordinals_clear(&ordinals);
		code = segment_state_read(dir_fd, bases[i], &ordinals, &state, err);
		if (code == ERR_OK && state.known && is_before(&ordinals, uid, partition, ordinal))
			*ret_base = bases[i];
	}
	ordinals_release(&ordinals);
	free(bases);
	return code;
}

enum err_code seek_ordinal(struct index_cache *cache, uint64_t watermark, uint64_t uid,
			   int32_t partition, uint64_t ordinal, uint64_t *ret_position,
			   struct err *err)
{
	uint64_t base;
	enum err_code code =
		find_segment(cache->dir_fd, watermark, uid, partition, ordinal, &base, err);

	if (code != ERR_OK)
		return code;
	if (base != 0)
		return index_find(cache, base, watermark, uid, partition, ordinal, ret_position,
				  err);
	*ret_position = 0;
	return ERR_OK;
}

/* The last segment that begins before the time; 0: none. */
static enum err_code find_segment_at(int dir_fd, uint64_t watermark, int64_t time_ms,
				     uint64_t *ret_base, struct err *err)
{
	struct segment_state state;
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(dir_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	*ret_base = 0;
	for (size_t i = count; i-- > 0 && code == ERR_OK && *ret_base == 0;) {
		if (bases[i] >= watermark)
			continue;
		code = segment_state_read(dir_fd, bases[i], NULL, &state, err);
		if (code == ERR_OK && state.known && state.time_ms < time_ms)
			*ret_base = bases[i];
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
