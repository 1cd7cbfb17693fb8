#include "cmd/cmd.h"

static int cmd_version_run(struct config *config, int argc, const char *const *argv)
{
	enum err_code code;
	struct buf out;
	struct err err;

	(void)config;
	(void)argc;
	(void)argv;
	buf_init(&out, 256);
	buf_add_str(&out, "pinpipe " PINPIPE_VERSION "\n");
	code = cmd_print(&out, &err);
	buf_release(&out);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = { OPTION_COUNT };

const struct command cmd_version = {
	.name = "version",
	.summary = "Print the version",
	.usage = "[options]",
	.options = options,
	.examples = "pinpipe version\n",
	.run = cmd_version_run,
};
