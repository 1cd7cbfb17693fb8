#include "flow/restore_inside.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/local/remake.h"

#include <inttypes.h>

enum {
	TELL_MS = 5000,
	/* Changes of lineage, from the newest on; of what is older nobody asks. */
	LINEAGES_KEPT = 16,
};

struct restore {
	const struct restore_options *options;
	struct restore_plan plan;
	struct remake *remake;
	struct remake_part ***parts;	/* of each topic of the plan, its partitions */
	struct restore_report report;
	int64_t told_ms;
	uint64_t records;
};

/* --- what is there ------------------------------------------------------------ */

static void describe(struct restore *restore)
{
	restore->report.topics = xcalloc(restore->plan.count, sizeof(*restore->report.topics));
	restore->report.count = restore->plan.count;
	for (size_t i = 0; i < restore->plan.count; i++) {
		const struct restore_topic *topic = restore->plan.topics[i];
		struct restored_topic *its = &restore->report.topics[i];

		its->kind = topic->kind;
		memcpy(its->name, topic->name, sizeof(its->name));
		its->partitions = topic->part_count;
		its->objects = topic->objects;
		its->bytes = topic->bytes;
	}
}

static void add_partitions(struct restore *restore)
{
	const struct restore_options *options = restore->options;

	for (size_t i = 0; i < restore->plan.count; i++) {
		struct restore_topic *topic = restore->plan.topics[i];
		int32_t least = topic->kind == TOPIC_LOG ? options->partitions : options->shards;

		(void)restore_topic_part(topic, least > 1 ? least - 1 : 0);
	}
}

/* --- topics ----------------------------------------------------------------------- */

/* All records of the partition are of an older topic: this one begins behind them. */
static enum err_code begin_behind(struct restore *restore, struct restore_part *part,
				  struct err *err)
{
	struct restore_reader *reader = NULL;
	struct restore_item item;
	bool any = true;
	enum err_code code;

	if (part->born != UINT64_MAX)
		return ERR_OK;
	code = restore_reader_new(restore->options->store, part, &reader, err);
	while (code == ERR_OK && any) {
		code = restore_reader_next(reader, &item, &any, err);
		if (code == ERR_OK && any && item.next > part->next)
			part->next = item.next;
	}
	restore_reader_free(reader);
	part->born = part->first = part->next;
	return code;
}

static enum err_code make_topic(struct restore *restore, size_t i, struct err *err)
{
	const struct restore_topic *topic = restore->plan.topics[i];
	size_t count = (size_t)topic->part_count;
	uint64_t *born = xcalloc(count, sizeof(*born)), *first = xcalloc(count, sizeof(*first));
	struct position *above = xcalloc(count, sizeof(*above));
	struct remake_topic made = {
		.topic = { topic->kind, topic->name },
		.uid = topic->uid,
		.partitions = topic->part_count,
		.born = born,
		.first = first,
		.above = above,
	};
	struct remake_part *parts = NULL;
	enum err_code code = ERR_OK;

	for (size_t k = 0; k < count && code == ERR_OK; k++) {
		code = begin_behind(restore, topic->parts[k], err);
		born[k] = topic->parts[k]->born;
		first[k] = topic->parts[k]->first;
		above[k] = topic->parts[k]->above;
	}
	if (code == ERR_OK)
		code = remake_topic(restore->remake, &made, &parts, err);
	free(born);
	free(first);
	free(above);
	restore->parts[i] = xcalloc(count, sizeof(struct remake_part *));
	for (size_t k = 0; k < count && code == ERR_OK; k++)
		restore->parts[i][k] = remake_part(parts, (int32_t)k);
	return code;
}

/* --- records ----------------------------------------------------------------------- */

/* 0: it is not said, or so long ago that it does not matter. */
static uint64_t life_at(const struct restore_part *part, uint64_t offset, size_t *at)
{
	const struct restore_lineage *lineages = part->lineages;

	while (*at < part->lineage_count && lineages[*at].first <= offset)
		++*at;
	if (*at == 0 || *at + LINEAGES_KEPT < part->lineage_count)
		return 0;
	return lineages[*at - 1].lineage.low;
}

static void tell_progress(struct restore *restore, const struct restore_part *part)
{
	int64_t now = clock_mono_ms();

	if (++restore->records % 1024 != 0 || now - restore->told_ms < TELL_MS)
		return;
	restore->told_ms = now;
	trace_info("%" PRIu64 " records so far; partition %" PRId32 " of \"%s\" is being read",
		   restore->records, part->where.id, part->where.topic);
}

static enum err_code take_item(struct restore *restore, const struct restore_part *part,
			       struct remake_part *into, const struct restore_item *item,
			       size_t *lineage, struct restored_topic *its, struct err *err)
{
	if (item->gap) {
		its->missing += item->reason == GAP_DAMAGED ? item->next - item->offset : 0;
		return remake_gap(into, item->next, item->reason, err);
	}
	its->records++;
	its->letters += item->letter;
	tell_progress(restore, part);
	return remake_add(into, item->offset, life_at(part, item->offset, lineage), &item->record,
			  err);
}

