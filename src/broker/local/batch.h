/*
 * batch.h - what a journal segment is made of: one header, then batches.
 * journal.h describes the bytes; this file reads and writes them.
 */
#ifndef BROKER_LOCAL_BATCH_H
#define BROKER_LOCAL_BATCH_H

#include "base/slice.h"
#include "broker/broker.h"

enum {
	SEGMENT_HEADER_BYTES = 4096,
	BATCH_HEADER_BYTES = 80,
	BATCH_ALIGN = 8,
	RECORD_HEADER_BYTES = 8,
	RECORD_EXTRA_BYTES = 12, /* before the headers of a record that brings some, or a time */
	STATE_HEADER_BYTES = 16,
	STATE_ENTRY_BYTES = 24,
	GAP_BYTES = 8,
};

enum batch_kind {
	BATCH_RECORDS = 1,
	BATCH_STATE = 2,	/* where the segment before ends, and every
				   partition's next ordinal */
	BATCH_MARK = 3,		/* carries a watermark only */
	BATCH_GAP = 4,		/* ordinals that have no record, and why */
};

struct segment_header {
	uint64_t base;
	uint64_t size;
	uint64_t epoch;
	uint64_t log_id;
	int64_t created_ms;
	uint64_t life;		/* of its writer; of version 1 life_of_epoch() */
	uint32_t crc;		/* what the first batch chains to; set by encode and decode */
};

struct batch {
	uint64_t address;	/* of its header, in the journal */
	uint32_t payload_bytes;
	uint32_t payload_crc;
	uint32_t chain;		/* header_crc of the batch before, or the segment header's */
	enum batch_kind kind;
	uint64_t epoch;
	uint64_t watermark;
	int64_t timestamp_ms;
	uint64_t uid; /* of the topic; of a state the life, 0 in version 1 */
	int32_t partition;
	uint32_t count;		/* records, ordinals of a gap, or entries of a state */
	uint64_t ordinal;	/* of the first record */
	uint32_t header_crc;	/* set by encode and decode */
};

struct state_entry {
	uint64_t uid;
	int32_t partition;
	uint64_t next;
};

static inline uint64_t batch_padded(uint64_t payload_bytes)
{
	return (BATCH_HEADER_BYTES + payload_bytes + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
}

/* The address after it. */
static inline uint64_t batch_end(const struct batch *batch)
{
	return batch->address + batch_padded(batch->payload_bytes);
}

/* What stands for the life of a writer of old, that has left none behind. */
uint64_t life_of_epoch(uint64_t log_id, uint64_t epoch);

/* `out`: SEGMENT_HEADER_BYTES. */
void segment_header_encode(struct segment_header *header, unsigned char *out);
bool segment_header_decode(const unsigned char *in, struct segment_header *ret);
/* Not decoded, because a program that is newer than this one wrote it. */
bool segment_header_is_newer(const unsigned char *in);

void batch_encode(struct batch *batch, unsigned char out[BATCH_HEADER_BYTES]);
/* False: not a valid header, or not one that was written to this address. */
bool batch_decode(const unsigned char *in, uint64_t address, struct batch *ret);

/* The records of a batch of `len` bytes, padding and all, whose header is damaged. False: its
 * payload has not the length and the CRC that the header says. */
bool batch_count_records(const unsigned char *in, size_t len, uint64_t *ret_count);

/* Worth a batch_decode(): the magic and the address are right. For searching. */
bool batch_is_near(const unsigned char *in, uint64_t address);

/* A record as it stands in a batch; all of it lies in the batch's payload. */
struct batch_record {
	struct slice key;
	struct slice value;
	int64_t timestamp_ms; /* TIMESTAMP_NOW: the batch's */
	uint32_t header_count;
	struct slice headers; /* header_take() takes them off */
};

/* Of what stands before the lengths of key and value; 0: it has neither headers nor a time. */
size_t record_extra_bytes(const struct append_record *record);
/* Its first RECORD_HEADER_BYTES + RECORD_EXTRA_BYTES; after them come the headers: for each its
 * lengths as record_header_encode() has them, name, value. */
void record_extra_encode(const struct append_record *record, size_t bytes,
			 unsigned char out[RECORD_HEADER_BYTES + RECORD_EXTRA_BYTES]);
/* The lengths that stand before a record's bytes. */
void record_header_encode(struct slice key, struct slice value,
			  unsigned char out[RECORD_HEADER_BYTES]);
/* Takes one record off the front of `payload`; false: it does not fit. */
bool record_decode(struct slice *payload, struct batch_record *ret);
/* Of a record that was decoded, the first of the headers that are left. */
struct record_header header_take(struct slice *headers);

void state_encode(uint64_t previous_base, uint64_t previous_end,
		  unsigned char out[STATE_HEADER_BYTES]);
void state_entry_encode(struct state_entry entry, unsigned char out[STATE_ENTRY_BYTES]);
bool state_decode(struct slice payload, uint64_t *ret_previous_base,
		  uint64_t *ret_previous_end);
/* Entry k of a state whose payload passed state_decode(); k is less than batch.count. */
struct state_entry state_entry_decode(struct slice payload, uint32_t k);

void gap_encode(enum gap_reason reason, unsigned char out[GAP_BYTES]);
/* False: it is not the payload of a gap. */
bool gap_decode(struct slice payload, enum gap_reason *ret_reason);

#endif
