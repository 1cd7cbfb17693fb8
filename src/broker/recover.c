#include "broker/recover.h"

#include "base/mem.h"
#include "broker/scan.h"
#include "broker/segment.h"

/* One segment as the plan looks at it. */
struct view {
	struct segment segment;
	bool has_state;
};

static enum err_code view_open(int dir_fd, uint64_t base, struct view *ret, struct err *err)
{
	enum err_code code = segment_open(dir_fd, base, &ret->segment, err);
	struct slice payload;
	struct batch batch;
	struct scan scan;

	if (code != ERR_OK)
		return code;
	scan_init(&scan);
	scan_seek(&scan, ret->segment.fd, base, segment_start(&ret->segment),
		  segment_limit(&ret->segment));
	scan.epoch = ret->segment.header.epoch;
	ret->has_state = segment_limit(&ret->segment) > segment_start(&ret->segment) &&
			 scan_next(&scan, &batch, &payload) == SCAN_BATCH &&
			 batch.kind == BATCH_STATE;
	scan_release(&scan);
	return ERR_OK;
}

static void begin(struct scan *scan, const struct segment *segment)
{
	uint64_t start = segment_start(segment), limit = segment_limit(segment);

	scan_seek(scan, segment->fd, segment->header.base, start, limit > start ? limit : start);
	scan->epoch = segment->header.epoch;
}

/* Takes in the watermarks of all valid headers from `at` on. */
static void find_watermark(struct recovery *plan, const struct segment *segment, uint64_t at)
{
	enum scan_result result;
	struct batch batch;
	struct scan scan;

	scan_init(&scan);
	begin(&scan, segment);
	if (at > scan.at)
		scan.at = at < scan.limit ? at : scan.limit;
	while ((result = scan_next_header(&scan, &batch)) != SCAN_END) {
		if (result == SCAN_BAD) {
			(void)scan_resync(&scan);
			continue;
		}
		plan->last_end = batch_end(&batch);
		if (batch.watermark > plan->watermark)
			plan->watermark = batch.watermark;
	}
	scan_release(&scan);
}

/*
 * Step 2, put off until a place is met that is not valid: only what comes after it can have a
 * watermark that lies after it. So what is good is read once.
 */
static void look_beyond(struct recovery *plan, const struct view *views, size_t i, uint64_t at)
{
	if (plan->looked)
		return;
	plan->looked = true;
	for (; i < plan->count; i++)
		find_watermark(plan, &views[i].segment, at);
}

/* Where a damaged header hid whose records were lost, so that no ordinal is known for sure. */
struct doubt {
	uint64_t before;		/* what was learnt before this place is in doubt */
	uint64_t bytes;
};

/*
 * A partition's last records may have been in the damaged place. Their ordinals must not be
 * used again, so it goes on above the most that fit there; the gap is reported as damage.
 */
static void resolve_doubt(struct recovery *plan, struct doubt doubt)
{
	plan->unknown = doubt.bytes / RECORD_HEADER_BYTES;
	for (size_t i = 0; plan->unknown > 0 && i < plan->ordinals.cap; i++) {
		struct ordinal *ordinal = &plan->ordinals.places[i];

		if (!ordinal->uid || ordinal->at >= doubt.before)
			continue;
		ordinal->next += plan->unknown;
		if (ordinal->next > ORDINAL_MAX)
			ordinal->next = ORDINAL_MAX;
	}
}

/* Passes over a place below the watermark without a valid header; false: the log ends there. */
static bool pass_damage(struct recovery *plan, struct scan *scan, struct doubt *doubt)
{
	uint64_t from = scan->at;
	bool goes_on = scan_resync(scan) && scan->at <= plan->watermark;

	if (!goes_on)
		scan->at = plan->watermark < scan->limit ? plan->watermark : scan->limit;
	plan->damaged++;
	doubt->before = scan->at;
	doubt->bytes += scan->at - from;
	return goes_on;
}

