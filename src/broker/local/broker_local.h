/*
 * broker_local.h - inside broker_local: what its two files, the broker
 * (broker_local.c) and its readers (reader_local.c), share.
 */
#ifndef BROKER_LOCAL_BROKER_LOCAL_H
#define BROKER_LOCAL_BROKER_LOCAL_H

#include "broker/local/extent.h"
#include "broker/local/index.h"
#include "broker/local/journal.h"

#include <pthread.h>

struct local_broker {
	struct broker base;
	struct broker_local_options options;
	int dir_fd;			/* DIR/log */
	int lock_fd;			/* held while this is the writer, else -1 */
	uint64_t log_id;
	struct watermark watermark;
	uint64_t proven;		/* a watermark found in the log itself */

	pthread_mutex_t catalog_lock;	/* one creates or removes at a time; taken before `lock` */
	pthread_mutex_t lock;		/* of all up to the next such line */
	struct topics topics;
	uint32_t topics_seen;		/* not a writer: which catalog `topics` is */
	struct extent extent;
	struct group groups[2];
	struct group *open;		/* appends go here; the other one is being committed */
	struct chunk_pool pool;
	uint64_t serial;		/* of the open group */
	uint64_t committed;		/* serial of the last group that has ended */
	size_t inflight_bytes;
	int64_t commit_us;		/* what a commit takes lately */
	bool corked;			/* more appends come: a small group waits for them */
	uint64_t due;			/* the group of this serial waits for no more */
	bool writing;			/* someone is at the journal */
	bool resting;			/* the committer waits for `work` */
	bool ending;
	pthread_cond_t work;
	pthread_cond_t ended;		/* `committed` has risen */

	pthread_mutex_t index_lock;	/* of */
	struct index_cache index_cache;

	pthread_t committer;		/* and what is its: */
	bool started;
	struct journal journal;
	struct keeper keeper;
	struct retention retention;
};

static inline struct local_broker *local_of(struct broker *broker)
{
	return (struct local_broker *)broker;
}

/* How far the log is durable. */
uint64_t local_watermark(const struct local_broker *local);
/* With the lock: brings `topics`, their first and next ordinals, up to now. */
MUST_USE enum err_code local_refresh(struct local_broker *local, struct err *err);

/* The reader's methods, see broker_ops. */
enum err_code local_reader_open(struct broker *broker, const struct reader_options *options,
				struct broker_reader **ret_reader, struct err *err);
enum err_code local_reader_seek(struct broker_reader *reader, struct topic_ref topic,
				int32_t partition, struct reader_start start, struct err *err);
enum err_code local_reader_next(struct broker_reader *reader, int64_t deadline_ms,
				struct reader_event *ret_event, struct err *err);
enum err_code local_reader_commit(struct broker_reader *reader, struct topic_ref topic,
				  int32_t partition, struct position next, struct err *err);
void local_reader_close(struct broker_reader *reader);

#endif
