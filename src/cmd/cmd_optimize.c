/* Puts the files of tables together, once. */
#include "base/mem.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "flow/lake.h"

enum { TABLES_MAX = 1000 };

static const char *const path_name[] = { [TOPIC_LOG] = "batch", [TOPIC_STREAM] = "stream" };

static const enum option options[] = {
	OPT_FROM, OPT_LAKE, OPT_MODELS, OPT_FILE_SIZE, OPT_MAINTAIN_MEMORY, OPTION_COUNT,
};

/* What the command works on. */
struct optimizing {
	const struct config *config;
	struct models models;
	struct compactor compactor;
	struct rows rows;
	size_t failed;	/* tables that were left as they are, */
	struct err err; /* the first of them for this reason */
};

static void optimize_put(struct optimizing *optimizing, const struct lake_table *place,
			 const struct compact_report *report)
{
	struct cell *cells = rows_add(&optimizing->rows);

	if (!cells)
		return;
	cells[0] = cell_text(place->model->model.name);
	cells[1] = cell_text(path_name[place->kind]);
	cells[2] = cell_int((int64_t)report->files_before);
	cells[3] = cell_int((int64_t)report->files_after);
	cells[4] = cell_int((int64_t)report->bytes_before);
	cells[5] = cell_int((int64_t)report->bytes_after);
	cells[6] = cell_int((int64_t)report->commits);
}

/* What is wrong with one table leaves that one out, and is told. */
static enum err_code optimize_place(struct optimizing *optimizing, const struct lake_table *place,
				    struct err *err)
{
	struct compact_report report;
	enum err_code code = compactor_run(&optimizing->compactor, place->root,
					   place->model->model.name, &report, err);

	if (code == ERR_OK && report.there)
		optimize_put(optimizing, place, &report);
	if (code == ERR_OK || code == ERR_STOPPED)
		return code;
	trace_error("%s", err->msg);
	if (optimizing->failed++ == 0)
		optimizing->err = *err;
	return ERR_OK;
}

/* A model's table on the paths of --from. */
static enum err_code optimize_table(struct optimizing *optimizing, const struct clean_model *model,
				    struct err *err)
{
	const char *from = config_text(optimizing->config, OPT_FROM);

	for (int kind = 0; kind < (int)ARRAY_LEN(path_name); kind++) {
		struct lake_table place;
		enum err_code code;

		if (strcmp(from, path_name[1 - kind]) == 0)
			continue;
		code = lake_table_init(&place, model, (enum topic_kind)kind,
				       config_text(optimizing->config, OPT_ID), err);
		if (code == ERR_OK)
			code = optimize_place(optimizing, &place, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

static enum err_code optimize_named(struct optimizing *optimizing, const char *name,
				    struct err *err)
{
	const struct clean_model *model = models_clean(&optimizing->models, name);
	const char *fault = models_fault(&optimizing->models, MODEL_CLEAN, name);

	if (fault)
		return err_set(err, ERR_USAGE, "%s", fault);
	if (!model)
		return err_set(err, ERR_USAGE,
			       "no clean model \"%.80s\"; `pinpipe models` lists them", name);
	return optimize_table(optimizing, model, err);
}

static enum err_code optimize_all(struct optimizing *optimizing, int count,
				  const char *const *names, struct err *err)
{
	for (int i = 0; i < count; i++)
		if (optimize_named(optimizing, names[i], err) != ERR_OK)
			return err->code;
	for (size_t i = 0; count == 0 && i < optimizing->models.clean_count; i++)
		if (optimize_table(optimizing, &optimizing->models.clean[i], err) != ERR_OK)
			return err->code;
	return ERR_OK;
}

static enum err_code optimize(struct optimizing *optimizing, int count, const char *const *names,
			      struct err *err)
{
	static const char *columns[] = { "table",	"path",		"files_before",
					 "files_after", "bytes_before", "bytes_after",
					 "commits" };
	struct compact_options compact;
	struct store *store = NULL;
	enum err_code code = setup_store_there(optimizing->config, &store, err);

	if (code == ERR_OK)
		code = setup_compact(optimizing->config, store, &compact, err);
	if (code != ERR_OK) {
		store_free(store);
		return code;
	}
	compact.policy.all = true;
	compactor_init(&optimizing->compactor, &compact);
	rows_init(&optimizing->rows, columns, ARRAY_LEN(columns));
	code = optimize_all(optimizing, count, names, err);
	if (code == ERR_OK)
		code = rows_print(&optimizing->rows, optimizing->config, err);
	if (code == ERR_OK && optimizing->failed > 0)
		code = err_set(err, optimizing->err.code,
			       "%zu tables were left as they are; the others are done",
			       optimizing->failed);
	rows_release(&optimizing->rows);
	compactor_release(&optimizing->compactor);
	store_free(store);
	return code;
}

static int cmd_optimize_run(struct config *config, int argc, const char *const *argv)
{
	struct optimizing optimizing = { .config = config };
	struct err err;
	enum err_code code = setup_models(config, &optimizing.models, &err);

	if (code != ERR_OK)
		return cmd_fail(&err);
	code = optimize(&optimizing, argc, argv, &err);
	models_free(&optimizing.models);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_optimize = {
	.name = "optimize",
	.summary = "Put the files of tables together, now",
	.usage = "[TABLE...] [options]",
	.details =
		"Makes as few files of a table as --file-size allows, in commits that change no row (Delta's\n"
		"OPTIMIZE); without a TABLE of all tables. Others may read and write it meanwhile, `pinpipe up`\n"
		"too. The old files stay until they are cleaned up, as older versions are made of them. First each\n"
		"row is there once again that an OPTIMIZE of another program has doubled.\n",
	.examples = "pinpipe optimize --dir data\n"
		    "pinpipe optimize clicks --from stream --file-size 512MiB --dir data\n",
	.options = options,
	.positional_max = TABLES_MAX,
	.run = cmd_optimize_run,
};
