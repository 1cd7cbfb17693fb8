#include "broker/local/recover.h"

#include "base/file.h"
#include "base/mem.h"
#include "broker/local/cursor.h"

/* One segment as the plan looks at it. */
struct view {
	struct segment segment;
	bool has_state;
};

/* What is needed on the way to the result. */
struct survey {
	struct view *views;		/* of the segments; of the last ones open */
	bool looked;			/* for watermarks beyond the first bad place */
	uint64_t last_end;		/* of the last valid header found there */
};

static enum err_code view_open(int dir_fd, uint64_t base, struct view *ret, struct err *err)
{
	enum err_code code = segment_open(dir_fd, base, &ret->segment, err);
	struct segment_state state;

	if (code == ERR_OK)
		code = segment_state_of(&ret->segment, NULL, &state, err);
	if (code == ERR_OK)
		ret->has_state = state.known;
	return code;
}

static void recover_begin(struct scan *scan, const struct segment *segment)
{
	uint64_t start = segment_start(segment), limit = segment_limit(segment);

	scan_seek(scan, segment->fd, segment->header.base, start, limit > start ? limit : start);
	scan->epoch = segment->header.epoch;
}

/* Takes in the watermarks of all valid headers from `at` on. */
static enum err_code recover_find_watermark(struct recovery *plan, struct survey *survey,
					    const struct segment *segment,
					    uint64_t at, struct err *err)
{
	enum scan_result result = SCAN_BATCH;
	enum err_code code = ERR_OK;
	struct batch batch;
	struct scan scan;

	scan_init(&scan);
	recover_begin(&scan, segment);
	if (at > scan.at)
		scan.at = at < scan.limit ? at : scan.limit;
	while (result != SCAN_END && result != SCAN_FAILED) {
		result = scan_next_header(&scan, &batch);
		if (result == SCAN_BATCH) {
			survey->last_end = batch_end(&batch);
			if (batch.watermark > plan->watermark)
				plan->watermark = batch.watermark;
		} else if (result == SCAN_BAD) {
			result = scan_resync(&scan);
		}
	}
	if (result == SCAN_FAILED)
		code = scan_error(&scan, err);
	scan_release(&scan);
	return code;
}

/*
 * Step 2, put off until a place is met that is not valid: only what comes after it can have a
 * watermark that lies after it. So what is good is read once.
 */
static enum err_code look_beyond(struct recovery *plan, struct survey *survey, size_t i,
				 uint64_t at, struct err *err)
{
	enum err_code code = ERR_OK;

	if (survey->looked)
		return ERR_OK;
	survey->looked = true;
	for (; i < plan->count && code == ERR_OK; i++)
		code = recover_find_watermark(plan, survey, &survey->views[i].segment,
					      at, err);
	return code;
}

/* Where a damaged header hid whose records were lost, so that no ordinal is known for sure. */
struct doubt {
	uint64_t before;  /* what was learnt before this place is in doubt */
	uint64_t records; /* at most so many were there */
};

uint64_t recover_skip(uint64_t next, uint64_t unknown, const struct ends *ends, uint64_t uid,
		      int32_t partition)
{
	uint64_t most = unknown > ORDINAL_MAX - next ? ORDINAL_MAX : next + unknown;
	uint64_t end = ends ? ends_next(ends, uid, partition) : most;

	if (end > most)
		end = most; /* damage of the watermark file must not use up the ordinals */
	return end > next ? end : next;
}

/*
 * A partition's last records may have been in the damaged place. Their ordinals must not be
 * used again, so it goes on where the ends say that it ended, if they were kept up to the
 * watermark, else above the most that were there; the gap is reported as damage.
 */
static void resolve_doubt(struct recovery *plan, struct doubt doubt, const struct ends *ends)
{
	plan->unknown = doubt.records;
	plan->ends_hold = ends && ends->watermark >= plan->watermark;
	for (size_t i = 0; plan->unknown > 0 && i < plan->ordinals.cap; i++) {
		struct ordinal *ordinal = &plan->ordinals.places[i];

		if (ordinal->uid && ordinal->at < doubt.before)
			ordinal->next = recover_skip(ordinal->next, plan->unknown,
						     plan->ends_hold ? ends : NULL, ordinal->uid,
						     ordinal->partition);
	}
}

/*
 * Of what the scan has passed over since `from`. As many as there are, where it is a batch of which
 * only the header is damaged; else what fits, which is many times more, and each is reported.
 */
static uint64_t most_records(const struct scan *scan, uint64_t from)
{
	size_t len = (size_t)(scan->at - from);
	unsigned char *bytes = xmalloc(len);
	uint64_t count;
	int failure;

	if (file_read_at(scan->fd, bytes, len, from - scan->base, &failure) != len ||
	    !batch_count_records(bytes, len, &count))
		count = len / RECORD_HEADER_BYTES;
	free(bytes);
	return count;
}

/* Passes over a place below the watermark without a valid header; SCAN_END: the log ends there. */
static enum scan_result pass_damage(struct recovery *plan, struct scan *scan, struct doubt *doubt)
{
	uint64_t from = scan->at;
	enum scan_result result = scan_resync(scan);

	if (result == SCAN_FAILED)
		return result;
	if (scan->at > plan->watermark)
		result = SCAN_END;
	if (result == SCAN_END)
		scan->at = plan->watermark < scan->limit ? plan->watermark : scan->limit;
	plan->damaged++;
	doubt->before = scan->at;
	doubt->records += most_records(scan, from);
	return result;
}

/* A batch that is part of the log; its payload may be lost. */
static void take_batch(struct recovery *plan, const struct batch *batch, struct slice payload)
{
	if (batch->watermark > plan->watermark)
		plan->watermark = batch->watermark;
	if (batch->timestamp_ms > plan->newest_ms)
		plan->newest_ms = batch->timestamp_ms;
	ordinals_learn(&plan->ordinals, batch, payload);
}

