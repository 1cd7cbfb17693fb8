#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "delta/delta_stats.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { SQL_BYTES_MAX = 64 << 20 };

static const char *const sql_type[] = {
	[DELTA_INTEGER] = "INTEGER",
	[DELTA_LONG] = "BIGINT",
	[DELTA_DOUBLE] = "DOUBLE",
	[DELTA_STRING] = "VARCHAR",
	[DELTA_BOOLEAN] = "BOOLEAN",
	[DELTA_TIMESTAMP] = "TIMESTAMPTZ",
	[DELTA_ARRAY_DOUBLE] = "DOUBLE[]",
};

const char *engine_duckdb_type(enum delta_type type)
{
	return sql_type[type];
}

int engine_duckdb_count_lines(const struct buf *sql)
{
	int lines = 0;

	for (size_t i = 0; i < sql->len; i++)
		lines += sql->ptr[i] == '\n';
	return lines;
}

void engine_duckdb_name_files(const struct engine_duckdb *engine, struct err *err)
{
	for (size_t i = 0; i < engine->table_count; i++)
		for (size_t f = 0; f < engine->tables[i].its.file_count; f++)
			if (duck_name_file(engine->tables[i].its.files[f].fd,
					   engine->tables[i].turn,
					   engine->tables[i].its.files[f].path, err))
				return;
}

enum err_code engine_duckdb_blame(struct engine_duckdb *engine, const struct model *model,
				  int before, struct err *err)
{
	int line = model->line;

	if (err->code == ERR_STOPPED)
		return err->code;
	engine_duckdb_name_files(engine, err);
	if (before == 0)
		(void)snprintf(engine->base.hint, sizeof(engine->base.hint), "%s",
			       engine->duck.error_hint);
	if (engine->duck.error_line > before)
		line += engine->duck.error_line - before - 1;
	return err_prefix(err, "%s:%d", model->file, line);
}

enum err_code engine_duckdb_blame_prepare(struct engine_duckdb *engine,
					  duckdb_prepared_statement statement,
					  const struct model *model, int before, struct err *err)
{
	(void)duck_error(&engine->duck, DUCKDB_ERROR_BINDER, duckdb.prepare_error(statement), err);
	return engine_duckdb_blame(engine, model, before, err);
}

void engine_duckdb_put_casts(struct buf *sql, const struct delta_schema *schema)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct delta_column *column = &schema->columns[i];

		buf_add_str(sql, i ? ", CAST(" : "CAST(");
		duck_put_name(sql, slice_str(column->name));
		buf_addf(sql, " AS %s) AS ", sql_type[column->type]);
		duck_put_name(sql, slice_str(column->name));
	}
}

/* Returns how many lines stand before the model's SQL. */
static int put_clean(struct buf *sql, const struct clean_model *model, const char *path)
{
	int before;

	buf_add_str(sql, "COPY (WITH raw AS NOT MATERIALIZED (SELECT * FROM raw_records()) SELECT ");
	engine_duckdb_put_casts(sql, &model->schema);
	buf_add_str(sql, " FROM (\n");
	before = engine_duckdb_count_lines(sql);
	buf_add_str(sql, model->model.sql);
	buf_add_str(sql, "\n)) TO ");
	duck_put_literal(sql, slice_str(path));
	buf_add_str(sql, " " DELTA_STATS_PARQUET);
	return before;
}

static enum err_code duckdb_check_rows(const struct duckdb_clean *engine_duckdb_clean,
				       uint64_t rows, struct err *err)
{
	uint64_t given = atomic_load(&engine_duckdb_clean->rows);

	if (rows != given)
		return err_set(err, ERR_USAGE,
			       "%s:%d: made %" PRIu64 " rows of %" PRIu64 " records;"
			       " a clean model makes one of each",
			       engine_duckdb_clean->model->model.file,
			       engine_duckdb_clean->model->model.line, rows, given);
	return ERR_OK;
}

static enum err_code take_result(struct engine_duckdb *engine, struct duckdb_clean *clean,
				 duckdb_result *copied, struct clean_result *ret_result,
				 struct err *err)
{
	struct clean_result result = {
		.dead = clean->dead,
		.unreadable = atomic_load(&engine->unreadable),
	};
	enum err_code code;

