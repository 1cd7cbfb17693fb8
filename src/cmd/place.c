#include "cmd/place.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/event_time.h"

#include <errno.h>

enum { PLACE_WAIT_MS = 500, NAMES_MAX = 10000 };

/* --- which --------------------------------------------------------------- */

struct place_names {
	struct arena memory;
	const char **list;
	size_t count;
};

static bool place_add_name(void *user, const char *name)
{
	struct place_names *names = user;

	names->list = xreallocarray(names->list, names->count + 1, sizeof(*names->list));
	names->list[names->count++] = arena_str(&names->memory, slice_str(name));
	return names->count < NAMES_MAX;
}

static const char *place_name_at(const void *list, size_t n)
{
	const struct place_names *names = list;

	return n < names->count ? names->list[n] : NULL;
}

enum err_code place_no_topic(struct broker *broker, const char *name, const char *nor,
			     struct err *err)
{
	struct place_names names = { .count = 0 };
	const char *meant;

	arena_init(&names.memory, (size_t)NAMES_MAX * (TOPIC_NAME_MAX + 1));
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		if (broker_list(broker, (enum topic_kind)kind, place_add_name, &names, err) !=
		    ERR_OK)
			trace_debug("no name is suggested: %s", err->msg);
	meant = nearest(name, place_name_at, &names);
	(void)err_set(err, ERR_NO_TOPIC, "there is neither a topic nor a stream \"%s\"%s%s%s%s",
		      name, nor, meant ? ", did you mean \"" : "", meant ? meant : "",
		      meant ? "\"?" : "");
	free(names.list);
	arena_release(&names.memory);
	return err->code;
}

/* A topic of that name, or else a stream. */
static enum err_code find_topic(struct broker *broker, const char *name,
				struct topic_info *ret_info, struct err *err)
{
	struct topic_ref topic = { TOPIC_LOG, name };
	enum err_code code = broker_describe(broker, topic, ret_info, err);

	if (code != ERR_NO_TOPIC)
		return code;
	topic.kind = TOPIC_STREAM;
	code = broker_describe(broker, topic, ret_info, err);
	return code == ERR_NO_TOPIC ? place_no_topic(broker, name, "", err) : code;
}

static enum err_code find_partition(const struct topic_info *info, const char *text, int32_t *ret,
				    struct err *err)
{
	if (!partition_parse(TOPIC_LOG, slice_str(text), ret) &&
	    !partition_parse(info->kind, slice_str(text), ret))
		return err_set(err, ERR_USAGE, "\"%s\" is no partition", text);
	if (!topic_info_partition(info, *ret))
		return err_set(err, ERR_NO_PARTITION, "\"%s\" has %d partition%s, no %s",
			       info->name, info->partition_count,
			       info->partition_count == 1 ? "" : "s", text);
	return ERR_OK;
}

enum err_code place_find(struct broker *broker, const char *text, struct topic_info *ret_info,
			 int32_t *ret_partition, struct err *err)
{
	const char *slash = strchr(text, '/');
	char *name = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	int32_t partition = PARTITION_ANY;
	struct topic_info info = { 0 };
	enum err_code code = find_topic(broker, name, &info, err);

	free(name);
	if (code == ERR_OK && slash)
		code = find_partition(&info, slash + 1, &partition, err);
	if (code != ERR_OK) {
		topic_info_release(&info);
		return code;
	}
	*ret_info = info;
	*ret_partition = partition;
	return ERR_OK;
}

/* --- where --------------------------------------------------------------- */

static bool place_parse_count(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && errno == 0;
}

enum err_code place_parse_start(const char *text, struct reader_start *ret_start, struct err *err)
{
	struct reader_start start = { .kind = START_FIRST };

	if (!strcmp(text, "end"))
		start.kind = START_NEXT;
	else if (*text == '@' && event_time_parse(slice_str(text + 1), &start.time_ms))
		start.kind = START_TIME;
	else if (*text == '-' && place_parse_count(text + 1, &start.count))
		start.kind = START_LAST;
	else if (position_parse(slice_str(text), &start.position))
		start.kind = START_AT;
	else if (strcmp(text, "beginning") != 0)
		return err_set(
			err, ERR_USAGE,
			"\"%.80s\" is no offset: a number, -N, @milliseconds, @2022-03-01T12:30Z, "
			"beginning or end",
			text);
	*ret_start = start;
	return ERR_OK;
}

/* Where there is no record any more, or not yet, is no place to go on from. */
static enum err_code position_within(const struct partition_info *partition,
				     struct position position, struct err *err)
{
	char asked[POSITION_TEXT_MAX], first[POSITION_TEXT_MAX], next[POSITION_TEXT_MAX];

	if (position_cmp(position, partition->first) >= 0 &&
	    (!partition->next_known || position_cmp(position, partition->next) <= 0))
		return ERR_OK;
	(void)position_text(position, asked);
	(void)position_text(partition->first, first);
	(void)position_text(partition->next, next);
	return err_set(err, ERR_USAGE, "partition %d begins at %s%s%s: there is no %s",
		       partition->id, first,
		       partition->next_known ? ", and what comes next is " : "",
		       partition->next_known ? next : "", asked);
}

/* What a reader that was just sought meets first. */
static enum err_code first_met(struct broker_reader *reader, const struct partition_info *partition,
			       struct position *ret_position, struct err *err)
{
	while (!stop_requested()) {
		struct reader_event event;
		enum err_code code =
			reader_next(reader, clock_mono_ms() + PLACE_WAIT_MS, &event, err);

		if (code != ERR_OK)
			return code;
		if (event.kind == READER_FAILED) {
			*err = *event.failure;
			return err->code;
		}
		if (event.kind == READER_END && !partition->next_known)
			return err_set(err, ERR_UNSUPPORTED,
				       "partition %d is closed, and its end is "
				       "not known",
				       partition->id);
		if (event.kind == READER_RECORDS)
			*ret_position = event.records[0].position;
		else if (event.kind == READER_CAUGHT_UP)
			*ret_position = event.last;
		else if (event.kind == READER_END)
			*ret_position = partition->next;
		else
			continue;
		return ERR_OK;
	}
	return err_set(err, ERR_STOPPED, "asked to stop");
}

enum err_code place_position(struct broker *broker, struct topic_ref topic,
			     const struct partition_info *partition, struct reader_start start,
			     struct position *ret_position, struct err *err)
{
	const struct reader_options options = { .bytes_max = 1 };
	struct broker_reader *reader = NULL;
	enum err_code code;

	if (start.kind == START_AT) {
		code = position_within(partition, start.position, err);
		if (code == ERR_OK)
			*ret_position = start.position;
		return code;
	}
	if (start.kind == START_FIRST || (start.kind == START_NEXT && partition->next_known)) {
		*ret_position = start.kind == START_FIRST ? partition->first : partition->next;
		return ERR_OK;
	}
	code = broker_reader_open(broker, &options, &reader, err);
	if (code == ERR_OK)
		code = reader_seek(reader, topic, partition->id, start, err);
	if (code == ERR_OK)
		code = first_met(reader, partition, ret_position, err);
	reader_close(reader);
	return code;
}
