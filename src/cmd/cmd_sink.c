#include "cmd/cmd.h"
#include "cmd/setup.h"
#include "flow/sink.h"

#include <inttypes.h>

enum { REPORT_MAX = 4096 };

static const enum option options[] = {
	OPT_LAKE, OPT_FLUSH_SIZE, OPT_FLUSH_BYTES, OPT_FLUSH_AGE, OPT_ALL_TOPICS, OPT_UNTIL_END,
	OPTION_COUNT,
};

static void cmd_sink_put_counts(struct buf *out, const char *name,
				const uint64_t counts[LAKE_TABLES + 1])
{
	buf_addf(out, "\"%s\":{", name);
	for (int i = 0; i < LAKE_TABLES; i++)
		buf_addf(out, "\"%s\":%" PRIu64 ",", lake_table_name[i], counts[i]);
	buf_addf(out, "\"other\":%" PRIu64 "},", counts[LAKE_TABLES]);
}

static enum err_code cmd_sink_report(const struct sink_counts *counts, struct err *err)
{
	struct buf out;
	enum err_code code;

	buf_init(&out, REPORT_MAX);
	buf_add_char(&out, '{');
	cmd_sink_put_counts(&out, "records", counts->records);
	cmd_sink_put_counts(&out, "dead", counts->dead);
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
	enum err_code code = setup_log_reader(config, &sink->broker, err);
	enum err_code reported;
	struct err unused;

	if (code == ERR_OK)
		code = setup_store(config, &sink->store, err);
	if (code == ERR_OK) {
		code = sink_run(sink, &counts, err);
		reported = cmd_sink_report(&counts, code == ERR_OK ? err : &unused);
		code = code == ERR_OK ? reported : code;
	}
	store_free(sink->store);
	broker_free(sink->broker);
	return code;
}

static int cmd_sink_run(struct config *config, int argc, const char *const *argv)
{
	struct sink_options options_of_sink = {
		.id = config_text(config, OPT_ID),
		.all_topics = config_bool(config, OPT_ALL_TOPICS),
		.flush_size = (uint64_t)config_int(config, OPT_FLUSH_SIZE),
		.flush_bytes = (size_t)config_int(config, OPT_FLUSH_BYTES),
		.flush_age_ms = config_int(config, OPT_FLUSH_AGE),
		.until_end = config_bool(config, OPT_UNTIL_END),
	};
	struct err err;

	(void)argc;
	(void)argv;
	if (setup_dir(config, &options_of_sink.dir, &err) != ERR_OK ||
	    sink(config, &options_of_sink, &err) != ERR_OK)
		return cmd_fail(&err);
	return 0;
}

const struct command cmd_sink = {
	.name = "sink",
	.summary = "Write the topics' records into the lake as objects",
	.usage = "[options]",
	.details =
		"Objects are named topics/<topic>/partition=<p>/<topic>+<p>+<start offset>.json, one JSON\n"
		"value a line, as Confluent's S3 sink connector names and writes them. A record that is not\n"
		"JSON becomes a dead letter (see `pinpipe dlq`). A new start goes on where the objects end.\n",
	.examples = "pinpipe sink --dir data\n"
		    "pinpipe sink --dir data --flush-size 10000 --flush-age 5m\n"
		    "pinpipe sink --dir data --all-topics --until-end\n",
	.options = options,
	.run = cmd_sink_run,
};
