#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/dlq_summary.h"
#include "cmd/output.h"
#include "cmd/place.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/sql_side.h"
#include "flow/dlq.h"
#include "flow/replay.h"

#include <inttypes.h>
#include <string.h>

static const enum option options[] = {
	OPT_LAKE,   OPT_COUNT,	OPT_ALL,	   OPT_TOPIC,	       OPT_REASON,   OPT_SINCE,
	OPT_MODELS, OPT_ENGINE, OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPTION_COUNT,
};

static const char *given_text(const struct config *config, enum option option)
{
	const char *text = config_text(config, option);

	return text && *text ? text : NULL;
}

enum { TIME_BYTES_MAX = 64 };

/* --- what is asked for ---------------------------------------------------- */

struct chosen {
	const char *reason; /* NULL: any */
	int64_t since_ms;   /* since 1970; 0: any */
	uint64_t count_max;
	bool with_done; /* and a column that says so */
};

static struct chosen cmd_dlq_choose(const struct config *config)
{
	int64_t count = config_int(config, OPT_COUNT), age_ms = config_int(config, OPT_SINCE);

	return (struct chosen){
		.reason = given_text(config, OPT_REASON),
		.since_ms = age_ms > 0 ? clock_wall_ms() - age_ms : 0,
		.count_max = count > 0 ? (uint64_t)count : UINT64_MAX,
		.with_done = config_bool(config, OPT_ALL),
	};
}

static bool cmd_dlq_is_chosen(const struct chosen *chosen, const struct dlq_entry *entry)
{
	return (!chosen->reason || dlq_reason_has(entry->reason, chosen->reason)) &&
	       (chosen->since_ms == 0 || entry->written_ms >= chosen->since_ms);
}

/* --- without a topic: how many there are of which kind ------------------ */

struct summary {
	struct dlq_summary kinds;
	struct chosen chosen;
};

static bool cmd_dlq_count_letter(void *user, const struct dlq_entry *entry)
{
	struct summary *summary = user;

	if (cmd_dlq_is_chosen(&summary->chosen, entry))
		dlq_summary_add(&summary->kinds, entry);
	return true;
}

/* --- of a topic: the letters -------------------------------------------- */

static const char *letter_columns[] = { "partition", "offset", "last",	  "stage",
					"reason",    "value",  "written", "done" };

struct letters {
	struct rows rows;
	struct chosen chosen;
};

/* When it was put aside. */
static struct cell dlq_time(struct rows *rows, int64_t time_ms)
{
	struct cell cell;
	struct buf text;

	buf_init(&text, TIME_BYTES_MAX);
	time_put_iso(&text, time_ms);
	cell = rows_text(rows, buf_slice(&text));
	buf_release(&text);
	return cell;
}

static bool cmd_dlq_add_letter(void *user, const struct dlq_entry *entry)
{
	struct letters *letters = user;
	struct rows *rows = &letters->rows;
	struct cell *row;

	if (!cmd_dlq_is_chosen(&letters->chosen, entry))
		return true;
	row = rows->answer.row_count < letters->chosen.count_max ? rows_add(rows) : NULL;
	if (!row)
		return false;
	row[0] = rows_text(rows, entry->partition);
	row[1] = rows_text(rows, entry->offset);
	if (!slice_eq(entry->last, entry->offset))
		row[2] = rows_text(rows, entry->last);
	row[3] = rows_text(rows, entry->stage);
	row[4] = rows_text(rows, entry->reason);
	row[5] = rows_text(rows, entry->value);
	if (entry->written_ms > 0)
		row[6] = dlq_time(rows, entry->written_ms);
	if (letters->chosen.with_done)
		row[7] = (struct cell){ .type = CELL_BOOL, .i = entry->done };
	return true;
}

/* A name without letters is one of the log's, or mistyped. Where there is no log, nobody knows. */
static enum err_code check_name(const struct config *config, const char *name, struct err *err)
{
	struct topic_info info;
	struct broker *broker;
	struct err unused;
	enum err_code code = setup_log_there(config, &broker, &unused);

	if (code != ERR_OK)
		return ERR_OK;
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++) {
		struct topic_ref topic = { (enum topic_kind)kind, name };

		code = broker_describe(broker, topic, &info, err);
		if (code == ERR_OK)
			topic_info_release(&info);
		if (code != ERR_NO_TOPIC)
			break;
	}
	if (code == ERR_NO_TOPIC)
		code = place_no_topic(broker, name, ", nor a dead letter of one", err);
	broker_free(broker);
	return code;
}