/* Step 3, for one segment: learns ordinals; the end of what is good ends up in plan->end. */
static void walk(struct recovery *plan, const struct view *views, size_t i, struct doubt *doubt)
{
	const struct segment *segment = &views[i].segment;
	uint32_t chain = segment->header.crc;
	bool chained = segment->header_good;
	struct slice payload;
	struct batch batch;
	struct scan scan;

	scan_init(&scan);
	begin(&scan, segment);
	for (;;) {
		uint64_t at = scan.at;
		enum scan_result result = scan_next(&scan, &batch, &payload);
		bool linked = result == SCAN_BATCH && (!chained || batch.chain == chain);
		bool sure;

		if (!linked)
			look_beyond(plan, views, i, at);
		sure = at < plan->watermark;
		plan->end = at;
		if (result == SCAN_END)
			break;
		if (result == SCAN_BAD) {
			chained = false;
			if (sure && pass_damage(plan, &scan, doubt))
				continue;
			plan->end = scan.at;
			break;
		}
		if (!sure && !linked)
			break;
		if (result == SCAN_DAMAGED)
			plan->damaged++;
		if (batch.watermark > plan->watermark)
			plan->watermark = batch.watermark;
		chain = batch.header_crc;
		chained = true;
		if (batch.timestamp_ms > plan->newest_ms)
			plan->newest_ms = batch.timestamp_ms;
		ordinals_learn(&plan->ordinals, &batch,
			       result == SCAN_BATCH ? payload : slice_of("", 0));
	}
	scan_release(&scan);
}

/* The last segment with a state and all after it; *ret_from is its place, or 0. */
static enum err_code open_views(int dir_fd, struct recovery *plan, struct view *views,
				size_t *ret_from, struct err *err)
{
	for (size_t i = plan->count; i-- > 0;) {
		enum err_code code = view_open(dir_fd, plan->bases[i], &views[i], err);
		const struct segment *segment = &views[i].segment;

		if (code != ERR_OK)
			return code;
		if (segment->header.epoch > plan->epoch)
			plan->epoch = segment->header.epoch;
		if (segment_limit(segment) > plan->next_base)
			plan->next_base = segment_limit(segment);
		*ret_from = i;
		if (views[i].has_state)
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
	doubt->bytes += plan->watermark - plan->end;
	/* No position comes again. */
	if (plan->next_base < plan->watermark)
		plan->next_base = plan->watermark + (rest ? SEGMENT_HEADER_BYTES - rest : 0);
}

static void make_plan(struct recovery *plan, const struct view *views, size_t from)
{
	struct doubt doubt = { 0 };

	if (plan->count > 0 && !views[from].has_state)
		look_beyond(plan, views, from, 0);
	plan->empty = plan->watermark == 0 && (plan->count == 0 || !views[from].has_state);
	if (plan->empty)
		return;
	plan->tail = from;
	walk(plan, views, plan->tail, &doubt);
	while (plan->tail + 1 < plan->count && plan->bases[plan->tail + 1] < plan->watermark)
		walk(plan, views, ++plan->tail, &doubt);
	miss_segments(plan, &doubt);
	resolve_doubt(plan, doubt);
	if (plan->last_end > plan->end)
		plan->cut_bytes = plan->last_end - plan->end;
}

enum err_code recover_plan(int dir_fd, uint64_t published, struct recovery *ret, struct err *err)
{
	struct recovery plan = { .watermark = published };
	struct view *views = NULL;
	enum err_code code = segment_list(dir_fd, &plan.bases, &plan.count, err);
	size_t from = 0;

	if (code != ERR_OK)
		return code;
	ordinals_init(&plan.ordinals);
	views = xcalloc(plan.count, sizeof(*views));
	for (size_t i = 0; i < plan.count; i++)
		views[i].segment.fd = -1;
	code = open_views(dir_fd, &plan, views, &from, err);
	if (code == ERR_OK && plan.count == 0 && published > 0)
		code = err_set(err, ERR_CORRUPT, "the log's watermark is there, its segments are not");
	if (code == ERR_OK)
		make_plan(&plan, views, from);
	for (size_t i = 0; i < plan.count; i++)
		segment_close(&views[i].segment);
	free(views);
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
