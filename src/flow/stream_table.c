#include "flow/stream_table.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/staging.h"

#include <inttypes.h>
#include <stdio.h>

/* One of a small table costs as much as a hundred commits. And a commit is waited for: somebody
 * else who has the time is to write them. */
enum { CHECKPOINT_COMMITS = 50, CHECKPOINT_TIMES = 3 };

struct topic_ref stream_table_topic(const struct stream_table *table)
{
	return lake_table_topic(&table->place);
}

bool stream_table_is_held(const struct stream_table *table) { return table->retry.code != ERR_OK; }

enum err_code stream_table_open(struct stream_table *table,
				const struct stream_table_options *options, struct err *err)
{
	struct delta_options delta = { .checkpoints = !options->staged,
				       .columns = DELTA_COLUMNS_EVOLVE,
				       .name = options->place.model->model.name,
				       .description = options->place.model->model.title,
				       .checkpoint_interval =
					       options->keep.checkpoint_commits
						       ? options->keep.checkpoint_commits
						       : CHECKPOINT_COMMITS,
				       .checkpoint_times = CHECKPOINT_TIMES,
				       .keep_files_ms = options->keep.files_ms,
				       .keep_log_ms = options->keep.log_ms,
				       .create = &options->place.model->schema };
	enum err_code code;

	table->store = options->store;
	table->engine = options->engine;
	table->place = options->place;
	if (snprintf(table->temp_path, sizeof(table->temp_path), "%s/tmp/stream-%s.parquet",
		     options->dir, table->place.model->model.name) >= (int)sizeof(table->temp_path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->dir);
	code = delta_open(table->store, table->place.root, &delta, &table->delta, err);
	if (code == ERR_OK && !options->staged)
		code = staging_settle(table->store, &table->place, table->delta, err);
	if (code == ERR_OK) {
		micro_batch_init(&table->batch, table->place.shared, options->bytes_max);
		return ERR_OK;
	}
	delta_close(table->delta);
	table->delta = NULL;
	return code;
}

void stream_table_look(struct stream_table *table, const struct stream_table_options *options,
		       struct delta_table *delta)
{
	*table = (struct stream_table){ .store = options->store,
					.engine = options->engine,
					.place = options->place,
					.delta = delta };
	micro_batch_init(&table->batch, table->place.shared, options->bytes_max);
}

static void free_shard(struct stream_shard *shard)
{
	dlq_batch_free(shard->batch.letters);
	free(shard);
}

void stream_table_close(struct stream_table *table)
{
	for (size_t i = 0; i < table->shard_count; i++)
		free_shard(table->shards[i]);
	free(table->shards);
	table->shards = NULL;
	table->shard_count = 0;
	micro_batch_release(&table->batch);
	free(table->flush.add.path);
	free(table->flush.add.stats);
	table->flush = (struct stream_flush){ 0 };
	delta_close(table->delta);
	table->delta = NULL;
}

void stream_table_release(struct stream_table *table)
{
	stream_table_close(table);
	unknown_fields_release(&table->unknown);
}

/* ---- Shards ---- */

/* The first shard of this partition or a greater one: there may be thousands. */
static size_t place_of_shard(const struct stream_table *table, int32_t partition)
{
	size_t from = 0, to = table->shard_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (table->shards[middle]->partition < partition)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct stream_shard *stream_table_shard(struct stream_table *table, int32_t partition)
{
	size_t at = place_of_shard(table, partition);

	return at < table->shard_count && table->shards[at]->partition == partition
		       ? table->shards[at]
		       : NULL;
}

static void renew_letters(struct stream_table *table, struct stream_shard *shard)
{
	struct dlq_source source = dlq_source_of(&table->place, shard->partition);

	source.generation = shard->generation;
	dlq_batch_free(shard->batch.letters);
	shard->batch.letters = dlq_batch_new(table->store, &source);
}

static struct stream_shard *add_shard(struct stream_table *table, int32_t partition)
{
	struct stream_shard *shard = xcalloc(1, sizeof(*shard));
	size_t at = place_of_shard(table, partition);

	shard->partition = partition;
	(void)partition_text(TOPIC_STREAM, partition, shard->batch.text);
	table->shards = xreallocarray(table->shards, table->shard_count + 1,
				      sizeof(*table->shards));
	memmove(&table->shards[at + 1], &table->shards[at],
		(table->shard_count++ - at) * sizeof(*table->shards));
	table->shards[at] = shard;
	return shard;
}

void stream_table_forget(struct stream_table *table, int32_t partition)
{
	size_t at = place_of_shard(table, partition);

	if (at == table->shard_count || table->shards[at]->partition != partition)
		return;
	free_shard(table->shards[at]);
	memmove(&table->shards[at], &table->shards[at + 1],
		(--table->shard_count - at) * sizeof(*table->shards));
}

static void name_generation(struct stream_table *table, struct stream_shard *shard, const char *uid,
			    uint32_t generation)
{
	struct lake_partition where = { table->place.topic, shard->partition, generation };

	shard->generation = generation;
	lake_app_id(shard->app_id, TOPIC_STREAM, where, uid);
	shard->batch.prefix[0] = '\0';
	if (generation > 1)
		(void)snprintf(shard->batch.prefix, sizeof(shard->batch.prefix), "g%04" PRIu32 "-",
		       generation);
}

enum err_code stream_newest_generation(const struct delta_table *delta,
				       struct lake_partition *where, const char *uid,
				       struct err *err)
{
	struct lake_partition newer = { where->topic, where->id, 1 };
	struct delta_progress its = { .any = true };
	char app_id[LAKE_APP_ID_MAX];
	enum err_code code = ERR_OK;

	while (code == ERR_OK && its.any && newer.generation <= LAKE_GENERATIONS_MAX) {
		where->generation = newer.generation++;
		lake_app_id(app_id, TOPIC_STREAM, newer, uid);
		code = delta_progress(delta, app_id, &its, err);
	}
	return code;
}

/* Where the table is, by its own word; nothing waits. `like`: any position of the shard. */
static enum err_code look_where(struct stream_table *table, struct stream_shard *shard,
				struct position like, struct err *err)
{
	enum err_code code = delta_progress(table->delta, shard->app_id, &shard->done, err);

	if (code != ERR_OK)
		return code;
	shard->since = table->delta ? delta_version(table->delta) : 0;
	shard->told = shard->lacks = false;
	shard->read = shard->done;
	if (shard->read.any)
		shard->read.position = position_made_whole(shard->done.position, like);
	shard->proved = !shard->done.any || !delta_lineage_noted(shard->done.lineage);
	shard->dirty = false;
	renew_letters(table, shard);
	return ERR_OK;
}

enum err_code stream_table_assign(struct stream_table *table, const struct topic_info *info,
				  int32_t partition, struct err *err)
{
	const struct partition_info *its = topic_info_partition(info, partition);
	struct stream_shard *shard = stream_table_shard(table, partition);
	struct lake_partition where = { .topic = table->place.topic, .id = partition };
	enum err_code code;

	if (!its)
		return err_set(err, ERR_NO_PARTITION, "stream \"%s\" has no shard %d",
			       table->place.topic, partition);
	if (!shard)
		shard = add_shard(table, partition);
	shard->like = its->first;
	/* Each time: a stream that was deleted and made anew has another uid. */
	code = stream_newest_generation(table->delta, &where, info->uid, err);
	name_generation(table, shard, info->uid, where.generation);
	if (code == ERR_OK)
		code = look_where(table, shard, its->first, err);
	shard->settled = false;
	return code;
}

enum err_code stream_table_go_on(struct stream_table *table, const struct topic_info *info,
				 struct stream_shard *shard, struct err *err)
{
	if (shard->generation >= LAKE_GENERATIONS_MAX)
		return err_set(err, ERR_LIMIT, "shard %s of stream \"%s\" has had %d histories",
			       shard->batch.text, table->place.topic, LAKE_GENERATIONS_MAX);
	name_generation(table, shard, info->uid, shard->generation + 1);
	return look_where(table, shard, shard->like, err);
}

struct reader_start stream_shard_start(const struct stream_shard *shard)
{
	if (!shard->read.any)
		return (struct reader_start){ .kind = START_FIRST };
	return (struct reader_start){ .kind = shard->proved ? START_AFTER : START_AT,
				      .position = shard->read.position };
}

/* ---- What the log gives ---- */

enum err_code stream_table_ends_early(const struct stream_table *table,
				      const struct stream_shard *shard, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		       "shard %s of stream \"%s\" ends before what the table has of it: is "
		       "this log an older copy?",
		       shard->batch.text, table->place.topic);
}

static enum err_code another_history(const struct stream_table *table,
				     const struct stream_shard *shard, struct err *err)
{
	char text[POSITION_TEXT_MAX];

	(void)position_text(shard->read.position, text);
	return err_set(err, ERR_CORRUPT,
		       "this log is another history than the one that table \"%s\" was made of: "
		       "shard %s of stream \"%s\" has another record at %s, the last one that the "
		       "table has (was an older copy of the log put back? option new_history)",
		       table->place.root, shard->batch.text, table->place.topic, text);
}

static bool is_behind(const struct stream_shard *shard, struct position position)
{
	return shard->read.any && position_cmp(position, shard->read.position) <= 0;
}

/* What is done now ends there; with `waits`, once it is flushed. */
static void pass(struct stream_table *table, struct stream_shard *shard, struct delta_progress read,
		 bool waits)
{
	if (waits && !stream_table_waits(table))
		table->batch.first_ms = clock_mono_ms();
	shard->read = read;
	shard->proved = true;
	shard->asked = false;
	shard->dirty |= waits;
}

enum err_code stream_table_add(struct stream_table *table, struct stream_shard *shard,
			       const struct reader_event *event, struct err *err)
{
	const struct record *at = event->records, *end = at + event->count;

	for (; at < end && is_behind(shard, at->position); at++) {
		if (shard->proved || position_cmp(at->position, shard->read.position) != 0)
			continue;
		if (!delta_lineage_is(shard->done.lineage, event->lineage))
			return another_history(table, shard, err);
		shard->proved = true;
	}
	if (at == end)
		return ERR_OK;
	pass(table, shard, (struct delta_progress){ true, end[-1].position, event->lineage }, true);
	for (; at < end; at++)
		micro_batch_add(&table->batch, &shard->batch, at);
	return ERR_OK;
}

/* A lake that cannot be asked now tells it at the commit. */
bool stream_table_is_overtaken(struct stream_table *table, const struct stream_shard *shard)
{
	struct delta_progress now;
	struct err ignored;

	return delta_refresh(table->delta, &ignored) == ERR_OK &&
	       delta_progress(table->delta, shard->app_id, &now, &ignored) == ERR_OK && now.any &&
	       (!shard->done.any || position_cmp(now.position, shard->done.position) != 0);
}

enum err_code stream_table_lost(const struct stream_table *table, struct err *err)
{
	return err_set(err, ERR_LOCKED, "another one is further with table \"%s\"",
		       table->place.root);
}

/* Of those that share the stream the first has it told. */
static enum err_code tell_loss(struct stream_table *table, struct stream_shard *shard,
			       const struct reader_event *gap, struct err *err)
{
	char reason[80], first[POSITION_TEXT_MAX], last[POSITION_TEXT_MAX];
	struct dlq_letter letter = { .position = gap->first,
				     .last = gap->last,
				     .reason = reason };

	if (!gap_is_loss(gap->gap) || !lake_table_leads(&table->place))
		return ERR_OK;
	if (stream_table_is_overtaken(table, shard))
		return stream_table_lost(table, err);
	shard->lacks = true;
	(void)position_text(gap->first, first);
	(void)position_text(gap->last, last);
	(void)snprintf(reason, sizeof(reason), "%s in the log", gap_reason_text(gap->gap));
	trace_error("shard %s of stream \"%s\": %s to %s are lost (%s); a dead letter says so",
		    shard->batch.text, table->place.topic, first, last, gap_reason_text(gap->gap));
	return dlq_batch_add(shard->batch.letters, &letter, err);
}

enum err_code stream_table_gap(struct stream_table *table, struct stream_shard *shard,
			       const struct reader_event *gap, bool *ret_again, struct err *err)
{
	enum err_code code;

	*ret_again = false;
	if (is_behind(shard, gap->last)) {
		shard->proved |= position_cmp(gap->last, shard->read.position) == 0;
		return ERR_OK;
	}
	/* Its last record is gone, which proves nothing against the rest. What is lost begins after
	 * that: only the log can say where. */
	if (is_behind(shard, gap->first) && !shard->asked) {
		shard->proved = true;
		shard->asked = true;
		*ret_again = true;
		return ERR_OK;
	}
	code = tell_loss(table, shard, gap, err);
	if (code == ERR_OK)
		pass(table, shard, (struct delta_progress){ .any = true, .position = gap->last },
		     gap_is_loss(gap->gap));
	return code;
}

bool stream_table_waits(const struct stream_table *table)
{
	for (size_t i = 0; i < table->shard_count; i++)
		if (table->shards[i]->dirty)
			return true;
	return false;
}

enum err_code stream_table_drop(struct stream_table *table, struct err *err)
{
	enum err_code code = ERR_OK;

	micro_batch_clear(&table->batch);
	free(table->flush.add.path);
	free(table->flush.add.stats);
	table->flush = (struct stream_flush){ 0 };
	for (size_t i = 0; i < table->shard_count && code == ERR_OK; i++) {
		stream_table_withdraw(table, table->shards[i]);
		table->shards[i]->settled = false;
		code = look_where(table, table->shards[i], table->shards[i]->like, err);
	}
	return code;
}
