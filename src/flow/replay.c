#include "flow/replay.h"

#include "base/arena.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "delta/delta.h"
#include "flow/census.h"
#include "flow/dlq.h"
#include "flow/poison.h"
#include "flow/replayed.h"
#include "flow/staging.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_LETTERS = 200000, CHUNK_BYTES = 128 << 20, FILE_NAME_MAX = 128 };

struct replay_letter {
	struct slice value;
	struct slice partition;
	struct slice offset;
	bool dead; /* again */
};

/* One table's letters: as many as make a commit. */
struct replay {
	struct raw_list list; /* first: `dead` finds the replay by it */
	const struct replay_options *options;
	struct replay_report *report;
	struct lake_table table;
	struct topic_info info; /* of a stream; no partitions: it is gone */
	struct delta_table *delta;
	char temp_path[PATH_MAX];
	struct arena arena;
	struct replay_letter *letters;
	struct raw_record *records; /* of those that are tried */
	size_t count;
	size_t room;
	size_t bytes;
	bool trial; /* what the engine finds dead does not count */
	enum err_code code;
	struct err *err;
};

static enum err_code fail_at(int sys, const char *what, struct err *err)
{
	if (sys == 0)
		return ERR_OK;
	errno = sys;
	return err_errno(err, "%s", what);
}

/* --- cleaning ------------------------------------------------------------- */

static enum err_code replay_dead(struct raw_input *input, const struct raw_record *record,
				 const char *reason, struct err *err)
{
	struct replay *replay = (struct replay *)input;
	size_t at = (size_t)((const struct replay_letter *)record->origin - replay->letters);

	(void)reason;
	(void)err;
	if (!replay->trial)
		replay->letters[at].dead = true;
	return ERR_OK;
}

static enum err_code clean_letters(struct replay *replay, size_t from, size_t to,
				   struct clean_result *ret_result, struct err *err)
{
	size_t count = 0;

	for (size_t i = from; i < to; i++) {
		const struct replay_letter *letter = &replay->letters[i];

		if (!letter->dead)
			replay->records[count++] = (struct raw_record){
				.value = letter->value,
				.partition = letter->partition,
				.offset = letter->offset,
				.origin = letter,
			};
	}
	/* Not as one of those that share the topic: the letter is this table's by its own words. */
	raw_list_init(&replay->list, replay->records, count, false, replay_dead);
	return engine_clean(replay->options->engine, replay->table.model, &replay->list.input,
			    replay->temp_path, ret_result, err);
}

static enum err_code replay_attempt(void *user, size_t from, size_t to, struct err *err)
{
	struct replay *replay = user;
	struct clean_result result = { 0 };
	enum err_code code;

	if (stop_requested())
		return err_set(err, ERR_STOPPED, "asked to stop");
	replay->trial = true;
	code = clean_letters(replay, from, to, &result, err);
	replay->trial = false;
	clean_result_release(&result);
	(void)unlink(replay->temp_path);
	return code;
}

static enum err_code replay_bury(void *user, size_t at, const char *reason, struct err *err)
{
	struct replay *replay = user;

	(void)reason;
	(void)err;
	replay->letters[at].dead = true;
	return ERR_OK;
}

static enum err_code replay_clean(struct replay *replay, struct clean_result *ret_result,
				  struct err *err)
{
	struct poison poison = { .attempt = replay_attempt, .bury = replay_bury, .user = replay };
	enum err_code code = clean_letters(replay, 0, replay->count, ret_result, err);

	if (code != ERR_SHAPE)
		return code;
	for (size_t i = 0; i < replay->count; i++)
		replay->letters[i].dead = false; /* by a run that did not end */
	code = poison_find(&poison, replay->count, err);
	if (code == ERR_OK)
		code = clean_letters(replay, 0, replay->count, ret_result, err);
	return code == ERR_SHAPE && poison.found > 0 ? poison_not_found(err) : code;
}

/* --- the commit ------------------------------------------------------------ */

static enum err_code replay_put_rows(struct replay *replay, const char *file, struct err *err)
{
	enum err_code code = fail_at(FAILPOINT("replay-put"), "replay-put", err);
	struct buf key;

	if (code != ERR_OK)
		return code;
	buf_init(&key, STORE_KEY_MAX + 1);
	buf_addf(&key, "%s/%s", replay->table.root, file);
	code = store_put_file(replay->options->store, buf_cstr(&key), replay->temp_path, err);
	buf_release(&key);
	return code;
}

static enum err_code put_marker(struct replay *replay, const char *file, struct err *err)
{
	enum err_code code = fail_at(FAILPOINT("replay-marker"), "replay-marker", err);
	struct buf key, body;
	bool first = true;

