#include "flow/batch.h"

#include "base/ahead.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/registry.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/batch_find.h"
#include "flow/batch_record.h"
#include "flow/batch_turn.h"
#include "flow/lake_clean.h"
#include "flow/staging.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { LOSSES_MAX = 1000, TABLES_AT_ONCE = 4, RUNS_AT_ONCE = 2 };

/* One table's work. */
struct job {
	const struct batch_options *options;
	struct batch_turn *turn; /* NULL: nobody else uses the engine */
	size_t place;		 /* whose turn */
	struct lake_table table;
	char temp_path[PATH_MAX];
	struct delta_table *delta;
	struct batch_finder finder;
	struct lake_input input;	/* what the next commit is made of, … */
	bool found;			/* … if that was looked for */
	struct batch_table report;
	struct err opened;		/* how it was opened, where others were waited for */
	struct err stop;		/* why the first of finder.stopped is that is no wait */
	uint64_t losses;		/* in a row, of commits that others were faster with */
	int64_t waited_ms;		/* for its turn */
	bool closed;
};

static enum err_code batch_fault(const char *what, int sys, struct err *err)
{
	errno = sys;
	return err_errno(err, "%s", what);
}

#define FAIL_AT(name, err) \
	do { \
		int sys_ = FAILPOINT(name); \
		if (sys_) \
			return batch_fault(name, sys_, err); \
	} while (0)

/* --- clean ----------------------------------------------------------------- */

static enum err_code batch_clean(struct job *job, struct clean_result *ret_result, struct err *err)
{
	const struct lake_cleaning cleaning = { &job->input, job->options->engine, job->table.model,
						job->temp_path };

	return lake_clean(&cleaning, ret_result, err);
}

/* Nothing more of it is taken in this run. */
static void batch_stop(struct job *job, const struct lake_part *part)
{
	struct batch_finder *finder = &job->finder;

	if (job->stop.code == ERR_OK)
		job->stop = part->stop;
	finder->stopped = xreallocarray(finder->stopped, finder->stopped_count + 1,
					sizeof(*finder->stopped));
	finder->stopped[finder->stopped_count++] = part->where;
}

/* Whether any did: others may have been behind it in this input. */
static bool note_stops(struct job *job, const struct lake_input *input)
{
	bool stopped = false;

	for (size_t i = 0; i < input->part_count; i++) {
		const struct lake_part *part = input->parts[i];

		if (part->stop.code == ERR_OK && !part->waits)
			continue;
		if (part->waits)
			trace_info("topic \"%s\" partition %s: the sink is still at its newest"
				   " group of objects; the next batch has it",
				   job->table.topic, part->text);
		else
			trace_error("topic \"%s\" partition %s: %s; the batch stops there",
				    job->table.topic, part->text, part->stop.msg);
		batch_stop(job, part);
		job->report.waits |= part->waits;
		stopped = true;
	}
	return stopped;
}

/* --- commit --------------------------------------------------------------- */

static enum err_code put_data_file(const struct job *job, const char *name, struct err *err)
{
	struct buf key;
	enum err_code code;

	FAIL_AT("batch-put", err);
	buf_init(&key, STORE_KEY_MAX + 1);
	buf_addf(&key, "%s/%s", job->table.root, name);
	code = store_put_file(job->options->store, buf_cstr(&key), job->temp_path, err);
	buf_release(&key);
	return code;
}

/* What a commit says of the partitions: each one's step, and two txns that tell its last object. */
struct batch_moves {
	struct batch_ids *ids;
	struct delta_step *steps;
	size_t count;
	struct delta_txn *txns;
};

static void batch_moves_init(struct batch_moves *moves, size_t parts)
{
	*moves = (struct batch_moves){
		.ids = xcalloc(parts + 1, sizeof(*moves->ids)),
		.steps = xcalloc(parts + 1, sizeof(*moves->steps)),
		.txns = xcalloc(parts + 1, 2 * sizeof(*moves->txns)),
	};
}

