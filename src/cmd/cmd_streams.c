#include "cmd/cmd.h"
#include "cmd/topic_admin.h"

static const enum option options[] = { OPT_SHARDS, OPTION_COUNT };

static int cmd_streams_run(struct config *config, int argc, const char *const *argv)
{
	return topic_admin(config, TOPIC_STREAM, argc, argv);
}

const struct command cmd_streams = {
	.name = "streams",
	.summary = "List, describe, create or delete streams of the log",
	.usage = "[list | create|describe|delete NAME] [options]",
	.details =
		"While a gateway runs on the directory it alone may change the log; it creates streams when\n"
		"something is put into them (--auto-create).\n",
	.examples = "pinpipe streams --dir data\n"
		    "pinpipe streams create clicks --shards 2 --dir data\n"
		    "pinpipe streams describe streaming-124df56aef51-pin\n"
		    "pinpipe streams delete clicks\n",
	.options = options,
	.positional_max = 2,
	.run = cmd_streams_run,
};
