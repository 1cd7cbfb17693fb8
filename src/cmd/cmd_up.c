#include "base/lock.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/registry.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/models_watch.h"
#include "cmd/setup.h"
#include "flow/runs.h"
#include "flow/supervise.h"

enum { DRAIN_MS = 120000 };

static const enum option options[] = {
	OPT_LISTEN,	   OPT_LISTEN_ALSO,    OPT_INSECURE,	OPT_TLS_CERT,	    OPT_TLS_KEY,
	OPT_COMPAT_STATUS, OPT_KINESIS_STATUS, OPT_AUTO_CREATE, OPT_PARTITIONS,	    OPT_SHARDS,
	OPT_LAKE,	   OPT_CREATE,	       OPT_MODELS,	OPT_ENGINE,	    OPT_FLUSH_SIZE,
	OPT_FLUSH_BYTES,   OPT_FLUSH_AGE,      OPT_TAKE,	OPT_CONNECTOR,	    OPT_TABLE_AGE,
	OPT_SCHEDULE,	   OPT_CRON,	       OPT_BATCH_ZONE,	OPT_MAINTAIN_EVERY, OPT_FILE_SIZE,
	OPT_RESTART_AFTER, OPT_RESTART_MAX,    OPTION_COUNT,
};

/* From the history of the lake it is known when the batch ran last, whoever ran it. */
static enum err_code cmd_up_schedule(const struct config *config, struct store *store,
				     struct schedule *schedule, struct err *err)
{
	const char *text = config_text(config, OPT_CRON);
	int64_t last_ms;
	enum err_code code = zone_init(&schedule->zone, config_text(config, OPT_BATCH_ZONE), err);

	schedule->every_ms = config_int(config, OPT_CRON);
	if (code == ERR_OK && schedule->every_ms == 0)
		code = cron_parse(&schedule->cron, text, err);
	if (code == ERR_OK)
		code = runs_last(store, config_text(config, OPT_DIR), &last_ms, err);
	if (code == ERR_OK)
		schedule_begin(schedule, last_ms, clock_wall_ms());
	return code;
}

/* What would make every child fail is told before any is started. */
static enum err_code cmd_up_prepare(const struct config *config, int *ret_lock,
				    struct schedule *schedule, struct err *err)
{
	struct store *store = NULL;
	const char *dir;
	enum err_code code = setup_dir(config, &dir, err);

	if (code == ERR_OK)
		code = lock_take(dir, "up.lock", "pinpipe up", ret_lock, err);
	if (code == ERR_OK)
		code = setup_store(config, &store, err);
	if (code == ERR_OK && *config_text(config, OPT_CRON))
		code = cmd_up_schedule(config, store, schedule, err);
	store_free(store);
	return code == ERR_OK ? children_inherit(config, err) : code;
}

/* The gateway tells the service manager that it turns, and that it listens; between two of them
 * there is nobody else to tell. */
struct up_watchdog {
	const struct service *gateway;
	int64_t every_ms; /* 0: never */
	int64_t due_ms;
};

static void up_watchdog_look(void *user)
{
	struct up_watchdog *watchdog = user;

	if (watchdog->every_ms == 0 || watchdog->gateway->process.pid ||
	    clock_mono_ms() < watchdog->due_ms)
		return;
	notify_send("WATCHDOG=1");
	watchdog->due_ms = clock_mono_ms() + watchdog->every_ms;
}

static int cmd_up_run(struct config *config, int argc, const char *const *argv)
{
	static const char *const gateway[] = { "gateway", NULL };
	static const char *const sink[] = { "sink", NULL };
	static const char *const stream[] = { "stream", NULL };
	static const char *const maintain[] = { "maintain", NULL };
	const bool maintained = config_int(config, OPT_MAINTAIN_EVERY) > 0;
	const bool scheduled = *config_text(config, OPT_CRON) != '\0';
	const char *const batch[] = { "batch", "--by", scheduled ? "schedule" : "every", NULL };
	struct schedule schedule = { 0 };
	struct models_watch watch = { 0 };
	struct up_watchdog watchdog = { .every_ms = notify_watchdog_ms() };
	/* In the order in which they end: who writes the log first. */
	struct service services[] = {
		{ .name = "gateway", .args = gateway, .drain_ms = DRAIN_MS },
		{ .name = "sink", .args = sink, .drain_ms = DRAIN_MS, .quiet = true },
		{ .name = "stream", .args = stream, .drain_ms = DRAIN_MS, .quiet = true },
		{ .name = "batch",
		  .args = batch,
		  .drain_ms = DRAIN_MS,
		  .quiet = true,
		  .period_ms = scheduled ? 0 : config_int(config, OPT_SCHEDULE),
		  .schedule = scheduled ? &schedule : NULL },
		{ .name = "models", .look = models_watch_look, .user = &watch },
		{ .name = "watchdog", .look = up_watchdog_look, .user = &watchdog },
		/* last, as it may be none */
		{ .name = "maintain", .args = maintain, .drain_ms = DRAIN_MS, .quiet = true },
	};
	struct restart_delay delay = {
		.first_ms = config_int(config, OPT_RESTART_AFTER),
		.most_ms = config_int(config, OPT_RESTART_MAX),
	};
	struct err err;
	int lock = -1;
	enum err_code code = cmd_up_prepare(config, &lock, &schedule, &err);

	(void)argc;
	(void)argv;
	watchdog.gateway = &services[0];
	if (code == ERR_OK)
		registry_join(config_text(config, OPT_DIR), "up");
	if (code == ERR_OK)
		code = models_watch_begin(&watch, config, &err);
	if (code == ERR_OK) {
		trace_info("gateway, sink, %s run on \"%s\"; Ctrl-C drains and ends them",
			   maintained ? "stream, batch and maintain" : "stream and batch",
			   config_text(config, OPT_DIR));
		code = supervise(services, ARRAY_LEN(services) - !maintained, delay, &err);
		if (code == ERR_OK)
			trace_info("ended; what landed in the lake since the last batch is in its "
				   "table after the next one (pinpipe batch, or the next up)");
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
		"there since the last batch is in its table after the next one.\n",
	.examples = "pinpipe up\n"
		    "pinpipe up --listen 127.0.0.1:9000 --dir data\n"
		    "pinpipe up --batch-schedule '30 2 * * *' --batch-timezone Europe/Berlin\n",
	.options = options,
	.run = cmd_up_run,
};
