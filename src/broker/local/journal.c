#include "broker/local/journal.h"

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	STATE_BYTES_MAX = STATE_HEADER_BYTES + TOPICS_PARTITIONS_MAX * STATE_ENTRY_BYTES,
	LEAP_MS = 24 * 60 * 60 * 1000,
	SIZE_STEP = 4, /* segments grow by this until they have their full size */
};

/* A write of several batches: the first failure counts, and what follows it is left out. */
struct gather {
	struct journal *journal;
	enum err_code code;
	struct err *err;
};

static void journal_add(struct gather *gather, const void *bytes, size_t len)
{
	if (gather->code == ERR_OK)
		gather->code = stage_add(&gather->journal->stage, bytes, len, gather->err);
	gather->journal->at += len;
}

static void add_padding(struct gather *gather, uint64_t payload_bytes)
{
	static const char zeros[BATCH_ALIGN];

	journal_add(gather, zeros,
		    (size_t)(batch_padded(payload_bytes) - BATCH_HEADER_BYTES - payload_bytes));
}

static enum err_code journal_flush(struct gather *gather)
{
	if (gather->code == ERR_OK)
		gather->code = stage_flush(&gather->journal->stage, gather->err);
	return gather->code;
}

/* What every batch has in common; its place is where the bytes so far end. */
static struct batch next_batch(const struct gather *gather, enum batch_kind kind)
{
	const struct journal *journal = gather->journal;

	return (struct batch){
		.address = journal->at,
		.chain = journal->chain,
		.kind = kind,
		.epoch = journal->epoch,
		/* Until the state is durable nothing says that the segment before has ended. */
		.watermark = journal->state_due ? journal->previous_end : journal->synced,
		.timestamp_ms = journal->last_ms,
	};
}

static void add_state(struct gather *gather, unsigned char header[BATCH_HEADER_BYTES])
{
	struct journal *journal = gather->journal;
	struct batch batch = next_batch(gather, BATCH_STATE);
	struct slice payload = buf_slice(&journal->state);

	batch.uid = journal->life;
	batch.count = (uint32_t)((payload.len - STATE_HEADER_BYTES) / STATE_ENTRY_BYTES);
	batch.payload_bytes = (uint32_t)payload.len;
	batch.payload_crc = crc32c(0, payload.ptr, payload.len);
	batch_encode(&batch, header);
	journal->chain = batch.header_crc;
	journal_add(gather, header, BATCH_HEADER_BYTES);
	journal_add(gather, payload.ptr, payload.len);
	add_padding(gather, payload.len);
}

static void add_part(struct gather *gather, struct part *part, const struct lane *lane,
		     uint64_t ordinal)
{
	struct journal *journal = gather->journal;
	struct batch batch = next_batch(gather, BATCH_RECORDS);

	batch.payload_crc = crc32c(part->crc, part->last->bytes, part->last->len);
	batch.payload_bytes = (uint32_t)part->bytes;
	batch.uid = lane->uid;
	batch.partition = lane->partition->id;
	batch.count = part->count;
	batch.ordinal = ordinal;
	batch_encode(&batch, part->header);
	index_note(&journal->index, &batch);
	journal->chain = batch.header_crc;
	journal_add(gather, part->header, BATCH_HEADER_BYTES);
	for (const struct chunk *chunk = part->first; chunk; chunk = chunk->next)
		journal_add(gather, chunk->bytes, chunk->len);
	add_padding(gather, part->bytes);
}

/* Writes parts [from, to) of the group, after the state if that is due, and syncs. */
static enum err_code write_parts(struct journal *journal, struct commit_group *group, size_t from,
				 size_t to, struct err *err)
{
	struct gather gather = { .journal = journal, .err = err };
	unsigned char state_header[BATCH_HEADER_BYTES];
	int64_t sync_us;

	if (journal->state_due)
		add_state(&gather, state_header);
	for (size_t i = 0; i < group->lane_count; i++)
		group->lanes[i].written = group->lanes[i].durable;
	for (size_t i = from; i < to; i++) {
		struct lane *lane = &group->lanes[group->parts[i].lane];

		add_part(&gather, &group->parts[i], lane, lane->ordinal + lane->written);
		lane->written += group->parts[i].count;
	}
	errno = FAILPOINT("journal-write");
	if (errno != 0)
		return err_errno(err, "could not write the log");
	if (journal_flush(&gather) != ERR_OK)
		return gather.code;
	sync_us = clock_mono_us();
	errno = FAILPOINT("journal-written");
	if (errno != 0 || fdatasync(journal->segment.fd) < 0)
		return err_errno(err, "could not sync the log");
	histogram_note(HISTOGRAM_SYNC, clock_mono_us() - sync_us);
	return ERR_OK;
}

