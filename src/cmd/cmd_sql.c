/* Runs one SQL statement of the user over the clean tables. */
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/setup.h"

static enum err_code ask(const struct config *config, const char *sql, struct err *err)
{
	const struct model question = { .name = "sql", .file = "SQL", .sql = sql, .line = 1 };
	struct sql_side side;
	struct answer answer;
	enum err_code code = sql_side_attach(config, &side, err);

	if (code != ERR_OK)
		return code;
	code = engine_ask(side.engine, &question, NULL, &answer, err);
	if (code == ERR_OK) {
		code = output_print(config, &answer, err);
		answer_release(&answer);
	}
	sql_side_close(&side);
	return code;
}

static int cmd_sql_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	(void)argc;
	return ask(config, argv[0], &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_FROM, OPT_LAKE, OPT_MODELS, OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPTION_COUNT,
};

const struct command cmd_sql = {
	.name = "sql",
	.summary = "Run an SQL query over the clean tables",
	.usage = "[options] 'SELECT …'",
	.details =
		"Each clean model gives a view of its name with the current rows (of the rows with one\n"
		"key the newest), and <name>_all with every row, _partition and _offset.\n"
		"Timestamps are UTC. The SQL is DuckDB's.\n",
	.options = options,
	.examples = "pinpipe sql 'SELECT category, count(*) FROM pin GROUP BY 1'\n"
		    "pinpipe sql --from stream 'SELECT max(_offset) FROM pin_all'\n",
	.positional_min = 1,
	.positional_max = 1,
	.run = cmd_sql_run,
};
