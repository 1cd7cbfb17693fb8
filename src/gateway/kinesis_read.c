/*
 * The API-Gateway Kinesis API: reads. Each GetRecords opens a reader of its
 * own where the iterator says, takes what is there without waiting, and closes
 * it: nothing of a client is kept between calls. It runs on the worker thread.
 */
#include "base/base64.h"
#include "base/time.h"
#include "base/trace.h"
#include "gateway/kinesis.h"
#include "gateway/route.h"
#include "gateway/state.h"

#include <inttypes.h>

enum { READ_RECORDS_MAX = 10000, READ_BYTES_MAX = 1 << 20, SHARD_ID_BYTES_MAX = 128 };

/* Of the query's shard-id. False: answered. */
static bool query_shard(struct call *call, int32_t *ret)
{
	struct buf id;
	bool found;

	buf_init(&id, SHARD_ID_BYTES_MAX);
	found = http_query(call->query, "shard-id", &id);
	if (!found)
		call_failf(call, ERR_SHAPE, "Value null at 'shardId' failed to satisfy constraint:"
			   " Member must not be null");
	else if (!(found = partition_parse(TOPIC_STREAM, buf_slice(&id), ret)))
		call_failf(call, ERR_ABSENT, "Could not find shard %s in stream %.*s under account "
			   KINESIS_ACCOUNT ".", buf_cstr(&id), SLICE_ARG(call->param[0]));
	buf_release(&id);
	return found;
}

static void put_iterator(struct call *call, struct iterator *iterator)
{
	iterator->created_ms = clock_mono_ms();
	buf_add_char(call->reply, '"');
	iterator_put(call->reply, &call->gateway->iterator_key, iterator);
	buf_add_char(call->reply, '"');
}

void kinesis_get_shard_iterator(struct call *call)
{
	struct iterator iterator = { .kind = START_FIRST };	/* the template's TRIM_HORIZON */
	struct topic_info info;
	bool found;

	if (!kinesis_name(call, iterator.stream) || !query_shard(call, &iterator.shard) ||
	    !kinesis_describe(call, iterator.stream, &info))
		return;
	found = topic_info_partition(&info, iterator.shard) != NULL;
	topic_info_release(&info);
	if (!found) {
		char text[PARTITION_TEXT_MAX];

		(void)partition_text(TOPIC_STREAM, iterator.shard, text);
		call_failf(call, ERR_ABSENT, "Shard %s in stream %s under account " KINESIS_ACCOUNT
			   " does not exist", text, iterator.stream);
		return;
	}
	buf_add_str(call->reply, "{\"ShardIterator\":");
	put_iterator(call, &iterator);
	buf_add_char(call->reply, '}');
}

/* One GetRecords under way. */
struct read {
	struct call *call;
	struct iterator iterator;	/* moves on as records are written */
	size_t count;
	size_t bytes;
	int64_t last_ms;		/* when the newest record of the answer was written */
	bool caught_up;			/* there was no more */
	bool ended;			/* a closed shard was read to its end */
	int32_t children[2];
};

static void put_record(struct buf *out, const struct record *record)
{
	buf_add_str(out, "{\"ApproximateArrivalTimestamp\":");
	kinesis_put_time(out, record->timestamp_ms);
	buf_add_str(out, ",\"Data\":\"");
	base64_put(out, record->value);
	buf_add_str(out, "\",\"PartitionKey\":");
	json_put_string(out, record->key);
	buf_add_str(out, ",\"SequenceNumber\":");
	kinesis_put_sequence(out, record->position);
	buf_add_char(out, '}');
}

static bool kinesis_read_is_full(const struct read *read)
{
	return read->count >= READ_RECORDS_MAX || read->bytes >= READ_BYTES_MAX;
}

static void go_on(struct read *read, enum start_kind kind, struct position position)
{
	read->iterator.kind = kind;
	read->iterator.position = position;
}

static void put_records(struct read *read, const struct reader_event *event)
{
	for (size_t i = 0; i < event->count && !kinesis_read_is_full(read); i++) {
		const struct record *record = &event->records[i];

		if (read->count++)
			buf_add_char(read->call->reply, ',');
		put_record(read->call->reply, record);
		read->bytes += record->key.len + record->value.len;
		read->last_ms = record->timestamp_ms;
		go_on(read, START_AFTER, record->position);
	}
}

