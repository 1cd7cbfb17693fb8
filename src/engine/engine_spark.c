/*
 * engine_spark.c - the user's own Spark runs the SQL; DuckDB, in this process, does the rest.
 *
 *	clean	records are read and parsed into exchange/clean-n.parquet; Spark runs the model
 *		over that into clean-n/part-…; DuckDB makes the clean file of those, with its
 *		types and statistics
 *	ask	Spark runs the question over views of the tables' files, by their URLs, into
 *		exchange/ask-n/part-…; DuckDB makes the answer of those
 *
 * So what is dead, what is counted, how a file of a table looks and how a value is written
 * come of the same code as with DuckDB, and Spark writes to no table: what a killed one
 * leaves are files of the exchange. What SQL may say is DuckDB's parser's to tell as well;
 * models are what both accept (docs/models.md).
 */
#include "engine/engine.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/engine_duckdb.h"
#include "engine/spark_child.h"
#include "engine/spark_exchange.h"
#include "engine/spark_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 256 << 20, SPARK_NAME_MAX = 32, OWN_SETTINGS_MAX = 4 };

struct engine_spark {
	struct engine base;
	struct engine *duckdb;
	struct spark_child *child;
	struct spark_exchange exchange;
	unsigned made; /* names of files so far */
};

static struct engine_duckdb *duckdb_of(struct engine_spark *engine)
{
	return (struct engine_duckdb *)engine->duckdb;
}

/* --- requests ----------------------------------------------------------------------- */

static void spark_put_member(struct buf *request, const char *name, const char *text)
{
	buf_addf(request, ", \"%s\": ", name);
	json_put_string(request, slice_str(text));
}

static void spark_put_url(struct buf *request, const char *name, const struct engine_spark *engine,
			  const char *file)
{
	char url[SPARK_URL_MAX + SPARK_NAME_MAX];

	(void)snprintf(url, sizeof(url), "%s/%s", engine->exchange.url, file);
	spark_put_member(request, name, url);
}

static void put_columns(struct buf *request, const struct delta_schema *schema)
{
	buf_add_str(request, ", \"columns\": [");
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(request, i ? ", [" : "[");
		json_put_string(request, slice_str(schema->columns[i].name));
		buf_addf(request, ", \"%s\"]", model_type_name(schema->columns[i].type));
	}
	buf_add_char(request, ']');
}

static void put_fields(struct buf *request, const struct clean_model *model)
{
	buf_add_str(request, ", \"fields\": [");
	for (size_t i = 0; i < model->field_count; i++) {
		buf_add_str(request, i ? ", " : "");
		json_put_string(request, slice_str(model->fields[i].alias));
	}
	buf_add_char(request, ']');
}

static void put_table(struct buf *request, const struct engine_table *table)
{
	const struct clean_model *model = table->model;

	buf_add_str(request, "{\"name\": ");
	json_put_string(request, slice_str(model->model.name));
	put_columns(request, &model->schema);
	if (model->key)
		spark_put_member(request, "key", model->schema.columns[model->key_column].name);
	else
		buf_add_str(request, ", \"key\": null");
	buf_add_str(request, ", \"files\": [");
	for (size_t i = 0; i < table->url_count; i++) {
		buf_add_str(request, i ? ", " : "");
		json_put_string(request, slice_str(table->urls[i]));
	}
	buf_add_str(request, "]}");
}

/* Where an executor did not find what is there for pinpipe: that is no fault of the SQL. */
static enum err_code spark_blame_place(const struct spark_fault *fault, struct err *err)
{
	struct err told = *err;

	if (fault->of_sql || (err->code != ERR_IO && err->code != ERR_UNSUPPORTED))
		return err->code;
	if (fault->of_exchange)
		return err_set(err, ERR_IO,
			       "spark's executors cannot use the exchange; set engine.exchange to"
			       " a directory that they all share and may write to, or to a bucket:"
			       " %s",
			       told.msg);
	if (err->code == ERR_UNSUPPORTED)
		err_set(err, ERR_UNSUPPORTED,
			"a file of the lake is gone, or spark's executors do not have the lake at"
			" this path, as they must: %s",
			told.msg);
	return err->code;
}

