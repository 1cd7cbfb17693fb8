/* Questions to the cluster, and what its answers mean. */
#include "broker/kafka/kafka.h"

#include "base/stop.h"
#include "base/time.h"

#include <inttypes.h>

enum {
	WAIT_MS = 100,	  /* then it is looked whether an answer can come at all */
	AWAY_MS = 2000,	  /* without a broker, who tries each second: none will come soon */
	ENDING_MS = 3000, /* who is asked to end waits no longer */
	RETRY_MS = 20,	  /* a partition whose leader does not lead yet */
};

/* --- codes ----------------------------------------------------------------- */

enum err_code kafka_code(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return ERR_OK;
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID:
		return ERR_NO_TOPIC;
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return ERR_NO_PARTITION;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return ERR_EXISTS;
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR: case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION: case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
		return ERR_SHAPE;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return ERR_LIMIT;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return ERR_DENIED;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION: case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		return ERR_AUTH;
	case RD_KAFKA_RESP_ERR__BAD_MSG: case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
	case RD_KAFKA_RESP_ERR_INVALID_MSG: case RD_KAFKA_RESP_ERR__LOG_TRUNCATION:
		return ERR_CORRUPT;
	case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED: case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
		return ERR_UNSUPPORTED;
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
		return ERR_SPACE;
	case RD_KAFKA_RESP_ERR__TIMED_OUT: case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
	case RD_KAFKA_RESP_ERR__TRANSPORT: case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE: case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__QUEUE_FULL: case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE: case RD_KAFKA_RESP_ERR__WAIT_COORD:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE: case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT: case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
	case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION: case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE: case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
	case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND:
	case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
	case RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_REASSIGNMENT_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS:
	case RD_KAFKA_RESP_ERR__WAIT_CACHE:
	case RD_KAFKA_RESP_ERR__NOENT: /* of all partitions asked for none has a leader */
	case RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD: /* another one of its batch */
	case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
		return ERR_BUSY;
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
		return ERR_UNKNOWN;
	default:
		return ERR_IO;
	}
}

enum err_code kafka_fail(struct err *err, rd_kafka_resp_err_t code, const char *what)
{
	return err_set(err, kafka_code(code), "%s: %s", what, rd_kafka_err2str(code));
}

enum err_code kafka_fail_error(struct err *err, rd_kafka_error_t *error, const char *what)
{
	(void)err_set(err, kafka_code(rd_kafka_error_code(error)), "%s: %s", what,
		      rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return err->code;
}

enum err_code kafka_fail_leader(struct err *err, const char *topic, int32_t partition)
{
	return err_set(err, ERR_BUSY, "partition %" PRId32 " of topic \"%s\" has no leader just now",
		       partition, topic);
}

enum err_code kafka_topics_only(enum topic_kind kind, struct err *err)
{
	return kind == TOPIC_LOG ? ERR_OK
				 : err_set(err, ERR_UNSUPPORTED, "Kafka has topics, no streams");
}

/* --- a question ------------------------------------------------------------ */

static void admin_error(rd_kafka_t *client, int code, const char *why, void *links)
{
	kafka_note_error(client, links, code, why);
}

enum err_code kafka_admin(struct kafka *kafka, rd_kafka_t **ret_client, struct err *err)
{
	enum err_code code = ERR_OK;
	rd_kafka_conf_t *conf;

	(void)pthread_mutex_lock(&kafka->lock);
	if (!kafka->admin) {
		code = kafka_conf_new(&kafka->options, KAFKA_ASKS, &conf, err);
		if (code == ERR_OK) {
			rd_kafka_conf_set_opaque(conf, &kafka->admin_links);
			rd_kafka_conf_set_error_cb(conf, admin_error);
			code = kafka_client_new(conf, KAFKA_ASKS, &kafka->admin_links,
						&kafka->admin, err);
		}
	}
	if (code == ERR_OK)
		*ret_client = kafka->admin;
	(void)pthread_mutex_unlock(&kafka->lock);
	return code;
}

/* It also takes in what librdkafka has to say. */
enum err_code kafka_admin_away(rd_kafka_t *admin, int64_t waited_ms, struct err *err)
{
	struct links *links = rd_kafka_opaque(admin);

	(void)rd_kafka_poll(admin, 0);
	if (links_refused(links, err) != ERR_OK)
		return err->code;
	return waited_ms < AWAY_MS || links_down_ms(links) < AWAY_MS ? ERR_OK
								     : links_check(links, err);
}

static void set_answer_ms(rd_kafka_AdminOptions_t *options, int ms)
{
	char unused[128];

	(void)rd_kafka_AdminOptions_set_request_timeout(options, ms, unused, sizeof(unused));
}

rd_kafka_AdminOptions_t *kafka_ask_options(rd_kafka_t *client, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, op);

