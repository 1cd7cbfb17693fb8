/* delta_parquet_read.c - a checkpoint file as actions. */
#include "delta/delta_parquet.h"

#include "sql/duck_rows.h"
#include "base/mem.h"
#include "delta/delta_schema.h"

#include <inttypes.h>

enum { VIEW_BYTES_MAX = 1 << 16 };

const struct delta_parquet_column delta_parquet_columns[DELTA_PARQUET_COLUMNS] = {
	{ "txn", "STRUCT(appId VARCHAR, version BIGINT, lastUpdated BIGINT)" },
	{ "add", "STRUCT(path VARCHAR, partitionValues MAP(VARCHAR, VARCHAR), size BIGINT, "
	  "modificationTime BIGINT, dataChange BOOLEAN, stats VARCHAR, tags MAP(VARCHAR, VARCHAR))" },
	{ "remove", "STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN, "
	  "extendedFileMetadata BOOLEAN, partitionValues MAP(VARCHAR, VARCHAR), size BIGINT, "
	  "tags MAP(VARCHAR, VARCHAR))" },
	{ "metaData", "STRUCT(id VARCHAR, name VARCHAR, description VARCHAR, format STRUCT(provider "
	  "VARCHAR, options MAP(VARCHAR, VARCHAR)), schemaString VARCHAR, partitionColumns VARCHAR[], "
	  "configuration MAP(VARCHAR, VARCHAR), createdTime BIGINT)" },
	{ "protocol", "STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER, "
	  "readerFeatures VARCHAR[], writerFeatures VARCHAR[])" },
};

static void parquet_read_put_column(struct buf *view, size_t i, bool present)
{
	buf_add_str(view, i ? ", " : "");
	if (present)
		duck_put_name(view, slice_str(delta_parquet_columns[i].name));
	else
		buf_add_str(view, "NULL");
	buf_addf(view, "::%s AS \"%s\"", delta_parquet_columns[i].type, delta_parquet_columns[i].name);
}

static enum err_code open_files(const struct delta_parquet *parquet,
				struct delta_parquet_files *files, struct err *err)
{
	size_t from = 0;

	for (size_t i = 0; i < parquet->parts; i++) {
		struct slice part = slice_of(parquet->bytes.ptr + from, parquet->ends[i] - from);
		enum err_code code = memfile_open(&files->files[i], err);

		if (code != ERR_OK)
			return code;
		files->count++;
		code = memfile_write(&files->files[i], part, err);
		if (code != ERR_OK)
			return code;
		from = parquet->ends[i];
	}
	return ERR_OK;
}

void delta_parquet_close(struct delta_parquet_files *files)
{
	while (files->count > 0)
		memfile_close(&files->files[--files->count]);
}

static void put_files(struct buf *sql, const struct delta_parquet_files *files)
{
	buf_add_str(sql, " FROM read_parquet([");
	for (size_t i = 0; i < files->count; i++)
		buf_addf(sql, "%s'%s'", i ? ", " : "", files->files[i].path);
	buf_add_str(sql, "], union_by_name = true, hive_partitioning = false)");
}

static enum err_code find_columns(struct duck *duck, const struct delta_parquet_files *files,
				  bool has[static DELTA_PARQUET_COLUMNS], struct err *err)
{
	struct duck_rows rows;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, VIEW_BYTES_MAX);
	buf_add_str(&sql, "SELECT column_name FROM (DESCRIBE");
	put_files(&sql, files);
	buf_add_char(&sql, ')');
	code = duck_rows_open(duck, buf_cstr(&sql), &rows, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	while (duck_rows_next(&rows))
		for (size_t i = 0; i < DELTA_PARQUET_COLUMNS; i++)
			has[i] |= slice_is(duck_slice(&rows, 0), delta_parquet_columns[i].name);
	duck_rows_close(&rows);
	return ERR_OK;
}

/* The columns that we know, null where the files have none, whatever else they have. */
enum err_code delta_parquet_base(struct duck *duck, const struct delta_parquet *parquet,
				 struct delta_parquet_files *files, struct err *err)
{
	bool has[DELTA_PARQUET_COLUMNS] = { 0 };
	struct buf view;
	enum err_code code = open_files(parquet, files, err);

	if (code == ERR_OK)
		code = find_columns(duck, files, has, err);
	if (code != ERR_OK)
		return code;
	buf_init(&view, VIEW_BYTES_MAX);
	buf_add_str(&view, "CREATE OR REPLACE VIEW base AS SELECT ");
	for (size_t i = 0; i < DELTA_PARQUET_COLUMNS; i++)
		parquet_read_put_column(&view, i, has[i]);
	put_files(&view, files);
	code = duck_run(duck, buf_cstr(&view), err);
	buf_release(&view);
	return code;
}

