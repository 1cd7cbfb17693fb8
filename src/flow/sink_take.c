#include "flow/sink_inside.h"

#include "base/json_same.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"

#include <inttypes.h>

void sink_halt(struct sink *sink, struct sink_partition *partition, const struct err *err)
{
	if (err->code != ERR_STOPPED)
		trace_error("%s, partition %d: %s; this partition halts, the others go on",
			    partition->topic, partition->id, err->msg);
	partition->state = SINK_HALTED;
	partition->halted = err->code;
	sink_drop_run(sink, partition);
}

void sink_drop_run(struct sink *sink, struct sink_partition *partition)
{
	sink->filling_bytes -= partition->bytes;
	sink_partition_drop(partition);
}

void sink_close_run(struct sink *sink, struct sink_partition *partition)
{
	struct sink_job *job;
	struct err err;

	if (partition->count == 0 || sink_partition_is_mending(partition))
		return;
	sink->filling_bytes -= partition->bytes;
	if (sink_partition_close(partition, &job, &err) == ERR_OK)
		sink_writer_push(sink->writer, job);
	else
		sink_halt(sink, partition, &err);
}

/* The run has its first record: when is it to land at the latest? */
static void begin_wait(const struct sink *sink, struct sink_partition *partition)
{
	const struct sink_options *options = sink->options;
	int64_t wait_ms = options->flush_age_ms;

	if (options->rotate_interval_ms > 0 && options->rotate_interval_ms < wait_ms)
		wait_ms = options->rotate_interval_ms;
	if (options->rotate_schedule_ms > 0) {
		int64_t mark_ms = path_clock_wait(&partition->group.clock, clock_wall_ms(),
						  options->rotate_schedule_ms);

		wait_ms = mark_ms < wait_ms ? mark_ms : wait_ms;
	}
	partition->due_ms = clock_mono_ms() + wait_ms;
}

/* The newest time is what moves on: records that are out of order do not end a run each. */
static void rotate_by_time(struct sink *sink, struct sink_partition *partition, int64_t time_ms)
{
	int64_t interval_ms = sink->options->rotate_interval_ms;

	if (interval_ms <= 0)
		return;
	if (!partition->any_time || time_ms > partition->newest_time_ms)
		partition->newest_time_ms = time_ms;
	partition->any_time = true;
	if (partition->count > 0 &&
	    partition->newest_time_ms - partition->base_time_ms >= interval_ms)
		sink_close_run(sink, partition);
	if (partition->count == 0)
		partition->base_time_ms = partition->newest_time_ms;
}

static void sink_add_letter(struct sink *sink, struct sink_partition *partition,
			    const struct dlq_letter *letter, uint64_t last)
{
	struct store *store = sink->options->store;
	size_t before;
	struct err err;

	if (!partition->letters || partition->count == sink->options->flush_size)
		sink_close_run(sink, partition);
	before = partition->bytes;
	if (sink_partition_add_letter(partition, store, letter, last, &err) != ERR_OK) {
		/* There are too many, or no disk for so many: what a run of its own has none of. */
		sink_close_run(sink, partition);
		before = 0;
		if (sink_partition_add_letter(partition, store, letter, last, &err) != ERR_OK) {
			sink_halt(sink, partition, &err); /* larger than any record may be */
			return;
		}
	}
	sink->filling_bytes += partition->bytes - before;
	if (partition->count == 1)
		begin_wait(sink, partition);
}

static void add_line(struct sink *sink, struct sink_partition *partition,
		     const struct record *record, uint64_t offset, struct json value)
{
	const struct sink_options *options = sink->options;
	size_t before;

	if (partition->letters || partition->bytes + record->value.len + 1 > options->flush_bytes)
		sink_close_run(sink, partition);
	before = partition->bytes;
	sink_partition_add_line(partition, record->position, offset, value);
	sink->filling_bytes += partition->bytes - before;
	if (partition->count == 1)
		begin_wait(sink, partition);
	if (partition->count >= options->flush_size || partition->bytes >= options->flush_bytes ||
	    partition->manifest.run_count >= MANIFEST_RUNS_MAX)
		sink_close_run(sink, partition);
}

