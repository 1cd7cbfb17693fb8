/*
 * stream_flush.c - the commit of a micro-batch: clean it into a file, write its
 * dead letters, commit both with how far the shards are.
 *
 * A try may end anywhere, and the next one goes on with what it has made
 * (struct stream_flush). After one whose answer was lost the commit itself is
 * found. So however often it is tried, everything is there once.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/stream_table.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	NAME_MAX_LEN = 128,
	UNKNOWN_MS = 60000, /* at least between two words on unknown fields */
};

static void forget_file(struct stream_flush *flush)
{
	free(flush->add.path);
	free(flush->add.stats);
	flush->add = (struct delta_add){ 0 };
}

/* Move the file that the engine wrote to its place in the table. */
static enum err_code keep_file(struct stream_table *table, struct stream_flush *flush,
			       const struct clean_result *result, struct err *err)
{
	char key[STORE_KEY_MAX];
	int64_t made_ms = clock_boot_ms();
	struct buf name;
	enum err_code code;

	buf_init(&name, NAME_MAX_LEN);
	delta_new_file_name(&name);
	(void)snprintf(key, sizeof(key), "%s/%s", table->place.root, buf_cstr(&name));
	code = store_put_file(table->store, key, table->temp_path, err);
	if (code == ERR_OK)
		flush->add = (struct delta_add){
			.path = xstrdup(buf_cstr(&name)),
			.size = result->bytes,
			.modified_ms = clock_wall_ms(),
			.rows = result->rows,
			.stats = result->stats.len ? xstrndup(result->stats.ptr, result->stats.len)
						   : NULL,
			.made_ms = made_ms,
		};
	buf_release(&name);
	return code;
}

/* Fields that no column is made of: a mistyped one shows nowhere else. */
static void stream_table_tell_unknown(struct stream_table *table)
{
	int64_t now_ms = clock_mono_ms();
	uint64_t sum = table->unknown.others;
	struct buf names;

	for (size_t i = 0; i < table->unknown.count; i++)
		sum += table->unknown.list[i].records;
	if (sum == table->unknown_told ||
	    (table->unknown_ms && now_ms - table->unknown_ms < UNKNOWN_MS))
		return;
	table->unknown_ms = now_ms;
	table->unknown_told = sum;
	buf_init(&names, UNKNOWN_NAMES_MAX * UNKNOWN_NAME_BYTES * 8);
	unknown_fields_put(&names, &table->unknown);
	trace_warn("table \"%s\": fields that its model does not name, and how many records have"
		   " had them: %s",
		   table->place.root, buf_cstr(&names));
	buf_release(&names);
}

/* After the file is kept the batch counts as cleaned, though letters of it may still have to be
 * taken: cleaned once more, it would stand in a second file. */
static enum err_code keep_cleaned(struct stream_table *table, struct stream_flush *flush,
				  const struct clean_result *result, struct err *err)
{
	enum err_code code = result->rows ? keep_file(table, flush, result, err) : ERR_OK;

	if (code != ERR_OK) {
		micro_batch_select(&table->batch, 0, 0); /* letters are found again */
		return code;
	}
	flush->rows = result->rows;
	flush->dead = result->dead + flush->poison.found;
	flush->unreadable = result->unreadable;
	unknown_fields_merge(&table->unknown, &result->unknown);
	stream_table_tell_unknown(table);
	flush->cleaned = true;
	return micro_batch_take_letters(&table->batch, err);
}

/*
 * The lake was away for so long that a clean-up may have taken the file, or will. The rows are
 * cleaned into another; the letters were taken the first time.
 */
static enum err_code make_file_anew(struct stream_table *table, struct stream_flush *flush,
				    struct err *err)
{
	struct micro_batch_cleaning cleaning = { &table->batch, table->engine, &table->place,
						 table->temp_path };
	struct clean_result result = { 0 };
	enum err_code code = micro_batch_clean(&cleaning, &flush->poison, &result, err);

