#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/pipeline.h"
#include "cmd/run_report.h"

#include <errno.h>
#include <inttypes.h>

enum { OUTPUT_BYTES_MAX = 300 << 20 };

static const enum option options[] = {
	OPT_RUN_POSTS,	 OPT_ORDER,	OPT_SEED,      OPT_RATE,       OPT_BATCH_SIZE,
	OPT_CONNECTIONS, OPT_SOURCE,	OPT_DATA,      OPT_ROWS,       OPT_LAKE,
	OPT_CREATE,	 OPT_MODELS,	OPT_ENGINE,    OPT_FLUSH_SIZE, OPT_FLUSH_BYTES,
	OPT_FLUSH_AGE,	 OPT_CONNECTOR, OPT_TABLE_AGE, OPT_PARTITIONS, OPT_SHARDS,
	OPTION_COUNT,
};

typedef uint64_t cmd_run_get_fn(const struct pipeline_counts *counts, enum topic_kind kind,
				size_t i);

/* "name":{"<table>":1,…} of one path. */
static void cmd_run_put_counts(struct buf *out, const char *name,
			       const struct pipeline_counts *counts, enum topic_kind kind,
			       cmd_run_get_fn *get)
{
	const struct census *census = &counts->added;

	buf_addf(out, "\"%s\":{", name);
	for (size_t i = 0; i < census->count[kind]; i++)
		buf_addf(out, "%s\"%s\":%" PRIu64, i ? "," : "",
			 census->models[kind][i]->model.name, get(counts, kind, i));
	buf_add_char(out, '}');
}

/* "name":{"batch":{…},"stream":{…}} */
static void put_paths(struct buf *out, const char *name, const struct pipeline_counts *counts,
		      cmd_run_get_fn *get)
{
	buf_addf(out, "\"%s\":{", name);
	cmd_run_put_counts(out, "batch", counts, TOPIC_LOG, get);
	buf_add_char(out, ',');
	cmd_run_put_counts(out, "stream", counts, TOPIC_STREAM, get);
	buf_add_str(out, "},");
}

static uint64_t get_posted(const struct pipeline_counts *counts, enum topic_kind kind, size_t i)
{
	return counts->posted[kind][i];
}

static uint64_t get_landed(const struct pipeline_counts *counts, enum topic_kind kind, size_t i)
{
	return counts->added.path[kind][i].landed;
}

static uint64_t get_clean(const struct pipeline_counts *counts, enum topic_kind kind, size_t i)
{
	return counts->added.path[kind][i].clean;
}

static uint64_t get_dead(const struct pipeline_counts *counts, enum topic_kind kind, size_t i)
{
	return counts->added.path[kind][i].dead;
}

static void cmd_run_put_json(struct buf *out, const struct pipeline_counts *counts)
{
	struct slice answers = buf_slice(&counts->answers);

	while (answers.len && answers.ptr[answers.len - 1] == '\n')
		answers.len--;
	buf_addf(out, "{\"posts\":%" PRIu64 ",", counts->posts);
	put_paths(out, "posted", counts, get_posted);
	cmd_run_put_counts(out, "landed", counts, TOPIC_LOG, get_landed);
	buf_add_char(out, ',');
	put_paths(out, "clean", counts, get_clean);
	put_paths(out, "dead", counts, get_dead);
	buf_add_str(out, "\"analyses\":");
	buf_add_slice(out, answers);
	buf_addf(out, ",\"seconds\":%.3f}\n", counts->seconds);
}

static enum err_code cmd_run_print(const struct config *config,
				   const struct pipeline_counts *counts, struct err *err)
{
	enum output_format format = output_format(config);
	enum err_code code = ERR_OK;
	struct run_now now;
	struct buf out;

	buf_init(&out, OUTPUT_BYTES_MAX);
	if (format == OUTPUT_JSON) {
		cmd_run_put_json(&out, counts);
	} else if (format == OUTPUT_CSV) {
		run_report_put_counts(&out, counts, format);
	} else {
		run_now_take(&counts->models, &now);
		code = run_report_put(&out, config, counts, &now, program_invocation_name, err);
		run_now_release(&now);
	}
	if (code == ERR_OK)
		code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static int cmd_run_run(struct config *config, int argc, const char *const *argv)
{
	struct pipeline_counts counts;
	struct err err;
	enum err_code code = pipeline_run(config, &counts, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK)
		code = cmd_run_print(config, &counts, &err);
	if (code == ERR_OK)
		code = pipeline_reconcile(&counts, &err);
	if (code == ERR_OK && counts.models.broken_count > 0)
		code = err_set(&err, ERR_SHAPE,
			       "%zu models are broken (see above); all else is done",
			       counts.models.broken_count);
	pipeline_counts_release(&counts);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_run = {
	.name = "run",
	.summary = "Run the whole pipeline once and print the counts and the answers",
	.usage = "[options]",
	.details =
		"Starts a gateway on a free port, posts to it on both paths, lands the records as\n"
		"objects, cleans them into Delta tables, runs the analyses, and compares the counts\n"
		"of every place. Exits with 0 only if every record is accounted for. A terminal gets the\n"
		"first rows of each answer and the counts, csv the counts alone, json all of it.\n",
	.examples =
		"pinpipe run\n"
		"pinpipe run --posts 100000 --dir data\n"
		"pinpipe run --source files --data rows --order course --posts 168 --format json\n",
	.options = options,
	.run = cmd_run_run,
};
