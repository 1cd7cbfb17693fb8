/*
 * scan.h - reads the batches of one segment file, in order.
 *
 * Only bytes that were read and are wrong are damage, since what is damaged
 * becomes a dead letter for good. What the device cannot read, asked three
 * times, fails the scan (SCAN_FAILED), which stays where it is: the next call
 * asks again. What lacks at the end of a file counts as zeros. Nothing at or
 * past `limit` is ever looked at: there a writer may be at work.
 *
 * Ownership: the caller keeps the descriptor open; payloads live until the
 * next call with the same scan. Threads: one thread a scan.
 */
#ifndef BROKER_LOCAL_SCAN_H
#define BROKER_LOCAL_SCAN_H

#include "base/err.h"
#include "broker/local/batch.h"

enum { SCAN_WINDOW_BYTES = 256 * 1024 };

struct scan {
	int fd;
	uint64_t base;			/* of the segment */
	uint64_t limit;			/* address at which to end */
	uint64_t at;			/* of the next batch */
	uint64_t epoch;			/* a batch of another is none; 0: any */
	unsigned char *bytes;		/* a window on the file … */
	size_t cap;
	size_t step;			/* what the last refill asked for */
	size_t len;
	uint64_t window;		/* … from this address on */
	int failure;			/* errno of the read that failed */
};

enum scan_result {
	SCAN_BATCH,
	SCAN_DAMAGED,	/* the header is good, the payload is not; the scan has passed it */
	SCAN_BAD,	/* no batch here; the scan stays */
	SCAN_FAILED,	/* nobody knows what is here, see scan_error(); the scan stays */
	SCAN_END,
};

/* From the segment's first batch on. */
void scan_init(struct scan *scan);
void scan_release(struct scan *scan);
/* Reads on at `at` of the segment that begins at `base`. */
void scan_seek(struct scan *scan, int fd, uint64_t base, uint64_t at, uint64_t limit);

enum scan_result scan_next(struct scan *scan, struct batch *ret_batch, struct slice *ret_payload);
/* As scan_next, but does not read or check the payload: never SCAN_DAMAGED. */
enum scan_result scan_next_header(struct scan *scan, struct batch *ret_batch);
/* After SCAN_BAD: goes to the next valid header (SCAN_BATCH), or to its end (SCAN_END). */
enum scan_result scan_resync(struct scan *scan);
/* After SCAN_FAILED: why. */
enum err_code scan_error(const struct scan *scan, struct err *err);

#endif
