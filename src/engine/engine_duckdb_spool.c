/*
 * What another engine leaves to DuckDB: raw records read and parsed into a file of text columns,
 * and a clean file made of what came of them. So dead letters, counts, types and statistics are
 * the same whoever runs the SQL.
 */
#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "delta/delta_stats.h"
#include "engine/sql_tree.h"

#include <strings.h>
#include <unistd.h>

enum { SPOOL_SQL_MAX = 16 << 20 };

/* The functions that count what they cannot read; engine_duckdb_read.c. */
static bool counts_unreadable(const char *name)
{
	static const char *const names[] = { "as_int",	 "as_long",   "as_boolean",
					     "as_count", "as_double", "as_timestamp" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/* The call that begins at this byte, to its closing parenthesis; a null slice: that is not seen. */
static struct slice call_at(const char *sql, int64_t at)
{
	const char *from = sql + at;
	const char *end = from;
	int depth = 0;

	if (at < 0 || (size_t)at >= strlen(sql))
		return (struct slice){ 0 };
	for (; *end; end++) {
		if (*end == '\'' || *end == '"') {
			end = strchr(end + 1, *end);
			if (!end)
				return (struct slice){ 0 };
		}
		depth += *end == '(' ? 1 : *end == ')' ? -1 : 0;
		if (*end == ')' && depth <= 0)
			return depth == 0 ? slice_of(from, (size_t)(end + 1 - from))
					  : (struct slice){ 0 };
	}
	return (struct slice){ 0 };
}

/* Whether it is one of raw's fields, rather than of what the model made of them. */
static bool reads_raw(struct engine_duckdb *engine, const struct clean_model *model,
		      struct slice call)
{
	duckdb_prepared_statement statement = NULL;
	struct buf sql;
	bool reads;

	buf_init(&sql, SPOOL_SQL_MAX);
	buf_addf(&sql, "SELECT %.*s FROM (SELECT ", SLICE_ARG(call));
	for (size_t i = 0; i < model->field_count; i++) {
		buf_add_str(&sql, "CAST(NULL AS VARCHAR) AS ");
		duck_put_name(&sql, slice_str(model->fields[i].alias));
		buf_add_str(&sql, ", ");
	}
	buf_add_str(&sql, "'' AS _partition, '' AS _offset) AS raw");
	reads = duckdb.prepare(engine->duck.conn, buf_cstr(&sql), &statement) == DuckDBSuccess;
	duckdb.destroy_prepare(&statement);
	buf_release(&sql);
	return reads;
}

/*
 * One more column makes DuckDB read each field as the model will, for the sake of the count of what
 * cannot be read. (Where the model looks at a field under a condition only, more is counted here.)
 */
static enum err_code put_readings(struct engine_duckdb *engine, const struct clean_model *model,
				  struct buf *sql, struct err *err)
{
	struct sql_tree tree;
	enum err_code code = sql_tree_read(&engine->duck, model->model.sql, &tree, err);

	buf_add_str(sql, ", 0");
	for (size_t i = 0; i < tree.count && code == ERR_OK; i++) {
		struct slice call;

		if (tree.nodes[i].what != SQL_FUNCTION || !counts_unreadable(tree.nodes[i].name))
			continue;
		call = call_at(model->model.sql, tree.nodes[i].at);
		if (call.ptr && reads_raw(engine, model, call))
			buf_addf(sql, " + CAST(%.*s IS NULL AS INTEGER)", SLICE_ARG(call));
	}
	buf_add_str(sql, " AS _read");
	sql_tree_release(&tree);
	return code;
}

static enum err_code spool(struct engine_duckdb *engine, struct duckdb_clean *clean,
			   const char *path, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SPOOL_SQL_MAX);
	buf_add_str(&sql, "COPY (SELECT raw.*");
	code = put_readings(engine, clean->model, &sql, err);
	buf_add_str(&sql, " FROM raw_records() AS raw) TO ");
	duck_put_literal(&sql, slice_str(path));
	buf_add_str(&sql, " " DELTA_STATS_PARQUET);
	if (code == ERR_OK)
		code = duck_run(&engine->duck, buf_cstr(&sql), err);
	buf_release(&sql);
	if (code != ERR_OK && atomic_load(&clean->failed)) {
		*err = clean->err;
		code = err->code;
	}
	return code;
}

enum err_code engine_duckdb_spool(struct engine_duckdb *engine, const struct clean_model *model,
				  struct raw_input *input, const char *path,
				  struct clean_result *ret_result, struct err *err)
{
	struct duckdb_clean clean;
	struct clean_result result = { 0 };
	enum err_code code = engine_duckdb_allow(engine, &model->model, DUCKDB_SQL_CLEAN, err);

	if (code != ERR_OK)
		return code;
	engine_duckdb_begin(engine, &clean, model, input);
	code = spool(engine, &clean, path, err);
	if (code == ERR_OK) {
		result.rows = atomic_load(&clean.rows);
		result.dead = clean.dead;
		result.unreadable = atomic_load(&engine->unreadable);
		buf_init(&result.stats, ENGINE_DUCKDB_STATS_MAX);
		result.unknown = clean.unknown;
		clean.unknown = (struct unknown_fields){ 0 };
		*ret_result = result;
	}
	engine_duckdb_end(engine, &clean);
	if (code != ERR_OK || ret_result->rows == 0)
		(void)unlink(path);
	return code;
}

/* The columns are c0, c1, … in the schema's order. */
static void put_taken(struct buf *sql, const struct delta_schema *schema)
{
	for (size_t i = 0; i < schema->count; i++) {
		buf_addf(sql, "%sCAST(c%zu AS %s) AS ", i ? ", " : "", i,
			 engine_duckdb_type(schema->columns[i].type));
		duck_put_name(sql, slice_str(schema->columns[i].name));
	}
}

void engine_duckdb_put_parts(struct buf *sql, const struct duckdb_parts *parts)
{
	duck_put_files_begin(sql);
	for (size_t i = 0; i < parts->count; i++)
		duck_put_file(sql, parts->files[i].fd, parts->turn);
	duck_put_files_end(sql);
}

enum err_code engine_duckdb_take_clean(struct engine_duckdb *engine,
				       const struct clean_model *model,
				       const struct duckdb_parts *parts, const char *path,
				       struct clean_result *result, struct err *err)
{
	duckdb_result copied;
	struct buf sql;
	uint64_t rows = 0;
	enum err_code code;

	buf_init(&sql, SPOOL_SQL_MAX);
	buf_add_str(&sql, "COPY (SELECT ");
	put_taken(&sql, &model->schema);
	buf_add_str(&sql, " FROM ");
	engine_duckdb_put_parts(&sql, parts);
	buf_add_str(&sql, ") TO ");
	duck_put_literal(&sql, slice_str(path));
	buf_add_str(&sql, " " DELTA_STATS_PARQUET);
	code = duck_query(&engine->duck, buf_cstr(&sql), &copied, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	code = delta_stats_put(&result->stats, &copied, &model->schema, &rows, &result->bytes, err);
	duckdb.destroy_result(&copied);
	if (code == ERR_OK && rows != result->rows)
		code = err_set(err, ERR_IO, "of %llu rows that were cleaned %llu came back",
			       (unsigned long long)result->rows, (unsigned long long)rows);
	if (code != ERR_OK)
		(void)unlink(path);
	return code;
}
