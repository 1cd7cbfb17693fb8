#include "broker/subs.h"

#include "base/mem.h"

void subs_init(struct subs *subs, const struct reader_options *options)
{
	*subs = (struct subs){ 0 };
	if (!options->group)
		return;
	subs->group = xstrdup(options->group);
	subs->topic_count = options->topic_count;
	subs->topics = xcalloc(options->topic_count, sizeof(*subs->topics));
	for (size_t i = 0; i < options->topic_count; i++)
		subs->topics[i] = (struct topic_ref){ .kind = options->topics[i].kind,
						      .name = xstrdup(options->topics[i].name) };
}

void subs_release(struct subs *subs)
{
	for (size_t i = 0; i < subs->topic_count; i++)
		free((void *)(uintptr_t)subs->topics[i].name);
	for (size_t i = 0; i < subs->count; i++)
		free(subs->items[i]);
	free(subs->revoked);
	free(subs->topics);
	free(subs->items);
	free(subs->group);
}

struct sub *subs_find(const struct subs *subs, struct topic_ref ref, int32_t partition)
{
	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[i];

		if (sub->partition == partition && sub->kind == ref.kind &&
		    strcmp(sub->name, ref.name) == 0)
			return sub;
	}
	return NULL;
}

struct sub *subs_find_uid(const struct subs *subs, uint64_t uid, int32_t partition)
{
	for (size_t i = 0; i < subs->count; i++)
		if (subs->items[i]->uid == uid && subs->items[i]->partition == partition)
			return subs->items[i];
	return NULL;
}

struct sub *subs_add(struct subs *subs, const struct partition *partition)
{
	const struct topic *topic = partition->topic;
	struct sub *sub = subs_find_uid(subs, topic->uid, partition->id);

	if (sub)
		return sub;
	sub = xcalloc(1, sizeof(*sub));
	sub->kind = topic->kind;
	memcpy(sub->name, topic->name, sizeof(sub->name));
	sub->uid = topic->uid;
	sub->partition = partition->id;
	sub->like = partition_position(partition, 0);
	sub->next = partition->first;
	sub->sure = true;
	subs->items = xreallocarray(subs->items, subs->count + 1, sizeof(*subs->items));
	subs->items[subs->count++] = sub;
	return sub;
}

static bool revoke_one(struct subs *subs, const struct topics *topics,
		       struct reader_event *ret_event)
{
	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[i];

		if (topics_find_uid(topics, sub->uid))
			continue;
		free(subs->revoked);
		subs->revoked = sub;
		*ret_event = (struct reader_event){ .kind = READER_REVOKED,
						    .topic = sub_ref(sub),
						    .partition = sub->partition };
		subs->items[i] = subs->items[--subs->count];
		return true;
	}
	return false;
}

static bool subs_assign(struct subs *subs, const struct topic *topic,
			struct reader_event *ret_event)
{
	for (int32_t p = 0; p < topic->partition_count; p++) {
		struct sub *sub = subs_add(subs, &topic->partitions[p]);

		if (sub->announced)
			continue;
		sub->announced = true;
		*ret_event = (struct reader_event){ .kind = READER_ASSIGNED,
						    .topic = sub_ref(sub),
						    .partition = sub->partition };
		return true;
	}
	return false;
}

static bool assign_meant(struct subs *subs, const struct topics *topics, struct topic_ref ref,
			 struct reader_event *ret_event)
{
	const struct topic *topic = topics_find(topics, ref);

	if (topic)
		return subs_assign(subs, topic, ret_event);
	for (size_t i = 0; strcmp(ref.name, TOPIC_EVERY) == 0 && i < topics->count; i++)
		if (topic_is_meant(topics->items[i], ref) &&
		    subs_assign(subs, topics->items[i], ret_event))
			return true;
	return false;
}

bool subs_group_event(struct subs *subs, const struct topics *topics,
		      struct reader_event *ret_event)
{
	if (!subs->group)
		return false;
	if (revoke_one(subs, topics, ret_event))
		return true;
	for (size_t i = 0; i < subs->topic_count; i++)
		if (assign_meant(subs, topics, subs->topics[i], ret_event))
			return true;
	return false;
}
