#include "engine/engine_duckdb_kept.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum {
	KEPT_BYTES_MAX = 256 << 20,
	HEADER_BYTES_MAX = 64 << 20,
	SQL_BYTES_MAX = 64 << 20,
	FORMAT = 1,
	ROW_BYTES = 8,
	CRC_BYTES = 4,
};

static const char what[] = "what is kept of current rows";

/* What a file says, checked. */
struct kept {
	struct buf text;
	bool latest;
	size_t files;	   /* the first so many of the table it is of */
	struct slice rows; /* in `text` */
};

/* --- read ------------------------------------------------------------------------- */

static uint64_t get_number(const char *bytes, size_t len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | (unsigned char)bytes[len];
	return value;
}

static void kept_put_number(struct buf *out, uint64_t value, size_t len)
{
	for (; len-- > 0; value >>= 8)
		buf_add_char(out, (char)(value & 0xff));
}

static bool member_is(struct json object, const char *name, const char *text)
{
	struct json member;
	struct slice value;

	return json_member(object, name, &member) && json_get_string(member, &value) &&
	       slice_is(value, text);
}

/* The beginning of the table's list. */
static bool has_its_files(struct json files, const struct duckdb_table *table, size_t *ret_count)
{
	struct json_iter iter, of;
	size_t count = 0;

	for (iter = json_iter(files); json_next(&iter); count++) {
		struct slice name;
		int64_t size;

		if (count == table->its.file_count || json_type(iter.value) != JSON_ARRAY)
			return false;
		of = json_iter(iter.value);
		if (!json_next(&of) || !json_get_string(of.value, &name) ||
		    !slice_is(name, table->names[count]) || !json_next(&of) ||
		    !json_get_i64(of.value, &size) ||
		    (uint64_t)size != table->its.files[count].size)
			return false;
	}
	*ret_count = count;
	return true;
}

static bool kept_take_header(struct kept *kept, struct json root, const struct duckdb_table *table,
			     const char *key)
{
	struct json format, rows, files;
	int64_t number;

	if (json_type(root) != JSON_OBJECT || !json_member(root, "format", &format) ||
	    !json_get_i64(format, &number) || number != FORMAT ||
	    !member_is(root, "program", PINPIPE_VERSION) || !member_is(root, "key", key) ||
	    !json_member(root, "rows", &rows) || !json_get_i64(rows, &number) ||
	    (uint64_t)number * ROW_BYTES != kept->rows.len || !json_member(root, "files", &files) ||
	    json_type(files) != JSON_ARRAY)
		return false;
	kept->latest = member_is(root, "kind", "latest");
	return has_its_files(files, table, &kept->files);
}

/* The parts of the text, if its CRC is right. */
static bool kept_split(struct kept *kept, struct slice *ret_header)
{
	struct slice text = buf_slice(&kept->text);
	const char *end = text.len > CRC_BYTES ? memchr(text.ptr, '\n', text.len - CRC_BYTES)
					       : NULL;
	size_t header;

	if (!end || crc32c(0, text.ptr, text.len - CRC_BYTES) !=
			    get_number(text.ptr + text.len - CRC_BYTES, CRC_BYTES))
		return false;
	header = (size_t)(end - text.ptr) + 1;
	*ret_header = slice_of(text.ptr, header);
	kept->rows = slice_of(text.ptr + header, text.len - CRC_BYTES - header);
	return true;
}

/* The caller releases kept->text. */
static bool kept_read(struct kept *kept, const struct duckdb_table *table, const char *key)
{
	struct json_parser *parser = json_parser_new(HEADER_BYTES_MAX);
	struct slice header;
	struct json root;
	struct err err;
	bool fits;

	buf_init(&kept->text, KEPT_BYTES_MAX);
	fits = file_read(AT_FDCWD, table->kept, &kept->text, what, &err) == ERR_OK &&
	       kept_split(kept, &header) && json_parse(parser, header, &root, &err) == ERR_OK &&
	       kept_take_header(kept, root, table, key);
	json_parser_free(parser);
	return fits;
}

/* --- from what is kept to what is ---------------------------------------------------- */

static enum err_code kept_run(struct engine_duckdb *engine, struct buf *sql, struct err *err)
{
	enum err_code code = buf_full(sql) ? err_set(err, ERR_LIMIT, "it has too many files")
					   : duck_run(&engine->duck, buf_cstr(sql), err);

	buf_clear(sql);
	return code;
}

static enum err_code kept_count(struct engine_duckdb *engine, const char *sql, uint64_t *ret,
				struct err *err)
{
	duckdb_result result;
	enum err_code code = duck_query(&engine->duck, sql, &result, err);

