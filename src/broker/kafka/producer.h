/*
 * producer.h - what is appended: one idempotent producer for all threads.
 *
 *	append() ──► lane of its topic ──► librdkafka ──► cluster
 *	 (append_kafka.c)  (lanes.c)           │ delivery reports, many at a time
 *	                                       ▼
 *	              producer_run(), a thread ──► done(), all appends that ended
 *	               (producer.c)
 *
 * In its lane an append is held while its caller is corked, and while records of
 * the topic are on their way: it goes with the next report. So a request is as
 * large as what came while the one before was on its way. librdkafka would do as
 * much by itself, as its idempotent producer has few records of a partition on
 * their way at a time, but it asks in a circle, without sleeping, until the next
 * may go.
 *
 * An append ends with the last report of its records. What librdkafka cannot say
 * of a record is ERR_UNKNOWN: it may be in the log. A fault after which librdkafka
 * gives up its producer ends all that is on its way so, and another one is made.
 */
#ifndef BROKER_KAFKA_PRODUCER_H
#define BROKER_KAFKA_PRODUCER_H

#include "broker/kafka/kafka.h"

#include <stdatomic.h>

/* How many partitions a topic had when it was last asked for; 0: it is gone. */
struct topic_known {
	char *name;
	int32_t partitions;
};

/* What is on its way to a topic, and what waits for that. It is there as long as one of them is. */
struct lane {
	struct lane *after;
	size_t flying;			/* records that librdkafka has */
	struct flight *held;		/* in order, to be given to it */
	struct flight **held_last;
	size_t held_bytes;
	int64_t held_ms;		/* since when */
	char topic[TOPIC_NAME_MAX + 1];
};

struct producer {
	struct kafka *kafka;
	size_t record_max;
	size_t inflight_max;
	atomic_size_t inflight;		/* bytes */
	atomic_uint turn;		/* of records without a key */
	atomic_bool ending;
	atomic_size_t flights;		/* appends that have not ended */
	pthread_t thread;
	pthread_mutex_t lock;		/* of what follows, to `ended` */
	bool corked;
	struct lane *lanes;
	rd_kafka_t *client;
	rd_kafka_queue_t *events;
	struct links *links;		/* the client's own: it tells of them until it is gone */
	bool broken;			/* the client takes no more, … */
	struct err why;			/* … therefore */
	struct topic_known *known;
	size_t known_count;
	size_t refreshing;		/* threads that use the client without the lock */
	struct flight *ended;		/* reported before append() was through with them */
	int64_t renewed_ms;		/* the thread's: when there was another one last */
	bool batch_told;		/* the thread's, too */
	bool works;			/* the thread's, too: the client had a record kept */
	struct flight *first;		/* the thread's, too: reported */
	struct flight **last;
};

/* An append that was taken. Of each of its records the outcome is librdkafka's opaque pointer, and
 * holds where this is until the report comes. */
struct flight {
	struct flight *after;
	struct append *append;
	struct lane *lane;
	const struct append_record *records;
	struct append_record *copy;	/* with their bytes, until it ends; NULL: was not held */
	bool plain;			/* nothing but keys and values */
	size_t bytes;
	atomic_size_t left;		/* reports to come, and one for append() itself */
};

static inline void flight_put(struct append_outcome *outcome, struct flight *flight)
{
	outcome->position.word[0] = (uint64_t)(uintptr_t)flight;
}

static inline struct flight *flight_of(const struct append_outcome *outcome)
{
	return (struct flight *)(uintptr_t)outcome->position.word[0];
}

/* All of this is done under the lock. */

/* --- producer.c -------------------------------------------------------------- */

/* librdkafka takes a topic that is gone for one that has lost its partitions, which none does. */
enum err_code producer_code_of_partition(const struct producer *producer, const char *topic,
					 int32_t partition);
enum err_code producer_code_of_report(struct producer *producer, const rd_kafka_message_t *message);

/* --- append_kafka.c ------------------------------------------------------------ */

size_t record_bytes(const struct append_record *record);
/* Gives the records of flights of one topic, all of them plain or a single one, to librdkafka: how
 * many were taken. If none was, `err` says why; also the outcomes of those that were not do. */
size_t flights_produce(struct producer *producer, struct flight *first, struct err *err);
/* Whoever gave the records is through with it. */
void flight_leaves(struct producer *producer, struct flight *flight);

/* --- lanes.c --------------------------------------------------------------------- */

struct lane *lane_of(struct producer *producer, const char *topic);
/* False: it is not to be held; what is held before it has gone. */
bool lane_hold(struct producer *producer, struct flight *flight);
void lane_give(struct producer *producer, struct lane *lane);
/* Gives what may go now; lanes with nothing in them are gone. */
void lanes_look(struct producer *producer);

#endif
