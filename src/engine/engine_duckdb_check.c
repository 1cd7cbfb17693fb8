/*
 * What SQL may say, and whether a model's is right before a record is there.
 *
 * DuckDB's own parser tells what a statement is: json_serialize_sql() takes SELECTs alone
 * (DESCRIBE, SHOW and SUMMARIZE are tables of a SELECT to it) and gives their tree (sql_tree.h),
 * which is looked through for everything that can lead out of the views. What is not
 * known here is refused, so that a function or a kind of table of a newer DuckDB is no way out.
 */
#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "engine/sql_at.h"
#include "engine/sql_tree.h"

#include <ctype.h>
#include <strings.h>

enum { CHECK_BYTES_MAX = 64 << 20 };

struct checking {
	struct engine_duckdb *engine;
	const struct model *model;
	enum duckdb_sql kind;
	const char *sql;		/* behind an EXPLAIN */
	struct sql_tree tree;
	const struct sql_node *unknown;	/* a table that is no view: DuckDB has the better words */
};

/* Tables made out of arguments. */
static const char *const table_functions[] = {
	"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree",
};

/* What runs SQL in a text, or tells of settings, variables and what the views are made of; and what
 * of Spark's runs any Java. */
static const char *const refused_functions[] = {
	"current_setting", "getvariable", "getenv",	 "json_serialize_plan",
	"pg_get_viewdef",  "write_log",	  "query",	 "query_table",
	"java_method",	   "reflect",	  "try_reflect",
};

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(name, list[i]) == 0)
			return true;
	return false;
}

/* --- EXPLAIN --------------------------------------------------------------- */

static const char *skip_blanks(const char *at) { return at + strspn(at, " \t\r\n\f\v"); }

static bool take_explain_word(const char **at, const char *word)
{
	const char *start = skip_blanks(*at);
	size_t len = strlen(word);

	if (strncasecmp(start, word, len) != 0 || isalnum((unsigned char)start[len]) ||
	    start[len] == '_')
		return false;
	*at = skip_blanks(start + len);
	return true;
}

/*
 * The statement that an EXPLAIN explains; any other one as it is. Nothing is skipped that this may
 * see otherwise than DuckDB does (comments nest, quotes hide parentheses): with those before it the
 * EXPLAIN is no EXPLAIN here, and is refused. Of "EXPLAIN (…) SELECT …" options stand in the
 * parentheses, of "EXPLAIN (SELECT …)" the statement does.
 */
static const char *explained(const char *sql)
{
	const char *at = sql;
	const char *end;

	if (!take_explain_word(&at, "EXPLAIN"))
		return sql;
	(void)take_explain_word(&at, "ANALYZE");
	if (*at != '(')
		return at;
	end = at + 1;
	while (isalnum((unsigned char)*end) || (*end && strchr("_, \t\r\n", *end)))
		end++;
	if (*end != ')')
		return at;
	end = skip_blanks(end + 1);
	return *end ? end : at;
}

/* --- what it may say ------------------------------------------------------- */

/* A refusal at a byte of the statement. */
#define refuse(checking, byte, err, ...) \
	(err_set(err, ERR_USAGE, __VA_ARGS__), \
	 err_prefix(err, "%s:%d", (checking)->model->file, sql_line(checking, byte)))

static int sql_line(const struct checking *checking, int64_t at)
{
	const char *end = checking->sql + strnlen(checking->sql, at > 0 ? (size_t)at : 0);
	int line = checking->model->line;

	for (const char *c = checking->model->sql; c < end; c++)
		line += *c == '\n';
	return line;
}

/* A WITH of the statement. Where it is out of scope its name could stand for a file, had it a
 * character that names of files have, or for a table of the catalog. */
