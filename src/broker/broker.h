/*
 * broker.h - topics of partitions of records, appended at the end and read in
 * order.
 *
 * Backends
 *	broker_local.c	one durable journal in a directory (journal.h: the format)
 *
 * A Kafka topic and a Kinesis stream are both a topic here; topic_kind tells
 * them apart and keeps their names apart. A Kafka backend has only TOPIC_LOG,
 * a Kinesis backend only TOPIC_STREAM (else ERR_UNSUPPORTED).
 *
 * Contract (tests/contract/test_broker.c runs it against every backend)
 *	1. append() returns at once: refused (any code but ERR_OK; nothing was
 *	   kept) or taken. A taken append is handed to the completion exactly
 *	   once, with an outcome for every record.
 *	2. An outcome ERR_OK means durable: it survives a power cut. A retriable
 *	   code (err_retry) means it may be sent again; ERR_UNKNOWN that it may
 *	   also be in the log already. Nothing unknown is ever reported as ERR_OK.
 *	3. The records of one append to one partition keep their order, and so do
 *	   appends made one after the other's return by one thread.
 *	4. A reader sees only durable records, of each partition all of them, in
 *	   order, once, from where it was put.
 *	5. What was damaged on disk is an event of its own (READER_DAMAGE); the
 *	   records before and after it are still read.
 *	6. Positions of a topic are never used again, not even when a topic of the
 *	   same name is created after a delete.
 *
 * Ownership: arguments are borrowed for the call, but a `struct append`, its
 * outcomes included, belongs to the broker from "taken" until the completion.
 * Records of an event live until the next call with the same reader.
 * Threads: append() and the topic calls from any thread; one thread a reader;
 * the completion runs on the broker's thread, or in cork(), and must not block.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/err.h"
#include "base/names.h"
#include "broker/position.h"

/* As a topic's name in reader_options: every topic of the kind, also those to come. */
#define TOPIC_EVERY "*"

enum { PARTITION_ANY = -1, PARTITIONS_MAX = 1024 };

struct topic_ref {
	enum topic_kind kind;
	const char *name;
};

/* A 128-bit unsigned number: an MD5 as Kinesis compares it. */
struct hash_key {
	uint64_t high;
	uint64_t low;
};

struct partition_info {
	int32_t id;
	bool open;			/* takes records */
	struct position first;		/* of the oldest record kept */
	struct position next;		/* of the record that comes next; all
					   before it are durable */
	int32_t parents[2];		/* shards that it came from, or -1 */
	struct hash_key hash_first;	/* streams: both ends belong to the shard */
	struct hash_key hash_last;
};

struct topic_info {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	char uid[17];			/* hex; differs between topics that had the same name */
	int64_t created_ms;		/* wall clock */
	int32_t partition_count;
	struct partition_info *partitions;	/* in order of id */
};

void topic_info_release(struct topic_info *info);

struct append_record {
	struct slice key;		/* null: none */
	struct slice value;		/* null: a tombstone */
	int32_t partition;		/* PARTITION_ANY: by key as Kafka's default partitioner
					   (murmur2; without key in turn), or by the MD5 of the
					   partition key in a stream */
};

struct append_outcome {
	enum err_code code;
	int32_t partition;
	struct position position;	/* both only with ERR_OK */
};

/* One request's records for one topic. */
struct append {
	struct append *next;		/* the broker's, then the chain handed to the completion */
	struct topic_ref topic;
	const struct append_record *records;	/* with their bytes: borrowed for the call only */
	size_t count;			/* at least 1 */
	struct append_outcome *outcomes;	/* room for `count` */
	void *user;
};

/* Appends that ended at the same time, chained by `next`. */
typedef void broker_done_fn(void *user, struct append *chain);

struct record {
	struct position position;
	int64_t timestamp_ms;		/* wall clock when it was appended; never falls */
	struct slice key;
	struct slice value;
};

