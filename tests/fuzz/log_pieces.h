/*
 * log_pieces.h - a segment made from an input: what the fuzzer changes are the
 * pieces, not the bytes, so that it gets past the checksums; and as they are
 * known, so is what a reader must find.
 *
 *	input	a byte a decision: kind of the piece and its harm, then its
 *		numbers and its length, then so many bytes of payload
 *	piece	a batch, whole, or with a bit flipped in header or payload, of
 *		another writer's life, or chained to nothing; or bytes that are none
 */
#ifndef TESTS_FUZZ_LOG_PIECES_H
#define TESTS_FUZZ_LOG_PIECES_H

#include "base/crc32c.h"
#include "broker/local/batch.h"
#include "fuzz.h"

enum {
	LOG_BASE = 4096,		/* of the segment */
	LOG_START = LOG_BASE + SEGMENT_HEADER_BYTES,
	LOG_BYTES_MAX = 24 << 10,	/* behind the header */
	LOG_PIECE_MAX = 512,		/* header, payload and padding, or junk */
	LOG_PIECES_MAX = 48,
	LOG_EPOCH = 3,
};

enum log_harm {
	HARM_NONE = 0,
	HARM_JUNK = 12,			/* the values below are whole batches */
	HARM_HEADER,
	HARM_PAYLOAD,
	HARM_CHAIN,
	HARM_EPOCH,
	HARM_COUNT,
};

struct log_piece {
	struct batch batch;		/* as it was before the harm */
	uint64_t end;
	bool found;			/* its header is valid here */
	bool whole;			/* and its payload */
};

struct log_pieces {
	unsigned char bytes[LOG_BYTES_MAX];
	size_t len;
	uint64_t limit;			/* address of the file's end */
	struct segment_header header;
	struct log_piece pieces[LOG_PIECES_MAX];
	size_t count;
	uint32_t chain;
	bool any_epoch;			/* the segment's header is bad, so nobody knows its epoch */
};

/* Bytes as they come must not be a batch by chance, or rather by the fuzzer's wit. */
static inline void log_disarm(unsigned char *bytes, size_t len, uint64_t address)
{
	for (size_t at = 0; at + BATCH_ALIGN + sizeof(uint64_t) <= len; at += BATCH_ALIGN)
		if (batch_is_near(bytes + at, address + at))
			bytes[at] ^= 1;
}

static inline uint64_t log_mark(struct slice *input, uint64_t address)
{
	uint8_t how = fuzz_take(input);

	if (how < 96)
		return 0;
	if (how < 224)
		return address;
	return LOG_START + (uint64_t)fuzz_take(input) * 64;
}

