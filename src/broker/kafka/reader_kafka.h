/*
 * reader_kafka.h - readers of a Kafka cluster: each is a consumer of librdkafka.
 *
 *	librdkafka ── pull ──► fetched ── ask ──► asked ── same topic id ──► sure ── give ──► event
 *	 (fetched_kafka.c)                             └─ another one: made anew
 *
 * librdkafka goes on at the same offset when a topic was removed and made anew,
 * without a word. Ids of topics never come back, so a record is given only after
 * the cluster, asked after it was fetched, still has the topic under the id that
 * it had at the seek. One question is on its way at a time, for all topics: what
 * is fetched meanwhile is asked for with the next.
 *
 * Partitions come and go by librdkafka's callback, which notes (assign_kafka.c);
 * each is told in an event of its own, and librdkafka is answered for all of a
 * callback at once, when the last event was:
 *
 *	NONE ─ ASSIGNED ─► TOLD ─ settled ─► READING ─ REVOKED ─► REVOKED ─ release ─► NONE
 *	                                      │    ▲
 *	                                  FAILED   └ a seek
 *
 * librdkafka takes any incremental_unassign() for the answer to a revoke, also to
 * one whose callback has not run yet. So a partition that is sought again, or that
 * failed, stays assigned: it is moved there, or paused, and what comes of it until
 * then is thrown away.
 *
 * Threads: the reader's own.
 */
#ifndef BROKER_KAFKA_READER_KAFKA_H
#define BROKER_KAFKA_READER_KAFKA_H

#include "broker/kafka/kafka.h"

enum part_state { PART_NONE, PART_TOLD, PART_READING, PART_REVOKED, PART_FAILED };

/* What was fetched of a partition and not yet given: messages, and the end where it was reached. */
struct fetched {
	rd_kafka_message_t **list;
	size_t cap;
	size_t given;			/* before it: given */
	size_t sure;			/* before it: of the seek's topic */
	size_t asked;			/* before it: the question on its way is about them */
	size_t count;
	size_t bytes;			/* of what is not given */
};

struct part {
	struct part *after;
	char topic[TOPIC_NAME_MAX + 1];
	int32_t id;
	enum part_state state;
	bool attached;			/* librdkafka reads it, … */
	bool stale;			/* … elsewhere than it is wanted, or for nobody, … */
	bool idle;			/* … or no more, until it is assigned anew */
	unsigned moves;			/* in turn that librdkafka did not make */
	bool paused;			/* by the caller, … */
	bool full;			/* … and as long as too much of it waits for an answer */
	bool held;			/* so is it in librdkafka */
	bool anew;			/* revoked, and then assigned again: its topic was made
					   anew, or it was lost and came back meanwhile */
	bool going;			/* READER_REVOKED is among the events */
	bool dropped;			/* revoked by librdkafka, which waits for all such, … */
	bool leaving;			/* … and released */
	bool misplaced;			/* librdkafka found nothing at its offset, … */
	bool cut;			/* … or something else before it than was read */
	bool dirty;			/* `commit` was not told to the cluster */
	struct lineage lineage;		/* at the seek, … */
	unsigned sought;		/* … after the question of this number */
	unsigned unknown;		/* answers in turn that it is not there */
	bool has_next;			/* it was sought */
	int64_t next;			/* offset to be given next */
	int64_t fetch;			/* offset to be fetched next */
	int64_t gap_first, gap_last;	/* retention's, to be told before all else; -1: none */
	int64_t said;			/* READER_CAUGHT_UP here; -1: not since the seek */
	int64_t commit;
	int64_t retry_ms;		/* of a seek that could not be done yet */
	struct err failure;
	struct fetched fetched;
};

struct part_event {
	enum reader_event_kind kind;
	struct part *part;
	bool lost;
};