enum start_kind {
	START_FIRST,			/* the oldest record kept */
	START_NEXT,			/* only what comes after now */
	START_AT,			/* `position`, or the first one kept after it */
	START_AFTER,
	START_TIME,			/* the first record at or after
					   time_ms, else as START_NEXT */
};

struct reader_start {
	enum start_kind kind;
	struct position position;
	int64_t time_ms;
};

enum reader_event_kind {
	READER_IDLE,			/* the deadline passed, or a stop was asked */
	READER_RECORDS,
	READER_ASSIGNED,		/* answer with reader_seek(), else it
					   starts at START_FIRST */
	READER_REVOKED,			/* uncommitted work on it is another reader's now */
	READER_END,			/* of a closed partition; `children` go on */
	READER_DAMAGE,			/* [first, last] cannot be read */
};

struct reader_event {
	enum reader_event_kind kind;
	struct topic_ref topic;		/* all but READER_IDLE; as long as `records` */
	int32_t partition;
	const struct record *records;	/* READER_RECORDS */
	size_t count;
	struct position first;		/* READER_DAMAGE */
	struct position last;
	int32_t children[2];		/* READER_END; -1: none */
};

struct reader_options {
	const char *group;		/* partitions come as READER_ASSIGNED events; NULL: only
					   those named by reader_seek() are read */
	const struct topic_ref *topics;	/* with a group; a topic that does not exist yet is
					   assigned when it does. TOPIC_EVERY is a name here */
	size_t topic_count;
	size_t bytes_max;		/* of one event's records; a larger record comes alone */
};

struct broker;
struct broker_reader;

/* All methods are required. */
struct broker_ops {
	const char *name;

	/* ERR_EXISTS: it is there; nothing changed. */
	enum err_code (*create)(struct broker *broker, struct topic_ref topic, int32_t partitions,
				struct err *err);
	/* ERR_NO_TOPIC. The caller releases *ret_info. */
	enum err_code (*describe)(struct broker *broker, struct topic_ref topic,
				  struct topic_info *ret_info, struct err *err);
	/* Calls `each` in order of name until it returns false. */
	enum err_code (*list)(struct broker *broker, enum topic_kind kind,
			      bool (*each)(void *user, const char *name), void *user,
			      struct err *err);
	enum err_code (*remove)(struct broker *broker, struct topic_ref topic, struct err *err);

	/* Contract 1 to 3. Refused: ERR_BUSY, ERR_SPACE, ERR_NO_TOPIC. ERR_NO_PARTITION, ERR_LIMIT
	 * (over the maximum) and ERR_CLOSED are about one record, have that as its outcome and
	 * spare the others; if it is so with every record, the append is refused. */
	enum err_code (*append)(struct broker *broker, struct append *append, struct err *err);
	/* While corked, taken appends may wait for more, to become durable together: a bound of
	 * bytes ends their wait. Who corks also uncorks, before it sleeps; that may make them
	 * durable, and run the completion, before it returns. */
	void (*cork)(struct broker *broker, bool corked);

	/* ERR_OK if an append of so many bytes would be expected to succeed now: cheap, so that
	 * who cannot be served need not be parsed; and for /readyz. */
	enum err_code (*ready)(struct broker *broker, size_t bytes, struct err *err);

	enum err_code (*reader_open)(struct broker *broker, const struct reader_options *options,
				     struct broker_reader **ret_reader, struct err *err);
	/* Read this partition from there on; with a group only after READER_ASSIGNED. */
	enum err_code (*reader_seek)(struct broker_reader *reader, struct topic_ref topic,
				     int32_t partition, struct reader_start start, struct err *err);
	/* Waits until there is an event or the monotonic clock passes `deadline_ms`. */
	enum err_code (*reader_next)(struct broker_reader *reader, int64_t deadline_ms,
				     struct reader_event *ret_event, struct err *err);
	/* Tell the broker how far a group is: informative, retention and lag rest on it; what
	 * decides is the lake. `next` is the first position not yet done. */
	enum err_code (*reader_commit)(struct broker_reader *reader, struct topic_ref topic,
				       int32_t partition, struct position next, struct err *err);
	void (*reader_close)(struct broker_reader *reader);

