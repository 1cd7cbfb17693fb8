/* Groups that cannot be made whole any more, and letters of what they lost (group.h, rule 7). */
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/sink_inside.h"

#include <inttypes.h>

enum { AMEND_RETRY_MS = 1000 };

/* --- what was lost ------------------------------------------------------------------ */

enum group_none sink_lost_of(enum gap_reason gap)
{
	switch (gap) {
	case GAP_RETENTION:
		return GROUP_LOST_RETENTION;
	case GAP_REMOVED:
		return GROUP_LOST_REMOVED;
	default:
		return GROUP_LOST_DAMAGED;
	}
}

static enum gap_reason gap_of(int32_t lost)
{
	switch (lost) {
	case GROUP_LOST_RETENTION:
		return GAP_RETENTION;
	case GROUP_LOST_REMOVED:
		return GAP_REMOVED;
	default:
		return GAP_DAMAGED;
	}
}

const char *sink_reason_of(enum gap_reason gap)
{
	switch (gap) {
	case GAP_RETENTION:
		return "left the log before it was read";
	case GAP_REMOVED:
		return "of a topic of this name that was removed before it was read";
	default:
		return "damaged in the log";
	}
}

/* One for each run, so that each sink makes the same ones. */
static enum err_code add_losses(struct dlq_batch *letters, const struct group *losses,
				struct err *err)
{
	uint64_t offset = losses->first;

	for (size_t i = 0; i < losses->run_count; i++) {
		const struct group_run *run = &losses->runs[i];
		struct dlq_letter letter = { .position = lake_position(offset),
					     .last = lake_position(offset + run->count - 1),
					     .reason = sink_reason_of(gap_of(run->object)) };

		offset += run->count;
		if (run->object < GROUP_NO_RECORD && dlq_batch_add(letters, &letter, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

void sink_tell_losses(struct sink *sink, struct sink_partition *partition)
{
	const struct group *losses = &partition->place.losses;
	struct position after = lake_position(losses->after);
	struct dlq_source source = sink_partition_source(partition);
	struct sink_job *job;
	struct err err;

	if (!partition->place.has_losses)
		return;
	job = sink_partition_new_job(partition);
	job->letters = dlq_batch_new(sink->options->store, &source);
	job->bytes = sizeof(*job) + losses->run_count * sizeof(*losses->runs);
	if (add_losses(job->letters, losses, &err) != ERR_OK) {
		sink_job_free(job);
		sink_halt(sink, partition, &err);
		return;
	}
	dlq_batch_range(job->letters, losses->has_after ? &after : NULL,
			lake_position(losses->end - 1));
	sink_writer_push(sink->writer, job);
}

/* --- giving a group up -------------------------------------------------------------- */

static void tell_amended(struct sink *sink, const struct sink_partition *partition,
			 const struct group *amended, uint64_t lost)
{
	enum gap_reason gap = gap_of(partition->group.lost_for);

	if (lost == 0) {
		trace_info("%s, partition %d: the group of objects that begins at offset %" PRIu64
			   " was given up: what was missing of it has other names, and nothing is"
			   " lost",
			   partition->topic, partition->id, amended->first);
		return;
	}
	trace_warn("%s, partition %d: of the group of objects that begins at offset %" PRIu64
		   " and was begun, %" PRIu64
		   " records are lost (%s); what is left has other names",
		   partition->topic, partition->id, amended->first, lost, sink_reason_of(gap));
	sink_count_gap(sink, gap, lost);
}

/* ERR_EXISTS: another sink has amended it. */
static enum err_code put_amended(struct store *store, struct lake_partition where,
				 const struct group *amended, struct err *err)
{
	enum err_code code;
	struct buf key, text;

	buf_init(&key, STORE_KEY_MAX * 2);
	buf_init(&text, SINK_MANIFEST_MAX);
	group_write(amended, where, &key, &text);
	code = store_put(store, buf_cstr(&key), buf_slice(&text), STORE_CREATE, err);
	buf_release(&text);
	buf_release(&key);
	return code;
}

static enum err_code amend(struct sink *sink, struct sink_partition *partition, struct err *err)
{
	struct store *store = sink->options->store;
	struct lake_partition where = partition->place.where;
	struct group amended = { 0 };
	uint64_t lost = 0;
	bool whole = false;
	enum err_code code =
		sink_group_amend(&partition->group, store, where, &whole, &amended, &lost, err);

	if (code != ERR_OK || whole)
		return code;
	code = put_amended(store, where, &amended, err);
	if (code == ERR_OK)
		tell_amended(sink, partition, &amended, lost);
	group_release(&amended);
	return code == ERR_EXISTS ? ERR_OK : code;
}

void sink_give_up_group(struct sink *sink, struct sink_partition *partition)
{
	struct err err;
	enum err_code code = amend(sink, partition, &err);

	if (code != ERR_OK && (code == ERR_STOPPED || !retry_may_pass(code))) {
		sink_halt(sink, partition, &err);
		return;
	}
	if (code != ERR_OK)
		trace_warn("the lake: %s; it is tried again", err.msg);
	sink_drop_run(sink, partition);
	partition->state = SINK_PLACING;
	partition->retry_ms = clock_mono_ms() + (code == ERR_OK ? 0 : AMEND_RETRY_MS);
}
