#include "base/mem.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/setup.h"
#include "cmd/taken.h"
#include "flow/check.h"
#include "flow/status.h"

#include <inttypes.h>
#include <stdio.h>

enum { COLUMNS = 9, SAID_BYTES_MAX = 4 << 10 };

static const enum option options[] = { OPT_LAKE, OPT_MODELS, OPT_ENGINE_MEMORY, OPT_ENGINE_THREADS,
				       OPTION_COUNT };

struct checked {
	struct broker_verdict log;
	struct check_topics topics;
	struct check_counts *counts; /* of each of them */
	uint64_t faults;
	uint64_t in_log;
	uint64_t objects;
	uint64_t behind;
	uint64_t lost;
	size_t broken; /* models, whose tables are not looked at */
	bool end_unknown;
};

static void say_fault(void *user, const char *what)
{
	(void)user;
	if (trace_is_for_programs())
		trace_error("%s", what);
	else
		cmd_tell("pinpipe check: %s", what);
}

static void say_note(void *user, const char *what)
{
	(void)user;
	cmd_tell("%s", what);
}

static enum err_code check_places(const struct check_options *options_of_check,
				  struct checked *checked, struct err *err)
{
	enum err_code code = check_find_topics(options_of_check, &checked->topics, err);

	checked->counts = xcalloc(checked->topics.count + 1, sizeof(*checked->counts));
	if (code == ERR_OK)
		code = check_all_topics(options_of_check, &checked->topics, checked->counts, err);
	for (size_t i = 0; code == ERR_OK && i < checked->topics.count; i++) {
		const struct check_counts *counts = &checked->counts[i];

		checked->faults += counts->faults;
		checked->behind += counts->behind;
		checked->in_log += counts->in_log;
		checked->objects += counts->objects;
		checked->lost += counts->lost;
		checked->end_unknown |= counts->end_unknown;
		if (counts->unread > 0)
			cmd_tell("no model reads the stream \"%s\": its %" PRIu64
				 " records are in the log only",
				 checked->topics.list[i].name, counts->unread);
	}
	return code;
}

static enum err_code check_lake(const struct config *config, struct checked *checked,
				struct err *err)
{
	struct duck_options duck_options = {
		.memory_bytes_max = (uint64_t)config_int(config, OPT_ENGINE_MEMORY),
		.threads = 1,
	};
	struct check_options check = { .id = config_text(config, OPT_ID),
				       .fault = say_fault,
				       .note = say_note };
	struct duck duck = { 0 };
	struct models models = { 0 };
	struct taken taken = { 0 };
	enum err_code code = setup_models(config, &models, err);

	check.models = &models;
	checked->broken = models_broken(&models, MODEL_CLEAN);
	if (code == ERR_OK)
		code = taken_init(&taken, config, err);
	check.some = !taken.all && !setup_topics_are_in_dir(config);
	check.topics = taken.names;
	check.topic_count = taken.count;
	if (code == ERR_OK)
		code = setup_log_if_there(config, &check.broker, err);
	if (code == ERR_OK)
		code = broker_verify(check.broker, say_fault, NULL, &checked->log, err);
	if (code == ERR_OK)
		code = setup_store_there(config, &check.store, err);
	if (code == ERR_OK)
		code = duck_open(&duck_options, &duck, err);
	check.duck = &duck;
	if (code == ERR_OK)
		code = check_places(&check, checked, err);
	duck_close(&duck);
	store_free(check.store);
	broker_free(check.broker);
	taken_release(&taken);
	models_free(&models);
	return code;
}

static enum err_code cmd_check_print(const struct config *config, const struct checked *checked,
				     struct err *err)
{
	static const char *columns[COLUMNS] = { "topic", "in_log", "objects", "lines", "rows",
						"dead", "lost", "behind", "faults" };
	size_t count = checked->topics.count;
	struct cell *cells = xcalloc(count * COLUMNS, sizeof(*cells));
	struct answer answer = {
		.column_count = COLUMNS, .row_count = count, .columns = columns, .cells = cells
	};
	struct cell *cell = cells;
	enum err_code code;

