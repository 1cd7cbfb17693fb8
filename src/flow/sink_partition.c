#include "flow/sink_partition.h"

#include "base/mem.h"
#include "base/time.h"
#include "flow/dlq_object.h"

#include <assert.h>
#include <inttypes.h>

enum { MARK_TEXT_MAX = 4096 };

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
	sink_group_release(&partition->group);
	sink_place_release(&partition->place);
	free(partition);
}

void sink_partition_drop(struct sink_partition *partition)
{
	buf_release(&partition->body);
	manifest_clear(&partition->manifest);
	sink_group_clear(&partition->group);
	dlq_batch_free(partition->letters);
	partition->letters = NULL;
	partition->lost = 0;
	partition->count = 0;
	partition->bytes = 0;
}

void sink_partition_begin(struct sink_partition *partition, struct sink_place *place)
{
	sink_partition_drop(partition);
	sink_place_release(&partition->place);
	partition->place = *place;
	partition->place.where.topic = partition->topic;
	if (place->has_unfinished)
		sink_group_fix(&partition->group, &partition->place.unfinished,
			       place->unfinished_there, place->unfinished_barred);
	partition->grouped = partition->groups || place->grouped;
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

	partition->count++;
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

struct dlq_source sink_partition_source(const struct sink_partition *partition)
{
	return (struct dlq_source){ .stage = "sink",
				    .topic = { TOPIC_LOG, partition->topic },
				    .partition = partition->id,
				    .generation = partition->place.where.generation };
}

bool sink_partition_is_mending(const struct sink_partition *partition)
{
	const struct sink_group *group = &partition->group;

	return group->fixed && group->group.end < group->wanted_end;
}

/*
 * What the run's manifest is named by (group.h, rules 1 and 6): the end of what objects and
 * manifests tell. An older program named the one that says "plain" by its first line, which may be
 * behind that; since the newest name counts, no group's may come before it.
 */
static uint64_t run_first(const struct sink_place *place)
{
	bool behind = place->has_plain && place->plain_first > place->told;

	return behind ? place->plain_first : place->told;
}

/* What says that the partition is plain may have the first. */
static uint32_t group_number(const struct sink_place *place)
{
	return place->has_plain && place->plain_first == run_first(place) ? 2 : 1;
}

/* The manifest of a run, without its objects. */
static struct group run_group(const struct sink_place *place)
{
	uint64_t first = run_first(place);

	return (struct group){ .first = first,
			       .end = first,
			       .has_after = place->told > 0,
			       .after = place->told - 1,
			       .number = group_number(place) };
}

/* The first record of a group that is not fixed. */
static enum err_code partition_begin_group(struct sink_partition *partition, uint64_t offset,
					   struct err *err)
{
	const struct sink_place *place = &partition->place;
	struct sink_group *group = &partition->group;
	struct group begun = run_group(place);

	if (offset < begun.first)
		return err_set(err, ERR_CORRUPT,
			       "the lake says that the partition begins at offset %" PRIu64
			       ", and the log has a record %" PRIu64 " before that",
			       begun.first, offset);
	group->group.first = group->group.end = begun.first;
	group->group.has_after = begun.has_after;
	group->group.after = begun.after;
	group->bar_number = place->any_object && !place->any_group ? begun.number : 0;
	return ERR_OK;
}

enum err_code sink_partition_add_grouped(struct sink_partition *partition,
					 const struct sink_options *options,
					 const struct record *record, uint64_t offset,
					 int64_t time_ms, struct json value, struct err *err)
{
	struct sink_group *group = &partition->group;
	size_t before = group->bytes;

	assert(!partition->letters && partition->body.len == 0);
	if (partition->count == 0 && !group->fixed &&
	    partition_begin_group(partition, offset, err) != ERR_OK)
		return err->code;
	begin_run(partition);
	if (!group->fixed)
		sink_group_add(group, options, partition->place.where, record, offset, time_ms,
			       value);
	else if (sink_group_add_fixed(group, record, offset, value, err) != ERR_OK)
		return err->code;
	count_record(partition, record->position, offset, group->bytes - before);
	return ERR_OK;
}

/* What a letter may take, rather more than less: base64 makes 4 of 3, JSON 6 of 1 at the most. */
static size_t letter_room(const struct dlq_letter *letter)
{
	enum { NAMES_BYTES = 512 };

	return letter->value.len / 3 * 4 + strlen(letter->reason) * 6 + NAMES_BYTES;
}

/* A run's letters are one object, so that its name, which tells how far they come, is not there
 * before all of them are. */
enum err_code sink_partition_add_letter(struct sink_partition *partition, struct store *store,
					const struct dlq_letter *letter, uint64_t last_offset,
					struct err *err)
{
	struct dlq_source source = sink_partition_source(partition);
	size_t bytes = letter_room(letter);
	enum err_code code;

	assert(partition->body.len == 0);
	if (partition->count > 0 && (partition->bytes + bytes > DLQ_OBJECT_BYTES_MAX ||
				     partition->count >= DLQ_OBJECT_LETTERS_MAX))
		return err_set(err, ERR_LIMIT, "there is no room for another dead letter");
	begin_run(partition);
	if (!partition->letters)
		partition->letters = dlq_batch_new(store, &source);
	code = dlq_batch_add(partition->letters, letter, err);
	if (code == ERR_OK)
		count_record(partition, lake_position(last_offset), last_offset, bytes);
	return code;
}

/* --- a job out of the run ------------------------------------------------------ */

static bool has_lines(const struct sink_partition *partition) { return !partition->letters; }

static uint64_t first_line(const struct sink_partition *partition)
{
	return partition->grouped ? group_first_line(&partition->group.group)
				  : partition->manifest.start;
}

static void mark_names(struct sink_partition *partition, struct sink_job *job)
{
	struct sink_place *place = &partition->place;
	struct sink_mark *mark;

	if (place->name_due) {
		mark = sink_job_add_mark(job, MARK_TEXT_MAX);
		history_write(&mark->key, &mark->text, partition->topic, place->where.generation,
			      place->uid, place->name_first);
		place->name_due = false;
	}
	if (has_lines(partition) && partition->lineage_due) {
		mark = sink_job_add_mark(job, MARK_TEXT_MAX);
		lineage_write(&mark->key, &mark->text, place->where, first_line(partition),
			      partition->lineage);
		partition->lineage_due = false;
	}
}

/* The first object of all says that the partition is plain, and the first group bars the way of
 * those that think so (group.h, rules 5 and 6). */
static void mark_kind(struct sink_partition *partition, struct sink_job *job, uint64_t first)
{
	struct sink_place *place = &partition->place;
	struct group plain = run_group(place);
	struct sink_mark *mark;

	plain.plain = true;

	if (partition->grouped && place->any_object && !place->any_group) {
		mark = sink_job_add_mark(job, 1);
		lake_object_key(&mark->key, place->where, first);
	} else if (!partition->grouped && !place->any_object) {
		mark = sink_job_add_mark(job, MARK_TEXT_MAX);
		group_write(&plain, place->where, &mark->key, &mark->text);
	}
	place->any_object = true;
	place->any_group = place->any_group || partition->grouped;
}

/* The manifest of what is no line: it has no objects, but its name decides who goes on. */
static void mark_none(const struct sink_partition *partition, struct sink_job *job, uint64_t first,
		      enum group_none what)
{
	const struct sink_place *place = &partition->place;
	struct group group = run_group(place);
	struct sink_mark *mark = sink_job_add_mark(job, MARK_TEXT_MAX);

	group.amended = true;
	group.letters = what == GROUP_NO_RECORD;
	group_lose(&group, first, place->next - first, what);
	group_write(&group, place->where, &mark->key, &mark->text);
	group_release(&group);
}

/* Another sink may hold records that the log has lost since, and put them when it wakes: where
 * objects are grouped the loss is a group without objects, so that one of the two comes first. */
static void mark_lost(struct sink_partition *partition, struct sink_job *job)
{
	uint64_t first = run_first(&partition->place);

	if (first >= partition->place.next) /* it is told already that there are no lines */
		return;
	mark_kind(partition, job, partition->lost_first);
	mark_none(partition, job, partition->lost_first > first ? partition->lost_first : first,
		  (enum group_none)partition->lost);
}

/* Another sink may see lines in them, or have lost them (group.h, rules 11 and 12). */
static bool needs_letters_mark(const struct sink_partition *partition)
{
	const struct sink_place *place = &partition->place;

	return partition->grouped && (place->any_group || !place->any_object) &&
	       place->next > run_first(place);
}

static void mark_letters(struct sink_partition *partition, struct sink_job *job)
{
	mark_none(partition, job, run_first(&partition->place), GROUP_NO_RECORD);
	partition->place.any_object = partition->place.any_group = true;
}

/* What must lie in the lake before these records do. True: it tells what they are, or the objects
 * that come do. */
static bool add_marks(struct sink_partition *partition, struct sink_job *job)
{
	mark_names(partition, job);
	if (has_lines(partition))
		mark_kind(partition, job, first_line(partition));
	else if (partition->lost && partition->grouped)
		mark_lost(partition, job);
	else if (needs_letters_mark(partition))
		mark_letters(partition, job);
	else
		return false;
	return true;
}

void sink_partition_set_lost(struct sink_partition *partition, enum group_none lost, uint64_t first)
{
	assert(partition->count == 0);
	partition->lost = (int32_t)lost;
	partition->lost_first = first;
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
	const struct sink_place *place = &partition->place;

	lake_object_key(&job->key, place->where, partition->manifest.start);
	job->body = partition->body;
	job->objects = 1;
	partition->body_hint = job->body.len + job->body.len / 16;
	if (partition->body_hint > job->body.max)
		partition->body_hint = job->body.max;
	buf_init(&partition->body, job->body.max);
	if (manifest_is_needed(&partition->manifest)) {
		struct sink_mark *mark = sink_job_add_mark(job, SINK_MANIFEST_MAX);

		manifest_write(&partition->manifest, place->where, buf_slice(&job->body),
			       &mark->key, &mark->text);
	}
}

static enum err_code close_group(struct sink_partition *partition, struct sink_job *job,
				 struct err *err)
{
	struct sink_place *place = &partition->place;
	struct group *group = &partition->group.group;

	if (partition->group.fixed) { /* what is there, or lost, may come after what was made */
		place->next = job->end = partition->group.wanted.end;
		place->last = lake_position(place->next - 1);
	}
	group->number = group_number(place);
	return sink_group_close(&partition->group, place->where, job, err);
}

struct sink_job *sink_partition_new_job(struct sink_partition *partition)
{
	struct sink_job *job = xcalloc(1, sizeof(*job));

	job->lane = &partition->lane;
	job->end = partition->place.next;
	buf_init(&job->key, STORE_KEY_MAX * 2); /* one that is too long is the store's to refuse */
	return job;
}

enum err_code sink_partition_close(struct sink_partition *partition, struct sink_job **ret_job,
				   struct err *err)
{
	struct sink_job *job = sink_partition_new_job(partition);
	enum err_code code = ERR_OK;
	bool told;

	assert(partition->count > 0);
	job->bytes = partition->bytes + sizeof(*job);
	job->records = partition->count;
	job->newest_ms = partition->run_newest_ms;
	partition->run_newest_ms = 0;
	told = add_marks(partition, job);
	if (partition->letters)
		close_letters(partition, job);
	else if (partition->grouped)
		code = close_group(partition, job, err);
	else
		close_object(partition, job);
	if (told && partition->place.next > partition->place.told)
		partition->place.told = partition->place.next;
	manifest_clear(&partition->manifest);
	partition->lost = 0;
	partition->count = 0;
	partition->bytes = 0;
	if (code == ERR_OK)
		*ret_job = job;
	else
		sink_job_free(job);
	return code;
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

bool sink_partition_has_goal_added(const struct sink_partition *partition)
{
	uint64_t goal;

	return partition->state == SINK_READING && partition->has_goal && !partition->unproved &&
	       lake_offset(partition->goal, &goal) && partition->place.next >= goal;
}