	if (code != ERR_OK)
		return code;
	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&body, REPLAYED_BYTES_MAX);
	replayed_key(&key, replay->table.topic, file);
	buf_addf(&body,
		 "{\"table\":\"%s\",\"root\":\"%s\",\"file\":\"%s\",\"rebuild\":%" PRId64
		 ",\"letters\":[",
		 replay->table.model->model.name, replay->table.root, file,
		 delta_txn_version(replay->delta, STAGING_APP_ID));
	for (size_t i = 0; i < replay->count; i++) {
		const struct replay_letter *letter = &replay->letters[i];

		if (letter->dead)
			continue;
		buf_addf(&body, "%s[\"%.*s\",\"%.*s\"]", first ? "" : ",",
			 SLICE_ARG(letter->partition), SLICE_ARG(letter->offset));
		first = false;
	}
	buf_add_str(&body, "]}\n");
	code = buf_full(&body) ? err_set(err, ERR_LIMIT, "too many letters at once")
			       : store_put_once(replay->options->store, buf_cstr(&key),
						buf_slice(&body), err);
	buf_release(&body);
	buf_release(&key);
	return code;
}

/* `before`: the version of REPLAY_APP_ID when it was looked which letters are left. */
static enum err_code commit_rows(struct replay *replay, char *file, int64_t made_ms, int64_t before,
				 const struct clean_result *result, struct err *err)
{
	enum err_code code = fail_at(FAILPOINT("replay-commit"), "replay-commit", err);
	char app_id[REPLAYED_APP_ID_MAX];
	struct delta_add add = { .path = file,
				 .size = result->bytes,
				 .modified_ms = clock_wall_ms(),
				 .rows = result->rows,
				 .stats = xstrndup(result->stats.ptr, result->stats.len),
				 .made_ms = made_ms };
	struct delta_txn txns[] = { { REPLAY_APP_ID, before + 1, before }, { app_id, 0, -1 } };
	struct delta_commit commit = {
		.operation = "WRITE", .adds = &add, .add_count = 1, .txns = txns, .txn_count = 2
	};
	int64_t version;

	replayed_app_id(app_id, file);
	if (code == ERR_OK)
		code = delta_commit(replay->delta, &commit, &version, err);
	if (code == ERR_EXISTS)
		code = err_set(err, ERR_LOCKED,
			       "another replay, or a rebuild, was faster; run it again");
	free(add.stats);
	return code == ERR_OK ? fail_at(FAILPOINT("replay-committed"), "replay-committed", err)
			      : code;
}

static void chunk_clear(struct replay *replay)
{
	arena_reset(&replay->arena);
	replay->count = 0;
	replay->bytes = 0;
}

/* The letters that were taken become rows, as far as they can. */
static enum err_code replay_flush(struct replay *replay, struct err *err)
{
	int64_t before = delta_txn_version(replay->delta, REPLAY_APP_ID);
	struct clean_result result = { 0 };
	char file[FILE_NAME_MAX];
	struct buf name;
	enum err_code code;

	if (replay->count == 0)
		return ERR_OK;
	buf_init(&name, sizeof(file) - 1);
	delta_new_file_name(&name);
	(void)snprintf(file, sizeof(file), "%s", buf_cstr(&name));
	buf_release(&name);
	replay->records = xreallocarray(replay->records, replay->count, sizeof(*replay->records));
	code = replay_clean(replay, &result, err);
	if (code == ERR_OK && result.rows > 0) {
		int64_t made_ms = clock_boot_ms();

		code = replay_put_rows(replay, file, err);
		if (code == ERR_OK)
			code = put_marker(replay, file, err);
		if (code == ERR_OK)
			code = commit_rows(replay, file, made_ms, before, &result, err);
	}
	if (code == ERR_OK) {
		replay->report->letters += replay->count;
		replay->report->rows += result.rows;
		replay->report->dead += replay->count - result.rows;
	}
	clean_result_release(&result);
	(void)unlink(replay->temp_path);
	chunk_clear(replay);
	return code;
}

/* --- which letters ---------------------------------------------------------- */

/* Whether the table is done with a record: else its stage brings it once more. */
static bool is_settled(const struct replay *replay, const struct dlq_entry *entry)
{
	const struct lake_table *table = &replay->table;
	struct lake_partition where = { .topic = table->topic, .generation = entry->generation };
	const struct partition_info *its = NULL;
	struct position position = entry->position;
	char app_id[LAKE_APP_ID_MAX];
	struct delta_progress done;
	struct err ignored;

	if (!partition_parse(table->kind, entry->partition, &where.id) || !entry->placed)
		return false;
	if (table->kind == TOPIC_STREAM) {
		its = topic_info_partition(&replay->info, where.id);
		if (!its || position_cmp(position, its->first) < 0)
			return true; /* of a stream that is gone, or of the one before it */
	}
	lake_app_id(app_id, table->kind, where, replay->info.uid);
	if (delta_progress(replay->delta, app_id, &done, &ignored) != ERR_OK || !done.any)
		return false;
	if (its)
		done.position = position_made_whole(done.position, its->first);
	return position_cmp(done.position, position) >= 0;
}

static bool is_wanted(const struct replay *replay, const struct dlq_entry *entry)
{
	const char *reason = replay->options->reason;
	int64_t ms = entry->timestamp_ms ? entry->timestamp_ms : entry->written_ms;

	return ms >= replay->options->since_ms &&
	       (!reason || dlq_reason_has(entry->reason, reason));
}

