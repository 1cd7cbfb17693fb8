/* hostile.h - the parts of broker_hostile*.c to each other. */
#ifndef TESTS_BACKENDS_HOSTILE_H
#define TESTS_BACKENDS_HOSTILE_H

#include "backends/backends.h"

#include <stdatomic.h>

#define HOSTILE_BASE (UINT64_C(1) << 61)

enum {
	HOSTILE_RUN = 256,
	HOSTILE_STRIDE = (1 << 20) + 7,
	HOSTILE_SPLIT = 500,
};

struct hostile_broker {
	struct broker base;
	struct broker *inner;
	uint64_t cut;
	broker_done_fn *done;
	void *done_user;
	atomic_uint calls;
};

static inline struct hostile_broker *hostile_broker_of(struct broker *broker)
{
	return (struct hostile_broker *)broker;
}

void hostile_be_slow(struct hostile_broker *hostile);
/* How many shards the stream was made with; 0: it is not there. */
int32_t hostile_shards(struct hostile_broker *hostile, struct topic_ref topic);
int32_t hostile_inner_partition(struct topic_ref topic, int32_t shards, int32_t outer);

/* A position of a topic as a number; more than 64 bits: UINT64_MAX. */
uint64_t hostile_number(struct position position);
/* The first record at or after a number. */
uint64_t hostile_record_from(uint64_t number);
struct position hostile_outer(const struct hostile_broker *hostile, enum topic_kind kind,
			      struct position inner);
/* Of what comes next, not of a record. */
struct position hostile_outer_end(const struct hostile_broker *hostile, enum topic_kind kind,
				  struct position inner);
/* The inner position of the first record at or after an outer one. */
struct position hostile_inner_from(const struct hostile_broker *hostile, enum topic_kind kind,
				   struct position outer);
enum gap_reason hostile_reason(uint64_t number);

enum err_code hostile_reader_open(struct broker *broker, const struct reader_options *options,
				  struct broker_reader **ret_reader, struct err *err);
enum err_code hostile_reader_seek(struct broker_reader *reader, struct topic_ref topic,
				  int32_t partition, struct reader_start start, struct err *err);
enum err_code hostile_reader_next(struct broker_reader *reader, int64_t deadline_ms,
				  struct reader_event *ret_event, struct err *err);
enum err_code hostile_reader_pause(struct broker_reader *reader, struct topic_ref topic,
				   int32_t partition, bool paused, struct err *err);
void hostile_reader_release(struct broker_reader *reader, struct topic_ref topic,
			    int32_t partition);
enum err_code hostile_reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err);
enum err_code hostile_reader_commit(struct broker_reader *reader, struct topic_ref topic,
				    int32_t partition, struct position next, struct err *err);
void hostile_reader_close(struct broker_reader *reader);

#endif
