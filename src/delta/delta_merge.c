#include "delta/delta_merge.h"

#include "delta/delta_stats.h"

#include <inttypes.h>
#include <strings.h>

enum { SQL_BYTES_MAX = 16 << 20 };

static const char *const sql_type[] = {
	[DELTA_INTEGER] = "INTEGER",	   [DELTA_LONG] = "BIGINT",
	[DELTA_DOUBLE] = "DOUBLE",	   [DELTA_STRING] = "VARCHAR",
	[DELTA_BOOLEAN] = "BOOLEAN",	   [DELTA_TIMESTAMP] = "TIMESTAMPTZ",
	[DELTA_ARRAY_DOUBLE] = "DOUBLE[]",
};

enum err_code delta_merge_open(const struct duck_options *options, struct duck *ret_duck,
			       struct err *err)
{
	struct duck duck = { 0 };
	enum err_code code = duck_open(options, &duck, err);

	if (code == ERR_OK)
		code = duck_run(&duck, "SET TimeZone = 'UTC'", err);
	if (code == ERR_OK)
		*ret_duck = duck;
	else
		duck_close(&duck);
	return code;
}

/* The table's columns, of their types; `null`: without a value. */
static void merge_put_casts(struct buf *sql, const struct delta_schema *schema, bool null)
{
	for (size_t i = 0; i < schema->count; i++) {
		struct slice name = slice_str(schema->columns[i].name);

		buf_add_str(sql, i ? ", CAST(" : "CAST(");
		if (null)
			buf_add_str(sql, "NULL");
		else
			duck_put_name(sql, name);
		buf_addf(sql, " AS %s) AS ", sql_type[schema->columns[i].type]);
		duck_put_name(sql, name);
	}
}

/* By the lineage: a table of others has none, or only a part of it. */
static void merge_put_order(struct buf *sql, const struct delta_schema *schema)
{
	static const char *const lineage[] = { "_partition", "_offset" };
	const char *before = " ORDER BY ";

	for (size_t l = 0; l < sizeof(lineage) / sizeof(lineage[0]); l++)
		for (size_t i = 0; i < schema->count; i++)
			if (strcasecmp(schema->columns[i].name, lineage[l]) == 0) {
				buf_add_str(sql, before);
				duck_put_name(sql, slice_str(schema->columns[i].name));
				before = ", ";
			}
}

/* The empty relation before the files has every column, so that one that none of them has is there;
 * and under a name that differs in case it is found, as Delta has it. */
void delta_merge_put_rows(struct buf *sql, const struct delta_merge *merge, uint64_t turn,
			  const char *file_column)
{
	buf_add_str(sql, "SELECT ");
	merge_put_casts(sql, merge->schema, false);
	if (file_column)
		buf_addf(sql, ", %s", file_column);
	buf_add_str(sql, " FROM (SELECT ");
	merge_put_casts(sql, merge->schema, true);
	buf_add_str(sql, " WHERE false UNION ALL BY NAME SELECT * FROM ");
	duck_put_files_begin(sql);
	for (size_t i = 0; i < merge->count; i++)
		duck_put_file(sql, merge->files[i].fd, turn);
	if (file_column)
		duck_put_files_end_named(sql, file_column);
	else
		duck_put_files_end(sql);
	buf_add_char(sql, ')');
}

enum err_code delta_merge_ask(struct duck *duck, const struct delta_merge *merge, uint64_t turn,
			      struct buf *sql, duckdb_result *ret_result, struct err *err)
{
	enum err_code code = duck_query(duck, buf_cstr(sql), ret_result, err);

	if (code == ERR_OK)
		return ERR_OK;
	for (size_t i = 0; i < merge->count; i++)
		if (duck_name_file(merge->files[i].fd, turn, merge->files[i].path, err))
			break;
	return err->code;
}

enum err_code delta_merge_copy(struct duck *duck, const struct delta_merge *merge, uint64_t turn,
			       struct buf *sql, struct buf *stats, uint64_t *ret_rows,
			       uint64_t *ret_bytes, struct err *err)
{
	duckdb_result copied;
	enum err_code code;

	merge_put_order(sql, merge->schema);
	buf_add_str(sql, ") TO ");
	duck_put_literal(sql, slice_str(merge->path));
	buf_add_str(sql, " " DELTA_STATS_PARQUET);
	code = delta_merge_ask(duck, merge, turn, sql, &copied, err);
	if (code != ERR_OK)
		return code;
	code = delta_stats_put(stats, &copied, merge->schema, ret_rows, ret_bytes, err);
	duckdb.destroy_result(&copied);
	return code;
}

static enum err_code merge_copy(struct duck *duck, const struct delta_merge *merge, uint64_t turn,
				struct buf *stats, uint64_t *ret_rows, uint64_t *ret_bytes,
				struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "COPY (");
	delta_merge_put_rows(&sql, merge, turn, NULL);
	code = delta_merge_copy(duck, merge, turn, &sql, stats, ret_rows, ret_bytes, err);
	buf_release(&sql);
	return code;
}

/* Of those of which the log says nothing, their footers do. */
static enum err_code merge_ask_footers(struct duck *duck, const struct delta_merge *merge,
				       uint64_t turn, uint64_t *ret_rows, struct err *err)
{
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "SELECT CAST(sum(num_rows) AS BIGINT) FROM parquet_file_metadata([");
	for (size_t i = 0; i < merge->count; i++)
		if (merge->rows[i] == 0)
			duck_put_file(&sql, merge->files[i].fd, turn);
	buf_add_str(&sql, "])");
	code = delta_merge_ask(duck, merge, turn, &sql, &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	*ret_rows = duckdb.value_uint64(&result, 0, 0);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

enum err_code delta_merge_expect(struct duck *duck, const struct delta_merge *merge, uint64_t turn,
				 uint64_t *ret_rows, struct err *err)
{
	uint64_t said = 0, others = 0;
	bool unsaid = false;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < merge->count; i++) {
		said += merge->rows[i];
		unsaid |= merge->rows[i] == 0;
	}
	if (unsaid)
		code = merge_ask_footers(duck, merge, turn, &others, err);
	*ret_rows = said + others;
	return code;
}

enum err_code delta_merge_files(struct duck *duck, const struct delta_merge *merge,
				struct buf *stats, uint64_t *ret_rows, uint64_t *ret_bytes,
				struct err *err)
{
	uint64_t turn = duck_turn();
	uint64_t expected = 0, rows = 0, bytes = 0;
	enum err_code code = delta_merge_expect(duck, merge, turn, &expected, err);

	if (code == ERR_OK)
		code = merge_copy(duck, merge, turn, stats, &rows, &bytes, err);
	if (code != ERR_OK)
		return code;
	if (rows != expected)
		return err_set(err, ERR_CORRUPT,
			       "%zu data files hold %" PRIu64 " rows, and %" PRIu64 " by the log",
			       merge->count, rows, expected);
	*ret_rows = rows;
	*ret_bytes = bytes;
	return ERR_OK;
}
