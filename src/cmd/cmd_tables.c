/* How the tables are, a line each, and what their commits did. */
#include "base/ahead.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/table.h"
#include "flow/table_facts.h"

enum { PATHS = 2, TABLES_AT_ONCE = 4, TABLES_WORDS_MAX = 100, ISO_MAX = 32 };

static const char *const path_name[PATHS] = { [TOPIC_LOG] = "batch", [TOPIC_STREAM] = "stream" };

static const char *facts_columns[] = {
	"table",     "path",	     "rows",	"files",   "bytes",	"smallest",
	"median",    "largest",	     "oldest",	"newest",  "committed", "operation",
	"optimized", "letter_files", "waiting", "objects", "state",
};
static const char *event_columns[] = {
	"table",	 "path",	 "version",	"committed",	 "operation",
	"rows_added",	 "rows_removed", "files_added", "files_removed", "bytes_added",
	"bytes_removed", "engine",	 "writer",
};

/* Sizes of single files, how far back the log goes, … */
#define FACTS_SPARE \
	(TABLE_SPARE(5) | TABLE_SPARE(6) | TABLE_SPARE(7) | TABLE_SPARE(8) | TABLE_SPARE(9) | \
	 TABLE_SPARE(11) | TABLE_SPARE(12) | TABLE_SPARE(13) | TABLE_SPARE(15))
/* … and bytes, and who wrote. */
#define EVENT_SPARE \
	(TABLE_SPARE(7) | TABLE_SPARE(8) | TABLE_SPARE(9) | TABLE_SPARE(10) | TABLE_SPARE(11) | \
	 TABLE_SPARE(12))

/* A table that is asked for. */
struct listed_table {
	struct lake_table place;
	struct topic_info info; /* of its topic, … */
	bool known;		/* … as the broker has it; else it is not asked */
	struct table_facts facts;
};

struct listed {
	const struct config *config;
	struct models models;
	struct store *store;
	struct listed_table *list;
	size_t count;
	size_t broken; /* so many cannot be read */
	struct rows rows;
};

static void listed_release(struct listed *listed)
{
	for (size_t i = 0; i < listed->count; i++)
		topic_info_release(&listed->list[i].info);
	free(listed->list);
	store_free(listed->store);
	models_free(&listed->models);
}

/* --- which ----------------------------------------------------------------------- */

/* The broken ones come behind the others. */
static const char *table_at(const void *list, size_t n)
{
	const struct models *models = list;

	if (n < models->clean_count)
		return models->clean[n].model.name;
	n -= models->clean_count;
	for (size_t i = 0; i < models->broken_count; i++)
		if (models->broken[i].kind == MODEL_CLEAN && n-- == 0)
			return models->broken[i].name;
	return NULL;
}

static enum err_code check_names(const struct models *models, int argc, const char *const *argv,
				 struct err *err)
{
	for (int i = 0; i < argc; i++) {
		const char *meant = nearest(argv[i], table_at, models);

		if (models_clean(models, argv[i]) || models_fault(models, MODEL_CLEAN, argv[i]))
			continue;
		return err_set(err, ERR_USAGE, "there is no table \"%s\"%s%s%s", argv[i],
			       meant ? ", did you mean \"" : "", meant ? meant : "",
			       meant ? "\"?" : "");
	}
	return ERR_OK;
}

/* None is named: all are. */
static bool cmd_tables_is_wanted(const char *name, int argc, const char *const *argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 0;
}

static bool cmd_tables_is_wanted_path(const struct config *config, enum topic_kind kind)
{
	return strcmp(config_text(config, OPT_FROM), path_name[1 - kind]) != 0;
}

static enum err_code find_tables(struct listed *listed, int argc, const char *const *argv,
				 struct err *err)
{
	const struct models *models = &listed->models;

	listed->list = xcalloc(models->clean_count * PATHS, sizeof(*listed->list));
	for (size_t i = 0; i < models->clean_count; i++)
		for (int path = 0; path < PATHS; path++) {
			enum topic_kind kind = (enum topic_kind)path;
			struct lake_table *place = &listed->list[listed->count].place;

			if (!cmd_tables_is_wanted(models->clean[i].model.name, argc, argv) ||
			    !cmd_tables_is_wanted_path(listed->config, kind))
				continue;
			if (lake_table_init(place, &models->clean[i], kind,
					    config_text(listed->config, OPT_ID), err) != ERR_OK)
				return err->code;
			listed->count++;
		}
	return ERR_OK;
}

static enum err_code listed_open(struct listed *listed, int argc, const char *const *argv,
				 struct err *err)
{
	enum err_code code = setup_models(listed->config, &listed->models, err);

	if (code == ERR_OK)
		code = check_names(&listed->models, argc, argv, err);
	if (code == ERR_OK)
		code = setup_store_there(listed->config, &listed->store, err);
	if (code == ERR_OK)
		code = find_tables(listed, argc, argv, err);
	return code;
}

/* --- facts ------------------------------------------------------------------------ */

