/* Where partitions go on, of those that the reader has given. */
#include "base/ahead.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/sink_inside.h"

#include <inttypes.h>

enum {
	ABSENT_MS = 1000, /* between two looks for a topic that is gone */
	FRUITLESS_MAX = 5,
};

void sink_place_again(struct sink *sink, struct sink_partition *partition, const char *what,
		      struct err *err)
{
	int64_t now_ms = clock_mono_ms();

	if (err->code == ERR_NO_TOPIC || err->code == ERR_NO_PARTITION) {
		partition->retry_ms = now_ms + ABSENT_MS; /* the reader will revoke it */
		return;
	}
	if (!retry_may_pass(err->code)) {
		sink_halt(sink, partition, err);
		return;
	}
	if (stop_requested()) {
		(void)err_set(err, ERR_STOPPED, "stopped before its place was found");
		sink_halt(sink, partition, err);
		return;
	}
	metric_add(METRIC_SINK_RETRIES, 1);
	partition->retry_ms = now_ms + retry_failed(&partition->retry, what, err);
}

/* Whether the lake has come further since another's object was in the way. */
static bool is_fruitful(struct sink *sink, struct sink_partition *partition,
			const struct sink_place *place)
{
	struct err err;

	if (atomic_load(&partition->lane.halted) != ERR_EXISTS ||
	    place->next != partition->found_next) {
		partition->fruitless = 0;
		return true;
	}
	if (++partition->fruitless < FRUITLESS_MAX)
		return true;
	(void)err_set(&err, ERR_EXISTS,
		      "what comes after offset %" PRIu64 " cannot be put: something"
		      " else has its name, and tells nothing",
		      place->next);
	sink_halt(sink, partition, &err);
	return false;
}

enum err_code sink_seek(struct sink *sink, struct sink_partition *partition, struct err *err)
{
	partition->has_caught = false;
	return reader_seek(sink->reader, sink_topic(partition), partition->id,
			   sink_partition_start(partition), err);
}

static void sink_place(struct sink *sink, struct sink_partition *partition,
		       struct sink_place *place)
{
	struct err err;

	if (!is_fruitful(sink, partition, place)) {
		sink_place_release(place);
		return;
	}
	partition->found_next = place->next;
	sink_writer_revive(sink->writer, &partition->lane);
	sink_partition_begin(partition, place);
	if (sink_seek(sink, partition, &err) != ERR_OK) {
		sink_place_again(sink, partition, "the log", &err);
		return;
	}
	retry_passed(&partition->retry);
	partition->state = SINK_READING;
	sink_tell_losses(sink, partition);
	trace_debug("%s, partition %d: goes on at %" PRIu64, partition->topic, partition->id,
		    partition->place.next);
}

/* Partitions whose places are looked for, several at a time where that takes a while. */
struct placing {
	const struct sink_options *options;
	struct sink_partition **list;
	size_t count;
	struct sink_place *places;
};

static enum err_code placing_find(void *user, size_t item, struct err *err)
{
	const struct placing *placing = user;
	const struct sink_options *options = placing->options;
	const struct sink_partition *partition = placing->list[item];

	return sink_find_place(options->store, options->broker, partition->topic, partition->id,
			       options->new_history, &placing->places[item], err);
}

static void placing_run(struct sink *sink, struct placing *placing)
{
	struct ahead *ahead = ahead_new(&(struct ahead_options){
		.count = placing->count,
		.at_once = store_at_once(placing->options->store),
		.work = placing_find,
		.user = placing,
	});

	for (size_t i = 0; i < placing->count; i++) {
		struct err err;

		if (ahead_take(ahead, i, &err) == ERR_OK)
			sink_place(sink, placing->list[i], &placing->places[i]);
		else
			sink_place_again(sink, placing->list[i], "the lake", &err);
	}
	ahead_free(ahead);
}

/*
 * The lake, not a position kept elsewhere, says where a partition goes on; so what is still on its
 * way there has to arrive first. Those that the reader gives one after the other are placed
 * together.
 */
void sink_place_due(struct sink *sink, int64_t now_ms)
{
	struct placing placing = { .options = sink->options };

	if (sink->assigning)
		return;
	placing.list = xcalloc(sink->partition_count, sizeof(struct sink_partition *));
	for (size_t i = 0; i < sink->partition_count; i++) {
		struct sink_partition *partition = sink->partitions[i];

		if (partition->state == SINK_PLACING && now_ms >= partition->retry_ms &&
		    !sink_writer_is_busy(sink->writer, &partition->lane))
			placing.list[placing.count++] = partition;
	}
	placing.places = xcalloc(placing.count, sizeof(*placing.places));
	if (placing.count > 0)
		placing_run(sink, &placing);
	free(placing.places);
	free(placing.list);
}
