/*
 * micro_batch.h - records of one table that wait for the next commit, held in
 * memory, offered to the engine as a struct raw_input.
 *
 * Bounded by its user: it asks micro_batch_bytes() and flushes in time.
 * Ownership: values are copied in. Threads: the engine's threads read parts
 * while the owner waits inside its clean(), which calls dead() one at a time.
 */
#ifndef FLOW_MICRO_BATCH_H
#define FLOW_MICRO_BATCH_H

#include "base/arena.h"
#include "broker/broker.h"
#include "engine/engine.h"
#include "flow/dlq.h"
#include "flow/poison.h"

/* A partition that the batch has records of. */
struct batch_shard {
	char text[PARTITION_TEXT_MAX];	/* as it goes into _partition */
	char prefix[8];			/* of _offset: "g0002-" from the second history on */
	struct dlq_batch *letters;
};

/* A record that the engine found to be no row. */
struct batch_letter {
	const struct batch_item *item;
	const char *reason;		/* in the batch's `reasons` */
};

struct micro_batch {
	struct raw_input input;		/* first: the engine gets this; it offers the items of
					   micro_batch_select() */
	struct arena arena;
	struct batch_item *items;
	size_t count;
	size_t cap;
	size_t bytes;
	size_t from;			/* the selected items, [from, to) */
	size_t to;
	struct batch_letter *letters;	/* found since the last micro_batch_select() */
	size_t letter_count;
	size_t letter_cap;
	struct arena reasons;		/* of those letters; at most one an item */
	int64_t first_ms;		/* monotonic clock when it got its first record */
	int64_t oldest_ms, newest_ms;	/* of the records' own times */
};

/* `shared`: the tables of the stream. `bytes_max` of values may be added before it must be cleared.
 */
void micro_batch_init(struct micro_batch *batch, const struct clean_shared *shared,
		      size_t bytes_max);
void micro_batch_release(struct micro_batch *batch);
/* `shard` is borrowed until the batch is cleared. */
void micro_batch_add(struct micro_batch *batch, struct batch_shard *shard,
		     const struct record *record);
void micro_batch_clear(struct micro_batch *batch);

/* Offer only items [from, to) to the engine, and forget the letters it found before. */
void micro_batch_select(struct micro_batch *batch, size_t from, size_t to);
/* Hand the letters found since then to the shards' dead letters. May be called again after an
 * error: it goes on with those that are left. */
MUST_USE enum err_code micro_batch_take_letters(struct micro_batch *batch, struct err *err);
/* Item `at` cannot be cleaned at all: its dead letter. From then on the engine does not see it. */
MUST_USE enum err_code micro_batch_bury(struct micro_batch *batch, size_t at, const char *reason,
					struct err *err);

/* What a batch is cleaned by, and where to. */
struct micro_batch_cleaning {
	struct micro_batch *batch;
	struct engine *engine;
	const struct lake_table *table;
	const char *path; /* of the file that is made */
};

/*
 * Clean all items into the file. Those that make the SQL fail are buried; `poison` counts them,
 * over several tries. On failure letters are not known: they are found again.
 */
MUST_USE enum err_code micro_batch_clean(struct micro_batch_cleaning *cleaning,
					 struct poison *poison, struct clean_result *ret_result,
					 struct err *err);

#endif