/* A topic may be nowhere yet, or where this machine does not look. A cluster that is away is waited
 * for once. */
static void ask_broker(struct listed *listed, struct broker *broker)
{
	bool away[PATHS] = { false };
	struct err err;

	for (size_t i = 0; i < listed->count; i++) {
		struct listed_table *table = &listed->list[i];
		enum topic_kind kind = table->place.kind;
		enum err_code code;

		if (away[kind])
			continue;
		code = broker_describe(broker, lake_table_topic(&table->place), &table->info, &err);
		table->known = code == ERR_OK;
		away[kind] = err_retry(code);
		if (!table->known && code != ERR_NO_TOPIC)
			trace_warn("what waits for table \"%s\"%s is not known: %s",
				   table->place.model->model.name,
				   away[kind] ? ", and the others," : "", err.msg);
	}
}

/* The tables are told also where the log cannot be asked. */
static void ask_log(struct listed *listed)
{
	struct broker *broker;
	struct err err;

	if (setup_lake_alone(listed->config))
		return;
	if (setup_log_there(listed->config, &broker, &err) != ERR_OK) {
		trace_warn("what waits for the tables is not known: %s", err.msg);
		return;
	}
	ask_broker(listed, broker);
	broker_free(broker);
}

static enum err_code take_one(void *user, size_t i, struct err *err)
{
	struct listed *listed = user;
	struct listed_table *table = &listed->list[i];

	(void)err;
	table_facts_take(listed->store, &table->place, table->known ? &table->info : NULL,
			 &table->facts);
	return ERR_OK;
}

static enum err_code take_facts(struct listed *listed, struct err *err)
{
	size_t at_once = store_at_once(listed->store);

	ask_log(listed);
	return ahead_all(
		&(struct ahead_options){
			.count = listed->count,
			.at_once = at_once < TABLES_AT_ONCE ? at_once : TABLES_AT_ONCE,
			.work = take_one,
			.user = listed,
		},
		err);
}

static struct cell cmd_tables_time(struct rows *rows, int64_t wall_ms)
{
	struct cell cell;
	struct buf text;

	if (wall_ms == 0)
		return cell_text(NULL);
	buf_init(&text, ISO_MAX);
	time_put_iso(&text, wall_ms);
	cell = rows_text(rows, buf_slice(&text));
	buf_release(&text);
	return cell;
}

static struct cell cmd_tables_word(struct rows *rows, const char *word)
{
	return *word ? rows_text(rows, slice_str(word)) : cell_text(NULL);
}

static void put_table_facts(struct rows *rows, struct cell *row, const struct table_facts *facts)
{
	const struct delta_event *last = &facts->recent.last;

	row[2] = cell_int((int64_t)facts->rows);
	row[3] = cell_int((int64_t)facts->files);
	row[4] = cell_int((int64_t)facts->bytes);
	if (facts->files > 0) {
		row[5] = cell_int((int64_t)facts->smallest);
		row[6] = cell_int((int64_t)facts->median);
		row[7] = cell_int((int64_t)facts->largest);
	}
	row[8] = cell_int(facts->recent.oldest);
	row[9] = cell_int(last->version);
	row[10] = cmd_tables_time(rows, last->time_ms);
	row[11] = cmd_tables_word(rows, last->operation);
	row[12] = cmd_tables_time(rows, facts->recent.optimized_ms);
}

static struct cell cell_of_state(struct rows *rows, const char *what, const char *why)
{
	struct cell cell;
	struct buf text;

	buf_init(&text, ERR_MSG_MAX + 32);
	buf_addf(&text, "%s%s", what, why);
	cell = rows_text(rows, buf_slice(&text));
	buf_release(&text);
	return cell;
}

static void add_facts(struct listed *listed, const struct listed_table *table)
{
	const struct table_facts *facts = &table->facts;
	struct cell *row = rows_add(&listed->rows);
	bool there = facts->fault.code == ERR_OK, absent = facts->fault.code == ERR_ABSENT;

	if (!row)
		return;
	row[0] = cell_text(table->place.model->model.name);
	row[1] = cell_text(path_name[table->place.kind]);
	if (there)
		put_table_facts(&listed->rows, row, facts);
	row[13] = cell_int((int64_t)facts->letter_files);
	if (facts->waiting_known)
		row[14] = cell_int((int64_t)facts->waiting);
	if (there && table->place.kind == TOPIC_LOG)
		row[15] = cell_int((int64_t)facts->objects);
	if (absent)
		row[16] = cell_text("not there yet");
	else if (!there)
		row[16] = cell_of_state(&listed->rows, "cannot be read: ", facts->fault.msg);
	else
		row[16] = *facts->refused
				  ? cell_of_state(&listed->rows, "refused: ", facts->refused)
				  : cell_text("ok");
	listed->broken += !there && !absent;
}

