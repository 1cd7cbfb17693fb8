#include "source/post_order.h"

enum err_code post_order_init(struct post_order *order, enum post_order_kind kind, int64_t seed,
			      uint64_t rows, struct err *err)
{
	if (rows == 0 || rows > INT64_MAX - 1)
		return err_set(err, ERR_USAGE, "cannot draw from a source of %llu rows",
			       (unsigned long long)rows);
	if (kind == POST_ORDER_COURSE && rows < COURSE_ROWS)
		return err_set(err, ERR_USAGE,
			       "the course's order draws rows 0 to %d, but the source has %llu",
			       COURSE_ROWS - 1, (unsigned long long)rows);
	order->kind = kind;
	order->rows = kind == POST_ORDER_COURSE ? COURSE_ROWS : rows;
	order->next = 0;
	python_random_init(&order->random, seed);
	return ERR_OK;
}

struct post_choice post_order_next(struct post_order *order)
{
	int64_t last = (int64_t)order->rows - 1;
	struct post_choice choice = { .pause_s = python_random_range(&order->random, 0, 2) };

	if (order->kind == POST_ORDER_ROWS)
		choice.row = order->next++ % order->rows;
	else
		choice.row = (uint64_t)python_random_int(&order->random, 0, last);
	return choice;
}
