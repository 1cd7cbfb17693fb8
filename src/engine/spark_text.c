#include "engine/spark_text.h"

#include <string.h>

static const char backslash[] =
	"a backslash is a character to DuckDB and an escape to Spark; write chr(92)";
static const char backquote[] = "a name in backquotes is none to DuckDB; write it without them";
static const char dollar[] = "a text in dollars is none to every Spark; write it in quotes";
static const char nested[] = "a comment within a comment, or a hint, ends at different places for"
			     " DuckDB and Spark";

/* Behind the comment that begins here; NULL: *ret_why it is refused. */
static const char *spark_text_skip_comment(const char *at, const char **ret_why)
{
	const char *end = at[0] == '-' ? at + strcspn(at, "\r\n") : strstr(at + 2, "*/");
	const char *inner = at[0] == '-' ? NULL : strstr(at + 2, "/*");

	if (at[0] == '-')
		return end;
	*ret_why = nested;
	if (at[2] == '+' || (inner && end && inner < end))
		return NULL;
	return end ? end + 2 : at + strlen(at);
}

/* Where the first thing is that the two read otherwise, and why; NULL: there is none. */
static const char *spark_text_find(const char *sql, const char **ret_why)
{
	const char *at = strchr(sql, '\\');
	char quote = '\0';

	*ret_why = backslash;
	if (at)
		return at;
	for (at = sql; *at; at++) {
		if (quote || *at == '\'' || *at == '"') {
			quote = !quote ? *at : *at == quote ? '\0' : quote;
		} else if (*at == '`' || *at == '$') {
			*ret_why = *at == '`' ? backquote : dollar;
			return at;
		} else if (!strncmp(at, "--", 2) || !strncmp(at, "/*", 2)) {
			const char *end = spark_text_skip_comment(at, ret_why);

			if (!end)
				return at;
			at = end - 1;
		}
	}
	return NULL;
}

enum err_code spark_text_check(const struct model *model, struct err *err)
{
	const char *why;
	const char *found = spark_text_find(model->sql, &why);
	int line = model->line;

	if (!found)
		return ERR_OK;
	for (const char *c = model->sql; c < found; c++)
		line += *c == '\n';
	return err_set(err, ERR_USAGE, "%s:%d: %s", model->file, line, why);
}
