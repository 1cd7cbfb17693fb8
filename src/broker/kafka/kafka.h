/*
 * kafka.h - what the files of this directory share: the broker's struct, a
 * client of librdkafka with its settings, questions to the cluster, error codes.
 */
#ifndef BROKER_KAFKA_KAFKA_H
#define BROKER_KAFKA_KAFKA_H

#include "broker/kafka/broker_kafka.h"
#include "broker/kafka/links.h"

#include <pthread.h>
#include <rdkafka.h>

enum {
	KAFKA_ANSWER_MS = 10000,	/* a question's; then ERR_BUSY */
	KAFKA_RECORD_BYTES = 1 << 20,
	KAFKA_INFLIGHT_BYTES = 64 << 20,
	KAFKA_UID_DIGITS = 32,
};

struct producer;
struct told;

struct kafka {
	struct broker base;
	struct broker_kafka_options options;	/* with its own copy of all that it names */
	struct producer *producer;		/* NULL: nothing is appended */
	pthread_mutex_t lock;			/* of what follows */
	rd_kafka_t *admin;			/* asks; made with the first question */
	struct links admin_links;
	struct told *told;			/* commits of members (groups_kafka.c) */
	size_t told_count;
	unsigned members;			/* readers with a group that were opened */
};

/* --- conf_kafka.c: a client of librdkafka ---------------------------------- */

enum kafka_role { KAFKA_ASKS, KAFKA_PRODUCES, KAFKA_READS };

/* The settings of a client, to be added to; kafka_client_new() takes them. ERR_USAGE. */
MUST_USE enum err_code kafka_conf_new(const struct broker_kafka_options *options,
				      enum kafka_role role, rd_kafka_conf_t **ret_conf,
				      struct err *err);
/* One that the program itself sets: a value that librdkafka does not take is a bug. */
void kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);
/* Takes `conf`. `links`: told which brokers it reaches. */
MUST_USE enum err_code kafka_client_new(rd_kafka_conf_t *conf, enum kafka_role role,
					struct links *links, rd_kafka_t **ret_client,
					struct err *err);
/* What librdkafka tells of errors that are no record's and no question's. */
void kafka_note_error(rd_kafka_t *client, struct links *links, int code, const char *why);
/* ERR_USAGE, if one of the settings is not right. */
MUST_USE enum err_code kafka_settings_check(const struct broker_kafka_options *options,
					    struct err *err);

/* --- ask_kafka.c: questions, and what the answers mean --------------------- */

enum err_code kafka_code(rd_kafka_resp_err_t code);
/* "what: Broker: Unknown topic or partition" */
enum err_code kafka_fail(struct err *err, rd_kafka_resp_err_t code, const char *what);
/* The same of an error that it lets go of. */
enum err_code kafka_fail_error(struct err *err, rd_kafka_error_t *error, const char *what);
/* ERR_BUSY: only its leader could answer. */
enum err_code kafka_fail_leader(struct err *err, const char *topic, int32_t partition);

/* The client that asks what is asked for no reader. */
MUST_USE enum err_code kafka_admin(struct kafka *kafka, rd_kafka_t **ret_client, struct err *err);

/* To a question that was sent so long ago no answer will come. ERR_AUTH: the cluster does not let
 * it in; ERR_BUSY: no broker is reached. */
MUST_USE enum err_code kafka_admin_away(rd_kafka_t *admin, int64_t waited_ms, struct err *err);

/* A question on its way, of kafka_admin()'s client where it is waited for. */
struct kafka_ask {
	rd_kafka_t *client;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;
};

/* Of who has a queue of its own; the caller destroys them. */
rd_kafka_AdminOptions_t *kafka_ask_options(rd_kafka_t *client, rd_kafka_admin_op_t op);
void kafka_ask_init(struct kafka_ask *ask, rd_kafka_t *client, rd_kafka_admin_op_t op);
/* Waits for the answer to what was sent with its options to its queue; the caller destroys it. */
MUST_USE enum err_code kafka_ask_wait(struct kafka_ask *ask, rd_kafka_event_t **ret_answer,
				      struct err *err);
void kafka_ask_release(struct kafka_ask *ask);

struct kafka_topic {
	struct lineage id;
	int32_t partition_count;
	bool leaders;			/* each partition has one */
};