/* Where each partition ends now: on the page before the watermark that it belongs to. */
static void note_ends(struct journal *journal, const struct commit_group *group)
{
	struct watermark *watermark = journal->options.watermark;
	struct slice state = buf_slice(&journal->state);
	uint32_t count = (uint32_t)((state.len - STATE_HEADER_BYTES) / STATE_ENTRY_BYTES);

	watermark_ends_change(watermark, journal->at);
	if (journal->state_due) {
		watermark_ends_begin(watermark);
		for (uint32_t k = 0; k < count; k++) {
			struct state_entry entry = state_entry_decode(state, k);

			watermark_set_end(watermark, entry.uid, entry.partition, entry.next);
		}
		watermark_ends_done(watermark);
	}
	for (size_t i = 0; i < group->lane_count; i++) {
		const struct lane *lane = &group->lanes[i];

		watermark_set_end(watermark, lane->uid, lane->partition->id,
				  lane->ordinal + lane->written);
	}
}

/* All that was written is durable: tell readers. */
static void publish(struct journal *journal, const struct commit_group *group)
{
	(void)FAILPOINT("journal-synced");
	note_ends(journal, group);
	if (journal->state_due && journal->previous_index.base)
		keeper_complete(journal->options.keeper, &journal->previous_index, journal->at);
	if (journal->broken)
		keeper_set_broken(journal->options.keeper, NULL);
	journal->broken = false;
	journal->synced = journal->at;
	journal->state_due = false;
	journal->marked = false;
	(void)FAILPOINT("journal-ends");
	watermark_publish(journal->options.watermark, journal->synced);
	(void)FAILPOINT("journal-watermark");
}

/* It ends where a block does, as every write: so no write makes it longer. */
static void want_segment(struct journal *journal)
{
	uint64_t blocks = (journal->next_size + STAGE_BLOCK_BYTES - 1) / STAGE_BLOCK_BYTES;
	struct segment_header header = {
		.base = journal->next_base,
		.size = blocks * STAGE_BLOCK_BYTES,
		.epoch = journal->epoch,
		.log_id = journal->options.log_id,
		.life = journal->life,
		.created_ms = clock_wall_ms(),
	};

	keeper_want(journal->options.keeper, &header);
}

/* The state that the new segment begins with. */
static void begin_segment(struct journal *journal, const struct segment *segment)
{
	unsigned char header[STATE_HEADER_BYTES];

	journal->segment = *segment;
	journal->usable = true;
	journal->at = journal->synced = segment_start(segment);
	stage_start(&journal->stage, segment->fd, SEGMENT_HEADER_BYTES, "a log segment");
	index_release(&journal->index);
	index_init(&journal->index, segment->header.base);
	journal->chain = segment->header.crc;
	journal->next_base = segment_limit(segment);
	journal->next_size = segment->header.size * SIZE_STEP;
	if (journal->next_size > journal->options.segment_bytes)
		journal->next_size = journal->options.segment_bytes;
	journal->state_due = true;
	state_encode(journal->previous_base, journal->previous_end, header);
	buf_clear(&journal->state);
	buf_add(&journal->state, header, sizeof(header));
	journal->options.put_state(journal->options.user, &journal->state);
}

