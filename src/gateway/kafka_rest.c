/* Kafka REST Proxy v2 on the broker's topics. */
#include "gateway/produce.h"
#include "gateway/route.h"
#include "gateway/state.h"

void kafka_root(struct call *call)
{
	buf_add_str(call->reply, "{}");
}

/* Another one than the first of a list that has begun with '['. */
static void kafka_rest_put_comma(struct buf *reply)
{
	if (reply->ptr[reply->len - 1] != '[')
		buf_add_char(reply, ',');
}

static bool put_node(void *user, const struct broker_node *node)
{
	struct buf *reply = user;

	kafka_rest_put_comma(reply);
	buf_add_i64(reply, node->id);
	return true;
}

void kafka_brokers(struct call *call)
{
	struct err err;

	buf_add_str(call->reply, "{\"brokers\":[");
	if (broker_nodes(gateway_broker(call->gateway), TOPIC_LOG, put_node, call->reply, &err) !=
	    ERR_OK)
		call_fail(call, &err);
	else
		buf_add_str(call->reply, "]}");
}

static bool kafka_rest_put_name(void *user, const char *name)
{
	struct buf *reply = user;

	kafka_rest_put_comma(reply);
	json_put_string(reply, slice_str(name));
	return true;
}

void kafka_topics(struct call *call)
{
	struct err err;

	buf_add_char(call->reply, '[');
	if (broker_list(gateway_broker(call->gateway), TOPIC_LOG, kafka_rest_put_name, call->reply,
			&err) != ERR_OK)
		call_fail(call, &err);
	else
		buf_add_char(call->reply, ']');
}

/* Of the path's topic. False: answered. */
static bool kafka_rest_describe(struct call *call, struct topic_info *ret_info)
{
	char name[TOPIC_NAME_MAX + 1];
	struct err err;
	enum err_code code = name_check_topic(call->param[0], &err);

	if (code == ERR_OK) {
		memcpy(name, call->param[0].ptr, call->param[0].len);
		name[call->param[0].len] = '\0';
		code = broker_describe(gateway_broker(call->gateway),
				       (struct topic_ref){ TOPIC_LOG, name }, ret_info, &err);
	}
	if (code == ERR_NO_TOPIC)
		call_failf(call, ERR_NO_TOPIC, "Topic not found.");
	else if (code != ERR_OK)
		call_fail(call, &err);
	return code == ERR_OK;
}

/* A client computes with them: a number, without the zeros that make a position's text sort. */
static void put_offset(struct buf *reply, struct position position)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_text(position, text);
	size_t zeros = strspn(text, "0");

	if (zeros == len)
		zeros = len - 1;
	buf_add(reply, text + zeros, len - zeros);
}

static void put_partition(struct buf *reply, const struct partition_info *partition)
{
	buf_addf(reply, "{\"partition\":%d,\"leader\":%d,\"replicas\":[", partition->id,
		 partition->leader);
	for (size_t i = 0; i < partition->replica_count; i++) {
		const struct replica *replica = &partition->replicas[i];

		kafka_rest_put_comma(reply);
		buf_addf(reply, "{\"broker\":%d,\"leader\":%s,\"in_sync\":%s}", replica->node,
			 replica->node == partition->leader ? "true" : "false",
			 replica->in_sync ? "true" : "false");
	}
	buf_add_str(reply, "]}");
}

static void put_partitions(struct buf *reply, const struct topic_info *info)
{
	buf_add_char(reply, '[');
	for (int32_t i = 0; i < info->partition_count; i++) {
		kafka_rest_put_comma(reply);
		put_partition(reply, &info->partitions[i]);
	}
	buf_add_char(reply, ']');
}

static bool put_setting(void *user, const char *name, const char *value)
{
	struct buf *reply = user;

	if (reply->ptr[reply->len - 1] != '{')
		buf_add_char(reply, ',');
	json_put_string(reply, slice_str(name));
	buf_add_char(reply, ':');
	if (value)
		json_put_string(reply, slice_str(value));
	else
		buf_add_str(reply, "null");
	return true;
}

void kafka_topic(struct call *call)
{
	struct topic_info info;
	struct err err;
	enum err_code code;

	if (!kafka_rest_describe(call, &info))
		return;
	buf_add_str(call->reply, "{\"name\":");
	json_put_string(call->reply, slice_str(info.name));
	buf_add_str(call->reply, ",\"configs\":{");
	code = broker_settings(gateway_broker(call->gateway),
			       (struct topic_ref){ TOPIC_LOG, info.name }, put_setting, call->reply,
			       &err);
	buf_add_str(call->reply, "},\"partitions\":");
	put_partitions(call->reply, &info);
	buf_add_char(call->reply, '}');
	topic_info_release(&info);
	if (code == ERR_NO_TOPIC) /* it went just now */
		call_failf(call, code, "Topic not found.");
	else if (code != ERR_OK)
		call_fail(call, &err);
}

