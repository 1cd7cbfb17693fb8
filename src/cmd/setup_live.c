#include "cmd/setup_live.h"

#include "base/mem.h"
#include "base/trace.h"
#include "cmd/setup.h"
#include "cmd/setup_spark.h"
#include "flow/lake.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

static const struct asked_of {
	const char *name; /* of --from */
	enum topic_kind kind;
	bool live; /* with what the log holds beyond the tables */
	bool finds; /* the path that has rows, and live if that can be */
} asked_of[] = {
	{ .name = "auto", .kind = TOPIC_LOG, .finds = true },
	{ .name = "batch", .kind = TOPIC_LOG },
	{ .name = "stream", .kind = TOPIC_STREAM },
	{ .name = "live", .kind = TOPIC_STREAM, .live = true },
	{ .name = "batch-live", .kind = TOPIC_LOG, .live = true },
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

enum err_code setup_asked(const struct config *config, struct asked *ret_asked, struct err *err)
{
	const struct asked_of *of = find_asked(config);

	if (!of)
		return err_set(err, ERR_USAGE, "--from both: a question is asked of one of them");
	if (of->live && setup_is_spark(config))
		return err_set(err, ERR_UNSUPPORTED,
			       "live views are DuckDB's: --engine duckdb answers them");
	*ret_asked = (struct asked){ .kind = of->kind, .either = of->finds };
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

/* --- the path that has rows ------------------------------------------------------- */

static bool log_has(struct broker *log, struct topic_ref topic)
{
	struct topic_info info;
	struct err unused;
	bool has = false;

	if (broker_describe(log, topic, &info, &unused) != ERR_OK)
		return false;
	for (int32_t i = 0; i < info.partition_count; i++)
		has |= info.partitions[i].next_known &&
		       position_cmp(info.partitions[i].first, info.partitions[i].next) < 0;
	topic_info_release(&info);
	return has;
}

static bool table_has(struct store *store, const char *root)
{
	const struct delta_options read_only = { 0 };
	struct delta_table *delta = NULL;
	struct err unused;
	bool has = delta_open(store, root, &read_only, &delta, &unused) == ERR_OK &&
		   delta_rows(delta) > 0;

	delta_close(delta);
	return has;
}

static bool question_name_goes_on(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Whether a view of the table, or a version, is a word of the question. */
static bool question_names(const char *question, const char *name)
{
	static const char *const views[] = { "", "_all", "_live" };
	size_t len = strlen(name);

	for (const char *at = question; (at = strcasestr(at, name)) != NULL; at++) {
		if (at > question && question_name_goes_on(at[-1]))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(views); i++)
			if (strncasecmp(at + len, views[i], strlen(views[i])) == 0 &&
			    !question_name_goes_on(at[len + strlen(views[i])]))
				return true;
	}
	return false;
}

/* Of the tables that the question names, or of any. `log` NULL: as the tables are. */
static bool path_has(const struct sql_side *side, const char *question, enum topic_kind kind,
		     struct broker *log)
{
	for (size_t i = 0; i < side->models.clean_count; i++) {
		const struct clean_model *model = &side->models.clean[i];
		struct lake_table table;
		struct err unused;

		if (question && !question_names(question, model->model.name))
			continue;
		if (lake_table_init(&table, model, kind, side->results.id, &unused) == ERR_OK &&
		    (log ? log_has(log, lake_table_topic(&table))
			 : table_has(side->store, table.root)))
			return true;
	}
	return false;
}

/* Once, to a person: a prompt asks many times. */
static void tell_path(enum topic_kind kind)
{
	static bool told;

	if (!told && isatty(STDERR_FILENO))
		trace_info("both paths have rows: this is of the %s",
			   kind == TOPIC_LOG ? "batch path; --from live asks the streaming path"
					     : "streaming path; --from batch-live asks the other");
	told = true;
}

/* What the log still has tells it, mostly; of what it has let go of, the tables do. */
static void setup_live_find(const struct sql_side *side, const char *question, struct asked *asked)
{
	struct broker *log = side->live.broker;
	bool streamed = path_has(side, question, TOPIC_STREAM, log);

	asked->either = false;
	if (path_has(side, question, TOPIC_LOG, log)) {
		if (streamed)
			tell_path(TOPIC_LOG);
	} else if (!streamed) {
		asked->either = true;
	} else if (path_has(side, question, TOPIC_LOG, NULL)) {
		tell_path(TOPIC_LOG);
	} else {
		asked->kind = TOPIC_STREAM;
	}
}

static void use_live(struct sql_side *side, bool all)
{
	side->live.store = side->store;
	side->live.engine = side->engine;
	side->live.temp_dir = side->temp_dir;
	side->results.live = &side->live;
	side->results.live_all = all;
}

/* A log that is here costs a look; a cluster is asked only by who wants that. */
static void find_live(const struct config *config, const char *question, struct sql_side *side,
		      struct asked *asked)
{
	struct err unused;

	if (setup_is_spark(config) || !setup_topics_are_in_dir(config) ||
	    setup_lake_alone(config) ||
	    setup_log_there(config, &side->live.broker, &unused) != ERR_OK)
		return;
	setup_live_find(side, question, asked);
	side->results.live_softly = true;
	use_live(side, true);
}

enum err_code setup_live(const struct config *config, const char *question, struct sql_side *side,
			 struct asked *asked, struct err *err)
{
	bool all = find_asked(config)->live;
	enum err_code code;

	if (find_asked(config)->finds)
		find_live(config, question, side, asked);
	if (side->results.live || setup_is_spark(config) || (!all && !may_be_live(side, question)))
		return ERR_OK;
	code = open_live_log(config, &side->live.broker, err);
	use_live(side, all);
	return code;
}