/* A segment in which nothing became durable is not part of the log and must not stay. */
static enum err_code remove_void(struct journal *journal, struct err *err)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(journal->segment.header.base, "segment", name);
	if (unlinkat(journal->options.dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_errno(err, "could not remove log segment \"%s\"", name);
	return dir_sync(journal->options.dir_fd, err);
}

/* Goes on in a new segment. On failure there is none, and nothing was written. */
static enum err_code roll(struct journal *journal, struct err *err)
{
	enum err_code code = ERR_OK;
	struct segment segment;

	if (journal->segment.fd >= 0 && journal->state_due) {
		code = remove_void(journal, err);
	} else if (journal->segment.fd >= 0) {
		journal->previous_base = journal->segment.header.base;
		journal->previous_end = journal->synced;
		index_release(&journal->previous_index);
		journal->previous_index = journal->index;
		index_init(&journal->index, 0);
	}
	journal->usable = false;
	if (code == ERR_OK) {
		segment_close(&journal->segment);
		code = keeper_take(journal->options.keeper, &segment, err);
	}
	if (code != ERR_OK)
		return code == ERR_SPACE ? ERR_SPACE : ERR_BUSY;
	(void)FAILPOINT("segment-roll");
	begin_segment(journal, &segment);
	want_segment(journal);
	return ERR_OK;
}

/* What the device really holds of the acknowledged part; a failed sync may have cost more. */
static void read_back(const struct journal *journal)
{
	enum scan_result result = SCAN_BATCH;
	struct slice payload;
	struct batch batch;
	struct scan scan;
	struct err err;
	int64_t bad = 0;

	direct_set(journal->segment.fd, false);
	(void)posix_fadvise(journal->segment.fd, 0, 0, POSIX_FADV_DONTNEED);
	scan_init(&scan);
	scan_seek(&scan, journal->segment.fd, journal->segment.header.base,
		  segment_start(&journal->segment), journal->synced);
	while (result != SCAN_END && result != SCAN_FAILED) {
		result = scan_next(&scan, &batch, &payload);
		bad += result == SCAN_DAMAGED || result == SCAN_BAD;
		if (result == SCAN_BAD)
			result = scan_resync(&scan);
	}
	if (result == SCAN_FAILED && scan_error(&scan, &err))
		trace_error("%s", err.msg);
	scan_release(&scan);
	metric_add(METRIC_LOG_DAMAGE, bad);
	if (bad > 0)
		trace_error("%" PRId64 " batches of log segment %020" PRIu64
			    " that were durable are damaged",
			    bad, journal->segment.header.base);
}

static void poison(struct journal *journal, const struct err *err)
{
	trace_error("log segment %020" PRIu64 " is given up: %s", journal->segment.header.base,
		    err->msg);
	journal->usable = false;
	index_release(&journal->index); /* some of it was not written */
	index_init(&journal->index, journal->segment.header.base);
	read_back(journal);
}

/* Two segments in turn could not be written: take nothing until a third one could. */
static void break_off(struct journal *journal, const struct err *err)
{
	journal->broken = true;
	keeper_set_broken(journal->options.keeper, err);
}

/* How many of the parts from `from` on fit into the segment. */
static size_t fit(const struct journal *journal, const struct commit_group *group, size_t from)
{
	uint64_t room = segment_limit(&journal->segment) - journal->at;
	uint64_t state = journal->state_due ? batch_padded(journal->state.len) : 0;
	size_t to = from;

	if (state > room)
		return from;
	room -= state;
	while (to < group->part_count && batch_padded(group->parts[to].bytes) <= room)
		room -= batch_padded(group->parts[to++].bytes);
	return to;
}

bool journal_has_room(const struct journal *journal, const struct commit_group *group)
{
	return journal->usable && !journal->state_due &&
	       fit(journal, group, 0) == group->part_count;
}

static void parts_durable(struct journal *journal, struct commit_group *group)
{
	for (size_t i = 0; i < group->lane_count; i++)
		group->lanes[i].durable = group->lanes[i].written;
	journal->options.durable(journal->options.user, group);
}

/*
 * A clock that leaps by over a day while this runs is wrong, or was: records go on in the time
 * that passes, since retention would take those before the leap for old.
 */
static void take_time(struct journal *journal)
{
	int64_t now = clock_wall_ms(), boot = clock_boot_ms();
	int64_t expected = journal->wall_ms + boot - journal->boot_ms;

	if (journal->boot_ms > 0 && llabs(now - expected) > LEAP_MS) {
		if (!journal->leapt)
			trace_warn("the clock has leapt by %" PRId64 " s: records keep to the time"
				   " before until a restart",
				   (now - expected) / 1000);
		journal->leapt = true;
		now = expected;
	}
	journal->wall_ms = now;
	journal->boot_ms = boot;
	if (now > journal->last_ms)
		journal->last_ms = now;
}

static void journal_enter(struct journal *journal)
{
	bool busy = atomic_exchange(&journal->busy, true);

	assert(!busy);
}

static void journal_leave(struct journal *journal) { atomic_store(&journal->busy, false); }

static void begin_group(struct journal *journal, struct commit_group *group)
{
	take_time(journal);
	for (size_t i = 0; i < group->lane_count; i++)
		group->lanes[i].ordinal = group->lanes[i].partition->next;
}

/* `again`: a write of it has failed, so the next one is the second attempt. */
static void write_group(struct journal *journal, struct commit_group *group, bool again)
{
	struct err err = { 0 };
	size_t from = 0, to;

	while (from < group->part_count) {
		bool fresh = !journal->usable;
		enum err_code code = fresh ? roll(journal, &err) : ERR_OK;

		if (code != ERR_OK) {
			group->failure = again ? ERR_UNKNOWN : code;
			return;
		}
		to = fit(journal, group, from);
		if (to == from && fresh) {
			group->failure = ERR_LIMIT;
			return;
		}
		if (to == from) {
			journal->usable = false;
			continue;
		}
		code = write_parts(journal, group, from, to, &err);
		if (code == ERR_OK) {
			publish(journal, group);
			parts_durable(journal, group);
			from = to;
			again = false;
			continue;
		}
		poison(journal, &err);
		if (again) {
			break_off(journal, &err);
			group->failure = ERR_UNKNOWN;
			return;
		}
		again = true;
	}
}

void journal_commit(struct journal *journal, struct commit_group *group)
{
	bool tried = journal->tried;

	journal_enter(journal);
	if (tried)
		poison(journal, &journal->failure);
	else
		begin_group(journal, group);
	journal->tried = false;
	write_group(journal, group, tried);
	journal_leave(journal);
}

bool journal_try(struct journal *journal, struct commit_group *group)
{
	journal_enter(journal);
	assert(journal_has_room(journal, group) && !journal->tried);
	begin_group(journal, group);
	journal->tried =
		write_parts(journal, group, 0, group->part_count, &journal->failure) != ERR_OK;
	if (!journal->tried) {
		publish(journal, group);
		parts_durable(journal, group);
	}
	journal_leave(journal);
	return !journal->tried;
}

/* Try whether a new segment can be written. */
static void journal_mend(struct journal *journal)
{
	struct commit_group nothing;
	struct err err = { 0 };

	commit_group_init(&nothing);
	take_time(journal);
	if (roll(journal, &err) != ERR_OK)
		return;
	if (write_parts(journal, &nothing, 0, 0, &err) == ERR_OK)
		publish(journal, &nothing);
	else
		poison(journal, &err);
}

static void mark_end(struct journal *journal)
{
	struct gather gather = { .journal = journal };
	const struct commit_group nothing = { 0 };
	unsigned char header[BATCH_HEADER_BYTES];
	struct err err = { 0 };
	struct batch batch;

	if (journal->marked || !journal->usable || journal->state_due ||
	    segment_limit(&journal->segment) - journal->at < BATCH_HEADER_BYTES)
		return;
	take_time(journal);
	gather.err = &err;
	batch = next_batch(&gather, BATCH_MARK);
	batch_encode(&batch, header);
	journal_add(&gather, header, sizeof(header));
	if (journal_flush(&gather) == ERR_OK && fdatasync(journal->segment.fd) < 0)
		gather.code = err_errno(&err, "could not sync the log");
	if (gather.code != ERR_OK) {
		poison(journal, &err);
		return;
	}
	journal->chain = batch.header_crc;
	publish(journal, &nothing);
	journal->marked = true;
}

void journal_rest(struct journal *journal)
{
	journal_enter(journal);
	(void)FAILPOINT("journal-rest");
	if (journal->broken)
		journal_mend(journal);
	mark_end(journal);
	journal_leave(journal);
}

/* What was read of the tail may be in the page cache only; a power cut must not undo it. */
static enum err_code settle_tail(int dir_fd, const struct recovery *plan, struct err *err)
{
	char name[SEGMENT_NAME_MAX];
	enum err_code code = ERR_OK;
	int fd;

	errno = FAILPOINT("recovery-cut");
	if (errno != 0)
		return err_errno(err, "could not recover the log");
	for (size_t i = plan->empty ? 0 : plan->tail + 1; i < plan->count; i++) {
		code = segment_retire(dir_fd, plan->bases[i], err);
		if (code != ERR_OK)
			return code;
	}
	if (plan->empty)
		return ERR_OK;
	segment_name(plan->bases[plan->tail], "segment", name);
	fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fdatasync(fd) < 0)
		code = err_errno(err, "could not sync log segment \"%s\"", name);
	if (fd >= 0)
		(void)close(fd);
	return code;
}