static bool is_cte(const struct checking *checking, const char *name)
{
	static const char *const catalogs[] = { "duckdb_", "pg_", "pragma_", "sqlite_" };

	if (name[strcspn(name, "./:\\")])
		return false;
	for (size_t i = 0; i < ARRAY_LEN(catalogs); i++)
		if (strncasecmp(name, catalogs[i], strlen(catalogs[i])) == 0)
			return false;
	for (size_t i = 0; i < checking->tree.count; i++)
		if (checking->tree.nodes[i].what == SQL_CTE &&
		    strcasecmp(checking->tree.nodes[i].name, name) == 0)
			return true;
	return false;
}

/* *ret_suffix: what the name has behind that of the table. */
static struct duckdb_table *find_view(struct engine_duckdb *engine, const char *name,
				      const char **ret_suffix)
{
	for (size_t i = 0; i < engine->table_count; i++) {
		struct duckdb_table *table = &engine->tables[i];
		size_t len = strlen(table->name);

		if (strncasecmp(name, table->name, len) != 0)
			continue;
		*ret_suffix = name + len;
		if (name[len] == '\0' || strcasecmp(name + len, "_all") == 0 ||
		    strcasecmp(name + len, "_live") == 0)
			return table;
	}
	return NULL;
}

static enum err_code refuse_live(const struct checking *checking, const struct sql_node *node,
				 const struct duckdb_table *table, struct err *err)
{
	err_set(err, ERR_UNSUPPORTED, "\"%s_live\" cannot be read: %s", table->name,
		table->no_live);
	return err_prefix(err, "%s:%d", checking->model->file, sql_line(checking, node->at));
}

/* The view of this name, if it is one, so that it can be read from here on. */
static enum err_code need_view(struct checking *checking, const struct sql_node *node,
			       const struct duckdb_table **ret_table, struct err *err)
{
	const char *suffix = "";
	struct duckdb_table *table = find_view(checking->engine, node->name, &suffix);
	bool live = table && strcasecmp(suffix, "_live") == 0;

	*ret_table = table;
	if (table && table->its.unread)
		return refuse(checking, node->at, err, "write the name of the table \"%s\" out: it"
			      " was not read, as the text does not hold it", table->name);
	if (live && table->no_live)
		return refuse_live(checking, node, table, err);
	if (table && (live ? engine_duckdb_view_live(checking->engine, table, err)
			   : engine_duckdb_view(checking->engine, table, !*suffix, err)) != ERR_OK)
		return err->code;
	if (!table || !table->broken)
		return ERR_OK;
	err_set(err, ERR_UNSUPPORTED, "table \"%s\" cannot be read: %s", table->name,
		table->broken);
	return err_prefix(err, "%s:%d", checking->model->file, sql_line(checking, node->at));
}

static enum err_code check_named_table(struct checking *checking,
				       const struct sql_node *node, struct err *err)
{
	const struct duckdb_table *table;
	enum err_code code;

	if (node->qualified)
		return refuse(checking, node->at, err, "\"%s\" is in a schema or database; SQL reads"
			      " the views alone, by their names", node->name);
	if (checking->kind == DUCKDB_SQL_CLEAN)
		return is_cte(checking, node->name) || strcasecmp(node->name, "raw") == 0 ? ERR_OK :
		       refuse(checking, node->at, err, "reads \"%s\"; a clean model reads raw alone",
			      node->name);
	code = need_view(checking, node, &table, err);
	if (is_cte(checking, node->name)) /* out of its scope the view is meant */
		return ERR_OK;
	if (code == ERR_OK && !table && node->name[strcspn(node->name, "./:\\")])
		return refuse(checking, node->at, err, "\"%s\" is no view; SQL reads the views alone,"
			      " no files", node->name);
	if (!table)
		checking->unknown = node;
	return code;
}

static enum err_code check_show(struct checking *checking, const struct sql_node *node,
				struct err *err)
{
	if (checking->kind != DUCKDB_SQL_FREE)
		return refuse(checking, node->at, err, "a model is a SELECT, not a DESCRIBE, SHOW or"
			      " SUMMARIZE");
	/* What it describes is a query of its own in the tree; SHOW TABLES has none. */
	if (engine_duckdb_view_all(checking->engine, err) != ERR_OK)
		return err->code;
	if (*node->name && (node->qualified || strcmp(node->name, "\"tables\"") != 0))
		return refuse(checking, node->at, err, "of what can be shown, SHOW TABLES and SHOW of a"
			      " view are allowed");
	return ERR_OK;
}

