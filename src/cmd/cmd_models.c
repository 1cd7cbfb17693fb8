/* Lists the models with what they read and write, checks them, makes one of sample records. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/models_new.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/table.h"
#include "engine/reads.h"
#include "flow/lake.h"

#include <stdio.h>

enum { TEXT_BYTES_MAX = 1 << 20, READS_MEMORY = 64 << 20 };

static const enum option options[] = {
	OPT_MODELS, OPT_CHECK,	       OPT_LISTEN,	   OPT_TLS_CERT,
	OPT_ENGINE, OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPTION_COUNT,
};

/* --- the list ---------------------------------------------------------- */

static const char *model_columns[] = { "kind",	  "name",	 "title",	 "topic",
				       "stream",  "clean_table", "stream_table", "key",
				       "columns", "reads",	 "file" };
enum {
	KIND,
	NAME,
	TITLE,
	TOPIC,
	STREAM,
	CLEAN_TABLE,
	STREAM_TABLE,
	KEY,
	COLUMNS,
	READS,
	FILE_NAME
};

struct model_list {
	const struct config *config;
	const struct models *models;
	struct duck duck;
	struct rows rows;
	struct buf text;
};

static struct cell kept_text(struct model_list *list)
{
	struct cell cell = rows_text(&list->rows, buf_slice(&list->text));

	buf_clear(&list->text);
	return cell;
}

static struct cell *add_model(struct model_list *list, const char *kind, const struct model *model)
{
	struct cell *row = rows_add(&list->rows);

	row[KIND] = cell_text(kind);
	row[NAME] = cell_text(model->name);
	row[TITLE] = cell_text(model->title);
	row[FILE_NAME] = cell_text(model->file);
	return row;
}

/* Where one path of a table comes from and goes to. */
static enum err_code add_path(struct model_list *list, const struct clean_model *clean,
			      enum topic_kind kind, struct cell *ret_topic, struct cell *ret_table,
			      struct err *err)
{
	struct lake_table table;
	enum err_code code =
		lake_table_init(&table, clean, kind, config_text(list->config, OPT_ID), err);

	if (code != ERR_OK)
		return code;
	*ret_topic = rows_text(&list->rows, slice_str(table.topic));
	*ret_table = rows_text(&list->rows, slice_str(table.root));
	return ERR_OK;
}

static enum err_code add_clean(struct model_list *list, const struct clean_model *clean,
			       struct err *err)
{
	struct cell *row = add_model(list, "table", &clean->model);
	const struct delta_schema *schema = &clean->schema;
	enum err_code code = add_path(list, clean, TOPIC_LOG, &row[TOPIC], &row[CLEAN_TABLE], err);

	if (code == ERR_OK)
		code = add_path(list, clean, TOPIC_STREAM, &row[STREAM], &row[STREAM_TABLE], err);
	if (clean->key) {
		const char *column = schema->columns[clean->key_column].name;

		buf_add_str(&list->text, clean->key);
		if (strcmp(clean->key, column) != 0)
			buf_addf(&list->text, " AS %s", column);
		row[KEY] = kept_text(list);
	}
	for (size_t i = 0; i + 2 < schema->count; i++) /* without _partition and _offset */
		buf_addf(&list->text, "%s%s %s", i ? ", " : "", schema->columns[i].name,
			 model_type_name(schema->columns[i].type));
	row[COLUMNS] = kept_text(list);
	return code;
}

static void add_analysis(struct model_list *list, const struct analysis_model *analysis)
{
	struct cell *row = add_model(list, "analysis", &analysis->model);

	reads_put(&list->text, &list->duck, analysis->model.sql, list->models);
	row[READS] = kept_text(list);
}

static enum err_code list_models(const struct config *config, struct err *err)
{
	static const struct duck_options duck = { .memory_bytes_max = READS_MEMORY, .threads = 1 };
	struct models models;
	struct model_list list = { .config = config, .models = &models };
	enum err_code code = setup_models(config, &models, err);

