#include "flow/rebuild.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"
#include "flow/batch.h"
#include "flow/batch_find.h"
#include "flow/rebuild_stream.h"
#include "flow/dlq.h"
#include "flow/reach.h"
#include "flow/rebuild_rows.h"
#include "flow/staging.h"

#include <stdio.h>
#include <unistd.h>

struct rebuild {
	const struct rebuild_options *options;
	struct lake_table place;
	struct staging staging;
	struct reach reach;
	struct delta_table *old;
	struct delta_table *staged; /* NULL: nothing could be read again */
	struct rebuild_rows kept;
	struct rebuild_report report;
};

static enum err_code rebuild_fail_at(int sys, struct err *err)
{
	return sys ? err_set(err, ERR_IO, "injected fault") : ERR_OK;
}

/* --- the new rows ----------------------------------------------------------- */

static enum err_code rebuild_batch(struct rebuild *rebuild, struct err *err)
{
	struct batch_options batch = {
		.store = &rebuild->staging.base,
		.engine = rebuild->options->engine,
		.models = rebuild->options->models,
		.id = rebuild->options->id,
		.dir = rebuild->options->dir,
		.reach = &rebuild->reach,
	};
	struct batch_table report = { 0 };
	enum err_code code = batch_clean_table(&batch, rebuild->place.model, &report, err);

	if (code == ERR_OK)
		unknown_fields_release(&report.unknown);
	return code;
}

static enum err_code rebuild_clean(struct rebuild *rebuild, struct err *err)
{
	const struct rebuild_options *options = rebuild->options;
	const struct delta_options read = { .checkpoints = true };	/* keeps the statistics */
	struct rebuild_log log = {
		.table = { .store = &rebuild->staging.base,
			   .engine = options->engine,
			   .dir = options->dir,
			   .place = rebuild->place,
			   .bytes_max = options->bytes_max,
			   .staged = true },
		.broker = options->broker,
		.old = rebuild->old,
		.rows_max = options->rows_max,
		.reach = &rebuild->reach,
	};
	enum err_code code = rebuild->place.kind == TOPIC_LOG ? rebuild_batch(rebuild, err)
							      : rebuild_out_of_log(&log, err);

	if (code == ERR_OK)
		code = delta_open(&rebuild->staging.base, rebuild->place.root, &read,
				  &rebuild->staged, err);
	return code;
}

/* --- letters of records that are not there any more ------------------------- */

struct kept_letters {
	const struct rebuild *rebuild;
	struct dlq_source source;
	struct dlq_batch *batch; /* of the source's partition, … */
	struct position last;	 /* … up to here */
	enum err_code code;
	struct err *err;
};

static bool letter_is_ours(const struct dlq_source *source, const struct dlq_entry *entry)
{
	return slice_is(entry->stage, source->stage) &&
	       (!entry->table.ptr || slice_is(entry->table, source->table));
}

static enum err_code write_kept_letters(struct kept_letters *kept)
{
	enum err_code code = ERR_OK;

	if (kept->batch) {
		dlq_batch_range(kept->batch, NULL, kept->last);
		code = dlq_batch_write(kept->batch, kept->err);
	}
	dlq_batch_free(kept->batch);
	kept->batch = NULL;
	return code;
}

static enum err_code keep_letter(struct kept_letters *kept, const struct dlq_entry *entry,
				 int32_t partition)
{
	struct dlq_source *source = &kept->source;
	char reason[ERR_MSG_MAX];
	struct dlq_letter letter = { .position = entry->position,
				     .last = entry->last_position,
				     .timestamp_ms = entry->timestamp_ms,
				     .value = entry->value,
				     .reason = reason };

	(void)snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(entry->reason));
	if ((source->partition != partition || source->generation != entry->generation) &&
	    write_kept_letters(kept) != ERR_OK)
		return kept->err->code;
	source->partition = partition;
	source->generation = entry->generation;
	if (!kept->batch)
		kept->batch = dlq_batch_new((struct store *)(uintptr_t)&kept->rebuild->staging.base,
					    &kept->source);
	if (dlq_batch_count(kept->batch) == 0 || position_cmp(letter.last, kept->last) > 0)
		kept->last = letter.last;
	return dlq_batch_add(kept->batch, &letter, kept->err);
}

static bool look_at_old_letter(void *user, const struct dlq_entry *entry)
{
	struct kept_letters *kept = user;
	int32_t partition;

	if (!letter_is_ours(&kept->source, entry) || !entry->placed ||
	    !partition_parse(kept->source.topic.kind, entry->partition, &partition) ||
	    reach_has(&kept->rebuild->reach, partition, entry->generation, entry->position))
		return true;
	kept->code = keep_letter(kept, entry, partition);
	return kept->code == ERR_OK;
}

