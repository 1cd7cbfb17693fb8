/* Topics: making, describing, listing and removing them. */
#include "broker/kafka/kafka.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <stdio.h>

enum { LOOK_MS = 10, LIST_MS = 500, CHANGE_MS_MAX = 10000 };

/* --- making and removing --------------------------------------------------- */

static enum err_code topic_result(const rd_kafka_topic_result_t **results, size_t count,
				  struct err *err)
{
	rd_kafka_resp_err_t code;

	if (count == 0)
		return err_set(err, ERR_IO, "Kafka gave an empty answer");
	code = rd_kafka_topic_result_error(results[0]);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return ERR_OK;
	return err_set(err, kafka_code(code), "topic \"%s\": %s",
		       rd_kafka_topic_result_name(results[0]),
		       rd_kafka_topic_result_error_string(results[0])
			       ? rd_kafka_topic_result_error_string(results[0])
			       : rd_kafka_err2str(code));
}

static enum err_code topic_make(rd_kafka_t *client, rd_kafka_NewTopic_t *topic, struct err *err)
{
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	enum err_code code;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(client, &topic, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		size_t count;
		const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
			rd_kafka_event_CreateTopics_result(answer), &count);

		code = topic_result(results, count, err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

static enum err_code topic_unmake(rd_kafka_t *client, const char *name, struct err *err)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	enum err_code code;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_DELETETOPICS);
	rd_kafka_DeleteTopics(client, &topic, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		size_t count;
		const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(
			rd_kafka_event_DeleteTopics_result(answer), &count);

		code = topic_result(results, count, err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	rd_kafka_DeleteTopic_destroy(topic);
	return code;
}

/* The cluster has said so; its brokers learn it one after the other. */
static void await_change(rd_kafka_t *client, const char *name, bool there)
{
	int64_t until_ms = clock_mono_ms() + CHANGE_MS_MAX;
	struct kafka_topic topic;
	struct err unused;
	bool changed = false;

	while (!changed && clock_mono_ms() < until_ms && !stop_requested()) {
		enum err_code code = kafka_look(client, name, &topic, &unused);

		changed = there ? code == ERR_OK && topic.leaders : code == ERR_NO_TOPIC;
		if (!changed)
			clock_sleep_ms(LOOK_MS);
	}
}

void kafka_topic_changed(struct kafka *kafka, const char *name, bool there)
{
	rd_kafka_t *client;
	struct err unused;

	kafka_forget_told(kafka, name);
	if (kafka_admin(kafka, &client, &unused) == ERR_OK)
		await_change(client, name, there);
	if (kafka->producer)
		producer_refresh(kafka->producer, name);
}

enum err_code kafka_create(struct broker *broker, struct topic_ref topic,
			   const struct topic_options *options, struct err *err)
{
	struct kafka *kafka = (struct kafka *)broker;
	rd_kafka_NewTopic_t *made;
	rd_kafka_t *client;
	char why[256];
	enum err_code code;

	if (kafka_topics_only(topic.kind, err) != ERR_OK ||
	    name_check_topic(slice_str(topic.name), err) != ERR_OK ||
	    kafka_admin(kafka, &client, err) != ERR_OK)
		return err->code;
	if (options->born)
		return err_set(err, ERR_UNSUPPORTED, "a topic of Kafka begins at offset 0");
	if (options->partitions < 1 || options->partitions > PARTITIONS_MAX)
		return err_set(err, ERR_SHAPE, "a topic has 1 to %d partitions", PARTITIONS_MAX);
	/* -1: as many replicas as the cluster says. */
	made = rd_kafka_NewTopic_new(topic.name, options->partitions,
				     options->replicas ? options->replicas : -1, why, sizeof(why));
	if (!made)
		return err_set(err, ERR_SHAPE, "%s", why);
	code = topic_make(client, made, err);
	rd_kafka_NewTopic_destroy(made);
	if (code == ERR_OK)
		kafka_topic_changed(kafka, topic.name, true);
	return code;
}

enum err_code kafka_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	struct kafka *kafka = (struct kafka *)broker;
	rd_kafka_t *client;
	enum err_code code = kafka_topics_only(topic.kind, err);

	if (code == ERR_OK)
		code = kafka_admin(kafka, &client, err);
	if (code == ERR_OK)
		code = topic_unmake(client, topic.name, err);
	if (code == ERR_OK)
		kafka_topic_changed(kafka, topic.name, false);
	return code;
}

/* --- describing ------------------------------------------------------------ */

/* What it has, into what is known of where it is. */
static void topic_fill(struct topic_info *info, const char *name, const struct kafka_topic *topic,
		       const int64_t *low, const int64_t *next)
{
	info->kind = TOPIC_LOG;
	(void)snprintf(info->name, sizeof(info->name), "%s", name);
	(void)snprintf(info->uid, sizeof(info->uid), "%016" PRIx64 "%016" PRIx64, topic->id.high,
		       topic->id.low);
	for (int32_t i = 0; i < topic->partition_count; i++) {
		struct partition_info *partition = &info->partitions[i];

		partition->open = true;
		partition->parents[0] = partition->parents[1] = -1;
		if (next[i] < 0) /* nobody leads it */
			continue;
		partition->first = position_of_offset((uint64_t)low[i]);
		partition->next_known = true;
		partition->next = position_of_offset((uint64_t)next[i]);
		partition->records = (uint64_t)(next[i] - low[i]);
	}
}

/* ERR_BUSY: one was made anew between the two questions. */
static enum err_code check_extents(const struct topic_info *info, const int64_t *low,
				   const int64_t *next, struct err *err)
{
	for (int32_t i = 0; i < info->partition_count; i++)
		if (next[i] >= 0 && low[i] > next[i])
			return err_set(err, ERR_BUSY,
				       "partition %" PRId32 " ended at %" PRId64
				       " and began at %" PRId64 ": it is being made anew",
				       info->partitions[i].id, next[i], low[i]);
	return ERR_OK;
}

/* The first offset kept is asked for before the next: retention may move it meanwhile, beyond. */
static enum err_code topic_measure(rd_kafka_t *client, const char *name,
				   const struct kafka_topic *topic, struct topic_info *info,
				   struct err *err)
{
	size_t count = (size_t)topic->partition_count;
	int64_t *low = xcalloc(count, sizeof(*low));
	int64_t *next = xcalloc(count, sizeof(*next));
	enum err_code code;

