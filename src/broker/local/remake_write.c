#include "broker/local/remake_inside.h"

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stop.h"
#include "broker/local/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { WRITE_BYTES = 4 << 20 };

static enum err_code remake_flush(struct remake *remake, struct err *err)
{
	struct remake_segment *segment = &remake->segment;
	uint64_t from = segment->at - segment->bytes.len - segment->header.base;
	enum err_code code;

	if (stop_requested())
		return err_set(err, ERR_STOPPED, "stopped");
	errno = FAILPOINT("remake-written");
	if (errno != 0)
		return err_errno(err, "could not write a log segment");
	code = file_write_at(segment->fd, segment->bytes.ptr, segment->bytes.len, from,
			     "a log segment", err);
	buf_clear(&segment->bytes);
	return code;
}

/* Adds bytes to the segment and fills up to where the next batch begins. */
static void put_batch(struct remake_segment *segment, struct batch *batch, struct slice payload)
{
	static const char zeros[BATCH_ALIGN];
	unsigned char header[BATCH_HEADER_BYTES];

	batch->address = batch->watermark = segment->at;
	batch->chain = segment->chain;
	batch->epoch = segment->header.epoch;
	batch->payload_bytes = (uint32_t)payload.len;
	batch->payload_crc = crc32c(0, payload.ptr, payload.len);
	batch_encode(batch, header);
	segment->chain = batch->header_crc;
	buf_add(&segment->bytes, header, sizeof(header));
	buf_add_slice(&segment->bytes, payload);
	buf_add(&segment->bytes, zeros,
		(size_t)(batch_padded(payload.len) - sizeof(header) - payload.len));
	assert(!buf_full(&segment->bytes));
	segment->at = batch_end(batch);
}

/* Where every partition is, and what the segment before was. */
static void put_state_batch(struct remake *remake)
{
	unsigned char bytes[STATE_HEADER_BYTES + STATE_ENTRY_BYTES];
	struct batch batch = { .kind = BATCH_STATE, .timestamp_ms = remake->now_ms,
			       .uid = remake->segment.header.life };
	struct buf state;

	buf_init(&state, STATE_HEADER_BYTES + TOPICS_PARTITIONS_MAX * STATE_ENTRY_BYTES);
	state_encode(remake->previous_base, remake->previous_end, bytes);
	buf_add(&state, bytes, STATE_HEADER_BYTES);
	for (size_t i = 0; i < remake->list_count; i++)
		for (int32_t k = 0; k < remake->list_counts[i]; k++) {
			const struct remake_part *part = &remake->lists[i][k];
			struct state_entry entry = { .uid = part->partition->topic->uid,
						     .partition = k,
						     .next = part->written };

			state_entry_encode(entry, bytes);
			buf_add(&state, bytes, STATE_ENTRY_BYTES);
			batch.count++;
		}
	put_batch(&remake->segment, &batch, buf_slice(&state));
	buf_release(&state);
}

/* Its length is one of whole blocks, so that the next segment begins at one. */
static enum err_code end_segment(struct remake *remake, struct err *err)
{
	struct remake_segment *segment = &remake->segment;
	uint64_t used = segment->at - segment->header.base;
	uint64_t blocks = (used + SEGMENT_HEADER_BYTES - 1) / SEGMENT_HEADER_BYTES;
	enum err_code code = ERR_OK;

	if (segment->fd < 0)
		return ERR_OK;
	code = remake_flush(remake, err);
	if (code == ERR_OK && (ftruncate(segment->fd, (off_t)(blocks * SEGMENT_HEADER_BYTES)) < 0 ||
			       fsync(segment->fd) < 0))
		code = err_errno(err, "could not sync a log segment");
	(void)close(segment->fd);
	segment->fd = -1;
	remake->previous_base = segment->header.base;
	remake->previous_end = segment->at;
	remake->made.segments++;
	remake->made.bytes += used;
	segment->header.base += blocks * SEGMENT_HEADER_BYTES;
	return code;
}

