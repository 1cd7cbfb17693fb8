/* Column names out of field names: lower case, words joined by "_", no word of SQL, each once. */
#include "engine/infer.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIAS_LEN_MAX = 60 };

/* In order. What DuckDB's duckdb_keywords() does not call unreserved, and what standard SQL, which
 * Spark can be set to, reserves beyond it. */
static const char *const taken[] = {
	"all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof", "asymmetric",
	"at", "authorization", "between", "bigint", "binary", "bit", "boolean", "both", "by", "case",
	"cast", "char", "character", "check", "coalesce", "collate", "collation", "column", "columns",
	"concurrently", "constraint", "create", "cross", "cube", "current", "current_date",
	"current_time", "current_timestamp", "dec", "decimal", "default", "deferrable",
	"delete", "desc", "describe", "distinct", "do", "drop", "else", "end", "escape", "except",
	"exists", "external", "extract", "false", "fetch", "filter", "float", "for", "foreign",
	"freeze", "from", "full", "function", "generated", "glob", "global", "grant", "group",
	"grouping", "grouping_id", "having", "ilike", "in", "initially", "inner", "inout", "insert",
	"int", "integer", "intersect", "interval", "into", "is", "isnull", "join", "lambda", "lateral",
	"leading", "left", "like", "limit", "local", "localtime", "localtimestamp", "map", "merge",
	"minus", "national", "natural", "nchar", "no", "none", "not", "notnull", "null", "nullif",
	"numeric", "of", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay",
	"pivot", "pivot_longer", "pivot_wider", "placing", "position", "positional", "precision",
	"primary", "qualify", "raw", "real", "references", "returning", "revoke", "right", "rollup",
	"row", "rows", "select", "semi", "set", "setof", "show", "similar", "smallint",
	"some", "sql", "start", "struct", "substring", "summarize", "symmetric", "table",
	"tablesample", "then", "time", "to", "trailing", "treat", "trim", "true", "truncate",
	"try_cast", "union", "unique", "unknown", "unpack", "unpivot", "update", "using",
	"values", "varchar", "variadic", "verbose", "when", "where", "window", "with", "within",
	"without", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest",
	"xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
};

static int by_text(const void *name, const void *word)
{
	return strcmp(name, *(const char *const *)word);
}

static bool is_taken(const char *name)
{
	return bsearch(name, taken, ARRAY_LEN(taken), sizeof(taken[0]), by_text) != NULL;
}

bool infer_name_is_free(const char *name)
{
	char lower[ALIAS_LEN_MAX + 1];
	size_t len = strlen(name);

	if (len == 0 || len > ALIAS_LEN_MAX || !isalpha((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (name[i] && !isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
		lower[i] = (char)tolower((unsigned char)name[i]);
	}
	return !is_taken(lower);
}

/* Whether a word begins at `i`: fooBar, HTTPServer. */
static bool begins_word(struct slice name, size_t i)
{
	if (i == 0 || !isupper((unsigned char)name.ptr[i]))
		return false;
	if (!isupper((unsigned char)name.ptr[i - 1]))
		return isalnum((unsigned char)name.ptr[i - 1]);
	return i + 1 < name.len && islower((unsigned char)name.ptr[i + 1]);
}

static size_t snake_case(struct slice name, char alias[ALIAS_LEN_MAX + 8])
{
	size_t len = 0;

	for (size_t i = 0; i < name.len && len < ALIAS_LEN_MAX; i++) {
		bool word = isalnum((unsigned char)name.ptr[i]);

		if ((!word || begins_word(name, i)) && len > 0 && alias[len - 1] != '_')
			alias[len++] = '_';
		if (!word)
			continue;
		if (len == 0 && isdigit((unsigned char)name.ptr[i])) {
			alias[len++] = 'n';
			alias[len++] = '_';
		}
		alias[len++] = (char)tolower((unsigned char)name.ptr[i]);
	}
	while (len > 0 && alias[len - 1] == '_')
		len--;
	alias[len] = '\0';
	return len;
}

static bool is_used(const struct inferred *inferred, const char *alias)
{
	for (size_t i = 0; i < inferred->count; i++)
		if (inferred->fields[i].alias && strcmp(inferred->fields[i].alias, alias) == 0)
			return true;
	return false;
}

static const char *alias_of(struct inferred *inferred, struct slice name)
{
	char alias[ALIAS_LEN_MAX + 8];
	char numbered[ALIAS_LEN_MAX + 32];
	size_t len = snake_case(name, alias);

	if (len == 0)
		(void)snprintf(alias, sizeof(alias), "field");
	else if (is_taken(alias))
		(void)snprintf(alias + len, sizeof(alias) - len, "_");
	(void)snprintf(numbered, sizeof(numbered), "%s", alias);
	for (int n = 2; is_used(inferred, numbered); n++)
		(void)snprintf(numbered, sizeof(numbered), "%s%s%d", alias,
			       alias[strlen(alias) - 1] == '_' ? "" : "_", n);
	return arena_str(&inferred->memory, slice_str(numbered));
}

/* Those that are such a name already keep it, whoever comes before them. */
void infer_name_all(struct inferred *inferred)
{
	for (int turn = 0; turn < 2; turn++)
		for (size_t i = 0; i < inferred->count; i++) {
			struct infer_field *field = &inferred->fields[i];
			char alias[ALIAS_LEN_MAX + 8];
			bool as_it_is = slice_of(alias, snake_case(field->name, alias)).len > 0 &&
					slice_is(field->name, alias);

			if (!field->alias && (turn > 0 || (as_it_is && !is_taken(alias))))
				field->alias = alias_of(inferred, field->name);
		}
}
