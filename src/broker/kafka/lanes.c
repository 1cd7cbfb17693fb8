/* What is held of a topic, and when it goes (producer.h). */
#include "broker/kafka/producer.h"

#include "base/mem.h"
#include "base/time.h"

enum {
	TURN_BYTES_MAX = 128 << 10,	/* goes, corked or not */
	HELD_BYTES_MAX = 4 << 20,	/* of a lane */
	HELD_MS = 20,			/* one partition may be stuck, and others be well:
					   looked at with each report and each POLL_MS */
};

struct lane *lane_of(struct producer *producer, const char *topic)
{
	struct lane *lane = producer->lanes;

	while (lane && strcmp(lane->topic, topic) != 0)
		lane = lane->after;
	if (lane)
		return lane;
	lane = xcalloc(1, sizeof(*lane));
	(void)snprintf(lane->topic, sizeof(lane->topic), "%s", topic);
	lane->held_last = &lane->held;
	lane->after = producer->lanes;
	producer->lanes = lane;
	return lane;
}

static bool lane_is_free(const struct lane *lane) { return lane->flying == 0; }

static struct slice slice_move(struct slice from, char **to)
{
	char *at = *to;

	if (!from.ptr)
		return from;
	memcpy(at, from.ptr, from.len);
	*to += from.len;
	return slice_of(at, from.len);
}

/* Records without headers, with their bytes: one block. */
static struct append_record *records_copy(const struct append *append)
{
	size_t bytes = append->count * sizeof(*append->records);
	struct append_record *copy;
	char *to;

	for (size_t i = 0; i < append->count; i++)
		bytes += record_bytes(&append->records[i]);
	copy = xmalloc(bytes);
	to = (char *)(copy + append->count);
	for (size_t i = 0; i < append->count; i++) {
		copy[i] = append->records[i];
		copy[i].key = slice_move(append->records[i].key, &to);
		copy[i].value = slice_move(append->records[i].value, &to);
	}
	return copy;
}

bool lane_hold(struct producer *producer, struct flight *flight)
{
	struct lane *lane = flight->lane;
	bool large = flight->bytes >= TURN_BYTES_MAX;

	if ((lane_is_free(lane) && (large || !producer->corked)) ||
	    lane->held_bytes + flight->bytes > HELD_BYTES_MAX || !flight->plain) {
		lane_give(producer, lane);
		return false;
	}
	if (!lane->held)
		lane->held_ms = clock_mono_ms();
	flight->records = flight->copy = records_copy(flight->append);
	*lane->held_last = flight;
	lane->held_last = &flight->after;
	lane->held_bytes += flight->bytes;
	if (lane_is_free(lane) && lane->held_bytes >= TURN_BYTES_MAX)
		lane_give(producer, lane);
	return true;
}

static void flight_refuse(struct flight *flight, enum err_code code)
{
	for (size_t i = 0; i < flight->append->count; i++)
		flight->append->outcomes[i].code = code;
}

/* What is refused only now has its outcomes, as if it were reported. */
void lane_give(struct producer *producer, struct lane *lane)
{
	struct flight *first = lane->held, *after;
	struct err err;

	lane->held = NULL;
	lane->held_last = &lane->held;
	lane->held_bytes = 0;
	for (struct flight *flight = first; flight; flight = flight->after) {
		lane->flying += flight->append->count;
		if (producer->broken)
			flight_refuse(flight, producer->why.code);
	}
	if (first && !producer->broken)
		(void)flights_produce(producer, first, &err);
	for (struct flight *flight = first; flight; flight = after) {
		after = flight->after;
		flight_leaves(producer, flight);
	}
}

static bool lane_may_go(const struct producer *producer, const struct lane *lane)
{
	bool whole = !producer->corked || lane->held_bytes >= TURN_BYTES_MAX;

	return (lane_is_free(lane) && whole) || clock_mono_ms() - lane->held_ms >= HELD_MS;
}

void lanes_look(struct producer *producer)
{
	for (struct lane **at = &producer->lanes; *at;) {
		struct lane *lane = *at;

		if (lane->held && lane_may_go(producer, lane))
			lane_give(producer, lane);
		if (lane->held || lane->flying > 0) {
			at = &lane->after;
		} else {
			*at = lane->after;
			free(lane);
		}
	}
}

void kafka_cork(struct broker *broker, bool corked)
{
	struct producer *producer = ((struct kafka *)broker)->producer;

	if (!producer)
		return;
	(void)pthread_mutex_lock(&producer->lock);
	producer->corked = corked;
	if (!corked)
		lanes_look(producer);
	(void)pthread_mutex_unlock(&producer->lock);
}
