/*
 * cmd.h - the subcommands. Each has a file cmd_<name>.c that holds its row of
 * the table: what it takes, what --help says, and the function that does it.
 *
 * To add one: write cmd_<name>.c with `const struct command cmd_<name>`, list
 * it in meson.build, and add its line to COMMANDS below. --help, suggestions
 * for mistyped names and docs/reference.md come from the row.
 *
 *	static const enum option options[] = { OPT_LISTEN, OPT_TLS_CERT, OPTION_COUNT };
 *
 *	static int run(struct config *config, int argc, const char *const *argv)
 *	{
 *		struct err err;
 *
 *		if (gateway_run(config, &err) != ERR_OK)
 *			return cmd_fail(&err);
 *		return 0;
 *	}
 *
 *	const struct command cmd_gateway = {
 *		.name = "gateway",
 *		.summary = "Take records over HTTP and keep them in the log",
 *		.usage = "[options]",
 *		.options = options,
 *		.examples = "pinpipe gateway --listen 127.0.0.1:0 --dir data\n",
 *		.run = run,
 *	};
 *
 * main() has loaded every layer of the configuration, called trace_init() and
 * stop_init(), and checked the number of positionals before run() is called.
 * Data goes to stdout (cmd_print), everything else to stderr; only the files
 * of this directory print.
 *
 * Exit status: what run() returns: 0, or err_exit() of the error that
 * cmd_fail() reported. When a signal asked to stop and the command ended well
 * (0, or ERR_STOPPED's), main() makes it 128 + the signal's number.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/config.h"
#include "base/err.h"

#include <stddef.h>

struct command {
	const char *name;
	const char *summary;		/* one line, no full stop */
	const char *usage;		/* what follows "pinpipe <name>" */
	const char *details;		/* paragraphs after the summary in --help, or NULL */
	const char *examples;		/* command lines, each ended by a newline */
	const enum option *options;	/* besides those of every command; ended by OPTION_COUNT */
	bool gives_parquet;		/* takes --format parquet */
	int positional_min;
	int positional_max;
	/* argv: the positionals only. Returns the exit status. */
	int (*run)(struct config *config, int argc, const char *const *argv);
};

/* In the order of --help: the pipeline as a whole, its parts, looking inside, the rest. */
#define COMMANDS(X) \
	X(run) \
	X(up) \
	X(status) \
	X(gateway) \
	X(emulate) \
	X(db) \
	X(sink) \
	X(stream) \
	X(batch) \
	X(maintain) \
	X(optimize) \
	X(runs) \
	X(rebuild) \
	X(vacuum) \
	X(analyse) \
	X(sql) \
	X(tables) \
	X(connect) \
	X(models) \
	X(topics) \
	X(streams) \
	X(groups) \
	X(cat) \
	X(where) \
	X(dlq) \
	X(check) \
	X(backup) \
	X(restore) \
	X(cp) \
	X(doctor) \
	X(config) \
	X(version)

#define X(name) extern const struct command cmd_##name;
COMMANDS(X)
#undef X

/* Reports the error on stderr as "pinpipe <command>: <message>", and what to do where the code
 * tells; returns its exit status. */
MUST_USE int cmd_fail(const struct err *err);
/* Writes it to stderr, to a terminal as visible.h has it, for an error may quote a record; and
 * empties `said`. */
void cmd_say(struct buf *said);
/* A line on stderr of what a command has found or done, to a terminal as visible.h has it, for
 * programs as trace_info(). */
void cmd_tell(const char *fmt, ...) PRINTF(1, 2);
/* Writes all of it to stdout, to a terminal as visible.h has it, and empties `out`. ERR_STOPPED:
 * nobody reads stdout any more; cmd_fail() of that is silent. */
MUST_USE enum err_code cmd_print(struct buf *out, struct err *err);

#endif
