/*
 * delta_progress.h - positions as `txn` actions, for delta_commit.c; delta.h
 * says what they are good for, delta_progress.c how they are kept.
 */
#ifndef DELTA_DELTA_PROGRESS_H
#define DELTA_DELTA_PROGRESS_H

#include "delta/delta_state.h"

/* As delta_progress(), of a state. */
MUST_USE enum err_code delta_state_progress(const struct delta_state *state, const char *app_id,
					    struct delta_progress *ret_progress, struct err *err);
/* Whether both stand at the same record of one history, or at none. */
bool delta_progress_is(const struct delta_progress *a, const struct delta_progress *b);
/* ERR_LIMIT: a position of more bits than can be kept. */
MUST_USE enum err_code delta_progress_check(const struct delta_step *step, struct err *err);
/* The actions that bring a table of this state there. */
void delta_put_step(struct buf *out, const struct delta_state *state, const struct delta_step *step,
		    int64_t now_ms);

#endif
