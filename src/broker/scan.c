#include "broker/scan.h"

#include "base/crc32c.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

enum { PAGE = 4096, TRIES = 3, FIRST_WINDOW_BYTES = 8192 };

void scan_init(struct scan *scan)
{
	*scan = (struct scan){ .fd = -1 };
}

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

ssize_t read_again(int fd, void *to, size_t len, uint64_t offset)
{
	ssize_t n = -1;

	for (int i = 0; i < TRIES && n < 0; i++)
		do
			n = pread(fd, to, len, (off_t)offset);
		while (n < 0 && errno == EINTR);
	return n;
}

/* Fills [to, to + len) from `offset`; what cannot be read becomes zeros. */
static void read_all(int fd, unsigned char *to, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = read_again(fd, to, len, offset);
		size_t step = (size_t)n;

		if (n == 0) {
			memset(to, 0, len);
			return;
		}
		if (n < 0) {
			step = len < PAGE ? len : PAGE;
			memset(to, 0, step);
		}
		to += step;
		len -= step;
		offset += step;
	}
}

/* The `len` bytes at the scan's place, or NULL past the limit. */
static const unsigned char *look(struct scan *scan, size_t len)
{
	uint64_t have = scan->window + scan->len;
	size_t kept = 0, want;

	if (scan->at >= scan->window && scan->at + len <= have)
		return scan->bytes + (scan->at - scan->window);
	if (len > scan->limit - scan->at)
		return NULL;
	if (scan->step < SCAN_WINDOW_BYTES)	/* who reads on reads much */
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
	read_all(scan->fd, scan->bytes + kept, want - kept, scan->at - scan->base + kept);
	scan->window = scan->at;
	scan->len = want;
	return scan->bytes;
}

enum scan_result scan_next_header(struct scan *scan, struct batch *ret_batch)
{
	const unsigned char *in;
	struct batch batch;

	if (scan->at >= scan->limit)
		return SCAN_END;
	in = look(scan, BATCH_HEADER_BYTES);
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
	in = look(scan, BATCH_HEADER_BYTES + (size_t)ret_batch->payload_bytes);
	scan->at = batch_end(ret_batch);
	*ret_payload = slice_of(in + BATCH_HEADER_BYTES, ret_batch->payload_bytes);
	return crc32c(0, ret_payload->ptr, ret_payload->len) == ret_batch->payload_crc
		? SCAN_BATCH : SCAN_DAMAGED;
}

/* Moves on to the next place in the window that could be a header; else to the window's end. */
static void skip_in_window(struct scan *scan)
{
	uint64_t end = scan->window + scan->len;

	while (scan->at + BATCH_HEADER_BYTES <= end &&
	       !batch_is_near(scan->bytes + (scan->at - scan->window), scan->at))
		scan->at += BATCH_ALIGN;
}

bool scan_resync(struct scan *scan)
{
	uint64_t bad = scan->at;
	struct batch batch;

	while (scan->limit - scan->at >= BATCH_HEADER_BYTES) {
		uint64_t at;

		scan->at += scan->at == bad ? BATCH_ALIGN : 0;
		if (!look(scan, BATCH_HEADER_BYTES))
			break;
		skip_in_window(scan);
		at = scan->at;
		if (scan_next_header(scan, &batch) == SCAN_BATCH) {
			scan->at = at;
			return true;
		}
		bad = at;
	}
	scan->at = scan->limit;
	return false;
}
