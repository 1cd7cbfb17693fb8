/*
 * ahead.h - many small works that each wait for somebody else (a service that
 * answers after 20 ms), done several at once and before anybody asks for them.
 *
 *	ahead = ahead_new(&(struct ahead_options){ .count = n, .at_once = 32, .work = get_one, … });
 *	for (size_t i = 0; i < n; i++)
 *		ahead_take(ahead, i, err);	// item i is done: use it
 *	ahead_free(ahead);
 *
 *  1. Items are begun in their order, by `at_once` threads; what the work of one
 *     brings it leaves with its user, who has it after ahead_take().
 *  2. No further than a window: twice `at_once` items, and `bytes_max` of them,
 *     are begun and not taken yet. What an item holds is asked before it is begun,
 *     where a guess has to do, and once it is done, when it is known.
 *  3. Each item is taken at most once, by any thread, roughly in their order. One
 *     that is taken before it was begun is done by the thread that takes it, so
 *     that nobody ever waits for the window; with at_once 1 that is all of them,
 *     and there are no threads.
 *  4. Items that nobody takes may have been done or not; they are the user's to
 *     clear away after ahead_free(), which waits for those at hand.
 *
 * Ownership: of `user` nothing is taken. Threads: its own ones call `work`, several
 * at a time, and `bytes`, one at a time; take() any; new and free one.
 */
#ifndef BASE_AHEAD_H
#define BASE_AHEAD_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct ahead_options {
	size_t count;			/* items 0 to count - 1 */
	size_t at_once;
	uint64_t bytes_max;
	/* About what an item holds until it is taken, and while it is done; the same from when it
	 * is done until it is taken. NULL: nothing worth counting. */
	uint64_t (*bytes)(void *user, size_t item);
	enum err_code (*work)(void *user, size_t item, struct err *err);
	void *user;
};

struct ahead;

MUST_USE struct ahead *ahead_new(const struct ahead_options *options);
/* Until the item is done: what its work ended with. */
MUST_USE enum err_code ahead_take(struct ahead *ahead, size_t item, struct err *err);
void ahead_free(struct ahead *ahead);	/* accepts NULL */

/* All of them, without a word in between: the error is that of the first item that failed, and of
 * those behind it some may not have been done. */
MUST_USE enum err_code ahead_all(const struct ahead_options *options, struct err *err);

#endif
