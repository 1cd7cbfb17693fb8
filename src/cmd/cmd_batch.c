/* Runs the batch path once: new objects into the clean tables, then the analyses. */
#include "base/mem.h"
#include "base/registry.h"
#include "base/time.h"
#include "base/told.h"
#include "base/trace.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/seen.h"
#include "cmd/setup.h"
#include "cmd/sql_side.h"
#include "flow/batch_tell.h"
#include "flow/letter_news.h"

enum { REPORT_BYTES_MAX = 4 << 20, LINE_BYTES_MAX = 1 << 10 };

static enum err_code print_tables(const struct config *config, const struct batch_report *report,
				  struct err *err)
{
	static const char *columns[] = { "table", "objects", "rows", "dead", "unreadable",
					 "total_rows", "seconds" };
	struct cell *cells = xcalloc(report->table_count * ARRAY_LEN(columns), sizeof(*cells));
	struct answer answer = { .columns = columns,
				 .column_count = ARRAY_LEN(columns),
				 .cells = cells,
				 .row_count = report->table_count };
	enum err_code code;

	for (size_t i = 0; i < report->table_count; i++) {
		const struct batch_table *table = &report->tables[i];
		struct cell *row = cells + i * ARRAY_LEN(columns);

		row[0] = cell_text(table->name);
		row[1] = cell_int((int64_t)table->objects);
		row[2] = cell_int((int64_t)table->rows);
		row[3] = cell_int((int64_t)table->dead);
		row[4] = cell_int((int64_t)table->unreadable);
		row[5] = cell_int((int64_t)table->total_rows);
		row[6] = (struct cell){ .type = CELL_DOUBLE,
					.d = (double)table->duration_ms / 1000.0 };
	}
	code = output_print(config, &answer, OUTPUT_OF_LIST, err);
	free(cells);
	return code;
}

/* Fields that no column is made of: a mistyped one shows nowhere else. */
static void say_unknown(const struct batch_report *report)
{
	for (size_t i = 0; i < report->table_count; i++) {
		const struct batch_table *table = &report->tables[i];
		struct buf names;

		if (table->unknown.count == 0)
			continue;
		buf_init(&names, UNKNOWN_NAMES_MAX * UNKNOWN_NAME_BYTES * 8);
		unknown_fields_put(&names, &table->unknown);
		trace_warn(
			"table \"%s\": fields that its model does not name, and how many records have "
			"them: %s",
			table->name, buf_cstr(&names));
		buf_release(&names);
	}
}

/* It is one of many turns. */
static bool is_of_up(const struct config *config)
{
	const char *by = config_text(config, OPT_BY);

	return strcmp(by, "every") == 0 || strcmp(by, "schedule") == 0;
}

/* "1,204 clean, 3 dead letters, 2 of clicks: lacks "at", 8 answers, 0.4 s" */
static void say_done(const struct batch_report *report)
{
	char count[PROGRESS_COUNT_MAX];
	uint64_t rows = 0, dead = 0;
	struct buf line;

	for (size_t i = 0; i < report->table_count; i++) {
		rows += report->tables[i].rows;
		dead += report->tables[i].dead;
	}
	buf_init(&line, LINE_BYTES_MAX);
	buf_addf(&line, "%s clean, ", progress_count(rows, count));
	if (letter_news_take(&line))
		buf_add_str(&line, ", ");
	buf_addf(&line, "%zu answers, %.1f s", report->results.count - report->results.failed,
		 (double)report->duration_ms / 1000);
	if (rows + dead > 0)
		news_tell(told_news(), "%s", buf_cstr(&line));
	else
		trace_debug("%s", buf_cstr(&line));
	buf_release(&line);
}

static enum err_code cmd_batch_print(const struct config *config, const struct batch_report *report,
				     struct err *err)
{
	struct buf out;
	enum err_code code;

	if (output_format(config) != OUTPUT_JSON)
		return print_tables(config, report, err);
	buf_init(&out, REPORT_BYTES_MAX);
	batch_report_put(&out, report);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

/* Without an engine, where there is nothing for it to do. */
static enum err_code cmd_batch_do(const struct config *config, struct sql_side *side,
				  struct batch_options *options, struct batch_report *ret_report,
				  struct err *err)
{
	enum err_code code;

