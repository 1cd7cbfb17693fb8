/*
 * broker.h - topics of partitions of records, appended at the end and read in
 * order.
 *
 * Backends
 *	broker_local.c	one durable journal in a directory (journal.h: the format)
	broker_kafka.c	topics of a Kafka cluster
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
 *	5. Positions rise and need not be dense: a service may number what is no
 *	   record. Positions that would have been records, or may have been, and
 *	   that this reader does not get are an event of their own (READER_GAP),
 *	   which says why; the records before and after it are still read. With
 *	   one by one numbers (topics) every number that is skipped is in a gap.
 *	6. A position names one record of one history (struct lineage), for ever.
 *	   What a topic that was made anew gives, or a log that was put back and
 *	   then written on, is of another lineage from the first record on that
 *	   differs. A reader of a group has such a topic revoked and assigned; for
 *	   one without a group it fails (READER_FAILED, ERR_NO_TOPIC).
 *	7. When a reader has given all that there is of a partition, after a seek and
 *	   each time that more had come, READER_CAUGHT_UP says so once. It is true of
 *	   the call that gave it, so who wants to know it of now seeks again, after
 *	   what it has. Of a closed partition READER_END says it.
 *	8. A partition that is taken from a reader (READER_REVOKED) stays its own
 *	   until reader_release(), unless the event says that it is `lost`.
 *	9. A seek beyond the end of what there is, or before it began, to a position
 *	   is never moved silently: beyond is ERR_CORRUPT, before gives a gap.
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
#include "broker/group_info.h"
#include "broker/position.h"

/* A topic's name in reader_options may be a pattern (names.h): all that it means, also those to
 * come; and this one every topic of the kind, but what a service keeps for itself. */
#define TOPIC_EVERY "*"

enum { PARTITION_ANY = -1, PARTITIONS_MAX = 1024 };

/* Of a record's history: 128 bits. Equal positions of one lineage are one record; of two lineages
 * they are strangers. A topic's id is part of it, and in our own log the life of the writer. */
struct lineage {
	uint64_t high;
	uint64_t low;
};

static inline bool lineage_eq(struct lineage a, struct lineage b)
{
	return a.high == b.high && a.low == b.low;
}

struct topic_ref {
	enum topic_kind kind;
	const char *name;
};

/* A 128-bit unsigned number: an MD5 as Kinesis compares it. */
struct hash_key {
	uint64_t high;
	uint64_t low;
};

/* A copy of a partition, on the broker of that number. */
struct replica {
	int32_t node;
	bool in_sync;
};

enum { NODE_NONE = -1 };

struct partition_info {
	int32_t id;
	bool open;			/* takes records */
	int32_t leader;			/* the node that takes and gives its records, one of the
					   replicas; NODE_NONE: none just now, and who else
					   would know `first` and `next`? */
	const struct replica *replicas; /* as long as the info */
	size_t replica_count;		/* 0: a service need not tell */
	struct position first;		/* of the oldest record kept */
	bool next_known;		/* a service need not tell … */
	struct position next;		/* … what comes next; all before it are durable, and
					   readers pass it: of an open transaction it is where
					   that began */
	uint64_t records;		/* kept, where `next` is known: at most, as numbers may be
					   no records */
	bool dense;			/* of a topic whose `next` is known: each offset from
					   `first` on is a record, or one that was damaged, so
					   that `records` is their difference */
	struct position born;		/* no record of this topic can stand before it: those
					   were of one that had its name */
	int32_t parents[2];		/* shards that it came from, or -1 */
	struct hash_key hash_first;	/* streams: both ends belong to the shard */
	struct hash_key hash_last;
};

struct topic_info {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	char uid[33];			/* hex; differs between topics that had the same name */
	int64_t created_ms;		/* wall clock */
	int32_t partition_count;
	struct partition_info *partitions;	/* in order of id */
	struct replica *replicas; /* what those of the partitions are in; NULL: they are in
				     the backend for ever */
};