static enum err_code check_table(struct checking *checking, const struct sql_node *node,
				 struct err *err)
{
	static const char *const harmless[] = {
		"SUBQUERY", "JOIN", "EXPRESSION_LIST", "EMPTY", "EMPTY_FROM", "PIVOT",
	};

	if (strcmp(node->type, "BASE_TABLE") == 0)
		return check_named_table(checking, node, err);
	if (strcmp(node->type, "SHOW_REF") == 0)
		return check_show(checking, node, err);
	if (strcmp(node->type, "TABLE_FUNCTION") == 0) {
		if (is_one_of(node->name, table_functions, ARRAY_LEN(table_functions)))
			return ERR_OK;
		return refuse(checking, node->at, err, "the table function \"%s\" is not allowed; SQL"
			      " reads the views alone", node->name);
	}
	if (is_one_of(node->type, harmless, ARRAY_LEN(harmless)))
		return ERR_OK;
	return refuse(checking, node->at, err, "a table of the kind %s is not allowed", node->type);
}

static enum err_code check_node(struct checking *checking, const struct sql_node *node,
				struct err *err)
{
	switch (node->what) {
	case SQL_TABLE:
		return check_table(checking, node, err);
	case SQL_FUNCTION:
		if (is_one_of(node->name, refused_functions, ARRAY_LEN(refused_functions)))
			return refuse(checking, node->at, err, "the function \"%s\" is not allowed",
				      node->name);
		return ERR_OK;
	case SQL_CTE:
		break;
	}
	return ERR_OK;
}

/* What DuckDB finds wrong with the statement; `otherwise` where it finds nothing. */
static enum err_code let_duckdb_say(struct checking *checking, const char *otherwise,
				    struct err *err)
{
	struct engine_duckdb *engine = checking->engine;
	duckdb_prepared_statement statement = NULL;
	enum err_code code;

	/* It may know a view that was meant. */
	if (engine_duckdb_view_all(engine, err) != ERR_OK)
		return err->code;
	if (duckdb.prepare(engine->duck.conn, checking->model->sql, &statement) != DuckDBSuccess) {
		code = engine_duckdb_blame_prepare(engine, statement, checking->model, 0, err);
	} else {
		code = refuse(checking, checking->unknown ? checking->unknown->at : 0, err, "%s",
			      otherwise);
	}
	duckdb.destroy_prepare(&statement);
	return code;
}

static enum err_code check_statement(struct checking *checking, struct err *err)
{
	const char *wanted = checking->kind == DUCKDB_SQL_FREE ?
			     "one SELECT, DESCRIBE, SHOW TABLES, SUMMARIZE or EXPLAIN can be run" :
			     "a model is one SELECT";

	if (checking->tree.error && strcmp(checking->tree.error, "not implemented") != 0)
		return let_duckdb_say(checking, wanted, err);
	if (checking->tree.error || checking->tree.statements != 1)
		return refuse(checking, 0, err, "%s", wanted);
	for (size_t i = 0; i < checking->tree.count; i++)
		if (check_node(checking, &checking->tree.nodes[i], err) != ERR_OK)
			return err->code;
	return checking->unknown ? let_duckdb_say(checking, "SQL reads the views alone", err) :
	       ERR_OK;
}

/* Answers of analyses are those of the tables as they are. */
static enum err_code check_versions(struct checking *checking, struct err *err)
{
	struct slice sql = slice_str(checking->sql);
	struct sql_at_name name;
	size_t at = 0;

