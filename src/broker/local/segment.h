/*
 * segment.h - the files of the journal: their names, how one is made, opened,
 * recycled. What is in them: journal.h.
 *
 *	<base, 20 digits>.segment	base: the address of its first byte
 *	<base, 20 digits>.index		index.h
 *	spare				a pre-filled file that becomes the next segment
 *	spare.new			one being filled
 *
 * A file is filled with zeros before it is used, or was a segment before, so
 * that its blocks exist: a sync then writes data only (0.15 ms, not 0.34).
 *
 * Whoever reads a segment holds a shared flock on it. Only a file on which
 * the writer gets the exclusive lock is recycled, any other is unlinked, so
 * bytes never change under a reader.
 */
#ifndef BROKER_LOCAL_SEGMENT_H
#define BROKER_LOCAL_SEGMENT_H

#include "base/err.h"
#include "broker/local/batch.h"
#include "broker/local/scan.h"

enum { SEGMENT_NAME_MAX = 32 };

struct segment {
	int fd;				/* -1: none */
	bool header_good;
	struct segment_header header;	/* base and size hold even if the header is bad */
};

void segment_name(uint64_t base, const char *suffix, char name[SEGMENT_NAME_MAX]);

/* The bases of all segments, rising; the caller frees. */
MUST_USE enum err_code segment_list(int dir_fd, uint64_t **ret_bases, size_t *ret_count,
				    struct err *err);
/* For reading, with the shared lock. ERR_ABSENT: it is not there any more. */
MUST_USE enum err_code segment_open(int dir_fd, uint64_t base, struct segment *ret_segment,
				    struct err *err);
void segment_close(struct segment *segment);

static inline uint64_t segment_start(const struct segment *segment)
{
	return segment->header.base + SEGMENT_HEADER_BYTES;
}

static inline uint64_t segment_limit(const struct segment *segment)
{
	return segment->header.base + segment->header.size;
}

/* The writer's: */

/* Fill a spare of `size` bytes unless there is one that is as large. */
MUST_USE enum err_code segment_spare_make(int dir_fd, uint64_t size, struct err *err);
/* Make a segment of the spare, or of a new file of `size`; it may be larger. Durable on return:
 * header, file and directory are synced, so what is synced in it later can be found. */
MUST_USE enum err_code segment_create(int dir_fd, const struct segment_header *header,
				      struct segment *ret_segment, struct err *err);
/* The file becomes the spare if nobody reads it and there is none, else it goes. */
MUST_USE enum err_code segment_retire(int dir_fd, uint64_t base, struct err *err);
MUST_USE enum err_code dir_sync(int dir_fd, struct err *err);

#endif
