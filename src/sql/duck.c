#include "sql/duck.h"

#include <assert.h>
#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_FILES "/proc/self/fd/"
enum { DIRS_BYTES_MAX = 1 << 20 };	/* the text of duck_confine() */

/* A statement that could not be prepared says by words alone that it was interrupted. */
static bool was_interrupted(duckdb_error_type type, const char *message)
{
	static const char words[] = "INTERRUPT Error";

	return type == DUCKDB_ERROR_INTERRUPT || !strncmp(message, words, strlen(words));
}

static enum err_code code_of(duckdb_error_type type, const char *message)
{
	switch (type) {
	case DUCKDB_ERROR_PARSER:
	case DUCKDB_ERROR_SYNTAX:
	case DUCKDB_ERROR_BINDER:
	case DUCKDB_ERROR_CATALOG:
	case DUCKDB_ERROR_EXPRESSION:
	case DUCKDB_ERROR_PERMISSION:
	case DUCKDB_ERROR_SETTINGS:
	case DUCKDB_ERROR_MISSING_EXTENSION:
	case DUCKDB_ERROR_AUTOLOAD:
		return ERR_USAGE;
	case DUCKDB_ERROR_CONVERSION:
	case DUCKDB_ERROR_OUT_OF_RANGE:
	case DUCKDB_ERROR_INVALID_INPUT:
	case DUCKDB_ERROR_MISMATCH_TYPE:
	case DUCKDB_ERROR_DIVIDE_BY_ZERO:
	case DUCKDB_ERROR_DECIMAL:
	case DUCKDB_ERROR_INVALID_TYPE:
	case DUCKDB_ERROR_CONSTRAINT:
		return ERR_SHAPE;
	case DUCKDB_ERROR_OUT_OF_MEMORY:
		return ERR_LIMIT;
	default:
		return strstr(message, "No space left on device") ? ERR_SPACE : ERR_IO;
	}
}

/* DuckDB points at the place with a line "LINE 3: SELECT …". */
static int line_of(const char *message)
{
	const char *at = strstr(message, "\nLINE ");
	long line = at ? strtol(at + 6, NULL, 10) : 0;

	return line > 0 && line < 1000000 ? (int)line : 0;
}

/* What DuckDB says below its first line: "Did you mean …?", and the place with a caret under it. */
static void keep_hint(struct duck *duck, const char *message)
{
	const char *rest = message + strcspn(message, "\n");

	rest += strspn(rest, "\n");
	(void)snprintf(duck->error_hint, sizeof(duck->error_hint), "%s", rest);
}

/* Of "Binder Error: …" the kind, as a message here has no capital; names behind it keep theirs. */
static void lower_kind(char *message)
{
	size_t len = strcspn(message, ":");
	bool has_kind = len > 6 && strncmp(message + len - 6, " Error", 6) == 0;

	for (size_t i = 0; i < (has_kind ? len : 1); i++)
		message[i] = (char)tolower((unsigned char)message[i]);
}

enum err_code duck_error(struct duck *duck, duckdb_error_type type, const char *message,
			 struct err *err)
{
	if (!message || !*message)
		message = "duckdb gave no reason";
	duck->error_line = line_of(message);
	keep_hint(duck, message);
	if (was_interrupted(type, message))
		return err_set(err, ERR_STOPPED, "interrupted");
	err_set(err, code_of(type, message), "%.*s", (int)strcspn(message, "\n"), message);
	lower_kind(err->msg);
	return err->code;
}

static enum err_code duck_set_option(duckdb_config config, const char *name, const char *value,
				     struct err *err)
{
	if (duckdb.set_config(config, name, value) != DuckDBSuccess)
		return err_set(err, ERR_USAGE, "duckdb takes no setting %s = \"%s\"", name, value);
	return ERR_OK;
}

static enum err_code configure(duckdb_config config, const struct duck_options *options,
			       struct err *err)
{
	char memory[40];
	char threads[16];
	const char *const settings[][2] = {
		{ "memory_limit", memory },
		{ "threads", threads },
		{ "temp_directory", options->temp_dir ? options->temp_dir : "" },
		{ "autoinstall_known_extensions", "false" },
		{ "autoload_known_extensions", "false" },
		{ "allow_community_extensions", "false" },
		{ "allow_persistent_secrets", "false" },
		{ "enable_external_file_cache",
		  "false" }, /* files are read once, by names of their own */
	};
	enum err_code code = ERR_OK;

	(void)snprintf(memory, sizeof(memory), "%lluB",
		       (unsigned long long)options->memory_bytes_max);
	(void)snprintf(threads, sizeof(threads), "%d", options->threads);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]) && code == ERR_OK; i++)
		code = duck_set_option(config, settings[i][0], settings[i][1], err);
	return code;
}

enum err_code duck_open(const struct duck_options *options, struct duck *ret_duck, struct err *err)
{
	struct duck duck = { 0 };
	duckdb_config config = NULL;
	char *reason = NULL;
	enum err_code code;