	while (sql_at_next(sql, &at, &name))
		if (!name.quoted && name.at.kind != DELTA_AT_NEWEST)
			return refuse(
				checking, (int64_t)name.from, err,
				"\"%.*s@%.*s\": an analysis "
				"reads the tables as they are now; `pinpipe sql` reads versions",
				SLICE_ARG(name.name), SLICE_ARG(name.version));
	return ERR_OK;
}

static bool was_checked(const struct engine_duckdb *engine, const char *sql)
{
	for (size_t i = 0; i < engine->checked_count; i++)
		if (strcmp(engine->checked[i], sql) == 0)
			return true;
	return false;
}

static void note_checked(struct engine_duckdb *engine, const char *sql)
{
	engine->checked = xreallocarray(engine->checked, engine->checked_count + 1,
					sizeof(*engine->checked));
	engine->checked[engine->checked_count++] = xstrdup(sql);
}

enum err_code engine_duckdb_allow(struct engine_duckdb *engine, const struct model *model,
				  enum duckdb_sql kind, struct err *err)
{
	struct checking checking = {
		.engine = engine, .model = model, .kind = kind,
		.sql = kind == DUCKDB_SQL_FREE ? explained(model->sql) : model->sql,
	};
	enum err_code code;

	/* A micro-batch cannot wait for what was found out with the first one. */
	if (kind == DUCKDB_SQL_CLEAN && was_checked(engine, model->sql))
		return ERR_OK;
	engine->base.hint[0] = '\0';
	if (engine_duckdb_ready(engine, err) != ERR_OK)
		return err->code;
	if (kind == DUCKDB_SQL_ANALYSIS && check_versions(&checking, err) != ERR_OK)
		return err->code;
	code = sql_tree_read(&engine->duck, checking.sql, &checking.tree, err);
	if (code == ERR_OK)
		code = check_statement(&checking, err);
	if (code == ERR_OK && kind == DUCKDB_SQL_CLEAN)
		note_checked(engine, model->sql);
	sql_tree_release(&checking.tree);
	return code;
}

/* --- models before they run --------------------------------------------------- */

/* "WITH raw AS (… no row …) SELECT " */
static void put_no_raw(struct buf *sql, const struct clean_model *model)
{
	buf_add_str(sql, "WITH raw AS (SELECT ");
	for (size_t i = 0; i < model->field_count; i++) {
		buf_add_str(sql, "CAST(NULL AS VARCHAR) AS ");
		duck_put_name(sql, slice_str(model->fields[i].alias));
		buf_add_str(sql, ", ");
	}
	buf_add_str(sql, "'' AS _partition, '' AS _offset WHERE false) SELECT ");
}

static const struct delta_column *schema_column(const struct delta_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (strcasecmp(schema->columns[i].name, name) == 0)
			return &schema->columns[i];
	return NULL;
}

/* DuckDB finds out only with a value that nothing makes an array of what is none, or back. */
static bool can_become(duckdb_type type, const struct delta_column *column)
{
	switch (type) {
	case DUCKDB_TYPE_LIST: case DUCKDB_TYPE_ARRAY:
		return column->type == DELTA_ARRAY_DOUBLE || column->type == DELTA_STRING;
	case DUCKDB_TYPE_STRUCT: case DUCKDB_TYPE_MAP: case DUCKDB_TYPE_UNION:
		return column->type == DELTA_STRING;
	case DUCKDB_TYPE_SQLNULL: case DUCKDB_TYPE_VARCHAR:
		return true;
	default:
		return column->type != DELTA_ARRAY_DOUBLE;
	}
}

static bool statement_has(duckdb_prepared_statement statement, const char *name)
{
	bool has = false;

	for (idx_t i = 0; i < duckdb.prepared_statement_column_count(statement) && !has; i++) {
		const char *column = duckdb.prepared_statement_column_name(statement, i);

		has = column && strcasecmp(column, name) == 0;
		duckdb.free((void *)(uintptr_t)column);
	}
	return has;
}

