#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/pipeline.h"
#include "flow/process.h"

#include <inttypes.h>

enum { OUTPUT_BYTES_MAX = 300 << 20 };

static const enum option options[] = {
	OPT_POSTS,	 OPT_ORDER,	OPT_SEED,      OPT_RATE,       OPT_BATCH_SIZE,
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

/* The counts as a table: a line for each path and table. */
static void cmd_run_put_table(struct buf *out, const struct pipeline_counts *counts)
{
	static const char *columns[] = { "path", "table", "posted", "landed", "clean", "dead" };
	const struct census *census = &counts->added;
	size_t rows = census->count[TOPIC_LOG] + census->count[TOPIC_STREAM];
	struct cell *cells = xcalloc(rows * ARRAY_LEN(columns), sizeof(*cells));
	struct answer answer = { .column_count = ARRAY_LEN(columns),
				 .row_count = rows,
				 .columns = columns,
				 .cells = cells };
	struct cell *cell = cells;

	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < census->count[kind]; i++) {
			const struct census_row *row = &census->path[kind][i];

			*cell++ = cell_text(kind == TOPIC_LOG ? "batch" : "stream");
			*cell++ = cell_text(census->models[kind][i]->model.name);
			*cell++ = cell_int((int64_t)counts->posted[kind][i]);
			*cell++ = kind == TOPIC_LOG ? cell_int((int64_t)row->landed)
						    : cell_text(NULL);
			*cell++ = cell_int((int64_t)row->clean);
			*cell++ = cell_int((int64_t)row->dead);
		}
	output_put(out, &answer, OUTPUT_OF_LIST, OUTPUT_TABLE);
	free(cells);
}

static int print_answers(struct err *err)
{
	static const char *const args[] = { "analyse", "--format", "table", NULL };
	struct process process = { .out_fd = -1 };

	if (process_start(&process, args, PROCESS_STDOUT_OURS, err) != ERR_OK)
		return cmd_fail(err);
	(void)process_wait(&process, -1);
	return process.status;
}

static enum err_code print_counts(const struct config *config,
				  const struct pipeline_counts *counts, struct err *err)
{
	struct buf out;
	enum err_code code;

	buf_init(&out, OUTPUT_BYTES_MAX);
	if (output_format(config) == OUTPUT_TABLE)
		cmd_run_put_table(&out, counts);
	else
		cmd_run_put_json(&out, counts);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static int cmd_run_run(struct config *config, int argc, const char *const *argv)
{
	struct pipeline_counts counts;
	int status = 0;
	struct err err;
	enum err_code code = pipeline_run(config, &counts, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK)
		code = print_counts(config, &counts, &err);
	if (code == ERR_OK && output_format(config) == OUTPUT_TABLE)
		status = print_answers(&err);
	if (code == ERR_OK)
		code = pipeline_reconcile(&counts, &err);
	if (code == ERR_OK && counts.models.broken_count > 0)
		code = err_set(&err, ERR_SHAPE,
			       "%zu models are broken (see above); all else is done",
			       counts.models.broken_count);
	pipeline_counts_release(&counts);
	return code == ERR_OK ? status : cmd_fail(&err);
}

const struct command cmd_run = {
	.name = "run",
	.summary = "Run the whole pipeline once and print the counts and the answers",
	.usage = "[options]",
	.details =
		"Starts a gateway on a free port, posts to it on both paths, lands the records as\n"
		"objects, cleans them into Delta tables, runs the analyses, and compares the counts\n"
		"of every place. Exits with 0 only if every record is accounted for.\n",
	.examples =
		"pinpipe run\n"
		"pinpipe run --posts 100000 --dir data\n"
		"pinpipe run --source files --data rows --order course --posts 168 --format json\n",
	.options = options,
	.run = cmd_run_run,
};
