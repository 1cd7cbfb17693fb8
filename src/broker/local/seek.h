/*
 * seek.h - where in a journal a partition's record, or a moment, is.
 *
 * The state at the head of each segment leads to the segment, an index
 * (index.h) to the place in it.
 */
#ifndef BROKER_LOCAL_SEEK_H
#define BROKER_LOCAL_SEEK_H

#include "broker/local/index.h"

/* A journal position with no record of `ordinal` or above before it; 0: the beginning. */
MUST_USE enum err_code seek_ordinal(struct index_cache *cache, uint64_t watermark, uint64_t uid,
				    int32_t partition, uint64_t ordinal, uint64_t *ret_position,
				    struct err *err);
/* The partition's first ordinal from `time_ms` on; UINT64_MAX: there is none. */
MUST_USE enum err_code seek_time(int dir_fd, uint64_t watermark, uint64_t uid, int32_t partition,
				 int64_t time_ms, uint64_t *ret_ordinal, struct err *err);

#endif
