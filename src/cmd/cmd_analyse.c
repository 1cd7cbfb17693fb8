/* Asks the analyses over the clean tables and prints the answers, or which analyses there are. */
#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/sql_side.h"
#include "cmd/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
	ANSWERS_MAX = 64,
	ANSWERS_BYTES_MAX = 512 << 20,
	NAMES_BYTES_MAX = 8192,
	NAMES_TOLD = 20,
	READ_BYTES = 1 << 16,
};

/* The analyses that were asked for. */
struct asked {
	const struct analysis_model *list[ANSWERS_MAX];
	size_t count;
};

static const char *analysis_at(const void *list, size_t n)
{
	const struct models *models = list;

	return n < models->analysis_count ? models->analyses[n].model.name : NULL;
}

/* Before the error, which then stands next to the prompt. */
static void say_names(const struct models *models)
{
	struct buf said;

	if (models->analysis_count == 0)
		return;
	buf_init(&said, NAMES_BYTES_MAX);
	buf_add_str(&said, "The analyses are:\n");
	for (size_t i = 0; i < models->analysis_count && i < NAMES_TOLD; i++)
		buf_addf(&said, "  %s\n", models->analyses[i].model.name);
	if (models->analysis_count > NAMES_TOLD)
		buf_add_str(&said, "  … (`pinpipe analyse --list` has all)\n");
	cmd_say(&said);
	buf_release(&said);
}

static enum err_code tell_absent(const struct models *models, const char *name, struct err *err)
{
	const char *fault = models_fault(models, MODEL_ANALYSIS, name);
	const char *meant = nearest(name, analysis_at, models);

