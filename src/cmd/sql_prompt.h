/* sql_prompt.h - SQL that is typed, statement by statement. Only cmd_sql.c includes it. */
#ifndef CMD_SQL_PROMPT_H
#define CMD_SQL_PROMPT_H

#include "base/config.h"
#include "cmd/sql_split.h"

/* Asks with `ask` each statement that a semicolon ends, until Ctrl-D or "quit"; Ctrl-C ends what
 * runs, or forgets what is typed. Returns the exit status. */
MUST_USE int sql_prompt(const struct config *config,
			int (*ask)(const struct config *config, const char *file,
				   const struct sql_piece *piece));

#endif
