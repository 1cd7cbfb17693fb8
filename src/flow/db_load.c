#include "flow/db_load.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <stdarg.h>

enum {
	STATEMENT_BYTES = 1 << 20,	/* a server takes 4 MiB and more */
	STATEMENT_BYTES_MAX = STATEMENT_BYTES + (8 << 20),
	COMMIT_STATEMENTS = 32,
	COLUMNS_MAX = 16,
	ROW_BYTES_MAX = 1 << 20,
	NAMES_BYTES_MAX = 4096,
	SHOW_MS = 100,
};

static const char new_tail[] = "__pinpipe_new";
static const char old_tail[] = "__pinpipe_old";
static const char row_end[] = "),\n";

/* Rows as an INSERT has them: "INSERT … VALUES " and "(1,'a',NULL),\n" for each. What follows the
 * head is a file for LOAD DATA, too. */
struct db_rows {
	struct buf text;
	uint64_t count;
};

/* A table that is filled: while the server works on some rows the next are put together. */
struct db_table {
	const struct mysql_schema *schema;
	struct mysql_link *link;
	struct buf insert;	/* the head */
	struct buf load_data;	/* the statement */
	struct db_rows rows[2];
	unsigned filling;	/* of the two */
	unsigned sent;		/* since the last commit */
	bool given;		/* the last that were sent, to LOAD DATA */
	bool there;		/* already, before the load */
};

struct db_load {
	const struct db_load_options *options;
	struct mysql_options mysql;
	struct db_table tables[SOURCE_TABLES];
	struct json_parser *parser;
	struct db_load_report *report;
	bool inserts;		/* LOAD DATA LOCAL was refused, or warned of rows */
	int64_t begun_ms;
	int64_t shown_ms;
};

/* --- rows into statements --------------------------------------------------- */

/* As a literal of MySQL where a backslash escapes. UTF-8 is kept as it is. */
static void put_literal(struct buf *out, struct slice text)
{
	size_t from = 0;

	buf_add_char(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c != '\'' && c != '\\' && c != '\0')
			continue;
		buf_add(out, text.ptr + from, i - from);
		buf_add_char(out, '\\');
		from = i;
		if (c == '\0') {
			buf_add_char(out, '0');
			from = i + 1;
		}
	}
	buf_add(out, text.ptr + from, text.len - from);
	buf_add_char(out, '\'');
}

static enum err_code put_value(struct buf *out, struct json value, struct err *err)
{
	struct slice text;
	bool truth = false;

	switch (json_type(value)) {
	case JSON_NULL:
		buf_add_str(out, "NULL");
		return ERR_OK;
	case JSON_BOOL:
		(void)json_get_bool(value, &truth);
		buf_add_char(out, truth ? '1' : '0');
		return ERR_OK;
	case JSON_STRING:
		(void)json_get_string(value, &text);
		put_literal(out, text);
		return ERR_OK;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return err_set(err, ERR_SHAPE, "an array or an object has no place in a column");
	default:
		put_literal(out, json_text(value));
		return ERR_OK;
	}
}

/* The row's values in the order of the columns; those that it lacks are null. */
static enum err_code find_values(const struct mysql_schema *schema, struct json row,
				 struct json values[COLUMNS_MAX], bool has[COLUMNS_MAX],
				 struct err *err)
{
	struct json_iter iter = json_iter(row);
	unsigned at = 0;

	while (json_next(&iter)) {
		/* Nearly always they come in that order. */
		if (!schema->columns[at] || !slice_is(iter.key, schema->columns[at]))
			for (at = 0; schema->columns[at]; at++)
				if (slice_is(iter.key, schema->columns[at]))
					break;
		if (!schema->columns[at])
			return err_set(err, ERR_SHAPE, "table \"%s\" has no column \"%.*s\"",
				       schema->name, SLICE_ARG(iter.key));
		values[at] = iter.value;
		has[at++] = true;
	}
	return ERR_OK;
}

static void db_put_columns(const struct mysql_schema *schema, struct buf *out)
{
	for (unsigned i = 0; schema->columns[i]; i++)
		buf_addf(out, "%s`%s`", i > 0 ? "," : "(", schema->columns[i]);
	buf_add_char(out, ')');
}

