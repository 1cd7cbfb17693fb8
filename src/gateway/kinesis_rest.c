/* The API-Gateway Kinesis API on the broker's streams: streams
 * and writes. Reads: kinesis_read.c. */
#include "gateway/kinesis.h"
#include "gateway/put_records.h"
#include "gateway/route.h"
#include "gateway/state.h"

#include <inttypes.h>

enum {
	STREAMS_LISTED_MAX = 100,	/* ListStreams' default and maximum */
	SHARDS_DEFAULT = 5,		/* of the API Gateway's template for CreateStream */
	MS_PER_HOUR = 3600 * 1000,
	RETENTION_HOURS_MAX = 8760,
};

bool kinesis_name(struct call *call, char name[STREAM_NAME_MAX + 1])
{
	struct slice param = call->param[0];
	struct err err;

	if (name_check_stream(param, &err) != ERR_OK) {
		call_fail(call, &err);
		return false;
	}
	memcpy(name, param.ptr, param.len);
	name[param.len] = '\0';
	return true;
}

bool kinesis_describe(struct call *call, const char *name, struct topic_info *ret_info)
{
	struct topic_ref topic = { TOPIC_STREAM, name };
	struct err err;

	if (broker_describe(gateway_broker(call->gateway), topic, ret_info, &err) == ERR_OK)
		return true;
	call_fail(call, &err);
	return false;
}

void kinesis_put_shard_id(struct buf *out, int32_t shard)
{
	char text[PARTITION_TEXT_MAX];

	buf_add_char(out, '"');
	buf_add(out, text, partition_text(TOPIC_STREAM, shard, text));
	buf_add_char(out, '"');
}

void kinesis_put_sequence(struct buf *out, struct position position)
{
	char text[POSITION_TEXT_MAX];

	buf_add_char(out, '"');
	buf_add(out, text, position_text(position, text));
	buf_add_char(out, '"');
}

void kinesis_put_time(struct buf *out, int64_t wall_ms)
{
	buf_addf(out, "%" PRId64 ".%03d", wall_ms / 1000, (int)(wall_ms % 1000));
}

static void put_hash_key(struct buf *out, struct hash_key key)
{
	__extension__ unsigned __int128 value = key.high;
	char digits[39];		/* of 2^128 - 1 */
	size_t at = sizeof(digits);

	value = value << 64 | key.low;
	do {
		digits[--at] = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value);
	buf_add_char(out, '"');
	buf_add(out, digits + at, sizeof(digits) - at);
	buf_add_char(out, '"');
}

void kinesis_put_hash_range(struct buf *out, const struct partition_info *shard)
{
	buf_add_str(out, "\"HashKeyRange\":{\"EndingHashKey\":");
	put_hash_key(out, shard->hash_last);
	buf_add_str(out, ",\"StartingHashKey\":");
	put_hash_key(out, shard->hash_first);
	buf_add_char(out, '}');
}

/* An ending sequence number would make readers take an open shard for a closed one. */
static void put_shard(struct buf *out, const struct partition_info *shard)
{
	static const char *const parents[] = { "ParentShardId", "AdjacentParentShardId" };

	buf_add_char(out, '{');
	kinesis_put_hash_range(out, shard);
	for (int i = 0; i < 2; i++) {
		if (shard->parents[i] < 0)
			continue;
		buf_addf(out, ",\"%s\":", parents[i]);
		kinesis_put_shard_id(out, shard->parents[i]);
	}
	buf_add_str(out, ",\"SequenceNumberRange\":{");
	if (!shard->open && shard->next_known) {
		buf_add_str(out, "\"EndingSequenceNumber\":");
		kinesis_put_sequence(out, shard->next);
		buf_add_char(out, ',');
	}
	buf_add_str(out, "\"StartingSequenceNumber\":");
	kinesis_put_sequence(out, shard->born);
	buf_add_str(out, "},\"ShardId\":");
	kinesis_put_shard_id(out, shard->id);
	buf_add_char(out, '}');
}

