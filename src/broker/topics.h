/*
 * topics.h - which topics there are, and what a broker of ours must know of
 * each to number and place its records. Shared by broker_memory and
 * broker_local.
 *
 * A topic that is removed leaves its floor behind (floors.h), so that no
 * position is ever used twice (broker.h, contract 6). Where a record goes is
 * partitioner.h's.
 *
 * Ownership: the table owns its topics; a pointer to one is good until
 * topics_drop(). Threads: the owner's lock.
 */
#ifndef BROKER_TOPICS_H
#define BROKER_TOPICS_H

#include "broker/floors.h"

/* Of the whole table: what a segment says of each partition when it begins stays small. */
enum { TOPICS_MAX = 10000, TOPICS_PARTITIONS_MAX = 16384 };

struct partition {
	struct topic *topic;
	int32_t id;
	bool open;
	int32_t parents[2];		/* or -1 */
	struct hash_key hash_first;
	struct hash_key hash_last;
	uint64_t created_s;		/* in the sequence numbers of a shard */
	uint64_t floor;			/* its first ordinal ever */
	uint64_t first;			/* ordinal of the oldest record kept */
	uint64_t next;			/* ordinal of the next record; all before it are durable */
	void *user;			/* broker_memory's list */
	uint64_t commit_group;		/* broker_local's: the one that has a lane for it … */
	size_t lane;			/* … and which */
};

/* A topic that is being made or removed is there for catalog.c only. */
enum topic_phase { TOPIC_LIVE, TOPIC_COMING, TOPIC_GOING };

struct topic {
	enum topic_phase phase;
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	uint64_t uid;
	int64_t created_ms;
	uint32_t turn;			/* of records without a key */
	int32_t partition_count;
	struct partition *partitions;
};

struct topics {
	struct topic **items;		/* by kind, then name */
	size_t count;
	size_t partition_count;
	struct floors floors;		/* of those that are gone */
};

/* "topic" or "stream", as messages have it. */
const char *topic_kind_name(enum topic_kind kind);
/* "log" or "stream", as files have it. */
const char *topic_kind_text(enum topic_kind kind);
bool topic_kind_parse(const char *text, enum topic_kind *ret_kind);

void topics_init(struct topics *topics);
void topics_release(struct topics *topics);

/* Is it the topic of that name, or one of those that a pattern means? */
bool topic_is_meant(const struct topic *topic, struct topic_ref ref);
/* NULL: none, or not a live one. */
struct topic *topics_find(const struct topics *topics, struct topic_ref ref);
struct topic *topics_find_uid(const struct topics *topics, uint64_t uid);
/* As topics_find, but ERR_NO_TOPIC with its message. */
MUST_USE enum err_code topics_get(const struct topics *topics, struct topic_ref ref,
				  struct topic **ret_topic, struct err *err);
/* ERR_EXISTS; ERR_SHAPE: name, number or beginnings of partitions not allowed; ERR_LIMIT: too
 * many. */
MUST_USE enum err_code topics_create(struct topics *topics, struct topic_ref ref,
				     const struct topic_options *options,
				     struct topic **ret_topic, struct err *err);
/* Removal: first its floor is noted, then it is dropped and freed. */
void topics_leave_floor(struct topics *topics, const struct topic *topic);
void topics_drop(struct topics *topics, struct topic *topic);
/* Those that were to come are there. */
void topics_have_come(struct topics *topics);
/* For catalog.c: put in what was read. Takes `topic`; false: there is one of that name. */
bool topics_insert(struct topics *topics, struct topic *topic);
struct topic *topic_new(struct topic_ref ref, int32_t partitions);
void topic_free(struct topic *topic);

/* See broker_ops.list; the caller keeps the table still meanwhile. */
void topics_list(const struct topics *topics, enum topic_kind kind,
		 bool (*each)(void *user, const char *name), void *user);
void topic_describe(const struct topic *topic, struct topic_info *ret_info);
/* The one copy of each partition: to clients we are a cluster of one broker, whose number is 1. */
extern const struct replica topic_replica;

struct position partition_position(const struct partition *partition, uint64_t ordinal);
/* The first ordinal whose position is `position` or comes after it. */
uint64_t partition_ordinal_from(const struct partition *partition, struct position position);
/* The first ordinal whose position comes after `position`. */
uint64_t partition_ordinal_after(const struct partition *partition, struct position position);
/* ERR_NO_PARTITION. */
MUST_USE enum err_code topic_partition(struct topic *topic, int32_t id,
				       struct partition **ret_partition, struct err *err);

#endif