	for (size_t i = 0; i < count; i++) {
		const struct check_topic *topic = &checked->topics.list[i];
		const struct check_counts *counts = &checked->counts[i];
		bool log = topic->kind == TOPIC_LOG;

		*cell++ = cell_text(topic->name);
		*cell++ = cell_int((int64_t)counts->in_log);
		*cell++ = log ? cell_int((int64_t)counts->objects) : cell_text(NULL);
		*cell++ = log ? cell_int((int64_t)counts->lines) : cell_text(NULL);
		*cell++ = cell_int((int64_t)counts->rows);
		*cell++ = cell_int((int64_t)counts->letters);
		*cell++ = cell_int((int64_t)counts->lost);
		*cell++ = cell_int((int64_t)counts->behind);
		*cell++ = cell_int((int64_t)counts->faults);
	}
	code = output_print(config, &answer, OUTPUT_OF_LIST, err);
	free(cells);
	return code;
}

static void say_sound(const struct config *config, const struct checked *checked)
{
	struct buf said;

	buf_init(&said, SAID_BYTES_MAX);
	if (setup_lake_alone(config))
		buf_addf(&said, "there is no log in \"%s\", so this is of the lake alone; ",
			 config_text(config, OPT_DIR));
	else if (checked->log.looked)
		buf_addf(&said, "the log is sound: %" PRIu64 " records in %" PRIu64 " batches; ",
			 checked->log.records, checked->log.batches);
	if (checked->end_unknown)
		buf_add_str(&said,
			    "it does not tell how far it is, and was read as far as it gave; ");
	if (checked->lost > 0)
		buf_addf(&said, "%" PRIu64 " are lost, as dead letters tell; ", checked->lost);
	if (checked->objects == 0 && checked->in_log == 0)
		buf_add_str(&said, "there is nothing to look for in the lake");
	else if (checked->behind > 0)
		buf_addf(&said,
			 "%" PRIu64
			 " are not in a table yet, every other offset is in the lake once",
			 checked->behind);
	else
		buf_addf(&said, "every %soffset is in the lake once",
			 checked->lost > 0 ? "other " : "");
	cmd_tell("%s", buf_cstr(&said));
	buf_release(&said);
}

/* For status, the page and /metrics. */
static void cmd_check_note(const struct config *config, const struct checked *checked)
{
	int64_t faults[STATUS_PARTS] = { [STATUS_LOG] = (int64_t)checked->log.damaged };

	if (!checked->log.sound && checked->log.damaged == 0)
		faults[STATUS_LOG] = 1;
	for (size_t i = 0; i < checked->topics.count; i++)
		faults[checked->topics.list[i].kind == TOPIC_LOG ? STATUS_BATCH : STATUS_STREAM] +=
			(int64_t)checked->counts[i].faults;
	status_note_checked(config_text(config, OPT_DIR), faults);
}

static int cmd_check_run(struct config *config, int argc, const char *const *argv)
{
	struct checked checked = { .faults = 0 };
	struct err err;
	enum err_code code = check_lake(config, &checked, &err);

	(void)argc;
	(void)argv;
	if (code == ERR_OK)
		cmd_check_note(config, &checked);
	if (code == ERR_OK)
		code = cmd_check_print(config, &checked, &err);
	if (code == ERR_OK && (checked.faults > 0 || !checked.log.sound))
		code = err_set(&err, ERR_CORRUPT, "%" PRIu64 " faults in the lake, %" PRIu64
			       " in the log (see above)", checked.faults, checked.log.damaged);
	if (code == ERR_OK)
		say_sound(config, &checked);
	if (code == ERR_OK && checked.broken > 0)
		code = err_set(&err, ERR_SHAPE,
			       "%zu tables were not looked at, as their models are"
			       " broken (see above)",
			       checked.broken);
	free(checked.topics.list);
	free(checked.counts);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_check = {
	.name = "check",
	.summary = "Verify the log, the objects and the tables: every offset once",
	.usage = "[options]",
	.details =
		"Reads the log (of a local one checksums, ordinals without a gap), the objects (every offset\n"
		"once, and the newest ones as the log has them) and the tables of both paths (every record\n"
		"once, as a row or a dead letter). What has not been worked on yet counts as behind, what a\n"
		"dead letter says is lost as lost. Exits with 0 only if nothing is wrong.\n"
		"Where --lake is named and there is no log, the lake is verified by itself.\n",
	.examples = "pinpipe check --dir data\n"
		    "pinpipe check --dir data --format json\n",
	.options = options,
	.run = cmd_check_run,
};
