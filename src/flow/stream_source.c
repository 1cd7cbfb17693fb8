#include "flow/stream_source.h"

#include "base/mem.h"

#include <string.h>

void stream_source_release(struct stream_source *source)
{
	for (size_t i = 0; i < source->count; i++)
		free(source->parts[i]);
	free(source->parts);
	topic_info_release(&source->info);
	*source = (struct stream_source){ 0 };
}

/* The first part of this id or a greater one: there may be thousands, each with parents. */
static size_t place_of_part(const struct stream_source *source, int32_t id)
{
	size_t from = 0, to = source->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (source->parts[middle]->id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct stream_part *stream_source_part(const struct stream_source *source, int32_t id)
{
	size_t at = place_of_part(source, id);

	return at < source->count && source->parts[at]->id == id ? source->parts[at] : NULL;
}

/* Once for all that are assigned one after the other. */
static enum err_code look_at_topic(struct stream_source *source, struct broker *broker,
				   struct err *err)
{
	enum err_code code;

	if (source->info_fresh)
		return ERR_OK;
	topic_info_release(&source->info);
	code = broker_describe(broker, source->topic, &source->info, err);
	source->info_fresh = code == ERR_OK;
	return code == ERR_NO_TOPIC ? ERR_OK : code; /* removed since; it is revoked soon */
}

static void set_goal(struct stream_part *part, const struct topic_info *info)
{
	const struct partition_info *its = topic_info_partition(info, part->id);

	part->goal_known = its && its->next_known;
	if (part->goal_known)
		part->goal = its->next;
}

static struct stream_part *stream_source_add_part(struct stream_source *source, int32_t id)
{
	size_t at = place_of_part(source, id);

	source->parts = xreallocarray(source->parts, source->count + 1,
				      sizeof(struct stream_part *));
	memmove(&source->parts[at + 1], &source->parts[at],
		(source->count++ - at) * sizeof(struct stream_part *));
	return source->parts[at] = xcalloc(1, sizeof(struct stream_part));
}

enum err_code stream_source_assign(struct stream_source *source, struct broker *broker, int32_t id,
				   struct stream_part **ret_part, struct err *err)
{
	struct stream_part *part = stream_source_part(source, id);
	const struct partition_info *its;

	*ret_part = NULL;
	if (look_at_topic(source, broker, err) != ERR_OK)
		return err->code;
	its = topic_info_partition(&source->info, id);
	if (!its)
		return ERR_OK;
	if (!part)
		part = stream_source_add_part(source, id);
	*part = (struct stream_part){ .id = id, .parents = { its->parents[0], its->parents[1] } };
	set_goal(part, &source->info);
	source->changed = true;
	*ret_part = part;
	return ERR_OK;
}

void stream_source_drop(struct stream_source *source, int32_t id)
{
	size_t at = place_of_part(source, id);

	if (at == source->count || source->parts[at]->id != id)
		return;
	free(source->parts[at]);
	memmove(&source->parts[at], &source->parts[at + 1],
		(--source->count - at) * sizeof(struct stream_part *));
	source->changed = true;
}

/* What the log has given includes `last`. */
static void note_given(struct stream_part *part, struct position last)
{
	part->caught_up = false;
	part->reached |= part->goal_known && position_cmp(last, part->goal) >= 0;
}

void stream_source_note(struct stream_source *source, struct stream_part *part,
			const struct reader_event *event)
{
	source->info_fresh = false;
	switch (event->kind) {
	case READER_RECORDS:
		note_given(part, event->records[event->count - 1].position);
		break;
	case READER_GAP:
		note_given(part, event->last);
		break;
	case READER_CAUGHT_UP:
		part->caught_up = true;
		part->reached = true;
		part->end = event->last;
		break;
	case READER_END:
		part->ended = true;
		part->reached = true;
		source->changed = true;
		break;
	case READER_IDLE:
	case READER_ASSIGNED:
	case READER_REVOKED:
	case READER_FAILED:
		break;
	}
}

void stream_part_begin_drain(struct stream_part *part, const struct topic_info *now,
			     bool *ret_again)
{
	set_goal(part, now);
	part->reached = part->ended || (part->goal_known && part->caught_up &&
					position_cmp(part->end, part->goal) >= 0);
	*ret_again = !part->reached && !part->goal_known && part->caught_up;
}

bool stream_source_awaits_parent(const struct stream_source *source, const struct stream_part *part)
{
	for (int i = 0; i < 2; i++) {
		const struct stream_part *parent =
			part->parents[i] < 0 ? NULL : stream_source_part(source, part->parents[i]);

		if (parent && !parent->finished)
			return true;
	}
	return false;
}
