/*
 * broker_local.h - inside broker_local: what its files share: the broker
 * (broker_local.c), its topics (topics_local.c) and its readers (reader_local.c).
 */
#ifndef BROKER_LOCAL_BROKER_LOCAL_H
#define BROKER_LOCAL_BROKER_LOCAL_H

#include "broker/local/committer.h"
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
	_Atomic uint64_t proven; /* the highest watermark that was seen, or is in the log */

	pthread_mutex_t catalog_lock;	/* one creates or removes at a time; taken before `lock` */
	bool unsettled;			/* its: what the catalog file says after a power cut is
					   not known */
	pthread_mutex_t lock;		/* of all up to the next such line */
	struct topics topics;
	uint32_t topics_seen;		/* not a writer: which catalog `topics` is */
	struct extent extent;

	pthread_mutex_t index_lock;	/* of */
	struct index_cache index_cache;

	pthread_mutex_t readers_lock;	/* of, and of how far the groups are; never taken with
					   `lock` */
	struct local_reader *readers;	/* that are open */
	_Atomic int readers_with_fd;
	bool watching;			/* not a writer: this thread waits for its bell */
	pthread_t watcher;
	_Atomic bool watcher_ends;

	struct committer committer;	/* the writer's, and what is its: */
	struct journal journal;
	struct keeper keeper;
	struct retention retention;
};

static inline struct local_broker *local_of(struct broker *broker)
{
	return (struct local_broker *)broker;
}

/* Its lock. */
static inline void local_hold(struct local_broker *local)
{
	(void)pthread_mutex_lock(&local->lock);
}

static inline void local_let_go(struct local_broker *local)
{
	(void)pthread_mutex_unlock(&local->lock);
}

/* How far the log is durable. */
uint64_t local_watermark(struct local_broker *local);
/* With the lock: brings `topics`, their first and next ordinals, up to now. */
MUST_USE enum err_code local_refresh(struct local_broker *local, struct err *err);

/* ERR_UNSUPPORTED: it is not the writer. */
MUST_USE enum err_code local_need_writer(const struct local_broker *local, struct err *err);
/* A catalog of which it is not known whether it is there for good is written once more. */
MUST_USE enum err_code local_settle(struct local_broker *local, struct err *err);

/* The topics' methods, see broker_ops. */
enum err_code local_create(struct broker *broker, struct topic_ref ref,
			   const struct topic_options *options, struct err *err);
enum err_code local_remove(struct broker *broker, struct topic_ref ref, struct err *err);
enum err_code local_describe(struct broker *broker, struct topic_ref ref,
			     struct topic_info *ret_info, struct err *err);
enum err_code local_nodes(struct broker *broker, enum topic_kind kind,
			  bool (*each)(void *user, const struct broker_node *node), void *user,
			  struct err *err);
enum err_code local_settings(struct broker *broker, struct topic_ref ref,
			     bool (*each)(void *user, const char *name, const char *value),
			     void *user, struct err *err);
enum err_code local_list(struct broker *broker, enum topic_kind kind,
			 bool (*each)(void *user, const char *name), void *user, struct err *err);

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
enum err_code local_reader_pause(struct broker_reader *reader, struct topic_ref topic,
				 int32_t partition, bool paused, struct err *err);
void local_reader_release(struct broker_reader *reader, struct topic_ref topic, int32_t partition);
enum err_code local_reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err);
enum err_code local_committed(struct broker *broker, const char *group, struct topic_ref topic,
			      int32_t partition, struct position *ret_next, struct err *err);
enum err_code local_groups(struct broker *broker, bool (*each)(void *user, const char *name),
			   void *user, struct err *err);
enum err_code local_describe_group(struct broker *broker, const char *group,
				   struct group_info *ret_info, struct err *err);
enum err_code local_reset_group(struct broker *broker, const char *group,
				const struct group_place *places, size_t count, struct err *err);
enum err_code local_commit(struct broker *broker, const char *group, struct topic_ref topic,
			   int32_t partition, struct position next, struct err *err);

/* Something became durable, or a topic came or went: rings for the readers that wait. */
void local_readers_ring(struct local_broker *local);
void local_readers_end(struct local_broker *local);

#endif
