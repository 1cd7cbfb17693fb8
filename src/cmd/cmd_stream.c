#include "cmd/cmd.h"
#include "cmd/setup.h"
#include "flow/stream.h"

#include <inttypes.h>

static const enum option options[] = {
	OPT_LAKE, OPT_MODELS, OPT_TABLE_ROWS, OPT_TABLE_BYTES, OPT_TABLE_AGE, OPT_ENGINE_MEMORY,
	OPT_ENGINE_THREADS, OPT_UNTIL_END, OPTION_COUNT,
};

static void cmd_stream_put_counts(struct buf *out, const char *name,
				  const uint64_t counts[LAKE_TABLES])
{
	buf_addf(out, "\"%s\":{", name);
	for (int i = 0; i < LAKE_TABLES; i++)
		buf_addf(out, "%s\"%s\":%" PRIu64, i ? "," : "", lake_table_name[i], counts[i]);
	buf_add_str(out, "}");
}

static enum err_code cmd_stream_report(const struct stream_counts *counts, struct err *err)
{
	struct buf out;
	enum err_code code;

	buf_init(&out, 4096);
	buf_add_char(&out, '{');
	cmd_stream_put_counts(&out, "rows", counts->rows);
	buf_add_char(&out, ',');
	cmd_stream_put_counts(&out, "dead", counts->dead);
	buf_add_char(&out, ',');
	cmd_stream_put_counts(&out, "unreadable", counts->unreadable);
	buf_addf(&out, ",\"commits\":%" PRIu64 "}\n", counts->commits);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static enum err_code stream(const struct config *config, const struct models *models,
			    struct stream_options *stream, struct err *err)
{
	struct stream_counts counts;
	struct broker *broker = NULL;
	struct store *store = NULL;
	struct engine *engine = NULL;
	enum err_code code = setup_log_reader(config, &broker, err);

	if (code == ERR_OK)
		code = setup_store(config, &store, err);
	if (code == ERR_OK)
		code = setup_engine(config, &engine, err);
	stream->broker = broker;
	stream->store = store;
	stream->engine = engine;
	stream->models = models;
	if (code == ERR_OK)
		code = stream_run(stream, &counts, err);
	if (code == ERR_OK)
		code = cmd_stream_report(&counts, err);
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
		.age_ms = config_int(config, OPT_TABLE_AGE),
		.until_end = config_bool(config, OPT_UNTIL_END),
	};
	struct models models;
	struct err err;

	(void)argc;
	(void)argv;
	if (setup_dir(config, &options_of_stream.dir, &err) != ERR_OK ||
	    setup_models(config, &models, &err) != ERR_OK)
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
	.summary = "Clean the streams on the fly into three Delta tables",
	.usage = "[options]",
	.details =
		"Reads streaming-<id>-pin, -geo and -user from the log and commits micro-batches to\n"
		"tables/<id>_pin_table, _geo_table and _user_table of the lake, each record once.\n"
		"What is no row of its table becomes a dead letter (see `pinpipe dlq`).\n",
	.examples = "pinpipe stream --dir data\n"
		    "pinpipe stream --dir data --until-end\n",
	.options = options,
	.run = cmd_stream_run,
};
