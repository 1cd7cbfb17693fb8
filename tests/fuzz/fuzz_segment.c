/*
 * The reader of a segment: it finds every batch whose header is valid, in order, and no other; it
 * hands out no payload that is not what its checksum says; and records lie inside of it.
 */
#include "broker/local/scan.h"
#include "log_pieces.h"

#include <sys/mman.h>
#include <unistd.h>

static struct log_pieces *pieces;
static struct scan scan;
static int fd = -1;

static void set_up(void)
{
	pieces = xcalloc(1, sizeof(*pieces));
	fd = memfd_create("segment", MFD_CLOEXEC);
	FUZZ_MUST(fd >= 0 && ftruncate(fd, SEGMENT_HEADER_BYTES + LOG_BYTES_MAX) == 0);
	scan_init(&scan);
}

static void check_inside(struct slice part, struct slice whole)
{
	FUZZ_MUST(!part.ptr ||
		  (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static void check_records(struct slice payload)
{
	struct batch_record record;
	struct slice rest = payload;

	while (rest.len > 0 && record_decode(&rest, &record)) {
		check_inside(record.key, payload);
		check_inside(record.value, payload);
		for (uint32_t i = 0; i < record.header_count; i++) {
			struct record_header header = header_take(&record.headers);

			check_inside(header.name, payload);
			check_inside(header.value, payload);
		}
		FUZZ_MUST(record.headers.len == 0);
		FUZZ_MUST(rest.ptr + rest.len == payload.ptr + payload.len);
	}
}

static void check_found(const struct log_piece *piece, enum scan_result result,
			const struct batch *batch, struct slice payload)
{
	const unsigned char *was = pieces->bytes + (piece->batch.address - LOG_START);

	FUZZ_MUST(result == (piece->whole ? SCAN_BATCH : SCAN_DAMAGED));
	FUZZ_MUST(batch->address == piece->batch.address);
	FUZZ_MUST(batch->payload_bytes == piece->batch.payload_bytes);
	FUZZ_MUST(batch->ordinal == piece->batch.ordinal && batch->count == piece->batch.count);
	if (result != SCAN_BATCH)
		return;
	FUZZ_MUST(slice_eq(payload, slice_of(was + BATCH_HEADER_BYTES, batch->payload_bytes)));
	FUZZ_MUST(crc32c(0, payload.ptr, payload.len) == piece->batch.payload_crc);
	check_records(payload);
}

static const struct log_piece *next_found(size_t *at)
{
	while (*at < pieces->count && !pieces->pieces[*at].found)
		++*at;
	return *at < pieces->count ? &pieces->pieces[(*at)++] : NULL;
}

static void read_all(void)
{
	enum scan_result result;
	struct slice payload;
	struct batch batch;
	size_t at = 0;

	while ((result = scan_next(&scan, &batch, &payload)) != SCAN_END) {
		const struct log_piece *piece;

		if (result == SCAN_BAD) {
			(void)scan_resync(&scan);
			continue;
		}
		piece = next_found(&at);
		FUZZ_MUST(piece != NULL);
		check_found(piece, result, &batch, payload);
	}
	FUZZ_MUST(next_found(&at) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice input = slice_of(data, len);
	size_t bytes;

	if (!pieces)
		set_up();
	log_build(pieces, &input, false);
	bytes = log_bytes(pieces);
	FUZZ_MUST(pwrite(fd, pieces->bytes, bytes, SEGMENT_HEADER_BYTES) == (ssize_t)bytes);
	scan.len = 0;		/* what it remembers is of another file */
	scan_seek(&scan, fd, LOG_BASE, LOG_START, pieces->limit);
	scan.epoch = LOG_EPOCH;
	read_all();
	return 0;
}
