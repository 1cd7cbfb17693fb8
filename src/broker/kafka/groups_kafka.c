/* How far groups are: of members at once, as they tell it, and else as the cluster has it. */
#include "broker/kafka/kafka.h"

#include "base/mem.h"
#include "base/names.h"
#include "broker/sequence.h"

#include <inttypes.h>

struct told {
	char *group;
	char *topic;
	int32_t partition;
	struct position next;
};

/* --- what members told ----------------------------------------------------- */

static struct told *told_find(struct kafka *kafka, const char *group, const char *topic,
			      int32_t partition)
{
	for (size_t i = 0; i < kafka->told_count; i++) {
		struct told *told = &kafka->told[i];

		if (told->partition == partition && strcmp(told->group, group) == 0 &&
		    strcmp(told->topic, topic) == 0)
			return told;
	}
	return NULL;
}

void kafka_tell(struct kafka *kafka, const char *group, const char *topic, int32_t partition,
		struct position next)
{
	struct told *told;

	(void)pthread_mutex_lock(&kafka->lock);
	told = told_find(kafka, group, topic, partition);
	if (!told) {
		kafka->told = xreallocarray(kafka->told, kafka->told_count + 1, sizeof(*told));
		told = &kafka->told[kafka->told_count++];
		*told = (struct told){ .group = xstrdup(group), .topic = xstrdup(topic),
				       .partition = partition };
	}
	told->next = next;
	(void)pthread_mutex_unlock(&kafka->lock);
}

void kafka_forget_told(struct kafka *kafka, const char *topic)
{
	size_t kept = 0;

	(void)pthread_mutex_lock(&kafka->lock);
	for (size_t i = 0; i < kafka->told_count; i++) {
		struct told told = kafka->told[i];

		if (topic && strcmp(told.topic, topic) != 0) {
			kafka->told[kept++] = told;
			continue;
		}
		free(told.group);
		free(told.topic);
	}
	kafka->told_count = kept;
	(void)pthread_mutex_unlock(&kafka->lock);
}

static bool told_next(struct kafka *kafka, const char *group, struct topic_ref topic,
		      int32_t partition, struct position *ret_next)
{
	const struct told *told;

	(void)pthread_mutex_lock(&kafka->lock);
	told = told_find(kafka, group, topic.name, partition);
	if (told)
		*ret_next = told->next;
	(void)pthread_mutex_unlock(&kafka->lock);
	return told != NULL;
}

/* --- what the cluster has -------------------------------------------------- */

static enum err_code group_result(const rd_kafka_group_result_t **results, size_t count,
				  const rd_kafka_topic_partition_t **ret_partition,
				  struct err *err)
{
	const rd_kafka_topic_partition_list_t *partitions;
	const rd_kafka_error_t *error;

