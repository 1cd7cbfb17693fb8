#include "base/mem.h"
#include "base/registry.h"
#include "base/time.h"
#include "flow/sink_inside.h"

enum { TELL_MS = 250 };

struct sink_topic {
	struct series *row;
	bool ours;	     /* partitions of it are … */
	int64_t complete_ms; /* … of which this is the least; 0: of one it is not known */
};

void sink_tell_partition(struct sink *sink, struct sink_partition *partition)
{
	struct series *row = series_of(SERIES_SINK, partition->topic);
	size_t at = 0;

	while (at < sink->topic_count && sink->topics[at].row != row)
		at++;
	partition->topic_at = at;
	if (at < sink->topic_count)
		return;
	sink->topics = xreallocarray(sink->topics, at + 1, sizeof(*sink->topics));
	sink->topics[sink->topic_count++] = (struct sink_topic){ .row = row };
	series_set(row, SERIES_PERIOD_MS, sink->options->flush_age_ms);
}

void sink_tell_landed(struct sink *sink, struct sink_partition *partition,
		      const struct sink_job *job)
{
	struct series *row = sink->topics[partition->topic_at].row;
	int64_t now_ms = clock_wall_ms();
	int64_t until_ms = job->newest_ms < now_ms ? job->newest_ms : now_ms;

	series_add(row, job->letters ? SERIES_DEAD : SERIES_RECORDS, (int64_t)job->records);
	series_set(row, SERIES_LANDED_MS, now_ms);
	if (until_ms > partition->complete_ms)
		partition->complete_ms = until_ms;
}

static int64_t partition_complete_ms(struct sink *sink, struct sink_partition *partition,
				     int64_t now_ms)
{
	if (partition->state == SINK_READING && partition->all_given && partition->count == 0 &&
	    now_ms > partition->complete_ms && !sink_writer_is_busy(sink->writer, &partition->lane))
		partition->complete_ms = now_ms;
	return partition->complete_ms;
}

/* A topic is as far as the last of its partitions. Returns how many of them are halted. */
static int64_t tell_topics(struct sink *sink)
{
	int64_t halted = 0, now_ms = clock_wall_ms();

	for (size_t i = 0; i < sink->topic_count; i++) {
		sink->topics[i].ours = false;
		sink->topics[i].complete_ms = INT64_MAX;
	}
	for (size_t i = 0; i < sink->partition_count; i++) {
		struct sink_partition *partition = sink->partitions[i];
		struct sink_topic *topic = &sink->topics[partition->topic_at];
		int64_t complete_ms;

		halted += partition->state == SINK_HALTED;
		if (partition->state == SINK_AWAY)
			continue;
		complete_ms = partition_complete_ms(sink, partition, now_ms);
		topic->ours = true;
		if (complete_ms < topic->complete_ms)
			topic->complete_ms = complete_ms;
	}
	for (size_t i = 0; i < sink->topic_count; i++) {
		const struct sink_topic *topic = &sink->topics[i];

		if (!topic->ours)
			continue;
		series_raise(topic->row, SERIES_COMPLETE_MS, topic->complete_ms);
		if (topic->complete_ms >= now_ms)
			series_set(topic->row, SERIES_LAG, 0);
	}
	return halted;
}

static void say_what(const struct sink *sink)
{
	uint64_t filling = 0;
	size_t ours = 0;

	for (size_t i = 0; i < sink->partition_count; i++) {
		ours += sink->partitions[i]->state != SINK_AWAY;
		filling += sink->partitions[i]->count;
	}
	registry_say(REGISTRY_DOING, "%s%zu partitions of %zu topics, %llu record%s wait",
		     sink->draining ? "drains " : "", ours, sink->topic_count,
		     (unsigned long long)filling, filling == 1 ? "" : "s");
}

void sink_tell(struct sink *sink)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - sink->told_ms < TELL_MS)
		return;
	sink->told_ms = now_ms;
	metric_set(METRIC_SINK_HALTED, tell_topics(sink));
	say_what(sink);
}