static enum err_code print_letters(const struct config *config, struct store *store,
				   const char *topic, struct err *err)
{
	struct letters letters = { .chosen = cmd_dlq_choose(config) };
	const struct chosen *chosen = &letters.chosen;
	const struct dlq_query query = { .topic = topic, .with_done = chosen->with_done };
	enum err_code code;

	rows_init(&letters.rows, letter_columns,
		  ARRAY_LEN(letter_columns) - !chosen->with_done);
	code = dlq_query(store, &query, cmd_dlq_add_letter, &letters, err);
	if (code == ERR_OK && letters.rows.answer.row_count == 0 && !chosen->reason &&
	    chosen->since_ms == 0)
		code = check_name(config, topic, err);
	if (code == ERR_OK)
		code = rows_print(&letters.rows, config, err);
	rows_release(&letters.rows);
	return code;
}

static enum err_code print_summary(const struct config *config, struct store *store,
				   struct err *err)
{
	struct summary summary = { .chosen = cmd_dlq_choose(config) };
	const struct dlq_query query = { .topic = given_text(config, OPT_TOPIC),
					 .with_done = summary.chosen.with_done };
	enum err_code code;

	dlq_summary_init(&summary.kinds);
	code = dlq_query(store, &query, cmd_dlq_count_letter, &summary, err);
	if (code == ERR_OK && query.topic && summary.kinds.rows.answer.row_count == 0)
		code = check_name(config, query.topic, err);
	if (code == ERR_OK)
		code = dlq_summary_print(&summary.kinds, config, err);
	dlq_summary_release(&summary.kinds);
	return code;
}

/* --- replay ---------------------------------------------------------------- */

static enum err_code print_replay(const struct config *config, const struct replay_report *report,
				  struct err *err)
{
	static const char *columns[] = { "letters", "rows", "dead", "sink" };
	struct cell cells[] = { cell_int((int64_t)report->letters), cell_int((int64_t)report->rows),
				cell_int((int64_t)report->dead), cell_int((int64_t)report->sink) };
	struct answer answer = { .columns = columns, .column_count = ARRAY_LEN(columns),
				 .cells = cells, .row_count = 1 };

	if (report->sink > 0)
		trace_warn("%" PRIu64 " letters are the sink's: what is no JSON can be no row, and"
			   " they stay as they are", report->sink);
	return output_print(config, &answer, OUTPUT_OF_LIST, err);
}

/* What models read of both paths. */
struct replayed {
	struct lake_table *tables[2];
	size_t count; /* of each */
};

static const char *cmd_dlq_replayed_at(const void *list, size_t n)
{
	const struct replayed *replayed = list;

	if (n >= 2 * replayed->count)
		return NULL;
	return replayed->tables[n / replayed->count][n % replayed->count].topic;
}

static bool cmd_dlq_is_named(const char *pattern, const char *id, const char *topic)
{
	struct buf name;
	bool is_it;

	buf_init(&name, TOPIC_NAME_MAX);
	clean_name(&name, pattern, id);
	is_it = !buf_full(&name) && slice_is(buf_slice(&name), topic);
	buf_release(&name);
	return is_it;
}

static const char *cmd_dlq_fault_of(const struct models *models, const char *id, const char *topic)
{
	for (size_t i = 0; i < models->broken_count; i++) {
		const struct broken_model *broken = &models->broken[i];

		if ((broken->topic && cmd_dlq_is_named(broken->topic, id, topic)) ||
		    (broken->stream && cmd_dlq_is_named(broken->stream, id, topic)))
			return broken->fault;
	}
	return NULL;
}

static enum err_code cmd_dlq_not_replayed(const struct models *models, const char *id,
					  const char *topic, const struct replayed *replayed,
					  struct err *err)
{
	const char *meant = nearest(topic, cmd_dlq_replayed_at, replayed);
	const char *fault = cmd_dlq_fault_of(models, id, topic);

