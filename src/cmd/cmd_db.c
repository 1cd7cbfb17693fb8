/* The database that holds the posts: fills it, says what it has. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "flow/db_check.h"
#include "flow/db_load.h"

#include <inttypes.h>
#include <stdio.h>

enum { MORE_MAX = 64 };

static const char *check_columns[] = { "table", "rows", "key",	   "first",
				       "last",	"charset", "fault" };
static const char *load_columns[] = { "table", "rows" };

/* --- load ------------------------------------------------------------------- */

static void cmd_db_progress(void *user, const struct db_load_report *so_far)
{
	double posts = (double)so_far->posts;
	char count[PROGRESS_COUNT_MAX], more[MORE_MAX];

	(void)snprintf(more, sizeof(more), "%s posts, %.0f/s", progress_count(so_far->posts, count),
		       so_far->seconds > 0 ? posts / so_far->seconds : 0);
	progress_draw(user, so_far->of > 0 ? posts / (double)so_far->of : -1, more);
}

static enum err_code print_load(const struct config *config, const struct db_load_report *report,
				struct err *err)
{
	struct rows rows;
	enum err_code code;

	rows_init(&rows, load_columns, ARRAY_LEN(load_columns));
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		struct cell *row = rows_add(&rows);

		row[0] = cell_text(mysql_schema[i].name);
		row[1] = cell_int((int64_t)report->rows[i]);
	}
	code = rows_print(&rows, config, err);
	rows_release(&rows);
	if (code == ERR_OK)
		cmd_tell("%" PRIu64 " posts in %.1f s", report->posts, report->seconds);
	return code;
}

static enum err_code cmd_db_load(const struct config *config, const struct mysql_options *mysql,
				 struct err *err)
{
	struct progress progress = { .what = "loading" };
	struct db_load_options options = {
		.mysql = mysql,
		.replace = config_bool(config, OPT_REPLACE),
		.progress = cmd_db_progress,
		.user = &progress,
	};
	struct db_load_report report = { 0 };
	enum err_code code;

	if (!strcmp(config_text(config, OPT_SOURCE), "mysql"))
		return err_set(err, ERR_USAGE, "the rows to load come from --source generated or files, "
			       "not from the database itself");
	code = setup_source(config, &options.source, err);
	if (code == ERR_OK)
		code = db_load(&options, &report, err);
	source_free(options.source);
	progress_clear(&progress);
	return code == ERR_OK ? print_load(config, &report, err) : code;
}

/* --- check ------------------------------------------------------------------ */

static void cmd_db_add_table(struct rows *rows, const struct db_check_table *table)
{
	struct cell *row = rows_add(rows);
	bool read = table->fault.code == ERR_OK && table->rows > 0;

	row[0] = cell_text(table->name);
	if (table->there) {
		row[1] = cell_int((int64_t)table->rows);
		row[2] = cell_text(mysql_key_name[table->key]);
		row[5] = rows_text(rows, slice_str(table->charset));
	}
	if (read) {
		row[3] = cell_int((int64_t)table->first);
		row[4] = cell_int((int64_t)table->last);
	}
	if (table->fault.code != ERR_OK)
		row[6] = rows_text(rows, slice_str(table->fault.msg));
	else if (table->rows == 0)
		row[6] = cell_text("no rows");
}

static enum err_code print_check(const struct config *config, const struct db_check_report *report,
				 struct err *err)
{
	struct rows rows;
	enum err_code code;

	rows_init(&rows, check_columns, ARRAY_LEN(check_columns));
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		cmd_db_add_table(&rows, &report->tables[i]);
	code = rows_print(&rows, config, err);
	rows_release(&rows);
	cmd_tell("%s, %s%s: %" PRIu64 " posts, %" PRIu64 " of them in all three tables",
		 report->version, *report->cipher ? "encrypted with " : "not encrypted",
		 report->cipher, report->posts, report->whole);
	return code;
}

/* Of posts of which a table cannot be read nobody knows what they lack. */
static enum err_code tell_check(const struct db_check_report *report, struct err *err)
{
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		if (report->tables[i].fault.code != ERR_OK)
			return err_set(err, ERR_SHAPE, "not all tables can be read (see above)");
	return report->posts != report->whole
		       ? err_set(err, ERR_SHAPE, "%" PRIu64 " posts lack a row in a table",
				 report->posts - report->whole)
		       : err_set(err, ERR_SHAPE, "not all tables have rows (see above)");
}

static enum err_code cmd_db_check(const struct config *config, const struct mysql_options *mysql,
				  struct err *err)
{
	struct db_check_report report;
	enum err_code code = db_check(mysql, (uint64_t)config_int(config, OPT_MYSQL_MEMORY),
				      &report, err);

	if (code == ERR_OK)
		code = print_check(config, &report, err);
	return code != ERR_OK || db_check_is_well(&report) ? code : tell_check(&report, err);
}

/* --- which ------------------------------------------------------------------ */

static int cmd_db_run(struct config *config, int argc, const char *const *argv)
{
	struct mysql_options mysql;
	enum err_code code;
	struct err err;

	(void)argc;
	code = setup_mysql(config, &mysql, &err);
	if (code == ERR_OK && !strcmp(argv[0], "load"))
		code = cmd_db_load(config, &mysql, &err);
	else if (code == ERR_OK && !strcmp(argv[0], "check"))
		code = cmd_db_check(config, &mysql, &err);
	else if (code == ERR_OK)
		code = err_set(&err, ERR_USAGE, "\"%s\" is neither load nor check", argv[0]);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = { OPT_SOURCE, OPT_DATA,	OPT_ROWS,
				       OPT_SEED,   OPT_REPLACE, OPTION_COUNT };

const struct command cmd_db = {
	.name = "db",
	.summary = "Fill the MySQL database that holds the posts, or say what it has",
	.usage = "load | check [options]",
	.details =
		"`load` makes pinterest_data, geolocation_data and user_data in the database of mysql.* (HOST,\n"
		"USER, PASSWORD, DATABASE and PORT of db_creds.yaml), and fills them with generated rows, or with\n"
		"those of --data. Tables that are there are kept, unless --replace is given; they are replaced\n"
		"all at once, when the new ones are whole. `check` says of each table how many rows it has, what\n"
		"finds them by their key, from which key to which they go, and what keeps it from being read;\n"
		"its exit status is 0 only if every post has a row in each.\n",
	.examples = "pinpipe db load --rows 100000\n"
		    "pinpipe db load --data ../data --replace\n"
		    "pinpipe db check --format table\n"
		    "pinpipe emulate --source mysql --posts 1000\n",
	.options = options,
	.positional_min = 1,
	.positional_max = 1,
	.run = cmd_db_run,
};
