#include "broker/local/journal_check.h"

#include "base/mem.h"
#include "broker/local/catalog.h"
#include "broker/local/cursor.h"
#include "broker/local/recover.h"
#include "broker/local/watermark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

struct check {
	int dir_fd;
	struct topics topics;
	struct journal_report report;
	uint64_t header_base;	/* of the last segment whose header was checked */
	struct ordinals places; /* uid, partition -> place in report.partitions + 1 */
	void (*each)(void *user, const char *what);
	void *user;
};

static void journal_check_say(struct check *check, const char *fmt, ...) PRINTF(2, 3);

static void journal_check_say(struct check *check, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (check->each)
		check->each(check->user, text);
}

static struct check_partition new_partition(const struct check *check, uint64_t uid, int32_t id)
{
	const struct topic *topic = topics_find_uid(&check->topics, uid);
	struct check_partition partition = { .uid = uid, .partition = id };

	if (topic) {
		partition.known = true;
		partition.kind = topic->kind;
		memcpy(partition.name, topic->name, sizeof(partition.name));
	}
	return partition;
}

static struct check_partition *journal_check_get(struct check *check, uint64_t uid, int32_t id)
{
	struct journal_report *report = &check->report;
	struct ordinal *place = ordinals_get(&check->places, uid, id);

	if (place->next == 0) {
		report->partitions = xreallocarray(report->partitions, report->partition_count + 1,
						   sizeof(*report->partitions));
		report->partitions[report->partition_count++] = new_partition(check, uid, id);
		place->next = report->partition_count;
	}
	return &report->partitions[place->next - 1];
}

/* The partition's ordinals go on at `ordinal`. */
static void expect(struct check *check, struct check_partition *partition, uint64_t ordinal)
{
	const char *name = partition->known ? partition->name : "a removed topic";

	if (!partition->sure) {
		partition->first = partition->next = ordinal;
		partition->sure = true;
	}
	if (ordinal > partition->next) {
		partition->lost += ordinal - partition->next;
		journal_check_say(
			check, "partition %" PRId32 " of %s lacks ordinals %" PRIu64 " to %" PRIu64,
			partition->partition, name, partition->next, ordinal - 1);
	}
	if (ordinal < partition->next) {
		partition->doubled += partition->next - ordinal;
		journal_check_say(
			check, "partition %" PRId32 " of %s has ordinals from %" PRIu64 " on again",
			partition->partition, name, ordinal);
	}
	partition->next = ordinal;
}

static bool records_are_whole(const struct batch *batch, struct slice payload)
{
	struct batch_record record;

	for (uint32_t i = 0; i < batch->count; i++)
		if (!record_decode(&payload, &record))
			return false;
	return payload.len == 0;
}

static void check_records(struct check *check, const struct batch *batch, struct slice payload)
{
	struct check_partition *partition = journal_check_get(check, batch->uid, batch->partition);

	expect(check, partition, batch->ordinal);
	partition->next = batch->ordinal + batch->count;
	if (!records_are_whole(batch, payload)) {
		check->report.damaged++;
		partition->lost += batch->count;
		journal_check_say(check,
				  "the batch at address %" PRIu64 " has records of a wrong length",
				  batch->address);
		return;
	}
	partition->records += batch->count;
	check->report.records += batch->count;
}

/* What is not there, and never was here. */
static void check_gap(struct check *check, const struct batch *batch, struct slice payload)
{
	struct check_partition *partition = journal_check_get(check, batch->uid, batch->partition);
	enum gap_reason reason;

	expect(check, partition, batch->ordinal);
	partition->next = batch->ordinal + batch->count;
	if (gap_decode(payload, &reason))
		return;
	check->report.damaged++;
	journal_check_say(check, "the gap at address %" PRIu64 " has no reason", batch->address);
}

static void check_state(struct check *check, const struct batch *batch, struct slice payload)
{
	uint64_t base, end;

	if (!state_decode(payload, &base, &end) ||
	    batch->count != (payload.len - STATE_HEADER_BYTES) / STATE_ENTRY_BYTES) {
		check->report.damaged++;
		journal_check_say(check, "the state at address %" PRIu64 " has a wrong length",
				  batch->address);
		return;
	}
	for (uint32_t k = 0; k < batch->count; k++) {
		struct state_entry entry = state_entry_decode(payload, k);

		expect(check, journal_check_get(check, entry.uid, entry.partition), entry.next);
	}
}