static void batch_moves_release(struct batch_moves *moves)
{
	free(moves->ids);
	free(moves->steps);
	free(moves->txns);
}

static enum err_code batch_add_move(const struct job *job, struct batch_moves *moves,
				    const struct lake_part *part, struct err *err)
{
	size_t at = moves->count++;
	struct batch_ids *ids = &moves->ids[at];
	struct delta_step *step = &moves->steps[at];

	batch_ids_init(ids, &part->where);
	*step = (struct delta_step){ .app_id = ids->progress };
	if (delta_progress(job->delta, step->app_id, &step->after, err) != ERR_OK)
		return err->code;
	step->now = step->after;	/* its lineage, too: objects tell none */
	step->now.any = true;
	step->now.position = lake_position(part->end - 1);
	moves->txns[2 * at] = (struct delta_txn){
		ids->start, (int64_t)part->held.start, delta_txn_version(job->delta, ids->start)
	};
	moves->txns[2 * at + 1] = (struct delta_txn){
		ids->bytes, (int64_t)part->held.size, delta_txn_version(job->delta, ids->bytes)
	};
	return ERR_OK;
}

/*
 * The progress goes into the commit that holds the rows: a crash leaves both
 * or neither. A commit without rows is made, too, where all records were
 * letters, or they would be read for ever.
 */
static enum err_code batch_commit(struct job *job, const struct lake_input *input,
				  struct clean_result *result, struct buf *name, int64_t made_ms,
				  struct err *err)
{
	char path[NAME_MAX + 1];
	struct delta_add add = { .path = path,
				 .size = result->bytes,
				 .modified_ms = clock_wall_ms(),
				 .rows = result->rows };
	struct delta_commit action = { .operation = "WRITE", .adds = &add,
				       .add_count = result->rows > 0 };
	struct batch_moves moves;
	enum err_code code = ERR_OK;
	int64_t version;

	add.made_ms = made_ms;

	batch_moves_init(&moves, input->part_count);
	for (size_t i = 0; i < input->part_count && code == ERR_OK; i++)
		if (input->parts[i]->end != input->parts[i]->next)
			code = batch_add_move(job, &moves, input->parts[i], err);
	action.steps = moves.steps;
	action.step_count = moves.count;
	action.txns = moves.txns;
	action.txn_count = 2 * moves.count;
	(void)snprintf(path, sizeof(path), "%s", buf_cstr(name));
	add.stats = result->rows ? xstrndup(result->stats.ptr, result->stats.len) : NULL;
	if (code == ERR_OK)
		code = delta_commit(job->delta, &action, &version, err);
	free(add.stats);
	batch_moves_release(&moves);
	return code;
}

static bool moves_on(const struct lake_input *input)
{
	for (size_t i = 0; i < input->part_count; i++)
		if (input->parts[i]->end != input->parts[i]->next)
			return true;
	return false;
}

/*
 * One that was killed, or was slower, may have left letters for the same records. The commit is
 * through; left where they are, they are passed over as doubles.
 */
static void batch_settle(struct lake_input *input)
{
	struct err err;

	if (lake_input_settle_dead(input, &err) != ERR_OK)
		trace_warn("letters of no commit may be left: %s", err.msg);
}

/* Everything between the clean file and the commit, in the order that a crash forgives. */
static enum err_code batch_keep(struct job *job, struct lake_input *input,
				struct clean_result *result, struct err *err)
{
	int64_t made_ms = clock_boot_ms();
	struct buf name;
	enum err_code code;

	FAIL_AT("batch-cleaned", err);
	code = lake_input_tell_gaps(input, err);
	if (code == ERR_OK)
		code = lake_input_write_dead(input, err);
	if (code != ERR_OK)
		return code;
	FAIL_AT("batch-dead", err);
	buf_init(&name, NAME_MAX);
	delta_new_file_name(&name);
	if (result->rows > 0)
		code = put_data_file(job, buf_cstr(&name), err);
	if (code == ERR_OK) {
		int sys = FAILPOINT("batch-commit");

		code = sys ? batch_fault("batch-commit", sys, err)
			   : batch_commit(job, input, result, &name, made_ms, err);
	}
	buf_release(&name);
	if (code != ERR_OK)
		return code;
	FAIL_AT("batch-committed", err);
	batch_settle(input);
	return ERR_OK;
}