static void take_event(struct read *read, const struct reader_event *event)
{
	switch (event->kind) {
	case READER_RECORDS:
		put_records(read, event);
		break;
	case READER_GAP:
		if (gap_is_loss(event->gap))
			trace_warn("stream \"%s\": records cannot be read and are passed over (%s)",
				   read->iterator.stream, gap_reason_text(event->gap));
		go_on(read, START_AFTER, event->last);
		break;
	case READER_CAUGHT_UP: /* LATEST is a place from now on */
		read->caught_up = true;
		if (read->iterator.kind == START_NEXT || read->iterator.kind == START_TIME)
			go_on(read, START_AT, event->last);
		break;
	case READER_END:
		read->ended = true;
		memcpy(read->children, event->children, sizeof(read->children));
		break;
	case READER_IDLE:
	case READER_ASSIGNED:
	case READER_REVOKED:
	case READER_FAILED:
		break;
	}
}

/* What is there now, up to the limits of one answer, and whether that is all. */
static enum err_code kinesis_read_read_all(struct read *read, struct broker_reader *reader,
					   struct err *err)
{
	for (;;) {
		bool full = kinesis_read_is_full(read);
		struct reader_event event;

		if (reader_next(reader, clock_mono_ms(), &event, err) != ERR_OK)
			return err->code;
		if (event.kind == READER_IDLE || (full && event.kind != READER_CAUGHT_UP))
			return ERR_OK;
		if (event.kind == READER_FAILED) {
			*err = *event.failure;
			return err->code;
		}
		take_event(read, &event);
		if (full || read->ended)
			return ERR_OK;
	}
}

static enum err_code open_and_read(struct read *read, const struct partition_info *shard,
				   struct err *err)
{
	struct reader_options options = { .bytes_max = READ_BYTES_MAX };
	struct topic_ref topic = { TOPIC_STREAM, read->iterator.stream };
	struct reader_start start = {
		.kind = read->iterator.kind,
		.position = read->iterator.position,
		.time_ms = read->iterator.time_ms,
	};
	struct broker_reader *reader;
	enum err_code code;

	if (broker_reader_open(gateway_broker(read->call->gateway), &options, &reader, err) !=
	    ERR_OK)
		return err->code;
	code = reader_seek(reader, topic, shard->id, start, err);
	if (code == ERR_OK)
		code = kinesis_read_read_all(read, reader, err);
	reader_close(reader);
	return code;
}

static void put_children(struct buf *out, const struct read *read, const struct topic_info *info)
{
	buf_add_str(out, "\"ChildShards\":[");
	for (int i = 0; i < 2; i++) {
		const struct partition_info *child = topic_info_partition(info, read->children[i]);

		if (!child)
			continue;
		buf_add_str(out, i ? ",{" : "{");
		kinesis_put_hash_range(out, child);
		buf_add_str(out, ",\"ParentShards\":[");
		kinesis_put_shard_id(out, read->iterator.shard);
		if (child->parents[1] >= 0) {
			buf_add_char(out, ',');
			kinesis_put_shard_id(out, child->parents[child->parents[0] ==
								 read->iterator.shard]);
		}
		buf_add_str(out, "],\"ShardId\":");
		kinesis_put_shard_id(out, child->id);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "],");
}

/* What follows the records. How far behind: by the newest record of the answer. */
static void put_end(struct read *read, const struct topic_info *info)
{
	struct buf *reply = read->call->reply;
	bool behind = read->count && !read->caught_up && !read->ended;

	buf_add_str(reply, "],");
	if (read->ended)
		put_children(reply, read, info);
	buf_addf(reply, "\"MillisBehindLatest\":%" PRId64 ",\"NextShardIterator\":",
		 behind ? clock_wall_ms() - read->last_ms : 0);
	if (read->ended)
		buf_add_str(reply, "null");
	else
		put_iterator(read->call, &read->iterator);
	buf_add_char(reply, '}');
}

void kinesis_get_records(struct call *call)
{
	struct read read = { .call = call, .children = { -1, -1 } };
	const struct partition_info *shard;
	char name[STREAM_NAME_MAX + 1];
	struct topic_info info;
	struct err err;

	if (!kinesis_name(call, name))
		return;
	if (iterator_parse(&call->gateway->iterator_key, call->iterator, clock_mono_ms(),
			   &read.iterator, &err) != ERR_OK) {
		call_fail(call, &err);
		return;
	}
	if (!slice_is(call->param[0], read.iterator.stream)) {
		call_failf(call, ERR_USAGE, "Invalid ShardIterator: it is for another stream.");
		return;
	}
	if (!kinesis_describe(call, name, &info))
		return;
	shard = topic_info_partition(&info, read.iterator.shard);
	buf_add_str(call->reply, "{\"Records\":[");
	if (!shard)
		call_failf(call, ERR_USAGE, "Invalid ShardIterator: its shard is gone.");
	else if (open_and_read(&read, shard, &err) != ERR_OK)
		call_fail(call, &err);
	else
		put_end(&read, &info);
	topic_info_release(&info);
}
