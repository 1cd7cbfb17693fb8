#include "flow/batch.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/sequence.h"
#include "flow/lake_input.h"
#include "flow/poison.h"
#include "flow/staging.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { RUN_BYTES_MAX = 4 << 20, OBJECTS_MAX = 1000000 };

/* One table's work. */
struct job {
	const struct batch_options *options;
	struct lake_table table;
	char temp_path[PATH_MAX];
	uint64_t bytes_max;
	struct delta_table *delta;
	struct batch_table report;
	uint64_t empties;		/* objects without a byte, each time one is met */
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

/* --- what is new -------------------------------------------------------- */

static int64_t batch_done_of(const struct job *job, int32_t partition)
{
	char app_id[LAKE_APP_ID_MAX];

	lake_app_id(app_id, TOPIC_LOG, job->table.topic, partition, NULL);
	return delta_txn_version(job->delta, app_id);
}

/* The first key of a listing, and the partition it names (or -1: it is no object of ours). */
struct first_key {
	char key[STORE_KEY_MAX + 1];
	int32_t partition;
};

static bool take_first(void *user, const struct store_entry *entry)
{
	struct first_key *first = user;
	struct lake_object_name name;

	(void)snprintf(first->key, sizeof(first->key), "%s", entry->key);
	first->partition = lake_object_parse(entry->key, &name) ? name.partition : -1;
	return false;
}

/* Each partition of the topic that has objects: one short listing each, whatever they hold. */
static enum err_code find_partitions(const struct job *job, struct lake_input *input,
				     struct err *err)
{
	char prefix[TOPIC_NAME_MAX + 16];
	char after[STORE_KEY_MAX + 1] = "";
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", job->table.topic);
	for (;;) {
		struct first_key first = { .partition = -1 };

		code = store_list(job->options->store, prefix, after, take_first, &first, err);
		if (code != ERR_OK || !first.key[0])
			return code;
		(void)snprintf(after, sizeof(after), "%s", first.key);
		if (first.partition < 0)
			continue;
		(void)lake_input_part(input, first.partition, batch_done_of(job, first.partition));
		/* '0' comes right after '/', so this is behind all of the
		 * partition and before the next. */
		(void)snprintf(after, sizeof(after), "%spartition=%" PRId32 "0", prefix,
			       first.partition);
	}
}

/* New objects of one partition, as they are listed. */
struct new_objects {
	struct job *job;
	struct lake_input *input;	/* NULL: only `newest` and `bytes` are wanted */
	struct lake_part *part;
	uint64_t bytes_max;		/* of the whole input */
	uint64_t bytes;
	size_t count;
	int64_t newest;			/* the highest start offset; none beyond it is taken */
};

/* An object without a byte holds no record: taken along it would be found new for ever. */
static void pass_over(struct new_objects *new, const struct lake_entry *entry)
{
	struct job *job = new->job;

	if (job->empties++ == 0)
		trace_warn("topic \"%s\" partition %s: the object at offset %" PRIu64
			   " is empty and is passed over, as all such are",
			   job->table.topic, new->part->text, entry->start);
}

static bool take_object(void *user, const struct lake_entry *entry)
{
	struct new_objects *new = user;

	if (entry->size == 0) {
		if (!new->input)
			pass_over(new, entry);
		return true;
	}
	if (new->input && (int64_t)entry->start > new->newest)
		return false;
	if (new->input)
		lake_input_add(new->input, new->part, entry->start, entry->size);
	else
		new->newest = (int64_t)entry->start;
	new->bytes += entry->size;
	return new->bytes < new->bytes_max && ++new->count < OBJECTS_MAX;
}

static enum err_code list_objects(const struct job *job, struct new_objects *new, struct err *err)
{
	struct lake_partition where = { .topic = job->table.topic, .id = new->part->partition };

	return lake_list_objects(job->options->store, where, new->part->done, take_object, new,
				 err);
}

/*
 * Lists twice. An object that the sink puts while a listing runs may be missing from it although
 * the next one, put later still, is there; what looks like a hole then is none. So the first
 * listing only says which object is the newest: those before it were put before the second began.
 */
static enum err_code find_objects(struct job *job, struct lake_input *input,
				  struct lake_part *part, struct err *err)
{
	struct new_objects new = { .job = job, .part = part, .bytes_max = job->bytes_max,
				   .bytes = input->bytes, .count = input->object_count,
				   .newest = -1 };
	enum err_code code = list_objects(job, &new, err);

	if (code != ERR_OK || new.newest < 0)
		return code;
	new.input = input;
	new.bytes = input->bytes;
	new.count = input->object_count;
	return list_objects(job, &new, err);
}

static enum err_code find_new(struct job *job, struct lake_input *input, struct err *err)
{
	enum err_code code = find_partitions(job, input, err);

