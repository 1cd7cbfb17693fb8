/* Runs one SQL statement of the user over the clean tables. */
#include "base/json.h"
#include "base/mem.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/sql_prompt.h"
#include "cmd/sql_side.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SQL_BYTES_MAX = 16 << 20, READ_BYTES = 1 << 16 };

/* The error, and what the engine says beside it. `pinpipe sql --help` knows nothing of SQL. */
static int fail(const struct err *err, const char *hint)
{
	struct buf said;

	if (!*hint)
		return cmd_fail(err);
	buf_init(&said, READ_BYTES);
	buf_addf(&said, "pinpipe sql: %s\n%s\n", err->msg, hint);
	cmd_say(&said);
	buf_release(&said);
	return err_exit(err->code);
}

/* No more than --rows. */
static enum err_code cmd_sql_print(const struct config *config, struct answer *answer,
				   struct err *err)
{
	size_t rows = (size_t)config_int(config, OPT_ROWS_MAX);

	if (rows > 0 && answer->row_count > rows) {
		answer->row_count = rows;
		trace_info("there are more rows than --rows %zu lets through", rows);
	}
	return output_print(config, answer, OUTPUT_OF_QUESTION, err);
}

/* One statement, with tables and log as they are now. */
static int cmd_sql_ask(const struct config *config, const struct model *statement)
{
	struct model question = *statement;
	struct sql_side side;
	struct answer answer;
	int status = 0;
	enum err_code code;
	struct err err;

	if (sql_side_attach(config, statement->sql, &side, &err) != ERR_OK)
		return cmd_fail(&err);
	question.sql = buf_cstr(&side.at.sql);
	side.engine->rows_wanted = (size_t)config_int(config, OPT_ROWS_MAX);
	interrupt_show(&side.interrupt, true);
	code = engine_query(side.engine, &question, &answer, &err);
	interrupt_show(&side.interrupt, false);
	if (code != ERR_OK) {
		status = fail(&err, side.engine->hint);
	} else {
		if (cmd_sql_print(config, &answer, &err) != ERR_OK)
			status = cmd_fail(&err);
		answer_release(&answer);
	}
	sql_side_close(&side);
	return status;
}

static int ask_piece(const struct config *config, const char *file, const struct sql_piece *piece)
{
	char *sql = xstrndup(piece->sql.ptr, piece->sql.len);
	struct model statement = {
		.name = "sql",
		.file = (char *)(uintptr_t)file,
		.line = piece->line,
		.sql = sql,
	};
	int status = cmd_sql_ask(config, &statement);

	free(sql);
	return status;
}

/* Until one fails. A text that holds none is told so by the engine. */
static int ask_each(const struct config *config, const char *file, struct slice text)
{
	struct sql_piece piece;
	size_t at = 0;
	bool first = true;
	int status = 0;

	while (status == 0 && (sql_split_next(text, &at, &piece) || first)) {
		if (!first && output_format(config) != OUTPUT_JSON)
			(void)!write(STDOUT_FILENO, "\n", 1);
		status = ask_piece(config, file, &piece);
		first = false;
	}
	return status;
}

/* --- a text from elsewhere ----------------------------------------------------------- */

static enum err_code cmd_sql_read(FILE *file, const char *name, struct buf *out, struct err *err)
{
	size_t n;

	do {
		char *room = buf_room(out, READ_BYTES);

		if (!room)
			return err_set(err, ERR_LIMIT, "\"%s\" is longer than %d bytes", name,
				       SQL_BYTES_MAX);
		n = fread(room, 1, READ_BYTES, file);
		buf_grew(out, n);
	} while (n > 0);
	return ferror(file) ? err_errno(err, "could not read \"%s\"", name) : ERR_OK;
}

static int ask_file(const struct config *config, FILE *file, const char *name)
{
	struct buf text;
	struct err err;
	int status;

	buf_init(&text, SQL_BYTES_MAX);
	if (cmd_sql_read(file, name, &text, &err) != ERR_OK) {
		status = cmd_fail(&err);
	} else if (text.len == 0) {
		(void)err_set(&err, ERR_USAGE,
			      "there is no statement: give one, or a --file, or "
			      "something on stdin");
		status = cmd_fail(&err);
	} else {
		status = ask_each(config, name, json_without_bom(buf_slice(&text)));
	}
	buf_release(&text);
	return status;
}

static int ask_named_file(const struct config *config, const char *path)
{
	FILE *file = fopen(path, "re");
	struct err err;
	int status;

	if (!file) {
		(void)err_errno(&err, "could not open \"%s\"", path);
		return cmd_fail(&err);
	}
	status = ask_file(config, file, path);
	(void)fclose(file);
	return status;
}

static int cmd_sql_run(struct config *config, int argc, const char *const *argv)
{
	const char *path = config_text(config, OPT_SQL_FILE);
	struct err err;

	if (*path && argc > 0) {
		(void)err_set(&err, ERR_USAGE, "a statement and --file: only one of them");
		return cmd_fail(&err);
	}
	if (argc > 0)
		return ask_each(config, "SQL", slice_str(argv[0]));
	if (*path)
		return ask_named_file(config, path);
	return isatty(STDIN_FILENO) ? sql_prompt(config, ask_piece)
				    : ask_file(config, stdin, "stdin");
}

static const enum option options[] = {
	OPT_FROM,	    OPT_LAKE,	  OPT_MODELS,	OPT_ENGINE,   OPT_ENGINE_MEMORY,
	OPT_ENGINE_THREADS, OPT_SQL_FILE, OPT_ROWS_MAX, OPTION_COUNT,
};

const struct command cmd_sql = {
	.name = "sql",
	.summary = "Run an SQL query over the clean tables",
	.usage = "[options] ['SELECT …; …']",
	.details =
		"Each clean model gives a view of its name with the current rows (of the rows with one\n"
		"key the newest), <name>_all with every row, _partition and _offset, and <name>_live. They\n"
		"have what was acknowledged, too, before it is in the tables. With --from batch or stream\n"
		"they are the tables alone, but for <name>_live.\n"
		"Timestamps are UTC. The SQL is DuckDB's: one SELECT over the views, or a DESCRIBE,\n"
		"SUMMARIZE or EXPLAIN of one, or SHOW TABLES. It reads no files and changes nothing.\n"
		"<name>@v7 is the table at its version 7, <name>@2026-11-27T10:00 as it was then (UTC, or with\n"
		"a zone behind it), <name>_all@… with every row: as far back as its log goes.\n"
		"Several statements have a ; between them; the first that fails is the last. Without any\n"
		"they are read from --file, or from stdin, or typed: on a terminal there is a prompt, with\n"
		"a history, and completion by the tab key.\n",
	.options = options,
	.examples = "pinpipe sql 'SELECT category, count(*) FROM pin GROUP BY 1'\n"
		    "pinpipe sql --from stream 'SELECT max(_offset) FROM pin_all'\n"
		    "pinpipe sql --from live 'SELECT count(*) FROM pin'\n"
		    "pinpipe sql --format csv --file questions.sql\n"
		    "pinpipe sql 'FROM geo_all EXCEPT FROM geo_all@2026-11-27T10:00'\n",
	.positional_max = 1,
	.run = cmd_sql_run,
};
