#include "flow/reach.h"

#include "base/mem.h"
#include "broker/sequence.h"

static bool follows_on(const struct reach_span *span, struct position first)
{
	struct position next = position_with_ordinal(span->last, position_ordinal(span->last) + 1);

	return position_cmp(next, first) == 0;
}

void reach_note(struct reach *reach, int32_t partition, struct position first,
		struct position last)
{
	for (size_t i = 0; i < reach->count; i++) {
		struct reach_span *span = &reach->spans[i];

		if (span->partition == partition && follows_on(span, first)) {
			span->last = last;
			return;
		}
	}
	reach->spans = xreallocarray(reach->spans, reach->count + 1, sizeof(*reach->spans));
	reach->spans[reach->count++] = (struct reach_span){ partition, first, last };
}

bool reach_has(const struct reach *reach, int32_t partition, struct position position)
{
	for (size_t i = 0; i < reach->count; i++) {
		const struct reach_span *span = &reach->spans[i];

		if (span->partition == partition && position_cmp(position, span->first) >= 0 &&
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