	for (size_t i = 0; i < input->part_count && code == ERR_OK; i++)
		if (input->bytes < job->bytes_max)
			code = find_objects(job, input, input->parts[i], err);
	return code;
}

/* --- clean, and what the model's SQL fails at ------------------------------ */

static enum err_code batch_clean(struct job *job, struct lake_input *input,
				 struct clean_result *ret_result, struct err *err)
{
	return engine_clean(job->options->engine, job->table.model, &input->input, job->temp_path,
			    ret_result, err);
}

/* A job and its input, for the search. */
struct batch_search {
	struct job *job;
	struct lake_input *input;
};

static enum err_code batch_attempt(void *user, size_t from, size_t to, struct err *err)
{
	const struct batch_search *search = user;
	struct clean_result result = { 0 };
	enum err_code code;

	if (stop_requested())
		return err_set(err, ERR_STOPPED, "asked to stop");
	lake_input_narrow(search->input, from, to);
	code = batch_clean(search->job, search->input, &result, err);
	if (code == ERR_OK)
		clean_result_release(&result);
	return code;
}

static enum err_code batch_bury(void *user, size_t at, const char *reason, struct err *err)
{
	const struct batch_search *search = user;

	(void)err;
	lake_input_poison(search->input, at, reason);
	return ERR_OK;
}

static enum err_code clean_all(struct job *job, struct lake_input *input,
			       struct clean_result *ret_result, struct err *err)
{
	struct batch_search search = { job, input };
	struct poison poison = { .attempt = batch_attempt, .bury = batch_bury, .user = &search };
	struct err why;
	uint64_t count;
	enum err_code code;

	lake_input_all(input);
	code = batch_clean(job, input, ret_result, err);
	if (code != ERR_SHAPE)
		return code;
	if (lake_input_count(input, &count, &why) != ERR_OK) {
		*err = why;
		return why.code;
	}
	code = poison_find(&poison, count, err);
	lake_input_forget(input);
	lake_input_all(input);
	if (code == ERR_OK)
		code = batch_clean(job, input, ret_result, err);
	return code == ERR_SHAPE && poison.found > 0 ? poison_not_found(err) : code;
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

/*
 * The progress goes into the commit that holds the rows: a crash leaves both
 * or neither. A commit without rows is made, too, where all records were
 * letters, or they would be read for ever.
 */
static enum err_code batch_commit(struct job *job, const struct lake_input *input,
				  struct clean_result *result, struct buf *name, struct err *err)
{
	struct delta_txn *txns = xcalloc(input->part_count, sizeof(*txns));
	char (*app_ids)[LAKE_APP_ID_MAX] = xcalloc(input->part_count, sizeof(*app_ids));
	char path[NAME_MAX + 1];
	struct delta_add add = { .path = path,
				 .size = result->bytes,
				 .modified_ms = clock_wall_ms(),
				 .rows = result->rows };
	struct delta_commit action = { .operation = "WRITE", .adds = &add, .add_count = result->rows > 0,
				       .txns = txns };
	int64_t version;
	enum err_code code;

	(void)snprintf(path, sizeof(path), "%s", buf_cstr(name));
	add.stats = result->rows ? xstrndup(result->stats.ptr, result->stats.len) : NULL;
	for (size_t i = 0; i < input->part_count; i++) {
		const struct lake_part *part = input->parts[i];

		if (part->end == part->done)
			continue;
		lake_app_id(app_ids[action.txn_count], TOPIC_LOG, job->table.topic, part->partition,
			    NULL);
		txns[action.txn_count] = (struct delta_txn){ app_ids[action.txn_count], part->end,
							     part->done };
		action.txn_count++;
	}
	code = delta_commit(job->delta, &action, &version, err);
	free(add.stats);
	free(app_ids);
	free(txns);
	return code;
}

static bool moves_on(const struct lake_input *input)
{
	for (size_t i = 0; i < input->part_count; i++)
		if (input->parts[i]->end != input->parts[i]->done)
			return true;
	return false;
}

/* Everything between the clean file and the commit, in the order that a crash forgives. */
static enum err_code batch_keep(struct job *job, struct lake_input *input,
				struct clean_result *result, struct err *err)
{
	struct buf name;
	enum err_code code;