static enum err_code restore_part_records(struct restore *restore, const struct restore_part *part,
					  struct remake_part *into, struct restored_topic *its,
					  struct err *err)
{
	struct restore_reader *reader = NULL;
	enum err_code code = restore_reader_new(restore->options->store, part, &reader, err);
	struct restore_item item;
	size_t lineage = 0;
	bool any = true;

	while (code == ERR_OK && any) {
		code = restore_reader_next(reader, &item, &any, err);
		if (code == ERR_OK && any)
			code = take_item(restore, part, into, &item, &lineage, its, err);
		if (code == ERR_OK && stop_requested())
			code = err_set(err, ERR_STOPPED, "stopped");
	}
	restore_reader_free(reader);
	if (code == ERR_OK)
		code = remake_part_done(into, err);
	return code == ERR_OK || code == ERR_STOPPED
		       ? code
		       : err_prefix(err, "partition %" PRId32 " of topic \"%s\"", part->where.id,
				    part->where.topic);
}

/* Nobody can put what lacks of groups that are not whole; a sink would wait for ever. */
static enum err_code look_for_unfinished(struct restore *restore, struct err *err)
{
	const struct restore_options *options = restore->options;
	enum err_code code = ERR_OK;
	struct buf keys;

	buf_init(&keys, SIZE_MAX / 2);
	restore->report.unfinished = restore_unfinished(&restore->plan, &keys);
	if (restore->report.unfinished > 0 && !options->dry_run && !options->drop_unfinished)
		code = err_set(err, ERR_CORRUPT,
			       "\"%.*s\" names objects that are not all there: a sink was putting them, or is;"
			       " if none works on this lake any more, --drop-unfinished takes what is there"
			       " into the log, and away", (int)strcspn(buf_cstr(&keys), "\n"),
			       buf_cstr(&keys));
	else if (restore->report.unfinished > 0 && !options->dry_run)
		code = remake_note(restore->remake, RESTORE_NOTE, buf_slice(&keys), err);
	buf_release(&keys);
	return code;
}

static enum err_code make_log(struct restore *restore, struct err *err)
{
	enum err_code code = ERR_OK;
	struct remade remade;
	bool any;

	restore->parts = xcalloc(restore->plan.count, sizeof(*restore->parts));
	for (size_t i = 0; i < restore->plan.count && code == ERR_OK; i++)
		code = make_topic(restore, i, err);
	for (size_t i = 0; i < restore->plan.count && code == ERR_OK; i++) {
		const struct restore_topic *topic = restore->plan.topics[i];

		for (int32_t k = 0;
		     topic->kind == TOPIC_LOG && k < topic->part_count && code == ERR_OK; k++)
			code = restore_part_records(restore, topic->parts[k], restore->parts[i][k],
						    &restore->report.topics[i], err);
	}
	if (code == ERR_OK)
		code = remake_end(restore->remake, &remade, err);
	if (code == ERR_OK)
		restore->report.log_bytes = remade.bytes;
	if (code == ERR_OK)
		code = restore_drop(restore->options->store, restore->options->dir, &any, err);
	for (size_t i = 0; i < restore->plan.count; i++)
		free(restore->parts[i]);
	free(restore->parts);
	return code;
}

enum err_code restore_run(const struct restore_options *options, struct restore_report *ret_report,
			  struct err *err)
{
	struct restore restore = { .options = options, .told_ms = clock_mono_ms() };
	enum err_code code = ERR_OK;

	if (!options->dry_run)
		code = restore_drop(options->store, options->dir, &restore.report.went_on, err);
	if (code != ERR_OK || restore.report.went_on) {
		*ret_report = restore.report;
		return code;
	}
	if (!options->dry_run)
		code = remake_begin(options->dir, options->segment_bytes, &restore.remake, err);
	if (code == ERR_OK)
		code = restore_plan(options->store, &restore.plan, err);
	if (code == ERR_OK && restore.plan.count == 0)
		code = err_set(err, ERR_ABSENT, "the lake has no objects of topics, and no tables of "
			       "streams");
	if (code == ERR_OK) {
		add_partitions(&restore);
		describe(&restore);
		code = look_for_unfinished(&restore, err);
	}
	if (code == ERR_OK && !options->dry_run)
		code = make_log(&restore, err);
	remake_free(restore.remake);
	restore_plan_release(&restore.plan);
	if (code == ERR_OK)
		*ret_report = restore.report;
	else
		restore_report_release(&restore.report);
	return code;
}

void restore_report_release(struct restore_report *report)
{
	free(report->topics);
	*report = (struct restore_report){ 0 };
}
