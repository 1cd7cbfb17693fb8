/* Cleans a table again with today's model, on one path or both. */
#include "base/lock.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/setup.h"
#include "cmd/sql_side.h"
#include "flow/rebuild.h"

enum { COLUMNS = 8, PATHS = 2 };

static const char *const path_name[PATHS] = { [TOPIC_LOG] = "batch", [TOPIC_STREAM] = "stream" };
static const char *const path_lock[PATHS] = { [TOPIC_LOG] = "batch.lock",
					      [TOPIC_STREAM] = "stream.lock" };

/* What a rebuild of a table's paths works with, and what comes of it. */
struct rebuilding {
	const struct clean_model *model;
	bool wanted[PATHS];
	int lock[PATHS];
	int replay_lock;
	struct rebuild_report report[PATHS];
};

/* Both, unless one is named. */
static enum err_code choose_paths(const struct config *config, struct rebuilding *rebuilding,
				  struct err *err)
{
	const char *from = config_text(config, OPT_FROM);

	if (strstr(from, "live"))
		return err_set(err, ERR_USAGE, "--from %s: no table of its own, to be rebuilt",
			       from);
	for (int kind = 0; kind < PATHS; kind++) {
		rebuilding->wanted[kind] = strcmp(from, path_name[1 - kind]) != 0;
		rebuilding->lock[kind] = -1;
	}
	rebuilding->replay_lock = -1;
	return ERR_OK;
}

/* All locks first: half of what was asked for is worth little. */
static enum err_code rebuild_lock(struct rebuilding *rebuilding, const char *dir, struct err *err)
{
	for (int kind = 0; kind < PATHS; kind++)
		if (rebuilding->wanted[kind] &&
		    lock_take(dir, path_lock[kind], path_name[kind], &rebuilding->lock[kind],
			      err) != ERR_OK)
			return err->code;
	/* A replay commits rows of the letters that this cleans again. */
	return lock_take(dir, "replay.lock", "replay", &rebuilding->replay_lock, err);
}

static enum err_code cmd_rebuild_print(const struct config *config,
				       const struct rebuilding *rebuilding, struct err *err)
{
	static const char *columns[COLUMNS] = { "table", "path", "rows_before", "rows_after",
						"kept", "dropped", "dead", "seconds" };
	struct cell cells[PATHS * COLUMNS];
	struct answer answer = { .columns = columns, .column_count = COLUMNS, .cells = cells };
	struct cell *cell = cells;

	for (int kind = 0; kind < PATHS; kind++) {
		const struct rebuild_report *report = &rebuilding->report[kind];

		if (!rebuilding->wanted[kind] || !report->there)
			continue;
		*cell++ = cell_text(rebuilding->model->model.name);
		*cell++ = cell_text(path_name[kind]);
		*cell++ = cell_int((int64_t)report->rows_before);
		*cell++ = cell_int((int64_t)report->rows_after);
		*cell++ = cell_int((int64_t)report->kept);
		*cell++ = cell_int((int64_t)report->dropped);
		*cell++ = cell_int((int64_t)report->dead);
		*cell++ = (struct cell){ .type = CELL_DOUBLE,
					 .d = (double)report->duration_ms / 1000.0 };
		answer.row_count++;
	}
	return output_print(config, &answer, OUTPUT_OF_LIST, err);
}

static enum err_code rebuild_paths(const struct config *config, struct sql_side *side,
				   struct rebuilding *rebuilding, struct err *err)
{
	struct duck_options duck_options = {
		.memory_bytes_max = (uint64_t)config_int(config, OPT_ENGINE_MEMORY),
		.threads = 1,
		.temp_dir = side->temp_dir,
	};
	struct duck duck = { 0 };
	struct rebuild_options options = {
		.store = side->store,
		.engine = side->engine,
		.duck = &duck,
		.models = &side->models,
		.id = config_text(config, OPT_ID),
		.dir = config_text(config, OPT_DIR),
		.rows_max = (uint64_t)config_int(config, OPT_TABLE_ROWS),
		.bytes_max = (size_t)config_int(config, OPT_TABLE_BYTES),
		.drop_unreachable = config_bool(config, OPT_DROP_UNREACHABLE),
	};
	enum err_code code = setup_log_reader(config, true, &options.broker, err);

	if (code == ERR_OK)
		code = duck_open(&duck_options, &duck, err);
	for (int kind = 0; kind < PATHS && code == ERR_OK; kind++)
		if (rebuilding->wanted[kind])
			code = rebuild_table(&options, rebuilding->model, (enum topic_kind)kind,
					     &rebuilding->report[kind], err);
	duck_close(&duck);
	broker_free(options.broker);
	return code;
}

static enum err_code find_model(const struct models *models, const char *name,
				const struct clean_model **ret_model, struct err *err)
{
	const char *fault = models_fault(models, MODEL_CLEAN, name);

	*ret_model = models_clean(models, name);
	if (fault)
		return err_set(err, ERR_USAGE, "%s", fault);
	if (!*ret_model)
		return err_set(err, ERR_USAGE, "no clean model \"%.80s\"; `pinpipe models` lists them",
			       name);
	return ERR_OK;
}

static enum err_code rebuild(const struct config *config, const char *name, struct err *err)
{
	struct rebuilding rebuilding = { 0 };
	struct sql_side side;
	enum err_code code = choose_paths(config, &rebuilding, err);

	if (code == ERR_OK)
		code = sql_side_open(config, &side, err);
	if (code != ERR_OK)
		return code;
	code = find_model(&side.models, name, &rebuilding.model, err);
	if (code == ERR_OK)
		code = rebuild_lock(&rebuilding, config_text(config, OPT_DIR), err);
	if (code == ERR_OK)
		code = rebuild_paths(config, &side, &rebuilding, err);
	for (int kind = 0; kind < PATHS; kind++)
		lock_release(rebuilding.lock[kind]);
	lock_release(rebuilding.replay_lock);
	if (code == ERR_OK)
		code = cmd_rebuild_print(config, &rebuilding, err);
	sql_side_close(&side);
	return code;
}

static int cmd_rebuild_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	(void)argc;
	return rebuild(config, argv[0], &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_FROM,	    OPT_DROP_UNREACHABLE, OPT_LAKE,   OPT_MODELS,
	OPT_TABLE_ROWS,	    OPT_TABLE_BYTES,	  OPT_ENGINE, OPT_ENGINE_MEMORY,
	OPT_ENGINE_THREADS, OPTION_COUNT,
};

const struct command cmd_rebuild = {
	.name = "rebuild",
	.summary = "Clean a table again with today's model",
	.usage = "TABLE [options]",
	.details =
		"After a model was changed: makes the batch table anew out of the raw objects, and the\n"
		"streaming table out of the log, as far as they reach, in one commit each; a reader sees\n"
		"the old rows or the new. Rows whose records are not there any more stay as they are\n"
		"(null where they do not fit the model's columns) and are counted. No batch or stream\n"
		"may run on the data directory meanwhile.\n",
	.options = options,
	.positional_min = 1,
	.positional_max = 1,
	.examples = "pinpipe rebuild clicks --dir data\n"
		    "pinpipe rebuild clicks --from stream --drop-unreachable --dir data\n",
	.run = cmd_rebuild_run,
};
