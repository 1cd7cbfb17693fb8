/* The history of batch: what the lake keeps of its runs. */
#include "base/mem.h"
#include "base/time.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/table.h"
#include "flow/runs.h"

static const enum option options[] = { OPT_LAKE, OPT_RUNS, OPTION_COUNT };

enum { RUNS_ARENA_MAX = 64 << 20, ISO_MAX = 32 };

static const char *columns[] = { "run",	 "started", "seconds", "outcome",    "exit", "by",
				 "rows", "dead",    "tables_failed", "analyses_failed", "error" };

static struct cell cmd_runs_time(struct rows *rows, int64_t wall_ms)
{
	struct cell cell;
	struct buf text;

	buf_init(&text, ISO_MAX);
	time_put_iso(&text, wall_ms);
	cell = rows_text(rows, buf_slice(&text));
	buf_release(&text);
	return cell;
}

static void cmd_runs_add(struct rows *rows, const struct run *run)
{
	struct cell *row = rows_add(rows);

	if (!row)
		return;
	row[0] = cell_text(run->name);
	row[1] = cmd_runs_time(rows, run->began_ms);
	row[2] = (struct cell){ .type = CELL_DOUBLE, .d = (double)run->duration_ms / 1000.0 };
	row[3] = cell_text(run->outcome);
	if (run->status >= 0)
		row[4] = cell_int(run->status);
	row[5] = cell_text(run->by);
	row[6] = cell_int(run->rows);
	row[7] = cell_int(run->dead);
	row[8] = cell_int(run->tables_failed);
	row[9] = cell_int(run->answers_failed);
	row[10] = cell_text(run->error);
}

static enum err_code cmd_runs_list(const struct config *config, struct err *err)
{
	struct store *store = NULL;
	struct arena arena;
	struct run *runs = NULL;
	struct rows rows;
	size_t count = 0;
	enum err_code code;

	arena_init(&arena, RUNS_ARENA_MAX);
	rows_init(&rows, columns, ARRAY_LEN(columns));
	rows.spare = TABLE_SPARE(1) | TABLE_SPARE(4) | TABLE_SPARE(8) | TABLE_SPARE(9);
	code = setup_store_there(config, &store, err);
	if (code == ERR_OK)
		code = runs_read(store, config_text(config, OPT_DIR),
				 (size_t)config_int(config, OPT_RUNS), &arena, &runs, &count, err);
	for (size_t i = 0; i < count; i++)
		cmd_runs_add(&rows, &runs[i]);
	if (code == ERR_OK)
		code = rows_print(&rows, config, err);
	free(runs);
	rows_release(&rows);
	store_free(store);
	arena_release(&arena);
	return code;
}

static int cmd_runs_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	(void)argc;
	(void)argv;
	return cmd_runs_list(config, &err) == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_runs = {
	.name = "runs",
	.summary = "Show what the last runs of batch did, and what started them",
	.usage = "[options]",
	.details =
		"The newest first, those that failed or are at work included. One that was killed, or failed\n"
		"before the lake was open, is known in its --dir, and in the lake once a batch ran there again.\n",
	.options = options,
	.examples = "pinpipe runs --dir data\n"
		    "pinpipe runs --limit 1 --format json\n",
	.run = cmd_runs_run,
};