static enum err_code keep_letters(struct rebuild *rebuild, struct err *err)
{
	struct kept_letters kept = { .rebuild = rebuild,
				     .source = dlq_source_of(&rebuild->place, 0),
				     .code = ERR_OK,
				     .err = err };
	enum err_code code = dlq_list(rebuild->options->store, rebuild->place.topic,
				      look_at_old_letter, &kept, err);

	if (code == ERR_OK)
		code = kept.code;
	if (code == ERR_OK)
		code = write_kept_letters(&kept);
	dlq_batch_free(kept.batch);
	return code;
}

struct letter_count {
	struct dlq_source source;
	uint64_t count;
};

static bool count_our_letter(void *user, const struct dlq_entry *entry)
{
	struct letter_count *count = user;

	count->count += letter_is_ours(&count->source, entry);
	return true;
}

/* --- the commit --------------------------------------------------------------- */

/* Progress that goes into the commit: of each partition that was read again, and which object it
 * stands in; and the mark of this rebuild. */
struct rebuild_moves {
	struct batch_ids *ids;
	struct delta_step *steps;
	size_t count;
	struct delta_txn *txns;
	size_t txn_count;
};

static void rebuild_moves_release(struct rebuild_moves *moves)
{
	free(moves->ids);
	free(moves->steps);
	free(moves->txns);
}

static void put_txn(struct rebuild_moves *moves, const char *app_id, int64_t version)
{
	moves->txns[moves->txn_count++] = (struct delta_txn){ app_id, version, -1 };
}

/* How far the batch is now, where that is further than it was. */
static enum err_code put_move(const struct rebuild *rebuild, struct rebuild_moves *moves,
			      const struct lake_partition *where, struct err *err)
{
	struct batch_ids *ids = &moves->ids[moves->count];
	struct delta_progress was, now;

	batch_ids_init(ids, where);
	for (size_t i = 0; i < moves->count; i++)
		if (strcmp(moves->ids[i].progress, ids->progress) == 0)
			return ERR_OK;
	if (delta_progress(rebuild->old, ids->progress, &was, err) != ERR_OK ||
	    delta_progress(rebuild->staged, ids->progress, &now, err) != ERR_OK)
		return err->code;
	if (!now.any || (was.any && position_cmp(now.position, was.position) <= 0))
		return ERR_OK;
	moves->steps[moves->count++] = (struct delta_step){ ids->progress, now, was };
	put_txn(moves, ids->start, delta_txn_version(rebuild->staged, ids->start));
	put_txn(moves, ids->bytes, delta_txn_version(rebuild->staged, ids->bytes));
	return ERR_OK;
}

static enum err_code put_progress(const struct rebuild *rebuild, struct rebuild_moves *ret_moves,
				  struct err *err)
{
	const struct reach *reach = &rebuild->reach;
	struct rebuild_moves moves = {
		.ids = xcalloc(reach->count + 1, sizeof(*moves.ids)),
		.steps = xcalloc(reach->count + 1, sizeof(*moves.steps)),
		.txns = xcalloc(2 * reach->count + 1, sizeof(*moves.txns)),
	};
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < reach->count && rebuild->place.kind == TOPIC_LOG; i++) {
		struct lake_partition where = { rebuild->place.topic, reach->spans[i].partition,
						reach->spans[i].generation };

		if (code == ERR_OK)
			code = put_move(rebuild, &moves, &where, err);
	}
	put_txn(&moves, STAGING_APP_ID, delta_version(rebuild->old) + 1);
	*ret_moves = moves;
	return code;
}

static enum err_code rebuild_commit(struct rebuild *rebuild, struct err *err)
{
	struct delta_table *old = rebuild->old, *staged = rebuild->staged;
	size_t removes = delta_file_count(old), adds = delta_file_count(staged);
	const char **remove = xcalloc(removes + 1, sizeof(*remove));
	struct delta_add *add = xcalloc(adds + 1, sizeof(*add));
	struct rebuild_moves moves = { 0 };
	struct delta_commit commit = { .operation = "WRITE", .adds = add, .removes = remove,
				       .remove_count = removes };
	int64_t version;
	enum err_code code = put_progress(rebuild, &moves, err);