	/* Waits for taken appends to end. */
	void (*free)(struct broker *broker);
};

/* The first member of every backend's struct. */
struct broker {
	const struct broker_ops *ops;
};

/* The first member of every backend's reader. */
struct broker_reader {
	struct broker *broker;
};

MUST_USE static inline enum err_code
broker_create(struct broker *broker, struct topic_ref topic, int32_t partitions, struct err *err)
{
	return broker->ops->create(broker, topic, partitions, err);
}

MUST_USE static inline enum err_code
broker_describe(struct broker *broker, struct topic_ref topic, struct topic_info *ret_info,
		struct err *err)
{
	return broker->ops->describe(broker, topic, ret_info, err);
}

MUST_USE static inline enum err_code
broker_list(struct broker *broker, enum topic_kind kind,
	    bool (*each)(void *user, const char *name), void *user, struct err *err)
{
	return broker->ops->list(broker, kind, each, user, err);
}

MUST_USE static inline enum err_code
broker_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	return broker->ops->remove(broker, topic, err);
}

MUST_USE static inline enum err_code
broker_append(struct broker *broker, struct append *append, struct err *err)
{
	return broker->ops->append(broker, append, err);
}

static inline void broker_cork(struct broker *broker, bool corked)
{
	broker->ops->cork(broker, corked);
}

MUST_USE static inline enum err_code broker_ready(struct broker *broker, size_t bytes,
						  struct err *err)
{
	return broker->ops->ready(broker, bytes, err);
}

MUST_USE static inline enum err_code
broker_reader_open(struct broker *broker, const struct reader_options *options,
		   struct broker_reader **ret_reader, struct err *err)
{
	return broker->ops->reader_open(broker, options, ret_reader, err);
}

MUST_USE static inline enum err_code
reader_seek(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
	    struct reader_start start, struct err *err)
{
	return reader->broker->ops->reader_seek(reader, topic, partition, start, err);
}

MUST_USE static inline enum err_code
reader_next(struct broker_reader *reader, int64_t deadline_ms, struct reader_event *ret_event,
	    struct err *err)
{
	return reader->broker->ops->reader_next(reader, deadline_ms, ret_event, err);
}

MUST_USE static inline enum err_code
reader_commit(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
	      struct position next, struct err *err)
{
	return reader->broker->ops->reader_commit(reader, topic, partition, next, err);
}

/* Accepts NULL. */
static inline void reader_close(struct broker_reader *reader)
{
	if (reader)
		reader->broker->ops->reader_close(reader);
}

/* Accepts NULL. */
static inline void broker_free(struct broker *broker)
{
	if (broker)
		broker->ops->free(broker);
}

struct broker_local_options {
	const char *dir;
	bool writer;			/* takes the lock (ERR_LOCKED if another has it) and may
					   append; else reads what another process writes */
	bool make;			/* an empty log where there is none, as a writer does, for
					   who may be earlier than it; else that is ERR_ABSENT,
					   and a reader without a group writes nothing at all */
	size_t segment_bytes;		/* size of a segment file; 0: the default */
	size_t inflight_bytes_max;	/* taken and not yet durable; past it
					   ERR_BUSY; 0: default */
	size_t record_bytes_max;	/* key and value; 0: default, 1 MiB */
	uint64_t disk_reserve_bytes;	/* free space below which appends get ERR_SPACE */
	int64_t retention_ms;		/* 0: for ever */
	uint64_t retention_bytes;	/* of the whole log; 0: no bound */
	broker_done_fn *done;		/* writer only */
	void *done_user;
};

MUST_USE enum err_code broker_local_new(const struct broker_local_options *options,
					struct broker **ret_broker, struct err *err);

#endif
