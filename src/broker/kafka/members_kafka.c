/* Groups as administrators see them: which there are, and who their members are. */
#include "broker/kafka/kafka.h"

#include "base/mem.h"

#include <stdlib.h>

/* --- which groups there are --------------------------------------------------------- */

static int by_group(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What some brokers do not answer for is not left out in silence. */
static enum err_code groups_tell(const rd_kafka_event_t *answer,
				 bool (*each)(void *user, const char *name), void *user,
				 struct err *err)
{
	const rd_kafka_ListConsumerGroups_result_t *result =
		rd_kafka_event_ListConsumerGroups_result((rd_kafka_event_t *)(uintptr_t)answer);
	const rd_kafka_ConsumerGroupListing_t **groups;
	const rd_kafka_error_t **errors;
	const char **names;
	size_t count, failed;

	errors = rd_kafka_ListConsumerGroups_result_errors(result, &failed);
	if (failed > 0)
		return kafka_fail(err, rd_kafka_error_code(errors[0]), "the list of groups");
	groups = rd_kafka_ListConsumerGroups_result_valid(result, &count);
	names = xcalloc(count, sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = rd_kafka_ConsumerGroupListing_group_id(groups[i]);
	qsort(names, count, sizeof(*names), by_group);
	for (size_t i = 0; i < count && each(user, names[i]); i++)
		continue;
	free(names);
	return ERR_OK;
}

enum err_code kafka_groups(struct broker *broker, bool (*each)(void *user, const char *name),
			   void *user, struct err *err)
{
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	rd_kafka_t *client;
	enum err_code code = kafka_admin((struct kafka *)broker, &client, err);

	if (code != ERR_OK)
		return code;
	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
	rd_kafka_ListConsumerGroups(client, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		code = groups_tell(answer, each, user, err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

/* --- who their members are ----------------------------------------------------------- */

static void member_add(struct group_info *info, const rd_kafka_MemberDescription_t *member)
{
	const rd_kafka_MemberAssignment_t *assignment =
		rd_kafka_MemberDescription_assignment(member);
	const rd_kafka_topic_partition_list_t *parts =
		assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
	const char *id = group_info_add_member(info, rd_kafka_MemberDescription_consumer_id(member),
					       rd_kafka_MemberDescription_client_id(member),
					       rd_kafka_MemberDescription_host(member));

	for (int i = 0; parts && i < parts->cnt; i++) {
		struct group_place *place = group_info_place(info, TOPIC_LOG, parts->elems[i].topic,
							     parts->elems[i].partition);

		if (place)
			place->member = id;
	}
}

/* Of a group that there is not, older brokers say that it is dead, newer ones that it is unknown;
 * one that is empty need not have committed anything. */
static enum err_code members_of(const rd_kafka_event_t *answer, struct group_info *info,
				bool *ret_there, struct err *err)
{
	size_t count;
	const rd_kafka_ConsumerGroupDescription_t **groups =
		rd_kafka_DescribeConsumerGroups_result_groups(
			rd_kafka_event_DescribeConsumerGroups_result(
				(rd_kafka_event_t *)(uintptr_t)answer),
			&count);
	rd_kafka_consumer_group_state_t state;
	const rd_kafka_error_t *error;

	if (count != 1)
		return err_set(err, ERR_IO, "Kafka gave an empty answer");
	error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
	*ret_there = false;
	if (error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
		return ERR_OK;
	if (error && rd_kafka_error_code(error))
		return kafka_fail(err, rd_kafka_error_code(error), "the group's members");
	state = rd_kafka_ConsumerGroupDescription_state(groups[0]);
	*ret_there = state != RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
	count = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
	for (size_t i = 0; i < count; i++)
		member_add(info, rd_kafka_ConsumerGroupDescription_member(groups[0], i));
	if (count > 0)
		info->state = state == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE ? GROUP_STABLE
									    : GROUP_REBALANCING;
	return ERR_OK;
}

static enum err_code members_ask(rd_kafka_t *client, const char *group, struct group_info *info,
				 bool *ret_there, struct err *err)
{
	const char *groups[] = { group };
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	enum err_code code;

	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	rd_kafka_DescribeConsumerGroups(client, groups, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		code = members_of(answer, info, ret_there, err);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

enum err_code kafka_describe_group(struct broker *broker, const char *group,
				   struct group_info *ret_info, struct err *err)
{
	struct group_info info = { 0 };
	bool there = false;
	rd_kafka_t *client;
	enum err_code code = kafka_admin((struct kafka *)broker, &client, err);

	if (code == ERR_OK)
		code = members_ask(client, group, &info, &there, err);
	if (code == ERR_OK)
		code = kafka_put_committed((struct kafka *)broker, group, &info, err);
	if (code == ERR_OK && !there && info.place_count == 0)
		code = err_set(err, ERR_ABSENT, "there is no group \"%s\"", group);
	if (code != ERR_OK) {
		group_info_release(&info);
		return code;
	}
	group_info_sort(&info);
	*ret_info = info;
	return ERR_OK;
}