void kafka_partitions(struct call *call)
{
	struct topic_info info;

	if (!kafka_rest_describe(call, &info)) {
		/* Confluent's proxy has no code of its own for it here. */
		if (call->status == 404)
			call_refuse(call, 404);
		return;
	}
	put_partitions(call->reply, &info);
	topic_info_release(&info);
}

/* False: answered. */
static bool path_partition(struct call *call, int32_t *ret)
{
	if (partition_parse(TOPIC_LOG, call->param[1], ret))
		return true;
	call_refuse(call, 404);	/* no integer from 0 up: no such path */
	return false;
}

/* The path's partition of its topic. NULL: answered. The caller releases the info. */
static const struct partition_info *kafka_rest_find_partition(struct call *call,
							      struct topic_info *info)
{
	const struct partition_info *partition;
	int32_t id;

	if (!path_partition(call, &id) || !kafka_rest_describe(call, info))
		return NULL;
	partition = topic_info_partition(info, id);
	if (partition)
		return partition;
	topic_info_release(info);
	call_failf(call, ERR_NO_PARTITION, "Partition not found.");
	return NULL;
}

void kafka_partition(struct call *call)
{
	struct topic_info info;
	const struct partition_info *partition = kafka_rest_find_partition(call, &info);

	if (!partition)
		return;
	put_partition(call->reply, partition);
	topic_info_release(&info);
}

void kafka_offsets(struct call *call)
{
	struct topic_info info;
	const struct partition_info *partition = kafka_rest_find_partition(call, &info);

	if (!partition)
		return;
	buf_add_str(call->reply, "{\"beginning_offset\":");
	put_offset(call->reply, partition->first);
	buf_add_str(call->reply, ",\"end_offset\":");
	if (partition->next_known)
		put_offset(call->reply, partition->next);
	else
		buf_add_str(call->reply, "null");
	buf_add_char(call->reply, '}');
	topic_info_release(&info);
}

/* -1 is what Kafka's own clients have where nobody says where it is. */
static void put_kept(struct buf *reply, const struct append_outcome *outcome)
{
	buf_add_str(reply, "{\"partition\":");
	buf_add_i64(reply, outcome->partition);
	buf_add_str(reply, ",\"offset\":");
	if (position_cmp(outcome->position, POSITION_NONE) == 0)
		buf_add_str(reply, "-1");
	else
		put_offset(reply, outcome->position);
	buf_add_str(reply, ",\"error_code\":null,\"error\":null}");
}

static void put_outcome(struct buf *reply, const struct append_outcome *outcome)
{
	if (outcome->code == ERR_OK) {
		put_kept(reply, outcome);
		return;
	}
	/* A record that is too long, or that a topic does not take, is a plain KafkaException to
	 * Confluent's proxy. */
	buf_addf(reply, "{\"partition\":null,\"offset\":null,\"error_code\":%d,\"error\":\"%s\"}",
		 outcome->code == ERR_LIMIT || outcome->code == ERR_SHAPE ? err_rest(ERR_IO)
									  : err_rest(outcome->code),
		 outcome_message(outcome->code));
}

static void answer_produce(struct call *call, struct outcomes outcomes)
{
	enum err_code code = outcomes_code(outcomes);

	if (code != ERR_OK && !call->gateway->options.confluent_status) {
		call_failf(call, code, "%s", outcome_message(code));
		return;
	}
	if (code == ERR_AUTH || code == ERR_DENIED) /* the two that have a status there, too */
		call->status = err_http(code);
	buf_add_str(call->reply, "{\"offsets\":[");
	for (size_t i = 0; i < outcomes.count; i++) {
		if (i)
			buf_add_char(call->reply, ',');
		put_outcome(call->reply, &outcomes.at[i]);
	}
	buf_add_str(call->reply, "],\"key_schema_id\":null,\"value_schema_id\":null}");
}

static enum err_code kafka_rest_parse(struct call *call, int32_t partition, struct err *err)
{
	static const enum produce_format formats[] = {
		[MEDIA_NONE] = PRODUCE_BINARY,	   [MEDIA_KAFKA_BINARY] = PRODUCE_BINARY,
		[MEDIA_KAFKA_JSON] = PRODUCE_JSON, [MEDIA_JSON] = PRODUCE_PLAIN,
		[MEDIA_NDJSON] = PRODUCE_LINES,
	};

	if (name_check_topic(call->param[0], err) != ERR_OK)
		return err->code;
	return produce_parse(call->json, call->body, formats[call->media], partition,
			     &call->gateway->records, err);
}

void kafka_produce(struct call *call)
{
	int32_t partition = PARTITION_ANY;
	struct err err;

	if (call->param[1].ptr && !path_partition(call, &partition))
		return;
	if (kafka_rest_parse(call, partition, &err) != ERR_OK)
		call_fail(call, &err);
	else
		ingest_append(call, TOPIC_LOG, call->param[0], &call->gateway->records,
			      answer_produce);
}
