/*
 * group_info.h - what a broker knows of a consumer group: how far it is in each
 * partition, and who its members are.
 *
 * Ownership: all in it is its own. A backend fills one that is zero, in any
 * order, and sorts it in the end.
 */
#ifndef BROKER_GROUP_INFO_H
#define BROKER_GROUP_INFO_H

#include "base/names.h"
#include "broker/position.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group_member {
	char *id;     /* as the broker has it */
	char *client; /* as the member calls itself; may be "" */
	char *host;   /* where it is; may be "" */
};

enum group_state {
	GROUP_EMPTY,	   /* without a member */
	GROUP_REBALANCING, /* who reads what is being settled */
	GROUP_STABLE,
};

/* Of one partition. */
struct group_place {
	enum topic_kind kind;
	char topic[TOPIC_NAME_MAX + 1];
	int32_t partition;
	bool committed;	      /* else nobody told yet how far it is */
	struct position next; /* the first that is not done */
	const char *member;   /* id of who reads it; NULL: nobody, or more than one */
};

struct group_info {
	enum group_state state;
	struct group_member *members; /* in order of id */
	size_t member_count;
	struct group_place *places; /* in order of kind, topic, partition */
	size_t place_count;
};

void group_info_release(struct group_info *info);
/* Copies the texts; returns its id, which stays where it is. */
const char *group_info_add_member(struct group_info *info, const char *id, const char *client,
				  const char *host);
/* The place of that partition, there or new, until the next call; NULL: no topic can have that
 * name. */
struct group_place *group_info_place(struct group_info *info, enum topic_kind kind,
				     const char *topic, int32_t partition);
/* Takes all of `other`, and leaves it empty. */
void group_info_merge(struct group_info *info, struct group_info *other);
void group_info_sort(struct group_info *info);

/* "empty", "rebalancing", "stable" */
const char *group_state_text(enum group_state state);

#endif
