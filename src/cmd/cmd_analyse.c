/* Asks the analyses over the clean tables and prints the answers. */
#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/sql_side.h"

enum { ANSWERS_MAX = 64, ANSWERS_BYTES_MAX = 512 << 20, NAMES_BYTES_MAX = 8192, NAMES_TOLD = 4 };

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

static enum err_code tell_absent(const struct models *models, const char *name, struct err *err)
{
	const char *fault = models_fault(models, MODEL_ANALYSIS, name);

	const char *meant = nearest(name, analysis_at, models);
	struct buf names;

	if (fault)
		return err_set(err, ERR_USAGE, "%s", fault);
	if (meant)
		return err_set(err, ERR_USAGE,
			       "there is no analysis \"%s\" among the models, did you mean \"%s\"?",
			       name, meant);
	buf_init(&names, NAMES_BYTES_MAX);
	for (size_t i = 0; i < models->analysis_count && i < NAMES_TOLD; i++)
		buf_addf(&names, "%s%s", i ? ", " : "", models->analyses[i].model.name);
	if (models->analysis_count > NAMES_TOLD)
		buf_add_str(&names, ", … (`pinpipe models` lists all)");
	(void)err_set(err, ERR_USAGE, "there is no analysis \"%s\" among the models; there are: %s",
		      name, names.len ? buf_cstr(&names) : "none");
	buf_release(&names);
	return err->code;
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

static enum err_code cmd_analyse_analyse(const struct config *config, int argc,
					 const char *const *argv, struct err *err)
{
	struct asked asked = { 0 };
	struct sql_side side;
	enum err_code code = sql_side_attach(config, NULL, &side, err);

	if (code != ERR_OK)
		return code;
	code = cmd_analyse_choose(&side.models, argc, argv, &asked, err);
	if (code == ERR_OK)
		code = ask_all(config, side.engine, &asked, err);
	if (code == ERR_OK && argc == 0)
		code = tell_broken(&side.models, err);
	sql_side_close(&side);
	return code;
}

static int cmd_analyse_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	return cmd_analyse_analyse(config, argc, argv, &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_FROM,	   OPT_LAKE,	       OPT_MODELS,   OPT_ENGINE,
	OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPTION_COUNT,
};

const struct command cmd_analyse = {
	.name = "analyse",
	.summary = "Answer the analyses from the clean tables",
	.usage = "[options] [NAME…]",
	.details =
		"Each file of models/analyses is an analysis; without a NAME all are answered. They\n"
		"see current rows only: of the rows with one key, the newest, and what was acknowledged,\n"
		"too, before it is in the tables; with --from batch or stream the tables alone.\n",
	.options = options,
	.examples = "pinpipe analyse\n"
		    "pinpipe analyse most_popular_category_by_country --format csv\n"
		    "pinpipe analyse --from stream --format json\n",
	.positional_max = ANSWERS_MAX,
	.run = cmd_analyse_run,
};