	if (fault)
		return err_set(err, ERR_USAGE, "the model of \"%s\" is broken: %s", topic, fault);
	return err_set(err, ERR_NO_TOPIC, "no model reads a topic or stream \"%s\"%s%s%s", topic,
		       meant ? ", did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

/* Its letters are cleaned by its model: of another one there are none, which is no success. */
static enum err_code cmd_dlq_check_replayed(const struct models *models, const char *id,
					    const char *topic, struct err *err)
{
	struct replayed replayed = { .count = models->clean_count };
	enum err_code code = lake_tables_new(models, TOPIC_LOG, id, &replayed.tables[0], err);
	const char *name = NULL;

	if (code == ERR_OK)
		code = lake_tables_new(models, TOPIC_STREAM, id, &replayed.tables[1], err);
	for (size_t n = 0; code == ERR_OK && (name = cmd_dlq_replayed_at(&replayed, n)); n++)
		if (strcmp(name, topic) == 0)
			break;
	if (code == ERR_OK && !name)
		code = cmd_dlq_not_replayed(models, id, topic, &replayed, err);
	free(replayed.tables[0]);
	free(replayed.tables[1]);
	return code;
}

static enum err_code cmd_dlq_replay(const struct config *config, struct err *err)
{
	int64_t since_ms = config_int(config, OPT_SINCE);
	struct replay_report report = { 0 };
	struct broker *broker = NULL;
	struct sql_side side;
	struct replay_options replay = {
		.id = config_text(config, OPT_ID),
		.topic = given_text(config, OPT_TOPIC),
		.reason = given_text(config, OPT_REASON),
		.since_ms = since_ms > 0 ? clock_wall_ms() - since_ms : 0,
	};
	enum err_code code = setup_dir(config, &replay.dir, err);

	if (code == ERR_OK)
		code = sql_side_open(config, &side, err);
	if (code != ERR_OK)
		return code;
	replay.store = side.store;
	replay.engine = side.engine;
	replay.models = &side.models;
	if (replay.topic)
		code = cmd_dlq_check_replayed(replay.models, replay.id, replay.topic, err);
	if (code == ERR_OK)
		code = setup_log_reader(config, true, &broker, err);
	replay.broker = broker;
	if (code == ERR_OK)
		code = replay_run(&replay, &report, err);
	if (code == ERR_OK)
		code = print_replay(config, &report, err);
	broker_free(broker);
	sql_side_close(&side);
	return code;
}

/* As a script's variable that is not set: what was to choose some must not choose all. */
static enum err_code cmd_dlq_check_chosen(const struct config *config, struct err *err)
{
	static const enum option choosing[] = { OPT_TOPIC, OPT_REASON };

	for (size_t i = 0; i < ARRAY_LEN(choosing); i++)
		if (config_is_set(config, choosing[i]) && !*config_text(config, choosing[i]))
			return err_set(err, ERR_USAGE, "--%s is empty: without it all are taken",
				       option_flag(choosing[i]));
	return ERR_OK;
}

static int cmd_dlq_run(struct config *config, int argc, const char *const *argv)
{
	struct store *store = NULL;
	struct err err;
	enum err_code code = cmd_dlq_check_chosen(config, &err);

	if (code != ERR_OK)
		return cmd_fail(&err);
	if (argc > 0 && strcmp(argv[0], "replay") == 0)
		return cmd_dlq_replay(config, &err) == ERR_OK ? 0 : cmd_fail(&err);
	if (config_is_set(config, OPT_TOPIC) && argc > 0)
		code = err_set(&err, ERR_USAGE, "the letters of a topic are `pinpipe dlq TOPIC`,"
			       " without --topic");
	if (code == ERR_OK && argc > 0)
		code = name_check_topic(slice_str(argv[0]), &err);
	if (code == ERR_OK)
		code = setup_store_there(config, &store, &err);
	if (code == ERR_OK)
		code = argc > 0 ? print_letters(config, store, argv[0], &err)
				: print_summary(config, store, &err);
	store_free(store);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_dlq = {
	.name = "dlq",
	.summary = "Show the dead letters: records that could not go on, and why",
	.usage = "[TOPIC | replay] [options]",
	.details =
		"Without a topic or stream: how many there are for which reason. With one: each with its\n"
		"place in the log and its value. Bytes that are no text are shown as U+FFFD; the objects\n"
		"dlq/<topic>/… of the lake hold them as base64. --reason and --since choose; a reason may be one\n"
		"that is counted here: \"#\" stands for a number and \"…\" for what the record had.\n"
		"\n"
		"replay: after a model was mended, cleans the letters of batch and stream again. What becomes\n"
		"a row is one once, in its old place, and no letter any more (--all shows it, as done); what\n"
		"fails again stays. What the sink put aside is no JSON and stays, too.\n",
	.examples = "pinpipe dlq --dir data\n"
		    "pinpipe dlq 124df56aef51.pin --dir data --count 10\n"
		    "pinpipe dlq streaming-124df56aef51-pin --format json\n"
		    "pinpipe dlq 124df56aef51.pin --reason 'lacks \"index\"' --count 10\n"
		    "pinpipe dlq replay --dir data --topic 124df56aef51.pin --reason poison --since 2h\n",
	.options = options,
	.positional_max = 1,
	.run = cmd_dlq_run,
};