static void note_reach(struct reach *reach, const struct lake_input *input)
{
	const struct lake_object *before = NULL;
	uint64_t before_end = 0;

	for (size_t i = 0; i < input->object_count; i++) {
		const struct lake_object *object = &input->objects[i];
		const struct lake_part *part = object->part;
		struct reach_span span = { .partition = part->where.id,
					   .generation = part->where.generation };
		uint64_t from, start, end;

		if (!lake_input_span(object, &from, &start, &end) || object->count == 0)
			continue;
		span.first = lake_position(start);
		span.last = lake_position(end - 1);
		reach_note(reach, &span, before && before->part == part && from <= before_end);
		before = object;
		before_end = end;
	}
}

/*
 * Another batch, of this lake and another directory, was faster. What it committed is what this one
 * would have; its own work is dropped, and it begins where the table is now. The file that it has
 * put is named by no commit, and letters beyond what the table is done with do not count. So it is
 * after a long while in which the lake was away.
 */
static enum err_code batch_lost(struct job *job, struct err *err)
{
	struct err why = *err;

	if (++job->losses > LOSSES_MAX)
		return err->code;
	trace_info("table \"%s\": %s (%s)", job->table.model->model.name,
		   why.code == ERR_EXPIRED ? "what is new is cleaned once more"
					   : "another batch was faster with what is new",
		   why.msg);
	return delta_refresh(job->delta, err);
}

static uint64_t batch_bytes_max(const struct batch_options *options)
{
	return options->bytes_max ? options->bytes_max : BATCH_BYTES_MAX;
}

static void batch_count(struct job *job, const struct lake_input *input,
			const struct clean_result *result)
{
	job->report.objects += input->object_count;
	for (size_t i = 0; i < input->object_count; i++)
		job->report.bytes += input->objects[i].text_bytes;
	job->report.rows += result->rows;
	job->report.dead += result->dead + input->poison_count;
	job->report.unreadable += result->unreadable;
	job->report.commits++;
	job->losses = 0;
	job->finder.bytes_max = batch_bytes_max(job->options);
	unknown_fields_merge(&job->report.unknown, &result->unknown);
}

static enum err_code batch_find_next(struct job *job, struct err *err)
{
	if (job->found)
		return ERR_OK;
	lake_input_init(&job->input, job->options->store, &job->table);
	job->input.gaps = job->options->reach != NULL;
	job->found = true;
	return batch_find(&job->finder, &job->input, err);
}

static void batch_forget_next(struct job *job)
{
	if (job->found)
		lake_input_release(&job->input);
	job->found = false;
}

static enum err_code clean_in_turn(struct job *job, struct clean_result *ret_result,
				   struct err *err)
{
	int64_t start_ms = clock_mono_ms();
	enum err_code code;

	if (!job->turn)
		return batch_clean(job, ret_result, err);
	batch_turn_take(job->turn, job->place);
	job->waited_ms += clock_mono_ms() - start_ms;
	code = batch_clean(job, ret_result, err);
	batch_turn_give(job->turn);
	return code;
}

/* One commit's worth of new objects. *ret_more: there may be some more. */
static enum err_code batch_step(struct job *job, bool *ret_more, struct err *err)
{
	struct clean_result result = { 0 };
	struct lake_input *input = &job->input;
	enum err_code code = batch_find_next(job, err);
	bool stopped;

