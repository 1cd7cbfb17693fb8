/*
 * reader_local.h - inside broker_local: what the files of its readers share: how
 * they read (reader_local.c), how far their groups are (group_local.c), and who
 * wakes an event loop for them (readers_local.c).
 */
#ifndef BROKER_LOCAL_READER_LOCAL_H
#define BROKER_LOCAL_READER_LOCAL_H

#include "base/arena.h"
#include "broker/local/broker_local.h"
#include "broker/local/commits.h"
#include "broker/subs.h"

struct local_reader {
	struct broker_reader base;
	struct subs subs;
	size_t bytes_max;
	bool look_at_topics;		/* the group may be due an event */
	uint32_t topics_seen;
	bool placed;			/* the cursor has a place */
	struct cursor cursor;
	struct batch batch;		/* the one that is being given; count 0: none */
	bool batch_lost;		/* and it has no records, … */
	enum gap_reason gap;		/* … because of that */
	struct slice rest;		/* of its payload */
	uint64_t ordinal;		/* of the record at `rest` */
	struct lineage lineage;		/* of its records */
	struct ordinals state;		/* what the last state said, … */
	bool check_state;		/* … not yet compared with every partition */
	struct record *records;
	size_t records_cap;
	struct arena headers;		/* of `records` */

	/* With the readers' lock. */
	struct local_reader *next;
	struct commits commits;
	bool commits_told;		/* … are in the file as they are here, … */
	int64_t told_ms;		/* … since then; monotonic */
	int member_fd;			/* of members.h; -1: of no group */

	int fd;				/* -1: nobody asked for it */
	_Atomic bool armed;		/* the next that is durable rings it */
};

static inline struct local_reader *local_reader_of(struct broker_reader *reader)
{
	return (struct local_reader *)reader;
}

/* With the lock. */
MUST_USE enum err_code local_find_partition(struct local_broker *local, struct topic_ref ref,
					    int32_t id, struct partition **ret_partition,
					    struct err *err);

/* From now on retention spares the group's topics, also those that are still to come … */
void group_join(struct local_reader *reader, const struct reader_options *options);
/* … and what the group has not read of a partition that it was assigned. */
void group_begin(struct local_reader *reader, const struct reader_event *event);
/* The topic is gone. */
void group_forget(struct local_reader *reader, struct topic_ref topic);
/* Tells what was committed, unless that was done within the last second. */
void group_flush(struct local_reader *reader);
void group_leave(struct local_reader *reader);

void local_readers_add(struct local_broker *local, struct local_reader *reader);
void local_readers_drop(struct local_broker *local, struct local_reader *reader);
/* Forgets what was rung; whatever comes from now on rings. */
void local_reader_arm(struct local_reader *reader);
/* There may be something that was not asked of the log. */
void local_reader_ring(struct local_reader *reader);

#endif
