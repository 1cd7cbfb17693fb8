/* What a cluster is: its brokers, where the copies of partitions are, how topics are kept. */
#include "broker/kafka/kafka.h"

#include "base/mem.h"

/* --- brokers ---------------------------------------------------------------------- */

static int by_node(const void *a, const void *b)
{
	int id_a = rd_kafka_Node_id(*(const rd_kafka_Node_t *const *)a);
	int id_b = rd_kafka_Node_id(*(const rd_kafka_Node_t *const *)b);

	return (id_a > id_b) - (id_a < id_b);
}

static void give_nodes(const rd_kafka_DescribeCluster_result_t *result,
		       bool (*each)(void *user, const struct broker_node *node), void *user)
{
	size_t count;
	const rd_kafka_Node_t **nodes = rd_kafka_DescribeCluster_result_nodes(result, &count);

	qsort(nodes, count, sizeof(*nodes), by_node);
	for (size_t i = 0; i < count; i++) {
		const struct broker_node node = { .id = rd_kafka_Node_id(nodes[i]),
						  .host = rd_kafka_Node_host(nodes[i]),
						  .port = rd_kafka_Node_port(nodes[i]) };

		if (!each(user, &node))
			return;
	}
}

enum err_code kafka_nodes(struct broker *broker, enum topic_kind kind,
			  bool (*each)(void *user, const struct broker_node *node), void *user,
			  struct err *err)
{
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	rd_kafka_t *client;
	enum err_code code;

	if (kafka_topics_only(kind, err) != ERR_OK ||
	    kafka_admin((struct kafka *)broker, &client, err) != ERR_OK)
		return err->code;
	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER);
	rd_kafka_DescribeCluster(client, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		give_nodes(rd_kafka_event_DescribeCluster_result(answer), each, user);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	return code;
}

/* --- copies ----------------------------------------------------------------------- */

static bool node_is_among(const rd_kafka_Node_t *node, const rd_kafka_Node_t **nodes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_Node_id(nodes[i]) == rd_kafka_Node_id(node))
			return true;
	return false;
}

/* Appends those of one partition to what the topic's are in. */
static size_t take_replicas(const rd_kafka_TopicPartitionInfo_t *found, struct replica *replicas)
{
	size_t count, in_sync_count;
	const rd_kafka_Node_t **all = rd_kafka_TopicPartitionInfo_replicas(found, &count);
	const rd_kafka_Node_t **in_sync = rd_kafka_TopicPartitionInfo_isr(found, &in_sync_count);

	for (size_t i = 0; i < count; i++)
		replicas[i] = (struct replica){
			.node = rd_kafka_Node_id(all[i]),
			.in_sync = node_is_among(all[i], in_sync, in_sync_count),
		};
	return count;
}

static size_t count_replicas(const rd_kafka_TopicPartitionInfo_t **found, size_t count)
{
	size_t replicas = 0, more;

	for (size_t i = 0; i < count; i++) {
		(void)rd_kafka_TopicPartitionInfo_replicas(found[i], &more);
		replicas += more;
	}
	return replicas;
}

static int by_partition(const void *a, const void *b)
{
	int32_t id_a = ((const struct partition_info *)a)->id;
	int32_t id_b = ((const struct partition_info *)b)->id;

	return (id_a > id_b) - (id_a < id_b);
}

void kafka_take_places(const rd_kafka_TopicDescription_t *description, struct topic_info *ret_info)
{
	size_t count, at = 0;
	const rd_kafka_TopicPartitionInfo_t **found =
		rd_kafka_TopicDescription_partitions(description, &count);
	struct topic_info info = { .partition_count = (int32_t)count };

	info.partitions = xcalloc(count, sizeof(*info.partitions));
	info.replicas = xcalloc(count_replicas(found, count), sizeof(*info.replicas));
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_Node_t *leader = rd_kafka_TopicPartitionInfo_leader(found[i]);
		size_t copies = take_replicas(found[i], &info.replicas[at]);

		info.partitions[i] = (struct partition_info){
			.id = rd_kafka_TopicPartitionInfo_partition(found[i]),
			.leader = leader ? rd_kafka_Node_id(leader) : NODE_NONE,
			.replicas = &info.replicas[at],
			.replica_count = copies,
		};
		at += copies;
	}
	qsort(info.partitions, count, sizeof(*info.partitions), by_partition);
	*ret_info = info;
}

/* --- settings --------------------------------------------------------------------- */

static int by_setting(const void *a, const void *b)
{
	return strcmp(rd_kafka_ConfigEntry_name(*(const rd_kafka_ConfigEntry_t *const *)a),
		      rd_kafka_ConfigEntry_name(*(const rd_kafka_ConfigEntry_t *const *)b));
}

static enum err_code give_settings(const rd_kafka_ConfigResource_t *resource, const char *topic,
				   bool (*each)(void *user, const char *name, const char *value),
				   void *user, struct err *err)
{
	rd_kafka_resp_err_t failed = rd_kafka_ConfigResource_error(resource);
	const rd_kafka_ConfigEntry_t **entries;
	size_t count;

	if (failed)
		return kafka_fail(err, failed, topic);
	entries = rd_kafka_ConfigResource_configs(resource, &count);
	qsort(entries, count, sizeof(*entries), by_setting);
	for (size_t i = 0; i < count; i++)
		if (!each(user, rd_kafka_ConfigEntry_name(entries[i]),
			  rd_kafka_ConfigEntry_is_sensitive(entries[i]) ?
				  NULL :
				  rd_kafka_ConfigEntry_value(entries[i])))
			break;
	return ERR_OK;
}

enum err_code kafka_settings(struct broker *broker, struct topic_ref topic,
			     bool (*each)(void *user, const char *name, const char *value),
			     void *user, struct err *err)
{
	rd_kafka_ConfigResource_t *resource;
	rd_kafka_event_t *answer;
	struct kafka_ask ask;
	rd_kafka_t *client;
	enum err_code code;
	size_t count;

	if (kafka_topics_only(topic.kind, err) != ERR_OK ||
	    kafka_admin((struct kafka *)broker, &client, err) != ERR_OK)
		return err->code;
	resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.name);
	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_DescribeConfigs(client, &resource, 1, ask.options, ask.queue);
	code = kafka_ask_wait(&ask, &answer, err);
	if (code == ERR_OK) {
		const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
			rd_kafka_event_DescribeConfigs_result(answer), &count);

		code = count == 1 ? give_settings(found[0], topic.name, each, user, err)
				  : err_set(err, ERR_NO_TOPIC, "%s: there is no such topic", topic.name);
		rd_kafka_event_destroy(answer);
	}
	kafka_ask_release(&ask);
	rd_kafka_ConfigResource_destroy(resource);
	return code;
}
