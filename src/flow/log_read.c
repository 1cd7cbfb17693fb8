#include "flow/log_read.h"

#include "base/stop.h"
#include "base/time.h"

#include <string.h>

enum { EVENT_BYTES = 4 << 20, LOOK_MS = 1000, SILENCE_MS = 60000 };

/* Events of one place mostly come in a row. */
static struct log_place *log_read_place_of(struct log_place *places, size_t count, size_t *at,
				  const struct reader_event *event)
{
	for (size_t i = 0; i < count; i++) {
		struct log_place *place = &places[(*at + i) % count];

		if (place->partition == event->partition &&
		    place->topic.kind == event->topic.kind &&
		    strcmp(place->topic.name, event->topic.name) == 0) {
			*at = (*at + i) % count;
			return place;
		}
	}
	return NULL;
}

static enum err_code seek_all(struct broker_reader *reader, struct log_place *places, size_t count,
			      size_t *left, struct err *err)
{
	enum err_code code = ERR_OK;

	*left = count;
	for (size_t i = 0; i < count && code == ERR_OK; i++) {
		struct log_place *place = &places[i];

		code = reader_seek(reader, place->topic, place->partition, place->start, err);
		place->beyond = place->ended = code == ERR_CORRUPT;
		if (place->beyond)
			code = ERR_OK;
		*left -= place->ended;
	}
	return code;
}

/* The place has given all that it is wanted for. */
static bool is_enough(const struct log_place *place, const struct reader_event *event)
{
	switch (event->kind) {
	case READER_CAUGHT_UP:
	case READER_END:
		return true;
	case READER_RECORDS:
		return place->bounded &&
		       position_cmp(event->records[event->count - 1].position, place->until) >= 0;
	case READER_GAP:
		return place->bounded && position_cmp(event->last, place->until) >= 0;
	default:
		return false;
	}
}

static enum err_code log_read_places(struct broker_reader *reader, struct log_place *places,
				     size_t count,
				     enum err_code (*take)(struct log_place *,
							   const struct reader_event *,
							   struct err *),
				     struct err *err)
{
	int64_t heard_ms = clock_mono_ms();
	size_t left, at = 0;
	enum err_code code = seek_all(reader, places, count, &left, err);

	while (left > 0 && code == ERR_OK) {
		struct reader_event event;
		struct log_place *place;

		code = reader_next(reader, clock_mono_ms() + LOOK_MS, &event, err);
		if (code == ERR_OK && stop_requested())
			code = err_set(err, ERR_STOPPED, "asked to stop");
		if (code == ERR_OK && event.kind == READER_IDLE &&
		    clock_mono_ms() - heard_ms > SILENCE_MS)
			code = err_set(err, ERR_BUSY, "the log gives nothing more of \"%s\", and does "
				       "not say that this is all", places[at].topic.name);
		if (code != ERR_OK || event.kind == READER_IDLE)
			continue;
		heard_ms = clock_mono_ms();
		place = log_read_place_of(places, count, &at, &event);
		if (!place || place->ended)	/* it goes on, and that is too late */
			continue;
		if (event.kind == READER_FAILED) {
			*err = *event.failure;
			return err->code;
		}
		place->ended = is_enough(place, &event);
		left -= place->ended;
		code = take(place, &event, err);
	}
	return code;
}

enum err_code log_read(struct broker *broker, struct log_place *places, size_t count,
		       enum err_code (*take)(struct log_place *place,
					     const struct reader_event *event, struct err *err),
		       struct err *err)
{
	struct reader_options options = { .bytes_max = EVENT_BYTES };
	struct broker_reader *reader;
	enum err_code code;

	if (count == 0)
		return ERR_OK;
	code = broker_reader_open(broker, &options, &reader, err);
	if (code != ERR_OK)
		return code;
	code = log_read_places(reader, places, count, take, err);
	reader_close(reader);
	return code;
}