	micro_batch_select(&table->batch, 0, 0);
	if (code == ERR_OK) {
		forget_file(flush);
		flush->rows = result.rows;
		code = result.rows ? keep_file(table, flush, &result, err) : ERR_OK;
	}
	clean_result_release(&result);
	return code;
}

static enum err_code stream_table_clean(struct stream_table *table, struct stream_flush *flush,
					struct err *err)
{
	struct micro_batch_cleaning cleaning = { &table->batch, table->engine, &table->place,
						 table->temp_path };
	struct clean_result result = { 0 };
	enum err_code code;

	if (flush->cleaned || table->batch.count == 0)
		return ERR_OK;
	code = micro_batch_clean(&cleaning, &flush->poison, &result, err);
	if (code == ERR_OK)
		code = keep_cleaned(table, flush, &result, err);
	clean_result_release(&result);
	return code;
}

/* Where nothing is done, letters before the first record are another stream's of this name. */
static void stream_flush_set_range(struct stream_shard *shard)
{
	struct position from = shard->like;

	if (shard->done.any)
		from = position_made_whole(shard->done.position, shard->like);
	dlq_batch_range(shard->batch.letters, &from, shard->read.position);
}

/* What tells whose letters count is looked for in the commits from here on. */
static void note_version(const struct stream_table *table, struct stream_shard *shard)
{
	struct delta_progress now;
	struct err ignored;

	if (delta_progress(table->delta, shard->app_id, &now, &ignored) == ERR_OK &&
	    now.any == shard->done.any && position_cmp(now.position, shard->done.position) == 0)
		shard->since = delta_version(table->delta);
}