static void close_group_run(struct sink *sink, struct sink_partition *partition)
{
	const struct sink_group *group = &partition->group;

	if (group->fixed && (group->lost || group->barred))
		sink_give_up_group(sink, partition);
	else
		sink_close_run(sink, partition);
}

static void add_grouped(struct sink *sink, struct sink_partition *partition,
			const struct record *record, uint64_t offset, int64_t time_ms,
			struct json value)
{
	size_t before;
	struct err err;

	if (partition->letters)
		sink_close_run(sink, partition);
	before = partition->bytes;
	if (sink_partition_add_grouped(partition, sink->options, record, offset, time_ms, value,
				       &err) != ERR_OK) {
		sink_halt(sink, partition, &err);
		return;
	}
	sink->filling_bytes += partition->bytes - before;
	if (partition->count == 1)
		begin_wait(sink, partition);
	if (partition->group.fixed ? !sink_partition_is_mending(partition)
				   : sink_group_is_full(&partition->group, sink->options))
		close_group_run(sink, partition);
}

/* A record that is JSON: which time is it of? */
static void sink_add_value(struct sink *sink, struct sink_partition *partition,
			   const struct record *record, uint64_t offset, struct json value)
{
	const struct sink_options *options = sink->options;
	bool timed = options->path.pattern[0] || options->rotate_interval_ms > 0;
	struct dlq_letter letter = {
		.position = record->position,
		.timestamp_ms = record->timestamp_ms,
		.value = record->value,
		.reason = "it has no time that its object could be named by (timestamp.field)",
	};
	int64_t time_ms = 0;

	if (timed && !event_time_of(&options->time, record, value, &time_ms)) {
		sink_add_letter(sink, partition, &letter, offset);
		return;
	}
	rotate_by_time(sink, partition, time_ms);
	if (partition->grouped)
		add_grouped(sink, partition, record, offset, time_ms, value);
	else
		add_line(sink, partition, record, offset, value);
}

void sink_count_gap(struct sink *sink, enum gap_reason gap, uint64_t count)
{
	if (gap == GAP_DAMAGED) {
		metric_add(METRIC_SINK_DAMAGED, (int64_t)count);
		return;
	}
	sink->counts->missed += count;
	metric_add(METRIC_SINK_MISSED, (int64_t)count);
}

/* --- a group that is made once more ------------------------------------------------ */

static void note_lost(struct sink_group *group, enum gap_reason gap, uint64_t first, uint64_t last)
{
	if (!sink_group_wants(group, first, last))
		return;
	group->lost = true;
	group->lost_for = sink_lost_of(gap);
}

/* One of a group that is made once more: its manifest says whether it is a line. */
static void sink_mend_record(struct sink *sink, struct sink_partition *partition,
			     const struct record *record, uint64_t offset)
{
	const struct group *wanted = &partition->group.wanted;
	struct json root;
	struct err err;

	/* Where a log begins no gap tells what was before. */
	if (partition->count == 0 && !partition->place.any && offset > wanted->first)
		note_lost(&partition->group, GAP_RETENTION, wanted->first, offset - 1);
	if (offset >= partition->group.wanted_end && partition->group.lost) {
		sink_give_up_group(sink, partition);
		return;
	}
	if (offset < wanted->end && !sink_group_wants(&partition->group, offset, offset))
		return;
	if (offset >= wanted->end || !record->value.ptr ||
	    json_parse(sink->parser, record->value, &root, &err) != ERR_OK) {
		(void)err_set(&err, ERR_CORRUPT,
			      "the group of objects that begins at offset %" PRIu64
			      " was begun, and cannot be ended: the log has no such record %" PRIu64
			      " any more",
			      wanted->first, partition->group.group.end);
		sink_halt(sink, partition, &err);
		return;
	}
	add_grouped(sink, partition, record, offset, 0, root);
}

