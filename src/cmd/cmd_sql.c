/* Runs one SQL statement of the user over the clean tables. */
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/sql_side.h"

#include <stdio.h>
#include <string.h>

enum { SQL_BYTES_MAX = 16 << 20 };

/* The error, and what the engine says beside it. `pinpipe sql --help` knows nothing of SQL. */
static int fail(const struct err *err, const char *hint)
{
	if (!*hint)
		return cmd_fail(err);
	(void)fprintf(stderr, "pinpipe sql: %s\n%s\n", err->msg, hint);
	return err_exit(err->code);
}

/* The statement without what may stand behind it: blanks and semicolons. */
static const char *statement_of(const char *sql, struct buf *room)
{
	size_t len = strlen(sql);

	while (len > 0 && strchr(" \t\r\n;", sql[len - 1]))
		len--;
	buf_add(room, sql, len);
	return buf_cstr(room);
}

static int cmd_sql_ask(const struct config *config, const char *sql)
{
	struct model question = { .name = "sql", .file = "SQL", .line = 1 };
	struct sql_side side;
	struct answer answer;
	int status = 0;
	enum err_code code;
	struct err err;

	if (sql_side_attach(config, sql, &side, &err) != ERR_OK)
		return cmd_fail(&err);
	question.sql = buf_cstr(&side.at.sql);
	interrupt_show(&side.interrupt, true);
	code = engine_query(side.engine, &question, &answer, &err);
	interrupt_show(&side.interrupt, false);
	if (code != ERR_OK) {
		status = fail(&err, side.engine->hint);
	} else {
		if (output_print(config, &answer, OUTPUT_OF_QUESTION, &err) != ERR_OK)
			status = cmd_fail(&err);
		answer_release(&answer);
	}
	sql_side_close(&side);
	return status;
}

static int cmd_sql_run(struct config *config, int argc, const char *const *argv)
{
	struct buf room;
	int status;

	(void)argc;
	buf_init(&room, SQL_BYTES_MAX);
	status = cmd_sql_ask(config, statement_of(argv[0], &room));
	buf_release(&room);
	return status;
}

static const enum option options[] = {
	OPT_FROM,	   OPT_LAKE,	       OPT_MODELS,   OPT_ENGINE,
	OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS, OPTION_COUNT,
};

const struct command cmd_sql = {
	.name = "sql",
	.summary = "Run an SQL query over the clean tables",
	.usage = "[options] 'SELECT …'",
	.details =
		"Each clean model gives a view of its name with the current rows (of the rows with one\n"
		"key the newest), <name>_all with every row, _partition and _offset, and <name>_live,\n"
		"which has besides what was acknowledged and is in the log alone; --from live: all have.\n"
		"Timestamps are UTC. The SQL is DuckDB's: one SELECT over the views, or a DESCRIBE,\n"
		"SUMMARIZE or EXPLAIN of one, or SHOW TABLES. It reads no files and changes nothing.\n"
		"<name>@v7 is the table at its version 7, <name>@2026-11-27T10:00 as it was then (UTC, or with\n"
		"a zone behind it), <name>_all@… with every row: as far back as its log goes.\n",
	.options = options,
	.examples = "pinpipe sql 'SELECT category, count(*) FROM pin GROUP BY 1'\n"
		    "pinpipe sql --from stream 'SELECT max(_offset) FROM pin_all'\n"
		    "pinpipe sql --from live 'SELECT count(*) FROM pin'\n"
		    "pinpipe sql 'FROM geo_all EXCEPT FROM geo_all@2026-11-27T10:00'\n",
	.positional_min = 1,
	.positional_max = 1,
	.run = cmd_sql_run,
};