	if (code != ERR_OK)
		return code;
	*ret = duckdb.value_uint64(&result, 0, 0);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

/* The table of row numbers, as it was kept. */
static enum err_code kept_fill(struct engine_duckdb *engine, const char *name, struct slice rows,
			       struct err *err)
{
	duckdb_appender appender = NULL;
	char table[NAME_MAX + 16];
	struct buf sql;
	enum err_code code;

	(void)snprintf(table, sizeof(table), "%s_rows", name);
	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "CREATE OR REPLACE TABLE pinpipe.\"%s\" (row BIGINT)", table);
	code = kept_run(engine, &sql, err);
	buf_release(&sql);
	if (code != ERR_OK || rows.len == 0)
		return code;
	if (duckdb.appender_create(engine->duck.conn, "pinpipe", table, &appender) == DuckDBSuccess)
		for (size_t at = 0; at < rows.len; at += ROW_BYTES) {
			(void)duckdb.append_int64(appender,
						  (int64_t)get_number(rows.ptr + at, ROW_BYTES));
			(void)duckdb.appender_end_row(appender);
		}
	if (duckdb.appender_close(appender) != DuckDBSuccess)
		code = duck_error(&engine->duck, DUCKDB_ERROR_OUT_OF_MEMORY,
				  duckdb.appender_error(appender), err);
	duckdb.appender_destroy(&appender);
	return code;
}

/* Of the keys in files that came: their rows in those, and the ones that were current before. */
static enum err_code find_candidates(struct engine_duckdb *engine, const struct duckdb_table *table,
				     const char *key, const struct kept *kept, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "CREATE OR REPLACE TABLE pinpipe.repeated AS SELECT DISTINCT \"%s\" AS key",
		 key);
	engine_duckdb_put_files(&sql, table, kept->files, table->its.file_count);
	buf_addf(&sql, " WHERE \"%s\" IS NOT NULL", key);
	code = kept_run(engine, &sql, err);
	buf_addf(
		&sql,
		"CREATE OR REPLACE TABLE pinpipe.candidates AS SELECT \"%s\" AS key, " ENGINE_DUCKDB_ROW
		" AS row, " ENGINE_DUCKDB_ORDER " AS place",
		key);
	engine_duckdb_put_files(&sql, table, 0, table->its.file_count);
	buf_addf(
		&sql,
		" WHERE \"%s\" IN (SELECT key FROM pinpipe.repeated) AND (row >= CAST(%zu AS BIGINT)"
		" << 40 OR row %s (SELECT row FROM pinpipe.\"%s_rows\"))",
		key, kept->files, kept->latest ? "IN" : "NOT IN", table->name);
	if (code == ERR_OK)
		code = kept_run(engine, &sql, err);
	buf_release(&sql);
	return code;
}

#define WINNERS "(SELECT arg_max(row, place) FROM pinpipe.candidates GROUP BY key)"

static enum err_code add_outdated(struct engine_duckdb *engine, const struct duckdb_table *table,
				  struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql,
		 "INSERT INTO pinpipe.\"%s_rows\" SELECT row FROM pinpipe.candidates"
		 " WHERE row NOT IN " WINNERS,
		 table->name);
	code = kept_run(engine, &sql, err);
	buf_release(&sql);
	return code;
}

/* A row without a key is nobody's else. */
static enum err_code replace_latest(struct engine_duckdb *engine, const struct duckdb_table *table,
				    const char *key, const struct kept *kept, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql,
		 "DELETE FROM pinpipe.\"%s_rows\" WHERE row IN (SELECT row FROM"
		 " pinpipe.candidates)",
		 table->name);
	code = kept_run(engine, &sql, err);
	buf_addf(&sql, "INSERT INTO pinpipe.\"%s_rows\" FROM " WINNERS, table->name);
	if (code == ERR_OK)
		code = kept_run(engine, &sql, err);
	buf_addf(&sql,
		 "INSERT INTO pinpipe.\"%s_rows\" SELECT ((CAST(file_index AS BIGINT) + %zu)"
		 " << 40) + file_row_number",
		 table->name, kept->files);
	engine_duckdb_put_files(&sql, table, kept->files, table->its.file_count);
	buf_addf(&sql, " WHERE \"%s\" IS NULL", key);
	if (code == ERR_OK)
		code = kept_run(engine, &sql, err);
	buf_release(&sql);
	return code;
}