	*ret_more = false;
	if (code == ERR_OK && input->object_count > 0)
		code = clean_in_turn(job, &result, err);
	stopped = note_stops(job, input);
	if (code == ERR_LIMIT && input->object_count > 1) {
		job->finder.bytes_max = input->bytes / 2;	/* fewer letters at once */
		*ret_more = true;
		code = ERR_OK;
		goto out;
	}
	/* A commit of nothing would only be made again, and again. */
	if (code != ERR_OK || !moves_on(input)) {
		*ret_more = code == ERR_OK && stopped && !job->finder.all;
		goto out;
	}
	/* A rebuild has to reach what another one may be adding. */
	*ret_more = !job->finder.all || job->options->reach;
	code = batch_keep(job, input, &result, err);
	if (code == ERR_OK && job->options->reach)
		note_reach(job->options->reach, input);
	if (code == ERR_OK)
		batch_count(job, input, &result);
	else if (code == ERR_LOCKED || code == ERR_EXISTS || code == ERR_EXPIRED) {
		*ret_more = true;
		code = batch_lost(job, err);
	}
out:
	clean_result_release(&result);
	(void)unlink(job->temp_path);
	batch_forget_next(job);
	return code;
}

static enum err_code job_open(struct job *job, const struct batch_options *options,
			      const struct clean_model *model, struct batch_known *known,
			      struct err *err)
{
	struct delta_options delta = { .checkpoints = !options->reach,
				       .columns = DELTA_COLUMNS_EVOLVE,
				       .keep_files_ms = options->keep.files_ms,
				       .keep_log_ms = options->keep.log_ms,
				       .checkpoint_interval = options->keep.checkpoint_commits,
				       .name = model->model.name,
				       .description = model->model.title };
	enum err_code code;

	*job = (struct job){ .options = options };
	job->report.name = model->model.name;
	if (lake_table_init(&job->table, model, TOPIC_LOG, options->id, err) != ERR_OK)
		return err->code;
	if (snprintf(job->temp_path, sizeof(job->temp_path), "%s/tmp/batch-%s.parquet",
		     options->dir, model->model.name) >= (int)sizeof(job->temp_path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	(void)unlink(job->temp_path);	/* of a run that was killed */
	delta.create = &job->table.model->schema;
	code = delta_open(options->store, job->table.root, &delta, &job->delta, err);
	job->finder = (struct batch_finder){
		.store = options->store,
		.table = &job->table,
		.delta = job->delta,
		.known = known,
		.bytes_max = batch_bytes_max(options),
	};
	if (code == ERR_OK && !options->reach)
		code = staging_settle(options->store, &job->table, job->delta, err);
	return code;
}

static void batch_job_close(struct job *job)
{
	if (job->closed)
		return;
	batch_forget_next(job);
	delta_close(job->delta);
	free(job->finder.stopped);
	job->closed = true;
}

/* Of a job that is open: `code` says whether it is, and *err why not. Closes it. */
static enum err_code batch_job_run(struct job *job, const struct clean_model *model,
				   enum err_code code, struct batch_table *ret_report,
				   struct err *err)
{
	int64_t start_ms = clock_mono_ms();
	bool more = true;

	while (code == ERR_OK && more) {
		if (stop_requested())
			code = err_set(err, ERR_STOPPED, "asked to stop");
		else
			code = batch_step(job, &more, err);
	}
	if (code == ERR_OK)
		job->report.total_rows = delta_rows(job->delta);
	if (code == ERR_OK && job->stop.code != ERR_OK) {
		*err = job->stop;
		code = err->code;
	}
	batch_job_close(job);
	job->report.duration_ms += clock_mono_ms() - start_ms - job->waited_ms;
	if (code != ERR_OK) {
		unknown_fields_release(&job->report.unknown);
		return err_prefix(err, "table \"%s\"", model->model.name);
	}
	*ret_report = job->report;
	return ERR_OK;
}

enum err_code batch_clean_table(const struct batch_options *options,
				const struct clean_model *model, struct batch_table *ret_report,
				struct err *err)
{
	struct job job;
	enum err_code code = job_open(&job, options, model, NULL, err);

	return batch_job_run(&job, model, code, ret_report, err);
}

/* --- the run ---------------------------------------------------------------- */

/* Nothing was left for another run to do. */
static bool is_complete(const struct batch_report *report)
{
	for (size_t i = 0; i < report->table_count; i++)
		if (report->tables[i].err.code != ERR_OK || report->tables[i].waits)
			return false;
	return report->results.failed == 0;
}

/* An answer over a table that lacks what it should have had would be wrong in silence: an analysis
 * of such a table keeps the answer that it has. */
static enum err_code batch_analyse(const struct batch_options *options, const char *run,
				   struct batch_report *report, struct err *err)
{
	char temp_dir[PATH_MAX], kept_dir[PATH_MAX];
	const char **refused = xcalloc(report->table_count, sizeof(*refused));
	struct results_options results = { .store = options->store,
					   .engine = options->engine,
					   .models = options->models,
					   .id = options->id,
					   .temp_dir = temp_dir,
					   .lake_url = options->lake_url,
					   .keeps = true,
					   .note = options->answered ? answered_note : NULL,
					   .note_user = options->answered,
					   .refused = refused };
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < report->table_count; i++)
		if (report->tables[i].err.code != ERR_OK)
			refused[i] = "this run could not clean it";
	if (snprintf(temp_dir, sizeof(temp_dir), "%s/tmp", options->dir) >= (int)sizeof(temp_dir))
		code = err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	if (results_kept_dir(options->dir, true, kept_dir))
		results.kept_dir = kept_dir;
	if (code == ERR_OK)
		code = results_attach(&results, TOPIC_LOG, NULL, NULL, err);
	if (code == ERR_OK && options->answered)
		code = answered_forget(options->answered, err);
	if (code == ERR_OK)
		code = results_write(&results, run, &report->results, err);
	if (code == ERR_OK && options->answered && is_complete(report))
		code = answered_write(options->answered, &report->results, err);
	free(refused);
	return code;
}

/* The tables of a run; of those that come next it is known what there is to do before it is their
 * turn, where the lake is long in telling; and one is cleaned while that before it is still put. */
struct batch_jobs {
	const struct batch_options *options;
	struct batch_turn *turn;
	struct job *list;
	size_t *order;	/* in which they run */
	size_t ordered; /* of the first so many it is known how they were opened */
	struct ahead *opening;
	struct batch_table *tables;
};

static enum err_code jobs_open(void *user, size_t item, struct err *err)
{
	struct batch_jobs *jobs = user;
	struct job *job = &jobs->list[item];
	int64_t start_ms = clock_mono_ms();
	struct answered *answered = jobs->options->answered;
	enum err_code code = job_open(job, jobs->options, &jobs->options->models->clean[item],
				      answered ? answered_known(answered, item) : NULL, err);

