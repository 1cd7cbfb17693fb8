/* What runs on the data directory, how far behind it is, and whether that is well. */
#include "base/stop.h"
#include "base/terminal.h"
#include "base/time.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/setup.h"
#include "cmd/status_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STATUS_TEXT_MAX = 16 << 20, WATCH_MS = 1000, UNWELL = 1 };

#define CLEAR_SCREEN "\033[H\033[J"

static bool status_is_alive(const struct status *status, const char *role)
{
	const struct status_process *process = status_process(status, role);

	return process && process->state == STATUS_RUNS;
}

/* The sink of a cluster is in a group that only its lake tells. */
static void cmd_status_ask_sink(const struct config *config, struct status *status,
				struct broker *broker)
{
	const char *group = config_text(config, OPT_SINK_GROUP);
	const struct lag_of of = { broker, *group ? group : "sink", TOPIC_LOG };

	if (!status_is_alive(status, "sink"))
		status_ask_log(status, &of, NULL, 0);
}

static void cmd_status_ask_stream(const struct config *config, struct status *status,
				  struct broker *broker)
{
	const struct lag_of of = { broker, "stream", TOPIC_STREAM };
	struct lake_table *tables = NULL;
	struct models models = { 0 };
	struct err ignored;

	if (status_is_alive(status, "stream"))
		return;
	if (setup_models_untold(config, &models, &ignored) == ERR_OK &&
	    lake_tables_new(&models, TOPIC_STREAM, config_text(config, OPT_ID), &tables,
			    &ignored) == ERR_OK)
		status_ask_log(status, &of, tables, models.clean_count);
	free(tables);
	models_free(&models);
}

/* What those lack that do not run; of a log here, which is cheap. */
static void cmd_status_ask(const struct config *config, struct status *status)
{
	struct broker *broker;
	struct err ignored;

	if (!setup_topics_are_in_dir(config) ||
	    (status_is_alive(status, "sink") && status_is_alive(status, "stream")) ||
	    setup_log_there(config, &broker, &ignored) != ERR_OK)
		return;
	cmd_status_ask_sink(config, status, broker);
	cmd_status_ask_stream(config, status, broker);
	broker_free(broker);
}

/* Also where a process works whose log and lake are elsewhere. */
static enum err_code cmd_status_check(const struct config *config, struct err *err)
{
	struct registry_view view;
	enum err_code code;
	const char *dir;

	if (output_format(config) == OUTPUT_CSV)
		return err_set(err, ERR_USAGE, "a status is no table: --format table or json");
	code = registry_view_open(config_text(config, OPT_DIR), &view, err);
	if (code == ERR_ABSENT)
		return setup_dir_there(config, &dir, err);
	if (code == ERR_OK)
		registry_view_close(&view);
	return code;
}

/* What does not fit goes, from the end, and its lines are counted: a screen that scrolls shows the
 * least urgent. */
static void cmd_status_fit(struct buf *out, size_t lines)
{
	size_t there = 0, fits = out->len;

	for (size_t at = 0; at < out->len; at++)
		if (out->ptr[at] == '\n' && ++there + 2 == lines)
			fits = at + 1;
	if (lines <= 2 || there < lines)
		return;
	out->len = fits;
	buf_addf(out, "… %zu more lines: in a taller terminal, or without --watch",
		 there + 2 - lines);
}

/* `lines`: of the screen that it is to fit; 0: it may be as long as it is. */
static enum err_code cmd_status_once(const struct config *config, size_t lines, bool *ret_unwell,
				     struct err *err)
{
	const struct status_options options = {
		.dir = config_text(config, OPT_DIR),
		.behind_ms = config_int(config, OPT_BEHIND),
		.reserve_bytes = config_int(config, OPT_DISK_RESERVE),
	};
	struct status status;
	enum err_code code;
	struct buf out;

	status_take(&options, &status);
	cmd_status_ask(config, &status);
	status_judge(&status, &options);
	buf_init(&out, STATUS_TEXT_MAX);
	if (output_format(config) == OUTPUT_TABLE)
		status_put_text(&out, &status, options.dir);
	else
		status_put_json(&out, &status, options.dir);
	cmd_status_fit(&out, lines);
	*ret_unwell = status.reason_count > 0;
	code = cmd_print(&out, err);
	buf_release(&out);
	status_release(&status);
	return code;
}

static enum err_code cmd_status_watch(const struct config *config, bool *ret_unwell,
				      struct err *err)
{
	bool clears = isatty(STDOUT_FILENO) && output_format(config) == OUTPUT_TABLE;
	enum err_code code = ERR_OK;

	while (code == ERR_OK && !stop_requested()) {
		if (clears && (fputs(CLEAR_SCREEN, stdout) == EOF || fflush(stdout) == EOF))
			return err_errno(err, "could not write to the terminal");
		code = cmd_status_once(config, clears ? terminal_height(STDOUT_FILENO) : 0,
				       ret_unwell, err);
		if (code == ERR_OK)
			clock_sleep_ms(WATCH_MS);
	}
	return code;
}

static int cmd_status_run(struct config *config, int argc, const char *const *argv)
{
	bool unwell = false;
	struct err err;
	enum err_code code = cmd_status_check(config, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK)
		code = config_bool(config, OPT_WATCH) ? cmd_status_watch(config, &unwell, &err)
						      : cmd_status_once(config, 0, &unwell, &err);
	if (code != ERR_OK)
		return cmd_fail(&err);
	return unwell && !stop_requested() ? UNWELL : 0;
}

static const enum option options[] = { OPT_WATCH, OPT_BEHIND, OPT_MODELS, OPTION_COUNT };

const struct command cmd_status = {
	.name = "status",
	.summary = "Show what runs, how fast and how far behind, and whether that is well",
	.usage = "[options]",
	.details =
		"Reads what the processes on --dir say of themselves, so it asks neither the lake nor a service.\n"
		"Rates and times are of the last minute. A topic or table is late by the age of what it may lack,\n"
		"and has all if it lacks nothing. Ends with 0 if all is well, and with 1 if something is not, or\n"
		"nothing runs: then it says what. Behind is what is later than twice its own pace (--flush-age,\n"
		"--batch-every) and --behind more.\n",
	.options = options,
	.examples = "pinpipe status\n"
		    "pinpipe status --watch\n"
		    "until pinpipe status --dir data --format json >/dev/null; do sleep 1; done\n",
	.run = cmd_status_run,
};
