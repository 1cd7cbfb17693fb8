#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/pipeline.h"
#include "flow/process.h"

#include <inttypes.h>

enum { OUTPUT_BYTES_MAX = 300 << 20 };

static const enum option options[] = {
	OPT_POSTS, OPT_ORDER, OPT_SEED, OPT_RATE, OPT_BATCH_SIZE, OPT_CONNECTIONS, OPT_SOURCE,
	OPT_DATA, OPT_ROWS, OPT_LAKE, OPT_MODELS, OPT_FLUSH_SIZE, OPT_FLUSH_BYTES, OPT_FLUSH_AGE,
	OPT_TABLE_AGE, OPT_PARTITIONS, OPT_SHARDS, OPTION_COUNT,
};

static void cmd_run_put_counts(struct buf *out, const char *name,
			       const uint64_t counts[LAKE_TABLES])
{
	buf_addf(out, "\"%s\":{", name);
	for (int i = 0; i < LAKE_TABLES; i++)
		buf_addf(out, "%s\"%s\":%" PRIu64, i ? "," : "", lake_table_name[i], counts[i]);
	buf_add_char(out, '}');
}

/* {"batch":{…},"stream":{…}} of one member of the census' rows. */
static void put_paths(struct buf *out, const char *name, const struct census *census,
		      uint64_t (*get)(const struct census_row *row))
{
	static const char *const paths[] = { "batch", "stream" };
	uint64_t counts[LAKE_TABLES];

	buf_addf(out, ",\"%s\":{", name);
	for (int kind = 0; kind < 2; kind++) {
		for (int i = 0; i < LAKE_TABLES; i++)
			counts[i] = get(&census->path[kind][i]);
		buf_add_str(out, kind ? "," : "");
		cmd_run_put_counts(out, paths[kind], counts);
	}
	buf_add_char(out, '}');
}

static uint64_t get_clean(const struct census_row *row) { return row->clean; }
static uint64_t get_dead(const struct census_row *row) { return row->dead; }

static void cmd_run_put_json(struct buf *out, const struct pipeline_counts *counts)
{
	uint64_t landed[LAKE_TABLES];
	struct slice answers = buf_slice(&counts->answers);

	for (int i = 0; i < LAKE_TABLES; i++)
		landed[i] = counts->added.path[TOPIC_LOG][i].landed;
	while (answers.len && answers.ptr[answers.len - 1] == '\n')
		answers.len--;
	buf_addf(out, "{\"posts\":%" PRIu64 ",\"posted\":{", counts->posts);
	cmd_run_put_counts(out, "batch", counts->posted[TOPIC_LOG]);
	buf_add_char(out, ',');
	cmd_run_put_counts(out, "stream", counts->posted[TOPIC_STREAM]);
	buf_add_str(out, "},");
	cmd_run_put_counts(out, "landed", landed);
	put_paths(out, "clean", &counts->added, get_clean);
	put_paths(out, "dead", &counts->added, get_dead);
	buf_add_str(out, ",\"analyses\":");
	buf_add_slice(out, answers);
	buf_addf(out, ",\"seconds\":%.3f}\n", counts->seconds);
}

/* The counts as a table: a line for each path and table. */
static void cmd_run_put_table(struct buf *out, const struct pipeline_counts *counts)
{
	static const char *columns[] = { "path", "table", "posted", "landed", "clean", "dead" };
	enum { COLUMNS = 6, ROWS = 2 * LAKE_TABLES };
	struct cell cells[ROWS * COLUMNS];
	struct answer answer = {
		.column_count = COLUMNS, .row_count = ROWS, .columns = columns, .cells = cells,
	};
	struct cell *cell = cells;

	for (int kind = 0; kind < 2; kind++)
		for (int i = 0; i < LAKE_TABLES; i++) {
			const struct census_row *row = &counts->added.path[kind][i];

			*cell++ = cell_text(kind == TOPIC_LOG ? "batch" : "stream");
			*cell++ = cell_text(lake_table_name[i]);
			*cell++ = cell_int((int64_t)counts->posted[kind][i]);
			*cell++ = kind == TOPIC_LOG ? cell_int((int64_t)row->landed)
						    : cell_text(NULL);
			*cell++ = cell_int((int64_t)row->clean);
			*cell++ = cell_int((int64_t)row->dead);
		}
	output_put(out, &answer, OUTPUT_TABLE);
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
	buf_release(&counts.answers);
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
