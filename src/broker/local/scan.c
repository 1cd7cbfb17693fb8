#include "broker/local/scan.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

enum { FIRST_WINDOW_BYTES = 8192 };

void scan_init(struct scan *scan) { *scan = (struct scan){ .fd = -1 }; }

void scan_release(struct scan *scan)
{
	free(scan->bytes);
	scan_init(scan);
}

void scan_seek(struct scan *scan, int fd, uint64_t base, uint64_t at, uint64_t limit)
{
	if (fd != scan->fd || base != scan->base)
		scan->len = 0;
	scan->fd = fd;
	scan->base = base;
	scan->at = at;
	scan->limit = limit;
	scan->epoch = 0;
}

/* The `len` bytes at the scan's place, or NULL: past the limit, or `failure` says why. */
static const unsigned char *scan_look(struct scan *scan, size_t len)
{
	uint64_t have = scan->window + scan->len;
	size_t kept = 0, want, got;

	scan->failure = 0;
	if (scan->at >= scan->window && scan->at + len <= have)
		return scan->bytes + (scan->at - scan->window);
	if (len > scan->limit - scan->at)
		return NULL;
	if (scan->step < SCAN_WINDOW_BYTES) /* who reads on reads much */
		scan->step = scan->step ? 2 * scan->step : FIRST_WINDOW_BYTES;
	want = len > scan->step ? len : scan->step;
	if (want > scan->limit - scan->at)
		want = (size_t)(scan->limit - scan->at);
	if (want > scan->cap) {
		scan->cap = want > scan->step ? want : scan->step;
		scan->bytes = xreallocarray(scan->bytes, scan->cap, 1);
	}
	if (scan->at >= scan->window && scan->at < have) {
		kept = (size_t)(have - scan->at);
		memmove(scan->bytes, scan->bytes + (scan->at - scan->window), kept);
	}
	got = kept + file_read_at(scan->fd, scan->bytes + kept, want - kept,
			     scan->at - scan->base + kept, &scan->failure);
	if (scan->failure == 0)
		memset(scan->bytes + got, 0, want - got);
	scan->window = scan->at;
	scan->len = scan->failure == 0 ? want : got;
	return scan->len < len ? NULL : scan->bytes;
}

enum scan_result scan_next_header(struct scan *scan, struct batch *ret_batch)
{
	const unsigned char *in;
	struct batch batch;

	if (scan->at >= scan->limit)
		return SCAN_END;
	in = scan_look(scan, BATCH_HEADER_BYTES);
	if (!in && scan->failure != 0)
		return SCAN_FAILED;
	if (!in || !batch_decode(in, scan->at, &batch) || batch_end(&batch) > scan->limit ||
	    (scan->epoch && batch.epoch != scan->epoch))
		return SCAN_BAD;
	scan->at = batch_end(&batch);
	*ret_batch = batch;
	return SCAN_BATCH;
}

enum scan_result scan_next(struct scan *scan, struct batch *ret_batch, struct slice *ret_payload)
{
	uint64_t start = scan->at;
	enum scan_result result = scan_next_header(scan, ret_batch);
	const unsigned char *in;

	if (result != SCAN_BATCH)
		return result;
	scan->at = start;
	in = scan_look(scan, BATCH_HEADER_BYTES + (size_t)ret_batch->payload_bytes);
	if (!in)
		return SCAN_FAILED; /* within the limit it is */
	scan->at = batch_end(ret_batch);
	*ret_payload = slice_of(in + BATCH_HEADER_BYTES, ret_batch->payload_bytes);
	return crc32c(0, ret_payload->ptr, ret_payload->len) == ret_batch->payload_crc
		       ? SCAN_BATCH
		       : SCAN_DAMAGED;
}

/* Moves on to the next place in the window that could be a header; else to the window's end. */
static void skip_in_window(struct scan *scan)
{
	uint64_t end = scan->window + scan->len;

	while (scan->at + BATCH_HEADER_BYTES <= end &&
	       !batch_is_near(scan->bytes + (scan->at - scan->window), scan->at))
		scan->at += BATCH_ALIGN;
}

enum scan_result scan_resync(struct scan *scan)
{
	uint64_t start = scan->at, bad = start;
	enum scan_result result = SCAN_BAD;
	struct batch batch;

	while (result == SCAN_BAD && scan->limit - scan->at >= BATCH_HEADER_BYTES) {
		scan->at += scan->at == bad ? BATCH_ALIGN : 0;
		if (!scan_look(scan, BATCH_HEADER_BYTES)) {
			result = scan->failure != 0 ? SCAN_FAILED : SCAN_END;
			break;
		}
		skip_in_window(scan);
		bad = scan->at;
		result = scan_next_header(scan, &batch);
	}
	if (result == SCAN_BATCH)
		scan->at = bad; /* which it is not */
	else if (result == SCAN_FAILED)
		scan->at = start;
	else
		scan->at = scan->limit;
	return result == SCAN_BAD ? SCAN_END : result;
}

enum err_code scan_error(const struct scan *scan, struct err *err)
{
	errno = scan->failure;
	return err_errno(err, "could not read log segment %020" PRIu64, scan->base);
}