	if (code != ERR_OK)
		return code;
	buf_init(&list.text, TEXT_BYTES_MAX);
	rows_init(&list.rows, model_columns, ARRAY_LEN(model_columns));
	for (size_t i = TITLE + 1; i < ARRAY_LEN(model_columns); i++)
		list.rows.spare |= TABLE_SPARE(i);
	code = duck_open(&duck, &list.duck, err);
	for (size_t i = 0; code == ERR_OK && i < models.clean_count; i++)
		code = add_clean(&list, &models.clean[i], err);
	for (size_t i = 0; code == ERR_OK && i < models.analysis_count; i++)
		add_analysis(&list, &models.analyses[i]);
	if (code == ERR_OK)
		code = rows_print(&list.rows, config, err);
	duck_close(&list.duck);
	rows_release(&list.rows);
	buf_release(&list.text);
	if (code == ERR_OK && models.broken_count > 0)
		code = err_set(err, ERR_SHAPE, "%zu models are broken (see above)",
			       models.broken_count);
	models_free(&models);
	return code;
}

/* --- the check --------------------------------------------------------- */

static void tell_on_stderr(void *user, const char *fault)
{
	(void)user;
	cmd_tell("%s", fault);
}

static void cmd_models_tell_fault(struct model_faults *faults, const struct err *fault)
{
	faults->tell(faults->user, fault->msg);
	faults->count++;
}

/* The SQL of those whose headers are sound, held against fields, columns and views. */
static enum err_code check_sql(const struct config *config, const struct models *models,
			       struct model_faults *faults, struct err *err)
{
	struct engine *engine = NULL;
	enum err_code code = setup_engine_in_memory(config, &engine, err);
	struct err fault;

	for (size_t i = 0; code == ERR_OK && i < models->clean_count; i++)
		if (engine_check_clean(engine, &models->clean[i], &fault) != ERR_OK)
			cmd_models_tell_fault(faults, &fault);
	for (size_t i = 0; code == ERR_OK && i < models->analysis_count; i++)
		if (engine_check_analysis(engine, models, &models->analyses[i], &fault) != ERR_OK)
			cmd_models_tell_fault(faults, &fault);
	engine_free(engine);
	return code;
}

static enum err_code check_models(const struct config *config, struct err *err)
{
	struct model_faults faults = { .tell = tell_on_stderr };
	struct models models;
	char dir[PATH_MAX];
	enum err_code code = setup_models_dir(config, dir, err);

	if (code == ERR_OK)
		code = models_load_sound(dir, &faults, &models, err);
	if (code != ERR_OK)
		return code;
	code = check_sql(config, &models, &faults, err);
	if (code == ERR_OK && faults.count > 0)
		code = err_set(err, ERR_SHAPE, "%zu fault%s in the models of \"%s\"", faults.count,
			       faults.count == 1 ? "" : "s", dir);
	else if (code == ERR_OK)
		cmd_tell("%zu tables and %zu analyses are sound", models.clean_count,
			 models.analysis_count);
	models_free(&models);
	return code;
}

static int cmd_models_run(struct config *config, int argc, const char *const *argv)
{
	enum err_code code;
	struct err err;

	if (argc > 0 && strcmp(argv[0], "new") != 0)
		code = err_set(&err, ERR_USAGE,
			       "\"%s\" is no action: new is one, without it they are listed",
			       argv[0]);
	else if (argc == 1)
		code = err_set(&err, ERR_USAGE, "a name for the table goes after \"new\"");
	else if (argc == 2)
		code = models_new(config, argv[1], &err);
	else if (config_bool(config, OPT_CHECK))
		code = check_models(config, &err);
	else
		code = list_models(config, &err);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_models = {
	.name = "models",
	.summary = "List the SQL models, check them, or make one from sample records",
	.usage = "[new NAME] [options]",
	.details =
		"Lists the tables, with where their records come from and go to, and the analyses with the\n"
		"views that they read. --check tells every fault with its file and line. `new` writes\n"
		"clean/NAME.sql from sample records on stdin (an object a line, or an array): their fields,\n"
		"types and, where one is likely, the key; and it shows how to post to the new table.\n",
	.examples = "pinpipe models\n"
		    "pinpipe models --check --models mine\n"
		    "pinpipe models new clicks --models mine < sample.ndjson\n",
	.options = options,
	.positional_max = 2,
	.run = cmd_models_run,
};