static enum err_code kept_bring_up(struct engine_duckdb *engine, const struct duckdb_table *table,
				   const char *key, const struct kept *kept, struct err *err)
{
	enum err_code code = kept_fill(engine, table->name, kept->rows, err);

	if (code != ERR_OK || kept->files == table->its.file_count)
		return code;
	code = find_candidates(engine, table, key, kept, err);
	if (code != ERR_OK)
		return code;
	return kept->latest ? replace_latest(engine, table, key, kept, err)
			    : add_outdated(engine, table, err);
}

enum err_code engine_duckdb_recall(struct engine_duckdb *engine, const struct duckdb_table *table,
				   const char *key, struct duckdb_choice *ret_choice,
				   bool *ret_known, bool *ret_fresh, struct err *err)
{
	struct kept kept = { 0 };
	struct duckdb_choice choice = { 0 };
	char sql[NAME_MAX + 64];
	enum err_code code = ERR_OK;

	*ret_known = *ret_fresh = false;
	if (!table->kept)
		return ERR_OK;
	if (kept_read(&kept, table, key)) {
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM pinpipe.\"%s_rows\"",
			       table->name);
		code = kept_bring_up(engine, table, key, &kept, err);
		if (code == ERR_OK)
			code = kept_count(engine, sql, &choice.rows, err);
		choice.latest = kept.latest;
		*ret_known = code == ERR_OK;
		*ret_fresh = *ret_known && kept.files == table->its.file_count;
		*ret_choice = choice;
		if (*ret_known)
			trace_debug("table \"%s\": of %zu files it is kept which rows are current",
				    table->name, kept.files);
		else
			trace_debug("table \"%s\": %s is of no use: %s", table->name, what,
				    err->msg);
	}
	buf_release(&kept.text);
	return code == ERR_STOPPED ? code : ERR_OK;
}

/* --- written ----------------------------------------------------------------------- */

static void kept_put_header(struct buf *out, const struct duckdb_table *table, const char *key,
			    const struct duckdb_choice *choice)
{
	buf_addf(out, "{\"format\":%d,\"program\":\"%s\",\"key\":", FORMAT, PINPIPE_VERSION);
	json_put_string(out, slice_str(key));
	buf_addf(out, ",\"kind\":\"%s\",\"rows\":%" PRIu64 ",\"files\":[",
		 choice->latest ? "latest" : "outdated", choice->rows);
	for (size_t i = 0; i < table->its.file_count; i++) {
		buf_add_str(out, i ? ",[" : "[");
		json_put_string(out, slice_str(table->names[i]));
		buf_addf(out, ",%" PRIu64 "]", table->its.files[i].size);
	}
	buf_add_str(out, "]}\n");
}

/* False: there are not so many. */
static bool kept_put_rows(struct engine_duckdb *engine, const struct duckdb_table *table,
			  uint64_t count, struct buf *out)
{
	char sql[NAME_MAX + 64];
	duckdb_data_chunk chunk;
	duckdb_result result;
	uint64_t put = 0;
	struct err err;

	if (count == 0)
		return true;
	(void)snprintf(sql, sizeof(sql), "SELECT row FROM pinpipe.\"%s_rows\"", table->name);
	if (duck_query(&engine->duck, sql, &result, &err) != ERR_OK)
		return false;
	while ((chunk = duckdb.fetch_chunk(result)) != NULL) {
		const int64_t *rows =
			duckdb.vector_get_data(duckdb.data_chunk_get_vector(chunk, 0));

		for (idx_t i = 0; i < duckdb.data_chunk_get_size(chunk); i++, put++)
			kept_put_number(out, (uint64_t)rows[i], ROW_BYTES);
		duckdb.destroy_data_chunk(&chunk);
	}
	duckdb.destroy_result(&result);
	return put == count;
}

void engine_duckdb_keep(struct engine_duckdb *engine, const struct duckdb_table *table,
			const char *key, const struct duckdb_choice *choice)
{
	char fresh[PATH_MAX];
	struct buf text;
	struct err err;

	if (!table->kept || !table->keeps ||
	    snprintf(fresh, sizeof(fresh), "%s.new", table->kept) >= (int)sizeof(fresh))
		return;
	buf_init(&text, KEPT_BYTES_MAX);
	kept_put_header(&text, table, key, choice);
	if (kept_put_rows(engine, table, choice->rows, &text) && !buf_full(&text)) {
		kept_put_number(&text, crc32c(0, text.ptr, text.len), CRC_BYTES);
		if (file_replace(AT_FDCWD, table->kept, fresh, buf_slice(&text), false, what,
				 &err) != ERR_OK)
			trace_debug("%s", err.msg);
	}
	buf_release(&text);
}