static const char null_reason[] = "a tombstone: the record has no value";

static void sink_take_null(struct sink *sink, struct sink_partition *partition,
			   const struct record *record, uint64_t offset)
{
	struct dlq_letter letter = {
		.position = record->position,
		.timestamp_ms = record->timestamp_ms,
		.value = record->value,
		.reason = null_reason,
	};
	struct err err;

	if (sink->options->nulls == SINK_NULLS_LETTER) {
		sink_add_letter(sink, partition, &letter, offset);
	} else if (sink->options->nulls == SINK_NULLS_FAIL) {
		(void)err_set(&err, ERR_SHAPE,
			      "record %" PRIu64 " has no value, and"
			      " behavior.on.null.values is \"fail\"",
			      offset);
		sink_halt(sink, partition, &err);
	}
}

/* Another program may have written the line in its own way. */
static bool is_line_of(struct slice line, struct json value)
{
	struct json_parser *parser;
	struct json root;
	struct err err;
	bool same;

	parser = json_parser_new(SINK_RECORD_MAX);
	same = json_parse(parser, line, &root, &err) == ERR_OK && json_same(root, value);
	json_parser_free(parser);
	return same;
}

static bool has_line_of(struct slice lines, struct slice text, struct json value)
{
	while (lines.len > 0) {
		const char *end = memchr(lines.ptr, '\n', lines.len);
		size_t len = end ? (size_t)(end - lines.ptr) : lines.len;
		struct slice line = slice_of(lines.ptr, len);

		if (slice_eq(line, text) || is_line_of(line, value))
			return true;
		lines = slice_from(lines, len + (end != NULL));
	}
	return false;
}

/* The record at place.last, which is in the lake already: is it this log's? */
static void prove(struct sink *sink, struct sink_partition *partition, struct slice value,
		  struct lineage lineage)
{
	bool same = false;
	struct json root;
	struct err err;
	struct buf line;

	buf_init(&line, value.len);
	if (value.ptr && json_parse(sink->parser, value, &root, &err) == ERR_OK) {
		json_put(&line, root);
		same = has_line_of(buf_slice(&partition->place.last_line), buf_slice(&line), root);
	}
	partition->unproved = false;
	if (!same || !lineages_allow(&partition->place.lineages, lineage)) {
		(void)err_set(&err, ERR_CORRUPT, "record %" PRIu64 " in the lake is not that of the log:"
			      " one of them belongs to another pipeline", partition->place.next - 1);
		sink_halt(sink, partition, &err);
	}
	buf_release(&line);
}

/* The log has no record where another program's objects seem to end. */
static void halt_unproved(struct sink *sink, struct sink_partition *partition)
{
	struct err err;

	(void)err_set(&err, ERR_CORRUPT,
		      "the log has no record %" PRIu64 ", with which another"
		      " program's objects in folders of times should end: how far those come"
		      " cannot be told",
		      partition->place.next - 1);
	sink_halt(sink, partition, &err);
}

static void tell_lost(struct sink *sink, struct sink_partition *partition, enum gap_reason gap,
		      uint64_t first, uint64_t last)
{
	struct dlq_letter letter = { .position = lake_position(first),
				     .last = lake_position(last),
				     .reason = sink_reason_of(gap) };

	sink_add_letter(sink, partition, &letter, last);
}

/* Those that were to be letters are one each, as who put the manifest may still put them: readers
 * take each once. Where they are too many, most are none. */
static void tell_lost_letters(struct sink *sink, struct sink_partition *partition,
			      enum gap_reason gap, uint64_t first, uint64_t last)
{
	enum { EACH_MAX = 10000 };

	if (last - first >= EACH_MAX) {
		tell_lost(sink, partition, gap, first, last);
		return;
	}
	for (; first <= last && partition->state == SINK_READING; first++)
		tell_lost(sink, partition, gap, first, first);
}