	FAIL_AT("batch-cleaned", err);
	code = lake_input_end(input, err);
	if (code != ERR_OK)
		return code;
	if (!moves_on(input)) /* a commit of nothing would only be made again, and again */
		return err_set(err, ERR_CORRUPT, "the new objects of topic \"%s\" hold no record",
			       job->table.topic);
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
			   : batch_commit(job, input, result, &name, err);
	}
	buf_release(&name);
	if (code != ERR_OK)
		return code;
	FAIL_AT("batch-committed", err);
	return lake_input_settle(input, err);
}

static void note_reach(struct reach *reach, const struct lake_input *input)
{
	for (size_t i = 0; i < input->object_count; i++) {
		const struct lake_object *object = &input->objects[i];

		if (object->count > 0)
			reach_note(reach, object->part->partition,
				   position_of_offset(object->start),
				   position_of_offset(object->start + object->count - 1));
	}
}

/* One commit's worth of new objects. *ret_more: there were some. */
static enum err_code batch_step(struct job *job, bool *ret_more, struct err *err)
{
	struct clean_result result = { 0 };
	struct lake_input input;
	enum err_code code;

	lake_input_init(&input, job->options->store, &job->table);
	input.gaps = job->options->reach != NULL;
	code = find_new(job, &input, err);
	*ret_more = input.object_count > 0;
	if (code != ERR_OK || !*ret_more)
		goto out;
	code = clean_all(job, &input, &result, err);
	if (code != ERR_OK)
		goto out;
	code = batch_keep(job, &input, &result, err);
	if (code != ERR_OK)
		goto out;
	if (job->options->reach)
		note_reach(job->options->reach, &input);
	job->report.objects += input.object_count;
	job->report.bytes += input.bytes;
	job->report.rows += result.rows;
	job->report.dead += result.dead + input.poison_count;
	job->report.unreadable += result.unreadable;
	job->report.commits++;
	unknown_fields_merge(&job->report.unknown, &result.unknown);
out:
	clean_result_release(&result);
	(void)unlink(job->temp_path);
	lake_input_release(&input);
	return code;
}

static enum err_code job_open(struct job *job, const struct batch_options *options,
			      const struct clean_model *model, struct err *err)
{
	struct delta_options delta = { .checkpoints = !options->reach,
				       .columns = DELTA_COLUMNS_EVOLVE,
				       .name = model->model.name };
	enum err_code code;

	*job = (struct job){ .options = options };
	job->report.name = model->model.name;
	job->bytes_max = options->bytes_max ? options->bytes_max : BATCH_BYTES_MAX;
	if (lake_table_init(&job->table, model, TOPIC_LOG, options->id, err) != ERR_OK)
		return err->code;
	if (snprintf(job->temp_path, sizeof(job->temp_path), "%s/tmp/batch-%s.parquet",
		     options->dir, model->model.name) >= (int)sizeof(job->temp_path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	(void)unlink(job->temp_path);	/* of a run that was killed */
	delta.create = &job->table.model->schema;
	code = delta_open(options->store, job->table.root, &delta, &job->delta, err);
	if (code == ERR_OK && !options->reach)
		code = staging_settle(options->store, &job->table, job->delta, err);
	return code;
}

enum err_code batch_clean_table(const struct batch_options *options,
				const struct clean_model *model, struct batch_table *ret_report,
				struct err *err)
{
	int64_t start_ms = clock_mono_ms();
	bool more = true;
	struct job job;
	enum err_code code = job_open(&job, options, model, err);

	while (code == ERR_OK && more) {
		if (stop_requested())
			code = err_set(err, ERR_STOPPED, "asked to stop");
		else
			code = batch_step(&job, &more, err);
	}
	if (code == ERR_OK)
		job.report.total_rows = delta_rows(job.delta);
	delta_close(job.delta);
	job.report.duration_ms = clock_mono_ms() - start_ms;
	if (code != ERR_OK) {
		unknown_fields_release(&job.report.unknown);
		return err_prefix(err, "table \"%s\"", model->model.name);
	}
	*ret_report = job.report;
	return ERR_OK;
}

/* --- the run ---------------------------------------------------------------- */

static void batch_put_table(struct buf *out, const struct batch_table *table)
{
	buf_addf(out,
		 "\"%s\":{\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"rows\":%" PRIu64
		 ",\"dead\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",\"commits\":%" PRIu64
		 ",\"total_rows\":%" PRIu64 ",\"ms\":%" PRId64,
		 table->name, table->objects, table->bytes, table->rows, table->dead,
		 table->unreadable, table->commits, table->total_rows, table->duration_ms);
	if (table->unknown.count > 0) {
		buf_add_str(out, ",\"unknown\":");
		unknown_fields_put(out, &table->unknown);
	}
	if (table->err.code != ERR_OK) {
		buf_add_str(out, ",\"error\":");
		json_put_string(out, slice_str(table->err.msg));
	}
	buf_add_char(out, '}');
}

static void put_result(struct buf *out, const struct result_report *result)
{
	json_put_string(out, slice_str(result->name));
	buf_addf(out, ":{\"rows\":%" PRIu64 ",\"ms\":%" PRId64, result->rows, result->duration_ms);
	if (result->err.code != ERR_OK) {
		buf_add_str(out, ",\"error\":");
		json_put_string(out, slice_str(result->err.msg));
	}
	buf_add_char(out, '}');
}

void batch_report_put(struct buf *out, const struct batch_report *report)
{
	buf_addf(out, "{\"run\":\"%s\",\"ms\":%" PRId64 ",\"clean_ms\":%" PRId64
		 ",\"analyses_ms\":%" PRId64 ",\"tables\":{", report->results.run,
		 report->duration_ms, report->clean_ms, report->results.duration_ms);
	for (size_t i = 0; i < report->table_count; i++) {
		buf_add_str(out, i ? "," : "");
		batch_put_table(out, &report->tables[i]);
	}
	buf_add_str(out, "},\"analyses\":{");
	for (size_t i = 0; i < report->results.count; i++) {
		buf_add_str(out, i ? "," : "");
		put_result(out, &report->results.list[i]);
	}
	buf_add_str(out, "}}\n");
}

void batch_report_release(struct batch_report *report)
{
	for (size_t i = 0; i < report->table_count; i++)
		unknown_fields_release(&report->tables[i].unknown);
	free(report->tables);
	free(report->results.list);
	*report = (struct batch_report){ 0 };
}

/* An answer over a table that lacks what it should have had would be wrong in silence: an analysis
 * of such a table keeps the answer that it has. */
static enum err_code batch_analyse(const struct batch_options *options, const char *run,
				   struct batch_report *report, struct err *err)
{
	char temp_dir[PATH_MAX];
	const char **refused = xcalloc(report->table_count, sizeof(*refused));
	struct results_options results = { .store = options->store, .engine = options->engine,
					   .models = options->models, .id = options->id,
					   .temp_dir = temp_dir, .refused = refused };
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < report->table_count; i++)
		if (report->tables[i].err.code != ERR_OK)
			refused[i] = "this run could not clean it";
	if (snprintf(temp_dir, sizeof(temp_dir), "%s/tmp", options->dir) >= (int)sizeof(temp_dir))
		code = err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	if (code == ERR_OK)
		code = results_attach(&results, TOPIC_LOG, err);
	if (code == ERR_OK)
		code = results_write(&results, run, &report->results, err);
	free(refused);
	return code;
}

/* A table that cannot be opened or cleaned is told in its report; only a stop ends the others. */
static enum err_code clean_all_tables(const struct batch_options *options,
				      struct batch_report *report, struct err *err)
{
	for (size_t i = 0; i < options->models->clean_count; i++) {
		const struct clean_model *model = &options->models->clean[i];
		struct batch_table *table = &report->tables[i];
		enum err_code code = batch_clean_table(options, model, table, err);

		report->table_count++;
		if (code == ERR_STOPPED)
			return code;
		if (code == ERR_OK)
			continue;
		*table = (struct batch_table){ .name = model->model.name, .err = *err };
		report->tables_failed++;
	}
	return ERR_OK;
}

static enum err_code batch_run_all(const struct batch_options *options, struct batch_report *report,
				   struct err *err)
{
	int64_t start_ms = clock_mono_ms();
	char name[RUN_NAME_MAX];
	struct buf text;
	enum err_code code = ERR_OK;

	results_run_name(clock_wall_ms(), name);
	report->tables = xcalloc(options->models->clean_count, sizeof(*report->tables));
	code = clean_all_tables(options, report, err);
	report->clean_ms = clock_mono_ms() - start_ms;
	if (code == ERR_OK)
		code = batch_analyse(options, name, report, err);
	report->duration_ms = clock_mono_ms() - start_ms;
	if (code != ERR_OK)
		return code;
	buf_init(&text, RUN_BYTES_MAX);
	batch_report_put(&text, report);
	code = results_write_run(options->store, name, buf_slice(&text), err);
	buf_release(&text);
	return code;
}

enum err_code batch_run(const struct batch_options *options, struct batch_report *ret_report,
			struct err *err)
{
	struct batch_report report = { 0 };
	enum err_code code;
	int lock = -1;

	code = lock_take(options->dir, "batch.lock", "batch", &lock, err);
	if (code != ERR_OK)
		return code;
	code = batch_run_all(options, &report, err);
	lock_release(lock);
	if (code == ERR_OK)
		*ret_report = report;
	else
		batch_report_release(&report);
	return code;
}
