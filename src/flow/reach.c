#include "flow/reach.h"

#include "base/mem.h"

static struct reach_span *last_span(struct reach *reach, const struct reach_span *like)
{
	for (size_t i = reach->count; i-- > 0;)
		if (reach->spans[i].partition == like->partition &&
		    reach->spans[i].generation == like->generation)
			return &reach->spans[i];
	return NULL;
}

void reach_note(struct reach *reach, const struct reach_span *span, bool follows)
{
	struct reach_span *before = follows ? last_span(reach, span) : NULL;

	if (before) {
		before->last = span->last;
		return;
	}
	reach->spans = xreallocarray(reach->spans, reach->count + 1, sizeof(*reach->spans));
	reach->spans[reach->count++] = *span;
}

bool reach_has(const struct reach *reach, int32_t partition, uint32_t generation,
	       struct position position)
{
	for (size_t i = 0; i < reach->count; i++) {
		const struct reach_span *span = &reach->spans[i];

		if (span->partition == partition && span->generation == generation &&
		    position_cmp(position, span->first) >= 0 &&
		    position_cmp(position, span->last) <= 0)
			return true;
	}
	return false;
}

void reach_release(struct reach *reach)
{
	free(reach->spans);
	*reach = (struct reach){ 0 };
}