	for (size_t i = 0; i < removes; i++)
		remove[i] = delta_file(old, i)->path;
	for (size_t i = 0; i < adds; i++)
		add[i] = *delta_file(staged, i);
	if (rebuild->kept.add.rows > 0)
		add[adds++] = rebuild->kept.add;
	commit.add_count = adds;
	commit.steps = moves.steps;
	commit.step_count = moves.count;
	commit.txns = moves.txns;
	commit.txn_count = moves.txn_count;
	if (code == ERR_OK)
		code = delta_replace(old, &commit, delta_version(old), &version, err);
	rebuild_moves_release(&moves);
	free(add);
	free(remove);
	return code;
}

/* --- the whole ---------------------------------------------------------------- */

static enum err_code keep_rows(struct rebuild *rebuild, struct err *err)
{
	struct rebuild_rows_options rows = {
		.store = rebuild->options->store,
		.duck = rebuild->options->duck,
		.dir = rebuild->options->dir,
		.place = &rebuild->place,
		.old = rebuild->old,
		.reach = &rebuild->reach,
		.drop = rebuild->options->drop_unreachable,
	};

	return rebuild_rows_keep(&rows, &rebuild->kept, err);
}

static enum err_code rebuild_prepare(struct rebuild *rebuild, struct err *err)
{
	enum err_code code = rebuild_clean(rebuild, err);

	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-cleaned"), err);
	if (code == ERR_OK)
		code = keep_rows(rebuild, err);
	if (code == ERR_OK)
		code = keep_letters(rebuild, err);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-kept"), err);
	if (code == ERR_OK)
		code = staging_seal(&rebuild->staging, delta_version(rebuild->old) + 1, err);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-sealed"), err);
	return code;
}

static enum err_code rebuild_run(struct rebuild *rebuild, struct err *err)
{
	struct letter_count letters = { .source = dlq_source_of(&rebuild->place, 0) };
	struct store *store = rebuild->options->store;
	struct err failure = { 0 };
	enum err_code code = rebuild_prepare(rebuild, &failure);

	if (code == ERR_OK)
		code = rebuild_commit(rebuild, &failure);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-committed"), &failure);
	/* After a failure, too, whatever it was: the table tells whether the commit came through.
	 * A put whose answer was lost may yet: that is left to the next writer. */
	if (code != ERR_UNKNOWN &&
	    staging_settle(store, &rebuild->place, rebuild->old, err) != ERR_OK && code == ERR_OK)
		return err->code;
	if (code != ERR_OK) {
		*err = failure;
		return code;
	}
	code = dlq_list(store, rebuild->place.topic, count_our_letter, &letters, err);
	rebuild->report.rows_after = delta_rows(rebuild->old);
	rebuild->report.kept = rebuild->kept.add.rows;
	rebuild->report.dropped = rebuild->kept.dropped;
	rebuild->report.dead = letters.count;
	return code;
}

/* The table as it is, whatever its columns are, with nothing half done in it. */
static enum err_code rebuild_open(struct rebuild *rebuild, struct err *err)
{
	struct store *store = rebuild->options->store;
	const struct delta_options look = { 0 };
	const struct delta_options replace = { .create = &rebuild->place.model->schema,
					       .columns = DELTA_COLUMNS_REPLACE,
					       .checkpoints = true };
	enum err_code code = delta_open(store, rebuild->place.root, &look, &rebuild->old, err);

	delta_close(rebuild->old);
	rebuild->old = NULL;
	if (code == ERR_OK)
		code = delta_open(store, rebuild->place.root, &replace, &rebuild->old, err);
	if (code == ERR_OK)
		code = staging_settle(store, &rebuild->place, rebuild->old, err);
	if (code != ERR_OK)
		return code;
	rebuild->report.there = true;
	rebuild->report.rows_before = delta_rows(rebuild->old);
	return ERR_OK;
}

enum err_code rebuild_table(const struct rebuild_options *options, const struct clean_model *model,
			    enum topic_kind kind, struct rebuild_report *ret_report,
			    struct err *err)
{
	struct rebuild rebuild = { .options = options };
	int64_t start_ms = clock_mono_ms();
	enum err_code code = lake_table_init(&rebuild.place, model, kind, options->id, err);

	if (code != ERR_OK)
		return code;
	staging_init(&rebuild.staging, options->store, rebuild.place.root);
	code = rebuild_open(&rebuild, err);
	if (code == ERR_OK)
		code = rebuild_run(&rebuild, err);
	else if (code == ERR_ABSENT)
		code = ERR_OK;
	rebuild.report.duration_ms = clock_mono_ms() - start_ms;
	if (code == ERR_OK)
		*ret_report = rebuild.report;
	else
		(void)err_prefix(err, "table \"%s\"", rebuild.place.root);
	delta_close(rebuild.staged);
	delta_close(rebuild.old);
	rebuild_rows_release(&rebuild.kept);
	reach_release(&rebuild.reach);
	return code;
}