static void db_table_put_statements(struct db_table *table)
{
	const struct mysql_schema *schema = table->schema;

	buf_init(&table->insert, NAMES_BYTES_MAX);
	buf_addf(&table->insert, "INSERT INTO `%s%s` ", schema->name, new_tail);
	db_put_columns(schema, &table->insert);
	buf_add_str(&table->insert, " VALUES ");
	buf_init(&table->load_data, NAMES_BYTES_MAX);
	buf_addf(&table->load_data,
		 "LOAD DATA LOCAL INFILE 'rows' INTO TABLE `%s%s` CHARACTER SET utf8mb4 "
		 "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\\'' ESCAPED BY '\\\\' "
		 "LINES STARTING BY '(' TERMINATED BY '),\\n' ",
		 schema->name, new_tail);
	db_put_columns(schema, &table->load_data);
}

static enum err_code db_put_row(struct db_load *load, struct db_table *table, struct slice text,
			     struct err *err)
{
	struct db_rows *rows = &table->rows[table->filling];
	struct buf *out = &rows->text;
	struct json values[COLUMNS_MAX];
	bool has[COLUMNS_MAX] = { false };
	struct json row;
	enum err_code code = json_parse(load->parser, text, &row, err);

	if (code == ERR_OK)
		code = find_values(table->schema, row, values, has, err);
	if (rows->count++ == 0)
		buf_add_slice(out, buf_slice(&table->insert));
	for (unsigned i = 0; table->schema->columns[i] && code == ERR_OK; i++) {
		buf_add_char(out, i > 0 ? ',' : '(');
		if (has[i])
			code = put_value(out, values[i], err);
		else
			buf_add_str(out, "NULL");
		if (code != ERR_OK)
			(void)err_prefix(err, "column \"%s\"", table->schema->columns[i]);
	}
	buf_add_str(out, row_end);
	return code;
}

static enum err_code db_table_do(struct db_table *table, const char *sql, struct err *err)
{
	return mysql_link_do(table->link, slice_str(sql), err);
}

static enum err_code db_table_insert(struct db_table *table, const struct db_rows *rows,
				     struct err *err)
{
	struct slice sql = buf_slice(&rows->text);

	sql.len -= strlen(",\n");	/* of row_end */
	return mysql_link_send(table->link, sql, err);
}

static enum err_code db_table_give(struct db_table *table, const struct db_rows *rows,
				   struct err *err)
{
	struct slice file = slice_from(buf_slice(&rows->text), table->insert.len);
	enum err_code code = db_table_do(table, "SAVEPOINT given", err);

	if (code != ERR_OK)
		return code;
	table->given = true;
	return mysql_link_give(table->link, buf_slice(&table->load_data), file, err);
}

/* Whether that is the end of what was given to LOAD DATA: with LOCAL it makes what does not fit
 * fit, leaves out a key that is there, and only warns of it. */
static bool db_table_is_settled(const struct db_table *table, enum err_code code, uint64_t count)
{
	if (code == ERR_OK)
		return mysql_link_took(table->link, count);
	return code == ERR_BUSY || code == ERR_STOPPED || mysql_link_was_asked(table->link);
}

/* What was sent is in the table just as it is, or the error says why not. Rows that LOAD DATA does
 * not take, or warns of, are left to INSERT, which is strict, and so are all that follow. */
static enum err_code db_table_finish(struct db_load *load, struct db_table *table, struct err *err)
{
	const struct db_rows *rows = &table->rows[1 - table->filling];
	enum err_code code = mysql_link_finish(table->link, err);
	bool given = table->given;

	table->given = false;
	if (!given || db_table_is_settled(table, code, rows->count))
		return code;
	if (!load->inserts)
		trace_debug("%s: INSERT takes the place of LOAD DATA",
			    code == ERR_OK ? "the database warns of rows" : err->msg);
	load->inserts = true;
	code = db_table_do(table, "ROLLBACK TO SAVEPOINT given", err);
	if (code == ERR_OK)
		code = db_table_insert(table, rows, err);
	return code == ERR_OK ? mysql_link_finish(table->link, err) : code;
}

/* What is put together goes to the server once that has done what came before. */
static enum err_code db_table_send(struct db_load *load, struct db_table *table, struct err *err)
{
	struct db_rows *rows = &table->rows[table->filling];
	enum err_code code = db_table_finish(load, table, err);

