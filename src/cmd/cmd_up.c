#include "base/mem.h"
#include "base/trace.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/setup.h"
#include "flow/supervise.h"

enum { DRAIN_MS = 120000 };

static const enum option options[] = {
	OPT_LISTEN, OPT_INSECURE, OPT_TLS_CERT, OPT_TLS_KEY, OPT_COMPAT_STATUS, OPT_KINESIS_STATUS,
	OPT_AUTO_CREATE, OPT_PARTITIONS, OPT_SHARDS, OPT_LAKE, OPT_MODELS, OPT_FLUSH_SIZE,
	OPT_FLUSH_BYTES, OPT_FLUSH_AGE, OPT_TABLE_AGE, OPT_SCHEDULE,
	OPT_RESTART_AFTER, OPT_RESTART_MAX, OPTION_COUNT,
};

static int cmd_up_run(struct config *config, int argc, const char *const *argv)
{
	static const char *const gateway[] = { "gateway", NULL };
	static const char *const sink[] = { "sink", NULL };
	static const char *const stream[] = { "stream", NULL };
	static const char *const batch[] = { "batch", NULL };
	/* In the order in which they end: who writes the log first. */
	struct service services[] = {
		{ .name = "gateway", .args = gateway, .drain_ms = DRAIN_MS },
		{ .name = "sink", .args = sink, .drain_ms = DRAIN_MS, .quiet = true },
		{ .name = "stream", .args = stream, .drain_ms = DRAIN_MS, .quiet = true },
		{ .name = "batch", .args = batch, .drain_ms = DRAIN_MS, .quiet = true,
		  .period_ms = config_int(config, OPT_SCHEDULE) },
	};
	struct restart_delay delay = {
		.first_ms = config_int(config, OPT_RESTART_AFTER),
		.most_ms = config_int(config, OPT_RESTART_MAX),
	};
	const char *dir;
	struct err err;

	(void)argc;
	(void)argv;
	if (setup_dir(config, &dir, &err) != ERR_OK || children_inherit(config, &err) != ERR_OK)
		return cmd_fail(&err);
	trace_info("gateway, sink, stream and batch run on \"%s\"; Ctrl-C drains and ends them", dir);
	if (supervise(services, ARRAY_LEN(services), delay, &err) != ERR_OK)
		return cmd_fail(&err);
	return 0;
}

const struct command cmd_up = {
	.name = "up",
	.summary = "Run the whole pipeline until Ctrl-C",
	.usage = "[options]",
	.details =
		"Starts gateway, sink, stream and, every --batch-every, batch as processes of their\n"
		"own, and starts again what ends by itself. Ctrl-C drains: no more requests are\n"
		"taken, what was acknowledged is written to the lake, then all end.\n",
	.examples = "pinpipe up\n"
		    "pinpipe up --listen 127.0.0.1:9000 --dir data\n",
	.options = options,
	.run = cmd_up_run,
};
