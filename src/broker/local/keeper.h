/*
 * keeper.h - the writer's housekeeping, on a thread of its own: the next
 * segment is made ready before it is needed, free space is watched, segments
 * whose time has come are let go.
 *
 * Threads: keeper_want, _complete, _take, _set_broken from the journal's writer; keeper_refusal
 * from any.
 */
#ifndef BROKER_LOCAL_KEEPER_H
#define BROKER_LOCAL_KEEPER_H

#include "broker/local/index.h"
#include "broker/local/retention.h"
#include "broker/local/segment.h"

#include <pthread.h>
#include <stdatomic.h>

struct keeper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int dir_fd;
	bool started;
	bool ending;
	bool wanted;			/* a segment like `want` is to be made */
	struct segment_header want;
	struct segment ready;		/* fd -1: none */
	bool failed;			/* the last attempt; `failure` says why */
	struct err failure;
	bool stuck;			/* the journal can write nothing until there is one */
	bool broken;			/* no write works */
	uint64_t reserve_bytes;
	struct retention *retention;	/* borrowed */
	struct index complete;		/* of a segment that needs its file; base 0: none */
	uint64_t complete_watermark;
	_Atomic enum err_code refusal;	/* appends are refused with this */
};

MUST_USE enum err_code keeper_start(struct keeper *keeper, int dir_fd, uint64_t reserve_bytes,
				    struct retention *retention, struct err *err);
void keeper_stop(struct keeper *keeper);

/* Make this segment ready; its size is the least it may have. */
void keeper_want(struct keeper *keeper, const struct segment_header *header);
/* The log has gone on from the index's segment; the watermark lies after it. Takes the index. */
void keeper_complete(struct keeper *keeper, struct index *index, uint64_t watermark);
/* Waits for the segment that was wanted. Fails with what the last attempt failed with; then it
 * goes on trying and appends are refused until it is there. */
MUST_USE enum err_code keeper_take(struct keeper *keeper, struct segment *ret_segment,
				   struct err *err);
/* No write works (the message says why), or they do again (NULL). */
void keeper_set_broken(struct keeper *keeper, const struct err *why);
/* ERR_OK: appends may be taken; else the code and why not. */
MUST_USE enum err_code keeper_refusal(struct keeper *keeper, struct err *err);

#endif
