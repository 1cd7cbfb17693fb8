/*
 * watermark.h - the small mapped file by which a writer tells readers of other
 * processes how far the log is durable, and that a topic came or went.
 *
 * One page, little-endian as the machine is:
 *	 0	"PINPIPEW"
 *	 8	u64 log id
 *	16	u64 watermark: every batch that ends at or before this address is durable
 *	24	u64 its complement, written after it
 *	32	u32 bell: counts changes; a futex
 *	36	u32 topics: counts changes of the catalog
 *
 * It is written after the sync it tells of and never synced itself while it
 * changes: after a power cut it may be old, and an old watermark is true. One
 * whose complement does not fit is not used.
 *
 * Threads: any may read and wait; one publishes.
 */
#ifndef BROKER_LOCAL_WATERMARK_H
#define BROKER_LOCAL_WATERMARK_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct watermark_page;

struct watermark {
	struct watermark_page *page;
};

enum watermark_mode {
	WATERMARK_READ,		/* without a file as if it said 0; nothing is written */
	WATERMARK_MAKE,		/* the file is made if there is none, by one of several processes */
	WATERMARK_WRITE,	/* and replaced if it is damaged; to readers that is ERR_CORRUPT */
};

MUST_USE enum err_code watermark_open(int dir_fd, enum watermark_mode mode, uint64_t log_id,
				      struct watermark *ret, struct err *err);
void watermark_close(struct watermark *watermark);

/* 0 if it is not to be trusted. */
uint64_t watermark_get(const struct watermark *watermark);
void watermark_publish(struct watermark *watermark, uint64_t address);
/* The catalog changed. */
void watermark_ring(struct watermark *watermark);
uint32_t watermark_topics(const struct watermark *watermark);

/* Take this before looking at what one waits for … */
uint32_t watermark_bell(const struct watermark *watermark);
/* … and wait until the bell has changed since, at most `ms`. */
void watermark_wait(const struct watermark *watermark, uint32_t bell, int64_t ms);
/* Write the page out; at the end of a writer's life. */
void watermark_sync(struct watermark *watermark);

#endif
