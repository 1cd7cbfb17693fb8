/* Cares for the lake's tables while others write them. */
#include "base/registry.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/seen.h"
#include "cmd/setup.h"
#include "flow/maintain.h"

#include <inttypes.h>

enum {
	REPORT_BYTES_MAX = 1 << 10,
	EVERY_MS = 1000,
	PAID_EVERY_MS = 10000, /* where a look, and each commit that is followed, costs something */
};

static const enum option options[] = {
	OPT_LAKE,	OPT_CREATE,	    OPT_MODELS,
	OPT_FILE_SIZE,	OPT_MAINTAIN_EVERY, OPT_MAINTAIN_MEMORY,
	OPT_TABLE_KEEP, OPT_TABLE_KEEP_LOG, OPT_TABLE_CHECKPOINT,
	OPT_RAW_KEEP,	OPT_LETTERS_KEEP,   OPT_METRICS_LISTEN,
	OPTION_COUNT,
};

static enum err_code cmd_maintain_report(const struct config *config,
					 const struct maintain_counts *counts, struct err *err)
{
	struct buf out;
	enum err_code code;

	buf_init(&out, REPORT_BYTES_MAX);
	buf_addf(&out,
		 "{\"commits\":%" PRIu64 ",\"files_in\":%" PRIu64 ",\"files_out\":%" PRIu64
		 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"conflicts\":%" PRIu64
		 ",\"removed\":%" PRIu64 ",\"removed_bytes\":%" PRIu64 "}\n",
		 counts->commits, counts->files_in, counts->files_out, counts->bytes_in,
		 counts->bytes_out, counts->conflicts, counts->removed, counts->removed_bytes);
	code = report_print(config, &out, err);
	buf_release(&out);
	return code;
}

/* That it is 0 is said to `up` alone. */
static int64_t maintain_every_ms(const struct config *config, bool paid)
{
	int64_t every_ms = config_int(config, OPT_MAINTAIN_EVERY);

	if (paid && !config_is_set(config, OPT_MAINTAIN_EVERY))
		return PAID_EVERY_MS;
	return every_ms > 0 ? every_ms : EVERY_MS;
}

static enum err_code maintain(const struct config *config, const struct models *models,
			      struct err *err)
{
	bool paid = store_is_service(config_text(config, OPT_LAKE));
	struct maintain_options maintain = {
		.id = config_text(config, OPT_ID),
		.models = models,
		.every_ms = maintain_every_ms(config, paid),
		.paid = paid,
		.retain = setup_retain(config),
	};
	struct maintain_counts counts = { 0 };
	struct store *store = NULL;
	struct seen seen = { .pulse = NULL };
	enum err_code code = setup_store(config, &store, err);

	if (code == ERR_OK)
		code = setup_compact(config, store, &maintain.compact, err);
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++)
		code = setup_keep(config, (enum topic_kind)kind, &maintain.keep[kind], err);
	if (code == ERR_OK)
		code = seen_begin(&seen, config, "maintain", err);
	if (code == ERR_OK) {
		seen_follow(&seen, config, NULL);
		registry_say(REGISTRY_DOING, "looks after %zu tables", 2 * models->clean_count);
		code = maintain_run(&maintain, &counts, err);
	}
	seen_end(&seen);
	if (code == ERR_OK)
		code = cmd_maintain_report(config, &counts, err);
	store_free(store);
	return code;
}

static int cmd_maintain_run(struct config *config, int argc, const char *const *argv)
{
	struct models models;
	struct err err;
	enum err_code code = setup_models(config, &models, &err);

	(void)argc;
	(void)argv;
	if (code != ERR_OK)
		return cmd_fail(&err);
	code = maintain(config, &models, &err);
	models_free(&models);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_maintain = {
	.name = "maintain",
	.summary = "Care for the tables while others write them",
	.usage = "[options]",
	.details =
		"Puts small files of the tables of both paths together as they come, up to --file-size, beside\n"
		"stream and batch and every other writer, writes their checkpoints, and takes away what they\n"
		"do not need any more, as `pinpipe vacuum` does, raw objects and dead letters too. It stands back for\n"
		"all others, and costs nothing while nothing comes in. `pinpipe up` runs it; `pinpipe optimize`\n"
		"does the same once.\n",
	.examples = "pinpipe maintain --dir data\n",
	.options = options,
	.run = cmd_maintain_run,
};