void topic_info_release(struct topic_info *info);

/* One of the brokers that the topics are spread over. */
struct broker_node {
	int32_t id;
	const char *host; /* "": this very process reads and writes the files */
	int32_t port;	  /* 0 there */
};

/* A name and bytes (null: none), in the order that they were sent; names may repeat. */
struct record_header {
	struct slice name;
	struct slice value;
};

/* When it is appended: what a record has that nobody gave a time. The first millisecond of 1970 is
 * no producer's. */
#define TIMESTAMP_NOW 0

struct append_record {
	struct slice key;		/* null: none */
	struct slice value;		/* null: a tombstone */
	const struct record_header *headers;
	size_t header_count;
	int64_t timestamp_ms;		/* wall clock, or TIMESTAMP_NOW */
	int32_t partition;		/* PARTITION_ANY: by key as Kafka's default partitioner
					   (murmur2; without key in turn), or by the MD5 of the
					   partition key in a stream */
};

struct append_outcome {
	enum err_code code;
	int32_t partition;
	struct position position; /* both only with ERR_OK. POSITION_NONE: a service that had
				     it already does not say where */
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
	int64_t timestamp_ms;		/* wall clock: the producer's, or when it was appended */
	struct slice key;
	struct slice value;
	const struct record_header *headers;
	size_t header_count;
};

enum start_kind {
	START_FIRST,			/* the oldest record kept */
	START_NEXT,			/* only what comes after now */
	START_LAST,			/* of each partition the last `count` before now, and on:
					   at most, as numbers may be no records.
					   ERR_UNSUPPORTED where they are not counted */
	START_AT,			/* `position`, or the first one kept after it */
	START_AFTER,
	START_TIME,			/* the first record at or after
					   time_ms, else as START_NEXT */
};

struct reader_start {
	enum start_kind kind;
	struct position position;
	union {
		int64_t time_ms;	/* START_TIME */
		uint64_t count;		/* START_LAST */
	};
};

enum gap_reason {
	GAP_NONE,			/* numbers without a record that counts: markers, and what
					   a service left out without saying which of the next two
					   it was (a client of Kafka is not told) */
	GAP_COMPACTED,			/* newer records with the same key stand for them */
	GAP_ABORTED,			/* their transaction was */
	GAP_RETENTION,			/* let go of before this reader came there */
	GAP_DAMAGED,			/* cannot be read */
	GAP_REMOVED,			/* of a topic that had this name and was removed */
};

/* "retention", "damaged" …: as messages and the lake have it. */
const char *gap_reason_text(enum gap_reason reason);
/* Records were there that the lake should have had: a dead letter tells their range. */
static inline bool gap_is_loss(enum gap_reason reason)
{
	return reason >= GAP_RETENTION;
}

enum reader_event_kind {
	READER_IDLE,			/* the deadline passed, or a stop was asked */
	READER_RECORDS,
	READER_ASSIGNED,		/* answer with reader_seek(), else it
					   starts at START_FIRST */
	READER_REVOKED,			/* answer with reader_release() once nothing of it is on
					   its way any more, and until then go on with
					   reader_next(), which keeps the group from taking this
					   member for dead; `lost`: it is another's already */
	READER_CAUGHT_UP,		/* all that there is was given: it comes before `last` */
	READER_END,			/* of a closed partition; `children` go on */
	READER_GAP,			/* [first, last] give no records, because of `gap` */
	READER_FAILED,			/* this partition gives nothing more until it is sought
					   again, because of `failure`, paused or not; the others
					   go on. What the backend can mend by trying again it
					   does not tell */
};