/* Where an error of Spark's came up, and what may be done about it. */
static enum err_code spark_blame(const struct model *model, const struct spark_fault *fault,
				 struct err *err)
{
	enum err_code code = spark_blame_place(fault, err);

	if (!model || code == ERR_STOPPED || code == ERR_BUSY || code == ERR_TIMEOUT ||
	    (fault->of_exchange && !fault->of_sql))
		return code;
	return err_prefix(err, "%s:%d", model->file,
			  model->line + (fault->line > 0 ? fault->line - 1 : 0));
}

/* `model`: whose SQL is sent; NULL: nobody's. */
static enum err_code ask_spark(struct engine_spark *engine, const struct buf *request,
			       const struct model *model, struct json *ret_done, struct err *err)
{
	struct spark_fault fault;
	enum err_code code = spark_child_ask(engine->child, request, ret_done, &fault, err);

	return code == ERR_OK ? ERR_OK : spark_blame(model, &fault, err);
}

static uint64_t rows_of(struct json done)
{
	struct json value;
	int64_t rows = 0;

	if (json_member(done, "rows", &value))
		(void)json_get_i64(value, &rows);
	return (uint64_t)rows;
}

static enum err_code fetch_parts(struct engine_spark *engine, const char *name,
				 struct store_fetched **ret_files, struct duckdb_parts *ret_parts,
				 struct err *err)
{
	size_t count = 0;
	enum err_code code = spark_exchange_fetch(&engine->exchange, name, ret_files, &count, err);

	if (code != ERR_OK)
		return code;
	*ret_parts =
		(struct duckdb_parts){ .files = *ret_files, .count = count, .turn = duck_turn() };
	if (count > 0)
		return ERR_OK;
	free(*ret_files);
	return err_set(err, ERR_IO,
		       "spark says that it has written to \"%s/%s\", and nothing is there:"
		       " every executor has to reach engine.exchange",
		       engine->exchange.url, name);
}

static void release_parts(struct store_fetched *files, const struct duckdb_parts *parts)
{
	store_fetched_release_all(files, parts->count);
	free(files);
}

/* --- clean -------------------------------------------------------------------------- */

static enum err_code check_made(const struct clean_model *model, uint64_t made, uint64_t records,
				struct err *err)
{
	if (made == records)
		return ERR_OK;
	return err_set(err, ERR_USAGE,
		       "%s:%d: made %llu rows of %llu records; a clean model makes one"
		       " of each",
		       model->model.file, model->model.line, (unsigned long long)made,
		       (unsigned long long)records);
}

/* What was spooled as `raw` becomes the clean file `path`. */
static enum err_code clean_spooled(struct engine_spark *engine, const struct clean_model *model,
				   const char *raw, const char *name, const char *path,
				   struct clean_result *result, struct err *err)
{
	struct store_fetched *files = NULL;
	struct duckdb_parts parts;
	struct json done;
	struct buf request;
	enum err_code code = spark_exchange_put(&engine->exchange, raw, err);

	if (code != ERR_OK)
		return code;
	buf_init(&request, REQUEST_BYTES_MAX);
	buf_add_str(&request, "{\"do\": \"clean\"");
	spark_put_url(&request, "raw", engine, raw);
	spark_put_url(&request, "to", engine, name);
	put_fields(&request, model);
	put_columns(&request, &model->schema);
	spark_put_member(&request, "sql", model->model.sql);
	buf_add_char(&request, '}');
	code = ask_spark(engine, &request, &model->model, &done, err);
	buf_release(&request);
	if (code == ERR_OK)
		code = check_made(model, rows_of(done), result->rows, err);
	if (code == ERR_OK)
		code = fetch_parts(engine, name, &files, &parts, err);
	if (code != ERR_OK)
		return code;
	code = engine_duckdb_take_clean(duckdb_of(engine), model, &parts, path, result, err);
	release_parts(files, &parts);
	return code;
}

