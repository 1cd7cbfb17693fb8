#include "cmd/cmd.h"
#include "cmd/setup.h"
#include "flow/sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_MAX = 4 << 20 };

static const enum option options[] = {
	OPT_LAKE, OPT_CREATE, OPT_FLUSH_SIZE, OPT_FLUSH_BYTES, OPT_FLUSH_AGE,
	OPT_TAKE, OPT_MODELS,	  OPT_NEW_HISTORY, OPT_UNTIL_END,   OPTION_COUNT,
};

/* By table; of several that share a topic, by the first. */
static void cmd_sink_put_counts(struct buf *out, const char *name, const struct sink_options *sink,
				const uint64_t *counts)
{
	buf_addf(out, "\"%s\":{", name);
	for (size_t i = 0; i < sink->table_count; i++)
		if (lake_table_leads(&sink->tables[i]))
			buf_addf(out, "\"%s\":%" PRIu64 ",", sink->tables[i].model->model.name,
				 counts[i]);
	buf_addf(out, "\"other\":%" PRIu64 "},", counts[sink->table_count]);
}

static enum err_code cmd_sink_report(const struct sink_options *sink,
				     const struct sink_counts *counts, struct err *err)
{
	struct buf out;
	enum err_code code;

	buf_init(&out, REPORT_MAX);
	buf_add_char(&out, '{');
	cmd_sink_put_counts(&out, "records", sink, counts->records);
	cmd_sink_put_counts(&out, "dead", sink, counts->dead);
	buf_addf(&out, "\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"missed\":%" PRIu64
		 ",\"halted\":%" PRIu64 "}\n",
		 counts->objects, counts->bytes, counts->missed, counts->halted);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static enum err_code sink(const struct config *config, struct sink_options *sink, struct err *err)
{
	struct sink_counts counts = { 0 };
	enum err_code code = setup_log_reader(config, true, &sink->broker, err);
	enum err_code reported;
	struct err unused;

	if (code == ERR_OK)
		code = setup_store(config, &sink->store, err);
	if (code == ERR_OK) {
		code = sink_run(sink, &counts, err);
		reported = cmd_sink_report(sink, &counts, code == ERR_OK ? err : &unused);
		code = code == ERR_OK ? reported : code;
		sink_counts_release(&counts);
	}
	store_free(sink->store);
	broker_free(sink->broker);
	return code;
}

static int cmd_sink_run(struct config *config, int argc, const char *const *argv)
{
	struct sink_options options_of_sink = {
		.take_all = strcmp(config_text(config, OPT_TAKE), "all") == 0,
		.flush_size = (uint64_t)config_int(config, OPT_FLUSH_SIZE),
		.flush_bytes = (size_t)config_int(config, OPT_FLUSH_BYTES),
		.flush_age_ms = config_int(config, OPT_FLUSH_AGE),
		.new_history = strcmp(config_text(config, OPT_NEW_HISTORY), "continue") == 0,
		.until_end = config_bool(config, OPT_UNTIL_END),
	};
	struct lake_table *tables = NULL;
	struct models models = { 0 };
	struct err err;
	enum err_code code = setup_dir(config, &options_of_sink.dir, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK)
		code = setup_models(config, &models, &err);
	if (code == ERR_OK)
		code = lake_tables_new(&models, TOPIC_LOG, config_text(config, OPT_ID), &tables,
				       &err);
	options_of_sink.tables = tables;
	options_of_sink.table_count = models.clean_count;
	if (code == ERR_OK)
		code = sink(config, &options_of_sink, &err);
	free(tables);
	models_free(&models);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_sink = {
	.name = "sink",
	.summary = "Write the topics' records into the lake as objects",
	.usage = "[options]",
	.details =
		"Objects are named topics/<topic>/partition=<p>/<topic>+<p>+<start offset>.json, one JSON\n"
		"value a line, as Confluent's S3 sink connector names and writes them. A record that is not\n"
		"JSON becomes a dead letter (see `pinpipe dlq`). A new start goes on where the objects end.\n"
		"Every topic of the log is taken; with `--take models` only those that a model reads.\n"
		"A topic that was made anew and whose offsets begin again stops, and the others go on;\n"
		"with `--new-history continue` it lands below topics/<topic>/generation=<g>.\n",
	.examples = "pinpipe sink --dir data\n"
		    "pinpipe sink --dir data --flush-size 10000 --flush-age 5m\n"
		    "pinpipe sink --dir data --take models --until-end\n",
	.options = options,
	.run = cmd_sink_run,
};