	buf_init(&result.stats, ENGINE_DUCKDB_STATS_MAX);
	code = delta_stats_put(&result.stats, copied, &clean->model->schema, &result.rows,
			       &result.bytes, err);
	if (code == ERR_OK)
		code = duckdb_check_rows(clean, result.rows, err);
	if (code != ERR_OK) {
		buf_release(&result.stats);
		return code;
	}
	result.unknown = clean->unknown;
	clean->unknown = (struct unknown_fields){ 0 };
	*ret_result = result;
	return ERR_OK;
}

static enum err_code run_clean(struct engine_duckdb *engine, struct duckdb_clean *clean,
			       const char *path, struct clean_result *ret_result, struct err *err)
{
	duckdb_result copied;
	struct buf sql;
	enum err_code code;
	int before;

	buf_init(&sql, SQL_BYTES_MAX);
	before = put_clean(&sql, clean->model, path);
	code = duck_query(&engine->duck, buf_cstr(&sql), &copied, err);
	if (code == ERR_OK) {
		code = take_result(engine, clean, &copied, ret_result, err);
		duckdb.destroy_result(&copied);
	} else if (atomic_load(&clean->failed)) {
		*err = clean->err;
		code = err->code;
	} else {
		code = engine_duckdb_blame(engine, &clean->model->model, before, err);
	}
	buf_release(&sql);
	return code;
}

void engine_duckdb_begin(struct engine_duckdb *engine, struct duckdb_clean *clean,
			 const struct clean_model *model, struct raw_input *input)
{
	*clean = (struct duckdb_clean){ .model = model,
					.input = input,
					.lock = PTHREAD_MUTEX_INITIALIZER };
	engine->clean = clean;
	atomic_store(&engine->next_part, 0);
	atomic_store(&engine->part_count, input->part_count);
	atomic_store(&engine->unreadable, 0);
}

void engine_duckdb_end(struct engine_duckdb *engine, struct duckdb_clean *clean)
{
	engine->clean = NULL;
	atomic_store(&engine->part_count, 0);
	(void)pthread_mutex_destroy(&clean->lock);
	unknown_fields_release(&clean->unknown);
}

static enum err_code clean(struct engine *base, const struct clean_model *model,
			   struct raw_input *input, const char *path,
			   struct clean_result *ret_result, struct err *err)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;
	struct duckdb_clean clean;
	enum err_code code = engine_duckdb_allow(engine, &model->model, DUCKDB_SQL_CLEAN, err);

	if (code != ERR_OK)
		return code;
	engine_duckdb_begin(engine, &clean, model, input);
	code = run_clean(engine, &clean, path, ret_result, err);
	engine_duckdb_end(engine, &clean);
	if (code != ERR_OK || ret_result->rows == 0)
		(void)unlink(path);
	return code;
}

static void opener_join(struct engine_duckdb *engine);

static void engine_duckdb_free(struct engine *base)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;

	opener_join(engine);
	duck_close(&engine->duck);
	spills_close(&engine->spills);
	engine_duckdb_detach(engine);
	for (size_t i = 0; i < engine->checked_count; i++)
		free(engine->checked[i]);
	free(engine->checked);
	free(engine);
}

static void engine_duckdb_interrupt(struct engine *base)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;

	if (atomic_load(&engine->open))
		duck_interrupt(&engine->duck);
}

/* DuckDB cannot know how much the table function behind `raw` will give. */
static double engine_duckdb_progress(struct engine *base)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;
	size_t count = atomic_load(&engine->part_count), begun = atomic_load(&engine->next_part);

	if (count == 0)
		return atomic_load(&engine->open) ? duck_progress(&engine->duck) : -1;
	return begun == 0 ? 0 : begun > count ? 1 : (double)(begun - 1) / (double)count;
}

static const struct engine_ops ops = {
	.name = "duckdb",
	.clean = clean,
	.attach = engine_duckdb_attach,
	.ask = engine_duckdb_ask,
	.query = engine_duckdb_query,
	.check_clean = engine_duckdb_check_clean,
	.check_analysis = engine_duckdb_check_analysis,
	.interrupt = engine_duckdb_interrupt,
	.progress = engine_duckdb_progress,
	.free = engine_duckdb_free,
};

