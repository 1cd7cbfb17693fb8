#include "cmd/cmd.h"
#include "cmd/topic_admin.h"

static const enum option options[] = { OPT_PARTITIONS, OPT_REPLICAS, OPT_SETTINGS, OPTION_COUNT };

static int cmd_topics_run(struct config *config, int argc, const char *const *argv)
{
	return topic_admin(config, TOPIC_LOG, argc, argv);
}

const struct command cmd_topics = {
	.name = "topics",
	.summary = "List, describe, create or delete topics",
	.usage = "[list | create|describe|delete NAME] [options]",
	.details =
		"Of each partition `describe` tells how many records it has (at most, where numbers may be no\n"
		"records), the first offset kept and the next one, which broker leads it, on which it has copies,\n"
		"and which of those are in sync. While a gateway runs on a directory it alone may change the log\n"
		"there; it creates topics when something is posted to them (--auto-create).\n",
	.examples = "pinpipe topics --dir data\n"
		    "pinpipe topics create clicks --partitions 3 --dir data\n"
		    "pinpipe topics describe 124df56aef51.pin --format json\n"
		    "pinpipe topics describe 124df56aef51.pin --settings\n"
		    "pinpipe topics delete clicks\n",
	.options = options,
	.positional_max = 2,
	.run = cmd_topics_run,
};
