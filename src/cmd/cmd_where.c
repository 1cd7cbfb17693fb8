/* Tells where one record is: in the log, in the lake, in the tables, or among the letters. */
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "cmd/cmd.h"
#include "cmd/place.h"
#include "cmd/setup.h"
#include "cmd/where_text.h"
#include "flow/history.h"

#include <inttypes.h>
#include <stdio.h>

enum { WAIT_MS = 500, LOG_MS_MAX = 15000, GENERATION_TEXT = 6 /* "g0002-" */ };

/* --- which ------------------------------------------------------------------------ */

/* As a row's _offset has it, too: with the generation before it. */
static enum err_code where_parse_position(const char *text, uint32_t *ret_generation,
					  struct position *ret, struct err *err)
{
	unsigned generation = 0;
	int end = 0;

	if (*text == 'g' && sscanf(text, "g%4u-%n", &generation, &end) == 1 &&
	    end == GENERATION_TEXT && generation > 0)
		text += end;
	*ret_generation = generation;
	if (position_parse(slice_str(text), ret))
		return ERR_OK;
	return err_set(err, ERR_USAGE,
		       "\"%.80s\" is no offset and no sequence number: it is a number, or what a "
		       "row has in _offset",
		       text);
}

/* A topic that only the lake, or the models, know: the log is elsewhere, or gone. */
static enum err_code where_guess_topic(struct where *where, const char *text, struct err *err)
{
	const char *slash = strchr(text, '/');
	const struct err why = *err;

	if (!slash || (size_t)(slash - text) > TOPIC_NAME_MAX)
		return err->code;
	(void)snprintf(where->topic, sizeof(where->topic), "%.*s", (int)(slash - text), text);
	for (size_t i = 0; i < where->table_count; i++) {
		enum topic_kind kind = where->tables[i].kind;

		if (strcmp(where->tables[i].topic, where->topic) != 0 ||
		    !(partition_parse(TOPIC_LOG, slice_str(slash + 1), &where->partition) ||
		      partition_parse(kind, slice_str(slash + 1), &where->partition)))
			continue;
		where->record.topic = (struct topic_ref){ kind, where->topic };
		return ERR_OK;
	}
	*err = why;
	return why.code;
}

static enum err_code where_find_topic(struct where *where, const char *text, struct err *err)
{
	enum err_code code = place_find(where->broker, text, &where->info, &where->partition, err);

	if (code == ERR_NO_TOPIC)
		return where_guess_topic(where, text, err);
	if (code != ERR_OK)
		return code;
	where->known = true;
	(void)snprintf(where->topic, sizeof(where->topic), "%s", where->info.name);
	where->record.topic = (struct topic_ref){ where->info.kind, where->topic };
	where->record.uid = where->info.uid;
	if (where->partition != PARTITION_ANY)
		return ERR_OK;
	if (where->info.partition_count > 1)
		return err_set(
			err, ERR_USAGE,
			"\"%s\" has %d partitions: which one? The usage is %s/PARTITION OFFSET",
			where->topic, where->info.partition_count, where->topic);
	where->partition = where->info.partitions[0].id;
	return ERR_OK;
}

/* Of which generation a topic's record is; a stream's is each table's own affair. */
static enum err_code where_find_generation(struct where *where, struct err *err)
{
	struct history history = { .generation = 1, .has_uid = true };
	struct lake_partition *place = &where->record.where;
	enum err_code code = ERR_OK;

	*place = (struct lake_partition){ where->topic, where->partition, 1 };
	if (where->record.topic.kind == TOPIC_LOG)
		code = history_load(where->store, where->topic, where->record.uid, &history, err);
	if (code != ERR_OK)
		return code;
	place->generation = history.generation;
	if (where->known && history.named && !history.has_uid)
		place->generation = 0;
	if (where->asked_generation > 0) {
		where->is_old = where->asked_generation != place->generation;
		place->generation = where->asked_generation;
	}
	return ERR_OK;
}

static enum err_code where_find_tables(struct where *where, struct err *err)
{
	const char *id = config_text(where->config, OPT_ID);
	struct lake_table *of_path[2] = { NULL, NULL };
	size_t count = where->models.clean_count;
	enum err_code code = lake_tables_new(&where->models, TOPIC_LOG, id, &of_path[0], err);

