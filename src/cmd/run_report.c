#include "cmd/run_report.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "cmd/progress.h"
#include "cmd/rows.h"
#include "cmd/table.h"
#include "flow/process.h"

#include <inttypes.h>
#include <unistd.h>

enum { REPLY_BYTES_MAX = 256 << 20, SQL_BYTES_MAX = 1 << 20 };

static const char *const path_names[] = { [TOPIC_LOG] = "batch", [TOPIC_STREAM] = "stream" };

/* --- what is in the tables -------------------------------------------------------- */

static void put_question(struct buf *sql, const struct models *models)
{
	for (size_t i = 0; i < models->clean_count; i++) {
		const char *name = models->clean[i].model.name;

		buf_addf(sql,
			 "%sSELECT %zu AS n, (SELECT count(*) FROM \"%s_all\") AS a,"
			 " (SELECT count(*) FROM \"%s\") AS c",
			 i ? " UNION ALL " : "", i, name, name);
	}
}

static void run_now_read(const struct models *models, struct slice text, struct rows_now *ret)
{
	struct json_parser *parser = json_parser_new(REPLY_BYTES_MAX);
	struct json root;
	struct err unused;

	if (json_parse(parser, text, &root, &unused) == ERR_OK && json_type(root) == JSON_ARRAY) {
		struct json_iter iter = json_iter(root);

		while (json_next(&iter)) {
			struct json n, all, current;
			int64_t at = -1, rows = 0, now = 0;

			if (json_member(iter.value, "n", &n) && json_get_i64(n, &at) &&
			    json_member(iter.value, "a", &all) && json_get_i64(all, &rows) &&
			    json_member(iter.value, "c", &current) && json_get_i64(current, &now) &&
			    at >= 0 && (size_t)at < models->clean_count)
				ret[at] = (struct rows_now){ true, (uint64_t)rows, (uint64_t)now };
		}
	}
	json_parser_free(parser);
}

static void run_now_ask(const struct models *models, const char *from, struct rows_now *ret)
{
	struct process process = { .out_fd = -1 };
	struct buf sql, out;
	struct err unused;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_init(&out, REPLY_BYTES_MAX);
	put_question(&sql, models);
	if (process_start(&process,
			  (const char *const[]){ "sql", "--from", from, "--format", "json",
						 "--engine", "duckdb", "--verbose", "error",
						 buf_cstr(&sql), NULL },
			  PROCESS_STDOUT_PIPE, &unused) == ERR_OK) {
		if (process_read_all(&process, &out, &unused) == ERR_OK && process.status == 0)
			run_now_read(models, buf_slice(&out), ret);
		process_release(&process);
	}
	buf_release(&out);
	buf_release(&sql);
}

void run_now_take(const struct models *models, struct run_now *ret_now)
{
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++) {
		ret_now->path[kind] = xcalloc(models->clean_count + 1, sizeof(struct rows_now));
		if (models->clean_count > 0 && models->broken_count == 0)
			run_now_ask(models, path_names[kind], ret_now->path[kind]);
	}
}

void run_now_release(struct run_now *now)
{
	free(now->path[TOPIC_LOG]);
	free(now->path[TOPIC_STREAM]);
}

/* --- commands ---------------------------------------------------------------------- */

/* A word that a shell takes as it is, or in quotes. */
static void put_shell_word(struct buf *out, const char *word)
{
	bool plain = *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
						 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,")];

	buf_add_str(out, plain ? "" : "'");
	for (const char *c = word; *c; c++)
		if (*c == '\'')
			buf_add_str(out, "'\\''");
		else
			buf_add_char(out, *c);
	buf_add_str(out, plain ? "" : "'");
}

/* So that the next command finds what this one made. */
static void put_flags(struct buf *out, const struct config *config)
{
	static const enum option where[] = { OPT_CONFIG, OPT_DIR, OPT_ID, OPT_LAKE, OPT_MODELS };

	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		if (config_origin(config, where[i]) != CONFIG_FROM_FLAG)
			continue;
		buf_addf(out, " --%s ", option_flag(where[i]));
		put_shell_word(out, config_text(config, where[i]));
	}
}

static void put_command(struct buf *out, const struct config *config, const char *program,
			const char *command, const char *rest)
{
	put_shell_word(out, program);
	buf_addf(out, " %s", command);
	put_flags(out, config);
	buf_addf(out, "%s%s\n", *rest ? " " : "", rest);
}