struct reader_kafka {
	struct broker_reader base;
	struct kafka *kafka;
	rd_kafka_t *client;
	struct links links;
	rd_kafka_queue_t *queue;	/* of messages and callbacks */
	rd_kafka_queue_t *answers;
	rd_kafka_queue_t *commits;	/* what became of them */
	rd_kafka_queue_t *leaving;	/* of callbacks, while it closes */
	char *group;			/* NULL: none */
	size_t bytes_max;
	int fd;				/* both queues tell it */
	bool closing;
	struct part *parts;
	struct part *recent;
	struct part_event *events;	/* to be given before all else */
	size_t event_at, event_count;
	bool assign_due;		/* librdkafka waits to be told where to begin, … */
	bool drop_due;			/* … and that all that it revoked is released */
	int64_t attach_after_ms;	/* it took nothing: then it is tried again, … */
	int64_t move_after_ms;		/* … and where it did not go elsewhere */
	bool asking;
	unsigned questions;		/* number of the last */
	int64_t asked_ms;
	int64_t ask_after_ms;
	int64_t full_ms;		/* since then too much waits for an answer; 0: not so */
	int64_t committed_ms;
	struct err failure;		/* of the reader itself */
	char told[200];			/* what went wrong, as it was told last */
	rd_kafka_message_t **given;	/* those of the last event, with … */
	struct record *records;
	struct record_header **headers;
	size_t given_count, given_cap;
};

enum err_code reader_kafka_open(struct broker *broker, const struct reader_options *options,
				struct broker_reader **ret_reader, struct err *err);
enum err_code reader_kafka_seek(struct broker_reader *reader, struct topic_ref topic,
				int32_t partition, struct reader_start start, struct err *err);
enum err_code reader_kafka_next(struct broker_reader *reader, int64_t deadline_ms,
				struct reader_event *ret_event, struct err *err);
enum err_code reader_kafka_pause(struct broker_reader *reader, struct topic_ref topic,
				 int32_t partition, bool paused, struct err *err);
void reader_kafka_release(struct broker_reader *reader, struct topic_ref topic, int32_t partition);
enum err_code reader_kafka_fd(struct broker_reader *reader, int *ret_fd, struct err *err);
enum err_code reader_kafka_commit(struct broker_reader *reader, struct topic_ref topic,
				  int32_t partition, struct position next, struct err *err);
void reader_kafka_close(struct broker_reader *reader);

/* --- assign_kafka.c: partitions ---------------------------------------------- */

/* NULL: never met, unless `make`. */
struct part *part_of(struct reader_kafka *reader, const char *topic, int32_t id, bool make);
void part_event_add(struct reader_kafka *reader, enum reader_event_kind kind, struct part *part,
		    bool lost);
/* librdkafka's callback. */
void part_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
		    rd_kafka_topic_partition_list_t *list, void *reader);
/* librdkafka fetches nothing of it while it is paused or `full`. */
void part_hold(struct reader_kafka *reader, struct part *part, bool full);
/* Answers librdkafka, once all events are given; begins what could not begin before. */
void part_settle(struct reader_kafka *reader);
/* The topic of these was made anew, or is gone. */
void part_is_another(struct reader_kafka *reader, struct part *part);
/* It gives nothing more until it is sought. */
void part_fail(struct reader_kafka *reader, struct part *part, const struct err *why);
/* Where librdkafka had found nothing: what is there, and what becomes of it. */
void part_place(struct reader_kafka *reader, struct part *part);
void part_flush_commits(struct reader_kafka *reader, bool wait);
void part_free_all(struct reader_kafka *reader);

/* --- fetched_kafka.c: what librdkafka has fetched ----------------------------- */

/* The next one that is sure; it is the caller's. */
rd_kafka_message_t *fetched_take(struct part *part);
void fetched_drop(struct part *part);
/* True: something came. */
bool fetched_pull(struct reader_kafka *reader);
/* librdkafka tries again, for ever: whoever reads nothing is to know why. */
void reader_warn_once(struct reader_kafka *reader, const char *text);
/* Takes an answer, if there is one; true: there was. */
bool fetched_answer(struct reader_kafka *reader);
/* Asks, if there is something to ask for. */
void fetched_ask(struct reader_kafka *reader);

#endif
