#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/seen.h"
#include "cmd/setup.h"
#include "flow/stream.h"

#include <inttypes.h>
#include <stdlib.h>

enum { REPORT_BYTES_MAX = 4 << 20 };

static const enum option options[] = {
	OPT_LAKE,
	OPT_CREATE,
	OPT_MODELS,
	OPT_TABLE_ROWS,
	OPT_TABLE_BYTES,
	OPT_TABLE_AGE,
	OPT_ENGINE_MEMORY,
	OPT_ENGINE_THREADS,
	OPT_NEW_HISTORY,
	OPT_UNTIL_END,
	OPT_TABLE_KEEP,
	OPT_TABLE_KEEP_LOG,
	OPT_TABLE_CHECKPOINT,
	OPT_METRICS_LISTEN,
	OPTION_COUNT,
};

static void cmd_stream_put_counts(struct buf *out, const char *name, const struct models *models,
				  const uint64_t *counts)
{
	buf_addf(out, "\"%s\":{", name);
	for (size_t i = 0; i < models->clean_count; i++)
		buf_addf(out, "%s\"%s\":%" PRIu64, i ? "," : "", models->clean[i].model.name,
			 counts[i]);
	buf_add_str(out, "}");
}

static enum err_code cmd_stream_report(const struct config *config, const struct models *models,
				       const struct stream_counts *counts, struct err *err)
{
	struct buf out;
	enum err_code code;

	buf_init(&out, REPORT_BYTES_MAX);
	buf_add_char(&out, '{');
	cmd_stream_put_counts(&out, "rows", models, counts->rows);
	buf_add_char(&out, ',');
	cmd_stream_put_counts(&out, "dead", models, counts->dead);
	buf_add_char(&out, ',');
	cmd_stream_put_counts(&out, "unreadable", models, counts->unreadable);
	buf_add_str(&out, ",\"unknown\":");
	unknown_fields_put(&out, &counts->unknown);
	buf_addf(&out, ",\"commits\":%" PRIu64 "}\n", counts->commits);
	code = report_print(config, &out, err);
	buf_release(&out);
	return code;
}

static enum err_code stream(const struct config *config, const struct models *models,
			    struct stream_options *stream, struct err *err)
{
	struct pulse_options pulse = { .lag = { .group = "stream", .kind = TOPIC_STREAM } };
	struct lake_table *tables = NULL;
	struct stream_counts counts = { 0 };
	struct seen seen = { .pulse = NULL };
	size_t broken = models_broken(models, MODEL_CLEAN);
	struct broker *broker = NULL;
	struct store *store = NULL;
	struct engine *engine = NULL;
	enum err_code code = setup_log_reader(config, true, &broker, err);

	if (code == ERR_OK)
		code = setup_store(config, &store, err);
	if (code == ERR_OK)
		code = setup_engine_here(config, &engine, err);
	stream->broker = broker;
	stream->store = store;
	stream->engine = engine;
	stream->models = models;
	if (code == ERR_OK)
		code = lake_tables_new(models, TOPIC_STREAM, stream->id, &tables, err);
	if (code == ERR_OK)
		code = seen_begin(&seen, config, "stream", err);
	if (code == ERR_OK) {
		pulse.lag.broker = broker;
		pulse.tables = tables;
		pulse.table_count = models->clean_count;
		seen_follow(&seen, config, &pulse);
		code = stream_run(stream, &counts, err);
	}
	seen_end(&seen);
	free(tables);
	if (code == ERR_OK)
		code = cmd_stream_report(config, models, &counts, err);
	if (code == ERR_OK && counts.refused + broken > 0)
		code = err_set(err, ERR_SHAPE, "%zu of %zu tables were left out; the others go on",
			       counts.refused + broken, models->clean_count + broken);
	stream_counts_release(&counts);
	engine_free(engine);
	store_free(store);
	broker_free(broker);
	return code;
}

static int cmd_stream_run(struct config *config, int argc, const char *const *argv)
{
	struct stream_options options_of_stream = {
		.id = config_text(config, OPT_ID),
		.rows_max = (uint64_t)config_int(config, OPT_TABLE_ROWS),
		.bytes_max = (size_t)config_int(config, OPT_TABLE_BYTES),
		.age_ms = setup_stream_age_ms(config),
		.until_end = config_bool(config, OPT_UNTIL_END),
		.new_history = strcmp(config_text(config, OPT_NEW_HISTORY), "continue") == 0,
	};
	struct models models;
	struct err err;

	(void)argc;
	(void)argv;
	if (setup_keep(config, TOPIC_STREAM, &options_of_stream.keep, &err) != ERR_OK ||
	    setup_dir(config, &options_of_stream.dir, &err) != ERR_OK)
		return cmd_fail(&err);
	seen_join(config, "stream"); /* where it is seen why it ends, too */
	if (setup_models(config, &models, &err) != ERR_OK)
		return cmd_fail(&err);
	if (stream(config, &models, &options_of_stream, &err) != ERR_OK) {
		models_free(&models);
		return cmd_fail(&err);
	}
	models_free(&models);
	return 0;
}

const struct command cmd_stream = {
	.name = "stream",
	.summary = "Clean the streams on the fly into Delta tables",
	.usage = "[options]",
	.details =
		"Reads the stream of each clean model from the log (streaming-<id>-<table>) and commits\n"
		"micro-batches to its table of the lake (tables/<id>_<table>_table), each record once.\n"
		"What is no row of its table becomes a dead letter (see `pinpipe dlq`).\n",
	.examples = "pinpipe stream --dir data\n"
		    "pinpipe stream --dir data --until-end\n",
	.options = options,
	.run = cmd_stream_run,
};