/* --- answers ----------------------------------------------------------------------- */

static struct cell run_report_cell(struct rows *rows, struct json value)
{
	struct cell cell = { .type = CELL_NUMBER, .text = json_text(value) };
	struct slice text;

	switch (json_type(value)) {
	case JSON_NULL:
		return cell_text(NULL);
	case JSON_STRING:
		return json_get_string(value, &text) ? rows_text(rows, text) : cell_text(NULL);
	case JSON_INT:
	case JSON_UINT:
	case JSON_DOUBLE:
	case JSON_BIG:
		return cell;
	case JSON_BOOL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		cell.type = CELL_JSON;
		return cell;
	}
	return cell;
}

static const char **run_report_columns(struct rows *rows, struct json columns)
{
	const char **names = xcalloc(json_count(columns) + 1, sizeof(*names));
	struct json_iter iter = json_iter(columns);
	size_t at = 0;

	while (json_next(&iter)) {
		struct slice name = slice_str("");

		(void)json_get_string(iter.value, &name);
		names[at++] = arena_str(&rows->arena, name);
	}
	return names;
}

/* The first rows of an answer; *ret_count: how many it has. */
static void read_rows(struct rows *rows, struct json list, size_t *ret_count)
{
	struct json_iter iter = json_iter(list);
	size_t count = 0;

	while (json_next(&iter)) {
		struct json_iter values;
		struct cell *row;

		if (count++ >= RUN_REPORT_ROWS)
			continue;
		values = json_iter(iter.value);
		row = rows_add(rows);
		for (size_t i = 0; i < rows->answer.column_count && json_next(&values); i++)
			row[i] = run_report_cell(rows, values.value);
	}
	*ret_count = count;
}

static void put_answer_table(struct buf *out, const struct config *config,
			     const struct models *models, struct slice name, struct json answer,
			     const char *program)
{
	const struct table_look look = { .width = terminal_width(STDOUT_FILENO), .null = "NULL" };
	const struct analysis_model *analysis;
	struct json columns, list;
	struct rows rows;
	size_t count = 0;
	char *text = xstrndup(name.ptr, name.len);

	rows_init(&rows, NULL, 0);
	analysis = models_analysis(models, text);
	if (json_member(answer, "columns", &columns) && json_member(answer, "rows", &list)) {
		rows.answer.columns = run_report_columns(&rows, columns);
		rows.answer.column_count = json_count(columns);
		read_rows(&rows, list, &count);
		buf_addf(out, "%s\n\n", analysis ? analysis->model.title : text);
		table_put(out, &rows.answer, &look);
		if (count > RUN_REPORT_ROWS) {
			buf_addf(out, "… %zu more: ", count - RUN_REPORT_ROWS);
			put_command(out, config, program, "analyse", text);
		}
		buf_add_char(out, '\n');
		free(rows.answer.columns);
	}
	rows_release(&rows);
	free(text);
}

static enum err_code put_answers(struct buf *out, const struct config *config,
				 const struct pipeline_counts *counts, const char *program,
				 struct err *err)
{
	struct json_parser *parser = json_parser_new(REPLY_BYTES_MAX);
	struct json root;
	enum err_code code = json_parse(parser, buf_slice(&counts->answers), &root, err);

	if (code == ERR_OK) {
		struct json_iter iter = json_iter(root);

		while (json_next(&iter))
			put_answer_table(out, config, &counts->models, iter.key, iter.value,
					 program);
	}
	json_parser_free(parser);
	return code;
}

/* --- counts ------------------------------------------------------------------------ */

void run_report_put_counts(struct buf *out, const struct pipeline_counts *counts,
			   enum output_format format)
{
	static const char *columns[] = { "path", "table", "posted", "landed", "clean", "dead" };
	const struct census *census = &counts->added;
	struct rows rows;

	rows_init(&rows, columns, ARRAY_LEN(columns));
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < census->count[kind]; i++) {
			const struct census_row *row = &census->path[kind][i];
			struct cell *cell = rows_add(&rows);

			cell[0] = cell_text(path_names[kind]);
			cell[1] = cell_text(census->models[kind][i]->model.name);
			cell[2] = cell_int((int64_t)counts->posted[kind][i]);
			if (kind == TOPIC_LOG)
				cell[3] = cell_int((int64_t)row->landed);
			cell[4] = cell_int((int64_t)row->clean);
			cell[5] = cell_int((int64_t)row->dead);
		}
	output_put(out, &rows.answer, OUTPUT_OF_LIST, format);
	rows_release(&rows);
}

