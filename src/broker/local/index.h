/*
 * index.h - a sparse index of one segment: for every stretch of
 * INDEX_STRIDE_BYTES, the first batch of each partition that has one there.
 *
 * It can always be derived from the segment. The writer of a segment notes it
 * down batch by batch; beside a segment that is complete it is kept as a file,
 * whose absence or damage costs one read of the segment's headers:
 *	 0	"PINPIPEI"
 *	 8	u64 base of the segment
 *	16	u64 end: the index covers the batches before this address
 *	24	u32 count of entries
 *	28	u32 CRC-32C of the entries
 *	32	entries: u64 uid, i32 partition, u32 0, u64 ordinal, u64 address
 *
 * A cache keeps the last few; the index of the segment that is being written
 * grows with it.
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_LOCAL_INDEX_H
#define BROKER_LOCAL_INDEX_H

#include "broker/local/states.h"

enum { INDEX_STRIDE_BYTES = 64 * 1024, INDEX_CACHE_SEGMENTS = 8 };

struct index_entry {
	uint64_t uid;
	int32_t partition;
	uint64_t ordinal;
	uint64_t address;
};

struct index {
	uint64_t base;			/* 0: none */
	uint64_t end;
	struct index_entry *entries;	/* by address */
	size_t count;
	size_t cap;
	struct ordinals last;		/* of each partition, the stretch of its last entry */
	uint64_t used;			/* the cache's clock */
};

struct index_cache {
	int dir_fd;			/* borrowed */
	struct watermark *watermark;	/* borrowed; may be NULL */
	struct states states;
	struct index items[INDEX_CACHE_SEGMENTS];
	uint64_t clock;
};

/* Of the segment at `base`, so far without a batch. */
void index_init(struct index *index, uint64_t base);
void index_release(struct index *index);
/* The batch is the next one of the segment. */
void index_note(struct index *index, const struct batch *batch);

void index_cache_init(struct index_cache *cache, int dir_fd);
void index_cache_release(struct index_cache *cache);

/* The address of the last entry with an ordinal at or below
 * `ordinal`, else the segment's start. */
MUST_USE enum err_code index_find(struct index_cache *cache, uint64_t base, uint64_t watermark,
				  uint64_t uid, int32_t partition, uint64_t ordinal,
				  uint64_t *ret_address, struct err *err);
/* Makes the file of a complete segment; what the index does not cover yet is read. */
MUST_USE enum err_code index_make(struct index *index, int dir_fd, uint64_t watermark,
				  struct err *err);

#endif