static void tell_all_lost(struct sink *sink, struct sink_partition *partition, enum gap_reason gap,
			  uint64_t first, uint64_t last)
{
	uint64_t until = partition->place.letters_until;

	trace_warn("%s, partition %d: records %" PRIu64 " to %" PRIu64 ": %s", partition->topic,
		   partition->id, first, last, sink_reason_of(gap));
	sink_count_gap(sink, gap, last - first + 1);
	if (first < until) {
		tell_lost_letters(sink, partition, gap, first, last < until ? last : until - 1);
		sink_close_run(sink, partition);
	}
	first = first > until ? first : until;
	if (first > last || partition->state != SINK_READING)
		return;
	sink_partition_set_lost(partition, sink_lost_of(gap), first);
	tell_lost(sink, partition, gap, first, last);
	sink_close_run(sink, partition); /* while what the lake said is new */
}

/* A manifest says that this is no line, and nobody else tells what it is (group.h, rule 11). */
static void put_letter_again(struct sink *sink, struct sink_partition *partition,
			     const struct record *record, uint64_t offset)
{
	struct dlq_letter letter = {
		.position = record->position,
		.timestamp_ms = record->timestamp_ms,
		.value = record->value,
		.reason = "the sink that came to it first had no place for it",
	};
	struct json root;
	struct err err;

	if (!record->value.ptr)
		letter.reason = null_reason;
	else if (json_parse(sink->parser, record->value, &root, &err) != ERR_OK)
		letter.reason = err.msg;
	sink_add_letter(sink, partition, &letter, offset);
}

/* What comes behind those letters must not be put with them: it has a manifest of its own. Where a
 * log begins no gap tells what was before. */
static bool is_letter_again(struct sink *sink, struct sink_partition *partition, uint64_t offset)
{
	const struct sink_place *place = &partition->place;
	uint64_t *until = &partition->place.letters_until;

	if (*until > 0 && !place->any && offset > place->next)
		tell_all_lost(sink, partition, GAP_RETENTION, place->next, offset - 1);
	if (offset < *until)
		return true;
	if (*until > 0)
		sink_close_run(sink, partition);
	*until = 0;
	return false;
}

static void sink_add_record(struct sink *sink, struct sink_partition *partition,
			    const struct record *record, uint64_t offset)
{
	struct dlq_letter letter = {
		.position = record->position,
		.timestamp_ms = record->timestamp_ms,
		.value = record->value,
	};
	bool again = !partition->group.fixed && is_letter_again(sink, partition, offset);
	struct json root;
	struct err err;

	if (partition->state != SINK_READING)
		return;
	if (record->timestamp_ms > partition->run_newest_ms)
		partition->run_newest_ms = record->timestamp_ms;
	if (partition->group.fixed) {
		sink_mend_record(sink, partition, record, offset);
	} else if (again) {
		put_letter_again(sink, partition, record, offset);
	} else if (!record->value.ptr) {
		sink_take_null(sink, partition, record, offset);
	} else if (json_parse(sink->parser, record->value, &root, &err) != ERR_OK) {
		letter.reason = err.msg;
		sink_add_letter(sink, partition, &letter, offset);
	} else {
		sink_add_value(sink, partition, record, offset, root);
	}
}

/*
 * Where the records of an event have the offsets that follow each other, as nearly always, those of
 * its ends tell all: an offset is known by the text of a position only.
 */
struct offsets {
	bool dense;
	uint64_t first;
};

static bool offsets_of(const struct reader_event *event, struct offsets *ret)
{
	uint64_t last;

	if (event->count == 0 || !lake_offset(event->records[0].position, &ret->first) ||
	    !lake_offset(event->records[event->count - 1].position, &last))
		return false;
	ret->dense = last - ret->first == event->count - 1;
	return true;
}

static uint64_t offset_at(const struct offsets *offsets, const struct reader_event *event, size_t i)
{
	uint64_t offset = offsets->first + i;

	if (!offsets->dense)
		(void)lake_offset(event->records[i].position, &offset);
	return offset;
}

static void sink_take_lineage(struct sink *sink, struct sink_partition *partition,
			      struct lineage lineage)
{
	static const struct lineage none = { 0, 0 };
	struct err err;

