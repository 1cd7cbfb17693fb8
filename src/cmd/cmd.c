/* The table of subcommands, their help, and how they report. */
#include "cmd/cmd_table.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/registry.h"
#include "base/trace.h"
#include "base/visible.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { HINT_MAX = 80, SAID_BYTES_MAX = 2 * ERR_MSG_MAX };

const struct command *const commands[] = {
#define X(name) &cmd_##name,
	COMMANDS(X)
#undef X
	NULL,
};

static const struct command *current;

void cmd_begin(const struct command *command)
{
	current = command;
}

const struct command *cmd_find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static const char *name_at(const void *list, size_t n)
{
	const struct command *const *table = list;

	return table[n] ? table[n]->name : NULL;
}

const char *cmd_nearest(const char *name)
{
	return nearest(name, name_at, commands);
}

/* What the words of the options' values stand for. */
static void put_units(struct buf *out, const enum option *options)
{
	bool times = false, sizes = false;

	for (; *options != OPTION_COUNT; options++) {
		times |= option_type(*options) == CONFIG_MS;
		sizes |= option_type(*options) == CONFIG_BYTES;
	}
	if (times || sizes)
		buf_addf(out, "  %s%s%s\n",
			 times ? "TIME is 250ms, 10s, 5m, 2h or 7d; a number alone is seconds" : "",
			 times && sizes ? ". " : "", sizes ? "SIZE is 64KiB, 10MiB or 1GiB" : "");
}

void cmd_put_help(struct buf *out, const struct command *command)
{
	buf_addf(out, "%s.\n\nusage: pinpipe %s %s\n", command->summary, command->name, command->usage);
	if (command->details)
		buf_addf(out, "\n%s", command->details);
	if (*command->options != OPTION_COUNT) {
		buf_add_str(out, "\nOptions\n");
		config_put_help(out, command->options);
		put_units(out, command->options);
	}
	buf_add_str(out, "\nOptions of every command\n");
	config_put_common_help(out, command->options);
	buf_addf(out, "  %-23s %s\n", "-h, --help", "Show this");
	buf_add_str(out, "\nExamples\n");
	for (const char *line = command->examples; *line; line += strcspn(line, "\n") + 1)
		buf_addf(out, "  %.*s\n", (int)strcspn(line, "\n"), line);
}

void cmd_put_overview(struct buf *out)
{
	buf_add_str(out, "pinpipe " PINPIPE_VERSION ": a whole data pipeline in one program.\n\n"
		    "usage: pinpipe COMMAND [options]\n\nCommands\n");
	for (const struct command *const *c = commands; *c; c++)
		buf_addf(out, "  %-9s %s\n", (*c)->name, (*c)->summary);
	buf_add_str(out, "\n`pinpipe COMMAND --help` shows what a command takes. Options may also stand in\n"
		    "pinpipe.yaml or in the environment; `pinpipe config` shows what is set, and where.\n");
}

void cmd_say(struct buf *said)
{
	struct buf visible;

	buf_init(&visible, 4 * said->len + 1); /* a byte is four at most */
	if (isatty(STDERR_FILENO))
		visible_put(&visible, buf_slice(said), true);
	else
		buf_add_slice(&visible, buf_slice(said));
	if (trace_is_for_programs())
		trace_error("%s", buf_cstr(said));
	else
		(void)fputs(buf_cstr(&visible), stderr);
	buf_release(&visible);
	buf_clear(said);
}

void cmd_tell(const char *fmt, ...)
{
	char text[SAID_BYTES_MAX];
	struct buf said;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (trace_is_for_programs()) {
		trace_info("%s", text);
		return;
	}
	buf_init(&said, SAID_BYTES_MAX + 1);
	buf_addf(&said, "%s\n", text);
	cmd_say(&said);
	buf_release(&said);
}

/* What to do where the code tells, or "". */
static const char *hint_of(const struct err *err, char *text, size_t room)
{
	if (err->code == ERR_USAGE)
		(void)snprintf(text, room, "`pinpipe%s%s --help` shows what is allowed",
			       current ? " " : "", current ? current->name : "");
	else if (err->code == ERR_LOCKED)
		return "end the other process, or give this one a directory of its own (--dir)";
	else if (err_retry(err->code) && err->code != ERR_STOPPED)
		return "this may pass: the same command may be tried again";
	else
		return "";
	return text;
}

int cmd_fail(const struct err *err)
{
	char room[HINT_MAX];
	const char *hint = hint_of(err, room, sizeof(room));
	struct buf said;

	if (err->code == ERR_STOPPED && err->sys == EPIPE)
		return 128 + SIGPIPE;	/* as `head` wants it: silent */
	registry_say(REGISTRY_END, "%s", err->msg);
	if (trace_is_known(err->msg))
		return err_exit(err->code);
	if (trace_is_for_programs()) {
		trace_error("%s%s%s", err->msg, *hint ? "; " : "", hint);
		return err_exit(err->code);
	}
	buf_init(&said, SAID_BYTES_MAX);
	buf_addf(&said, "pinpipe%s%s: %s\n", current ? " " : "", current ? current->name : "",
		 err->msg);
	if (*hint)
		buf_addf(&said, "%s\n", hint);
	cmd_say(&said);
	buf_release(&said);
	return err_exit(err->code);
}

static enum err_code cmd_write(struct slice text, struct err *err)
{
	while (text.len > 0) {
		ssize_t wrote = write(STDOUT_FILENO, text.ptr, text.len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0) {
			(void)err_errno(err, "could not write to stdout");
			return err->code = err->sys == EPIPE ? ERR_STOPPED : err->code;
		}
		text = slice_from(text, (size_t)wrote);
	}
	return ERR_OK;
}

/* Records and names are others' text: to a terminal none of it shall be an order. */
static enum err_code write_visible(struct slice text, struct err *err)
{
	struct buf visible;
	enum err_code code;

	buf_init(&visible, 4 * text.len);	/* a byte is four at most */
	visible_put(&visible, text, true);
	code = cmd_write(buf_slice(&visible), err);
	buf_release(&visible);
	return code;
}

enum err_code cmd_print(struct buf *out, struct err *err)
{
	enum err_code code = isatty(STDOUT_FILENO) ? write_visible(buf_slice(out), err)
						   : cmd_write(buf_slice(out), err);

	if (code != ERR_OK)
		return code;
	if (buf_full(out))
		return err_set(err, ERR_LIMIT, "the output is larger than %zu bytes", out->max);
	buf_clear(out);
	return ERR_OK;
}
