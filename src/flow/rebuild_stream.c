#include "flow/rebuild_stream.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "broker/sequence.h"

enum { EVENT_BYTES = 4 << 20, WAIT_MS = 5000 };

/* A shard's part that is read again. */
struct again {
	int32_t partition;
	uint64_t end; /* after the last ordinal that is wanted */
	bool ended;
};

struct rereading {
	const struct rebuild_log *log;
	struct stream_table table;
	struct broker_reader *reader;
	struct again *shards;
	size_t count;
};

static struct again *again_of(struct rereading *reading, int32_t partition)
{
	for (size_t i = 0; i < reading->count; i++)
		if (reading->shards[i].partition == partition)
			return &reading->shards[i];
	return NULL;
}

/* A shard that the old table has records of: from its first one kept. */
static enum err_code read_shard_again(struct rereading *reading, const struct topic_info *info,
				      int32_t partition, struct err *err)
{
	struct topic_ref topic = stream_table_topic(&reading->table);
	uint64_t next = position_ordinal(info->partitions[partition].next);
	uint64_t first = position_ordinal(info->partitions[partition].first);
	char app_id[LAKE_APP_ID_MAX];
	struct reader_start start;
	int64_t done;
	enum err_code code;

	lake_app_id(app_id, TOPIC_STREAM, topic.name, partition, info->uid);
	done = delta_txn_version(reading->log->old, app_id);
	if (done < 0 || (uint64_t)done < first)
		return ERR_OK;
	if ((uint64_t)done + 1 < next)
		next = (uint64_t)done + 1;
	code = stream_table_assign(&reading->table, reading->log->broker, partition, &start, err);
	if (code == ERR_OK)
		code = reader_seek(reading->reader, topic, partition, start, err);
	reading->shards[reading->count++] = (struct again){ partition, next, false };
	return code;
}

static enum err_code rereading_open(struct rereading *reading, struct err *err)
{
	struct reader_options options = { .bytes_max = EVENT_BYTES };
	struct topic_info info;
	enum err_code code = broker_describe(reading->log->broker,
					     stream_table_topic(&reading->table), &info, err);

	if (code != ERR_OK)
		return code == ERR_NO_TOPIC ? ERR_OK : code;
	reading->shards = xcalloc((size_t)info.partition_count, sizeof(*reading->shards));
	code = broker_reader_open(reading->log->broker, &options, &reading->reader, err);
	for (int32_t i = 0; i < info.partition_count && code == ERR_OK; i++)
		code = read_shard_again(reading, &info, i, err);
	topic_info_release(&info);
	return code;
}

static enum err_code reread_flush(struct rereading *reading, struct err *err)
{
	return reading->table.batch.count > 0 || reading->table.shard_count > 0
		       ? stream_table_flush(&reading->table, err)
		       : ERR_OK;
}

static void again_records(struct rereading *reading, const struct again *again,
		       struct stream_shard *shard, const struct reader_event *event)
{
	size_t count = event->count;

	while (count > 0 && position_ordinal(event->records[count - 1].position) >= again->end)
		count--;
	if (count == 0)
		return;
	stream_table_add(&reading->table, shard, event->records, count);
	reach_note(reading->log->reach, again->partition, event->records[0].position,
		   event->records[count - 1].position);
}

static enum err_code again_damage(struct rereading *reading, const struct again *again,
				struct stream_shard *shard, const struct reader_event *event,
				struct err *err)
{
	struct position last = event->last;

	if (position_ordinal(event->first) >= again->end)
		return ERR_OK;
	if (position_ordinal(last) >= again->end)
		last = position_with_ordinal(last, again->end - 1);
	reach_note(reading->log->reach, again->partition, event->first, last);
	return stream_table_damage(&reading->table, shard, event->first, last, err);
}

static enum err_code take_again(struct rereading *reading, const struct reader_event *event,
				struct err *err)
{
	struct again *again = again_of(reading, event->partition);
	struct stream_shard *shard = stream_table_shard(&reading->table, event->partition);
	const struct rebuild_log *log = reading->log;
	enum err_code code = ERR_OK;

	if (!again || !shard || again->ended)
		return ERR_OK;
	if (event->kind == READER_RECORDS)
		again_records(reading, again, shard, event);
	else if (event->kind == READER_GAP)
		code = again_damage(reading, again, shard, event, err);
	again->ended = event->kind == READER_END || event->kind == READER_REVOKED ||
		       position_ordinal(shard->next) >= again->end;
	/* Records beyond the end are passed over, and the end may be in a hole. */
	if (event->kind == READER_RECORDS &&
	    position_ordinal(event->records[event->count - 1].position) + 1 >= again->end)
		again->ended = true;
	if (code == ERR_OK && (reading->table.batch.count >= log->rows_max ||
			       reading->table.batch.bytes >= log->table.bytes_max))
		code = reread_flush(reading, err);
	return code;
}

static bool all_read(const struct rereading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		if (!reading->shards[i].ended)
			return false;
	return true;
}

static enum err_code reread(struct rereading *reading, struct err *err)
{
	enum err_code code = ERR_OK;

	while (code == ERR_OK && !all_read(reading)) {
		struct reader_event event;

		code = reader_next(reading->reader, clock_mono_ms() + WAIT_MS, &event, err);
		if (code == ERR_OK && stop_requested())
			code = err_set(err, ERR_STOPPED, "asked to stop");
		if (code == ERR_OK && event.kind == READER_IDLE)
			code = err_set(err, ERR_BUSY, "stream \"%s\": the log gives nothing more, "
				       "although its end is not reached",
				       stream_table_topic(&reading->table).name);
		if (code == ERR_OK)
			code = take_again(reading, &event, err);
	}
	return code == ERR_OK ? reread_flush(reading, err) : code;
}

enum err_code rebuild_out_of_log(const struct rebuild_log *log, struct err *err)
{
	struct rereading reading = { .log = log };
	struct stream_table_options options = log->table;
	enum err_code code;

	options.bytes_max += EVENT_BYTES;
	code = stream_table_open(&reading.table, &options, err);
	if (code == ERR_OK)
		code = rereading_open(&reading, err);
	if (code == ERR_OK)
		code = reread(&reading, err);
	reader_close(reading.reader);
	stream_table_close(&reading.table);
	free(reading.shards);
	return code;
}