	if (lineage_eq(lineage, none))
		return;		/* this broker tells none */
	if (!partition->has_lineage || !lineage_eq(partition->lineage, lineage))
		sink_close_run(sink, partition);
	if (partition->count == 0 || lineage_eq(partition->lineage, lineage)) {
		sink_partition_set_lineage(partition, lineage);
		return;
	}
	(void)err_set(&err, ERR_CORRUPT,
		      "the log was put back and written on in the middle of a group"
		      " of objects that was begun");
	sink_halt(sink, partition, &err);
}

/* Records up to place.last have landed: the log was read from the last of them on. */
void sink_take_records(struct sink *sink, struct sink_partition *partition,
		       const struct reader_event *event)
{
	const struct sink_place *place = &partition->place;
	struct offsets offsets;
	struct err err;

	if (event->count > 0 && !offsets_of(event, &offsets)) {
		(void)err_set(&err, ERR_UNSUPPORTED, "an offset has more than 63 bits, and no name in the"
			      " lake");
		sink_halt(sink, partition, &err);
	}
	for (size_t i = 0; i < event->count && partition->state == SINK_READING; i++) {
		const struct record *record = &event->records[i];
		int order = place->any ? position_cmp(record->position, place->last) : 1;

		if (order == 0 && partition->unproved)
			prove(sink, partition, record->value, event->lineage);
		if (order <= 0)
			continue;
		if (partition->unproved && place->counted) {
			halt_unproved(sink, partition);
			break;
		}
		partition->unproved = false;	/* the record before is gone */
		sink_take_lineage(sink, partition, event->lineage);
		if (partition->state != SINK_READING)
			break;
		sink_add_record(sink, partition, record, offset_at(&offsets, event, i));
	}
}

/* What comes behind the group is given once more when that is whole. */
static void take_gap_of_group(struct sink *sink, struct sink_partition *partition,
			      const struct reader_event *event)
{
	uint64_t first, last;

	if (!gap_is_loss(event->gap) || !lake_offset(event->first, &first) ||
	    !lake_offset(event->last, &last))
		return;
	note_lost(&partition->group, event->gap, first, last);
	if (last + 1 >= partition->group.wanted_end && partition->group.lost)
		sink_give_up_group(sink, partition);
}

/*
 * Another sink may have put what this log has lost since this one found its place. An object has
 * the name of what is in its way then; a letter has not. So the lake is asked again, when what is
 * held has landed: true if that was done for this very place, and nothing but the loss came since.
 */
static bool sink_may_tell_loss(struct sink *sink, struct sink_partition *partition)
{
	bool asked = partition->loss_asked && partition->loss_next == partition->place.next;

	partition->loss_asked = !asked;
	if (asked)
		return true;
	partition->loss_next = partition->place.next;
	sink_close_run(sink, partition);
	partition->state = SINK_PLACING;
	partition->retry_ms = 0;
	return false;
}

/* What was lost is told once, for the whole range; what never was a record not at all. */
void sink_take_gap(struct sink *sink, struct sink_partition *partition,
		   const struct reader_event *event)
{
	const struct sink_place *place = &partition->place;
	uint64_t first, last;

	if (place->any && position_cmp(event->last, place->last) >= 0 &&
	    (gap_is_loss(event->gap) || !place->counted))
		partition->unproved = partition->unproved &&
				      position_cmp(event->first, place->last) > 0;
	if (partition->group.fixed) {
		take_gap_of_group(sink, partition, event);
		return;
	}
	if (!gap_is_loss(event->gap) ||
	    (place->any && position_cmp(event->last, place->last) <= 0))
		return;
	if (!lake_offset(event->first, &first) || !lake_offset(event->last, &last))
		return;		/* the records after it tell */
	if (!sink_may_tell_loss(sink, partition))
		return;
	if (place->any && first < place->next)
		first = place->next;
	tell_all_lost(sink, partition, event->gap, first, last);
}
