/* The streaming path: the stream after what the table has of each shard. */
#include "base/mem.h"
#include "flow/live.h"
#include "flow/stream_table.h"

enum { EVENT_BYTES = 4 << 20 };

struct live_stream {
	struct live *live;
	struct stream_table table;
	struct live_tail *tail;
};

static enum err_code live_stream_add(struct live_stream *reading, struct stream_shard *shard,
				     const struct reader_event *event, struct err *err)
{
	struct stream_table *table = &reading->table;
	enum err_code code = stream_table_add(table, shard, event, err);

	if (code == ERR_OK && table->batch.bytes >= LIVE_BYTES_MAX)
		code = live_clean(reading->live, &table->place, &table->batch, reading->tail, err);
	return code;
}

static void live_stream_pass(struct live_stream *reading, struct stream_shard *shard,
			     const struct reader_event *gap)
{
	int order = shard->read.any ? position_cmp(gap->last, shard->read.position) : 1;

	shard->proved |= order >= 0;
	if (order <= 0)
		return;
	live_note_loss(reading->tail, gap);
	shard->read = (struct delta_progress){ .any = true, .position = gap->last };
}

static enum err_code live_stream_take(struct log_place *place, const struct reader_event *event,
				      struct err *err)
{
	struct live_stream *reading = place->user;
	struct stream_shard *shard = stream_table_shard(&reading->table, place->partition);

	switch (event->kind) {
	case READER_RECORDS:
		return live_stream_add(reading, shard, event, err);
	case READER_GAP:
		live_stream_pass(reading, shard, event);
		return ERR_OK;
	case READER_CAUGHT_UP:
		return shard->read.any && position_cmp(shard->read.position, event->last) >= 0
			       ? stream_table_ends_early(&reading->table, shard, err)
			       : ERR_OK;
	default:
		return ERR_OK;
	}
}

static enum err_code begin_shard(struct live_stream *reading, const struct topic_info *info,
				 const struct partition_info *its, struct log_place *place,
				 struct err *err)
{
	enum err_code code = stream_table_assign(&reading->table, info, its->id, err);
	struct stream_shard *shard = stream_table_shard(&reading->table, its->id);

	if (code != ERR_OK)
		return code;
	/* What is gone proves nothing, and of what is lost behind it the log tells where it begins
	 * to who asks for that. */
	shard->proved |= position_cmp(its->first, shard->read.position) > 0;
	*place = (struct log_place){
		.topic = stream_table_topic(&reading->table),
		.partition = its->id,
		.start = stream_shard_start(shard),
		.bounded = its->next_known,
		.until = its->next,
		.user = reading,
	};
	return ERR_OK;
}

static enum err_code live_stream_read(struct live_stream *reading, const struct topic_info *info,
				      struct err *err)
{
	size_t count = (size_t)info->partition_count;
	struct log_place *places = xcalloc(count, sizeof(*places));
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = begin_shard(reading, info, &info->partitions[i], &places[i], err);
	if (code == ERR_OK)
		code = live_read_log(reading->live, places, count, live_stream_take, err);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		if (places[i].beyond)
			code = stream_table_ends_early(
				&reading->table,
				stream_table_shard(&reading->table, places[i].partition), err);
	free(places);
	if (code == ERR_OK)
		code = live_clean(reading->live, &reading->table.place, &reading->table.batch,
				  reading->tail, err);
	return code;
}

enum err_code live_read_stream(struct live *live, const struct lake_table *place,
			       struct delta_table *delta, struct live_tail *tail, struct err *err)
{
	const struct stream_table_options options = { .store = live->store,
						      .engine = live->engine,
						      .place = *place,
						      .bytes_max = LIVE_BYTES_MAX + EVENT_BYTES };
	struct live_stream reading = { .live = live, .tail = tail };
	struct topic_info info;
	enum err_code code;

	stream_table_look(&reading.table, &options, delta);
	code = broker_describe(live->broker, lake_table_topic(place), &info, err);
	tail->there = code == ERR_OK;
	if (code == ERR_OK) {
		code = live_stream_read(&reading, &info, err);
		topic_info_release(&info);
	} else if (code == ERR_NO_TOPIC) {
		code = ERR_OK; /* the table is all there is */
	}
	stream_table_release(&reading.table);
	return code;
}