static enum err_code spark_clean(struct engine *base, const struct clean_model *model,
				 struct raw_input *input, const char *path,
				 struct clean_result *ret_result, struct err *err)
{
	struct engine_spark *engine = (struct engine_spark *)base;
	char name[SPARK_NAME_MAX], raw[SPARK_NAME_MAX + 8], spooled[PATH_MAX];
	struct clean_result result;
	enum err_code code;

	(void)snprintf(name, sizeof(name), "clean-%u", ++engine->made);
	(void)snprintf(raw, sizeof(raw), "%s.parquet", name);
	code = spark_text_check(&model->model, err);
	if (code == ERR_OK)
		code = spark_exchange_path(&engine->exchange, raw, spooled, err);
	if (code == ERR_OK)
		code = engine_duckdb_spool(duckdb_of(engine), model, input, spooled, &result, err);
	if (code != ERR_OK)
		return code;
	if (result.rows > 0)
		code = clean_spooled(engine, model, raw, name, path, &result, err);
	spark_exchange_drop(&engine->exchange, raw);
	spark_exchange_drop(&engine->exchange, name);
	if (code == ERR_OK)
		*ret_result = result;
	else
		clean_result_release(&result);
	return code;
}

/* --- questions ------------------------------------------------------------------------ */

/* DuckDB has the names, so that it knows what SQL may read, and no files. */
static enum err_code attach_names(struct engine_spark *engine, const struct engine_table *tables,
				  size_t count, struct err *err)
{
	struct engine_table *names = xcalloc(count, sizeof(*names));
	enum err_code code;

	for (size_t i = 0; i < count; i++)
		names[i] = (struct engine_table){ .model = tables[i].model,
						  .broken = tables[i].broken,
						  .no_live = "live views are DuckDB's: --engine "
							     "duckdb answers them",
						  .unread = tables[i].unread };
	code = engine_attach(engine->duckdb, names, count, err);
	free(names);
	return code;
}

static enum err_code spark_attach(struct engine *base, struct engine_table *tables, size_t count,
				  struct err *err)
{
	struct engine_spark *engine = (struct engine_spark *)base;
	struct json done;
	struct buf request;
	size_t put = 0;
	enum err_code code = attach_names(engine, tables, count, err);

	if (code != ERR_OK)
		return code;
	buf_init(&request, REQUEST_BYTES_MAX);
	buf_add_str(&request, "{\"do\": \"attach\", \"tables\": [");
	for (size_t i = 0; i < count; i++) {
		if (tables[i].broken || tables[i].unread)
			continue; /* DuckDB refuses what names it */
		assert(tables[i].file_count == 0);
		buf_add_str(&request, put++ ? ", " : "");
		put_table(&request, &tables[i]);
	}
	buf_add_str(&request, "]}");
	code = ask_spark(engine, &request, NULL, &done, err);
	buf_release(&request);
	return code;
}

/* The names of the answer's columns, which may repeat; of malloc(). */
static struct slice *names_of(struct json done, size_t *ret_count)
{
	struct slice *names = NULL;
	struct json_iter columns;
	struct json value;
	size_t count = 0;

	if (json_member(done, "columns", &value)) {
		names = xcalloc(json_count(value) + 1, sizeof(*names));
		columns = json_iter(value);
		while (json_next(&columns))
			(void)json_get_string(columns.value, &names[count++]);
	}
	*ret_count = count;
	return names;
}

static enum err_code spark_take_answer(struct engine_spark *engine, struct json done,
				       const char *name, const char *parquet,
				       struct answer *ret_answer, struct err *err)
{
	struct store_fetched *files = NULL;
	struct duckdb_parts parts;
	struct answer answer;
	size_t count;
	struct slice *names = names_of(done, &count);
	enum err_code code = fetch_parts(engine, name, &files, &parts, err);

