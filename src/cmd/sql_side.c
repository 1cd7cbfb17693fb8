#include "cmd/sql_side.h"

#include "base/trace.h"
#include "cmd/setup.h"
#include "cmd/setup_at.h"
#include "cmd/setup_live.h"
#include "cmd/setup_spark.h"

#include <stdio.h>

/* `there`: for who only reads; what is wrong with the models is told here, unless `quiet`. */
static enum err_code sql_side_begin(const struct config *config, bool there, bool quiet,
				    struct sql_side *side, struct err *err)
{
	const char *dir;
	enum err_code code;

	*side = (struct sql_side){ .live = LIVE_INIT };
	code = quiet ? setup_models_untold(config, &side->models, err)
		     : setup_models(config, &side->models, err);
	if (code == ERR_OK && !*config_text(config, OPT_LAKE))
		code = setup_dir_there(config, &dir, err);
	if (code == ERR_OK)
		code = there ? setup_store_there(config, &side->store, err)
			     : setup_store(config, &side->store, err);
	if (code != ERR_OK) {
		sql_side_close(side);
		return code;
	}
	(void)snprintf(side->temp_dir, sizeof(side->temp_dir), "%s/tmp",
		       config_text(config, OPT_DIR));
	side->results = (struct results_options){ .store = side->store,
						  .models = &side->models,
						  .id = config_text(config, OPT_ID),
						  .temp_dir = side->temp_dir };
	if (setup_is_spark(config)) {
		setup_spark_lake(config, side->lake_url);
		side->results.lake_url = side->lake_url;
	}
	return ERR_OK;
}

static enum err_code sql_side_start_engine(const struct config *config, bool there,
					   struct sql_side *side, struct err *err)
{
	enum err_code code = there ? setup_engine_there(config, side->store, &side->engine, err)
				   : setup_engine(config, side->store, &side->engine, err);

	side->results.engine = side->engine;
	return code;
}

enum err_code sql_side_look(const struct config *config, struct sql_side *side, struct err *err)
{
	return sql_side_begin(config, false, true, side, err);
}

enum err_code sql_side_start(const struct config *config, struct sql_side *side, struct err *err)
{
	return sql_side_start_engine(config, false, side, err);
}

enum err_code sql_side_open(const struct config *config, struct sql_side *side, struct err *err)
{
	enum err_code code = sql_side_look(config, side, err);

	if (code == ERR_OK && sql_side_start(config, side, err) != ERR_OK) {
		sql_side_close(side);
		code = err->code;
	}
	return code;
}

void sql_side_close(struct sql_side *side)
{
	interrupt_end(&side->interrupt);
	broker_free(side->live.broker);
	engine_free(side->engine);
	store_free(side->store);
	models_free(&side->models);
	sql_at_release(&side->at);
}

/* Over no tables, as a misspelt name has them, answers look like those over empty ones. */
static void sql_side_tell_missing(const struct config *config,
				  const struct results_missing *missing)
{
	const char *lake = config_text(config, OPT_LAKE);

	if (missing->count == 0)
		return;
	trace_warn("no table is there yet: looked for \"%s\"%s in \"%s%s\"", missing->first,
		   missing->count > 1 ? " and others" : "",
		   *lake ? lake : config_text(config, OPT_DIR), *lake ? "" : "/lake");
}

/* Of the path that is asked, or else of the other one, if nothing but that has a table. */
static enum err_code attach_path(const struct config *config, struct sql_side *side,
				 const struct asked *asked, const char *question, struct err *err)
{
	struct results_missing missing = { 0 }, others = { 0 };
	enum err_code code = results_attach(&side->results, asked->kind, question, &missing, err);

	if (code == ERR_OK && missing.count > 0 && asked->either) {
		code = results_attach(&side->results, TOPIC_STREAM, question, &others, err);
		missing = others.count == 0 ? others : missing;
	}
	if (code == ERR_OK)
		sql_side_tell_missing(config, &missing);
	return code;
}

enum err_code sql_side_attach(const struct config *config, const char *question,
			      struct sql_side *side, struct err *err)
{
	struct asked asked;
	enum err_code code = setup_asked(config, &asked, err);

	if (code == ERR_OK)
		code = setup_at_check(config, question, err);
	if (code == ERR_OK)
		code = sql_side_begin(config, true, question == NULL, side, err);
	if (code != ERR_OK)
		return code;
	code = sql_side_start_engine(config, true, side, err);
	if (code == ERR_OK)
		code = interrupt_begin(&side->interrupt, "asking", side->engine, err);
	if (code == ERR_OK)
		code = setup_at(question, side, &question, err);
	if (code == ERR_OK)
		code = setup_live(config, question, side, &asked, err);
	if (code == ERR_OK)
		code = attach_path(config, side, &asked, question, err);
	if (code != ERR_OK)
		sql_side_close(side);
	return code;
}
