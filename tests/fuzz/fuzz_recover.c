/*
 * Recovery of a log of one segment. Its end is where the description in journal.h puts it, so
 * nothing that is durable is cut and nothing unproven is kept; no ordinal can be given twice; it
 * may be repeated; and once the next segment's state is written, there is nothing more to do.
 */
#include "broker/local/recover.h"
#include "broker/local/segment.h"
#include "log_pieces.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STATE_ENTRIES_MAX = 160,	/* 48 pieces of at most 3 */
	REPEAT_EVERY = 8,		/* lengths of the input; a plan is a quarter of the time */
};

static struct log_pieces *pieces;
static char dir[64];
static int dir_fd = -1, fd = -1;

static void clean_up(void)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(LOG_BASE, "segment", name);
	(void)unlinkat(dir_fd, name, 0);
	(void)rmdir(dir);
}

static void set_up(void)
{
	char name[SEGMENT_NAME_MAX];

	pieces = xcalloc(1, sizeof(*pieces));
	(void)snprintf(dir, sizeof(dir), "%s/pinpipe-fuzz.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_MUST(mkdtemp(dir) != NULL);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	segment_name(LOG_BASE, "segment", name);
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	FUZZ_MUST(dir_fd >= 0 && fd >= 0 && atexit(clean_up) == 0);
}

static void write_segment(bool header_bad)
{
	unsigned char header[SEGMENT_HEADER_BYTES];
	size_t bytes = log_bytes(pieces);

	segment_header_encode(&pieces->header, header);
	header[20] ^= header_bad;
	FUZZ_MUST(pwrite(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header));
	FUZZ_MUST(pwrite(fd, pieces->bytes, bytes, sizeof(header)) == (ssize_t)bytes);
	FUZZ_MUST(ftruncate(fd, (off_t)(pieces->limit - LOG_BASE)) == 0);
}

static struct recovery plan_now(uint64_t published)
{
	struct err err = { 0 };
	struct recovery plan;

	FUZZ_MUST(recover_plan(dir_fd, published, NULL, &plan, &err) == ERR_OK);
	return plan;
}

/* Where the log ends by the description, the watermark being known. */
static uint64_t end_of_log(uint64_t watermark, bool chained)
{
	uint32_t chain = pieces->header.crc;
	uint64_t end = LOG_START;

	for (size_t i = 0; i < pieces->count; i++) {
		const struct log_piece *piece = &pieces->pieces[i];
		uint64_t at = piece->batch.address;
		bool linked = piece->whole && (!chained || piece->batch.chain == chain);

		if (!piece->found)
			continue;
		if (at != end) {	/* there is a bad place before it */
			if (end >= watermark || at > watermark)
				break;
			linked = piece->whole;
		}
		if (at >= watermark && !linked) {
			end = at;
			break;
		}
		chain = piece->batch.header_crc;
		chained = true;
		end = piece->end;
	}
	if (end >= watermark)
		return end;
	return watermark < pieces->limit ? watermark : pieces->limit;
}

static void check_ordinals(const struct recovery *plan)
{
	for (size_t i = 0; i < pieces->count; i++) {
		const struct batch *batch = &pieces->pieces[i].batch;
		bool counts = batch->kind == BATCH_RECORDS || batch->kind == BATCH_GAP;
		const struct ordinal *ordinal;

		if (!pieces->pieces[i].found || !counts ||
		    pieces->pieces[i].end > plan->end)
			continue;
		ordinal = ordinals_find(&plan->ordinals, batch->uid, batch->partition);
		FUZZ_MUST(ordinal && ordinal->next >= batch->ordinal + batch->count);
	}
}

/* Step 4: the next segment's state is durable. */
static void write_next(const struct recovery *plan, struct batch *ret_state)
{
	struct segment_header header = { .base = plan->next_base, .epoch = plan->epoch + 1 };
	static unsigned char file[SEGMENT_HEADER_BYTES + 4096];
	unsigned char *state = file + SEGMENT_HEADER_BYTES, *payload = state + BATCH_HEADER_BYTES;
	char name[SEGMENT_NAME_MAX];
	size_t len = STATE_HEADER_BYTES;
	int next;

	memset(file, 0, sizeof(file));
	header.size = sizeof(file);
	segment_header_encode(&header, file);
	state_encode(plan->bases[plan->tail], plan->end, payload);
	*ret_state = (struct batch){ .address = header.base + SEGMENT_HEADER_BYTES,
				     .chain = header.crc, .kind = BATCH_STATE,
				     .epoch = header.epoch, .watermark = plan->end };
	for (size_t i = 0; i < plan->ordinals.cap; i++) {
		const struct ordinal *from = &plan->ordinals.places[i];

		if (!from->uid || ret_state->count == STATE_ENTRIES_MAX)
			continue;
		state_entry_encode((struct state_entry){ from->uid, from->partition, from->next },
				   payload + len);
		len += STATE_ENTRY_BYTES;
		ret_state->count++;
	}
	ret_state->payload_bytes = (uint32_t)len;
	ret_state->payload_crc = crc32c(0, payload, len);
	batch_encode(ret_state, state);
	segment_name(header.base, "segment", name);
	next = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FUZZ_MUST(next >= 0 && write(next, file, sizeof(file)) == (ssize_t)sizeof(file));
	(void)close(next);
}

static void check_carried_out(const struct recovery *plan)
{
	char name[SEGMENT_NAME_MAX];
	struct recovery after;
	struct batch state;

	write_next(plan, &state);
	after = plan_now(batch_end(&state));
	FUZZ_MUST(after.count == 2 && after.tail == 1 && after.end == batch_end(&state));
	FUZZ_MUST(after.cut_bytes == 0 && after.damaged == 0 && after.epoch == plan->epoch + 1);
	for (size_t i = 0; i < plan->ordinals.cap; i++) {
		const struct ordinal *was = &plan->ordinals.places[i], *is;

		if (!was->uid)
			continue;
		is = ordinals_find(&after.ordinals, was->uid, was->partition);
		FUZZ_MUST(is && is->next == was->next);
	}
	recovery_release(&after);
	segment_name(plan->next_base, "segment", name);
	FUZZ_MUST(unlinkat(dir_fd, name, 0) == 0);
}

static void check_repeatable(const struct recovery *plan, uint64_t published)
{
	struct recovery again = plan_now(published);

	FUZZ_MUST(plan->end == again.end && plan->empty == again.empty);
	FUZZ_MUST(plan->watermark == again.watermark && plan->damaged == again.damaged);
	recovery_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice input = slice_of(data, len);
	bool header_bad = fuzz_take(&input) >= 240;
	uint64_t published = fuzz_take(&input);
	struct recovery plan;

	if (!pieces)
		set_up();
	published = published < 64 ? 0 : LOG_START + (published - 64) * 32;
	log_build(pieces, &input, header_bad);
	write_segment(header_bad);
	plan = plan_now(published);
	FUZZ_MUST(plan.watermark >= published);
	if (len % REPEAT_EVERY == 0)
		check_repeatable(&plan, published);
	if (!plan.empty) {
		FUZZ_MUST(plan.end == end_of_log(plan.watermark, !header_bad));
		check_ordinals(&plan);
		check_carried_out(&plan);
	}
	recovery_release(&plan);
	return 0;
}
