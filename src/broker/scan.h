/*
 * scan.h - reads the batches of one segment file, in order.
 *
 * Bytes that the device cannot read, asked three times, count as zeros, so they
 * fail their check like any other damage: what is called damaged becomes a dead
 * letter for good, so one error that passes must not be taken for it. Nothing
 * at or past `limit` is ever looked at: there a writer may be at work.
 *
 * Ownership: the caller keeps the descriptor open; payloads live until the
 * next call with the same scan. Threads: one thread a scan.
 */
#ifndef BROKER_SCAN_H
#define BROKER_SCAN_H

#include "broker/batch.h"

#include <sys/types.h>

enum { SCAN_WINDOW_BYTES = 256 * 1024 };

struct scan {
	int fd;
	uint64_t base;			/* of the segment */
	uint64_t limit;			/* journal position at which to end */
	uint64_t at;			/* of the next batch */
	uint64_t epoch;			/* a batch of another is none; 0: any */
	unsigned char *bytes;		/* a window on the file … */
	size_t cap;
	size_t step;			/* what the last refill asked for */
	size_t len;
	uint64_t window;		/* … from this journal position on */
};

enum scan_result {
	SCAN_BATCH,
	SCAN_DAMAGED,	/* the header is good, the payload is not; the scan has passed it */
	SCAN_BAD,	/* no batch here; the scan stays */
	SCAN_END,
};

/* As pread(), but an error has come three times in turn. */
ssize_t read_again(int fd, void *to, size_t len, uint64_t offset);

/* From the segment's first batch on. */
void scan_init(struct scan *scan);
void scan_release(struct scan *scan);
/* Reads on at `at` of the segment that begins at `base`. */
void scan_seek(struct scan *scan, int fd, uint64_t base, uint64_t at, uint64_t limit);

enum scan_result scan_next(struct scan *scan, struct batch *ret_batch, struct slice *ret_payload);
/* As scan_next, but does not read or check the payload: never SCAN_DAMAGED. */
enum scan_result scan_next_header(struct scan *scan, struct batch *ret_batch);
/* After SCAN_BAD: goes to the next valid header; false: there is none, the scan is at its end. */
bool scan_resync(struct scan *scan);

#endif