static enum err_code check_column(const struct clean_model *clean,
				  duckdb_prepared_statement statement, idx_t i, struct err *err)
{
	const struct model *model = &clean->model;
	const char *name = duckdb.prepared_statement_column_name(statement, i);
	const struct delta_column *column = name ? schema_column(&clean->schema, name) : NULL;
	enum err_code code = ERR_OK;

	if (!column)
		code = err_set(err, ERR_USAGE, "%s:%d: the SELECT has a column \"%s\" that"
			       " \"-- columns:\" lacks", model->file, model->line, name);
	else if (!can_become(duckdb.prepared_statement_column_type(statement, i), column))
		code = err_set(err, ERR_USAGE, "%s:%d: the column \"%s\" has not the type that"
			       " \"-- columns:\" says", model->file, model->line, name);
	duckdb.free((void *)(uintptr_t)name);
	return code;
}

static enum err_code compare_columns(const struct clean_model *clean,
				     duckdb_prepared_statement statement, struct err *err)
{
	const struct model *model = &clean->model;

	for (size_t i = 0; i < clean->schema.count; i++)
		if (!statement_has(statement, clean->schema.columns[i].name))
			return err_set(err, ERR_USAGE, "%s:%d: the SELECT lacks the column \"%s\"",
				       model->file, model->line, clean->schema.columns[i].name);
	for (idx_t i = 0; i < duckdb.prepared_statement_column_count(statement); i++)
		if (check_column(clean, statement, i, err) != ERR_OK)
			return err->code;
	return ERR_OK;
}

/* Bind it to fields without records; with `casts`, to the table's columns as well. */
static enum err_code bind_clean(struct engine_duckdb *engine, const struct clean_model *clean,
				bool casts, struct err *err)
{
	duckdb_prepared_statement statement = NULL;
	struct buf sql;
	enum err_code code = ERR_OK;
	int before;

	buf_init(&sql, CHECK_BYTES_MAX);
	put_no_raw(&sql, clean);
	if (casts)
		engine_duckdb_put_casts(&sql, &clean->schema);
	buf_add_str(&sql, casts ? " FROM (\n" : "* FROM (\n");
	before = engine_duckdb_count_lines(&sql);
	buf_add_str(&sql, clean->model.sql);
	buf_add_str(&sql, "\n)");
	if (duckdb.prepare(engine->duck.conn, buf_cstr(&sql), &statement) != DuckDBSuccess) {
		code = engine_duckdb_blame_prepare(engine, statement, &clean->model, before, err);
	} else if (!casts) {
		code = compare_columns(clean, statement, err);
	}
	duckdb.destroy_prepare(&statement);
	buf_release(&sql);
	return code;
}

enum err_code engine_duckdb_check_clean(struct engine *base, const struct clean_model *model,
					struct err *err)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;
	enum err_code code = engine_duckdb_allow(engine, &model->model, DUCKDB_SQL_CLEAN, err);

	if (code == ERR_OK)
		code = bind_clean(engine, model, false, err);
	return code == ERR_OK ? bind_clean(engine, model, true, err) : code;
}

enum err_code engine_duckdb_check_analysis(struct engine *base, const struct models *models,
					   const struct analysis_model *analysis, struct err *err)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;
	struct engine_table *tables = xcalloc(models->clean_count, sizeof(*tables));
	duckdb_prepared_statement statement = NULL;
	enum err_code code;

	for (size_t i = 0; i < models->clean_count; i++)
		tables[i].model = &models->clean[i];
	code = engine_duckdb_attach(base, tables, models->clean_count, err);
	free(tables);
	if (code == ERR_OK)
		code = engine_duckdb_allow(engine, &analysis->model, DUCKDB_SQL_ANALYSIS, err);
	if (code != ERR_OK)
		return code;
	if (duckdb.prepare(engine->duck.conn, analysis->model.sql, &statement) != DuckDBSuccess) {
		code = engine_duckdb_blame_prepare(engine, statement, &analysis->model, 0, err);
	}
	duckdb.destroy_prepare(&statement);
	return code;
}