	if (count == 0)
		return err_set(err, ERR_IO, "Kafka gave an empty answer");
	error = rd_kafka_group_result_error(results[0]);
	if (error && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(err, rd_kafka_error_code(error), "the group's offsets");
	partitions = rd_kafka_group_result_partitions(results[0]);
	if (!partitions || partitions->cnt == 0)
		return err_set(err, ERR_ABSENT, "the group committed nothing there");
	*ret_partition = &partitions->elems[0];
	for (int i = 0; i < partitions->cnt; i++)
		if (partitions->elems[i].err)
			return kafka_fail(err, partitions->elems[i].err, "the group's offsets");
	return ERR_OK;
}

static enum err_code group_ask(rd_kafka_t *client, rd_kafka_ListConsumerGroupOffsets_t *question,
			       int64_t *ret_offset, struct err *err)
{
	const rd_kafka_topic_partition_t *partition;
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	enum err_code code;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_ListConsumerGroupOffsets(client, &question, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		size_t count;
		const rd_kafka_group_result_t **results =
			rd_kafka_ListConsumerGroupOffsets_result_groups(
				rd_kafka_event_ListConsumerGroupOffsets_result(answer), &count);

		code = group_result(results, count, &partition, err);
		if (code == ERR_OK)
			*ret_offset = partition->offset;
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

enum err_code kafka_committed(struct broker *broker, const char *group, struct topic_ref topic,
			      int32_t partition, struct position *ret_next, struct err *err)
{
	struct kafka *kafka = (struct kafka *)broker;
	enum err_code code = kafka_has_partition(kafka, topic, partition, err);
	rd_kafka_ListConsumerGroupOffsets_t *question;
	rd_kafka_topic_partition_list_t *partitions;
	rd_kafka_t *client;
	int64_t offset;

	if (code == ERR_OK)
		code = kafka_admin(kafka, &client, err);
	if (code != ERR_OK || told_next(kafka, group, topic, partition, ret_next))
		return code;
	partitions = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(partitions, topic.name, partition);
	question = rd_kafka_ListConsumerGroupOffsets_new(group, partitions);
	code = group_ask(client, question, &offset, err);
	rd_kafka_ListConsumerGroupOffsets_destroy(question);
	rd_kafka_topic_partition_list_destroy(partitions);
	if (code == ERR_OK && offset < 0)
		return err_set(err, ERR_ABSENT, "group \"%s\" committed nothing there", group);
	if (code == ERR_OK)
		*ret_next = position_of_offset((uint64_t)offset);
	return code;
}

/* A group with members takes it from those alone. */
static enum err_code group_refused(enum err_code code, rd_kafka_resp_err_t why, struct err *err)
{
	if (why == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
	    why == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP ||
	    why == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
	    why == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS)
		return err_set(err, ERR_BUSY, "the group has members, which alone may commit");
	return code;
}

static rd_kafka_resp_err_t group_code(const rd_kafka_group_result_t **results, size_t count)
{
	const rd_kafka_topic_partition_list_t *partitions;
	const rd_kafka_error_t *error;

	if (count == 0)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	error = rd_kafka_group_result_error(results[0]);
	if (error && rd_kafka_error_code(error))
		return rd_kafka_error_code(error);
	partitions = rd_kafka_group_result_partitions(results[0]);
	return partitions && partitions->cnt ? partitions->elems[0].err
					     : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum err_code group_set(rd_kafka_t *client, rd_kafka_AlterConsumerGroupOffsets_t *question,
			       struct err *err)
{
	const rd_kafka_topic_partition_t *unused;
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	enum err_code code;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
	rd_kafka_AlterConsumerGroupOffsets(client, &question, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		size_t count;
		const rd_kafka_group_result_t **results =
			rd_kafka_AlterConsumerGroupOffsets_result_groups(
				rd_kafka_event_AlterConsumerGroupOffsets_result(answer), &count);

		code = group_refused(group_result(results, count, &unused, err),
				     group_code(results, count), err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

/* --- the whole of a group ------------------------------------------------------------- */

static void put_place(struct group_info *info, const char *topic, int32_t partition,
		      struct position next)
{
	struct group_place *place = group_info_place(info, TOPIC_LOG, topic, partition);

	if (!place)
		return;
	place->committed = true;
	place->next = next;
}

/* What members of this process told is newer than what the cluster has. */
static void put_told(struct kafka *kafka, const char *group, struct group_info *info)
{
	(void)pthread_mutex_lock(&kafka->lock);
	for (size_t i = 0; i < kafka->told_count; i++) {
		const struct told *told = &kafka->told[i];

		if (strcmp(told->group, group) == 0)
			put_place(info, told->topic, told->partition, told->next);
	}
	(void)pthread_mutex_unlock(&kafka->lock);
}

static enum err_code put_offsets(const rd_kafka_group_result_t **results, size_t count,
				 struct group_info *info, struct err *err)
{
	const rd_kafka_error_t *error = count ? rd_kafka_group_result_error(results[0]) : NULL;
	const rd_kafka_topic_partition_list_t *parts;

	if (error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
		return ERR_OK;
	if (error && rd_kafka_error_code(error))
		return kafka_fail(err, rd_kafka_error_code(error), "the group's offsets");
	parts = count ? rd_kafka_group_result_partitions(results[0]) : NULL;
	for (int i = 0; parts && i < parts->cnt; i++) {
		const rd_kafka_topic_partition_t *part = &parts->elems[i];

		if (part->err)
			return kafka_fail(err, part->err, "the group's offsets");
		if (part->offset >= 0)
			put_place(info, part->topic, part->partition,
				  position_of_offset((uint64_t)part->offset));
	}
	return ERR_OK;
}

enum err_code kafka_put_committed(struct kafka *kafka, const char *group, struct group_info *info,
				  struct err *err)
{
	rd_kafka_ListConsumerGroupOffsets_t *question;
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	rd_kafka_t *client;
	enum err_code code = kafka_admin(kafka, &client, err);

	if (code != ERR_OK)
		return code;
	question = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_ListConsumerGroupOffsets(client, &question, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		size_t count;
		const rd_kafka_group_result_t **results =
			rd_kafka_ListConsumerGroupOffsets_result_groups(
				rd_kafka_event_ListConsumerGroupOffsets_result(answer), &count);

		code = put_offsets(results, count, info, err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	rd_kafka_ListConsumerGroupOffsets_destroy(question);
	if (code == ERR_OK)
		put_told(kafka, group, info);
	return code;
}

/* All are looked at before any is set. */
static enum err_code need_places(struct kafka *kafka, const struct group_place *places,
				 size_t count, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count && code == ERR_OK; i++) {
		code = kafka_has_partition(kafka,
					   (struct topic_ref){ places[i].kind, places[i].topic },
					   places[i].partition, err);
		if (code == ERR_OK && !position_is_ordinal(places[i].next))
			code = err_set(err, ERR_SHAPE, "that is no offset");
	}
	return code;
}

enum err_code kafka_reset_group(struct broker *broker, const char *group,
				const struct group_place *places, size_t count, struct err *err)
{
	struct kafka *kafka = (struct kafka *)broker;
	rd_kafka_AlterConsumerGroupOffsets_t *question;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_t *client;
	enum err_code code = need_places(kafka, places, count, err);

	if (code == ERR_OK)
		code = kafka_admin(kafka, &client, err);
	if (code != ERR_OK)
		return code;
	list = rd_kafka_topic_partition_list_new((int)count);
	for (size_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)
			->offset = (int64_t)places[i].next.word[2];
	question = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
	code = group_set(client, question, err);
	rd_kafka_AlterConsumerGroupOffsets_destroy(question);
	rd_kafka_topic_partition_list_destroy(list);
	for (size_t i = 0; i < count && code == ERR_OK; i++) {
		struct topic_ref topic = { places[i].kind, places[i].topic };
		struct position told;

		if (told_next(kafka, group, topic, places[i].partition, &told))
			kafka_tell(kafka, group, topic.name, places[i].partition, places[i].next);
	}
	return code;
}

enum err_code kafka_commit(struct broker *broker, const char *group, struct topic_ref topic,
			   int32_t partition, struct position next, struct err *err)
{
	struct group_place place = { .kind = topic.kind, .partition = partition, .next = next };

	if (kafka_topics_only(topic.kind, err) != ERR_OK ||
	    name_check_topic(slice_str(topic.name), err) != ERR_OK)
		return err->code;
	memcpy(place.topic, topic.name, strlen(topic.name) + 1);
	return kafka_reset_group(broker, group, &place, 1, err);
}