/* Those whose models are broken: nobody cleans them. */
static void add_broken(struct listed *listed, int argc, const char *const *argv)
{
	for (size_t i = 0; i < listed->models.broken_count; i++) {
		const struct broken_model *broken = &listed->models.broken[i];
		struct cell *row;

		if (broken->kind != MODEL_CLEAN || !cmd_tables_is_wanted(broken->name, argc, argv))
			continue;
		row = rows_add(&listed->rows);
		if (!row)
			return;
		row[0] = cell_text(broken->name);
		row[16] = cell_of_state(&listed->rows, "model: ", broken->fault);
	}
}

static enum err_code list_facts(struct listed *listed, int argc, const char *const *argv,
				struct err *err)
{
	enum err_code code = take_facts(listed, err);

	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < listed->count; i++)
		add_facts(listed, &listed->list[i]);
	add_broken(listed, argc, argv);
	code = rows_print(&listed->rows, listed->config, err);
	if (code == ERR_OK && listed->broken > 0)
		return err_set(err, ERR_CORRUPT, "%zu of %zu tables cannot be read", listed->broken,
			       listed->count);
	return code;
}

/* --- history ------------------------------------------------------------------------ */

static void add_event(struct listed *listed, const struct listed_table *table,
		      const struct delta_event *event)
{
	struct rows *rows = &listed->rows;
	struct cell *row = rows_add(rows);

	if (!row)
		return;
	row[0] = cell_text(table->place.model->model.name);
	row[1] = cell_text(path_name[table->place.kind]);
	row[2] = cell_int(event->version);
	row[3] = cmd_tables_time(rows, event->time_ms);
	row[4] = cmd_tables_word(rows, event->operation);
	row[5] = cell_int((int64_t)event->rows_added);
	if (event->removed_known)
		row[6] = cell_int((int64_t)event->rows_removed);
	row[7] = cell_int((int64_t)event->files_added);
	row[8] = cell_int((int64_t)event->files_removed);
	row[9] = cell_int((int64_t)event->bytes_added);
	if (event->removed_known)
		row[10] = cell_int((int64_t)event->bytes_removed);
	row[11] = cmd_tables_word(rows, event->engine);
	row[12] = cmd_tables_word(rows, event->writer);
}

/* One that cannot be read is told, and the others all the same. */
static void add_history(struct listed *listed, const struct listed_table *table)
{
	struct delta_event *events = NULL;
	size_t count = 0;
	struct err err;
	enum err_code code = delta_history(listed->store, table->place.root,
					   (size_t)config_int(listed->config, OPT_RUNS), &events,
					   &count, &err);

	if (code != ERR_OK && code != ERR_ABSENT) {
		trace_error("table \"%s\" of %s: %s", table->place.model->model.name,
			    path_name[table->place.kind], err.msg);
		listed->broken++;
		return;
	}
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		add_event(listed, table, &events[i]);
	free(events);
}

static enum err_code list_history(struct listed *listed, struct err *err)
{
	enum err_code code;

	for (size_t i = 0; i < listed->count; i++)
		add_history(listed, &listed->list[i]);
	code = rows_print(&listed->rows, listed->config, err);
	if (code == ERR_OK && listed->broken > 0)
		return err_set(err, ERR_CORRUPT, "%zu of %zu tables cannot be read", listed->broken,
			       listed->count);
	return code;
}

/* ------------------------------------------------------------------------------------- */

static int cmd_tables_run(struct config *config, int argc, const char *const *argv)
{
	bool history = config_bool(config, OPT_HISTORY);
	struct listed listed = { .config = config };
	struct err err;
	enum err_code code = listed_open(&listed, argc, argv, &err);

	if (history)
		rows_init(&listed.rows, event_columns, ARRAY_LEN(event_columns));
	else
		rows_init(&listed.rows, facts_columns, ARRAY_LEN(facts_columns));
	listed.rows.spare = history ? EVENT_SPARE : FACTS_SPARE;
	if (code == ERR_OK)
		code = history ? list_history(&listed, &err)
			       : list_facts(&listed, argc, argv, &err);
	rows_release(&listed.rows);
	listed_release(&listed);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = { OPT_FROM,    OPT_LAKE, OPT_MODELS,
				       OPT_HISTORY, OPT_RUNS, OPTION_COUNT };

const struct command cmd_tables = {
	.name = "tables",
	.summary = "Show how the tables are, or what their commits did",
	.usage = "[TABLE…] [options]",
	.details =
		"A line for each table of both paths, or of that of --from: its rows; its live files, with their\n"
		"bytes and those of the smallest, the median and the largest one; the versions that can be read;\n"
		"when and by what it was committed last, and compacted (`optimized`: by one of the last 100\n"
		"commits); objects of dead letters (`pinpipe dlq` has the letters); records of its topic that wait\n"
		"(at most, where numbers may be no records), and the objects in which they have landed; and\n"
		"whether it can be read and written. --history shows the last commits, the newest first.\n"
		"Ends with 1 if a table cannot be read.\n",
	.options = options,
	.examples = "pinpipe tables --dir data\n"
		    "pinpipe tables clicks --history --limit 5\n"
		    "pinpipe tables --from stream --format json\n",
	.positional_max = TABLES_WORDS_MAX,
	.run = cmd_tables_run,
};