/* What a description says of one topic; ERR_NO_TOPIC, ERR_DENIED … */
MUST_USE enum err_code kafka_topic_of(const rd_kafka_TopicDescription_t *description,
				      struct kafka_topic *ret_topic, struct err *err);
/* ERR_NO_TOPIC. */
MUST_USE enum err_code kafka_look(rd_kafka_t *client, const char *name,
				  struct kafka_topic *ret_topic, struct err *err);
/* And of its partitions, where they are: their ids, leaders and replicas, and nothing else.
 * `ret_info` NULL: nobody wants them. */
MUST_USE enum err_code kafka_look_whole(rd_kafka_t *client, const char *name,
					struct kafka_topic *ret_topic, struct topic_info *ret_info,
					struct err *err);
/* Offsets of partitions that follow one another, as of `spec` (RD_KAFKA_OFFSET_SPEC_…, or
 * milliseconds): of what is committed. -1: it has no leader, who alone knows. */
MUST_USE enum err_code kafka_list_offsets(rd_kafka_t *client, const char *name,
					  const struct partition_info *partitions, int32_t count,
					  int64_t spec, int answer_ms, int64_t *ret_offsets,
					  struct err *err);
MUST_USE enum err_code kafka_has_partition(struct kafka *kafka, struct topic_ref topic,
					   int32_t partition, struct err *err);
MUST_USE enum err_code kafka_topics_only(enum topic_kind kind, struct err *err);

/* --- cluster_kafka.c: what the cluster is ------------------------------------- */

/* As kafka_look_whole() has it. */
void kafka_take_places(const rd_kafka_TopicDescription_t *description, struct topic_info *ret_info);
enum err_code kafka_nodes(struct broker *broker, enum topic_kind kind,
			  bool (*each)(void *user, const struct broker_node *node), void *user,
			  struct err *err);
enum err_code kafka_settings(struct broker *broker, struct topic_ref topic,
			     bool (*each)(void *user, const char *name, const char *value),
			     void *user, struct err *err);

/* --- topics_kafka.c, groups_kafka.c, members_kafka.c, producer.h: broker_ops ----------------- */

enum err_code kafka_create(struct broker *broker, struct topic_ref topic,
			   const struct topic_options *options, struct err *err);
enum err_code kafka_describe(struct broker *broker, struct topic_ref topic,
			     struct topic_info *ret_info, struct err *err);
enum err_code kafka_list(struct broker *broker, enum topic_kind kind,
			 bool (*each)(void *user, const char *name), void *user, struct err *err);
enum err_code kafka_remove(struct broker *broker, struct topic_ref topic, struct err *err);
/* A topic was made or removed: waits until all that this broker knows of it says so. */
void kafka_topic_changed(struct kafka *kafka, const char *name, bool there);

enum err_code kafka_committed(struct broker *broker, const char *group, struct topic_ref topic,
			      int32_t partition, struct position *ret_next, struct err *err);
enum err_code kafka_commit(struct broker *broker, const char *group, struct topic_ref topic,
			   int32_t partition, struct position next, struct err *err);
enum err_code kafka_groups(struct broker *broker, bool (*each)(void *user, const char *name),
			   void *user, struct err *err);
enum err_code kafka_describe_group(struct broker *broker, const char *group,
				   struct group_info *ret_info, struct err *err);
enum err_code kafka_reset_group(struct broker *broker, const char *group,
				const struct group_place *places, size_t count, struct err *err);
/* How far the group is, in all that it committed. */
MUST_USE enum err_code kafka_put_committed(struct kafka *kafka, const char *group,
					   struct group_info *info, struct err *err);
/* A member's commit, to be known here at once. */
void kafka_tell(struct kafka *kafka, const char *group, const char *topic, int32_t partition,
		struct position next);
void kafka_forget_told(struct kafka *kafka, const char *topic);

MUST_USE enum err_code producer_new(struct kafka *kafka, struct producer **ret_producer,
				    struct err *err);
/* Waits for what was taken. */
void producer_free(struct producer *producer); /* accepts NULL */
/* What it appends with just now; for tests. */
rd_kafka_t *producer_client(const struct producer *producer);
/* It learns what became of the topic. */
void producer_refresh(struct producer *producer, const char *topic);
enum err_code kafka_append(struct broker *broker, struct append *append, struct err *err);
void kafka_cork(struct broker *broker, bool corked);
enum err_code kafka_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
			  struct err *err);

#endif
