#include "flow/sink_partition.h"

#include "base/mem.h"
#include "base/time.h"

#include <assert.h>

enum { MANIFEST_TEXT_MAX = 8 << 20, MARK_TEXT_MAX = 4096 };

static_assert(offsetof(struct sink_partition, lane) == 0, "lane must be first");

struct sink_partition *sink_partition_new(const char *topic, int32_t id, size_t table,
					  size_t body_max)
{
	struct sink_partition *partition = xcalloc(1, sizeof(*partition));

	assert(strlen(topic) <= TOPIC_NAME_MAX);
	memcpy(partition->topic, topic, strlen(topic) + 1);
	sink_lane_init(&partition->lane);
	partition->id = id;
	partition->table = table;
	partition->retry = (struct retry)RETRY_INIT;
	buf_init(&partition->body, body_max);
	return partition;
}

void sink_partition_free(struct sink_partition *partition)
{
	sink_partition_drop(partition);
	manifest_release(&partition->manifest);
	buf_release(&partition->place.last_line);
	free(partition);
}

void sink_partition_drop(struct sink_partition *partition)
{
	buf_release(&partition->body);
	manifest_clear(&partition->manifest);
	dlq_batch_free(partition->letters);
	partition->letters = NULL;
	partition->count = 0;
	partition->bytes = 0;
}

void sink_partition_begin(struct sink_partition *partition, struct sink_place *place)
{
	sink_partition_drop(partition);
	buf_release(&partition->place.last_line);
	partition->place = *place;
	partition->place.where.topic = partition->topic;
	partition->unproved = place->has_line;
	partition->has_lineage = false;
	partition->lineage_due = false;
	partition->has_caught = false;
	partition->commit_due = false;
}

/* The record that is to be compared is read once more. */
struct reader_start sink_partition_start(const struct sink_partition *partition)
{
	struct reader_start start = { .kind = START_FIRST, .position = partition->place.last };

	if (partition->place.any)
		start.kind = partition->unproved ? START_AT : START_AFTER;
	return start;
}

void sink_partition_set_lineage(struct sink_partition *partition, struct lineage lineage)
{
	static const struct lineage none = { 0, 0 };

	if (lineage_eq(lineage, none) ||
	    (partition->has_lineage && lineage_eq(partition->lineage, lineage)))
		return;
	assert(partition->count == 0);
	partition->lineage_due = partition->has_lineage || !partition->place.lineages.count ||
				 !lineages_allow(&partition->place.lineages, lineage);
	partition->has_lineage = true;
	partition->lineage = lineage;
}

/* The record at `last` becomes part of the run. */
static void count_record(struct sink_partition *partition, struct position last, uint64_t offset,
			 size_t bytes)
{
	struct sink_place *place = &partition->place;

	if (partition->count++ == 0)
		partition->first_ms = clock_mono_ms();
	partition->bytes += bytes;
	place->any = true;
	place->last = last;
	place->next = offset + 1;
}

static void begin_run(struct sink_partition *partition)
{
	if (partition->count > 0)
		return;
	partition->run_has_after = partition->place.any;
	partition->run_after = partition->place.last;
}

void sink_partition_add_line(struct sink_partition *partition, struct position position,
			     uint64_t offset, struct json value)
{
	const struct sink_place *place = &partition->place;
	size_t before = partition->body.len;

	assert(!partition->letters);
	begin_run(partition);
	if (partition->count == 0) {	/* at once as large as it will be: it need not grow */
		(void)buf_room(&partition->body, partition->body_hint);
		partition->manifest.has_after = place->any && offset != place->next;
		partition->manifest.after = place->next - 1;
	}
	json_put(&partition->body, value);
	buf_add_char(&partition->body, '\n');
	assert(!buf_full(&partition->body));
	manifest_add(&partition->manifest, offset);
	count_record(partition, position, offset, partition->body.len - before);
}

