/*
 * remake_inside.h - inside remake: topics and places (remake.c), bytes
 * (remake_write.c), and whether they are there (remake_read.c).
 */
#ifndef BROKER_LOCAL_REMAKE_INSIDE_H
#define BROKER_LOCAL_REMAKE_INSIDE_H

#include "base/buf.h"
#include "broker/local/batch.h"
#include "broker/local/remake.h"
#include "broker/topics.h"

/* What is known of the records of a partition: as they were added, and as they are read. */
struct remake_sum {
	uint64_t records;
	uint64_t gaps;			/* ordinals */
	uint32_t crc;
};

struct remake_part {
	struct remake *remake;
	struct partition *partition;
	uint64_t next;			/* ordinal: of what is added */
	uint64_t written;		/* of what is in a segment */
	struct buf records;		/* not yet in one: as a batch's payload, … */
	uint32_t count;
	size_t last_at;			/* … the last one from here on, … */
	uint64_t life;			/* … all of this life; … */
	uint64_t gap;			/* … after them so many without a record, … */
	enum gap_reason reason;		/* … because of this */
	struct remake_sum added;
	struct remake_sum found;
};

struct remake_segment {
	int fd;				/* -1: none */
	struct segment_header header;
	uint64_t at;			/* address of the next batch */
	uint32_t chain;
	bool used;			/* there is more than its state */
	struct buf bytes;		/* not yet in the file, up to `at` */
};

struct remake {
	char dir[4096];
	int dir_fd;			/* DIR */
	int part_fd;			/* DIR/log.part, locked */
	bool ours;			/* … and it may be removed */
	uint64_t segment_bytes;
	uint64_t log_id;
	uint64_t life;			/* of what nobody knows the life of */
	int64_t now_ms;
	struct topics topics;
	struct remake_part **lists;	/* of each topic in the order of remake_topic() */
	int32_t *list_counts;
	size_t list_count;
	struct remake_segment segment;
	uint64_t previous_base;
	uint64_t previous_end;
	struct remade made;
};

/* A batch of the records of `part` but for the last `kept` of them (0 or 1), and the gap after
 * them if none are kept. */
MUST_USE enum err_code remake_write_part(struct remake_part *part, uint32_t kept, struct err *err);
/* The end of all segments: there is one at least. */
MUST_USE enum err_code remake_write_end(struct remake *remake, uint64_t *ret_watermark,
					struct err *err);

/* Counts one record, which stands in a batch as `bytes`. */
void remake_sum_add(struct remake_sum *sum, uint64_t ordinal, struct slice bytes);
/* ERR_CORRUPT: the segments do not hold what was added. */
MUST_USE enum err_code remake_verify(struct remake *remake, uint64_t watermark, struct err *err);

#endif