	if (code == ERR_OK) {
		code = engine_duckdb_take_answer(duckdb_of(engine), &parts, names, count, parquet,
						 &answer, err);
		release_parts(files, &parts);
	}
	free(names);
	if (code != ERR_OK)
		return code;
	if (answer.row_count != rows_of(done)) {
		err_set(err, ERR_IO,
			"of %llu rows that Spark has written %zu are there: every executor"
			" has to reach engine.exchange",
			(unsigned long long)rows_of(done), answer.row_count);
		answer_release(&answer);
		return err->code;
	}
	*ret_answer = answer;
	return ERR_OK;
}

static enum err_code spark_ask_as(struct engine_spark *engine, const struct model *question,
				  enum duckdb_sql kind, const char *parquet,
				  struct answer *ret_answer, struct err *err)
{
	char name[SPARK_NAME_MAX];
	struct json done;
	struct buf request;
	enum err_code code = engine_duckdb_allow(duckdb_of(engine), question, kind, err);

	(void)snprintf(engine->base.hint, sizeof(engine->base.hint), "%s", engine->duckdb->hint);
	if (code == ERR_OK)
		code = spark_text_check(question, err);
	if (code != ERR_OK)
		return code;
	(void)snprintf(name, sizeof(name), "ask-%u", ++engine->made);
	buf_init(&request, REQUEST_BYTES_MAX);
	buf_add_str(&request, "{\"do\": \"ask\"");
	spark_put_url(&request, "to", engine, name);
	spark_put_member(&request, "sql", question->sql);
	buf_add_char(&request, '}');
	code = ask_spark(engine, &request, question, &done, err);
	buf_release(&request);
	if (code == ERR_OK)
		code = spark_take_answer(engine, done, name, parquet, ret_answer, err);
	spark_exchange_drop(&engine->exchange, name);
	return code;
}

static enum err_code spark_ask(struct engine *base, const struct model *question,
			       const char *parquet, struct answer *ret_answer, struct err *err)
{
	return spark_ask_as((struct engine_spark *)base, question, DUCKDB_SQL_ANALYSIS, parquet,
			    ret_answer, err);
}

static enum err_code spark_query(struct engine *base, const struct model *question,
				 struct answer *ret_answer, struct err *err)
{
	return spark_ask_as((struct engine_spark *)base, question, DUCKDB_SQL_FREE, NULL,
			    ret_answer, err);
}

/* --- models before they run ------------------------------------------------------------- */

/* Spark analyses it without a row. */
static enum err_code spark_check(struct engine_spark *engine, const struct model *model,
				 const struct clean_model *clean, struct err *err)
{
	struct json done;
	struct buf request;
	enum err_code code = spark_text_check(model, err);

	if (code != ERR_OK)
		return code;
	buf_init(&request, REQUEST_BYTES_MAX);
	buf_add_str(&request, "{\"do\": \"check\"");
	spark_put_member(&request, "sql", model->sql);
	if (clean) {
		put_fields(&request, clean);
		put_columns(&request, &clean->schema);
	}
	buf_add_char(&request, '}');
	code = ask_spark(engine, &request, model, &done, err);
	buf_release(&request);
	return code;
}

static enum err_code spark_check_clean(struct engine *base, const struct clean_model *model,
				       struct err *err)
{
	struct engine_spark *engine = (struct engine_spark *)base;
	enum err_code code = engine_check_clean(engine->duckdb, model, err);

	return code == ERR_OK ? spark_check(engine, &model->model, model, err) : code;
}

static enum err_code spark_check_analysis(struct engine *base, const struct models *models,
					  const struct analysis_model *analysis, struct err *err)
{
	struct engine_spark *engine = (struct engine_spark *)base;
	struct engine_table *tables = xcalloc(models->clean_count, sizeof(*tables));
	enum err_code code = engine_check_analysis(engine->duckdb, models, analysis, err);

	for (size_t i = 0; i < models->clean_count; i++)
		tables[i].model = &models->clean[i];
	if (code == ERR_OK)
		code = spark_attach(base, tables, models->clean_count, err);
	free(tables);
	return code == ERR_OK ? spark_check(engine, &analysis->model, NULL, err) : code;
}

