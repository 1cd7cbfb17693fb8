/* pinpipe: finds the subcommand, loads its configuration, runs it. */
#include "base/registry.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/cmd_table.h"
#include "cmd/connector.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (is_help(argv[i]))
			return true;
	return false;
}

/* Of one command, or NULL: of them all. */
static int print_help(const struct command *command)
{
	enum err_code code;
	struct buf out;
	struct err err;

	buf_init(&out, CMD_HELP_MAX);
	if (command)
		cmd_put_help(&out, command);
	else
		cmd_put_overview(&out);
	code = cmd_print(&out, &err);
	buf_release(&out);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static enum err_code check_count(const struct command *command, int count, char **words,
				 struct err *err)
{
	if (count > command->positional_max)
		return err_set(err, ERR_USAGE, "unexpected \"%s\": the usage is pinpipe %s %s",
			       words[command->positional_max], command->name, command->usage);
	if (count < command->positional_min)
		return err_set(err, ERR_USAGE, "something is missing: the usage is pinpipe %s %s",
			       command->name, command->usage);
	return ERR_OK;
}

static enum err_code check_format(const struct command *command, const struct config *config,
				  struct err *err)
{
	if (command->gives_parquet || strcmp(config_text(config, OPT_FORMAT), "parquet") != 0)
		return ERR_OK;
	return err_set(err, ERR_USAGE, "--format parquet is for `pinpipe analyse NAME` alone");
}

static enum trace_level level_of(const char *name)
{
	static const char *const names[] = {
		[TRACE_ERROR] = "error", [TRACE_WARN] = "warn", [TRACE_INFO] = "info",
	};

	for (int level = TRACE_ERROR; level <= TRACE_INFO; level++)
		if (strcmp(names[level], name) == 0)
			return (enum trace_level)level;
	return TRACE_DEBUG;
}

static enum trace_format format_of(const char *name)
{
	if (strcmp(name, "json") == 0)
		return TRACE_JSON;
	return strcmp(name, "logfmt") == 0 ? TRACE_LOGFMT : TRACE_TEXT;
}

/* A command that a signal ended well says which signal it was. */
static int status_after_signal(int status)
{
	if (stop_signal() && (status == 0 || status == err_exit(ERR_STOPPED)))
		return 128 + stop_signal();
	return status;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct config *config = config_new();
	struct err err;
	bool loaded;
	int status;

	cmd_begin(command);
	loaded = config_load_flags(config, command->options, &argc, argv, &err) == ERR_OK &&
		 check_count(command, argc, argv, &err) == ERR_OK &&
		 config_load_rest(config, &err) == ERR_OK &&
		 check_format(command, config, &err) == ERR_OK &&
		 connector_take_lake(config, &err) == ERR_OK &&
		 (command == &cmd_config || config_check_groups(config, &err) == ERR_OK);
	/* What is wrong is told as was asked for, as far as that was read. */
	trace_init(level_of(config_text(config, OPT_VERBOSE)),
		   format_of(config_text(config, OPT_LOG_FORMAT)), command->name);
	if (loaded) {
		status = command->run(config, argc, (const char *const *)argv);
		registry_leave();
	} else {
		status = cmd_fail(&err);
	}
	config_free(config);
	return status_after_signal(status);
}

static int unknown_command(const char *name)
{
	const char *meant = cmd_nearest(name);
	struct err err;

	if (*name == '-' || *name == '\0')
		(void)err_set(&err, ERR_USAGE, "a command comes first, then its options");
	else
		(void)err_set(&err, ERR_USAGE, "unknown command \"%s\"%s%s%s", name,
			      meant ? ", did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
	return cmd_fail(&err);
}

/* "--dir data run" is meant as "run --dir data": the options of every command may stand before it.
 * */
static void put_command_first(int argc, char **argv)
{
	int at = 1;

	while (at < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2]) {
		enum option option = option_of_flag(slice_str(argv[at] + 2));

		at += 1 + (option != OPTION_COUNT && option_type(option) != CONFIG_BOOL);
	}
	if (at <= 1 || at >= argc || !cmd_find(argv[at]))
		return;
	for (char *command = argv[at]; at >= 1; at--)
		argv[at] = at > 1 ? argv[at - 1] : command;
}

static bool is_version(const char *word)
{
	return !strcmp(word, "--version") || !strcmp(word, "-V") || !strcmp(word, "-v");
}

/* Where one is closed, the next file that is opened would get its number, and what is said go into
 * the log. */
static void open_closed_standards(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	const char *name;
	const struct command *command;

	open_closed_standards();
	put_command_first(argc, argv);
	name = argc > 1 ? argv[1] : "";
	command = cmd_find(is_version(name) ? "version" : name);

	stop_init();
	(void)clock_age_ms(); /* no leap from now on makes anything old */
	if (is_help(name) || strcmp(name, "help") == 0)
		return print_help(argc > 2 ? cmd_find(argv[2]) : NULL);
	if (!command)
		return unknown_command(name);
	if (asks_for_help(argc - 2, argv + 2))
		return print_help(command);
	return run_command(command, argc - 2, argv + 2);
}
