/* Takes away what the tables do not need any more. */
#include "base/mem.h"
#include "base/trace.h"
#include "base/visible.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/table.h"
#include "flow/retain.h"
#include "flow/vacuum.h"

#include <inttypes.h>
#include <stdio.h>

enum { TABLES_MAX = 1000, OBJECTS_BYTES_MAX = 256 << 20 };

static const char *const path_name[] = { [TOPIC_LOG] = "batch", [TOPIC_STREAM] = "stream" };

static const char *columns[] = { "table",      "path",	      "files_removed",	   "bytes_removed",
				 "files_kept", "log_removed", "log_bytes_removed", "log_kept" };
#define SPARE (TABLE_SPARE(4) | TABLE_SPARE(6) | TABLE_SPARE(7))
static const char *dry_columns[] = { "table", "path", "object", "bytes" };

struct vacuuming {
	const struct config *config;
	struct store *store;
	struct models models;
	struct rows rows;
	struct lake_table place; /* at hand, … */
	const char *what;	 /* … or what else of its topic is */
	bool dry_run;
	uint64_t bytes;
	uint64_t objects;
	struct err failed; /* the first table's that could not be cleaned up */
};

static const char *vacuum_name(const struct vacuuming *vacuuming)
{
	return vacuuming->what ? vacuuming->place.topic : vacuuming->place.model->model.name;
}

static void note_removed(void *user, const char *key, uint64_t size)
{
	struct vacuuming *vacuuming = user;
	struct cell *row = vacuuming->dry_run ? rows_add(&vacuuming->rows) : NULL;

	vacuuming->bytes += size;
	vacuuming->objects++;
	if (!row)
		return;
	row[0] = rows_text(&vacuuming->rows, slice_str(vacuum_name(vacuuming)));
	row[1] = cell_text(vacuuming->what ? vacuuming->what : path_name[vacuuming->place.kind]);
	row[2] = rows_text(&vacuuming->rows, slice_str(key));
	row[3] = cell_int((int64_t)size);
}

static void add_report(struct vacuuming *vacuuming, const struct vacuum_report *report)
{
	struct cell *row = vacuuming->dry_run ? NULL : rows_add(&vacuuming->rows);

	if (!row)
		return;
	row[0] = cell_text(vacuuming->place.model->model.name);
	row[1] = cell_text(path_name[vacuuming->place.kind]);
	row[2] = cell_int((int64_t)report->files.removed);
	row[3] = cell_int((int64_t)report->files.removed_bytes);
	row[4] = cell_int((int64_t)report->files.kept);
	row[5] = cell_int((int64_t)report->log.removed);
	row[6] = cell_int((int64_t)report->log.removed_bytes);
	row[7] = cell_int((int64_t)report->log.kept);
}

static enum err_code vacuum_open(struct vacuuming *vacuuming, struct vacuum_report *report,
				 struct err *err)
{
	struct vacuum_options options = { .store = vacuuming->store,
					  .dry_run = vacuuming->dry_run,
					  .each = note_removed,
					  .user = vacuuming };
	const struct delta_options read = { 0 };
	struct delta_table *delta = NULL;
	enum err_code code =
		setup_keep(vacuuming->config, vacuuming->place.kind, &options.keep, err);

	if (code == ERR_OK)
		code = delta_open(vacuuming->store, vacuuming->place.root, &read, &delta, err);
	if (code == ERR_OK)
		code = vacuum_table(&options, &vacuuming->place, delta, report, err);
	delta_close(delta);
	return code;
}

/* One that cannot be cleaned up does not keep the others from it: the first is the command's
 * failure, the others are told at once. */
static void vacuum_note_failed(struct vacuuming *vacuuming, const struct err *err)
{
	if (vacuuming->failed.code == ERR_OK)
		vacuuming->failed = *err;
	else
		trace_warn("%s", err->msg);
}

static enum err_code vacuum_one(struct vacuuming *vacuuming, const struct clean_model *model,
				enum topic_kind kind, struct err *err)
{
	struct vacuum_report report = { 0 };
	enum err_code code = lake_table_init(&vacuuming->place, model, kind,
					     config_text(vacuuming->config, OPT_ID), err);

