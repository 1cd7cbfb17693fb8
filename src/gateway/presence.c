#include "gateway/presence.h"

#include "base/fnv.h"
#include "base/mem.h"
#include "base/time.h"

void presence_init(struct presence *presence) { *presence = (struct presence){ .count = 0 }; }

void presence_release(struct presence *presence)
{
	for (size_t i = 0; i < PRESENCE_BUCKETS; i++)
		while (presence->buckets[i]) {
			struct presence_topic *topic = presence->buckets[i];

			presence->buckets[i] = topic->next;
			free(topic);
		}
}

/* Who picks names to fall into one bucket costs each request a walk of what the table
 * may hold, which is bounded. */
static size_t bucket_of(struct topic_ref topic)
{
	uint64_t hash = fnv1a_text(FNV1A_BEGIN ^ (uint64_t)topic.kind, topic.name);

	return (hash ^ hash >> 32) % PRESENCE_BUCKETS;
}

struct presence_topic *presence_find(const struct presence *presence, struct topic_ref topic)
{
	struct presence_topic *at = presence->buckets[bucket_of(topic)];

	while (at && (at->kind != topic.kind || strcmp(at->name, topic.name) != 0))
		at = at->next;
	return at;
}

/* Those that are there are the last to be forgotten. */
static bool presence_forget_in(struct presence *presence, size_t bucket, bool also_there)
{
	struct presence_topic **at = &presence->buckets[bucket];

	while (*at) {
		struct presence_topic *topic = *at;

		if (topic->users == 0 && topic->state != PRESENCE_MAKING &&
		    (also_there || topic->state != PRESENCE_THERE)) {
			*at = topic->next;
			free(topic);
			presence->count--;
			return true;
		}
		at = &topic->next;
	}
	return false;
}

static void presence_forget_one(struct presence *presence)
{
	for (int also_there = 0; also_there <= 1; also_there++)
		for (size_t i = 0; i < PRESENCE_BUCKETS; i++) {
			presence->hand = (presence->hand + 1) % PRESENCE_BUCKETS;
			if (presence_forget_in(presence, presence->hand, also_there))
				return;
		}
}

/* Past its bound only by what is in use, which is bounded elsewhere. */
struct presence_topic *presence_get(struct presence *presence, struct topic_ref topic)
{
	struct presence_topic *found = presence_find(presence, topic);
	struct presence_topic **bucket;
	size_t len;

	if (found)
		return found;
	if (presence->count >= PRESENCE_TOPICS_MAX)
		presence_forget_one(presence);
	len = strlen(topic.name);
	found = xcalloc(1, sizeof(*found) + len + 1);
	found->kind = topic.kind;
	found->last = &found->first;
	memcpy(found->name, topic.name, len + 1);
	bucket = &presence->buckets[bucket_of(topic)];
	found->next = *bucket;
	*bucket = found;
	presence->count++;
	return found;
}

bool presence_count(struct presence_topic *topic, int64_t records)
{
	bool first;

	if (!topic->records)
		topic->records = series_of(topic->kind == TOPIC_LOG ? SERIES_TOPIC : SERIES_STREAM,
					   topic->name);
	first = records > 0 && series_get(topic->records, SERIES_RECORDS) == 0;
	series_add(topic->records, SERIES_RECORDS, records);
	return first;
}

void presence_refuse(struct presence_topic *topic, const struct err *why, unsigned created)
{
	topic->state = PRESENCE_REFUSED;
	topic->why = *why;
	topic->until_ms = clock_mono_ms() + PRESENCE_REFUSED_MS;
	topic->created = created;
}

bool presence_is_refused(struct presence_topic *topic, unsigned created, struct err *err)
{
	if (topic->state != PRESENCE_REFUSED)
		return false;
	if (topic->created != created || clock_mono_ms() >= topic->until_ms) {
		topic->state = PRESENCE_UNKNOWN;
		return false;
	}
	*err = topic->why;
	return true;
}
