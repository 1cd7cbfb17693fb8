#include "cmd/cmd.h"
#include "cmd/topic_admin.h"

static const enum option options[] = { OPT_PARTITIONS, OPTION_COUNT };

static int cmd_topics_run(struct config *config, int argc, const char *const *argv)
{
	return topic_admin(config, TOPIC_LOG, argc, argv);
}

const struct command cmd_topics = {
	.name = "topics",
	.summary = "List, describe, create or delete topics of the log",
	.usage = "[list | create|describe|delete NAME] [options]",
	.details =
		"While a gateway runs on the directory it alone may change the log; it creates topics when\n"
		"something is posted to them (--auto-create).\n",
	.examples = "pinpipe topics --dir data\n"
		    "pinpipe topics create clicks --partitions 3 --dir data\n"
		    "pinpipe topics describe 124df56aef51.pin --format json\n"
		    "pinpipe topics delete clicks\n",
	.options = options,
	.positional_max = 2,
	.run = cmd_topics_run,
};