	if (code == ERR_OK)
		code = lake_tables_new(&where->models, TOPIC_STREAM, id, &of_path[1], err);
	if (code == ERR_OK) {
		where->tables = xcalloc(2 * count, sizeof(*where->tables));
		for (size_t path = 0; path < 2; path++)
			for (size_t i = 0; i < count; i++)
				where->tables[where->table_count++] = of_path[path][i];
	}
	free(of_path[0]);
	free(of_path[1]);
	return code;
}

/* --- the log ---------------------------------------------------------------------- */

static void where_take_event(struct where *where, const struct reader_event *event)
{
	struct where_log *log = &where->log;

	if (event->kind == READER_RECORDS &&
	    position_cmp(event->records[0].position, where->record.position) == 0) {
		log->state = WHERE_LOG_THERE;
		log->timestamp_ms = event->records[0].timestamp_ms;
	} else if (event->kind == READER_GAP) {
		log->gap = event->gap;
		log->state = WHERE_LOG_NO_RECORD;
	} else if (event->kind == READER_RECORDS || event->kind == READER_CAUGHT_UP ||
		   event->kind == READER_END) {
		log->state = WHERE_LOG_NO_RECORD;
	}
}

static enum err_code where_read(struct where *where, struct err *err)
{
	const struct reader_options options = { .bytes_max = 1 };
	const struct reader_start start = { .kind = START_AT, .position = where->record.position };
	int64_t until_ms = clock_mono_ms() + LOG_MS_MAX;
	struct broker_reader *reader = NULL;
	enum err_code code = broker_reader_open(where->broker, &options, &reader, err);

	if (code == ERR_OK)
		code = reader_seek(reader, where->record.topic, where->partition, start, err);
	while (code == ERR_OK && where->log.state == WHERE_LOG_UNKNOWN &&
	       clock_mono_ms() < until_ms && !stop_requested()) {
		struct reader_event event;

		code = reader_next(reader, clock_mono_ms() + WAIT_MS, &event, err);
		if (code == ERR_OK && event.kind == READER_FAILED) {
			*err = *event.failure;
			code = err->code;
		} else if (code == ERR_OK) {
			where_take_event(where, &event);
		}
	}
	reader_close(reader);
	return code;
}

/* What the log says of itself does for what it does not have. */
static enum err_code where_ask_log(struct where *where, struct err *err)
{
	const struct partition_info *partition;

	if (!where->known || where->is_old)
		return ERR_OK;
	partition = topic_info_partition(&where->info, where->partition);
	if (position_cmp(where->record.position, partition->first) < 0) {
		where->log.state = WHERE_LOG_GONE;
		return ERR_OK;
	}
	if (partition->next_known && position_cmp(where->record.position, partition->next) >= 0) {
		where->log.state = WHERE_LOG_NOT_YET;
		return ERR_OK;
	}
	return where_read(where, err);
}

/* --- all of it -------------------------------------------------------------------- */

static enum err_code where_ask_lake(struct where *where, struct err *err)
{
	enum err_code code = ERR_OK;

	if (where->record.topic.kind == TOPIC_LOG)
		code = where_object_find(where->store, &where->record, &where->object, err);
	if (code == ERR_OK)
		code = where_letters_find(where->store, &where->record, &where->letters, err);
	if (code == ERR_OK)
		where->sinks = where_letters_of(&where->letters, NULL, false);
	return code;
}

static enum err_code where_ask_tables(struct where *where, struct err *err)
{
	struct engine *engine = NULL;
	enum err_code code = setup_engine_for_rows(where->config, where->store, &engine, err);

	where->found = xcalloc(where->table_count, sizeof(*where->found));
	for (size_t i = 0; code == ERR_OK && i < where->table_count; i++)
		if (where->tables[i].kind == where->record.topic.kind &&
		    strcmp(where->tables[i].topic, where->topic) == 0)
			where_table_find(where->store, &where->record, &where->tables[i],
					 &where->letters, engine,
					 &where->found[where->found_count++]);
	engine_free(engine);
	return code;
}

/* Somewhere it is, or was. */
static bool where_is_found(const struct where *where)
{
	bool found = where->log.state == WHERE_LOG_THERE || where->letters.count > 0 ||
		     where->object.state == WHERE_IN_OBJECT || where->object.state == WHERE_LOST;

	for (size_t i = 0; i < where->found_count; i++)
		found |= where->found[i].state == WHERE_IS_ROW || where->found[i].fault.code;
	return found;
}