static enum err_code parquet_read_read_protocol(struct duck *duck, struct delta_actions *actions,
						struct err *err)
{
	struct duck_rows rows;
	enum err_code code = duck_rows_open(duck, "SELECT protocol.minReaderVersion::BIGINT, "
		"protocol.minWriterVersion::BIGINT, array_to_string(protocol.readerFeatures, ' '), "
		"array_to_string(protocol.writerFeatures, ' ') FROM base "
		"WHERE protocol.minReaderVersion IS NOT NULL", &rows, err);

	if (code != ERR_OK)
		return code;
	if (duck_rows_next(&rows)) {
		actions->protocol.reader = duck_i64(&rows, 0, 0);
		actions->protocol.writer = duck_i64(&rows, 1, 0);
		delta_add_feature(actions->protocol.reader_features, duck_slice(&rows, 2));
		delta_add_feature(actions->protocol.writer_features, duck_slice(&rows, 3));
	}
	duck_rows_close(&rows);
	if (actions->protocol.reader < 1)
		return err_set(err, ERR_CORRUPT, "it has no protocol");
	return ERR_OK;
}

static enum err_code parquet_read_read_settings(struct duck *duck, const char *member,
						struct delta_settings *settings, struct err *err)
{
	char sql[256];
	struct duck_rows rows;
	enum err_code code;

	(void)snprintf(sql, sizeof(sql), "SELECT s.key, s.value FROM (SELECT "
		       "unnest(map_entries(metaData.%s)) AS s FROM base "
		       "WHERE metaData.id IS NOT NULL) WHERE s.key IS NOT NULL AND s.value IS NOT NULL",
		       member);
	code = duck_rows_open(duck, sql, &rows, err);
	if (code != ERR_OK)
		return code;
	while (duck_rows_next(&rows)) {
		struct delta_setting *setting = delta_settings_new(settings);
		struct slice key = duck_slice(&rows, 0);
		struct slice value = duck_slice(&rows, 1);

		setting->key = xstrndup(key.ptr, key.len);
		setting->value = xstrndup(value.ptr, value.len);
	}
	duck_rows_close(&rows);
	return ERR_OK;
}

static enum err_code parquet_read_read_metadata(struct duck *duck, struct delta_actions *actions,
						struct err *err)
{
	struct delta_metadata *metadata = xcalloc(1, sizeof(*metadata));
	struct duck_rows rows;
	enum err_code code = duck_rows_open(duck, "SELECT metaData.id, metaData.name, "
		"metaData.description, metaData.format.provider, metaData.schemaString, "
		"metaData.createdTime, metaData.partitionColumns[1] FROM base "
		"WHERE metaData.id IS NOT NULL", &rows, err);

	actions->metadata = metadata;
	if (code != ERR_OK)
		return code;
	if (duck_rows_next(&rows)) {
		metadata->id = duck_text(&rows, 0);
		metadata->name = duck_text(&rows, 1);
		metadata->description = duck_text(&rows, 2);
		metadata->provider = duck_text(&rows, 3);
		metadata->schema = duck_text(&rows, 4);
		metadata->created_ms = duck_i64(&rows, 5, -1);
		metadata->partitioned_by = duck_text(&rows, 6);
	}
	duck_rows_close(&rows);
	if (!metadata->id || !metadata->schema)
		return err_set(err, ERR_CORRUPT, "it has no metadata");
	code = parquet_read_read_settings(duck, "configuration", &metadata->settings, err);
	if (code == ERR_OK)
		code = parquet_read_read_settings(duck, "format.options", &metadata->options, err);
	return code;
}

static enum err_code read_apps(struct duck *duck, struct delta_actions *actions, struct err *err)
{
	struct duck_rows rows;
	enum err_code code = duck_rows_open(duck, "SELECT txn.appId, txn.version, txn.lastUpdated "
		"FROM base WHERE txn.appId IS NOT NULL", &rows, err);

	if (code != ERR_OK)
		return code;
	while (duck_rows_next(&rows) && code == ERR_OK) {
		struct delta_app *app = delta_actions_new_app(actions);

		app->id = duck_text(&rows, 0);
		app->version = duck_i64(&rows, 1, -1);
		app->updated_ms = duck_i64(&rows, 2, -1);
		if (!app->id || app->version < 0)
			code = err_set(err, ERR_CORRUPT, "a txn has no appId or no version");
	}
	duck_rows_close(&rows);
	return code;
}

