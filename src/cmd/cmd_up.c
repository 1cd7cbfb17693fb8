#include "base/lock.h"
#include "base/registry.h"
#include "base/told.h"
#include "base/trace.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/models_watch.h"
#include "cmd/up_first.h"
#include "cmd/up_gateway.h"
#include "cmd/up_takeover.h"

enum { DRAIN_MS = 120000 };

static const enum option options[] = {
	OPT_LISTEN,	   OPT_LISTEN_ALSO,    OPT_INSECURE,	OPT_TLS_CERT,	    OPT_TLS_KEY,
	OPT_COMPAT_STATUS, OPT_KINESIS_STATUS, OPT_AUTO_CREATE, OPT_PARTITIONS,	    OPT_SHARDS,
	OPT_LAKE,	   OPT_CREATE,	       OPT_MODELS,	OPT_ENGINE,	    OPT_FLUSH_SIZE,
	OPT_FLUSH_BYTES,   OPT_FLUSH_AGE,      OPT_TAKE,	OPT_CONNECTOR,	    OPT_TABLE_AGE,
	OPT_SCHEDULE,	   OPT_CRON,	       OPT_BATCH_ZONE,	OPT_MAINTAIN_EVERY, OPT_FILE_SIZE,
	OPT_RESTART_AFTER, OPT_RESTART_MAX,    OPT_DEMO,	OPT_TAKEOVER,	    OPTION_COUNT,
};

/* In the order in which they end: who writes the log first. */
enum { DEMO, GATEWAY = UP_DEMOS, SINK, STREAM, BATCH, MODELS, LOOKS, LOCK, MAINTAIN, SERVICES };

static void cmd_up_services(const struct config *config, struct schedule *schedule,
			    struct service services[SERVICES])
{
	static const char *const gateway[] = { "gateway", NULL };
	static const char *const taking_over[] = { "gateway", "--takeover", NULL };
	static const char *const sink[] = { "sink", NULL };
	static const char *const stream[] = { "stream", NULL };
	static const char *const maintain[] = { "maintain", NULL };
	static const char *const by_schedule[] = { "batch", "--by", "schedule", NULL };
	static const char *const by_every[] = { "batch", "--by", "every", NULL };
	const bool scheduled = *config_text(config, OPT_CRON) != '\0';
	const bool takes_over = config_bool(config, OPT_TAKEOVER);
	const struct service all[SERVICES] = {
		[DEMO + TOPIC_LOG] = { .name = "demo" },
		[DEMO + TOPIC_STREAM] = { .name = "demo-streams" },
		[GATEWAY] = { .name = "gateway",
			      .args = takes_over ? taking_over : gateway,
			      .taken_over = true,
			      .takes_over = takes_over },
		[SINK] = { .name = "sink", .args = sink },
		[STREAM] = { .name = "stream", .args = stream },
		[BATCH] = { .name = "batch",
			    .args = scheduled ? by_schedule : by_every,
			    .period_ms = scheduled ? 0 : config_int(config, OPT_SCHEDULE),
			    .schedule = scheduled ? schedule : NULL },
		[MODELS] = { .name = "models", .look = models_watch_look },
		[LOOKS] = { .name = "looks",
			    .look = up_gateway_look,
			    .stopping = up_gateway_stopping },
		[LOCK] = { .name = "lock", .look = up_takeover_look },
		[MAINTAIN] = { .name = "maintain", .args = maintain },
	};

	for (int i = 0; i < SERVICES; i++) {
		services[i] = all[i];
		services[i].drain_ms = DRAIN_MS;
		services[i].quiet = i != GATEWAY;
	}
}

static enum err_code cmd_up_serve(const struct config *config, int *lock, struct schedule *schedule,
				  struct err *err)
{
	const bool maintained = config_int(config, OPT_MAINTAIN_EVERY) > 0;
	const bool demo = config_bool(config, OPT_DEMO);
	const struct restart_delay delay = {
		.first_ms = config_int(config, OPT_RESTART_AFTER),
		.most_ms = config_int(config, OPT_RESTART_MAX),
	};
	const int first = demo ? DEMO : GATEWAY;
	struct service services[SERVICES];
	struct models_watch watch = { 0 };
	struct up_takeover takeover;
	struct up_gateway up;
	enum err_code code = models_watch_begin(&watch, config, err);

	if (code != ERR_OK)
		return code;
	cmd_up_services(config, schedule, services);
	up_gateway_init(&up, config, &services[GATEWAY], demo ? &services[DEMO] : NULL);
	watch.batch = &services[BATCH];
	services[MODELS].user = &watch;
	services[LOOKS].user = &up;
	services[LOCK].user = &takeover;
	up_takeover_init(&takeover, config_text(config, OPT_DIR), lock, services + SINK,
			 SERVICES - SINK);
	told_forget(config_text(config, OPT_DIR), CHILDREN_BATCH_TOLD);
	trace_info("gateway, sink, %s run on \"%s\"; Ctrl-C drains and ends them",
		   maintained ? "stream, batch and maintain" : "stream and batch",
		   config_text(config, OPT_DIR));
	code = supervise(services + first, (size_t)(SERVICES - first - !maintained), delay, err);
	if (code == ERR_OK)
		up_gateway_tell_drained(&up);
	return code;
}

static int cmd_up_run(struct config *config, int argc, const char *const *argv)
{
	struct schedule schedule = { 0 };
	struct err err;
	int lock = -1;
	enum err_code code = up_first(config, &lock, &schedule, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK) {
		registry_join(config_text(config, OPT_DIR), "up");
		code = cmd_up_serve(config, &lock, &schedule, &err);
	}
	lock_release(lock);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_up = {
	.name = "up",
	.summary = "Run the whole pipeline until Ctrl-C",
	.usage = "[options]",
	.details =
		"Starts gateway, sink, stream, maintain and, every --batch-every or as --batch-schedule says,\n"
		"batch as processes of their own, and starts again what ends by itself. Ctrl-C drains: no more\n"
		"requests are taken, what was acknowledged is written to the lake, then all end. What landed\n"
		"there since the last batch is in its table after the next one. What would make a first start\n"
		"fail on this machine (a port that is taken, another `up` on the directory) ends it at once.\n"
		"With --takeover a newer program takes over from the `up` that runs on the directory: its\n"
		"gateway first, without a request that is refused; the rest when the other one has drained.\n",
	.examples = "pinpipe up\n"
		    "pinpipe up --demo\n"
		    "pinpipe up --takeover\n"
		    "pinpipe up --listen 127.0.0.1:9000 --dir data\n"
		    "pinpipe up --batch-schedule '30 2 * * *' --batch-timezone Europe/Berlin\n",
	.options = options,
	.run = cmd_up_run,
};