static void replay_take_letter(struct replay *replay, const struct dlq_entry *entry)
{
	struct replay_letter letter = {
		.partition = arena_copy(&replay->arena, entry->partition),
		.offset = arena_copy(&replay->arena, entry->offset),
	};

	if (entry->value.ptr)
		letter.value = arena_copy(&replay->arena, entry->value);
	if (replay->count == replay->room) {
		replay->room = replay->room * 2 + 64;
		replay->letters =
			xreallocarray(replay->letters, replay->room, sizeof(*replay->letters));
	}
	replay->letters[replay->count++] = letter;
	replay->bytes += entry->value.len;
}

static bool replay_look_at(void *user, const struct dlq_entry *entry)
{
	struct replay *replay = user;
	const struct lake_table *table = &replay->table;
	const char *stage = table->kind == TOPIC_STREAM ? "stream" : "batch";

	if (!is_wanted(replay, entry))
		return true;
	if (slice_is(entry->stage, "sink"))
		replay->report->sink += lake_table_leads(table);
	if (!slice_is(entry->stage, stage) || !slice_is(entry->table, table->model->model.name) ||
	    census_is_loss(entry) || !is_settled(replay, entry))
		return true;
	replay_take_letter(replay, entry);
	if (replay->count < CHUNK_LETTERS && replay->bytes < CHUNK_BYTES)
		return true;
	replay->code = replay_flush(replay, replay->err);
	return replay->code == ERR_OK && !stop_requested();
}

/* --- the run ----------------------------------------------------------------- */

static const struct delta_table *replay_own_table(void *user, const char *root)
{
	const struct replay *replay = user;

	return strcmp(root, replay->table.root) == 0 ? replay->delta : NULL;
}

static enum err_code replay_open(struct replay *replay, struct err *err)
{
	struct delta_options delta = { .create = &replay->table.model->schema,
				       .columns = DELTA_COLUMNS_EVOLVE,
				       .checkpoints = true };
	struct delta_options look = { 0 };
	struct store *store = replay->options->store;
	enum err_code code = delta_open(store, replay->table.root, &look, &replay->delta, err);

	if (code != ERR_OK)
		return code;
	delta_close(replay->delta); /* it is there: to write it must have the model's columns */
	replay->delta = NULL;
	code = delta_open(store, replay->table.root, &delta, &replay->delta, err);
	if (code != ERR_OK || replay->table.kind != TOPIC_STREAM)
		return code;
	code = broker_describe(replay->options->broker, lake_table_topic(&replay->table),
			       &replay->info, err);
	return code == ERR_NO_TOPIC ? ERR_OK : code;
}

static enum err_code replay_letters(struct replay *replay, struct err *err)
{
	/* By the table as it is now: what another replay commits from here on makes this one's
	 * commit fail. */
	struct dlq_query query = { .topic = replay->table.topic,
				   .table = replay_own_table,
				   .table_user = replay };
	enum err_code code = dlq_query(replay->options->store, &query, replay_look_at, replay, err);

	if (code == ERR_OK)
		code = replay->code;
	if (code == ERR_OK && stop_requested())
		return err_set(err, ERR_STOPPED, "stopped before all letters were tried");
	return code == ERR_OK ? replay_flush(replay, err) : code;
}

static enum err_code replay_table(const struct replay_options *options,
				  const struct clean_model *model, enum topic_kind kind,
				  struct replay_report *report, struct err *err)
{
	struct replay replay = { .options = options, .report = report, .err = err };
	enum err_code code = lake_table_init(&replay.table, model, kind, options->id, err);

	if (code != ERR_OK || (options->topic && strcmp(options->topic, replay.table.topic) != 0))
		return code;
	if (snprintf(replay.temp_path, sizeof(replay.temp_path), "%s/tmp/replay-%s.parquet",
		     options->dir, model->model.name) >= (int)sizeof(replay.temp_path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	(void)unlink(replay.temp_path); /* of a run that was killed */
	arena_init(&replay.arena, SIZE_MAX / 2);
	code = replay_open(&replay, err);
	if (code == ERR_OK)
		code = replay_letters(&replay, err);
	else if (code == ERR_ABSENT)
		code = ERR_OK; /* no table, no letters that it is done with */
	arena_release(&replay.arena);
	free(replay.letters);
	free(replay.records);
	topic_info_release(&replay.info);
	delta_close(replay.delta);
	return code == ERR_OK ? ERR_OK : err_prefix(err, "table \"%s\"", replay.table.root);
}

enum err_code replay_run(const struct replay_options *options, struct replay_report *ret_report,
			 struct err *err)
{
	struct replay_report report = { 0 };
	int lock = -1;
	enum err_code code = lock_take(options->dir, "replay.lock", "replay", &lock, err);

	if (code != ERR_OK)
		return code;
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++)
		for (size_t i = 0; i < options->models->clean_count && code == ERR_OK; i++)
			code = replay_table(options, &options->models->clean[i],
					    (enum topic_kind)kind, &report, err);
	lock_release(lock);
	if (code == ERR_OK)
		*ret_report = report;
	return code;
}
