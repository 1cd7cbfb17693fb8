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
 *	40	u32 layouts: of the ends; odd while they are laid out anew
 *	44	u32 1: some partitions found no place among the ends
 *	48	u64 the watermark that the ends are of; stored before they change for it
 *	56	u64 the sum of what is made of each entry of the ends
 *	64	the ends, a hash table: u64 name of a partition (0: no entry), u64 the ordinal of
 *		its next record. A partition without one has had no record since it was made
 *
 * It is written after the sync it tells of and never synced itself while it
 * changes: after a power cut it may be old, and an old watermark is true. One
 * whose complement does not fit is not used. Each of its 512 bytes may be of another
 * time then; ends that the sum does not fit are not known.
 *
 * The ends spare a reader the log since the newest segment's state, and tell a recovery which
 * partitions had the records of a tail that is missing: a copy of a log that was made file by file
 * while it was written, say, has a newer watermark than segments. They are stored before the
 * watermark they belong to, so who reads them after it sees no less. A reader must not see more
 * either, since that may never come (a writer that dies between the two): it takes them only if
 * they are of the watermark that is published.
 *
 * Threads: any may read and wait; one publishes.
 */
#ifndef BROKER_LOCAL_WATERMARK_H
#define BROKER_LOCAL_WATERMARK_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct watermark_page;

enum { WATERMARK_ENDS = 252 };

/* The ends at one moment. */
struct ends {
	uint64_t watermark; /* that they are of; 0: they tell nothing */
	struct end {
		uint64_t name;
		uint64_t next;
	} places[WATERMARK_ENDS];
};

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
/* The file of a copy of a log, where there is none; it tells no ends. Durable but for its name. */
MUST_USE enum err_code watermark_write(int dir_fd, uint64_t log_id, uint64_t address,
				       struct err *err);

/* 0 if it is not to be trusted. */
uint64_t watermark_get(const struct watermark *watermark);
void watermark_publish(struct watermark *watermark, uint64_t address);
/* Before the watermark that they belong to is published, and first of all which one that will be.
 * _begin: all of them come anew. */
void watermark_ends_change(struct watermark *watermark, uint64_t address);
void watermark_ends_begin(struct watermark *watermark);
void watermark_set_end(struct watermark *watermark, uint64_t uid, int32_t partition, uint64_t next);
void watermark_ends_done(struct watermark *watermark);
/* Of the watermark that is published, if it is `at_least`; false: they are not known. */
bool watermark_ends(const struct watermark *watermark, uint64_t at_least, struct ends *ret);
/* For a recovery: none is below what it was at that watermark, but some may be above it. */
bool watermark_ends_or_more(const struct watermark *watermark, uint64_t up_to, struct ends *ret);
/* The ordinal after the partition's last; 0: it had none. */
uint64_t ends_next(const struct ends *ends, uint64_t uid, int32_t partition);
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