	if (code == ERR_OK && ++table->sent == COMMIT_STATEMENTS) {
		table->sent = 0;
		code = db_table_do(table, "COMMIT", err);
	}
	if (code == ERR_OK && rows->count > 0)
		code = load->inserts ? db_table_insert(table, rows, err)
				     : db_table_give(table, rows, err);
	table->filling = 1 - table->filling;
	buf_clear(&table->rows[table->filling].text);
	table->rows[table->filling].count = 0;
	return code;
}

static enum err_code db_table_end(struct db_load *load, struct db_table *table, struct err *err)
{
	enum err_code code = db_table_send(load, table, err);

	if (code == ERR_OK)
		code = db_table_finish(load, table, err);
	return code == ERR_OK ? db_table_do(table, "COMMIT", err) : code;
}

static void db_load_show(struct db_load *load, bool now)
{
	int64_t now_ms = clock_mono_ms();

	if (!load->options->progress || (!now && now_ms - load->shown_ms < SHOW_MS))
		return;
	load->shown_ms = now_ms;
	load->report->seconds = (double)(now_ms - load->begun_ms) / 1e3;
	load->options->progress(load->options->user, load->report);
}

static enum err_code load_post(struct db_load *load, const struct source_post *post,
			       struct err *err)
{
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		struct db_table *table = &load->tables[i];
		struct slice row = source_post_row(post, (enum source_table)i);
		enum err_code code = ERR_OK;

		if (!row.ptr)
			continue;
		code = db_put_row(load, table, row, err);
		if (code == ERR_OK && table->rows[table->filling].text.len >= STATEMENT_BYTES)
			code = db_table_send(load, table, err);
		if (code != ERR_OK)
			return code;
		load->report->rows[i]++;
	}
	return ERR_OK;
}

static enum err_code load_rows(struct db_load *load, struct err *err)
{
	struct source *source = load->options->source;
	enum err_code code = source_posts(source, &load->report->of, err);

	for (uint64_t n = 0; code == ERR_OK && n < load->report->of; n++) {
		struct source_post post;
		uint64_t key = 0;

		if (stop_requested())
			return err_set(err, ERR_STOPPED, "asked to stop: the tables are as they were");
		code = source_post_at(source, n, &key, &post, err);
		if (code == ERR_OK && load_post(load, &post, err) != ERR_OK)
			code = err_prefix(err, "at the row with key %llu", (unsigned long long)key);
		load->report->posts++;
		db_load_show(load, false);
	}
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++) {
		code = db_table_end(load, &load->tables[i], err);
		if (code == ERR_OK && load->report->rows[i] == 0)
			code = err_set(err, ERR_ABSENT, "the source has no row for \"%s\"",
				       mysql_schema[i].name);
	}
	return code;
}

/* --- tables -------------------------------------------------------------------- */

static enum err_code db_take_number(void *user, const struct mysql_row *row, struct err *err)
{
	(void)err;
	*(bool *)user = row->values[0] && strcmp(row->values[0], "0") != 0;
	return ERR_OK;
}

/* A statement whose answer is 0 or another number. */
static enum err_code ask_whether(struct mysql_link *link, const char *sql, bool *ret_is,
				 struct err *err)
{
	bool is = false;
	struct mysql_reader reader = { .row = db_take_number, .user = &is };
	enum err_code code = mysql_link_ask(link, slice_str(sql), &reader, err);

	if (code == ERR_OK)
		*ret_is = is;
	return code;
}

static enum err_code db_do(struct mysql_link *link, struct err *err, const char *fmt, ...)
	PRINTF(3, 4);
static enum err_code db_do(struct mysql_link *link, struct err *err, const char *fmt, ...)
{
	char sql[NAMES_BYTES_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(sql, sizeof(sql), fmt, args);
	va_end(args);
	return mysql_link_do(link, slice_str(sql), err);
}

static enum err_code drop_made(struct mysql_link *link, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = db_do(link, err, "DROP TABLE IF EXISTS `%s%s`, `%s%s`",
			     mysql_schema[i].name, new_tail, mysql_schema[i].name, old_tail);
	return code;
}

static enum err_code look_for_table(struct db_load *load, struct db_table *table, struct err *err)
{
	char sql[NAMES_BYTES_MAX];
	enum err_code code;