/* What the tail's file holds beyond its end will not be needed; give the space back. */
static void trim_tail(int dir_fd, const struct recovery *plan)
{
	uint64_t used = plan->empty ? 0 : plan->end - plan->bases[plan->tail];
	char name[SEGMENT_NAME_MAX];
	int fd;

	if (plan->empty)
		return;
	segment_name(plan->bases[plan->tail], "segment", name);
	fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	(void)!ftruncate(fd, (off_t)((used + SEGMENT_HEADER_BYTES - 1) / SEGMENT_HEADER_BYTES *
				     SEGMENT_HEADER_BYTES));
	(void)close(fd);
}

static void tell(const struct recovery *plan)
{
	if (plan->cut_bytes > 0)
		trace_warn("the log had an unfinished tail: up to %" PRIu64
			   " bytes after address %" PRIu64 " are left out",
			   plan->cut_bytes, plan->end);
	if (plan->damaged > 0)
		trace_error("%zu places of the log below its durable watermark are damaged",
			    plan->damaged);
	metric_add(METRIC_LOG_DAMAGE, (int64_t)plan->damaged);
}

enum err_code journal_open(struct journal *journal, const struct journal_options *options,
			   const struct recovery *plan, struct err *err)
{
	struct commit_group nothing;
	enum err_code code = settle_tail(options->dir_fd, plan, err);

	if (code != ERR_OK)
		return code;
	*journal = (struct journal){
		.options = *options,
		.segment = { .fd = -1 },
		.previous_base = plan->empty ? 0 : plan->bases[plan->tail],
		.previous_end = plan->empty ? 0 : plan->end,
		.next_base = plan->next_base ? plan->next_base : SEGMENT_HEADER_BYTES,
		.next_size = options->first_bytes,
		.epoch = plan->epoch + 1,
		.last_ms = plan->newest_ms,
	};
	while (journal->life == 0)
		(void)!getrandom(&journal->life, sizeof(journal->life), 0);
	buf_init(&journal->state, STATE_BYTES_MAX);
	index_init(&journal->index, 0);
	index_init(&journal->previous_index, journal->previous_base);
	stage_init(&journal->stage);
	tell(plan);
	want_segment(journal);
	code = roll(journal, err);
	commit_group_init(&nothing);
	if (code == ERR_OK) {
		take_time(journal);
		errno = FAILPOINT("recovery-state");
		code = errno ? err_errno(err, "could not begin the log")
			     : write_parts(journal, &nothing, 0, 0, err);
	}
	if (code == ERR_OK) {
		publish(journal, &nothing);
		trim_tail(options->dir_fd, plan);
	} else {
		journal->usable = false;
		journal_close(journal);
	}
	return code;
}

void journal_close(struct journal *journal)
{
	journal_rest(journal);
	segment_close(&journal->segment);
	buf_release(&journal->state);
	index_release(&journal->index);
	index_release(&journal->previous_index);
	stage_release(&journal->stage);
}
