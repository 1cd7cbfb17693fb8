/*
 * Which topics a sink reads, and when it has read all that was in them.
 */
#include "flow/sink_inside.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"

enum {
	EVENT_BYTES = 4 << 20,
	JOIN_WAIT_MS = 30000, /* for a group's first assignment */
};

/* --- topics ------------------------------------------------------------ */

struct topics {
	char **names;
	size_t count;
};

static bool sink_drain_add_topic(void *user, const char *name)
{
	struct topics *topics = user;

	topics->names = xreallocarray(topics->names, topics->count + 1, sizeof(char *));
	topics->names[topics->count++] = xstrdup(name);
	return true;
}

/* Those that the options name; tables may share one. */
static void add_own_topics(const struct sink *sink, struct topics *topics)
{
	for (size_t i = 0; i < sink->options->topic_count; i++)
		(void)sink_drain_add_topic(topics, sink->options->topics[i]);
	if (sink->options->topic_count > 0)
		return;
	for (size_t i = 0; i < sink->options->table_count; i++)
		if (sink_table_of(sink, sink->options->tables[i].topic) == i)
			(void)sink_drain_add_topic(topics, sink->options->tables[i].topic);
}

static void free_topics(struct topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		free(topics->names[i]);
	free(topics->names);
}

enum err_code sink_open_reader(struct sink *sink, struct err *err)
{
	struct topics topics = { 0 };
	struct reader_options options = { .group = "sink", .bytes_max = EVENT_BYTES };
	struct topic_ref *refs;
	enum err_code code;

	if (sink->options->take_all && sink->options->topic_count == 0)
		(void)sink_drain_add_topic(&topics, TOPIC_EVERY);
	else
		add_own_topics(sink, &topics);
	refs = xcalloc(topics.count + 1, sizeof(*refs));
	for (size_t i = 0; i < topics.count; i++)
		refs[i] = (struct topic_ref){ TOPIC_LOG, topics.names[i] };
	options.topics = refs;
	options.topic_count = topics.count;
	code = broker_reader_open(sink->options->broker, &options, &sink->reader, err);
	free(refs);
	free_topics(&topics);
	return code;
}

/* --- draining ---------------------------------------------------------- */

/* Where the end is not known it is where the reader has caught up from now on. */
static enum err_code sink_set_goal(struct sink *sink, struct sink_partition *partition,
				   const struct partition_info *info, struct err *err)
{
	partition->has_goal = info->next_known;
	partition->goal = info->next;
	partition->goal_open = !info->next_known;
	if (partition->goal_open && partition->state == SINK_READING)
		return sink_seek(sink, partition, err);
	return ERR_OK;
}

/* What is in the log of a topic now is what a drain must reach. */
static enum err_code sink_set_goals(struct sink *sink, const char *topic, struct err *err)
{
	struct topic_ref ref = { TOPIC_LOG, topic };
	struct topic_info info;
	struct err why;
	enum err_code code = broker_describe(sink->options->broker, ref, &info, &why);

	if (code == ERR_NO_TOPIC)
		return ERR_OK;
	if (code != ERR_OK) {
		*err = why;
		return code;
	}
	for (int32_t i = 0; i < info.partition_count && code == ERR_OK; i++)
		code = sink_set_goal(sink, sink_make_partition(sink, topic, info.partitions[i].id),
				     &info.partitions[i], err);
	topic_info_release(&info);
	return code;
}

enum err_code sink_begin_drain(struct sink *sink, struct err *err)
{
	struct topics topics = { 0 };
	enum err_code code = ERR_OK;

	if (sink->options->take_all && sink->options->topic_count == 0)
		code = broker_list(sink->options->broker, TOPIC_LOG, sink_drain_add_topic, &topics,
				   err);
	else
		add_own_topics(sink, &topics);
	for (size_t i = 0; i < topics.count && code == ERR_OK; i++)
		code = sink_set_goals(sink, topics.names[i], err);
	free_topics(&topics);
	sink->draining = code == ERR_OK; /* without its goals it would end at once */
	return code;
}

/* A service may take its time to say what is whose; it says it of all partitions at once. */
static bool sink_has_joined(const struct sink *sink)
{
	return sink->joined || stop_requested() || clock_mono_ms() - sink->began_ms > JOIN_WAIT_MS;
}

bool sink_drained(struct sink *sink)
{
	bool quiet = sink->quiet && sink_has_joined(sink);
	bool busy = false;

	for (size_t i = 0; i < sink->partition_count; i++)
		if (!sink_partition_drained(sink->partitions[i], quiet))
			return false;
	(void)sink_close_due(sink, 0, true);
	for (size_t i = 0; i < sink->partition_count; i++) {
		const struct sink_partition *partition = sink->partitions[i];

		busy = busy || sink_writer_is_busy(sink->writer, &partition->lane) ||
		       partition->state == SINK_LEAVING ||
		       (partition->state == SINK_READING &&
			atomic_load(&partition->lane.halted) != ERR_OK);
	}
	return !busy;
}