struct reader_event {
	enum reader_event_kind kind;
	struct topic_ref topic;		/* all but READER_IDLE; as long as `records` */
	int32_t partition;
	const struct record *records;	/* READER_RECORDS, … */
	size_t count;
	struct lineage lineage;		/* … all of this one */
	struct position first;		/* READER_GAP; CAUGHT_UP has `last` only */
	struct position last;
	enum gap_reason gap;
	bool lost;			/* READER_REVOKED */
	int32_t children[2];		/* READER_END; -1: none */
	const struct err *failure;	/* READER_FAILED: ERR_CORRUPT, ERR_DENIED, ERR_NO_TOPIC … */
};

struct reader_options {
	const char *group;		/* partitions come as READER_ASSIGNED events; NULL: only
					   those named by reader_seek() are read */
	const struct topic_ref *topics; /* with a group; a topic that does not exist yet is
					   assigned when it does, and a pattern is a name here */
	size_t topic_count;
	size_t bytes_max;		/* of one event's records; a larger record comes alone */
};

/* What came of a look at all that is kept here. */
struct broker_verdict {
	bool looked;			/* false: a service keeps it, and answers for it */
	bool sound;			/* nothing is damaged, lost or there twice */
	uint64_t records;		/* that can be read, … */
	uint64_t batches;		/* … in so many pieces with a checksum each */
	uint64_t damaged;		/* places that can not */
};

struct broker;
struct broker_reader;

struct topic_options {
	int32_t partitions;
	int32_t replicas;		/* copies of each; 0: as many as the backend makes.
					   ERR_UNSUPPORTED: it makes others */
	const struct position *born;	/* where each begins, one a partition; NULL: where the
					   backend does. ERR_UNSUPPORTED: cannot be chosen */
};

/*
 * All methods are required. Those that may take long (a service far away) say so; they are never
 * called on an event loop.
 */
struct broker_ops {
	const char *name;

	/* ERR_EXISTS: it is there; nothing changed. May take long. */
	enum err_code (*create)(struct broker *broker, struct topic_ref topic,
				const struct topic_options *options, struct err *err);
	/* What is committed, and nothing of a transaction that is open, or that was taken back: a
	 * reader gets as far as it says. ERR_NO_TOPIC. The caller releases *ret_info. May take
	 * long. */
	enum err_code (*describe)(struct broker *broker, struct topic_ref topic,
				  struct topic_info *ret_info, struct err *err);
	/* Calls `each` in order of name until it returns false. May take long. */
	enum err_code (*list)(struct broker *broker, enum topic_kind kind,
			      bool (*each)(void *user, const char *name), void *user,
			      struct err *err);
	/* May take long. */
	enum err_code (*remove)(struct broker *broker, struct topic_ref topic, struct err *err);

	/* Contract 1 to 3. Refused: ERR_BUSY, ERR_SPACE, ERR_NO_TOPIC. ERR_NO_PARTITION, ERR_LIMIT
	 * (over the maximum) and ERR_CLOSED are about one record, have that as its outcome and
	 * spare the others; if it is so with every record, the append is refused. ERR_NO_TOPIC may
	 * also come as the outcome of every record, where only a service knows. */
	enum err_code (*append)(struct broker *broker, struct append *append, struct err *err);
	/* While corked, taken appends may wait for more, to become durable together: a bound of
	 * bytes ends their wait. Who corks also uncorks, before it sleeps; that may make them
	 * durable, and run the completion, before it returns. */
	void (*cork)(struct broker *broker, bool corked);

	/* ERR_OK if an append of so many bytes to a topic of this kind would be expected to succeed
	 * now: cheap, so that who cannot be served need not be parsed; and for /readyz. Where the
	 * kinds are of two services, one that is away says nothing about the other. */
	enum err_code (*ready)(struct broker *broker, enum topic_kind kind, size_t bytes,
			       struct err *err);

	/* How far a group is; ERR_ABSENT: it committed nothing there. May take long. */
	enum err_code (*committed)(struct broker *broker, const char *group, struct topic_ref topic,
				   int32_t partition, struct position *ret_next, struct err *err);
	/* Sets that for a group that need not have a member. ERR_BUSY: it has some, and a service
	 * takes it from them alone (reader_commit). May take long. */
	enum err_code (*commit)(struct broker *broker, const char *group, struct topic_ref topic,
				int32_t partition, struct position next, struct err *err);

