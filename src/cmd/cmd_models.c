/* Lists the models, checks them, and makes one out of sample records. */
#include "cmd/cmd.h"
#include "cmd/models_new.h"

#include <string.h>

static const enum option options[] = { OPT_MODELS, OPT_LISTEN, OPT_TLS_CERT, OPTION_COUNT };

static int cmd_models_run(struct config *config, int argc, const char *const *argv)
{
	enum err_code code;
	struct err err;

	if (argc != 2 || strcmp(argv[0], "new") != 0)
		code = err_set(&err, ERR_USAGE, "\"new\" and a name");
	else
		code = models_new(config, argv[1], &err);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_models = {
	.name = "models",
	.summary = "List and check the SQL models, or make one from sample records",
	.usage = "[new NAME] [options]",
	.details = "",
	.examples = "pinpipe models new clicks < sample.ndjson\n",
	.options = options,
	.positional_max = 2,
	.run = cmd_models_run,
};
