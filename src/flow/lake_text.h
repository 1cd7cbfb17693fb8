/*
 * lake_text.h - the text of an object that is looked at as it goes by: however
 * long it is, and however small it is packed, no more of it is in memory than a
 * piece.
 *
 * Threads: any.
 */
#ifndef FLOW_LAKE_TEXT_H
#define FLOW_LAKE_TEXT_H

#include "store/store.h"

/*
 * Gives all of it, unpacked if its name says that it is packed, in order. It is read with a request
 * for each `piece` bytes that are stored; pieces of text are of any length. An error may come after
 * some of them, so look at the code first. ERR_CORRUPT: it cannot be unpacked.
 */
MUST_USE enum err_code lake_text_each(struct store *store, const char *key, size_t piece,
				      void (*take)(void *user, struct slice text), void *user,
				      struct err *err);

/*
 * The same of an object that another program may put again meanwhile, and of which no sum is known:
 * its text is all of one object, or the code is ERR_BUSY. `size` is the one that it was listed
 * with; UINT64_MAX: not known.
 */
MUST_USE enum err_code lake_text_each_same(struct store *store, const char *key, uint64_t size,
					   size_t piece,
					   void (*take)(void *user, struct slice text), void *user,
					   struct err *err);

/* What is counted of a text on its way. */
struct lake_text_sum {
	uint64_t bytes;
	uint64_t lines; /* that have ended */
	uint32_t crc;	/* CRC-32C */
	char last;	/* byte; '\n' before there is one */
};

void lake_text_sum_init(struct lake_text_sum *sum);
void lake_text_sum_take(void *sum, struct slice text); /* for lake_text_each() */

/* The last lines of a text, of `want` bytes and more, but one in any case; and the sum of all. */
struct lake_text_tail {
	struct lake_text_sum sum;
	struct buf text; /* from the beginning of a line on */
	size_t want;
	size_t cut_at; /* so long, lines before those are let go of */
};

void lake_text_tail_init(struct lake_text_tail *tail, size_t want);
void lake_text_tail_take(void *tail, struct slice text);
void lake_text_tail_release(struct lake_text_tail *tail);

#endif
