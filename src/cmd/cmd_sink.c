#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/connector.h"
#include "cmd/seen.h"
#include "cmd/setup.h"
#include "cmd/taken.h"
#include "flow/sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPORT_MAX = 4 << 20 };

#define ZONES "/usr/share/zoneinfo"

static const enum option options[] = {
	OPT_LAKE,	 OPT_CREATE,	  OPT_CONNECTOR,      OPT_FLUSH_SIZE, OPT_FLUSH_BYTES,
	OPT_FLUSH_AGE,	 OPT_PATH_FORMAT, OPT_COMPRESSION,    OPT_TAKE,	      OPT_MODELS,
	OPT_NEW_HISTORY, OPT_UNTIL_END,	  OPT_METRICS_LISTEN, OPTION_COUNT,
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

static enum err_code cmd_sink_report(const struct config *config, const struct sink_options *sink,
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
	code = report_print(config, &out, err);
	buf_release(&out);
	return code;
}

static enum err_code sink(const struct config *config, struct sink_options *sink, struct err *err)
{
	struct pulse_options pulse = { .lag = { .kind = TOPIC_LOG } };
	struct sink_counts counts = { 0 };
	struct seen seen = { .pulse = NULL };
	enum err_code code = setup_log_reader(config, true, &sink->broker, err);
	char group[SINK_GROUP_MAX];
	enum err_code reported;
	struct err unused;

	if (code == ERR_OK)
		code = setup_store(config, &sink->store, err);
	if (code == ERR_OK)
		code = setup_sink_group(config, group, err);
	sink->group = pulse.lag.group = group;
	pulse.lag.broker = sink->broker;
	if (code == ERR_OK)
		code = seen_begin(&seen, config, "sink", err);
	if (code == ERR_OK) {
		seen_follow(&seen, config, &pulse);
		code = sink_run(sink, &counts, err);
		reported = cmd_sink_report(config, sink, &counts, code == ERR_OK ? err : &unused);
		code = code == ERR_OK ? reported : code;
		sink_counts_release(&counts);
	}
	seen_end(&seen);
	sink->group = NULL;
	store_free(sink->store);
	broker_free(sink->broker);
	return code;
}

/* The C library knows local time by the process's zone, so that is what the option sets; a name
 * that it does not know it would take for UTC. */
static enum err_code cmd_sink_set_zone(const char *name, struct err *err)
{
	char path[PATH_MAX];

	if (strcmp(name, "UTC") != 0 &&
	    (!*name || name[0] == '/' || strstr(name, "..") ||
	     snprintf(path, sizeof(path), ZONES "/%s", name) >= (int)sizeof(path) ||
	     access(path, R_OK) < 0))
		return err_set(err, ERR_USAGE,
			       "\"%.80s\" is no time zone of " ZONES
			       " (Debian's package tzdata has them)",
			       name);
	if (setenv("TZ", strcmp(name, "UTC") == 0 ? "UTC0" : name, 1) < 0)
		return err_errno(err, "could not set the time zone");
	tzset();
	return ERR_OK;
}

static bool cmd_sink_chose(const struct config *config, enum option option, const char *word)
{
	return strcmp(config_text(config, option), word) == 0;
}

static enum err_code cmd_sink_set_layout(const struct config *config, struct sink_options *sink,
					 struct err *err)
{
	enum err_code code = cmd_sink_set_zone(config_text(config, OPT_TIMEZONE), err);

	sink->rotate_interval_ms = config_int(config, OPT_ROTATE_INTERVAL);
	sink->rotate_schedule_ms = config_int(config, OPT_ROTATE_SCHEDULE);
	sink->time.kind = cmd_sink_chose(config, OPT_EXTRACTOR, "Record")      ? EVENT_TIME_RECORD
			  : cmd_sink_chose(config, OPT_EXTRACTOR, "Wallclock") ? EVENT_TIME_WALL
									       : EVENT_TIME_FIELD;
	sink->time.field = config_text(config, OPT_TIMESTAMP_FIELD);
	sink->gzip = cmd_sink_chose(config, OPT_COMPRESSION, "gzip");
	sink->keys = config_bool(config, OPT_STORE_KEYS);
	sink->headers = config_bool(config, OPT_STORE_HEADERS);
	sink->nulls = cmd_sink_chose(config, OPT_NULL_VALUES, "ignore") ? SINK_NULLS_IGNORE
		      : cmd_sink_chose(config, OPT_NULL_VALUES, "fail") ? SINK_NULLS_FAIL
									: SINK_NULLS_LETTER;
	if (code == ERR_OK && *config_text(config, OPT_PATH_FORMAT))
		code = path_format_init(&sink->path, config_text(config, OPT_PATH_FORMAT),
					config_int(config, OPT_PARTITION_DURATION), err);
	return code;
}

static enum err_code cmd_sink_set_options(struct config *config, struct sink_options *sink,
					  struct err *err)
{
	enum err_code code = connector_load(config, err);

	*sink = (struct sink_options){
		.flush_size = (uint64_t)config_int(config, OPT_FLUSH_SIZE),
		.flush_bytes = (size_t)config_int(config, OPT_FLUSH_BYTES),
		.flush_age_ms = config_int(config, OPT_FLUSH_AGE),
		.new_history = cmd_sink_chose(config, OPT_NEW_HISTORY, "continue"),
		.until_end = config_bool(config, OPT_UNTIL_END),
	};
	return code == ERR_OK ? cmd_sink_set_layout(config, sink, err) : code;
}

static int cmd_sink_run(struct config *config, int argc, const char *const *argv)
{
	struct sink_options options_of_sink;
	struct lake_table *tables = NULL;
	struct taken taken = { 0 };
	struct models models = { 0 };
	struct err err;
	enum err_code code = cmd_sink_set_options(config, &options_of_sink, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK)
		code = setup_dir(config, &options_of_sink.dir, &err);
	if (code == ERR_OK) {
		seen_join(config, "sink"); /* where it is seen why it ends, too */
		code = taken_init(&taken, config, &err);
	}
	options_of_sink.take_all = taken.all;
	options_of_sink.named_only = taken.named_only;
	options_of_sink.topics = taken.names;
	options_of_sink.topic_count = taken.count;
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
	taken_release(&taken);
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
		"Every topic of a log in --dir is taken; with `--take models`, and of a cluster, those that a model\n"
		"reads, and what `sink.topics` names, by name or by pattern (shop.*); with `--take named` only that,\n"
		"with `--take all` all there is.\n"
		"A topic that was made anew and whose offsets begin again stops, and the others go on;\n"
		"with `--new-history continue` it lands below topics/<topic>/generation=<g>.\n"
		"With --path-format objects lie by time instead: topics/<topic>/year=2026/month=03/…. The\n"
		"section `sink` of pinpipe.yaml takes the options of Confluent's connector by their own names,\n"
		"and --connector its properties file: what cannot be done here is refused, or named.\n",
	.examples = "pinpipe sink --dir data\n"
		    "pinpipe sink --dir data --flush-size 10000 --flush-age 5m\n"
		    "pinpipe sink --dir data --take models --until-end\n"
		    "pinpipe sink --dir data --connector s3.properties\n",
	.options = options,
	.run = cmd_sink_run,
};