/* Of the records of a topic that several tables share it is known how many are clean in all. */
static uint64_t clean_of(const struct pipeline_counts *counts, int kind,
			 const struct clean_model *model, bool *ret_known)
{
	const struct census *census = &counts->added;

	*ret_known = false;
	for (size_t i = 0; i < census->count[kind]; i++) {
		const struct clean_model *leads = census->models[kind][i];
		const struct clean_shared *shared = kind == TOPIC_LOG ? &leads->topic_shared
								      : &leads->stream_shared;

		if (leads != model || shared->count > 1)
			continue;
		*ret_known = true;
		return census->path[kind][i].clean;
	}
	return 0;
}

/* "clicks: 1000 clean, 966 current (34 repeated)" */
static void run_report_put_now(struct buf *out, const struct pipeline_counts *counts, int kind,
			       const struct rows_now *now, const struct clean_model *model,
			       bool *ret_more)
{
	bool known;
	uint64_t clean = clean_of(counts, kind, model, &known);

	if (!now->known || now->rows == 0)
		return;
	buf_addf(out, "%s %s: ", path_names[kind], model->model.name);
	if (known && clean < now->rows) {
		*ret_more |= kind == TOPIC_LOG;
		buf_addf(out, "%" PRIu64 " clean, with earlier ones %" PRIu64 ", ", clean,
			 now->rows);
	} else {
		buf_addf(out, "%" PRIu64 " clean, ", now->rows);
	}
	buf_addf(out, "%" PRIu64 " current", now->current);
	if (now->rows > now->current)
		buf_addf(out, " (%" PRIu64 " repeated)", now->rows - now->current);
	buf_add_char(out, '\n');
}

static void put_tables_now(struct buf *out, const struct pipeline_counts *counts,
			   const struct run_now *now)
{
	const struct models *models = &counts->models;
	bool more = false;

	buf_add_char(out, '\n');
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < models->clean_count; i++)
			run_report_put_now(out, counts, kind, &now->path[kind][i],
					   &models->clean[i], &more);
	if (more)
		buf_add_str(out,
			    "The answers are over all rows of the batch path, those of earlier "
			    "runs too.\n");
}

/* --- what now ---------------------------------------------------------------------- */

static void put_next(struct buf *out, const struct config *config, const struct models *models,
		     const char *program)
{
	const char *lake = config_text(config, OPT_LAKE), *dir = config_text(config, OPT_DIR);
	struct buf rest;

	buf_addf(out,
		 "\nThe log is %s/log. Objects, tables and answers are topics/, tables/ and\n"
		 "results/ in %s%s.\n\nNext\n",
		 dir, *lake ? lake : dir, *lake ? "" : "/lake");
	buf_init(&rest, SQL_BYTES_MAX);
	if (models->clean_count > 0) {
		buf_addf(&rest, "'SELECT * FROM %s LIMIT 5'", models->clean[0].model.name);
		buf_add_str(out, "  ");
		put_command(out, config, program, "sql", buf_cstr(&rest));
	}
	buf_clear(&rest);
	if (models->analysis_count > 0) {
		buf_addf(&rest, "%s --format csv", models->analyses[0].model.name);
		buf_add_str(out, "  ");
		put_command(out, config, program, "analyse", buf_cstr(&rest));
	}
	buf_add_str(out, "  ");
	put_command(out, config, program, "up", "");
	buf_release(&rest);
}

enum err_code run_report_put(struct buf *out, const struct config *config,
			     const struct pipeline_counts *counts, const struct run_now *now,
			     const char *program, struct err *err)
{
	char count[PROGRESS_COUNT_MAX];
	enum err_code code = put_answers(out, config, counts, program, err);

	if (code != ERR_OK)
		return code;
	buf_addf(out, "%s posts on each path, in %.1f s\n\n", progress_count(counts->posts, count),
		 counts->seconds);
	run_report_put_counts(out, counts, OUTPUT_TABLE);
	put_tables_now(out, counts, now);
	put_next(out, config, &counts->models, program);
	return ERR_OK;
}