/* What ListStreams and DescribeStream both say of a stream. */
static void put_summary(struct buf *out, const struct topic_info *info)
{
	buf_addf(out, "\"StreamARN\":\"arn:aws:kinesis:" KINESIS_REGION ":" KINESIS_ACCOUNT
		 ":stream/%s\",\"StreamCreationTimestamp\":", info->name);
	kinesis_put_time(out, info->created_ms);
	buf_addf(out, ",\"StreamModeDetails\":{\"StreamMode\":\"PROVISIONED\"},\"StreamName\":\"%s\","
		 "\"StreamStatus\":\"ACTIVE\"", info->name);
}

static int64_t retention_hours(const struct gateway *gateway)
{
	int64_t ms = gateway->options.retention_ms;

	return ms == 0 || ms / MS_PER_HOUR > RETENTION_HOURS_MAX ? RETENTION_HOURS_MAX
								 : ms / MS_PER_HOUR;
}

void kinesis_describe_stream(struct call *call)
{
	char name[STREAM_NAME_MAX + 1];
	struct buf *reply = call->reply;
	struct topic_info info;

	if (!kinesis_name(call, name) || !kinesis_describe(call, name, &info))
		return;
	buf_addf(reply, "{\"StreamDescription\":{\"EncryptionType\":\"NONE\",\"EnhancedMonitoring\":"
		 "[{\"ShardLevelMetrics\":[]}],\"HasMoreShards\":false,"
		 "\"RetentionPeriodHours\":%" PRId64 ",\"Shards\":[", retention_hours(call->gateway));
	for (int32_t i = 0; i < info.partition_count; i++) {
		if (i)
			buf_add_char(reply, ',');
		put_shard(reply, &info.partitions[i]);
	}
	buf_add_str(reply, "],");
	put_summary(reply, &info);
	buf_add_str(reply, "}}");
	topic_info_release(&info);
}

struct listing {
	struct broker *broker;
	char names[STREAMS_LISTED_MAX][STREAM_NAME_MAX + 1];
	size_t count;
	bool more;
};

static bool kinesis_rest_add_name(void *user, const char *name)
{
	struct listing *listing = user;

	listing->more = listing->count == STREAMS_LISTED_MAX;
	if (listing->more || strlen(name) > STREAM_NAME_MAX)
		return !listing->more;
	memcpy(listing->names[listing->count++], name, strlen(name) + 1);
	return true;
}

static void put_summaries(struct buf *out, const struct listing *listing)
{
	const char *separator = "";
	struct err err;

	for (size_t i = 0; i < listing->count; i++) {
		struct topic_ref topic = { TOPIC_STREAM, listing->names[i] };
		struct topic_info info;

		if (broker_describe(listing->broker, topic, &info, &err) != ERR_OK)
			continue;	/* deleted since */
		buf_addf(out, "%s{", separator);
		put_summary(out, &info);
		buf_add_char(out, '}');
		separator = ",";
		topic_info_release(&info);
	}
}

void kinesis_list_streams(struct call *call)
{
	struct listing listing = { .broker = gateway_broker(call->gateway) };
	struct buf *reply = call->reply;
	struct err err;

	if (broker_list(listing.broker, TOPIC_STREAM, kinesis_rest_add_name, &listing, &err) !=
	    ERR_OK) {
		call_fail(call, &err);
		return;
	}
	buf_addf(reply, "{\"HasMoreStreams\":%s,\"StreamNames\":[", listing.more ? "true" : "false");
	for (size_t i = 0; i < listing.count; i++)
		buf_addf(reply, "%s\"%s\"", i ? "," : "", listing.names[i]);
	buf_add_str(reply, "],\"StreamSummaries\":[");
	put_summaries(reply, &listing);
	buf_add_str(reply, "]}");
}

/* ShardCount of the body; an empty body asks for the default. */
static enum err_code shard_count(struct call *call, int32_t *ret, struct err *err)
{
	int64_t count = SHARDS_DEFAULT;
	struct json root, value;

