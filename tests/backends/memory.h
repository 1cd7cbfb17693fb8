/*
 * memory.h - inside broker_memory: what its files share: the broker
 * (broker_memory.c) and its readers (broker_memory_reader.c).
 */
#ifndef TESTS_BACKENDS_MEMORY_H
#define TESTS_BACKENDS_MEMORY_H

#include "backends/backends.h"
#include "broker/completer.h"
#include "broker/subs.h"
#include "broker/topics.h"

#include <assert.h>

enum { NO_GAP = -1 };

struct memory_broker {
	struct broker base;
	struct memory_options options;
	pthread_mutex_t lock;
	pthread_cond_t some;		/* something came */
	struct topics topics;
	size_t bytes;
	bool sparse;			/* some numbers are no records */
	int64_t last_ms;		/* the newest timestamp */
	struct memory_reader *readers;
	struct memory_commit *commits;
	size_t commit_count;
	struct completer completer;
};
static_assert(offsetof(struct memory_broker, base) == 0, "base must be first");

/* A number of a partition. */
struct entry {
	struct record record;
	int gap;			/* NO_GAP, or why there is no record */
};

/* Of a partition; entry k has ordinal floor + k. */
struct list {
	struct entry *entries;
	size_t count;
	size_t cap;
	uint64_t revocations;		/* so often it was taken from who had it, … */
	bool lost;			/* … and this is how, the last time */
	enum err_code failure;		/* ERR_OK: it can be read */
};

struct memory_commit {
	char *group;
	uint64_t uid;
	int32_t partition;
	struct position next;
};

struct memory_reader {
	struct broker_reader base;
	struct memory_reader *next;
	struct subs subs;
	size_t bytes_max;
	int fd;				/* -1: nobody asked for it */
	struct record *batch;		/* of the last event, with its own bytes */
	size_t batch_count;
};
static_assert(offsetof(struct memory_reader, base) == 0, "base must be first");

static inline struct memory_broker *memory_of(struct broker *broker)
{
	return (struct memory_broker *)broker;
}

static inline void memory_hold(struct memory_broker *memory)
{
	(void)pthread_mutex_lock(&memory->lock);
}

static inline void memory_unhold(struct memory_broker *memory)
{
	(void)pthread_mutex_unlock(&memory->lock);
}

/* Something came that readers may wait for. With the lock. */
void memory_tell(struct memory_broker *memory);
/* A position as clients see it. */
struct position memory_spread(const struct memory_broker *memory, enum topic_kind kind,
			      struct position position);
/* As start_ordinal(), of the positions that clients see. */
uint64_t memory_start(const struct memory_broker *memory, const struct partition *partition,
		      struct reader_start start);
/* With its own bytes. */
struct record memory_copy(const struct record *from);
/* Returns the bytes that it held. */
size_t memory_free_record(struct record *record);
/* With the lock. */
MUST_USE enum err_code memory_find(struct memory_broker *memory, struct topic_ref ref, int32_t id,
				   struct partition **ret_partition, struct err *err);

/* Methods, see broker_ops. */
enum err_code memory_commit(struct broker *broker, const char *group, struct topic_ref ref,
				   int32_t id, struct position next, struct err *err);
enum err_code memory_reader_open(struct broker *broker,
					const struct reader_options *options,
					struct broker_reader **ret_reader, struct err *err);
enum err_code memory_reader_seek(struct broker_reader *base, struct topic_ref ref,
					int32_t id, struct reader_start start, struct err *err);
enum err_code memory_reader_pause(struct broker_reader *base, struct topic_ref ref,
					 int32_t id, bool paused, struct err *err);
void memory_reader_release(struct broker_reader *base, struct topic_ref ref, int32_t id);
enum err_code memory_reader_fd(struct broker_reader *base, int *ret_fd, struct err *err);
enum err_code memory_reader_next(struct broker_reader *base, int64_t deadline_ms,
					struct reader_event *ret_event, struct err *err);
enum err_code memory_reader_commit(struct broker_reader *base, struct topic_ref ref,
					  int32_t id, struct position next, struct err *err);
void memory_reader_close(struct broker_reader *base);

#endif