	/* Calls `each` with the brokers that have topics of this kind, in order of id, until it
	 * returns false: at least one. May take long. */
	enum err_code (*nodes)(struct broker *broker, enum topic_kind kind,
			       bool (*each)(void *user, const struct broker_node *node), void *user,
			       struct err *err);
	/* How the topic is kept, setting by setting in order of name, by the names that Kafka has
	 * for them; `value` is NULL where it is a secret. Until `each` returns false. May take
	 * long. */
	enum err_code (*settings)(struct broker *broker, struct topic_ref topic,
				  bool (*each)(void *user, const char *name, const char *value),
				  void *user, struct err *err);
	/* Calls `each` with the name of every group that committed something, or has a member, in
	 * order of name, until it returns false. May take long. */
	enum err_code (*groups)(struct broker *broker, bool (*each)(void *user, const char *name),
				void *user, struct err *err);
	/* What groups() has that name for; ERR_ABSENT. The caller releases *ret_info. May take
	 * long. */
	enum err_code (*describe_group)(struct broker *broker, const char *group,
					struct group_info *ret_info, struct err *err);
	/* As commit() of all these places (their kind, topic, partition and next), at once; also of
	 * a group that did not exist. ERR_BUSY: the group has a member, and all is as it was. May
	 * take long. */
	enum err_code (*reset_group)(struct broker *broker, const char *group,
				     const struct group_place *places, size_t count,
				     struct err *err);

	/* Reads all that the backend keeps itself, and tells each finding in a sentence. ERR_OK:
	 * it could be read to its end; whether it is sound, the verdict says. May take long. */
	enum err_code (*verify)(struct broker *broker, void (*each)(void *user, const char *what),
				void *user, struct broker_verdict *ret_verdict, struct err *err);

	enum err_code (*reader_open)(struct broker *broker, const struct reader_options *options,
				     struct broker_reader **ret_reader, struct err *err);
	/* Read this partition from there on; with a group only after READER_ASSIGNED. */
	enum err_code (*reader_seek)(struct broker_reader *reader, struct topic_ref topic,
				     int32_t partition, struct reader_start start, struct err *err);
	/* Waits until there is an event or the monotonic clock passes `deadline_ms`. ERR_BUSY: the
	 * reader is of its group no more, but another one may enter that. */
	enum err_code (*reader_next)(struct broker_reader *reader, int64_t deadline_ms,
				     struct reader_event *ret_event, struct err *err);
	/* While paused it gives no records, gaps and ends of this partition, but is asked as
	 * before, so that its group keeps it. A seek does not end a pause, a revocation does. */
	enum err_code (*reader_pause)(struct broker_reader *reader, struct topic_ref topic,
				      int32_t partition, bool paused, struct err *err);
	/* The answer to READER_REVOKED. */
	void (*reader_release)(struct broker_reader *reader, struct topic_ref topic,
			       int32_t partition);
	/* A descriptor of the reader's that polls readable whenever reader_next() may have an event
	 * that it had not at its last READER_IDLE; it may also have none (a service's answer that
	 * was no record), and is then quiet after one more READER_IDLE. It costs the caller no
	 * thread, as a client library's are its own. ERR_LIMIT. */
	enum err_code (*reader_fd)(struct broker_reader *reader, int *ret_fd, struct err *err);
	/* Tell the broker how far a group is: informative, retention and lag rest on it; what
	 * decides is the lake. `next` is the first position not yet done. Told to a service at most
	 * once a second and at the close. */
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

struct reader_watch;

/* The first member of every backend's reader. */
struct broker_reader {
	struct broker *broker;
	struct reader_watch *watch;	/* the callers' */
};

/*
 * The callers: every call of a backend goes through one of them (broker_call.c). They hold caller
 * and backend to the contract (what breaks it is an assertion with the backend's name) and count
 * latency.
 */
MUST_USE enum err_code broker_create(struct broker *broker, struct topic_ref topic,
				     const struct topic_options *options, struct err *err);
MUST_USE enum err_code broker_describe(struct broker *broker, struct topic_ref topic,
				       struct topic_info *ret_info, struct err *err);
MUST_USE enum err_code broker_list(struct broker *broker, enum topic_kind kind,
				   bool (*each)(void *user, const char *name), void *user,
				   struct err *err);
MUST_USE enum err_code broker_remove(struct broker *broker, struct topic_ref topic,
				     struct err *err);
MUST_USE enum err_code broker_append(struct broker *broker, struct append *append,
				     struct err *err);
void broker_cork(struct broker *broker, bool corked);
MUST_USE enum err_code broker_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				    struct err *err);
MUST_USE enum err_code broker_committed(struct broker *broker, const char *group,
					struct topic_ref topic, int32_t partition,
					struct position *ret_next, struct err *err);