/* --- the engine --------------------------------------------------------------------------- */

static void spark_interrupt(struct engine *base)
{
	struct engine_spark *engine = (struct engine_spark *)base;

	engine_interrupt(engine->duckdb);
	spark_child_interrupt(engine->child);
}

static double spark_progress(struct engine *base)
{
	return spark_child_progress(((struct engine_spark *)base)->child);
}

static void spark_free(struct engine *base)
{
	struct engine_spark *engine = (struct engine_spark *)base;

	spark_child_free(engine->child);
	engine_free(engine->duckdb);
	spark_exchange_close(&engine->exchange);
	free(engine);
}

static const struct engine_ops spark_ops = {
	.name = "spark",
	.clean = spark_clean,
	.attach = spark_attach,
	.ask = spark_ask,
	.query = spark_query,
	.check_clean = spark_check_clean,
	.check_analysis = spark_check_analysis,
	.interrupt = spark_interrupt,
	.progress = spark_progress,
	.free = spark_free,
};

/* It may open what the caller says, and files of the exchange. */
static enum err_code open_duckdb(struct engine_spark *engine, const struct engine_options *options,
				 struct err *err)
{
	const char **dirs = xcalloc(options->dir_count + 1, sizeof(*dirs));
	struct engine_options own_options = *options;
	const char *own = store_fetch_dir(engine->exchange.store);
	enum err_code code;

	for (size_t i = 0; i < options->dir_count; i++)
		dirs[i] = options->dirs[i];
	own_options.dirs = dirs;
	if (*own)
		dirs[own_options.dir_count++] = own;
	code = engine_duckdb_new(&own_options, &engine->duckdb, err);
	free(dirs);
	return code;
}

static bool setting_is(const struct spark_options *options, const char *name, const char *begin)
{
	for (size_t i = 0; i < options->setting_count; i++)
		if (strcmp(options->settings[i].name, name) == 0)
			return strncmp(options->settings[i].text, begin, strlen(begin)) == 0;
	return false;
}

/* On this machine it spills beside its files, so that a killed one leaves nothing elsewhere. */
static size_t add_places(const struct engine_spark *engine, const struct spark_options *options,
			 struct spark_setting *to)
{
	static const char *const places[] = { "spark.local.dir", "spark.sql.warehouse.dir" };
	size_t count = 0;

	if (!setting_is(options, "spark.master", "local") || !*engine->exchange.spills.path)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!setting_is(options, places[i], ""))
			to[count++] =
				(struct spark_setting){ .name = places[i],
							.text = engine->exchange.spills.path };
	return count;
}

static enum err_code start_child(struct engine_spark *engine, const struct spark_options *options,
				 struct err *err)
{
	size_t count = options->setting_count;
	struct spark_setting *settings = xcalloc(count + OWN_SETTINGS_MAX, sizeof(*settings));
	struct spark_child_options child = {
		.program = options->program,
		.script = options->script,
		.functions = options->functions,
		.exchange = engine->exchange.url,
		.settings = settings,
		.start_ms = options->start_ms,
		.statement_ms = options->statement_ms,
	};
	enum err_code code;

	memcpy(settings, options->settings, count * sizeof(*settings));
	child.setting_count = count + add_places(engine, options, settings + count);
	code = spark_child_new(&child, &engine->child, err);
	free(settings);
	return code;
}

enum err_code engine_spark_new(const struct engine_options *options, struct engine **ret_engine,
			       struct err *err)
{
	struct engine_spark *engine = xcalloc(1, sizeof(*engine));
	enum err_code code = spark_exchange_open(&engine->exchange, options, err);

	engine->base.ops = &spark_ops;
	if (code == ERR_OK)
		code = start_child(engine, options->spark, err);
	if (code == ERR_OK)
		code = open_duckdb(engine, options, err);
	if (code == ERR_OK)
		*ret_engine = &engine->base;
	else
		spark_free(&engine->base);
	return code;
}