enum err_code sink_partition_add_letter(struct sink_partition *partition, struct store *store,
					const struct dlq_letter *letter, uint64_t last_offset,
					struct err *err)
{
	enum { OVERHEAD_BYTES = 512 };		/* names, reason; base64 makes 4 of 3 */
	struct dlq_source source = { .stage = "sink",
				     .topic = { TOPIC_LOG, partition->topic },
				     .partition = partition->id,
				     .generation = partition->place.where.generation };
	enum err_code code;

	assert(partition->body.len == 0);
	begin_run(partition);
	if (!partition->letters)
		partition->letters = dlq_batch_new(store, &source);
	code = dlq_batch_add(partition->letters, letter, err);
	if (code == ERR_OK)
		count_record(partition, lake_position(last_offset), last_offset,
			     letter->value.len / 3 * 4 + OVERHEAD_BYTES);
	return code;
}

/* --- a job out of the run ------------------------------------------------------ */

static struct sink_mark *add_mark(struct sink_job *job, size_t text_max)
{
	struct sink_mark *mark = &job->marks[job->mark_count++];

	assert(job->mark_count <= SINK_MARKS_MAX);
	buf_init(&mark->key, STORE_KEY_MAX * 2);
	buf_init(&mark->text, text_max);
	return mark;
}

/* What must lie in the lake before these records do. */
static void add_marks(struct sink_partition *partition, struct sink_job *job)
{
	struct sink_place *place = &partition->place;
	struct sink_mark *mark;

	if (place->name_due) {
		mark = add_mark(job, MARK_TEXT_MAX);
		history_write(&mark->key, &mark->text, partition->topic, place->where.generation,
			      place->uid, place->name_first);
		place->name_due = false;
	}
	if (!job->letters && partition->lineage_due) {
		mark = add_mark(job, MARK_TEXT_MAX);
		lineage_write(&mark->key, &mark->text, place->where, partition->manifest.start,
			      partition->lineage);
		partition->lineage_due = false;
	}
	if (!job->letters && manifest_is_needed(&partition->manifest)) {
		mark = add_mark(job, MANIFEST_TEXT_MAX);
		manifest_write(&partition->manifest, place->where, buf_slice(&job->body),
			       &mark->key, &mark->text);
	}
}

static void close_letters(struct sink_partition *partition, struct sink_job *job)
{
	job->letters = partition->letters;
	partition->letters = NULL;
	dlq_batch_range(job->letters, partition->run_has_after ? &partition->run_after : NULL,
			partition->place.last);
}

static void close_object(struct sink_partition *partition, struct sink_job *job)
{
	lake_object_key(&job->key, partition->place.where, partition->manifest.start);
	job->body = partition->body;
	partition->body_hint = job->body.len + job->body.len / 16;
	if (partition->body_hint > job->body.max)
		partition->body_hint = job->body.max;
	buf_init(&partition->body, job->body.max);
}

struct sink_job *sink_partition_close(struct sink_partition *partition)
{
	struct sink_job *job = xcalloc(1, sizeof(*job));

	assert(partition->count > 0);
	job->lane = &partition->lane;
	job->bytes = partition->bytes + sizeof(*job);
	job->records = partition->count;
	job->end = partition->place.next;
	buf_init(&job->key, STORE_KEY_MAX * 2);	/* one that is too long is the store's to refuse */
	if (partition->letters)
		close_letters(partition, job);
	else
		close_object(partition, job);
	add_marks(partition, job);
	manifest_clear(&partition->manifest);
	partition->count = 0;
	partition->bytes = 0;
	return job;
}

bool sink_partition_drained(const struct sink_partition *partition, bool quiet)
{
	if (!partition->has_goal && !partition->goal_open)
		return true;		/* there was nothing of it when the drain began */
	if (partition->state == SINK_HALTED)
		return true;
	if (partition->state == SINK_AWAY)
		return quiet;		/* it is another member's, unless it comes (back) */
	if (partition->state != SINK_READING || !partition->has_caught)
		return false;
	return partition->goal_open || position_cmp(partition->caught, partition->goal) >= 0;
}