static enum err_code remake_begin_segment(struct remake *remake, uint64_t life, uint64_t room,
					  struct err *err)
{
	struct remake_segment *segment = &remake->segment;
	unsigned char bytes[SEGMENT_HEADER_BYTES];
	char name[SEGMENT_NAME_MAX];

	segment->header.epoch += segment->header.life != life;
	segment->header.life = life;
	segment->header.size = room;
	segment_header_encode(&segment->header, bytes);
	segment_name(segment->header.base, "segment", name);
	segment->fd = openat(remake->part_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (segment->fd < 0)
		return err_errno(err, "could not create a log segment");
	buf_add(&segment->bytes, bytes, sizeof(bytes));
	segment->at = segment->header.base + sizeof(bytes);
	segment->chain = segment->header.crc;
	segment->used = false;
	put_state_batch(remake);
	return ERR_OK;
}

/* A segment of this life with room for a batch of so many bytes. */
static enum err_code make_room(struct remake *remake, uint64_t life, uint64_t bytes,
			       struct err *err)
{
	struct remake_segment *segment = &remake->segment;
	uint64_t used = segment->at - segment->header.base, room = remake->segment_bytes;
	enum err_code code;

	if (segment->fd >= 0 && segment->header.life == life &&
	    (!segment->used || used + bytes <= room))
		return ERR_OK;
	code = end_segment(remake, err);
	return code == ERR_OK ? remake_begin_segment(remake, life, room, err) : code;
}

static enum err_code put(struct remake_part *part, struct batch *batch, struct slice payload,
			 struct err *err)
{
	struct remake *remake = part->remake;
	enum err_code code =
		make_room(remake, part->life, batch_padded(payload.len), err);

	if (code != ERR_OK)
		return code;
	batch->timestamp_ms = remake->now_ms;
	batch->uid = part->partition->topic->uid;
	batch->partition = part->partition->id;
	batch->ordinal = part->written;
	put_batch(&remake->segment, batch, payload);
	remake->segment.used = true;
	part->written += batch->count;
	return remake->segment.bytes.len >= WRITE_BYTES ? remake_flush(remake, err) : ERR_OK;
}

static enum err_code write_gap(struct remake_part *part, struct err *err)
{
	unsigned char bytes[GAP_BYTES];
	enum err_code code = ERR_OK;

	gap_encode(part->reason, bytes);
	while (part->gap > 0 && code == ERR_OK) {
		uint32_t count = part->gap < UINT32_MAX ? (uint32_t)part->gap : UINT32_MAX;
		struct batch batch = { .kind = BATCH_GAP, .count = count };

		part->gap -= count;
		code = put(part, &batch, slice_of(bytes, sizeof(bytes)), err);
	}
	return code;
}

enum err_code remake_write_part(struct remake_part *part, uint32_t kept, struct err *err)
{
	struct batch batch = { .kind = BATCH_RECORDS, .count = part->count - kept };
	size_t len = kept > 0 ? part->last_at : part->records.len;
	enum err_code code = ERR_OK;

	if (batch.count > 0)
		code = put(part, &batch, slice_of(part->records.ptr, len), err);
	if (code != ERR_OK)
		return code;
	part->count = kept;
	part->last_at = 0;
	if (kept == 0) {
		buf_clear(&part->records);
		return write_gap(part, err);
	}
	if (len > 0)
		memmove(part->records.ptr, part->records.ptr + len, part->records.len - len);
	part->records.len -= len;
	return ERR_OK;
}

enum err_code remake_write_end(struct remake *remake, uint64_t *ret_watermark, struct err *err)
{
	enum err_code code = ERR_OK;

	if (remake->segment.fd < 0 && remake->made.segments == 0)
		code = remake_begin_segment(remake, remake->life, remake->segment_bytes, err);
	if (code == ERR_OK)
		code = end_segment(remake, err);
	*ret_watermark = remake->previous_end;
	return code;
}