	if (code != ERR_OK)
		return code;
	code = vacuum_open(vacuuming, &report, err);
	if (code == ERR_ABSENT)
		return ERR_OK; /* nobody has made it yet */
	if (code == ERR_STOPPED || code == ERR_USAGE)
		return code;
	if (code != ERR_OK)
		vacuum_note_failed(vacuuming, err);
	add_report(vacuuming, &report);
	return ERR_OK;
}

/* --- raw objects and dead letters -------------------------------------------------- */

static void add_retained(struct vacuuming *vacuuming, const char *what,
			 const struct retained *retained)
{
	struct cell *row = vacuuming->dry_run ? NULL : rows_add(&vacuuming->rows);

	if (!row)
		return;
	row[0] = rows_text(&vacuuming->rows, slice_str(vacuuming->place.topic));
	row[1] = cell_text(what);
	row[2] = cell_int((int64_t)retained->removed);
	row[3] = cell_int((int64_t)retained->removed_bytes);
	for (int i = 4; i < 8; i++)
		row[i] = cell_text(NULL);
}

static void note_retained(void *user, const char *key, uint64_t size)
{
	struct vacuuming *vacuuming = user;

	vacuuming->what = strncmp(key, "dlq/", 4) == 0 ? "letters" : "raw";
	note_removed(vacuuming, key, size);
	vacuuming->what = NULL;
}

/* Of the topic that a table is the first one of. */
static enum err_code vacuum_topic(struct vacuuming *vacuuming, const struct clean_model *model,
				  enum topic_kind kind, struct err *err)
{
	struct retain_options options = { .store = vacuuming->store,
					  .models = &vacuuming->models,
					  .id = config_text(vacuuming->config, OPT_ID),
					  .keep = setup_retain(vacuuming->config),
					  .dry_run = vacuuming->dry_run,
					  .each = note_retained,
					  .user = vacuuming };
	struct retain_report report = { 0 };
	enum err_code code = lake_table_init(&vacuuming->place, model, kind, options.id, err);

	if (code != ERR_OK)
		return code;
	code = retain_topic(&options, &vacuuming->place, &report, err);
	if (code == ERR_ABSENT)
		return ERR_OK;
	if (code == ERR_STOPPED || code == ERR_USAGE)
		return code;
	if (code != ERR_OK)
		vacuum_note_failed(vacuuming, err);
	if (options.keep.raw_ms > 0 && kind == TOPIC_LOG)
		add_retained(vacuuming, "raw", &report.raw);
	if (options.keep.letters_ms > 0)
		add_retained(vacuuming, "letters", &report.letters);
	return ERR_OK;
}

/* --- shown ------------------------------------------------------------------------ */

/* A key says which table it is of, and is longer than what a narrow terminal has. */
static void vacuum_put_objects(const struct vacuuming *vacuuming, struct buf *out)
{
	const struct answer *answer = &vacuuming->rows.answer;

	for (size_t row = 0; row < answer->row_count; row++) {
		buf_addf(out, "%12" PRId64 "  ", answer_cell(answer, row, 3)->i);
		visible_put(out, answer_cell(answer, row, 2)->text, false);
		buf_add_char(out, '\n');
	}
}

static enum err_code vacuum_print(struct vacuuming *vacuuming, struct err *err)
{
	enum err_code code;
	struct buf out;

	if (!vacuuming->dry_run || output_format(vacuuming->config) != OUTPUT_TABLE ||
	    vacuuming->rows.full)
		return rows_print(&vacuuming->rows, vacuuming->config, err);
	buf_init(&out, OBJECTS_BYTES_MAX);
	vacuum_put_objects(vacuuming, &out);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

/* --- all -------------------------------------------------------------------------- */

static bool vacuum_is_wanted(const struct clean_model *model, int count, const char *const *names)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], model->model.name) == 0)
			return true;
	return count == 0;
}

/* Once for all that share it. */
static bool vacuum_topic_is_wanted(const struct clean_model *model, enum topic_kind kind, int count,
				   const char *const *names)
{
	const struct clean_shared *shared = kind == TOPIC_LOG ? &model->topic_shared
							      : &model->stream_shared;

	for (size_t i = 0; i < shared->count; i++)
		if (vacuum_is_wanted(shared->models[i], count, names))
			return shared->models[0] == model;
	return false;
}

