#include "flow/rebuild.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/batch.h"
#include "flow/batch_find.h"
#include "flow/dlq.h"
#include "flow/reach.h"
#include "flow/rebuild_letters.h"
#include "flow/rebuild_rows.h"
#include "flow/rebuild_stream.h"
#include "flow/replayed.h"
#include "flow/staging.h"

#include <stdio.h>
#include <unistd.h>

enum {
	TRIES = 5, /* beside writers that commit meanwhile */
	DROP_BYTES_MAX = 64 << 20,
};

struct rebuild {
	const struct rebuild_options *options;
	struct lake_table place;
	struct staging staging;
	struct reach reach;
	struct delta_table *old;
	int64_t planned_on;	    /* its version */
	bool overtaken;		    /* another writer went on from that */
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

/* --- how many letters stand --------------------------------------------------- */

struct letter_count {
	struct dlq_source source;
	uint64_t count;
};

static bool count_our_letter(void *user, const struct dlq_entry *entry)
{
	struct letter_count *count = user;

	count->count += rebuild_letter_is_of(&count->source, entry);
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
		.txns = xcalloc(2 * reach->count + 2, sizeof(*moves.txns)),
	};
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < reach->count && rebuild->place.kind == TOPIC_LOG; i++) {
		struct lake_partition where = { rebuild->place.topic, reach->spans[i].partition,
						reach->spans[i].generation };

		if (code == ERR_OK)
			code = put_move(rebuild, &moves, &where, err);
	}
	put_txn(&moves, STAGING_APP_ID, rebuild->staging.id);
	put_txn(&moves, REPLAY_APP_ID, delta_txn_version(rebuild->old, REPLAY_APP_ID) + 1);
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
		code = delta_replace(old, &commit, rebuild->planned_on, &version, err);
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

/* Those that stay are staged; *drop: the others, for the seal. */
static enum err_code do_letters(struct rebuild *rebuild, struct buf *drop, struct err *err)
{
	struct rebuild_letters letters = {
		.staging = &rebuild->staging,
		.broker = rebuild->options->broker,
		.place = &rebuild->place,
		.old = rebuild->old,
		.staged = rebuild->staged,
		.reach = &rebuild->reach,
	};
	enum err_code code = rebuild_letters_keep(&letters, err);

	return code == ERR_OK ? rebuild_letters_drop(&letters, drop, err) : code;
}

static enum err_code rebuild_prepare(struct rebuild *rebuild, struct err *err)
{
	enum err_code code = staging_begin(&rebuild->staging, rebuild->options->store,
					   rebuild->place.root, rebuild->old, err);
	struct buf drop;

	buf_init(&drop, DROP_BYTES_MAX);
	if (code == ERR_OK)
		code = rebuild_clean(rebuild, err);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-cleaned"), err);
	if (code == ERR_OK)
		code = keep_rows(rebuild, err);
	if (code == ERR_OK)
		code = do_letters(rebuild, &drop, err);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-kept"), err);
	if (code == ERR_OK)
		code = staging_seal(&rebuild->staging, buf_slice(&drop), err);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-sealed"), err);
	buf_release(&drop);
	return code;
}

/*
 * After a failure, too, whatever it was: the table tells whether the commit came through. A put
 * whose answer was lost may yet: that is left to the next writer. What failed while the table moved
 * on, failed for that: others take away what can not be committed any more.
 */
static enum err_code rebuild_settle(struct rebuild *rebuild, enum err_code code,
				    struct err *failure)
{
	struct store *store = rebuild->options->store;
	struct err err;

	if (code == ERR_UNKNOWN)
		return code;
	if (code != ERR_OK && delta_refresh(rebuild->old, &err) != ERR_OK)
		return code;
	if (staging_settle(store, &rebuild->place, rebuild->old, &err) != ERR_OK) {
		if (code == ERR_OK)
			*failure = err;
		return failure->code;
	}
	if (code == ERR_OK ||
	    delta_txn_version(rebuild->old, STAGING_APP_ID) == rebuild->staging.id)
		return code;
	if (staging_abandon(&rebuild->staging, &err) != ERR_OK)
		trace_warn("what was cleaned anew is left beside the table: %s", err.msg);
	rebuild->overtaken = code != ERR_STOPPED &&
			     delta_version(rebuild->old) != rebuild->planned_on;
	if (rebuild->overtaken)
		code = err_set(failure, ERR_BUSY, "other writers were faster %d times", TRIES);
	return code;
}

static enum err_code rebuild_run(struct rebuild *rebuild, struct err *err)
{
	struct letter_count letters = { .source = dlq_source_of(&rebuild->place, 0) };
	enum err_code code = rebuild_prepare(rebuild, err);

	if (code == ERR_OK)
		code = rebuild_commit(rebuild, err);
	if (code == ERR_OK)
		code = rebuild_fail_at(FAILPOINT("rebuild-committed"), err);
	code = rebuild_settle(rebuild, code, err);
	if (code == ERR_OK)
		code = dlq_list(rebuild->options->store, rebuild->place.topic, count_our_letter,
				&letters, err);
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
	rebuild->planned_on = delta_version(rebuild->old);
	rebuild->report.there = true;
	rebuild->report.rows_before = delta_rows(rebuild->old);
	return ERR_OK;
}

static void rebuild_release(struct rebuild *rebuild)
{
	delta_close(rebuild->staged);
	delta_close(rebuild->old);
	rebuild->staged = rebuild->old = NULL;
	rebuild_rows_release(&rebuild->kept);
	reach_release(&rebuild->reach);
	staging_release(&rebuild->staging);
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
	for (int i = 0; i == 0 || (i < TRIES && rebuild.overtaken); i++) {
		rebuild.overtaken = false;
		code = rebuild_open(&rebuild, err);
		if (code == ERR_OK)
			code = rebuild_run(&rebuild, err);
		else if (code == ERR_ABSENT)
			code = ERR_OK;
		rebuild_release(&rebuild);
	}
	rebuild.report.duration_ms = clock_mono_ms() - start_ms;
	if (code == ERR_OK)
		*ret_report = rebuild.report;
	else
		(void)err_prefix(err, "table \"%s\"", rebuild.place.root);
	return code;
}