	if (call->body.len && json_parse(call->json, call->body, &root, err) != ERR_OK)
		return err->code;
	if (call->body.len && json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "the body is not a JSON object");
	if (call->body.len && json_member(root, "ShardCount", &value) &&
	    json_type(value) != JSON_NULL && !json_get_i64(value, &count))
		return err_set(err, ERR_SHAPE, "ShardCount is not an integer");
	if (count < 1 || count > PARTITIONS_MAX)
		return err_set(err, ERR_SHAPE, "Value '%" PRId64 "' at 'shardCount' failed to satisfy"
			       " constraint: a stream has 1 to %d shards", count, PARTITIONS_MAX);
	*ret = (int32_t)count;
	return ERR_OK;
}

void kinesis_create_stream(struct call *call)
{
	char name[STREAM_NAME_MAX + 1];
	struct topic_options options = { .partitions = SHARDS_DEFAULT };
	struct err err;

	if (!kinesis_name(call, name))
		return;
	if (shard_count(call, &options.partitions, &err) != ERR_OK ||
	    broker_create(gateway_broker(call->gateway), (struct topic_ref){ TOPIC_STREAM, name },
			  &options, &err) != ERR_OK)
		call_fail(call, &err);
	else
		atomic_fetch_add(&call->gateway->created, 1); /* who is refused may ask again */
}

void kinesis_delete_stream(struct call *call)
{
	char name[STREAM_NAME_MAX + 1];
	struct err err;

	if (kinesis_name(call, name) &&
	    broker_remove(gateway_broker(call->gateway), (struct topic_ref){ TOPIC_STREAM, name },
			  &err) != ERR_OK)
		call_fail(call, &err);
}

static void put_written(struct buf *out, const struct append_outcome *outcome)
{
	buf_add_str(out, "{\"SequenceNumber\":");
	kinesis_put_sequence(out, outcome->position);
	buf_add_str(out, ",\"ShardId\":");
	kinesis_put_shard_id(out, outcome->partition);
	buf_add_char(out, '}');
}

static void answer_record(struct call *call, struct outcomes outcomes)
{
	enum err_code code = outcomes.at[0].code;

	if (code == ERR_OK)
		put_written(call->reply, &outcomes.at[0]);
	else
		call_failf(call, code, "%s", outcome_message(code));
}

static void answer_records(struct call *call, struct outcomes outcomes)
{
	enum err_code code = outcomes_code(outcomes);
	size_t failed = 0;

	/* Clients of this API look at the status at most, so nothing kept must not be 200. */
	if (code != ERR_OK) {
		call_failf(call, code, "%s", outcome_message(code));
		return;
	}
	for (size_t i = 0; i < outcomes.count; i++)
		failed += outcomes.at[i].code != ERR_OK;
	buf_addf(call->reply, "{\"FailedRecordCount\":%zu,\"Records\":[", failed);
	for (size_t i = 0; i < outcomes.count; i++) {
		if (i)
			buf_add_char(call->reply, ',');
		if (outcomes.at[i].code == ERR_OK)
			put_written(call->reply, &outcomes.at[i]);
		else
			buf_addf(call->reply, "{\"ErrorCode\":\"%s\",\"ErrorMessage\":\"%s\"}",
				 err_kinesis(outcomes.at[i].code),
				 outcome_message(outcomes.at[i].code));
	}
	buf_add_str(call->reply, "]}");
}

typedef enum err_code parse_fn(struct json_parser *json, struct slice body,
			       size_t record_bytes_max, struct records *records,
			       struct err *err);

static void kinesis_rest_put(struct call *call, parse_fn *parse, answer_fn *answer)
{
	struct records *records = &call->gateway->records;
	struct err err;

	if (name_check_stream(call->param[0], &err) != ERR_OK ||
	    parse(call->json, call->body, call->gateway->options.record_bytes_max, records,
		  &err) != ERR_OK)
		call_fail(call, &err);
	else
		ingest_append(call, TOPIC_STREAM, call->param[0], records, answer);
}

void kinesis_put_record(struct call *call)
{
	kinesis_rest_put(call, put_record_parse, answer_record);
}

void kinesis_put_records(struct call *call)
{
	kinesis_rest_put(call, put_records_parse, answer_records);
}
