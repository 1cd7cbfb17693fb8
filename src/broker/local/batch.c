#include "broker/local/batch.h"

#include "base/crc32c.h"

#include <assert.h>
#include <endian.h>

static const char segment_magic[8] = "PINPIPEJ";
enum { SEGMENT_VERSION_FIRST = 1, SEGMENT_VERSION = 2, SEGMENT_HEADER_USED = 64 };
/* In the place of a length. */
#define LENGTH_NULL UINT32_MAX
#define LENGTH_EXTRA (UINT32_MAX - 1)

static const uint32_t batch_magic = 0x424a5050; /* "PPJB" */

static void put32(unsigned char *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static void put64(unsigned char *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static uint32_t get32(const unsigned char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const unsigned char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

/* From version 2 on the version is summed up too: so what is newer is told from what is damaged. */
static uint32_t segment_header_crc(const unsigned char *in)
{
	uint32_t crc = get32(in + 8) == SEGMENT_VERSION_FIRST ? 0 : crc32c(0, in + 8, 4);

	return crc32c(crc, in + 16, SEGMENT_HEADER_USED - 16);
}

/* splitmix64's mixing. */
uint64_t life_of_epoch(uint64_t log_id, uint64_t epoch)
{
	uint64_t z = log_id + epoch * 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void segment_header_encode(struct segment_header *header, unsigned char *out)
{
	memset(out, 0, SEGMENT_HEADER_BYTES);
	memcpy(out, segment_magic, sizeof(segment_magic));
	put32(out + 8, SEGMENT_VERSION);
	put64(out + 16, header->base);
	put64(out + 24, header->size);
	put64(out + 32, header->epoch);
	put64(out + 40, header->log_id);
	put64(out + 48, (uint64_t)header->created_ms);
	put64(out + 56, header->life);
	header->crc = segment_header_crc(out);
	put32(out + 12, header->crc);
}

static bool segment_header_is_whole(const unsigned char *in)
{
	return memcmp(in, segment_magic, sizeof(segment_magic)) == 0 &&
	       get32(in + 12) == segment_header_crc(in);
}

bool segment_header_is_newer(const unsigned char *in)
{
	return segment_header_is_whole(in) && get32(in + 8) > SEGMENT_VERSION;
}

bool segment_header_decode(const unsigned char *in, struct segment_header *ret)
{
	uint32_t version = get32(in + 8);

	if (!segment_header_is_whole(in) || version < SEGMENT_VERSION_FIRST ||
	    version > SEGMENT_VERSION)
		return false;
	*ret = (struct segment_header){
		.base = get64(in + 16),
		.size = get64(in + 24),
		.epoch = get64(in + 32),
		.log_id = get64(in + 40),
		.created_ms = (int64_t)get64(in + 48),
		.life = get64(in + 56),
		.crc = get32(in + 12),
	};
	if (version == SEGMENT_VERSION_FIRST)
		ret->life = life_of_epoch(ret->log_id, ret->epoch);
	return true;
}

void batch_encode(struct batch *batch, unsigned char out[BATCH_HEADER_BYTES])
{
	put32(out, batch_magic);
	put64(out + 8, batch->address);
	put32(out + 16, batch->payload_bytes);
	put32(out + 20, batch->payload_crc);
	put32(out + 24, batch->chain);
	put32(out + 28, (uint32_t)batch->kind);
	put64(out + 32, batch->epoch);
	put64(out + 40, batch->watermark);
	put64(out + 48, (uint64_t)batch->timestamp_ms);
	put64(out + 56, batch->uid);
	put32(out + 64, (uint32_t)batch->partition);
	put32(out + 68, batch->count);
	put64(out + 72, batch->ordinal);
	batch->header_crc = crc32c(0, out + 8, BATCH_HEADER_BYTES - 8);
	put32(out + 4, batch->header_crc);
}

bool batch_is_near(const unsigned char *in, uint64_t address)
{
	return get32(in) == batch_magic && get64(in + 8) == address;
}

bool batch_decode(const unsigned char *in, uint64_t address, struct batch *ret)
{
	uint32_t crc;

	if (!batch_is_near(in, address))
		return false;
	crc = crc32c(0, in + 8, BATCH_HEADER_BYTES - 8);
	if (get32(in + 4) != crc)
		return false;
	*ret = (struct batch){
		.address = address,
		.payload_bytes = get32(in + 16),
		.payload_crc = get32(in + 20),
		.chain = get32(in + 24),
		.kind = (enum batch_kind)get32(in + 28),
		.epoch = get64(in + 32),
		.watermark = get64(in + 40),
		.timestamp_ms = (int64_t)get64(in + 48),
		.uid = get64(in + 56),
		.partition = (int32_t)get32(in + 64),
		.count = get32(in + 68),
		.ordinal = get64(in + 72),
		.header_crc = crc,
	};
	return true;
}

/* A null slice has a length that no record can have. */
static uint32_t wire_length(struct slice s) { return s.ptr ? (uint32_t)s.len : LENGTH_NULL; }

void record_header_encode(struct slice key, struct slice value,
			  unsigned char out[RECORD_HEADER_BYTES])
{
	put32(out, wire_length(key));
	put32(out + 4, wire_length(value));
}

size_t record_extra_bytes(const struct append_record *record)
{
	size_t bytes = RECORD_HEADER_BYTES + RECORD_EXTRA_BYTES;

	if (record->header_count == 0 && record->timestamp_ms == TIMESTAMP_NOW)
		return 0;
	for (size_t i = 0; i < record->header_count; i++)
		bytes += RECORD_HEADER_BYTES + record->headers[i].name.len +
			 record->headers[i].value.len;
	return bytes;
}

void record_extra_encode(const struct append_record *record, size_t bytes,
			 unsigned char out[RECORD_HEADER_BYTES + RECORD_EXTRA_BYTES])
{
	put32(out, LENGTH_EXTRA);
	put32(out + 4, (uint32_t)(bytes - RECORD_HEADER_BYTES));
	put64(out + 8, (uint64_t)record->timestamp_ms);
	put32(out + 16, (uint32_t)record->header_count);
}

static bool batch_take(struct slice *payload, uint32_t len, struct slice *ret)
{
	*ret = (struct slice){ 0 };
	if (len == LENGTH_NULL)
		return true;
	if (len > payload->len)
		return false;
	*ret = slice_of(payload->ptr, len);
	*payload = slice_from(*payload, len);
	return true;
}

/* Two slices behind their lengths. */
static bool batch_take_pair(struct slice *payload, struct slice *ret_first,
			    struct slice *ret_second)
{
	uint32_t first, second;

	if (payload->len < RECORD_HEADER_BYTES)
		return false;
	first = get32((const unsigned char *)payload->ptr);
	second = get32((const unsigned char *)payload->ptr + 4);
	*payload = slice_from(*payload, RECORD_HEADER_BYTES);
	return batch_take(payload, first, ret_first) && batch_take(payload, second, ret_second);
}

struct record_header header_take(struct slice *headers)
{
	struct record_header header = { 0 };

	(void)batch_take_pair(headers, &header.name, &header.value);
	return header;
}

/* What stands before a record: its time, and headers that are all there and nothing else. */
static bool record_decode_extra(struct slice *payload, struct batch_record *ret)
{
	struct slice extra, left, name, value;
	uint32_t len;

	if (payload->len < RECORD_HEADER_BYTES)
		return false;
	len = get32((const unsigned char *)payload->ptr + 4);
	*payload = slice_from(*payload, RECORD_HEADER_BYTES);
	if (len < RECORD_EXTRA_BYTES || len == LENGTH_NULL || !batch_take(payload, len, &extra))
		return false;
	ret->timestamp_ms = (int64_t)get64((const unsigned char *)extra.ptr);
	ret->header_count = get32((const unsigned char *)extra.ptr + 8);
	ret->headers = left = slice_from(extra, RECORD_EXTRA_BYTES);
	for (uint32_t i = 0; i < ret->header_count; i++)
		if (!batch_take_pair(&left, &name, &value))
			return false;
	return left.len == 0;
}

bool record_decode(struct slice *payload, struct batch_record *ret)
{
	ret->timestamp_ms = TIMESTAMP_NOW;
	ret->header_count = 0;
	ret->headers = (struct slice){ 0 };
	if (payload->len >= RECORD_HEADER_BYTES &&
	    get32((const unsigned char *)payload->ptr) == LENGTH_EXTRA &&
	    !record_decode_extra(payload, ret))
		return false;
	return batch_take_pair(payload, &ret->key, &ret->value);
}

bool batch_count_records(const unsigned char *in, size_t len, uint64_t *ret_count)
{
	struct batch_record record;
	struct slice payload;
	uint64_t count = 0;

	if (len < BATCH_HEADER_BYTES || batch_padded(get32(in + 16)) != len)
		return false;
	payload = slice_of(in + BATCH_HEADER_BYTES, get32(in + 16));
	if (crc32c(0, payload.ptr, payload.len) != get32(in + 20))
		return false;
	for (; payload.len > 0; count++)
		if (!record_decode(&payload, &record))
			return false;
	*ret_count = count;
	return true;
}

void state_encode(uint64_t previous_base, uint64_t previous_end,
		  unsigned char out[STATE_HEADER_BYTES])
{
	put64(out, previous_base);
	put64(out + 8, previous_end);
}

void state_entry_encode(struct state_entry entry, unsigned char out[STATE_ENTRY_BYTES])
{
	put64(out, entry.uid);
	put32(out + 8, (uint32_t)entry.partition);
	put32(out + 12, 0);
	put64(out + 16, entry.next);
}

bool state_decode(struct slice payload, uint64_t *ret_previous_base, uint64_t *ret_previous_end)
{
	const unsigned char *in = (const unsigned char *)payload.ptr;

	if (payload.len < STATE_HEADER_BYTES ||
	    (payload.len - STATE_HEADER_BYTES) % STATE_ENTRY_BYTES != 0)
		return false;
	*ret_previous_base = get64(in);
	*ret_previous_end = get64(in + 8);
	return true;
}

struct state_entry state_entry_decode(struct slice payload, uint32_t k)
{
	const unsigned char *in = (const unsigned char *)payload.ptr + STATE_HEADER_BYTES +
				  (size_t)k * STATE_ENTRY_BYTES;

	return (struct state_entry){ .uid = get64(in),
				     .partition = (int32_t)get32(in + 8),
				     .next = get64(in + 16) };
}

static_assert(GAP_NONE == 0 && GAP_RETENTION == 3 && GAP_DAMAGED == 4 && GAP_REMOVED == 5,
	      "the numbers stand in files");

void gap_encode(enum gap_reason reason, unsigned char out[GAP_BYTES])
{
	put32(out, (uint32_t)reason);
	put32(out + 4, 0);
}

bool gap_decode(struct slice payload, enum gap_reason *ret_reason)
{
	uint32_t reason;

	if (payload.len != GAP_BYTES)
		return false;
	reason = get32((const unsigned char *)payload.ptr);
	if (reason > GAP_REMOVED)
		return false;
	*ret_reason = (enum gap_reason)reason;
	return true;
}
