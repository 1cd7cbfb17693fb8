#include "flow/rebuild_stream.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"

enum { EVENT_BYTES = 4 << 20, WAIT_MS = 5000 };

/* A shard's part that is read again. */
struct again {
	int32_t partition;
	struct position end; /* the last that is wanted */
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

/* The staged table has nothing that could tell which generation the log is. */
static enum err_code go_on_to(struct rereading *reading, const struct topic_info *info,
			      const struct lake_partition *where, struct err *err)
{
	struct stream_shard *shard = stream_table_shard(&reading->table, where->id);
	enum err_code code = ERR_OK;

	while (code == ERR_OK && shard->generation < where->generation)
		code = stream_table_go_on(&reading->table, info, shard, err);
	return code;
}

/* A shard that the old table has records of: from its first one kept. */
static enum err_code read_shard_again(struct rereading *reading, const struct topic_info *info,
				      const struct partition_info *shard, struct err *err)
{
	struct topic_ref topic = stream_table_topic(&reading->table);
	struct lake_partition where = { .topic = topic.name, .id = shard->id };
	char app_id[LAKE_APP_ID_MAX];
	struct delta_progress done;
	struct position end;
	enum err_code code;

	if (stream_newest_generation(reading->log->old, &where, info->uid, err) != ERR_OK)
		return err->code;
	lake_app_id(app_id, TOPIC_STREAM, where, info->uid);
	code = delta_progress(reading->log->old, app_id, &done, err);
	if (code != ERR_OK || !done.any)
		return code;
	end = position_made_whole(done.position, shard->first);
	if (position_cmp(end, shard->first) < 0)
		return ERR_OK;
	code = stream_table_assign(&reading->table, info, shard->id, err);
	if (code == ERR_OK)
		code = go_on_to(reading, info, &where, err);
	if (code == ERR_OK)
		code = reader_seek(reading->reader, topic, shard->id,
				   (struct reader_start){ .kind = START_FIRST }, err);
	reading->shards[reading->count++] = (struct again){ shard->id, end, false };
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
		code = read_shard_again(reading, &info, &info.partitions[i], err);
	topic_info_release(&info);
	return code;
}

/* A log that is read on has nothing between two events. */
static void note_again(struct rereading *reading, const struct stream_shard *shard,
		       struct position first, struct position last)
{
	struct reach_span span = { .partition = shard->partition,
				   .generation = shard->generation,
				   .first = first,
				   .last = last };

	reach_note(reading->log->reach, &span, true);
}

static enum err_code again_records(struct rereading *reading, const struct again *again,
				   struct stream_shard *shard, const struct reader_event *event,
				   struct err *err)
{
	struct reader_event wanted = *event;

	while (wanted.count > 0 &&
	       position_cmp(wanted.records[wanted.count - 1].position, again->end) > 0)
		wanted.count--;
	if (wanted.count == 0)
		return ERR_OK;
	note_again(reading, shard, wanted.records[0].position,
		   wanted.records[wanted.count - 1].position);
	return stream_table_add(&reading->table, shard, &wanted, err);
}

static enum err_code again_gap(struct rereading *reading, const struct again *again,
			       struct stream_shard *shard, const struct reader_event *event,
			       struct err *err)
{
	struct reader_event wanted = *event;
	bool ignored;

	if (position_cmp(wanted.first, again->end) > 0)
		return ERR_OK;
	if (position_cmp(wanted.last, again->end) > 0)
		wanted.last = again->end;
	note_again(reading, shard, wanted.first, wanted.last);
	return stream_table_gap(&reading->table, shard, &wanted, &ignored, err);
}

/* The last that is wanted may be in a gap, and there may be no more of the log. */
static bool is_end(const struct again *again, const struct reader_event *event)
{
	switch (event->kind) {
	case READER_RECORDS:
		return position_cmp(event->records[event->count - 1].position, again->end) >= 0;
	case READER_GAP:
		return position_cmp(event->last, again->end) >= 0;
	case READER_CAUGHT_UP:
	case READER_END:
	case READER_REVOKED:
		return true;
	case READER_IDLE:
	case READER_ASSIGNED:
	case READER_FAILED:
		break;
	}
	return false;
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
	if (event->kind == READER_FAILED) {
		*err = *event->failure;
		return err->code;
	}
	again->ended = is_end(again, event);
	if (event->kind == READER_RECORDS)
		code = again_records(reading, again, shard, event, err);
	else if (event->kind == READER_GAP)
		code = again_gap(reading, again, shard, event, err);
	if (code == ERR_OK && (reading->table.batch.count >= log->rows_max ||
			       reading->table.batch.bytes >= log->table.bytes_max))
		code = stream_table_flush(&reading->table, err);
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
	return code == ERR_OK ? stream_table_flush(&reading->table, err) : code;
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
	stream_table_release(&reading.table);
	free(reading.shards);
	return code;
}