static void journal_check_take(struct check *check, enum cursor_result result,
			       const struct cursor *cursor, const struct batch *batch,
			       struct slice payload)
{
	switch (result) {
	case CURSOR_BATCH:
		check->report.batches++;
		check->report.bytes += batch_padded(batch->payload_bytes);
		if (batch->kind == BATCH_RECORDS)
			check_records(check, batch, payload);
		else if (batch->kind == BATCH_GAP)
			check_gap(check, batch, payload);
		else if (batch->kind == BATCH_STATE)
			check_state(check, batch, payload);
		break;
	case CURSOR_DAMAGED:
		check->report.damaged++;
		journal_check_say(check,
				  "the batch at address %" PRIu64 " of segment %020" PRIu64
				  " is damaged",
				  batch->address, cursor->segment.header.base);
		break;
	case CURSOR_HOLE:
		check->report.damaged++;
		journal_check_say(check,
				  "segment %020" PRIu64 " is damaged before address %" PRIu64,
				  cursor->segment.header.base, cursor->at);
		break;
	case CURSOR_JUMPED: /* retention was faster */
		for (size_t i = 0; i < check->report.partition_count; i++)
			check->report.partitions[i].sure = false;
		break;
	case CURSOR_WAIT:
		break;
	}
}

/* Nothing in a segment's header is needed to read it, but damage is damage. */
static void check_header(struct check *check, const struct segment *segment)
{
	if (segment->fd < 0 || segment->header.base == check->header_base)
		return;
	check->header_base = segment->header.base;
	if (segment->header_good)
		return;
	check->report.damaged++;
	journal_check_say(check, "the header of segment %020" PRIu64 " is damaged",
			  segment->header.base);
}

static enum err_code journal_check_walk(struct check *check, struct err *err)
{
	enum cursor_result result = CURSOR_BATCH;
	enum err_code code = ERR_OK;
	struct cursor cursor;
	struct slice payload;
	struct batch batch;

	cursor_init(&cursor, check->dir_fd);
	while (code == ERR_OK && result != CURSOR_WAIT) {
		code = cursor_next(&cursor, check->report.watermark, &result, &batch, &payload,
				   err);
		check_header(check, &cursor.segment);
		if (code == ERR_OK)
			journal_check_take(check, result, &cursor, &batch, payload);
	}
	cursor_release(&cursor);
	return code;
}

static void check_catalog(struct check *check)
{
	struct err why;

	if (catalog_check(check->dir_fd, &why) == ERR_OK)
		return;
	check->report.damaged++;
	journal_check_say(check, "of the list of topics, of which there are two, %s", why.msg);
}

/* What the file says, or, where that says nothing, what the log itself proves. */
static enum err_code journal_check_find_watermark(struct check *check, uint64_t log_id,
						  struct err *err)
{
	struct watermark watermark = { 0 };
	struct recovery plan;
	enum err_code code;

	if (watermark_open(check->dir_fd, WATERMARK_READ, log_id, &watermark, err) == ERR_OK)
		check->report.watermark = watermark_get(&watermark);
	watermark_close(&watermark);
	if (check->report.watermark > 0)
		return ERR_OK;
	code = recover_plan(check->dir_fd, 0, NULL, &plan, err);
	if (code == ERR_OK) {
		check->report.watermark = plan.watermark;
		recovery_release(&plan);
	}
	return code;
}

static int partition_cmp(const void *a, const void *b)
{
	const struct check_partition *x = a, *y = b;
	int cmp;

	if (x->known != y->known)
		return x->known ? -1 : 1;
	if (x->kind != y->kind)
		return (int)x->kind - (int)y->kind;
	cmp = strcmp(x->name, y->name);
	if (cmp != 0)
		return cmp;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->partition - y->partition;
}

enum err_code journal_check(const char *dir, void (*each)(void *user, const char *what), void *user,
			    struct journal_report *ret_report, struct err *err)
{
	struct check check = { .each = each, .user = user };
	char path[4096];
	uint64_t log_id;
	enum err_code code;

	(void)snprintf(path, sizeof(path), "%s/log", dir);
	check.dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (check.dir_fd < 0 && errno == ENOENT)
		return err_set(err, ERR_ABSENT, "there is no pinpipe data in \"%s\"", dir);
	if (check.dir_fd < 0)
		return err_errno(err, "could not open the log in \"%s\"", dir);
	topics_init(&check.topics);
	ordinals_init(&check.places);
	code = catalog_load(check.dir_fd, &check.topics, &log_id, err);
	if (code == ERR_OK)
		code = journal_check_find_watermark(&check, log_id, err);
	if (code == ERR_OK)
		check_catalog(&check);
	if (code == ERR_OK)
		code = journal_check_walk(&check, err);
	if (code == ERR_OK && check.report.partition_count > 0)
		qsort(check.report.partitions, check.report.partition_count,
		      sizeof(*check.report.partitions), partition_cmp);
	topics_release(&check.topics);
	ordinals_release(&check.places);
	(void)close(check.dir_fd);
	if (code != ERR_OK)
		journal_report_release(&check.report);
	else
		*ret_report = check.report;
	return code == ERR_OK ? code : err_prefix(err, "log in \"%s\"", dir);
}

bool journal_report_is_sound(const struct journal_report *report)
{
	if (report->damaged > 0)
		return false;
	for (size_t i = 0; i < report->partition_count; i++)
		if (report->partitions[i].lost > 0 || report->partitions[i].doubled > 0)
			return false;
	return true;
}

void journal_report_release(struct journal_report *report)
{
	free(report->partitions);
	*report = (struct journal_report){ 0 };
}
