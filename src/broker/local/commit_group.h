/*
 * commit_group.h - the appends that one commit makes durable together.
 *
 * While a group is open, append() copies each record once, in the form that it
 * has on disk, into the part of its partition. A part becomes a batch of the
 * journal: records of one partition, at most PART_BYTES_MAX or one record.
 * Parts hold their bytes in chunks of two sizes from a pool, so nothing is moved
 * when a part grows, and a group that was emptied costs no allocation. The first
 * chunk of a lane is a small one: a group may touch thousands of partitions. A
 * chunk that is full is summed up while it is in the cache.
 *
 * While an append is in a group, its outcomes keep which lane a record went to
 * and its rank there: position.word[0] and word[2].
 *
 * Threads: the owner's lock while the group is open, then one thread.
 */
#ifndef BROKER_LOCAL_COMMIT_GROUP_H
#define BROKER_LOCAL_COMMIT_GROUP_H

#include "broker/local/batch.h"
#include "broker/topics.h"

enum {
	CHUNK_BYTES_SMALL = 1024 - 64,
	CHUNK_BYTES = 16 * 1024 - 64,
	PART_BYTES_MAX = 128 * 1024,
	POOL_BYTES_MAX = 2 * 1024 * 1024,
};

struct chunk {
	struct chunk *next;
	size_t len;
	size_t room;			/* CHUNK_BYTES or CHUNK_BYTES_SMALL */
	unsigned char bytes[];
};

struct chunk_pool {
	struct chunk *free;
	struct chunk *free_small;
	size_t bytes;			/* of rooms */
};

struct part {
	size_t lane;
	struct chunk *first;
	struct chunk *last;
	uint32_t crc;			/* of the chunks before the last one */
	size_t bytes;
	uint32_t count;
	unsigned char header[BATCH_HEADER_BYTES];
};

/* What a group holds of one partition. */
struct lane {
	struct partition *partition;
	uint64_t uid;
	size_t part;			/* the one that is being filled */
	uint32_t count;
	uint64_t ordinal;		/* of its first record; set by the commit */
	uint32_t durable;		/* so many of its records are … */
	uint32_t written;		/* … or will be with the next sync */
};

struct commit_group {
	uint64_t serial;		/* partition.commit_group tells who has a lane here */
	struct append *first;
	struct append **last;
	struct lane *lanes;
	size_t lane_count;
	size_t lane_cap;
	struct part *parts;
	size_t part_count;
	size_t part_cap;
	size_t bytes;			/* of records, as they stand on disk */
	size_t held;			/* memory, and what an append's owner holds for it */
	enum err_code failure;		/* of the records that are not durable */
};

void commit_group_init(struct commit_group *group);
void commit_group_release(struct commit_group *group);
/* At least what the append adds to `held`. */
size_t commit_group_cost(const struct append *append);
/* Copies the records that partitioner_place() found a partition for. */
void commit_group_add(struct commit_group *group, struct chunk_pool *pool, struct topic *topic,
	       struct append *append);
/* Fills in every outcome by lane.ordinal, lane.durable and group.failure. */
void commit_group_finish(struct commit_group *group);
/* Empty again, for another use under another serial; keeps its tables. */
void commit_group_reset(struct commit_group *group, struct chunk_pool *pool, uint64_t serial);

void chunk_pool_release(struct chunk_pool *pool);

#endif