	assert(options->threads >= 1);
	if (duckdb_api_load(err) != ERR_OK)
		return err->code;
	if (duckdb.create_config(&config) != DuckDBSuccess)
		return err_set(err, ERR_IO, "duckdb could not make a configuration");
	code = configure(config, options, err);
	if (code != ERR_OK)
		goto out;
	if (duckdb.open_ext(NULL, &duck.db, config, &reason) != DuckDBSuccess) {
		code = duck_error(&duck, DUCKDB_ERROR_INVALID, reason, err);
		goto out;
	}
	if (duckdb.connect(duck.db, &duck.conn) != DuckDBSuccess) {
		duckdb.close(&duck.db);
		code = err_set(err, ERR_IO, "could not connect to duckdb");
		goto out;
	}
	*ret_duck = duck;
out:
	duckdb.free(reason);
	duckdb.destroy_config(&config);
	return code;
}

void duck_close(struct duck *duck)
{
	if (duck->conn)
		duckdb.disconnect(&duck->conn);
	if (duck->db)
		duckdb.close(&duck->db);
}

enum err_code duck_lock(struct duck *duck, struct err *err)
{
	return duck_run(duck, "SET lock_configuration = true", err);
}

void duck_interrupt(struct duck *duck) { duckdb.interrupt(duck->conn); }

double duck_progress(struct duck *duck)
{
	double percentage = duckdb.query_progress(duck->conn).percentage;

	return percentage > 100 ? 1 : percentage / 100;
}

enum err_code duck_query(struct duck *duck, const char *sql, duckdb_result *ret_result,
			 struct err *err)
{
	duckdb_result result = { 0 };
	enum err_code code = ERR_OK;

	if (duckdb.query(duck->conn, sql, &result) == DuckDBSuccess) {
		*ret_result = result;
		return ERR_OK;
	}
	code = duck_error(duck, duckdb.result_error_type(&result), duckdb.result_error(&result),
			  err);
	duckdb.destroy_result(&result);
	return code;
}

enum err_code duck_run(struct duck *duck, const char *sql, struct err *err)
{
	duckdb_result result;
	enum err_code code = duck_query(duck, sql, &result, err);

	if (code == ERR_OK)
		duckdb.destroy_result(&result);
	return code;
}

static void put_quoted(struct buf *out, struct slice text, char quote)
{
	buf_add_char(out, quote);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == quote)
			buf_add_char(out, quote);
		buf_add_char(out, text.ptr[i]);
	}
	buf_add_char(out, quote);
}

void duck_put_literal(struct buf *out, struct slice text) { put_quoted(out, text, '\''); }

void duck_put_name(struct buf *out, struct slice name) { put_quoted(out, name, '"'); }

uint64_t duck_turn(void)
{
	static atomic_uint_fast64_t turns;

	return atomic_fetch_add(&turns, 1);
}

void duck_put_files_begin(struct buf *out) { buf_add_str(out, "read_parquet(["); }

/* The turn stands in the path as steps that lead nowhere, a bit each: to the system they are all
 * one path. */
void duck_put_file(struct buf *out, int fd, uint64_t turn)
{
	buf_add_str(out, out->ptr[out->len - 1] == '[' ? "'" OPEN_FILES : ", '" OPEN_FILES);
	for (; turn > 0; turn >>= 1)
		buf_add_str(out, turn & 1 ? "./" : ".//");
	buf_addf(out, "%d'", fd);
}

void duck_put_files_end(struct buf *out)
{
	buf_add_str(out, "], hive_partitioning = false, union_by_name = true)");
}

void duck_put_files_end_named(struct buf *out, const char *column)
{
	buf_add_str(out, "], hive_partitioning = false, union_by_name = true, filename = ");
	duck_put_literal(out, slice_str(column));
	buf_add_char(out, ')');
}

bool duck_name_file(int fd, uint64_t turn, const char *path, struct err *err)
{
	struct buf told, message;
	const char *at;

	buf_init(&told, ERR_MSG_MAX);
	buf_add_char(&told, '[');
	duck_put_file(&told, fd, turn);
	(void)buf_cstr(&told);
	told.ptr[told.len - 1] = '\0'; /* the quotes go */
	at = strstr(err->msg, told.ptr + 2);
	if (at && isdigit((unsigned char)at[strlen(told.ptr + 2)]))
		at = NULL; /* another number that begins alike */
	if (at) {
		buf_init(&message, ERR_MSG_MAX * 4);
		buf_addf(&message, "%.*s%s%s", (int)(at - err->msg), err->msg, path,
			 at + strlen(told.ptr + 2));
		err_set(err, err->code, "%s", buf_cstr(&message));
		buf_release(&message);
	}
	buf_release(&told);
	return at != NULL;
}

static void put_dir(struct buf *sql, const char *dir)
{
	buf_add_str(sql, sql->ptr[sql->len - 1] == '[' ? "" : ", ");
	duck_put_literal(sql, slice_str(dir));
}

enum err_code duck_confine(struct duck *duck, const char *const *dirs, size_t count,
			   struct err *err)
{
	enum err_code code;
	struct buf sql;

	buf_init(&sql, DIRS_BYTES_MAX);
	buf_add_str(&sql, "SET allowed_directories = [");
	for (size_t i = 0; i < count; i++) {
		char *real = realpath(dirs[i], NULL);

		put_dir(&sql, dirs[i]);
		if (real)
			put_dir(&sql, real);
		free(real);
	}
	put_dir(&sql, OPEN_FILES);
	buf_add_str(&sql, "]");
	code = duck_run(duck, buf_cstr(&sql), err);
	buf_release(&sql);
	return code == ERR_OK ? duck_run(duck, "SET enable_external_access = false", err) : code;
}
