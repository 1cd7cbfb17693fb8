#include "broker/group_info.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void group_info_release(struct group_info *info)
{
	for (size_t i = 0; i < info->member_count; i++) {
		free(info->members[i].id);
		free(info->members[i].client);
		free(info->members[i].host);
	}
	free(info->members);
	free(info->places);
	*info = (struct group_info){ 0 };
}

/* A list that is full, as its count is a power of two, gets twice the room. */
static void *group_info_room(void *list, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0)
		return list;
	return xreallocarray(list, count ? 2 * count : 1, size);
}

static void group_info_put_member(struct group_info *info, struct group_member member)
{
	info->members = group_info_room(info->members, info->member_count, sizeof(member));
	info->members[info->member_count++] = member;
}

const char *group_info_add_member(struct group_info *info, const char *id, const char *client,
				  const char *host)
{
	struct group_member member = { xstrdup(id), xstrdup(client), xstrdup(host) };

	group_info_put_member(info, member);
	return member.id;
}

struct group_place *group_info_place(struct group_info *info, enum topic_kind kind,
				     const char *topic, int32_t partition)
{
	struct group_place place = { .kind = kind, .partition = partition };

	for (size_t i = 0; i < info->place_count; i++) {
		struct group_place *there = &info->places[i];

		if (there->partition == partition && there->kind == kind &&
		    strcmp(there->topic, topic) == 0)
			return there;
	}
	if (strlen(topic) > TOPIC_NAME_MAX)
		return NULL;
	memcpy(place.topic, topic, strlen(topic) + 1);
	info->places = group_info_room(info->places, info->place_count, sizeof(place));
	info->places[info->place_count] = place;
	return &info->places[info->place_count++];
}

void group_info_merge(struct group_info *info, struct group_info *other)
{
	bool settling = info->state == GROUP_REBALANCING || other->state == GROUP_REBALANCING;

	if (settling)
		info->state = GROUP_REBALANCING;
	else if (info->state < other->state)
		info->state = other->state;
	for (size_t i = 0; i < other->member_count; i++)
		group_info_put_member(info, other->members[i]);
	for (size_t i = 0; i < other->place_count; i++) {
		const struct group_place *place = &other->places[i];

		*group_info_place(info, place->kind, place->topic, place->partition) = *place;
	}
	other->member_count = 0; /* they are the other's now */
	group_info_release(other);
}

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct group_member *)a)->id, ((const struct group_member *)b)->id);
}

static int compare_places(const void *a, const void *b)
{
	const struct group_place *x = a, *y = b;
	int order = (int)x->kind - (int)y->kind;

	if (order == 0)
		order = strcmp(x->topic, y->topic);
	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

void group_info_sort(struct group_info *info)
{
	if (info->member_count > 1)
		qsort(info->members, info->member_count, sizeof(*info->members), compare_members);
	if (info->place_count > 1)
		qsort(info->places, info->place_count, sizeof(*info->places), compare_places);
}

const char *group_state_text(enum group_state state)
{
	static const char *const texts[] = {
		[GROUP_EMPTY] = "empty",
		[GROUP_REBALANCING] = "rebalancing",
		[GROUP_STABLE] = "stable",
	};

	return texts[state];
}