static inline void log_flip(struct slice *input, unsigned char *bytes, size_t len)
{
	size_t bit = (fuzz_take(input) | (size_t)fuzz_take(input) << 8) % (len * 8);

	bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

/* The payload of a batch, and what the header says of it. */
static inline void log_fill(struct slice *input, struct batch *batch, unsigned char *payload)
{
	size_t len = fuzz_take(input), have;

	if (batch->kind == BATCH_STATE) {
		batch->count = (uint32_t)len % 4;
		len = STATE_HEADER_BYTES + batch->count * STATE_ENTRY_BYTES;
	} else if (batch->kind == BATCH_MARK) {
		len = 0;
	}
	have = len < input->len ? len : input->len;
	memset(payload, 0, len);
	if (have > 0)
		memcpy(payload, input->ptr, have);
	*input = slice_from(*input, have);
	log_disarm(payload, len, batch->address + BATCH_HEADER_BYTES);
	batch->payload_bytes = (uint32_t)len;
	batch->payload_crc = crc32c(0, payload, len);
}

/* Zeros for the next piece. */
static inline unsigned char *log_room(struct log_pieces *log, size_t len)
{
	return memset(log->bytes + log->len, 0, len);
}

static inline void log_add(struct log_pieces *log, struct slice *input, enum batch_kind kind,
			   unsigned harm)
{
	unsigned char *to = log_room(log, LOG_PIECE_MAX);
	struct log_piece *piece = &log->pieces[log->count++];
	struct batch batch = { .address = LOG_START + log->len, .kind = kind, .epoch = LOG_EPOCH };

	batch.uid = 1 + fuzz_take(input) % 3;
	batch.count = fuzz_take(input);
	batch.ordinal = fuzz_take(input) * (uint64_t)16;
	batch.watermark = log_mark(input, batch.address);
	batch.chain = harm == HARM_CHAIN ? log->chain ^ 1 : log->chain;
	batch.epoch += harm == HARM_EPOCH;
	log_fill(input, &batch, to + BATCH_HEADER_BYTES);
	batch_encode(&batch, to);
	log->len += batch_padded(batch.payload_bytes);
	*piece = (struct log_piece){ .batch = batch, .end = batch_end(&batch) };
	if (harm == HARM_HEADER)
		log_flip(input, to, BATCH_HEADER_BYTES);
	if (harm == HARM_PAYLOAD && batch.payload_bytes > 0)
		log_flip(input, to + BATCH_HEADER_BYTES, batch.payload_bytes);
	piece->found = harm != HARM_HEADER && (harm != HARM_EPOCH || log->any_epoch);
	piece->whole = piece->found && (harm != HARM_PAYLOAD || batch.payload_bytes == 0);
	log->chain = batch.header_crc;
}

static inline void log_add_junk(struct log_pieces *log, struct slice *input)
{
	size_t len = (size_t)(1 + fuzz_take(input) % 32) * BATCH_ALIGN, have;

	have = len < input->len ? len : input->len;
	(void)log_room(log, len);
	if (have > 0)
		memcpy(log->bytes + log->len, input->ptr, have);
	*input = slice_from(*input, have);
	log_disarm(log->bytes + log->len, len, LOG_START + log->len);
	log->len += len;
}

/* Lets the file end so many bytes early or late; who is cut is not found any more. */
static inline void log_end(struct log_pieces *log, int bytes)
{
	int64_t len = (int64_t)log->len + bytes;

	(void)log_room(log, LOG_PIECE_MAX);
	log->limit = LOG_START + (len > 0 ? (uint64_t)len : 0);
	for (size_t i = 0; i < log->count; i++)
		if (log->pieces[i].end > log->limit)
			log->pieces[i].found = log->pieces[i].whole = false;
	log->header.size = log->limit - LOG_BASE;
}

/* Bytes of the file behind its header. */
static inline size_t log_bytes(const struct log_pieces *log)
{
	return (size_t)(log->limit - LOG_START);
}

/* `log` is overwritten. `any_epoch`: see there. */
static inline void log_build(struct log_pieces *log, struct slice *input, bool any_epoch)
{
	static const enum batch_kind kinds[] = {
		BATCH_RECORDS, BATCH_GAP, BATCH_MARK, BATCH_STATE,
	};
	unsigned char header[SEGMENT_HEADER_BYTES];
	int ends = (int8_t)fuzz_take(input) * BATCH_ALIGN / 2;
	bool state = fuzz_take(input) < 224;

	log->len = log->count = 0;
	log->any_epoch = any_epoch;
	log->header = (struct segment_header){ .base = LOG_BASE, .epoch = LOG_EPOCH, .log_id = 7 };
	segment_header_encode(&log->header, header);
	log->chain = log->header.crc;
	if (state)
		log_add(log, input, BATCH_STATE, HARM_NONE);
	while (input->len > 0 && log->count < LOG_PIECES_MAX &&
	       log->len < LOG_BYTES_MAX - 2 * LOG_PIECE_MAX) {
		unsigned what = fuzz_take(input);

		if (what % 32 == HARM_JUNK)
			log_add_junk(log, input);
		else
			log_add(log, input, kinds[what >> 5 & 3], what % 32);
	}
	log_end(log, ends);
}

#endif
