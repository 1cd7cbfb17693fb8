/* delta_parquet_write.c - a state as a checkpoint file. */
#include "delta/delta_parquet.h"

#include "sql/duck_rows.h"
#include "delta/delta_retention.h"

#include <inttypes.h>
#include <stdio.h>

enum { SQL_MAX = 16 << 20 };

static void append_text(duckdb_appender to, const char *text)
{
	if (text)
		(void)duckdb.append_varchar_length(to, text, strlen(text));
	else
		(void)duckdb.append_null(to);
}

static void append_i64(duckdb_appender to, int64_t value)
{
	if (value >= 0)
		(void)duckdb.append_int64(to, value);
	else
		(void)duckdb.append_null(to);
}

static void append_adds(duckdb_appender to, const struct delta_state *state)
{
	struct buf path;

	buf_init(&path, 3 * STORE_KEY_MAX + 1);
	for (size_t i = state->new_from; i < state->file_count; i++) {
		const struct delta_add *add = &state->files[i].add;

		buf_clear(&path);
		delta_put_path(&path, add->path);
		append_text(to, buf_cstr(&path));
		append_i64(to, (int64_t)add->size);
		append_i64(to, add->modified_ms);
		append_text(to, add->stats);
		(void)duckdb.appender_end_row(to);
	}
	buf_release(&path);
}

/* `deleted` is null where the file is in the table again: there is no tombstone to be written. */
static void append_gone(duckdb_appender to, const struct delta_state *state)
{
	struct buf path;

	buf_init(&path, 3 * STORE_KEY_MAX + 1);
	for (size_t i = 0; i < state->gone_count; i++) {
		const struct delta_remove *gone = &state->gone[i].remove;
		size_t at;

		buf_clear(&path);
		delta_put_path(&path, gone->path);
		append_text(to, gone->path);
		append_text(to, buf_cstr(&path));
		append_i64(to, delta_map_get(&state->by_path, gone->path, &at) ? -1 :
			   gone->deleted_ms);
		append_i64(to, gone->size);
		(void)duckdb.appender_end_row(to);
	}
	buf_release(&path);
}

static void append_apps(duckdb_appender to, const struct delta_state *state)
{
	for (size_t i = 0; i < state->app_count; i++) {
		append_text(to, state->apps[i].id);
		append_i64(to, state->apps[i].version);
		append_i64(to, state->apps[i].updated_ms);
		(void)duckdb.appender_end_row(to);
	}
}

static enum err_code fill_table(struct duck *duck, const char *table, const char *table_columns,
				void (*append)(duckdb_appender to, const struct delta_state *state),
				const struct delta_state *state, struct err *err)
{
	char sql[512];
	duckdb_appender to = NULL;
	enum err_code code;

	(void)snprintf(sql, sizeof(sql), "CREATE OR REPLACE TABLE %s (%s)", table, table_columns);
	code = duck_run(duck, sql, err);
	if (code != ERR_OK)
		return code;
	if (duckdb.appender_create(duck->conn, NULL, table, &to) == DuckDBSuccess) {
		append(to, state);
		if (duckdb.appender_close(to) == DuckDBSuccess)
			goto out;
	}
	code = duck_error(duck, DUCKDB_ERROR_INVALID, duckdb.appender_error(to), err);
out:
	(void)duckdb.appender_destroy(&to);
	return code;
}

static enum err_code fill_tables(struct duck *duck, const struct delta_state *state,
				 struct err *err)
{
	enum err_code code;

	code = fill_table(duck, "new_add", "path VARCHAR, size BIGINT, modified BIGINT, "
			  "stats VARCHAR", append_adds, state, err);
	if (code == ERR_OK)
		code = fill_table(duck, "gone", "path VARCHAR, encoded VARCHAR, deleted BIGINT, "
				  "size BIGINT", append_gone, state, err);
	if (code == ERR_OK)
		code = fill_table(duck, "app", "id VARCHAR, version BIGINT, updated BIGINT",
				  append_apps, state, err);
	return code;
}

static void put_text(struct buf *sql, const char *text)
{
	if (text)
		duck_put_literal(sql, slice_str(text));
	else
		buf_add_str(sql, "NULL");
}

static void parquet_write_put_settings(struct buf *sql, const struct delta_settings *settings)
{
	buf_add_str(sql, "MAP {");
	for (size_t i = 0; i < settings->count; i++) {
		buf_add_str(sql, i ? ", " : "");
		put_text(sql, settings->items[i].key);
		buf_add_str(sql, ": ");
		put_text(sql, settings->items[i].value);
	}
	buf_add_str(sql, "}");
}