	job->turn = jobs->turn;
	if (code == ERR_OK)
		code = batch_find_next(job, err);
	job->report.duration_ms = clock_mono_ms() - start_ms;
	return code;
}

static uint64_t found_bytes(const struct job *job) { return job->found ? job->input.bytes : 0; }

/* Where tables are opened side by side the largest of them goes first: the others are cleaned while
 * that is put, which takes longest. */
static void jobs_order(struct batch_jobs *jobs, size_t ordered)
{
	for (size_t i = 0; i < jobs->options->models->clean_count; i++) {
		struct job *job = &jobs->list[i];
		size_t at = i;

		if (i < ordered)
			job->opened.code = ahead_take(jobs->opening, i, &job->opened);
		for (; i < ordered && at > 0 &&
		       found_bytes(&jobs->list[jobs->order[at - 1]]) < found_bytes(job);
		     at--)
			jobs->order[at] = jobs->order[at - 1];
		jobs->order[at] = i;
	}
	jobs->ordered = ordered;
}

static enum err_code jobs_run(void *user, size_t place, struct err *err)
{
	struct batch_jobs *jobs = user;
	size_t item = jobs->order[place];
	struct job *job = &jobs->list[item];
	enum err_code code;

	if (place < jobs->ordered) {
		code = job->opened.code;
		*err = job->opened;
	} else {
		code = ahead_take(jobs->opening, item, err);
	}
	job->place = place;
	code = batch_job_run(job, &jobs->options->models->clean[item], code, &jobs->tables[item],
			     err);
	batch_turn_pass(jobs->turn, place);
	return code;
}

/* A table that cannot be opened or cleaned is told in its report; only a stop ends the others. */
static enum err_code jobs_take(struct batch_jobs *jobs, struct ahead *running,
			       struct batch_report *report, struct err *err)
{
	const struct models *models = jobs->options->models;