static enum err_code write_letters(struct stream_table *table, struct err *err)
{
	for (size_t i = 0; i < table->shard_count; i++) {
		struct stream_shard *shard = table->shards[i];
		enum err_code code;

		if (shard->dirty)
			stream_flush_set_range(shard);
		if (dlq_batch_count(shard->batch.letters) == 0)
			continue;
		/* What the log has lost since another one took it is not lost. */
		if (shard->lacks && !shard->told && stream_table_is_overtaken(table, shard))
			return stream_table_lost(table, err);
		note_version(table, shard);
		shard->told = true;
		code = dlq_batch_write(shard->batch.letters, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/*
 * `after` is what this process believes that the table holds: another writer
 * in between makes the commit fail instead of doubling rows.
 */
static enum err_code commit_steps(struct stream_table *table, const struct stream_flush *flush,
				  struct err *err)
{
	struct delta_step *steps = xcalloc(table->shard_count, sizeof(*steps));
	struct delta_commit commit = {
		.operation = "STREAMING UPDATE",
		.adds = &flush->add,
		.add_count = flush->add.path != NULL,
		.steps = steps,
	};
	int64_t version;
	enum err_code code;

	for (size_t i = 0; i < table->shard_count; i++) {
		const struct stream_shard *shard = table->shards[i];

		if (shard->dirty)
			steps[commit.step_count++] =
				(struct delta_step){ shard->app_id, shard->read, shard->done };
	}
	code = delta_commit(table->delta, &commit, &version, err);
	free(steps);
	return code;
}

static enum err_code stream_table_commit(struct stream_table *table, struct stream_flush *flush,
					 struct err *err)
{
	enum err_code code = commit_steps(table, flush, err);

	if (code == ERR_EXPIRED) {
		code = make_file_anew(table, flush, err);
		if (code == ERR_OK)
			code = commit_steps(table, flush, err);
	}
	return code;
}

static enum err_code try_flush(struct stream_table *table, struct stream_flush *flush,
			       struct err *err)
{
	/* An earlier try may have left some. */
	enum err_code code = micro_batch_take_letters(&table->batch, err);

	if (code == ERR_OK)
		code = stream_table_clean(table, flush, err);
	if (code == ERR_OK && FAILPOINT("stream-cleaned"))
		code = err_set(err, ERR_IO, "injected fault");
	if (code == ERR_OK)
		code = write_letters(table, err);
	if (code == ERR_OK && FAILPOINT("stream-letters"))
		code = err_set(err, ERR_IO, "injected fault");
	if (code != ERR_OK)
		return code;
	code = stream_table_commit(table, flush, err);
	flush->ours = code == ERR_OK;
	if (code == ERR_EXISTS) { /* an earlier try whose answer was lost, or another's */
		trace_warn("table \"%s\" has this batch already; it is dropped", table->place.root);
		flush->rows = 0;
		code = ERR_OK;
	}
	return code;
}

/*
 * Letters that an earlier run, or another worker, wrote for what this one has committed first. Left
 * where they are, they are passed over as doubles.
 */
static void settle_letters(struct stream_shard *shard, bool ours)
{
	struct err err;

	if (ours && !shard->settled && dlq_settle(shard->batch.letters, &err) != ERR_OK)
		trace_warn("letters of no commit may be left: %s", err.msg);
	shard->settled = ours;
}

void stream_table_withdraw(struct stream_table *table, struct stream_shard *shard)
{
	struct delta_progress next;
	struct err err;
	enum err_code code;

	if (!shard->told)
		return;
	shard->told = false;
	code = delta_next_progress(table->delta, shard->app_id, shard->since, &shard->done, &next,
				   &err);
	if (code == ERR_OK && next.any)
		code = dlq_withdraw(shard->batch.letters,
				    position_made_whole(next.position, shard->like), &err);
	if (code != ERR_OK)
		trace_warn("letters of no commit may be left: %s", err.msg);
}

/* The micro-batch is in the table. Another one may have committed even more. */
static enum err_code move_on(struct stream_table *table, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < table->shard_count && code == ERR_OK; i++) {
		struct stream_shard *shard = table->shards[i];

		if (!shard->dirty)
			continue;
		if (!table->flush.ours)
			stream_table_withdraw(table, shard);
		shard->told = shard->lacks = false;
		settle_letters(shard, table->flush.ours);
		code = delta_progress(table->delta, shard->app_id, &shard->done, err);
		shard->since = delta_version(table->delta);
		if (code == ERR_OK && position_cmp(shard->read.position, shard->done.position) < 0)
			shard->read = shard->done;
		shard->dirty = code != ERR_OK;
	}
	return code;
}

/* All that came before its newest record the table has now; its own time says so only as far as
 * that can be. */
static void stream_table_tell(const struct stream_table *table)
{
	struct series *facts = table->facts;
	const struct micro_batch *batch = &table->batch;
	int64_t now_ms = clock_wall_ms(), since_ms = batch->oldest_ms;
	int64_t until_ms = batch->newest_ms < now_ms ? batch->newest_ms : now_ms;

	if (!facts)
		return;
	metric_add(METRIC_STREAM_ROWS, (int64_t)table->flush.rows);
	series_add(facts, SERIES_RECORDS, (int64_t)table->flush.rows);
	series_add(facts, SERIES_DEAD, (int64_t)table->flush.dead);
	series_add(facts, SERIES_COMMITS, 1);
	series_set(facts, SERIES_LANDED_MS, now_ms);
	if (batch->count == 0)
		return;
	if (since_ms < series_get(facts, SERIES_COMPLETE_MS))
		since_ms = series_get(facts, SERIES_COMPLETE_MS);
	histogram_note(HISTOGRAM_ROW_AGE, (now_ms - since_ms) * 1000);
	series_raise(facts, SERIES_COMPLETE_MS, until_ms);
}

enum err_code stream_table_flush(struct stream_table *table, struct err *err)
{
	struct stream_flush *flush = &table->flush;
	int64_t start_us = clock_mono_us();
	enum err_code code;

	if (!stream_table_waits(table))
		return ERR_OK;
	code = try_flush(table, flush, err);
	if (code == ERR_OK)
		code = move_on(table, err);
	if (code != ERR_OK)
		return code;
	table->rows += flush->rows;
	table->dead += flush->dead;
	table->unreadable += flush->unreadable;
	table->commits++;
	histogram_note(HISTOGRAM_FLUSH, clock_mono_us() - start_us);
	stream_table_tell(table);
	micro_batch_clear(&table->batch);
	forget_file(flush);
	*flush = (struct stream_flush){ 0 };
	return ERR_OK;
}
