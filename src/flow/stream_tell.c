#include "base/registry.h"
#include "base/time.h"
#include "flow/stream_private.h"

enum { TELL_MS = 250 };

/* The table has all that its stream has, as far as the log says. */
static bool has_all(const struct stream *stream, const struct stream_table *table)
{
	const struct stream_source *source = stream_source_of(stream, table->place.topic);

	if (!table->delta || stream_table_waits(table) || stream_table_is_held(table) || !source ||
	    source->count == 0)
		return false;
	for (size_t i = 0; i < source->count; i++) {
		const struct stream_part *part = source->parts[i];

		if ((!part->caught_up && !part->ended) || part->behind_ms || part->unsought ||
		    part->missed)
			return false;
	}
	return true;
}

static size_t stream_shard_count(const struct stream *stream)
{
	size_t count = 0;

	for (size_t i = 0; i < stream->source_count; i++)
		count += stream->sources[i].count;
	return count;
}

void stream_tell(struct stream *stream)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - stream->told_ms < TELL_MS)
		return;
	stream->told_ms = now_ms;
	for (size_t i = 0; i < stream->table_count; i++) {
		if (!has_all(stream, &stream->tables[i]))
			continue;
		series_raise(stream->tables[i].facts, SERIES_COMPLETE_MS, clock_wall_ms());
		series_set(stream->tables[i].facts, SERIES_LAG, 0);
	}
	metric_set(METRIC_STREAM_REFUSED, (int64_t)stream->refused);
	registry_say(REGISTRY_DOING, "%s%zu shards into %zu tables",
		     stream->draining ? "drains " : "", stream_shard_count(stream),
		     stream->table_count - stream->refused);
}