/* The log, which was asked, has no record at that position. */
static enum err_code where_tell_log(const struct where *where, const char *asked, struct err *err)
{
	const struct partition_info *partition =
		topic_info_partition(&where->info, where->partition);
	bool gap = where->log.gap != GAP_NONE;
	char edge[POSITION_TEXT_MAX];

	if (where->log.state == WHERE_LOG_NOT_YET) {
		(void)position_text(partition->next, edge);
		return err_set(err, ERR_ABSENT,
			       "there is no %s yet: the log ends before %s, and so does the lake",
			       asked, edge);
	}
	if (where->log.state == WHERE_LOG_GONE) {
		(void)position_text(partition->first, edge);
		return err_set(err, ERR_ABSENT,
			       "%s is not there any more: the log begins at %s, and the lake has "
			       "no trace of it",
			       asked, edge);
	}
	return err_set(err, ERR_ABSENT, "no record has the number %s%s%s%s", asked, gap ? " (" : "",
		       gap ? gap_reason_text(where->log.gap) : "", gap ? ")" : "");
}

static enum err_code where_tell_absent(const struct where *where, struct err *err)
{
	char asked[POSITION_TEXT_MAX];

	(void)position_text(where->record.position, asked);
	if (where->log.state != WHERE_LOG_UNKNOWN)
		return where_tell_log(where, asked, err);
	return err_set(err, ERR_ABSENT, "there is no trace of %s in the lake%s", asked,
		       where->known ? "" : ", and no log was asked");
}

static enum err_code where_open(struct where *where, struct err *err)
{
	enum err_code code = setup_models_untold(where->config, &where->models, err);

	if (code == ERR_OK)
		code = where_find_tables(where, err);
	if (code == ERR_OK)
		code = setup_store_there(where->config, &where->store, err);
	if (code == ERR_OK)
		code = setup_log_if_there(where->config, &where->broker, err);
	return code;
}

static enum err_code where_ask(struct where *where, const char *topic, const char *position,
			       struct err *err)
{
	enum err_code code = where_parse_position(position, &where->asked_generation,
						  &where->record.position, err);

	if (code == ERR_OK)
		code = where_open(where, err);
	if (code == ERR_OK)
		code = where_find_topic(where, topic, err);
	if (code == ERR_OK)
		code = where_find_generation(where, err);
	if (code == ERR_OK)
		code = where_ask_log(where, err);
	if (code == ERR_OK)
		code = where_ask_lake(where, err);
	if (code == ERR_OK)
		code = where_ask_tables(where, err);
	if (code == ERR_OK && !where_is_found(where))
		code = where_tell_absent(where, err);
	return code;
}

static void where_release(struct where *where)
{
	for (size_t i = 0; i < where->found_count; i++)
		where_table_release(&where->found[i]);
	free(where->found);
	where_letters_release(&where->letters);
	topic_info_release(&where->info);
	free(where->tables);
	broker_free(where->broker);
	store_free(where->store);
	models_free(&where->models);
}

static int cmd_where_run(struct config *config, int argc, const char *const *argv)
{
	struct where where = { .config = config, .record.uid = "" };
	struct err err;
	enum err_code code = where_ask(&where, argv[0], argv[1], &err);

	(void)argc;
	if (code == ERR_OK)
		code = where_print(&where, &err);
	where_release(&where);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_LAKE, OPT_MODELS, OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPTION_COUNT,
};

const struct command cmd_where = {
	.name = "where",
	.summary = "Tell where a record is: log, lake, tables, or why it is a dead letter",
	.usage = "TOPIC[/PARTITION] OFFSET [options]",
	.details =
		"Of a stream it is STREAM/SHARD and the sequence number; OFFSET may be what a row has in\n"
		"_offset. It tells whether the log still has the record; its object and line in the lake; and\n"
		"for each table of the topic the row and the version it came with, or the letter and its\n"
		"reason, or what it waits for. Ends with 1, and says why, where there is no trace of it.\n",
	.options = options,
	.examples = "pinpipe where 124df56aef51.pin/0 42\n"
		    "pinpipe where 124df56aef51.pin/0 42 --format json\n"
		    "pinpipe where streaming-124df56aef51-pin/0 "
		    "49590338271490256608559692538361571095921575989136588898\n",
	.positional_min = 2,
	.positional_max = 2,
	.run = cmd_where_run,
};