	report->table_count = models->clean_count;
	for (size_t i = 0; i < models->clean_count; i++) {
		size_t item = jobs->order[i];
		enum err_code code = ahead_take(running, i, err);

		if (code == ERR_STOPPED)
			return code;
		if (code == ERR_OK)
			continue;
		report->tables[item] =
			(struct batch_table){ .name = models->clean[item].model.name, .err = *err };
		report->tables_failed++;
	}
	return ERR_OK;
}

static enum err_code clean_all_tables(const struct batch_options *options,
				      struct batch_report *report, struct err *err)
{
	size_t count = options->models->clean_count, at_once = store_at_once(options->store);
	size_t opened_at_once = at_once < TABLES_AT_ONCE ? at_once : TABLES_AT_ONCE;
	struct batch_jobs jobs = { .options = options,
				   .turn = batch_turn_new(count),
				   .list = xcalloc(count, sizeof(*jobs.list)),
				   .order = xcalloc(count, sizeof(*jobs.order)),
				   .tables = report->tables };
	struct ahead_options ahead = {
		.count = count, .at_once = opened_at_once, .work = jobs_open, .user = &jobs
	};
	struct ahead *running;
	enum err_code code;

	jobs.opening = ahead_new(&ahead);
	jobs_order(&jobs, at_once == 1 ? 0 : opened_at_once < count ? opened_at_once : count);
	ahead.at_once = at_once < RUNS_AT_ONCE ? at_once : RUNS_AT_ONCE;
	ahead.work = jobs_run;
	running = ahead_new(&ahead);
	code = jobs_take(&jobs, running, report, err);
	ahead_free(running);
	ahead_free(jobs.opening);
	for (size_t i = 0; i < count; i++)
		batch_job_close(&jobs.list[i]);
	batch_turn_free(jobs.turn);
	free(jobs.order);
	free(jobs.list);
	return code;
}

/* Their tables stay as they are, and their records in the lake. */
static void batch_put_broken(const struct models *models, struct batch_report *report)
{
	for (size_t i = 0; i < models->broken_count; i++) {
		const struct broken_model *broken = &models->broken[i];
		struct batch_table *told = &report->tables[report->table_count];

		if (broken->kind != MODEL_CLEAN)
			continue;
		told->name = broken->name;
		err_set(&told->err, ERR_USAGE, "%s", broken->fault);
		report->table_count++;
		report->tables_failed++;
	}
}

static enum err_code batch_run_all(const struct batch_options *options, struct batch_report *report,
				   struct err *err)
{
	int64_t start_ms = clock_mono_ms();
	char name[RUN_NAME_MAX];
	enum err_code code;

	batch_name(options, name);
	report->by = options->ledger ? options->ledger->by : NULL;
	report->tables = xcalloc(options->models->clean_count +
					 models_broken(options->models, MODEL_CLEAN),
				 sizeof(*report->tables));
	registry_say(REGISTRY_DOING, "cleans what is new");
	code = clean_all_tables(options, report, err);
	registry_say(REGISTRY_DOING, "asks the analyses");
	report->clean_ms = clock_mono_ms() - start_ms;
	if (code == ERR_OK)
		code = batch_analyse(options, name, report, err);
	batch_put_broken(options->models, report);
	(void)snprintf(report->results.run, RUN_NAME_MAX, "%s", name);
	report->duration_ms = clock_mono_ms() - start_ms;
	return batch_record(options, report, false, code, err);
}

enum err_code batch_run(const struct batch_options *options, struct batch_report *ret_report,
			struct err *err)
{
	struct batch_report report = { 0 };
	enum err_code code = batch_run_all(options, &report, err);

	if (code == ERR_OK)
		*ret_report = report;
	else
		batch_report_release(&report);
	return code;
}
