#include "flow/rebuild_rows.h"

#include "base/mem.h"
#include "base/time.h"
#include "delta/delta_stats.h"
#include "flow/table_files.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { SQL_BYTES_MAX = 64 << 20, STATS_BYTES_MAX = 1 << 20, FILE_NAME_MAX = 255 };

static const char *const column_type[] = {
	[DELTA_INTEGER] = "INTEGER",	  [DELTA_LONG] = "BIGINT",
	[DELTA_DOUBLE] = "DOUBLE",	  [DELTA_STRING] = "VARCHAR",
	[DELTA_BOOLEAN] = "BOOLEAN",	  [DELTA_TIMESTAMP] = "TIMESTAMPTZ",
	[DELTA_ARRAY_DOUBLE] = "DOUBLE[]",
};

/* The old files by name of column, with each of the model's columns in any case. */
static void put_old_rows(struct buf *sql, const struct rebuild_rows_options *options,
			 const struct table_files *old)
{
	const struct delta_schema *schema = &options->place->model->schema;
	uint64_t turn = duck_turn();

	buf_add_str(sql, "(SELECT ");
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(sql, i ? ", NULL AS " : "NULL AS ");
		duck_put_name(sql, slice_str(schema->columns[i].name));
	}
	buf_add_str(sql, " WHERE false UNION ALL BY NAME SELECT * FROM ");
	duck_put_files_begin(sql);
	for (size_t i = 0; i < old->count; i++)
		duck_put_file(sql, old->list[i].fd, turn);
	duck_put_files_end(sql);
	buf_add_str(sql, ") AS old");
}

/* As it stands in _offset. */
static void span_text(const struct reach_span *span, struct position at,
		      char text[LAKE_OFFSET_TEXT_MAX])
{
	int len = 0;

	if (span->generation > 1)
		len = snprintf(text, LAKE_OFFSET_TEXT_MAX, "g%04" PRIu32 "-", span->generation);
	(void)position_text(at, text + len);
}

/* Within a partition, offsets as text are in the order of the log. */
static void put_unreached(struct buf *sql, const struct rebuild_rows_options *options)
{
	char partition[PARTITION_TEXT_MAX], first[LAKE_OFFSET_TEXT_MAX];
	char last[LAKE_OFFSET_TEXT_MAX];

	buf_add_str(sql, " WHERE NOT EXISTS (SELECT 1 FROM (VALUES ('', '', '')");
	for (size_t i = 0; i < options->reach->count; i++) {
		const struct reach_span *span = &options->reach->spans[i];

		(void)partition_text(options->place->kind, span->partition, partition);
		span_text(span, span->first, first);
		span_text(span, span->last, last);
		buf_addf(sql, ", ('%s', '%s', '%s')", partition, first, last);
	}
	buf_add_str(sql, ") AS reach(p, first, last) WHERE p = old._partition"
			 " AND old._offset BETWEEN first AND last)");
}

static void put_copy(struct buf *sql, const struct rebuild_rows_options *options,
		     const struct table_files *old, const char *path)
{
	const struct delta_schema *schema = &options->place->model->schema;

	buf_add_str(sql, "COPY (SELECT ");
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(sql, i ? ", TRY_CAST(old." : "TRY_CAST(old.");
		duck_put_name(sql, slice_str(schema->columns[i].name));
		buf_addf(sql, " AS %s) AS ", column_type[schema->columns[i].type]);
		duck_put_name(sql, slice_str(schema->columns[i].name));
	}
	buf_add_str(sql, " FROM ");
	put_old_rows(sql, options, old);
	put_unreached(sql, options);
	buf_add_str(sql, ") TO ");
	duck_put_literal(sql, slice_str(path));
	buf_add_str(sql, " (FORMAT parquet, COMPRESSION snappy, RETURN_STATS)");
}

static enum err_code rebuild_rows_query(const struct rebuild_rows_options *options,
					struct buf *sql, duckdb_result *ret_result,
					struct err *err)
{
	if (buf_full(sql))
		return err_set(err, ERR_LIMIT, "the table has too many files");
	if (duck_run(options->duck, "SET TimeZone = 'UTC'", err) != ERR_OK)
		return err->code;
	return duck_query(options->duck, buf_cstr(sql), ret_result, err);
}

static enum err_code count_unreached(const struct rebuild_rows_options *options,
				     const struct table_files *old, struct rebuild_rows *rows,
				     struct err *err)
{
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "SELECT count(*) FROM ");
	put_old_rows(&sql, options, old);
	put_unreached(&sql, options);
	code = rebuild_rows_query(options, &sql, &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	rows->dropped = duckdb.value_uint64(&result, 0, 0);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

static enum err_code copy_unreached(const struct rebuild_rows_options *options,
				    const struct table_files *old, const char *path,
				    struct rebuild_rows *rows, struct err *err)
{
	duckdb_result result;
	struct buf sql, stats;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	put_copy(&sql, options, old, path);
	code = rebuild_rows_query(options, &sql, &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	buf_init(&stats, STATS_BYTES_MAX);
	code = delta_stats_put(&stats, &result, &options->place->model->schema, &rows->add.rows,
			       &rows->add.size, err);
	if (code == ERR_OK && rows->add.rows > 0)
		rows->add.stats = xstrndup(stats.ptr, stats.len);
	buf_release(&stats);
	duckdb.destroy_result(&result);
	return code;
}

static enum err_code put_rows_file(const struct rebuild_rows_options *options, const char *path,
				   struct rebuild_rows *rows, struct err *err)
{
	char key[STORE_KEY_MAX * 2];
	struct buf name;
	enum err_code code;

	buf_init(&name, FILE_NAME_MAX);
	delta_new_file_name(&name);
	(void)snprintf(key, sizeof(key), "%s/%s", options->place->root, buf_cstr(&name));
	code = store_put_file(options->store, key, path, err);
	rows->add.path = xstrdup(buf_cstr(&name));
	rows->add.modified_ms = clock_wall_ms();
	buf_release(&name);
	return code;
}

static enum err_code keep_unreached(const struct rebuild_rows_options *options,
			       const struct table_files *old, struct rebuild_rows *ret_rows,
			       struct err *err)
{
	char path[PATH_MAX];
	enum err_code code;

	if (options->drop)
		return count_unreached(options, old, ret_rows, err);
	if (snprintf(path, sizeof(path), "%s/tmp/rebuild-%s.parquet", options->dir,
		     options->place->model->model.name) >= (int)sizeof(path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	(void)unlink(path);	/* of a rebuild that was killed */
	code = copy_unreached(options, old, path, ret_rows, err);
	if (code == ERR_OK && ret_rows->add.rows > 0)
		code = put_rows_file(options, path, ret_rows, err);
	(void)unlink(path);
	return code;
}

enum err_code rebuild_rows_keep(const struct rebuild_rows_options *options,
				struct rebuild_rows *ret_rows, struct err *err)
{
	struct table_files old = { 0 };
	enum err_code code;

	if (delta_file_count(options->old) == 0)
		return ERR_OK;
	code = table_files_open(options->store, options->place->root, options->old, &old, err);
	if (code == ERR_OK)
		code = keep_unreached(options, &old, ret_rows, err);
	table_files_close(&old);
	return code;
}

void rebuild_rows_release(struct rebuild_rows *rows)
{
	free(rows->add.path);
	free(rows->add.stats);
	*rows = (struct rebuild_rows){ 0 };
}