	if (fault)
		return err_set(err, ERR_USAGE, "%s", fault);
	if (!meant)
		say_names(models);
	return err_set(err, ERR_USAGE, "there is no analysis \"%s\" among the models%s%s%s", name,
		       meant ? ", did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

static enum err_code cmd_analyse_choose(const struct models *models, int argc,
					const char *const *argv, struct asked *ret_asked,
					struct err *err)
{
	size_t count = argc > 0 ? (size_t)argc : models->analysis_count;

	if (count > ANSWERS_MAX)
		return err_set(err, ERR_USAGE, "%zu analyses at once, %d are allowed: name some", count,
			       ANSWERS_MAX);
	for (size_t i = 0; i < count; i++) {
		ret_asked->list[i] = argc > 0 ? models_analysis(models, argv[i]) :
				     &models->analyses[i];
		if (!ret_asked->list[i])
			return tell_absent(models, argv[i], err);
	}
	ret_asked->count = count;
	return ERR_OK;
}

static void put_answer(struct buf *out, const struct analysis_model *analysis,
		       const struct answer *answer, enum output_format format, size_t i)
{
	switch (format) {
	case OUTPUT_JSON:
		buf_add_str(out, i ? ",\n" : "");
		json_put_string(out, slice_str(analysis->model.name));
		buf_add_char(out, ':');
		answer_put_json(out, answer);
		break;
	case OUTPUT_TABLE:
		buf_addf(out, "%s%s\n\n", i ? "\n" : "", analysis->model.title);
		output_put(out, answer, OUTPUT_OF_QUESTION, format);
		break;
	case OUTPUT_CSV:
		output_put(out, answer, OUTPUT_OF_QUESTION, format);
		break;
	case OUTPUT_PARQUET: /* has a way of its own */
		break;
	}
}

/* What is wrong with one question takes no other with it. */
static bool is_of_one_question(enum err_code code)
{
	return code == ERR_USAGE || code == ERR_SHAPE || code == ERR_UNSUPPORTED ||
	       code == ERR_LIMIT;
}

/* The command's status is that of the last failure; of this one only the words count. */
static void tell_failure(const struct err *err)
{
	int status = cmd_fail(err);

	(void)status;
}

/* Where all are asked for, those that are broken are among them. */
static enum err_code tell_broken(const struct models *models, struct err *err)
{
	size_t count = models_broken(models, MODEL_ANALYSIS);

	for (size_t i = 0; i < models->broken_count; i++)
		if (models->broken[i].kind == MODEL_ANALYSIS)
			trace_error("%s", models->broken[i].fault);
	return count == 0 ? ERR_OK
			  : err_set(err, ERR_SHAPE,
				    "%zu of the analyses failed; the others were answered", count);
}

/* The answers into `out`. Failures of questions are told; the last one's is left in *err. */
static enum err_code answer_all(struct engine *engine, const struct asked *asked,
				enum output_format format, struct buf *out, size_t *ret_answered,
				struct err *err)
{
	enum err_code failed = ERR_OK;
	size_t answered = 0;

	for (size_t i = 0; i < asked->count; i++) {
		struct answer answer;
		struct err why = { 0 };

		if (engine_ask(engine, &asked->list[i]->model, NULL, &answer, &why) == ERR_OK) {
			put_answer(out, asked->list[i], &answer, format, answered++);
			answer_release(&answer);
			continue;
		}
		if (failed != ERR_OK)
			tell_failure(err);
		*err = why;
		failed = why.code;
		if (!is_of_one_question(failed))
			break;
	}
	*ret_answered = answered;
	return failed;
}

static enum err_code ask_all(const struct config *config, struct engine *engine,
			     const struct asked *asked, struct err *err)
{
	enum output_format format = output_format(config);
	struct err unprinted;
	enum err_code code;
	struct buf out;
	size_t answered;

	if (format == OUTPUT_CSV && asked->count != 1)
		return err_set(err, ERR_USAGE, "CSV is for one analysis: name it");
	buf_init(&out, ANSWERS_BYTES_MAX);
	buf_add_str(&out, format == OUTPUT_JSON ? "{" : "");
	code = answer_all(engine, asked, format, &out, &answered, err);
	buf_add_str(&out, format == OUTPUT_JSON ? "}\n" : "");
	if ((code == ERR_OK || answered > 0) && cmd_print(&out, &unprinted) != ERR_OK) {
		*err = unprinted;
		code = err->code;
	}
	buf_release(&out);
	return code;
}

/* --- parquet ------------------------------------------------------------------------ */

static enum err_code print_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err_code code = ERR_OK;
	char bytes[READ_BYTES];
	ssize_t n = 0;

	if (fd < 0)
		return err_errno(err, "could not open \"%s\"", path);
	while (code == ERR_OK && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		struct buf out;

		buf_init(&out, sizeof(bytes));
		buf_add(&out, bytes, (size_t)n);
		code = cmd_print(&out, err);
		buf_release(&out);
	}
	if (n < 0)
		code = err_errno(err, "could not read \"%s\"", path);
	(void)close(fd);
	return code;
}

/* As the last batch has left it in the lake. */
static enum err_code print_lakes_result(const struct sql_side *side, const char *name,
					struct err *err)
{
	enum err_code code;
	struct buf key, out;

	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&out, ANSWERS_BYTES_MAX);
	buf_addf(&key, "results/%s.parquet", name);
	code = store_get(side->store, buf_cstr(&key), 0, UINT64_MAX, &out, err);
	if (code == ERR_ABSENT)
		code = err_set(err, code,
			       "no batch has answered \"%s\" yet, and \"%s\" is not to be "
			       "written, where Parquet is made",
			       name, side->temp_dir);
	if (code == ERR_OK) {
		trace_info("as of the last batch: \"%s\" is not to be written", side->temp_dir);
		code = cmd_print(&out, err);
	}
	buf_release(&out);
	buf_release(&key);
	return code;
}

/* By way of a file in DIR/tmp, where the engine may write. */
static enum err_code ask_parquet(const struct sql_side *side, const struct asked *asked,
				 struct err *err)
{
	char path[PATH_MAX];
	struct answer answer;
	enum err_code code;