MUST_USE enum err_code broker_commit(struct broker *broker, const char *group,
				     struct topic_ref topic, int32_t partition,
				     struct position next, struct err *err);
MUST_USE enum err_code broker_nodes(struct broker *broker, enum topic_kind kind,
				    bool (*each)(void *user, const struct broker_node *node),
				    void *user, struct err *err);
MUST_USE enum err_code broker_settings(struct broker *broker, struct topic_ref topic,
				       bool (*each)(void *user, const char *name,
						    const char *value),
				       void *user, struct err *err);
MUST_USE enum err_code broker_groups(struct broker *broker,
				     bool (*each)(void *user, const char *name), void *user,
				     struct err *err);
MUST_USE enum err_code broker_describe_group(struct broker *broker, const char *group,
					     struct group_info *ret_info, struct err *err);
MUST_USE enum err_code broker_reset_group(struct broker *broker, const char *group,
					  const struct group_place *places, size_t count,
					  struct err *err);
MUST_USE enum err_code broker_verify(struct broker *broker,
				     void (*each)(void *user, const char *what), void *user,
				     struct broker_verdict *ret_verdict, struct err *err);
MUST_USE enum err_code broker_reader_open(struct broker *broker,
					  const struct reader_options *options,
					  struct broker_reader **ret_reader, struct err *err);
MUST_USE enum err_code reader_seek(struct broker_reader *reader, struct topic_ref topic,
				   int32_t partition, struct reader_start start, struct err *err);
MUST_USE enum err_code reader_next(struct broker_reader *reader, int64_t deadline_ms,
				   struct reader_event *ret_event, struct err *err);
MUST_USE enum err_code reader_pause(struct broker_reader *reader, struct topic_ref topic,
				    int32_t partition, bool paused, struct err *err);
void reader_release(struct broker_reader *reader, struct topic_ref topic, int32_t partition);
MUST_USE enum err_code reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err);
MUST_USE enum err_code reader_commit(struct broker_reader *reader, struct topic_ref topic,
				     int32_t partition, struct position next, struct err *err);
void reader_close(struct broker_reader *reader); /* accepts NULL */
void broker_free(struct broker *broker);	 /* accepts NULL */

/* The partition of this id; NULL: there is none. */
const struct partition_info *topic_info_partition(const struct topic_info *info, int32_t id);

/* How many of those that are kept, and whose `next` is known, come at or after `from`: at most, as
 * numbers may be no records. */
uint64_t partition_records_from(const struct partition_info *partition, struct position from);

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

/* Without topics, and it takes none. */
MUST_USE struct broker *broker_none_new(void);
MUST_USE enum err_code broker_local_new(const struct broker_local_options *options,
					struct broker **ret_broker, struct err *err);

#endif
