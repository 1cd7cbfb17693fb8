/*
 * poison.h - which records of a batch make a model's SQL fail, by halving.
 *
 * Used by both paths. A record is blamed only when it fails by itself and the
 * engine still cleans what is surely good, that is nothing at all: if not even
 * that works, no record is at fault. More than POISON_MAX of them, and the model
 * is: the search ends with its error. So it does if the whole fails and no
 * record does by itself (a window function, say).
 *
 * Ownership: everything is borrowed. Threads: the caller's.
 */
#ifndef FLOW_POISON_H
#define FLOW_POISON_H

#include "base/err.h"

#include <stddef.h>

enum { POISON_MAX = 100 };	/* of one batch */

struct poison {
	/* Clean records [from, to) only to see whether that works. ERR_SHAPE: the SQL fails in it;
	 * any other error is one of its own and ends the search. */
	enum err_code (*attempt)(void *user, size_t from, size_t to, struct err *err);
	/* Record `at` is to be a dead letter. */
	enum err_code (*bury)(void *user, size_t at, const char *reason, struct err *err);
	void *user;
	size_t found;			/* in this batch so far */
};

/* Cleaning all `count` records failed with ERR_SHAPE, as *err says: bury those that are to blame.
 * ERR_OK: some were buried, and the rest is to be cleaned again. */
MUST_USE enum err_code poison_find(struct poison *poison, size_t count, struct err *err);
/* Without them it failed once more with ERR_SHAPE: say so. */
enum err_code poison_not_found(struct err *err);

#endif
