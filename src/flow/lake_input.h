/*
 * lake_input.h - objects of one topic of the lake as the engine's raw input,
 * with their dead letters.
 *
 *	lake_input_add()       objects that are to be read, in order
 *	engine_clean()         reads all of them, or a range (see `narrow`)
 *	lake_input_end()       checks that nothing is missing between them
 *	lake_input_write_dead()
 *	lake_input_settle()    once it is committed
 *
 * The n-th line of an object is the record at its start offset + n, so how far
 * an object reaches is known once it was read.
 *
 * Poison: a record that makes a model's SQL fail. Whoever finds one calls
 * lake_input_poison(); from then on it is a dead letter and the engine does not
 * see it.
 *
 * Dead letters are collected; after a failed run call lake_input_forget().
 *
 * Ownership: lake_input_release() frees all; store and texts are borrowed.
 * Threads: the engine's, while it cleans; else the caller's one.
 */
#ifndef FLOW_LAKE_INPUT_H
#define FLOW_LAKE_INPUT_H

#include "engine/engine.h"
#include "flow/dlq.h"
#include "store/store.h"

#include <pthread.h>

struct lake_object {
	struct lake_part *part;
	uint64_t start;			/* offset of its first record */
	uint64_t size;			/* bytes */
	uint64_t count;			/* of its records; known once it was read to its end */
	uint64_t base;			/* of the records of all before it; by lake_input_count() */
	bool read;
};

/* A partition of the topic. */
struct lake_part {
	int32_t partition;
	int64_t done;			/* the last offset that is cleaned already, or -1 */
	int64_t end;			/* by lake_input_end(): the last one
					   that this input holds */
	char text[PARTITION_TEXT_MAX];
	struct dlq_batch *letters;
};

/* What a run reads: of objects [first, last) the records [from, to), counted over all objects. */
struct lake_range {
	size_t first;
	size_t last;
	uint64_t from;
	uint64_t to;
};

struct lake_poison {
	uint64_t record;		/* counted over all objects, from 0 */
	char *reason;
};

struct lake_input {
	struct raw_input input;		/* first */
	struct store *store;
	const struct lake_table *table;
	const char *topic; /* the table's */
	struct lake_part **parts;
	size_t part_count;
	struct lake_object *objects;
	size_t object_count;
	size_t object_room;
	uint64_t bytes;
	bool gaps; /* records may be missing between objects: a rebuild takes what is left */
	struct lake_range range;	/* what the next run reads */
	bool trial;			/* dead letters of the next run do not count */
	struct lake_poison *poison;
	size_t poison_count;
	pthread_mutex_t lock;		/* of `idle` */
	struct lake_reading *idle;	/* buffers to be used again */
	pthread_mutex_t letters_lock;	/* of the parts' letters */
};

void lake_input_init(struct lake_input *input, struct store *store, const struct lake_table *table);
void lake_input_release(struct lake_input *input);
/* Known from here on; `done`: the last offset that is cleaned already, or -1. */
struct lake_part *lake_input_part(struct lake_input *input, int32_t partition, int64_t done);
/* Objects of a partition come in the order of their offsets. */
void lake_input_add(struct lake_input *input, struct lake_part *part, uint64_t start,
		    uint64_t size);

/* The next run reads everything. */
void lake_input_all(struct lake_input *input);
/* Count the records of all objects, so that what follows can tell them by their number. */
MUST_USE enum err_code lake_input_count(struct lake_input *input, uint64_t *ret_count,
					struct err *err);
/* The next run reads just these, to find out whether it fails: what it buries does not count. */
void lake_input_narrow(struct lake_input *input, uint64_t from, uint64_t to);
void lake_input_poison(struct lake_input *input, uint64_t record, const char *reason);

/*
 * After a run over everything: fill in each part's `end`. ERR_CORRUPT, naming the offsets: between
 * two objects records are missing that are no dead letters of the sink, or two objects overlap.
 */
MUST_USE enum err_code lake_input_end(struct lake_input *input, struct err *err);
/* Drop what was collected. */
void lake_input_forget(struct lake_input *input);
/* Before the commit, … */
MUST_USE enum err_code lake_input_write_dead(struct lake_input *input, struct err *err);
/* … and after it: letters of others for what it passed go away. */
MUST_USE enum err_code lake_input_settle(struct lake_input *input, struct err *err);

#endif