static void put_metadata(struct buf *sql, const struct delta_metadata *metadata)
{
	buf_add_str(sql, "{'id': ");
	put_text(sql, metadata->id);
	buf_add_str(sql, ", 'name': ");
	put_text(sql, metadata->name);
	buf_add_str(sql, ", 'description': ");
	put_text(sql, metadata->description);
	buf_add_str(sql, ", 'format': {'provider': ");
	put_text(sql, metadata->provider);
	buf_add_str(sql, ", 'options': ");
	parquet_write_put_settings(sql, &metadata->options);
	buf_add_str(sql, "}, 'schemaString': ");
	put_text(sql, metadata->schema);
	buf_add_str(sql, ", 'partitionColumns': [], 'configuration': ");
	parquet_write_put_settings(sql, &metadata->settings);
	buf_add_str(sql, ", 'createdTime': ");
	if (metadata->created_ms >= 0)
		buf_add_i64(sql, metadata->created_ms);
	else
		buf_add_str(sql, "NULL");
	buf_add_str(sql, "}");
}

/* The oldest tombstone to keep. */
static int64_t tombstones_after(const struct delta_metadata *metadata, int64_t now_ms)
{
	int64_t kept_ms = delta_retention_files_ms(metadata);

	return kept_ms < now_ms ? now_ms - kept_ms : 0;
}

static const char *type_of(const char *column)
{
	for (size_t i = 0; i < DELTA_PARQUET_COLUMNS; i++)
		if (strcmp(delta_parquet_columns[i].name, column) == 0)
			return delta_parquet_columns[i].type;
	return NULL;
}

/* What is left of the checkpoint before. */
static void put_base_rows(struct buf *sql, const struct delta_state *state, int64_t after_ms)
{
	buf_addf(sql, " UNION ALL BY NAME SELECT remove FROM base WHERE remove.path IS NOT NULL"
		 " AND remove.deletionTimestamp > %" PRId64 " AND url_decode(remove.path)"
		 " NOT IN (SELECT path FROM gone UNION ALL SELECT url_decode(path) FROM new_add)"
		 " UNION ALL BY NAME SELECT \"add\" FROM base WHERE \"add\".path IS NOT NULL", after_ms);
	if (state->gone_count > 0)
		buf_add_str(sql, " AND url_decode(\"add\".path) NOT IN (SELECT path FROM gone)");
}

/* The query that gives all rows of the checkpoint, the old one's after the new ones. */
static void put_rows(struct buf *sql, const struct delta_state *state, bool base, int64_t after_ms)
{
	buf_addf(sql, "SELECT {'minReaderVersion': %" PRId64 ", 'minWriterVersion': %" PRId64
		 ", 'readerFeatures': NULL, 'writerFeatures': NULL}::%s AS protocol"
		 " UNION ALL BY NAME SELECT ", state->protocol.reader, state->protocol.writer,
		 type_of("protocol"));
	put_metadata(sql, state->metadata);
	buf_addf(sql, "::%s AS metaData"
		 " UNION ALL BY NAME SELECT {'appId': id, 'version': version, 'lastUpdated': updated}::%s"
		 " AS txn FROM app"
		 " UNION ALL BY NAME SELECT {'path': encoded, 'deletionTimestamp': deleted, "
		 "'dataChange': false, 'extendedFileMetadata': false, 'partitionValues': NULL, "
		 "'size': size, 'tags': NULL}::%s AS remove FROM gone WHERE deleted > %" PRId64,
		 type_of("metaData"), type_of("txn"), type_of("remove"), after_ms);
	if (base)
		put_base_rows(sql, state, after_ms);
	buf_addf(sql, " UNION ALL BY NAME SELECT {'path': path, 'partitionValues': MAP {}, "
		 "'size': size, 'modificationTime': modified, 'dataChange': false, 'stats': stats, "
		 "'tags': NULL}::%s AS \"add\" FROM new_add", type_of("add"));
}

static enum err_code copy_rows(struct duck *duck, const struct delta_state *state, bool base,
			       int64_t now_ms, const char *path, uint64_t *ret_actions,
			       struct err *err)
{
	enum err_code code;
	struct duck_rows rows;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	buf_add_str(&sql, "COPY (");
	put_rows(&sql, state, base, tombstones_after(state->metadata, now_ms));
	buf_addf(&sql, ") TO '%s' (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)", path);
	code = buf_full(&sql) ? err_set(err, ERR_LIMIT, "the table's metadata is too large") :
		duck_rows_open(duck, buf_cstr(&sql), &rows, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	*ret_actions = duck_rows_next(&rows) ? (uint64_t)duck_i64(&rows, 0, 0) : 0;
	duck_rows_close(&rows);
	return ERR_OK;
}

enum err_code delta_parquet_make(struct duck *duck, const struct delta_state *state,
				 const struct delta_parquet *base, int64_t now_ms, struct buf *out,
				 uint64_t *ret_actions, struct err *err)
{
	struct delta_parquet_files old = { 0 };
	struct memfile new;
	enum err_code code = memfile_open(&new, err);

	if (code != ERR_OK)
		return code;
	if (base->parts > 0)
		code = delta_parquet_base(duck, base, &old, err);
	if (code == ERR_OK)
		code = fill_tables(duck, state, err);
	if (code == ERR_OK)
		code = copy_rows(duck, state, base->parts > 0, now_ms, new.path, ret_actions, err);
	if (code == ERR_OK)
		code = memfile_read(&new, out, err);
	delta_parquet_close(&old);
	memfile_close(&new);
	return code;
}