	code = kafka_list_offsets(client, name, info->partitions, topic->partition_count,
				  RD_KAFKA_OFFSET_SPEC_EARLIEST, KAFKA_ANSWER_MS, low, err);
	if (code == ERR_OK)
		code = kafka_list_offsets(client, name, info->partitions, topic->partition_count,
					  RD_KAFKA_OFFSET_SPEC_LATEST, KAFKA_ANSWER_MS, next, err);
	if (code == ERR_OK)
		code = check_extents(info, low, next, err);
	if (code == ERR_OK)
		topic_fill(info, name, topic, low, next);
	else if (code == ERR_NO_PARTITION) /* it had a moment ago */
		code = err->code = ERR_BUSY;
	free(low);
	free(next);
	return code;
}

/* What could not be measured may be another topic by now, or without a leader: that is looked for
 * once more. */
static enum err_code topic_describe_whole(rd_kafka_t *client, const char *name,
					  struct topic_info *ret_info, struct err *err)
{
	int64_t again_until_ms = clock_mono_ms() + KAFKA_ANSWER_MS / 2;
	struct kafka_topic found;
	struct topic_info info;
	enum err_code code;

	for (int tries = 1;; tries++) {
		code = kafka_look_whole(client, name, &found, &info, err);
		if (code != ERR_OK)
			return code;
		code = topic_measure(client, name, &found, &info, err);
		if (code == ERR_OK) {
			*ret_info = info;
			return code;
		}
		topic_info_release(&info);
		if (code != ERR_BUSY || tries == 2 || clock_mono_ms() >= again_until_ms)
			return code;
	}
}

enum err_code kafka_describe(struct broker *broker, struct topic_ref topic,
			     struct topic_info *ret_info, struct err *err)
{
	struct kafka *kafka = (struct kafka *)broker;
	rd_kafka_t *client;
	enum err_code code = kafka_topics_only(topic.kind, err);

	if (code == ERR_OK)
		code = kafka_admin(kafka, &client, err);
	if (code == ERR_OK)
		code = topic_describe_whole(client, topic.name, ret_info, err);
	/* Who asks whether it is there will append to it. */
	if (code == ERR_OK && kafka->producer)
		producer_refresh(kafka->producer, topic.name);
	return code;
}

/* --- listing --------------------------------------------------------------- */

static int topic_by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Not Kafka's own: those of offsets and transactions. */
static size_t topic_names(const struct rd_kafka_metadata *found, const char **names)
{
	size_t count = 0;

	for (int i = 0; i < found->topic_cnt; i++)
		if (strncmp(found->topics[i].topic, "__", 2) != 0 &&
		    found->topics[i].err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			names[count++] = found->topics[i].topic;
	qsort(names, count, sizeof(*names), topic_by_name);
	return count;
}

enum err_code kafka_list(struct broker *broker, enum topic_kind kind,
			 bool (*each)(void *user, const char *name), void *user, struct err *err)
{
	struct kafka *kafka = (struct kafka *)broker;
	const struct rd_kafka_metadata *found;
	int64_t began_ms = clock_mono_ms(), waited_ms = 0;
	int wait_ms = LIST_MS / 2;
	rd_kafka_resp_err_t failed;
	rd_kafka_t *client;
	const char **names;
	size_t count;

	if (kafka_topics_only(kind, err) != ERR_OK || kafka_admin(kafka, &client, err) != ERR_OK)
		return err->code;
	do { /* many topics need long */
		wait_ms *= 2;
		failed = rd_kafka_metadata(client, 1, NULL, &found, wait_ms);
		waited_ms = clock_mono_ms() - began_ms;
		if (failed && kafka_admin_away(client, waited_ms, err) != ERR_OK)
			return err->code;
	} while (failed && kafka_code(failed) == ERR_BUSY && waited_ms < KAFKA_ANSWER_MS &&
		 !stop_requested());
	if (failed)
		return kafka_fail(err, failed, "the list of topics");
	names = xcalloc((size_t)found->topic_cnt, sizeof(*names));
	count = topic_names(found, names);
	for (size_t i = 0; i < count && each(user, names[i]); i++)
		;
	free(names);
	rd_kafka_metadata_destroy(found);
	return ERR_OK;
}