/* Step 3, for one segment: learns ordinals; the end of what is good ends up in plan->end. */
static enum err_code recover_walk(struct recovery *plan, struct survey *survey, size_t i,
				  struct doubt *doubt, struct err *err)
{
	enum scan_result result = SCAN_BATCH;
	enum err_code code = ERR_OK;
	const struct segment *segment = &survey->views[i].segment;
	uint32_t chain = segment->header.crc;
	bool chained = segment->header_good;
	struct slice payload;
	struct batch batch;
	struct scan scan;

	scan_init(&scan);
	recover_begin(&scan, segment);
	while (result != SCAN_END && result != SCAN_FAILED) {
		uint64_t at = scan.at;
		bool linked, sure;

		result = scan_next(&scan, &batch, &payload);
		linked = result == SCAN_BATCH && (!chained || batch.chain == chain);
		if (!linked && result != SCAN_FAILED)
			code = look_beyond(plan, survey, i, at, err);
		if (code != ERR_OK)
			break;
		sure = at < plan->watermark;
		plan->end = at;
		if (result == SCAN_BAD) {
			chained = false;
			result = sure ? pass_damage(plan, &scan, doubt) : SCAN_END;
			plan->end = scan.at;
		} else if (result == SCAN_BATCH || result == SCAN_DAMAGED) {
			if (!sure && !linked)
				break;
			plan->damaged += result == SCAN_DAMAGED;
			chain = batch.header_crc;
			chained = true;
			take_batch(plan, &batch, result == SCAN_BATCH ? payload : slice_of("", 0));
		}
	}
	if (result == SCAN_FAILED)
		code = scan_error(&scan, err);
	scan_release(&scan);
	return code;
}

/* The last segment with a state and all after it; *ret_from is its place, or 0. */
static enum err_code open_views(int dir_fd, struct recovery *plan, struct survey *survey,
				size_t *ret_from, struct err *err)
{
	for (size_t i = plan->count; i-- > 0;) {
		enum err_code code = view_open(dir_fd, plan->bases[i], &survey->views[i], err);
		const struct segment *segment = &survey->views[i].segment;

		if (code != ERR_OK)
			return code;
		if (segment->header.epoch > plan->epoch)
			plan->epoch = segment->header.epoch;
		if (segment_limit(segment) > plan->next_base)
			plan->next_base = segment_limit(segment);
		*ret_from = i;
		if (survey->views[i].has_state)
			break;
	}
	return ERR_OK;
}

/* The watermark lies in a segment that is not there: it was lost with all that it held. */
static void miss_segments(struct recovery *plan, struct doubt *doubt)
{
	uint64_t rest = plan->watermark % SEGMENT_HEADER_BYTES;

	if (plan->end >= plan->watermark)
		return;
	plan->damaged++;
	doubt->before = UINT64_MAX;
	doubt->records += (plan->watermark - plan->end) / RECORD_HEADER_BYTES;
	/* No position comes again. */
	if (plan->next_base < plan->watermark)
		plan->next_base = plan->watermark + (rest ? SEGMENT_HEADER_BYTES - rest : 0);
}

static enum err_code make_plan(struct recovery *plan, struct survey *survey, size_t from,
			       const struct ends *ends, struct err *err)
{
	struct doubt doubt = { 0 };
	enum err_code code = ERR_OK;

	if (plan->count > 0 && !survey->views[from].has_state)
		code = look_beyond(plan, survey, from, 0, err);
	plan->empty = plan->watermark == 0 && (plan->count == 0 || !survey->views[from].has_state);
	if (code != ERR_OK || plan->empty)
		return code;
	plan->tail = from;
	code = recover_walk(plan, survey, plan->tail, &doubt, err);
	while (code == ERR_OK && plan->tail + 1 < plan->count &&
	       plan->bases[plan->tail + 1] < plan->watermark)
		code = recover_walk(plan, survey, ++plan->tail, &doubt, err);
	if (code != ERR_OK)
		return code;
	miss_segments(plan, &doubt);
	resolve_doubt(plan, doubt, ends);
	if (survey->last_end > plan->end)
		plan->cut_bytes = survey->last_end - plan->end;
	return ERR_OK;
}

enum err_code recover_plan(int dir_fd, uint64_t published, const struct ends *ends,
			   struct recovery *ret, struct err *err)
{
	struct recovery plan = { .watermark = published };
	struct survey survey = { .looked = false };
	enum err_code code = segment_list(dir_fd, &plan.bases, &plan.count, err);
	size_t from = 0;

	if (code != ERR_OK)
		return code;
	ordinals_init(&plan.ordinals);
	survey.views = xcalloc(plan.count, sizeof(*survey.views));
	for (size_t i = 0; i < plan.count; i++)
		survey.views[i].segment.fd = -1;
	code = open_views(dir_fd, &plan, &survey, &from, err);
	if (code == ERR_OK && plan.count == 0 && published > 0)
		code = err_set(err, ERR_CORRUPT,
			       "the log's watermark is there, its segments are not");
	if (code == ERR_OK)
		code = make_plan(&plan, &survey, from, ends, err);
	for (size_t i = 0; i < plan.count; i++)
		segment_close(&survey.views[i].segment);
	free(survey.views);
	if (code != ERR_OK)
		recovery_release(&plan);
	else
		*ret = plan;
	return code;
}

void recovery_release(struct recovery *recovery)
{
	ordinals_release(&recovery->ordinals);
	free(recovery->bases);
	recovery->bases = NULL;
	recovery->count = 0;
}
