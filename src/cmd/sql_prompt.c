#include "cmd/sql_prompt.h"

#include "base/mem.h"
#include "base/stop.h"
#include "cmd/cmd.h"
#include "cmd/prompt.h"
#include "cmd/setup.h"

#include <signal.h>
#include <stdio.h>

enum { TYPED_BYTES_MAX = 16 << 20, NAME_MAX_BYTES = 256 };

static const char help[] =
	"A statement ends with a semicolon. SHOW TABLES; lists the views, DESCRIBE <view>; its columns.\n"
	"Tab completes, the arrows and Ctrl-R look through what was typed before.\n"
	"Ctrl-C ends a query, Ctrl-D or quit ends all.\n";

/* --- words to complete ---------------------------------------------------------------- */

static const char *const keywords[] = {
	"AND",	     "AS",	 "ASC",	    "BETWEEN",	"BY",	    "CASE",  "CAST",
	"COALESCE",  "COUNT",	 "DESC",    "DESCRIBE", "DISTINCT", "ELSE",  "END",
	"EXCEPT",    "EXPLAIN",	 "FROM",    "GROUP",	"HAVING",   "ILIKE", "IN",
	"INTERSECT", "INTERVAL", "IS",	    "JOIN",	"LEFT",	    "LIKE",  "LIMIT",
	"MEDIAN",    "NOT",	 "NULL",    "OFFSET",	"OR",	    "ORDER", "OVER",
	"PARTITION", "PIVOT",	 "QUALIFY", "SELECT",	"SHOW",	    "SUM",   "SUMMARIZE",
	"TABLES",    "THEN",	 "UNION",   "USING",	"WHEN",	    "WHERE", "WITH",
};

static void each_view(const char *name, void (*each)(void *prompt, const char *word), void *prompt)
{
	static const char *const ends[] = { "", "_all", "_live" };
	char view[NAME_MAX_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (snprintf(view, sizeof(view), "%s%s", name, ends[i]) < (int)sizeof(view))
			each(prompt, view);
}

static void sql_words(void *user, void (*each)(void *prompt, const char *word), void *prompt)
{
	const struct models *models = user;

	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		each(prompt, keywords[i]);
	for (size_t i = 0; i < models->clean_count; i++) {
		const struct clean_model *model = &models->clean[i];

		each_view(model->model.name, each, prompt);
		for (size_t c = 0; c < model->schema.count; c++)
			each(prompt, model->schema.columns[c].name);
	}
}

/* --- what is typed -------------------------------------------------------------------- */

/* A line that is no SQL, where a statement would begin. */
static bool is_typed(struct slice line, const char *const *words)
{
	while (line.len > 0 && strchr(" \t\r\n;", line.ptr[line.len - 1]))
		line.len--;
	for (; *words; words++)
		if (slice_is(line, *words))
			return true;
	return false;
}

static void remember(struct prompt *prompt, struct slice statement)
{
	struct buf line;

	buf_init(&line, TYPED_BYTES_MAX);
	sql_put_line(statement, &line);
	prompt_remember(prompt, buf_slice(&line));
	buf_release(&line);
}

/* All statements that are complete; what is left is the beginning of the next. */
static void ask_typed(const struct config *config, struct prompt *prompt, struct buf *typed,
		      int (*ask)(const struct config *config, const char *file,
				 const struct sql_piece *piece))
{
	struct slice text = buf_slice(typed);
	struct sql_piece piece;
	size_t at = 0, done = 0;

	while (sql_split_next(text, &at, &piece) && piece.ended) {
		remember(prompt, slice_of(piece.sql.ptr, piece.sql.len + 1));
		(void)!ask(config, "SQL", &piece);
		done = at;
		if (stop_signal() == SIGINT)
			stop_forget();
	}
	if (at == text.len && !sql_split_next(slice_from(text, done), &(size_t){ 0 }, &piece))
		done = text.len; /* blanks */
	if (done > 0)
		memmove(typed->ptr, typed->ptr + done, typed->len - done);
	typed->len -= done;
}

int sql_prompt(const struct config *config,
	       int (*ask)(const struct config *config, const char *file,
			  const struct sql_piece *piece))
{
	static const char *const ends[] = { "quit", "exit", "\\q", ".quit", ".exit", NULL };
	static const char *const asks[] = { "help", "\\?", "\\h", ".help", "?", NULL };
	enum prompt_line read = PROMPT_LINE;
	struct prompt *prompt;
	struct models models;
	struct buf typed;
	struct err err;

	if (setup_models(config, &models, &err) != ERR_OK)
		return cmd_fail(&err);
	(void)fputs("statements end with ; and `help` tells more\n", stderr);
	buf_init(&typed, TYPED_BYTES_MAX);
	prompt = prompt_open("sql", sql_words, &models);
	while (read != PROMPT_END && !stop_requested()) {
		bool begins = typed.len == 0;

		read = prompt_read(prompt, begins ? "sql> " : "  -> ", &typed);
		if (read == PROMPT_CLEARED)
			buf_clear(&typed);
		if (begins && is_typed(buf_slice(&typed), ends))
			break;
		if (begins && is_typed(buf_slice(&typed), asks)) {
			(void)fputs(help, stderr);
			buf_clear(&typed);
		}
		ask_typed(config, prompt, &typed, ask);
	}
	prompt_close(prompt);
	buf_release(&typed);
	models_free(&models);
	return 0;
}
