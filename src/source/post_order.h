/*
 * post_order.h - which row is posted next, and how long the original would
 * have waited before it.
 *
 *	course	CPython's random.seed(seed), then for every post randrange(0, 2),
 *		the pause in seconds, and randint(0, 11000), the row: what the
 *		course's emulators post, everywhere the same
 *	random	uniform over the rows of the source, by the same generator
 *	rows	0, 1, 2, … and from 0 again, of the source's own order
 *
 * The pause is 0 or 1 second in every order. Ownership: the caller owns the
 * struct. Threads: one thread a struct.
 */
#ifndef SOURCE_POST_ORDER_H
#define SOURCE_POST_ORDER_H

#include "base/err.h"
#include "source/python_random.h"

enum post_order_kind { POST_ORDER_COURSE, POST_ORDER_RANDOM, POST_ORDER_ROWS };

enum { COURSE_ROWS = 11001 };	/* randint(0, 11000) draws from so many */

struct post_order {
	enum post_order_kind kind;
	uint64_t rows;
	uint64_t next;
	struct python_random random;
};

struct post_choice {
	uint64_t row;
	int64_t pause_s;
};

/* ERR_USAGE: no rows, or fewer than the course's order may draw. */
MUST_USE enum err_code post_order_init(struct post_order *order, enum post_order_kind kind,
				       int64_t seed, uint64_t rows, struct err *err);
struct post_choice post_order_next(struct post_order *order);

#endif
