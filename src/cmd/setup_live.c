#include "cmd/setup_live.h"

#include "base/mem.h"
#include "base/trace.h"
#include "cmd/setup.h"
#include "cmd/setup_spark.h"

#include <string.h>

static const struct asked_of {
	const char *name; /* of --from */
	enum topic_kind kind;
	bool live; /* with what the log holds beyond the tables */
} asked_of[] = {
	{ "auto", TOPIC_LOG, false },	   { "batch", TOPIC_LOG, false },
	{ "stream", TOPIC_STREAM, false }, { "live", TOPIC_STREAM, true },
	{ "batch-live", TOPIC_LOG, true },
};

/* NULL: none of these. */
static const struct asked_of *find_asked(const struct config *config)
{
	const char *from = config_text(config, OPT_FROM);

	for (size_t i = 0; i < ARRAY_LEN(asked_of); i++)
		if (strcmp(asked_of[i].name, from) == 0)
			return &asked_of[i];
	return NULL;
}

enum err_code setup_asked_kind(const struct config *config, enum topic_kind *ret_kind,
			       struct err *err)
{
	const struct asked_of *of = find_asked(config);

	if (!of)
		return err_set(err, ERR_USAGE, "--from both: a question is asked of one of them");
	if (of->live && setup_is_spark(config))
		return err_set(err, ERR_UNSUPPORTED,
			       "live views are DuckDB's: --engine duckdb answers them");
	*ret_kind = of->kind;
	return ERR_OK;
}

static bool may_be_live(const struct sql_side *side, const char *question)
{
	if (question)
		return strcasestr(question, "_live");
	for (size_t i = 0; i < side->models.analysis_count; i++)
		if (strcasestr(side->models.analyses[i].model.sql, "_live"))
			return true;
	return false;
}

/* Without a log there is nothing beyond the tables; where it only is not here, there may be. */
static enum err_code open_live_log(const struct config *config, struct broker **ret_broker,
				   struct err *err)
{
	bool here = !setup_lake_alone(config);
	enum err_code code = here ? setup_log_there(config, ret_broker, err) : ERR_ABSENT;

	if (code != ERR_ABSENT)
		return code;
	trace_warn("there is no log in \"%s\": live views show the tables alone",
		   config_text(config, OPT_DIR));
	*ret_broker = broker_none_new();
	return ERR_OK;
}

enum err_code setup_live(const struct config *config, const char *question, struct sql_side *side,
			 struct err *err)
{
	bool all = find_asked(config)->live;
	enum err_code code;

	if (setup_is_spark(config) || (!all && !may_be_live(side, question)))
		return ERR_OK;
	code = open_live_log(config, &side->live.broker, err);
	side->live.store = side->store;
	side->live.engine = side->engine;
	side->live.temp_dir = side->temp_dir;
	side->results.live = &side->live;
	side->results.live_all = all;
	return code;
}