	if (asked->count != 1)
		return err_set(err, ERR_USAGE, "Parquet is for one analysis: name it");
	if (isatty(STDOUT_FILENO))
		return err_set(
			err, ERR_USAGE,
			"Parquet is no text for a terminal: send it to a file, > answer.parquet");
	if (access(side->temp_dir, W_OK) != 0)
		return print_lakes_result(side, asked->list[0]->model.name, err);
	if (snprintf(path, sizeof(path), "%s/answer-%d.parquet", side->temp_dir, (int)getpid()) >=
	    (int)sizeof(path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", side->temp_dir);
	(void)unlink(path);
	code = engine_ask(side->engine, &asked->list[0]->model, path, &answer, err);
	if (code == ERR_OK) {
		answer_release(&answer);
		code = print_file(path, err);
	}
	(void)unlink(path);
	return code;
}

/* --- which there are ------------------------------------------------------------------ */

/* The SQL is for a program that shows it, not for a line of a table. */
static const char *list_columns[] = { "analysis", "title", "chart", "description",
				      "file",	  "error", "sql" };
enum { LIST_WITHOUT_SQL = ARRAY_LEN(list_columns) - 1 };

static void list_sound(struct rows *rows, const struct analysis_model *analysis)
{
	struct cell *row = rows_add(rows);

	if (!row)
		return;
	row[0] = cell_text(analysis->model.name);
	row[1] = cell_text(analysis->model.title);
	row[2] = cell_text(chart_name(analysis->chart));
	row[3] = cell_text(analysis->description);
	row[4] = cell_text(analysis->model.file);
	if (rows->answer.column_count > LIST_WITHOUT_SQL)
		row[LIST_WITHOUT_SQL] = cell_text(analysis->model.sql);
}

static void list_broken(struct rows *rows, const struct broken_model *broken)
{
	struct cell *row = broken->kind == MODEL_ANALYSIS ? rows_add(rows) : NULL;

	if (!row)
		return;
	row[0] = cell_text(broken->name);
	row[4] = cell_text(broken->file);
	row[5] = cell_text(broken->fault);
}

static bool analysis_is_named(const char *name, int argc, const char *const *argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 0;
}

static enum err_code check_named(const struct models *models, int argc, const char *const *argv,
				 struct err *err)
{
	for (int i = 0; i < argc; i++)
		if (!models_analysis(models, argv[i]) &&
		    !models_fault(models, MODEL_ANALYSIS, argv[i]))
			return tell_absent(models, argv[i], err);
	return ERR_OK;
}

static enum err_code list_analyses(const struct config *config, int argc, const char *const *argv,
				   struct err *err)
{
	size_t columns = ARRAY_LEN(list_columns);
	struct models models = { 0 };
	struct rows rows;
	enum err_code code = setup_models_untold(config, &models, err);

	if (code == ERR_OK)
		code = check_named(&models, argc, argv, err);
	rows_init(&rows, list_columns,
		  output_format(config) == OUTPUT_TABLE ? LIST_WITHOUT_SQL : columns);
	rows.spare = TABLE_SPARE(3) | TABLE_SPARE(4);
	for (size_t i = 0; code == ERR_OK && i < models.analysis_count; i++)
		if (analysis_is_named(models.analyses[i].model.name, argc, argv))
			list_sound(&rows, &models.analyses[i]);
	for (size_t i = 0; code == ERR_OK && i < models.broken_count; i++)
		if (analysis_is_named(models.broken[i].name, argc, argv))
			list_broken(&rows, &models.broken[i]);
	if (code == ERR_OK)
		code = rows_print(&rows, config, err);
	rows_release(&rows);
	models_free(&models);
	return code;
}

/* -------------------------------------------------------------------------------------- */

static enum err_code cmd_analyse_analyse(const struct config *config, int argc,
					 const char *const *argv, struct err *err)
{
	struct asked asked = { 0 };
	struct sql_side side;
	enum err_code code = sql_side_attach(config, NULL, &side, err);

	if (code != ERR_OK)
		return code;
	code = cmd_analyse_choose(&side.models, argc, argv, &asked, err);
	if (code == ERR_OK && output_format(config) == OUTPUT_PARQUET)
		code = ask_parquet(&side, &asked, err);
	else if (code == ERR_OK)
		code = ask_all(config, side.engine, &asked, err);
	if (code == ERR_OK && argc == 0)
		code = tell_broken(&side.models, err);
	sql_side_close(&side);
	return code;
}

static int cmd_analyse_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;
	enum err_code code = config_bool(config, OPT_LIST)
				     ? list_analyses(config, argc, argv, &err)
				     : cmd_analyse_analyse(config, argc, argv, &err);

	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_FROM,	   OPT_LAKE,	       OPT_MODELS, OPT_ENGINE,
	OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPT_LIST,   OPTION_COUNT,
};

const struct command cmd_analyse = {
	.name = "analyse",
	.summary = "Answer the analyses from the clean tables",
	.usage = "[options] [NAME…]",
	.details =
		"Each file of models/analyses is an analysis; without a NAME all are answered. They\n"
		"see current rows only: of the rows with one key, the newest, and what was acknowledged,\n"
		"too, before it is in the tables; with --from batch or stream the tables alone.\n"
		"--list shows which there are, with their charts and files, and why one is broken; as JSON\n"
		"with their SQL. --format parquet gives the bytes of a Parquet file of one answer.\n",
	.options = options,
	.examples =
		"pinpipe analyse\n"
		"pinpipe analyse most_popular_category_by_country --format csv\n"
		"pinpipe analyse most_popular_category_by_country --format parquet >answer.parquet\n"
		"pinpipe analyse --from stream --format json\n"
		"pinpipe analyse --list\n",
	.gives_parquet = true,
	.positional_max = ANSWERS_MAX,
	.run = cmd_analyse_run,
};