	set_answer_ms(options, KAFKA_ANSWER_MS);
	return options;
}

void kafka_ask_init(struct kafka_ask *ask, rd_kafka_t *client, rd_kafka_admin_op_t op)
{
	char unused[128];

	ask->client = client;
	ask->options = kafka_ask_options(client, op);
	ask->queue = rd_kafka_queue_new(client);
	if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS)
		(void)rd_kafka_AdminOptions_set_operation_timeout(ask->options, KAFKA_ANSWER_MS,
								  unused, sizeof(unused));
	if (op == RD_KAFKA_ADMIN_OP_LISTOFFSETS)
		rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
			ask->options, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED));
}

enum err_code kafka_ask_wait(struct kafka_ask *ask, rd_kafka_event_t **ret_answer, struct err *err)
{
	/* librdkafka keeps its own time; this is for the case that it does not. */
	int64_t began_ms = clock_mono_ms(), waited_ms = 0, most_ms = KAFKA_ANSWER_MS + 5000;
	rd_kafka_event_t *answer = NULL;
	rd_kafka_resp_err_t code;

	while (!answer && waited_ms < most_ms) {
		answer = rd_kafka_queue_poll(ask->queue, WAIT_MS);
		waited_ms = clock_mono_ms() - began_ms;
		if (!answer && kafka_admin_away(ask->client, waited_ms, err) != ERR_OK)
			return err->code;
		if (stop_requested())
			most_ms = ENDING_MS;
	}
	code = answer ? rd_kafka_event_error(answer) : 0;
	if (!answer)
		return err_set(err, ERR_BUSY, "Kafka gave no answer");
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		*ret_answer = answer;
		return ERR_OK;
	}
	(void)err_set(err, kafka_code(code), "Kafka gave no answer: %s",
		      rd_kafka_event_error_string(answer));
	rd_kafka_event_destroy(answer);
	return err->code;
}

void kafka_ask_release(struct kafka_ask *ask)
{
	rd_kafka_queue_destroy(ask->queue);
	rd_kafka_AdminOptions_destroy(ask->options);
}

/* --- what topics there are ------------------------------------------------- */

enum err_code kafka_topic_of(const rd_kafka_TopicDescription_t *description,
			     struct kafka_topic *ret_topic, struct err *err)
{
	const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(description);
	const char *name = rd_kafka_TopicDescription_name(description);
	const rd_kafka_TopicPartitionInfo_t **partitions;
	const rd_kafka_Uuid_t *id;
	size_t count;

	if (error && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(err, rd_kafka_error_code(error), name);
	partitions = rd_kafka_TopicDescription_partitions(description, &count);
	if (count == 0)
		return err_set(err, ERR_NO_TOPIC, "%s: it has no partitions yet", name);
	id = rd_kafka_TopicDescription_topic_id(description);
	*ret_topic = (struct kafka_topic){
		.id = { (uint64_t)rd_kafka_Uuid_most_significant_bits(id),
			(uint64_t)rd_kafka_Uuid_least_significant_bits(id) },
		.partition_count = (int32_t)count, .leaders = true };
	for (size_t i = 0; i < count; i++)
		ret_topic->leaders &= rd_kafka_TopicPartitionInfo_leader(partitions[i]) != NULL;
	return ERR_OK;
}

enum err_code kafka_look_whole(rd_kafka_t *client, const char *name, struct kafka_topic *ret_topic,
			       struct topic_info *ret_info, struct err *err)
{
	const char *names[] = { name };
	rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
	const rd_kafka_TopicDescription_t **found;
	rd_kafka_event_t *answer = NULL;
	struct kafka_ask ask;
	enum err_code code;
	size_t count;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
	rd_kafka_DescribeTopics(client, topics, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		found = rd_kafka_DescribeTopics_result_topics(
			rd_kafka_event_DescribeTopics_result(answer), &count);
		code = count == 1 ? kafka_topic_of(found[0], ret_topic, err)
				  : err_set(err, ERR_NO_TOPIC, "%s: there is no such topic", name);
		if (code == ERR_OK && ret_info)
			kafka_take_places(found[0], ret_info);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	rd_kafka_TopicCollection_destroy(topics);
	return code;
}

enum err_code kafka_look(rd_kafka_t *client, const char *name, struct kafka_topic *ret_topic,
			 struct err *err)
{
	return kafka_look_whole(client, name, ret_topic, NULL, err);
}

static enum err_code listed_offsets(const rd_kafka_ListOffsets_result_t *result, int32_t first,
				int64_t *offsets, struct err *err)
{
	const rd_kafka_ListOffsetsResultInfo_t **infos;
	size_t count;

	infos = rd_kafka_ListOffsets_result_infos(result, &count);
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_topic_partition_t *partition =
			rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);