	if (answered_is_now(options->answered))
		return batch_run_idle(options, ret_report, err);
	code = sql_side_start(config, side, err);
	options->engine = side->engine;
	if (code == ERR_OK)
		code = interrupt_begin(&side->interrupt, "cleaning", side->engine, err);
	if (code != ERR_OK)
		return code;
	/* Of one that somebody waits for. */
	interrupt_show(&side->interrupt, !strcmp(config_text(config, OPT_BY), "command"));
	code = batch_run(options, ret_report, err);
	interrupt_show(&side->interrupt, false);
	return code;
}

/* Of one that `up` runs at an interval. */
static int64_t cmd_batch_period_ms(const struct config *config)
{
	bool by_every = strcmp(config_text(config, OPT_BY), "every") == 0;

	return by_every ? config_int(config, OPT_SCHEDULE) : 0;
}

static enum err_code cmd_batch_work(const struct config *config, struct run_ledger *ledger,
				    struct err *err)
{
	struct batch_report report = { 0 };
	struct answered_options answered = { .id = config_text(config, OPT_ID),
					     .engine = config_text(config, OPT_ENGINE) };
	struct batch_tell tell = { .tables = NULL };
	struct sql_side side;
	enum err_code code = sql_side_look(config, &side, err);
	struct batch_options options = { .models = &side.models,
					 .id = config_text(config, OPT_ID),
					 .dir = config_text(config, OPT_DIR),
					 .start_ms = clock_mono_ms(),
					 .ledger = ledger };

	if (code != ERR_OK)
		return code;
	run_ledger_tell(ledger, side.store);
	options.store = answered.store = side.store;
	options.lake_url = side.results.lake_url;
	answered.models = &side.models;
	code = batch_tell_begin(&tell, &side.models, options.id, cmd_batch_period_ms(config), err);
	options.answered = answered_new(&answered);
	if (code == ERR_OK)
		code = setup_keep(config, TOPIC_LOG, &options.keep, err);
	if (code == ERR_OK)
		code = cmd_batch_do(config, &side, &options, &report, err);
	batch_tell_end(&tell, code == ERR_OK ? &report : NULL);
	if (code == ERR_OK) {
		say_unknown(&report);
		if (is_of_up(config))
			say_done(&report);
		code = cmd_batch_print(config, &report, err);
	}
	for (size_t i = 0; i < report.table_count; i++)
		if (report.tables[i].err.code != ERR_OK)
			trace_error("%s", report.tables[i].err.msg);
	for (size_t i = 0; i < report.results.count; i++)
		if (report.results.list[i].err.code != ERR_OK)
			trace_error("%s", report.results.list[i].err.msg);
	if (code == ERR_OK)
		code = batch_report_verdict(&report, err);
	batch_report_release(&report);
	answered_free(options.answered);
	sql_side_close(&side);
	return code;
}

static enum err_code run_batch(const struct config *config, struct err *err)
{
	struct run_ledger ledger;
	struct seen seen;
	const char *dir;
	enum err_code code = *config_text(config, OPT_LAKE) ? setup_dir(config, &dir, err)
							    : setup_dir_there(config, &dir, err);

	if (code == ERR_OK)
		code = run_ledger_begin(&ledger, dir, config_text(config, OPT_BY), err);
	if (code != ERR_OK)
		return code;
	code = seen_begin(&seen, config, "batch", err);
	if (code == ERR_OK)
		code = cmd_batch_work(config, &ledger, err);
	seen_end(&seen);
	if (code == ERR_OK)
		err->code = ERR_OK;
	run_ledger_end(&ledger, err);
	return code;
}

static int cmd_batch_run(struct config *config, int argc, const char *const *argv)
{
	int status = 0;
	struct err err;

	(void)argc;
	(void)argv;
	if (is_of_up(config))
		told_begin(config_text(config, OPT_DIR), CHILDREN_BATCH_TOLD);
	if (run_batch(config, &err) != ERR_OK)
		status = cmd_fail(&err);
	if (is_of_up(config))
		told_end();
	return status;
}

static const enum option options[] = {
	OPT_LAKE,	    OPT_CREATE,	  OPT_MODELS,	  OPT_ENGINE,	      OPT_ENGINE_MEMORY,
	OPT_ENGINE_THREADS, OPT_BY,	  OPT_TABLE_KEEP, OPT_TABLE_KEEP_LOG, OPT_TABLE_CHECKPOINT,
	OPT_METRICS_LISTEN, OPTION_COUNT,
};

const struct command cmd_batch = {
	.name = "batch",
	.summary = "Clean what is new in the lake into tables and run the analyses",
	.usage = "[options]",
	.details =
		"Cleans the objects that no earlier run has cleaned, so it costs what is new. The\n"
		"answers go to results/ in the lake, records that are no row to its dead letters.\n",
	.options = options,
	.examples = "pinpipe batch --dir data\n"
		    "pinpipe batch --dir data --format json\n",
	.run = cmd_batch_run,
};