/* --- opening ------------------------------------------------------------------- */

/*
 * To load DuckDB and to open a database takes as long as much of what is done meanwhile: models
 * are read, the log of a table, a listing. So it is another thread's.
 */
struct duckdb_opener {
	pthread_t thread;
	bool joins;			/* there is such a thread */
	struct engine_duckdb *engine;
	struct duck_options duck;
	bool progress;
	char **dirs;			/* it reads and writes there and nowhere else, … */
	size_t dir_count;		/* … whatever SQL it is given */
};

static enum err_code duckdb_set_up(const struct duckdb_opener *opener, struct err *err)
{
	static const char *const settings[] = {
		"SET TimeZone = 'UTC'",
		"SET preserve_insertion_order = false",	/* each row says where it stood */
		"SET enable_progress_bar_print = false",	/* counted, not shown */
		"SET parquet_metadata_cache = true",	/* a file of a table never changes */
		"CREATE SCHEMA pinpipe",
	};
	struct engine_duckdb *engine = opener->engine;

	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (duck_run(&engine->duck, settings[i], err) != ERR_OK)
			return err->code;
	if (opener->progress &&
	    duck_run(&engine->duck, "SET enable_progress_bar = true", err) != ERR_OK)
		return err->code;
	if (engine_duckdb_add_raw(engine, err) != ERR_OK ||
	    engine_duckdb_add_functions(engine, err) != ERR_OK ||
	    duck_confine(&engine->duck, (const char *const *)opener->dirs, opener->dir_count,
			 err) != ERR_OK)
		return err->code;
	return duck_lock(&engine->duck, err);
}

static void *opener_run(void *user)
{
	const struct duckdb_opener *opener = user;
	struct engine_duckdb *engine = opener->engine;
	struct err *why = &engine->why;

	if (duck_open(&opener->duck, &engine->duck, why) == ERR_OK &&
	    duckdb_set_up(opener, why) == ERR_OK) {
		*why = (struct err){ .code = ERR_OK };
		atomic_store(&engine->open, true);
	}
	return NULL;
}

static void opener_join(struct engine_duckdb *engine)
{
	struct duckdb_opener *opener = engine->opener;

	if (!opener)
		return;
	if (opener->joins)
		(void)pthread_join(opener->thread, NULL);
	for (size_t i = 0; i < opener->dir_count; i++)
		free(opener->dirs[i]);
	free(opener->dirs);
	free(opener);
	engine->opener = NULL;
}

enum err_code engine_duckdb_ready(struct engine_duckdb *engine, struct err *err)
{
	opener_join(engine);
	if (engine->why.code != ERR_OK)
		*err = engine->why;
	return engine->why.code;
}

static void opener_start(struct engine_duckdb *engine, const struct engine_options *options)
{
	struct duckdb_opener *opener = xcalloc(1, sizeof(*opener));

	opener->engine = engine;
	opener->progress = options->progress;
	opener->duck = (struct duck_options){ .memory_bytes_max = options->memory_bytes_max,
					      .threads = engine->threads };
	opener->dirs = xcalloc(options->dir_count + 1, sizeof(*opener->dirs));
	for (size_t i = 0; i < options->dir_count; i++)
		opener->dirs[opener->dir_count++] = xstrdup(options->dirs[i]);
	if (options->temp_dir) {
		opener->dirs[opener->dir_count++] = xstrdup(options->temp_dir);
		opener->duck.temp_dir = engine->spills.path;
	}
	engine->opener = opener;
	opener->joins = pthread_create(&opener->thread, NULL, opener_run, opener) == 0;
	if (!opener->joins)
		(void)opener_run(opener);
}

enum err_code engine_duckdb_new(const struct engine_options *options, struct engine **ret_engine,
				struct err *err)
{
	struct engine_duckdb *engine = xcalloc(1, sizeof(*engine));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	(void)err;
	engine->base.ops = &ops;
	engine->threads = options->threads > 0 ? options->threads : cores > 1 ? (int)cores : 1;
	if (options->temp_dir)
		spills_open(options->temp_dir, "duckdb", &engine->spills);
	opener_start(engine, options);
	*ret_engine = &engine->base;
	return ERR_OK;
}