		if (partition->err)
			return kafka_fail(err, partition->err, partition->topic);
		/* Of a leader that did not answer, or went meanwhile, no error is told. */
		if (partition->offset == RD_KAFKA_OFFSET_INVALID)
			return err_set(err, ERR_BUSY,
				       "the leader of partition %" PRId32
				       " of topic \"%s\" gave no answer",
				       partition->partition, partition->topic);
		offsets[partition->partition - first] = partition->offset;
	}
	return ERR_OK;
}

static enum err_code offsets_once(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
				  int answer_ms, int32_t first, int64_t *offsets, struct err *err)
{
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	enum err_code code;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
	set_answer_ms(ask.options, answer_ms);
	rd_kafka_ListOffsets(client, partitions, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		code = listed_offsets(rd_kafka_event_ListOffsets_result(answer), first, offsets,
				      err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

/* ERR_NO_TOPIC, ERR_NO_PARTITION; ERR_BUSY: one has no leader, who alone could answer. */
static enum err_code check_led(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list,
			       struct err *err)
{
	const char *name = list->elems[0].topic;
	struct topic_info info;
	struct kafka_topic topic;
	enum err_code code = kafka_look_whole(client, name, &topic, &info, err);

	if (code != ERR_OK) /* busy: nobody knows better than who named it */
		return code == ERR_BUSY ? ERR_OK : code;
	for (int i = 0; i < list->cnt && code == ERR_OK; i++) {
		int32_t id = list->elems[i].partition;
		const struct partition_info *partition = topic_info_partition(&info, id);

		if (!partition)
			code = err_set(err, ERR_NO_PARTITION,
				       "topic \"%s\" has no partition %" PRId32, name, id);
		else if (partition->leader == NODE_NONE)
			code = kafka_fail_leader(err, name, id);
	}
	topic_info_release(&info);
	return code;
}

/* A leader may be named before it leads, and when it is gone already: for some time it is asked
 * again, as long as it is still named. */
static enum err_code offsets_in_time(rd_kafka_t *client,
				     rd_kafka_topic_partition_list_t *partitions, int answer_ms,
				     int32_t first, int64_t *offsets, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + answer_ms;
	struct err unused;
	enum err_code code = offsets_once(client, partitions, answer_ms, first, offsets, err);

	while (code == ERR_BUSY && clock_mono_ms() < until_ms && !stop_requested() &&
	       kafka_admin_away(client, KAFKA_ANSWER_MS, &unused) == ERR_OK) {
		clock_sleep_ms(RETRY_MS);
		code = check_led(client, partitions, err);
		if (code != ERR_OK)
			break;
		code = offsets_once(client, partitions, answer_ms, first, offsets, err);
	}
	return code;
}

enum err_code kafka_list_offsets(rd_kafka_t *client, const char *name,
				 const struct partition_info *partitions, int32_t count,
				 int64_t spec, int answer_ms, int64_t *ret_offsets, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
	enum err_code code = ERR_OK;

	for (int32_t i = 0; i < count; i++) {
		ret_offsets[i] = -1;
		if (partitions[i].leader != NODE_NONE)
			rd_kafka_topic_partition_list_add(list, name, partitions[i].id)->offset =
				spec;
	}
	if (list->cnt > 0)
		code = offsets_in_time(client, list, answer_ms, partitions[0].id, ret_offsets, err);
	rd_kafka_topic_partition_list_destroy(list);
	return code;
}

enum err_code kafka_has_partition(struct kafka *kafka, struct topic_ref topic, int32_t partition,
				  struct err *err)
{
	struct kafka_topic found = { 0 };
	rd_kafka_t *client;
	enum err_code code = kafka_topics_only(topic.kind, err);

	if (code == ERR_OK)
		code = kafka_admin(kafka, &client, err);
	if (code == ERR_OK)
		code = kafka_look(client, topic.name, &found, err);
	if (code == ERR_OK && (partition < 0 || partition >= found.partition_count))
		code = err_set(err, ERR_NO_PARTITION, "topic \"%s\" has no partition %" PRId32,
			       topic.name, partition);
	return code;
}