	(void)snprintf(sql, sizeof(sql),
		       "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() "
		       "AND table_name = '%s'", table->schema->name);
	code = ask_whether(load->tables[0].link, sql, &table->there, err);
	if (code == ERR_OK && table->there && !load->options->replace)
		return err_set(err, ERR_EXISTS, "database \"%s\" has a table \"%s\": --replace puts another "
			       "in its place", load->mysql.database, table->schema->name);
	return code;
}

static enum err_code db_make_tables(struct db_load *load, struct err *err)
{
	struct mysql_link *link = load->tables[0].link;
	bool locked = false;
	enum err_code code = ask_whether(
		link, "SELECT GET_LOCK(CONCAT('pinpipe db load ', LEFT(DATABASE(), 40)), 0)", &locked, err);

	if (code == ERR_OK && !locked)
		return err_set(err, ERR_LOCKED, "another load of database \"%s\" is under way",
			       load->mysql.database);
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = look_for_table(load, &load->tables[i], err);
	if (code == ERR_OK)
		code = drop_made(link, err);
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = db_do(link, err, "CREATE TABLE `%s%s` (%s) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
			     mysql_schema[i].name, new_tail, mysql_schema[i].ddl);
	return code;
}

/* All three at once, or none. */
static enum err_code swap_tables(struct db_load *load, struct err *err)
{
	enum err_code code;
	struct buf sql;

	buf_init(&sql, NAMES_BYTES_MAX);
	buf_add_str(&sql, "RENAME TABLE ");
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		const char *name = mysql_schema[i].name;

		buf_add_str(&sql, i > 0 ? ", " : "");
		if (load->tables[i].there)
			buf_addf(&sql, "`%s` TO `%s%s`, ", name, name, old_tail);
		buf_addf(&sql, "`%s%s` TO `%s`", name, new_tail, name);
	}
	code = mysql_link_do(load->tables[0].link, buf_slice(&sql), err);
	buf_release(&sql);
	return code == ERR_OK ? drop_made(load->tables[0].link, err) : code;
}

/* --- the whole ------------------------------------------------------------------- */

static enum err_code db_table_open(struct db_load *load, size_t i, struct err *err)
{
	static const char session[] = "SET SESSION sql_mode = 'STRICT_ALL_TABLES', autocommit = 0";
	struct db_table *table = &load->tables[i];
	enum err_code code = mysql_link_open(&load->mysql, &table->link, err);

	table->schema = &mysql_schema[i];
	db_table_put_statements(table);
	return code == ERR_OK ? mysql_link_do(table->link, slice_str(session), err) : code;
}

static void db_load_release(struct db_load *load)
{
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		mysql_link_close(load->tables[i].link);
		buf_release(&load->tables[i].rows[0].text);
		buf_release(&load->tables[i].rows[1].text);
		buf_release(&load->tables[i].insert);
		buf_release(&load->tables[i].load_data);
	}
	json_parser_free(load->parser);
}

/* The other connections first: what they have not committed would be waited for. */
static void abandon(struct db_load *load)
{
	struct err unused;

	for (size_t i = 1; i < SOURCE_TABLES; i++) {
		mysql_link_close(load->tables[i].link);
		load->tables[i].link = NULL;
	}
	if (load->tables[0].link && mysql_link_finish(load->tables[0].link, &unused) == ERR_OK)
		(void)!drop_made(load->tables[0].link, &unused);
}

enum err_code db_load(const struct db_load_options *options, struct db_load_report *ret_report,
		      struct err *err)
{
	struct db_load load = {
		.options = options, .mysql = *options->mysql, .report = ret_report,
		.begun_ms = clock_mono_ms(),
	};
	enum err_code code = ERR_OK;
	bool made = false;

	*ret_report = (struct db_load_report){ 0 };
	load.mysql.retry_ms = 0;
	load.mysql.gives_rows = true;
	load.parser = json_parser_new(ROW_BYTES_MAX);
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		buf_init(&load.tables[i].rows[0].text, STATEMENT_BYTES_MAX);
		buf_init(&load.tables[i].rows[1].text, STATEMENT_BYTES_MAX);
	}
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = db_table_open(&load, i, err);
	if (code == ERR_OK)
		code = db_make_tables(&load, err);
	made = code == ERR_OK;
	if (code == ERR_OK)
		code = load_rows(&load, err);
	if (code == ERR_OK)
		code = swap_tables(&load, err);
	if (code != ERR_OK && made)
		abandon(&load);
	db_load_show(&load, true);
	ret_report->seconds = (double)(clock_mono_ms() - load.begun_ms) / 1e3;
	db_load_release(&load);
	return code;
}
