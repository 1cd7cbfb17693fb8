#include "flow/stream_table.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/sequence.h"
#include "flow/poison.h"
#include "flow/retry.h"
#include "flow/staging.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
	NAME_MAX_LEN = 128,
	LOG_WAIT_MS = 5000,		/* for a log that is behind the table, … */
	UNKNOWN_MS = 60000,		/* at least between two words on unknown fields */
	LOG_LOOK_MS = 50,		/* … looked at so often */
};

/* What the tries of one flush have made so far. */
struct flush {
	struct delta_add add;		/* the data file in its place; path NULL: there is none */
	bool cleaned;			/* all of it is in the file, or letters */
	struct poison poison;
	uint64_t rows;
	uint64_t dead;
	uint64_t unreadable;
};

struct topic_ref stream_table_topic(const struct stream_table *table)
{
	return lake_table_topic(&table->place);
}

enum err_code stream_table_open(struct stream_table *table,
				const struct stream_table_options *options, struct err *err)
{
	struct delta_options delta = { .checkpoints = !options->staged,
				       .columns = DELTA_COLUMNS_EVOLVE,
				       .name = options->place.model->model.name,
				       .create = &options->place.model->schema };
	enum err_code code;

	*table = (struct stream_table){ .store = options->store,
					.engine = options->engine,
					.place = options->place };
	if (snprintf(table->temp_path, sizeof(table->temp_path), "%s/tmp/stream-%s.parquet",
		     options->dir, table->place.model->model.name) >= (int)sizeof(table->temp_path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	micro_batch_init(&table->batch, table->place.shared, options->bytes_max);
	code = delta_open(table->store, table->place.root, &delta, &table->delta, err);
	if (code == ERR_OK && !options->staged)
		code = staging_settle(table->store, &table->place, table->delta, err);
	return code;
}

void stream_table_close(struct stream_table *table)
{
	for (size_t i = 0; i < table->shard_count; i++) {
		dlq_batch_free(table->shards[i]->batch.letters);
		free(table->shards[i]);
	}
	free(table->shards);
	table->shards = NULL;
	table->shard_count = 0;
	micro_batch_release(&table->batch);
	unknown_fields_release(&table->unknown);
	delta_close(table->delta);
	table->delta = NULL;
}

struct stream_shard *stream_table_shard(struct stream_table *table, int32_t partition)
{
	for (size_t i = 0; i < table->shard_count; i++)
		if (table->shards[i]->partition == partition)
			return table->shards[i];
	return NULL;
}

static struct stream_shard *add_shard(struct stream_table *table, int32_t partition)
{
	struct stream_shard *shard = xcalloc(1, sizeof(*shard));
	struct dlq_source source;

	shard->partition = partition;
	(void)partition_text(TOPIC_STREAM, partition, shard->batch.text);
	source = dlq_source_of(&table->place, partition);
	shard->batch.letters = dlq_batch_new(table->store, &source);
	table->shards = xreallocarray(table->shards, table->shard_count + 1,
				      sizeof(*table->shards));
	table->shards[table->shard_count++] = shard;
	return shard;
}

/* Where the shard goes on, by what the table has of it. */
static struct reader_start start_of(struct stream_shard *shard, const struct partition_info *info)
{
	struct reader_start start = { .kind = START_FIRST };

	shard->next = info->first;
	if (shard->done >= 0) {
		start.kind = START_AFTER;
		start.position = position_with_ordinal(info->first, (uint64_t)shard->done);
		shard->next = position_with_ordinal(info->first, (uint64_t)shard->done + 1);
	}
	shard->committed = shard->next;
	return start;
}

static enum err_code stream_table_describe(struct stream_table *table, struct broker *broker,
					   int32_t partition, struct topic_info *ret_info,
					   struct err *err)
{
	enum err_code code = broker_describe(broker, stream_table_topic(table), ret_info, err);

	if (code != ERR_OK || partition < ret_info->partition_count)
		return code;
	topic_info_release(ret_info);
	return err_set(err, ERR_NO_PARTITION, "stream \"%s\" has no shard %d", table->place.topic,
		       partition);
}

/*
 * A log that ends before what the table has of it waits for its writer, who will find the rest
 * after a power cut; or it is an older copy, and what it takes next would be passed over as done.
 */
static enum err_code await_log(struct stream_table *table, struct broker *broker,
			       int32_t partition, int64_t done, struct err *err)
{
	for (int waited_ms = 0;; waited_ms += LOG_LOOK_MS) {
		struct topic_info info;
		enum err_code code = stream_table_describe(table, broker, partition, &info, err);
		uint64_t next;

		if (code != ERR_OK)
			return code;
		next = position_ordinal(info.partitions[partition].next);
		topic_info_release(&info);
		if (done < 0 || next > (uint64_t)done)
			return ERR_OK;
		if (waited_ms >= LOG_WAIT_MS || stop_requested())
			return err_set(err, ERR_CORRUPT,
				       "shard %d of stream \"%s\" ends at ordinal"
				       " %" PRIu64 ", and the table has it up to %" PRId64
				       ": is this log an older copy?",
				       partition, table->place.topic, next, done);
		clock_sleep_ms(LOG_LOOK_MS);
	}
}

enum err_code stream_table_assign(struct stream_table *table, struct broker *broker,
				  int32_t partition, struct reader_start *ret_start,
				  struct err *err)
{
	struct dlq_source source = dlq_source_of(&table->place, partition);
	struct stream_shard *shard;
	struct topic_info info;
	int64_t kept;
	enum err_code code = stream_table_describe(table, broker, partition, &info, err);

	if (code != ERR_OK)
		return code;
	shard = stream_table_shard(table, partition);
	if (!shard)
		shard = add_shard(table, partition);
	/* Each time: a stream that was deleted and made anew has another uid. */
	lake_app_id(shard->app_id, TOPIC_STREAM, table->place.topic, partition, info.uid);
	shard->ended = false;
	shard->done = delta_txn_version(table->delta, shard->app_id);
	*ret_start = start_of(shard, &info.partitions[partition]);
	/* Letters below the first record are of the stream that had this name before. */
	kept = (int64_t)position_ordinal(info.partitions[partition].first) - 1;
	topic_info_release(&info);
	code = await_log(table, broker, partition, shard->done, err);
	if (code == ERR_OK)
		code = dlq_forget_after(table->store, &source,
					shard->done > kept ? shard->done : kept, err);
	return code;
}

static void note_read(struct stream_shard *shard, struct position last)
{
	shard->read = last;
	shard->next = position_with_ordinal(last, position_ordinal(last) + 1);
	shard->dirty = true;
}

void stream_table_add(struct stream_table *table, struct stream_shard *shard,
		      const struct record *records, size_t count)
{
	/* What another table of this stream made the reader go back for. */
	while (count > 0 && position_cmp(records->position, shard->next) < 0) {
		records++;
		count--;
	}
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		micro_batch_add(&table->batch, &shard->batch, &records[i]);
	note_read(shard, records[count - 1].position);
}

/*
 * Each lost ordinal gets a letter of its own, so that rows and letters
 * together stay the log, and check can count.
 */
enum err_code stream_table_damage(struct stream_table *table, struct stream_shard *shard,
				  struct position first, struct position last, struct err *err)
{
	uint64_t end = position_ordinal(last);

	if (position_cmp(last, shard->next) < 0)
		return ERR_OK;
	if (position_cmp(first, shard->next) < 0)
		first = shard->next;
	if (!lake_table_leads(&table->place)) {
		note_read(shard, last);
		return ERR_OK;
	}
	trace_error("shard %s of stream \"%s\": ordinals %" PRIu64 " to %" PRIu64
		    " are damaged in the log; dead letters stand for them",
		    shard->batch.text, table->place.topic, position_ordinal(first), end);
	for (uint64_t at = position_ordinal(first); at <= end; at++) {
		struct dlq_letter letter = {
			.position = position_with_ordinal(first, at),
			.timestamp_ms = clock_wall_ms(),
			.reason = "damaged in the log",
		};
		struct retry retry = RETRY_INIT;
		enum err_code code = dlq_batch_put(shard->batch.letters, &letter, err);

		while (code != ERR_OK && retry_again(&retry, table->place.root, err))
			code = dlq_batch_put(shard->batch.letters, &letter, err);
		if (code != ERR_OK)
			return code;
	}
	note_read(shard, last);
	if (table->batch.count == 0)
		table->batch.first_ms = clock_mono_ms();
	return ERR_OK;
}

/* Move the file that the engine wrote to its place in the table. */
static enum err_code keep_file(struct stream_table *table, struct flush *flush,
			       const struct clean_result *result, struct err *err)
{
	char key[STORE_KEY_MAX];
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
			.stats = result->stats.len
				? xstrndup(result->stats.ptr, result->stats.len) : NULL,
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
		   " had them: %s", table->place.root, buf_cstr(&names));
	buf_release(&names);
}

/* After the file is kept the batch counts as cleaned, though letters of it may still have to be
 * taken: cleaned once more, it would stand in a second file. */
static enum err_code keep_cleaned(struct stream_table *table, struct flush *flush,
				  const struct clean_result *result, struct err *err)
{
	enum err_code code = result->rows ? keep_file(table, flush, result, err) : ERR_OK;

	if (code != ERR_OK) {
		micro_batch_select(&table->batch, 0, 0);	/* letters are found again */
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

static enum err_code clean_range(struct stream_table *table, size_t from, size_t to,
				 struct clean_result *ret_result, struct err *err)
{
	micro_batch_select(&table->batch, from, to);
	return engine_clean(table->engine, table->place.model, &table->batch.input,
			    table->temp_path, ret_result, err);
}

/* Clean [from, to) only to see whether that works. No letter is found by it. */
static enum err_code stream_table_attempt(void *user, size_t from, size_t to, struct err *err)
{
	struct stream_table *table = user;
	struct clean_result result = { 0 };
	enum err_code code = clean_range(table, from, to, &result, err);

	micro_batch_select(&table->batch, 0, 0);
	clean_result_release(&result);
	(void)unlink(table->temp_path);
	return code;
}

static enum err_code stream_table_bury(void *user, size_t at, const char *reason, struct err *err)
{
	struct stream_table *table = user;

	trace_error("a record of stream \"%s\" makes the engine fail: %s", table->place.topic,
		    reason);
	return micro_batch_bury(&table->batch, at, reason, err);
}

static enum err_code stream_table_clean(struct stream_table *table, struct flush *flush,
					struct err *err)
{
	struct clean_result result = { 0 };
	size_t count = table->batch.count;
	enum err_code code;

	if (flush->cleaned || count == 0)
		return ERR_OK;
	code = clean_range(table, 0, count, &result, err);
	if (code == ERR_SHAPE) {
		code = poison_find(&flush->poison, count, err);
		if (code == ERR_OK)
			code = clean_range(table, 0, count, &result, err);
		if (code == ERR_SHAPE && flush->poison.found > 0)
			code = poison_not_found(err);
	}
	if (code == ERR_OK)
		code = keep_cleaned(table, flush, &result, err);
	else
		micro_batch_select(&table->batch, 0, 0);	/* not all letters were found */
	clean_result_release(&result);
	return code;
}

static enum err_code write_letters(struct stream_table *table, struct err *err)
{
	for (size_t i = 0; i < table->shard_count; i++) {
		struct dlq_batch *letters = table->shards[i]->batch.letters;
		enum err_code code;

		if (dlq_batch_count(letters) == 0)
			continue;
		code = dlq_batch_write(letters, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/*
 * `after` is what this process believes that the table holds: another writer
 * in between makes the commit fail instead of doubling rows.
 */
static enum err_code stream_table_commit(struct stream_table *table, const struct flush *flush,
					 struct err *err)
{
	struct delta_txn txns[PARTITIONS_MAX];
	struct delta_commit commit = {
		.operation = "STREAMING UPDATE",
		.adds = &flush->add,
		.add_count = flush->add.path != NULL,
		.txns = txns,
	};
	int64_t version;

	for (size_t i = 0; i < table->shard_count; i++)
		if (table->shards[i]->dirty)
			txns[commit.txn_count++] = (struct delta_txn){
				.app_id = table->shards[i]->app_id,
				.version = (int64_t)position_ordinal(table->shards[i]->read),
				.after = table->shards[i]->done,
			};
	if (commit.txn_count == 0)
		return ERR_OK;
	return delta_commit(table->delta, &commit, &version, err);
}

static enum err_code try_flush(struct stream_table *table, struct flush *flush, struct err *err)
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
	if (code == ERR_EXISTS) {	/* an earlier try whose answer was lost */
		trace_warn("table \"%s\" has this batch already; it is dropped", table->place.root);
		flush->rows = 0;
		code = ERR_OK;
	}
	return code;
}

/* The micro-batch is in the table. */
static void move_on(struct stream_table *table)
{
	for (size_t i = 0; i < table->shard_count; i++) {
		struct stream_shard *shard = table->shards[i];

		if (!shard->dirty)
			continue;
		shard->done = (int64_t)position_ordinal(shard->read);
		shard->committed = shard->next;
		shard->dirty = false;
	}
}

/*
 * Tried again as a whole: letters are put once and a commit that was unknown
 * is found, so a repeat adds nothing.
 */
enum err_code stream_table_flush(struct stream_table *table, struct err *err)
{
	struct retry retry = RETRY_INIT;
	struct flush flush = { .poison = { .attempt = stream_table_attempt,
					   .bury = stream_table_bury,
					   .user = table } };
	enum err_code code = try_flush(table, &flush, err);

	while (code != ERR_OK && retry_again(&retry, table->place.root, err))
		code = try_flush(table, &flush, err);
	if (code == ERR_OK) {
		move_on(table);
		table->rows += flush.rows;
		table->dead += flush.dead;
		table->unreadable += flush.unreadable;
		table->commits++;
		micro_batch_clear(&table->batch);
	}
	free(flush.add.path);
	free(flush.add.stats);
	return code;
}