static enum err_code vacuum_check_names(const struct models *models, int count,
					const char *const *names, struct err *err)
{
	for (int i = 0; i < count; i++) {
		const char *fault = models_fault(models, MODEL_CLEAN, names[i]);

		if (fault)
			return err_set(err, ERR_USAGE, "%s", fault);
		if (!models_clean(models, names[i]))
			return err_set(err, ERR_USAGE,
				       "no clean model \"%.80s\"; `pinpipe models` lists them",
				       names[i]);
	}
	return ERR_OK;
}

static enum err_code vacuum_all(struct vacuuming *vacuuming, int count, const char *const *names,
				struct err *err)
{
	const char *from = config_text(vacuuming->config, OPT_FROM);
	const struct models *models = &vacuuming->models;
	enum err_code code = vacuum_check_names(models, count, names, err);

	for (size_t i = 0; i < models->clean_count && code == ERR_OK; i++)
		for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++)
			if (vacuum_is_wanted(&models->clean[i], count, names) &&
			    strcmp(from, path_name[1 - kind]) != 0)
				code = vacuum_one(vacuuming, &models->clean[i],
						  (enum topic_kind)kind, err);
	for (size_t i = 0; i < models->clean_count && code == ERR_OK; i++)
		for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++)
			if (vacuum_topic_is_wanted(&models->clean[i], (enum topic_kind)kind, count,
						   names) &&
			    strcmp(from, path_name[1 - kind]) != 0)
				code = vacuum_topic(vacuuming, &models->clean[i],
						    (enum topic_kind)kind, err);
	return code;
}

static enum err_code vacuum(struct config *config, int count, const char *const *names,
			    struct err *err)
{
	struct vacuuming vacuuming = { .config = config,
				       .dry_run = config_bool(config, OPT_DRY_RUN) };
	enum err_code code = setup_models(config, &vacuuming.models, err);

	if (vacuuming.dry_run)
		rows_init(&vacuuming.rows, dry_columns, ARRAY_LEN(dry_columns));
	else
		rows_init(&vacuuming.rows, columns, ARRAY_LEN(columns));
	vacuuming.rows.spare = vacuuming.dry_run ? 0 : SPARE;
	if (code == ERR_OK)
		code = setup_store_there(config, &vacuuming.store, err);
	if (code == ERR_OK)
		code = vacuum_all(&vacuuming, count, names, err);
	if (code == ERR_OK)
		code = vacuum_print(&vacuuming, err);
	if (code == ERR_OK)
		cmd_tell("%" PRIu64 " objects, %" PRIu64 " bytes %s", vacuuming.objects,
			 vacuuming.bytes, vacuuming.dry_run ? "would be removed" : "were removed");
	if (code == ERR_OK && vacuuming.failed.code != ERR_OK) {
		*err = vacuuming.failed;
		code = err->code;
	}
	rows_release(&vacuuming.rows);
	store_free(vacuuming.store);
	models_free(&vacuuming.models);
	return code;
}

static int cmd_vacuum_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	return vacuum(config, argc, argv, &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_FROM,	    OPT_DRY_RUN,  OPT_LAKE,	    OPT_MODELS,	  OPT_TABLE_KEEP,
	OPT_TABLE_KEEP_LOG, OPT_RAW_KEEP, OPT_LETTERS_KEEP, OPTION_COUNT,
};

const struct command cmd_vacuum = {
	.name = "vacuum",
	.summary = "Take away what the tables do not need any more",
	.usage = "[TABLE…] [options]",
	.details =
		"Removes data files that are in no version younger than a table keeps files, those that a\n"
		"crash left among them, and what of its log lies before the newest checkpoint that is as\n"
		"old as it keeps that. A table says both itself (delta.deletedFileRetentionDuration,\n"
		"delta.logRetentionDuration); where nobody else has set them they follow table.retention\n"
		"and table.log_retention. With raw.retention and letters.retention raw objects go that are\n"
		"older and in every table of their topic, and dead letters that their table has passed.\n"
		"Readers and writers may be at work meanwhile. With --dry-run\n"
		"what would go is listed.\n",
	.examples = "pinpipe vacuum --dir data --dry-run\n"
		    "pinpipe vacuum clicks --from stream --dir data\n",
	.options = options,
	.positional_max = TABLES_MAX,
	.run = cmd_vacuum_run,
};