static enum err_code read_adds(struct duck *duck, struct delta_reader *reader,
			       struct delta_actions *actions, struct err *err)
{
	struct duck_rows rows;
	enum err_code code = duck_rows_open(duck, "SELECT \"add\".path, \"add\".size, "
		"\"add\".modificationTime, \"add\".stats FROM base WHERE \"add\".path IS NOT NULL",
		&rows, err);

	if (code != ERR_OK)
		return code;
	while (code == ERR_OK && duck_rows_next(&rows)) {
		struct delta_add *add = delta_actions_new_add(actions);
		struct slice stats = duck_slice(&rows, 3);
		int64_t size = duck_i64(&rows, 1, -1);

		code = delta_path_decode(duck_slice(&rows, 0), &add->path, err);
		if (code == ERR_OK && size < 0)
			code = err_set(err, ERR_CORRUPT, "file \"%s\" has no size", add->path);
		add->size = (uint64_t)size;
		add->modified_ms = duck_i64(&rows, 2, 0);
		add->rows = stats.ptr ? delta_reader_rows(reader, stats) : 0;
	}
	duck_rows_close(&rows);
	return code;
}

static enum err_code count_tombstones(struct duck *duck, struct delta_actions *actions,
				      struct err *err)
{
	struct duck_rows rows;
	enum err_code code = duck_rows_open(duck,
					    "SELECT count(*) FROM base "
					    "WHERE remove.path IS NOT NULL",
					    &rows, err);

	if (code != ERR_OK)
		return code;
	if (duck_rows_next(&rows))
		actions->tombstones = (uint64_t)duck_i64(&rows, 0, 0);
	duck_rows_close(&rows);
	return ERR_OK;
}

static enum err_code parquet_read_read_all(struct duck *duck, const struct delta_parquet *parquet,
					   struct delta_parquet_files *files,
					   struct delta_reader *reader,
					   struct delta_actions *actions, struct err *err)
{
	enum err_code code = delta_parquet_base(duck, parquet, files, err);

	if (code == ERR_OK)
		code = parquet_read_read_protocol(duck, actions, err);
	if (code == ERR_OK)
		code = parquet_read_read_metadata(duck, actions, err);
	if (code == ERR_OK)
		code = delta_check_readable(&actions->protocol, actions->metadata, err);
	if (code == ERR_OK)
		code = read_apps(duck, actions, err);
	if (code == ERR_OK)
		code = read_adds(duck, reader, actions, err);
	if (code == ERR_OK)
		code = count_tombstones(duck, actions, err);
	return code;
}

enum err_code delta_parquet_tombstones(struct duck *duck, const struct delta_parquet *parquet,
				       int64_t after_ms, struct delta_actions *actions,
				       struct err *err)
{
	struct delta_parquet_files files = { 0 };
	struct duck_rows rows;
	char sql[200];
	enum err_code code = delta_parquet_base(duck, parquet, &files, err);

	(void)snprintf(sql, sizeof(sql),
		       "SELECT remove.path, remove.deletionTimestamp FROM base "
		       "WHERE remove.path IS NOT NULL AND remove.deletionTimestamp > %" PRId64,
		       after_ms);
	if (code == ERR_OK)
		code = duck_rows_open(duck, sql, &rows, err);
	if (code == ERR_OK) {
		while (code == ERR_OK && duck_rows_next(&rows)) {
			struct delta_remove *gone = delta_actions_new_remove(actions);

			gone->deleted_ms = duck_i64(&rows, 1, 0);
			code = delta_path_decode(duck_slice(&rows, 0), &gone->path, err);
		}
		duck_rows_close(&rows);
	}
	delta_parquet_close(&files);
	return code;
}

enum err_code delta_parquet_read(struct duck *duck, const struct delta_parquet *parquet,
				 struct delta_reader *reader, struct delta_actions *ret_actions,
				 struct err *err)
{
	struct delta_actions actions = { 0 };
	struct delta_parquet_files files = { 0 };
	enum err_code code = parquet_read_read_all(duck, parquet, &files, reader, &actions, err);

	delta_parquet_close(&files);
	if (code == ERR_OK)
		*ret_actions = actions;
	else
		delta_actions_release(&actions);
	/* DuckDB says of bytes that are no Parquet that a value or the input does not fit. */
	if (code == ERR_IO || code == ERR_SHAPE || code == ERR_USAGE)
		err->code = code = ERR_CORRUPT;
	return code;
}
