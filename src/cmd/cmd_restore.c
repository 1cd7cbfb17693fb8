/* Makes the log of a data directory anew out of its lake. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/setup.h"
#include "flow/restore.h"

#include <inttypes.h>
#include <stdio.h>

enum { COLUMNS = 8 };

/* Nobody has counted in a dry run. */
static struct cell counted(const struct restore_options *options, uint64_t count)
{
	return options->dry_run ? (struct cell){ .type = CELL_NULL } : cell_int((int64_t)count);
}

static enum err_code cmd_restore_print(const struct config *config,
				       const struct restore_options *options,
				       const struct restore_report *report, struct err *err)
{
	static const char *columns[COLUMNS] = { "name", "kind", "partitions", "objects",
						"bytes", "records", "letters", "missing" };
	struct answer answer = { .columns = columns, .column_count = COLUMNS };
	struct cell *cells, *cell;
	enum err_code code;

	cell = cells = xcalloc(report->count * COLUMNS, sizeof(*cells));
	for (size_t i = 0; i < report->count; i++) {
		const struct restored_topic *topic = &report->topics[i];

		*cell++ = cell_text(topic->name);
		*cell++ = cell_text(topic->kind == TOPIC_LOG ? "topic" : "stream");
		*cell++ = cell_int(topic->partitions);
		*cell++ = cell_int((int64_t)topic->objects);
		*cell++ = cell_int((int64_t)topic->bytes);
		*cell++ = counted(options, topic->records);
		*cell++ = counted(options, topic->letters);
		*cell++ = counted(options, topic->missing);
	}
	answer.cells = cells;
	answer.row_count = report->count;
	code = output_print(config, &answer, OUTPUT_OF_LIST, err);
	free(cells);
	return code;
}

static void tell_restored(const struct restore_options *options,
			  const struct restore_report *report)
{
	uint64_t records = 0, missing = 0;

	for (size_t i = 0; i < report->count; i++) {
		records += report->topics[i].records;
		missing += report->topics[i].missing;
	}
	if (report->went_on) {
		cmd_tell("\"%s\" has its log already; what was left to be taken away from "
			 "the lake is gone now",
			 options->dir);
		return;
	}
	if (report->unfinished > 0)
		cmd_tell("%" PRIu64 " groups of objects are not whole%s", report->unfinished,
			 options->dry_run ? "" : ", and were taken away");
	if (options->dry_run) {
		cmd_tell("nothing was made: a dry run");
		return;
	}
	cmd_tell("\"%s\" has a log: %" PRIu64 " records in %" PRIu64 " bytes, read back",
		 options->dir, records, report->log_bytes);
	if (missing > 0)
		cmd_tell("%" PRIu64 " records are in no object of the lake; the log "
			 "tells them as gaps",
			 missing);
}

static enum err_code need_local(const struct config *config, struct err *err)
{
	if (!config_bool(config, OPT_FROM_LAKE))
		return err_set(err, ERR_USAGE, "tell what of: --from-lake (a backup is a directory to be "
			       "put back)");
	if (strcmp(config_text(config, OPT_BROKER), "local") != 0 ||
	    strcmp(config_text(config, OPT_STREAMS), "local") != 0)
		return err_set(err, ERR_UNSUPPORTED, "only a log of --dir can be made anew");
	return ERR_OK;
}

static enum err_code restore(const struct config *config, struct err *err)
{
	struct restore_options options = {
		.dir = config_text(config, OPT_DIR),
		.segment_bytes = (uint64_t)config_int(config, OPT_SEGMENT_BYTES),
		.partitions = (int32_t)config_int(config, OPT_PARTITIONS),
		.shards = (int32_t)config_int(config, OPT_SHARDS),
		.dry_run = config_bool(config, OPT_DRY_RUN),
		.drop_unfinished = config_bool(config, OPT_DROP_UNFINISHED),
	};
	struct restore_report report;
	enum err_code code = need_local(config, err);

	if (code == ERR_OK)
		code = setup_store_there(config, &options.store, err);
	if (code != ERR_OK)
		return code;
	code = restore_run(&options, &report, err);
	store_free(options.store);
	if (code != ERR_OK)
		return code;
	tell_restored(&options, &report);
	code = cmd_restore_print(config, &options, &report, err);
	restore_report_release(&report);
	return code;
}

static int cmd_restore_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	(void)argc;
	(void)argv;
	return restore(config, &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_FROM_LAKE, OPT_DRY_RUN, OPT_DROP_UNFINISHED, OPT_LAKE, OPT_PARTITIONS, OPT_SHARDS,
	OPT_SEGMENT_BYTES, OPT_BROKER, OPT_STREAMS, OPTION_COUNT,
};

const struct command cmd_restore = {
	.name = "restore",
	.summary = "Make the log anew out of the lake",
	.usage = "--from-lake [options]",
	.details =
		"For who has lost the log and has the lake: makes DIR/log of the raw objects and of what\n"
		"the sink put aside, every record at the offset that it had, with its key, headers and time\n"
		"where those were stored. Topics and streams keep the identity that the lake knows, so\n"
		"sink, batch and stream go on in it; new records come behind all that the lake knows of.\n"
		"Streams have no records in it: what the lake has of them is rows. What was acknowledged and\n"
		"had not come into the lake is gone. The log is read back before it has its name; a restore\n"
		"that was killed is begun anew by the next one. A directory that has a log is refused.\n"
		"Nothing else may work on the lake meanwhile. Where a sink had begun to put objects that land\n"
		"together, what lacks of them is gone: --drop-unfinished takes what is there into the log, and\n"
		"the objects away, so that the sink puts them anew. Partitions that never had a record are seen\n"
		"nowhere: --partitions and --shards say how many there are at least.\n",
	.examples = "pinpipe restore --from-lake --dir data\n"
		    "pinpipe restore --from-lake --lake s3://bucket/prefix --dir data --dry-run\n",
	.options = options,
	.run = cmd_restore_run,
};
