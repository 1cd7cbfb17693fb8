/*
 * cursor.h - walks a journal from an address on, over its segments, up to the
 * durable watermark; beside a writer in any process. And finds the address to
 * begin at: the state at the head of each segment leads to the segment, an index
 * (index.h) to the place in it.
 *
 * Ownership: payloads live until the next call. Threads: one.
 */
#ifndef BROKER_LOCAL_CURSOR_H
#define BROKER_LOCAL_CURSOR_H

#include "broker/local/segment.h"

struct ordinals;

struct cursor {
	int dir_fd;			/* borrowed */
	struct segment segment;		/* fd -1: none open */
	uint64_t life;			/* of the segment's writer; 0: ask cursor_life() */
	uint64_t at;			/* the next batch is here or after it */
	bool end_known;			/* the log has gone on from this segment: */
	uint64_t end;			/* where it ends in it, */
	uint64_t successor;		/* and the base of the one after it */
	bool let_go;			/* what was between the two is not kept any more */
	struct scan scan;
};

enum cursor_result {
	CURSOR_BATCH,
	CURSOR_DAMAGED,		/* a batch whose payload is lost; its header is good */
	CURSOR_HOLE,		/* something was lost here, nobody knows whose */
	CURSOR_JUMPED,		/* what comes next is later than what was asked for: it is gone */
	CURSOR_WAIT,		/* all that is durable has been read */
};

void cursor_init(struct cursor *cursor, int dir_fd);
void cursor_release(struct cursor *cursor);
/* Holds no segment any more, and goes on from where it is. */
void cursor_rest(struct cursor *cursor);
/* Go to a batch's address, or anywhere before the first batch of a segment. */
void cursor_seek(struct cursor *cursor, uint64_t address);

/* `payload` NULL: headers only; then no CURSOR_DAMAGED. */
MUST_USE enum err_code cursor_next(struct cursor *cursor, uint64_t watermark,
				   enum cursor_result *ret_result, struct batch *ret_batch,
				   struct slice *ret_payload, struct err *err);

/* Of the writer of the batch that was read last: a record's history (journal.h, LIVES). */
uint64_t cursor_life(struct cursor *cursor, const struct batch *batch, uint64_t log_id);

/* What the state at the head of a segment says. */
struct segment_state {
	bool known;			/* else the segment is gone, or its state damaged */
	uint64_t previous_base;
	uint64_t previous_end;
	int64_t time_ms;
	uint64_t life; /* 0 in version 1 */
};

/* `ordinals`, unless NULL, takes in the state. */
MUST_USE enum err_code segment_state_of(const struct segment *segment, struct ordinals *ordinals,
					struct segment_state *ret_state, struct err *err);
/* Of the one that begins there. */
MUST_USE enum err_code segment_state_read(int dir_fd, uint64_t base, struct ordinals *ordinals,
					  struct segment_state *ret_state, struct err *err);

struct index_cache;

/* An address with no record of `ordinal` or above before it; 0: the beginning. */
MUST_USE enum err_code seek_ordinal(struct index_cache *cache, uint64_t watermark, uint64_t uid,
				    int32_t partition, uint64_t ordinal, uint64_t *ret_address,
				    struct err *err);
/* The partition's first ordinal from `time_ms` on; UINT64_MAX: there is none. */
MUST_USE enum err_code seek_time(int dir_fd, uint64_t watermark, uint64_t uid, int32_t partition,
				 int64_t time_ms, uint64_t *ret_ordinal, struct err *err);

#endif
