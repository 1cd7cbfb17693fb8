#include "flow/sink_inside.h"

#include "base/mem.h"
#include "base/names.h"

#include <stdlib.h>

size_t sink_table_of(const struct sink *sink, const char *topic)
{
	size_t table = 0;

	while (table < sink->options->table_count &&
	       strcmp(sink->options->tables[table].topic, topic) != 0)
		table++;
	return table;
}

bool sink_topics_add(void *user, const char *name)
{
	struct sink_topics *topics = user;

	topics->names = xreallocarray(topics->names, topics->count + 1, sizeof(char *));
	topics->names[topics->count++] = xstrdup(name);
	return true;
}

void sink_topics_add_own(const struct sink *sink, struct sink_topics *topics)
{
	const struct sink_options *options = sink->options;

	if (options->take_all)
		(void)sink_topics_add(topics, TOPIC_EVERY);
	for (size_t i = 0; i < options->topic_count; i++)
		(void)sink_topics_add(topics, options->topics[i]);
	for (size_t i = 0; i < options->table_count && !options->named_only; i++)
		if (sink_table_of(sink, options->tables[i].topic) == i)
			(void)sink_topics_add(topics, options->tables[i].topic);
}

bool sink_topics_match(const struct sink_topics *topics, const char *name)
{
	for (size_t i = 0; i < topics->count; i++)
		if (name_matches(topics->names[i], name))
			return true;
	return false;
}

void sink_topics_release(struct sink_topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		free(topics->names[i]);
	free(topics->names);
}
