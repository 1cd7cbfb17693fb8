/*
 * backends.h - backends and decorators for tests only: each passes its
 * interface's contract suite, none is in the product.
 *
 *	broker_memory.c	records in memory
 *	broker_faulty.c	wraps another broker; an append or a read of it fails
 *	broker_slow.c	wraps another broker; what may take long does
	broker_kafka_mock.c that of Kafka, on librdkafka's mock cluster
 *	broker_kafka_real.c	the same, on a cluster that is elsewhere
 *	broker_hostile.c wraps the local log: all that a service may do and it never does;
 *			with meson -Dhostile=true it is that of the real binary
 *	store_memory.c	objects in memory
 *	store_faulty.c	wraps another store and fails its Nth call
 *	store_slow.c	wraps another store and takes its time
 */
#ifndef TESTS_BACKENDS_BACKENDS_H
#define TESTS_BACKENDS_BACKENDS_H

#include "broker/broker.h"
#include "store/store.h"

/* Holds at most `bytes_max` of records. Readers of other threads wait as with broker_local. */
MUST_USE struct broker *broker_memory_new(size_t bytes_max, broker_done_fn *done, void *done_user);

struct memory_options {
	size_t bytes_max;
	uint64_t spread;		/* between the counters of a shard's records; 0: 1 */
	bool markers;			/* after each record of a topic a number that is none */
	bool end_unknown;
	bool begins_again;		/* with each topic, also of a name that there was */
	broker_done_fn *done;
	void *done_user;
};

MUST_USE struct broker *broker_memory_open(const struct memory_options *options);

/* What a service does by itself; to one that was made by the calls above. */

/* The next `count` numbers give no records. */
void broker_memory_skip(struct broker *broker, struct topic_ref topic, int32_t partition,
			size_t count, enum gap_reason reason);
/* The oldest `count` numbers are not kept any more. */
void broker_memory_let_go(struct broker *broker, struct topic_ref topic, int32_t partition,
			  size_t count);
/* Of every group; it is assigned again once it is released, or at once if it is `lost`. */
void broker_memory_revoke(struct broker *broker, struct topic_ref topic, int32_t partition,
			  bool lost);
/* It gives nothing more, to anyone, but this code; ERR_OK: it does again, for who seeks it. */
void broker_memory_fail(struct broker *broker, struct topic_ref topic, int32_t partition,
			enum err_code code);
/* The shard is closed; its children come after all there are. */
void broker_memory_split(struct broker *broker, struct topic_ref stream, int32_t shard);
/* `after` is the one whose hashes come after the shard's. */
void broker_memory_merge(struct broker *broker, struct topic_ref stream, int32_t shard,
			 int32_t after);

/* Of topics alone; a cluster of its own, in this process. */
MUST_USE struct broker *broker_kafka_mock_new(broker_done_fn *done, void *done_user);
/* The same on a real cluster, which is emptied; ends the program where that cannot be had. */
MUST_USE struct broker *broker_kafka_real_new(const char *servers, broker_done_fn *done,
					      void *done_user);
/* rdkafka_mock.h has what may befall it. */
struct rd_kafka_mock_cluster_s *broker_kafka_mock_cluster(struct broker *broker);

struct broker_fault {
	int append_at;			/* this append (from 1; 0: none) … */
	enum err_code refuse;		/* … is refused with this, or, if that is ERR_OK, … */
	enum err_code outcome;		/* … its records end with this instead of being kept */
	int read_at;			/* this reader_next() fails with `outcome` */
	int fd_at;			/* this reader_fd() fails with `outcome` */
	bool for_ever;			/* and so does every one after it */
};

/*
 * Takes ownership of `inner`, which must have been made with the same
 * completion: of the appends that fail, it runs on a thread of the decorator.
 */
MUST_USE struct broker *broker_faulty_new(struct broker *inner, const struct broker_fault *fault,
					  broker_done_fn *done, void *done_user);

/* Takes ownership of `inner`. What broker_ops says may take long takes this much longer. */
MUST_USE struct broker *broker_slow_new(struct broker *inner, int64_t call_ms);

/* As broker_local_new(), with the wrap. */
MUST_USE enum err_code broker_hostile_new(const struct broker_local_options *options,
					  struct broker **ret_broker, struct err *err);

MUST_USE struct store *store_memory_new(size_t bytes_max);
/* Takes ownership of `inner`. Call number `fail_at` (from 1) fails with `code`; if `after`, the
 * inner call is made first, so that the failure is a lost answer. */
MUST_USE struct store *store_faulty_new(struct store *inner, int fail_at, enum err_code code,
					bool after);
/* Takes ownership of `inner`. Every call waits so long before it is made. */
MUST_USE struct store *store_slow_new(struct store *inner, int64_t wait_ms);

#endif
