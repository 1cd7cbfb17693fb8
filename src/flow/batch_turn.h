/*
 * batch_turn.h - whose turn it is with the engine, which takes all cores and as much memory as it
 * may have: one table is cleaned at a time, while what was cleaned before is put and committed.
 *
 * The first turns go round in the order of the run, so that none that is large is kept for the
 * end by one that was quicker to ask.
 *
 * Threads: take, give and pass any; new and free one.
 */
#ifndef FLOW_BATCH_TURN_H
#define FLOW_BATCH_TURN_H

#include <stddef.h>

struct batch_turn;

struct batch_turn *batch_turn_new(size_t tables);
void batch_turn_free(struct batch_turn *turn);
/* Waits for it. */
void batch_turn_take(struct batch_turn *turn, size_t table);
void batch_turn_give(struct batch_turn *turn);
/* The table is done; those behind it do not wait for its first turn any more. */
void batch_turn_pass(struct batch_turn *turn, size_t table);

#endif
