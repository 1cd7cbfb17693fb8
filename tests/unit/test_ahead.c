/* Works done ahead of who wants them. */
#include "base/ahead.h"
#include "testing.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ITEMS = 200, AT_ONCE = 4, WINDOW = 2 * AT_ONCE };

/* Items that each become their number's square, and what was seen on the way. */
struct squares {
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	size_t of[ITEMS];
	int works[ITEMS];		/* of each */
	size_t begun;
	size_t taken;
	size_t at_hand;
	size_t most;			/* of at_hand … */
	size_t furthest;		/* … and of items begun and not taken */
	size_t meet;			/* so many works wait for each other */
	bool held;			/* none ends */
	uint64_t bytes;			/* of each item … */
	bool shrinks;			/* … before it is done; then it holds nothing */
	size_t fails_from;		/* items from this one on fail; 0: none */
};

static void squares_init(struct squares *squares)
{
	*squares = (struct squares){ .lock = PTHREAD_MUTEX_INITIALIZER,
				     .changed = PTHREAD_COND_INITIALIZER };
}

static enum err_code square(void *user, size_t item, struct err *err)
{
	struct squares *squares = user;
	bool fails;

	(void)pthread_mutex_lock(&squares->lock);
	squares->works[item]++;
	squares->begun++;
	squares->at_hand++;
	if (squares->at_hand > squares->most)
		squares->most = squares->at_hand;
	if (squares->begun - squares->taken > squares->furthest)
		squares->furthest = squares->begun - squares->taken;
	(void)pthread_cond_broadcast(&squares->changed);
	while (squares->held || squares->most < squares->meet)
		(void)pthread_cond_wait(&squares->changed, &squares->lock);
	squares->at_hand--;
	squares->of[item] = item * item;
	fails = squares->fails_from > 0 && item >= squares->fails_from;
	(void)pthread_mutex_unlock(&squares->lock);
	return fails ? err_set(err, ERR_BUSY, "item %zu", item) : ERR_OK;
}

static uint64_t square_bytes(void *user, size_t item)
{
	struct squares *squares = user;
	bool gone;

	(void)pthread_mutex_lock(&squares->lock);
	gone = squares->shrinks && squares->works[item] > 0;
	(void)pthread_mutex_unlock(&squares->lock);
	return gone ? 0 : squares->bytes;
}

static struct ahead_options options_of(struct squares *squares)
{
	return (struct ahead_options){ .count = ITEMS, .at_once = AT_ONCE, .bytes_max = 100,
				       .bytes = square_bytes, .work = square, .user = squares };
}

static void take(struct ahead *ahead, struct squares *squares, size_t item)
{
	struct err err = { 0 };

	assert_ok(ahead_take(ahead, item, &err));
	(void)pthread_mutex_lock(&squares->lock);
	squares->taken++;
	assert_int_equal(squares->of[item], item * item);
	assert_int_equal(squares->works[item], 1);
	(void)pthread_mutex_unlock(&squares->lock);
}

static void take_all(const struct ahead_options *options, struct squares *squares)
{
	struct ahead *ahead = ahead_new(options);

	for (size_t i = 0; i < options->count; i++)
		take(ahead, squares, i);
	ahead_free(ahead);
	assert_int_equal(squares->begun, options->count);
}

static void test_items_are_done_at_once(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);

	(void)state;
	squares_init(&squares);
	squares.meet = AT_ONCE;		/* with fewer at a time this would not end */
	take_all(&options, &squares);
	assert_in_range(squares.most, AT_ONCE, AT_ONCE + 1);
	assert_in_range(squares.furthest, AT_ONCE, WINDOW + 1);
}

static void test_without_threads_each_is_done_when_it_is_taken(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);

	(void)state;
	squares_init(&squares);
	options.at_once = 1;
	take_all(&options, &squares);
	assert_int_equal(squares.most, 1);
	assert_int_equal(squares.furthest, 1);
}

static void await_begun(struct squares *squares, size_t begun)
{
	(void)pthread_mutex_lock(&squares->lock);
	while (squares->begun < begun)
		(void)pthread_cond_wait(&squares->changed, &squares->lock);
	(void)pthread_mutex_unlock(&squares->lock);
}

/* The threads go as far as the window lets them, and no further until something is taken. */
static void test_nobody_runs_away(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);
	struct ahead *ahead;

	(void)state;
	squares_init(&squares);
	ahead = ahead_new(&options);
	await_begun(&squares, WINDOW);
	for (size_t i = 0; i < ITEMS; i++) {
		take(ahead, &squares, i);
		assert_in_range(squares.furthest, 1, WINDOW + 1);
	}
	ahead_free(ahead);
}

/* 100 bytes are two items of 40, whatever the window would hold; one of 1000 goes alone. */
static void test_bytes_are_bounded(void **state)
{
	static const uint64_t sizes[] = { 40, 1000 };
	static const size_t fit[] = { 2, 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct squares squares;
		struct ahead_options options = options_of(&squares);

		squares_init(&squares);
		squares.bytes = sizes[i];
		take_all(&options, &squares);
		/* and the one that who takes does himself */
		assert_in_range(squares.furthest, 1, fit[i] + 1);
	}
}

/* What an item is thought to hold lets no other one begin; it turns out to be less. */
static void test_what_is_done_may_hold_less(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);
	struct ahead *ahead;

	(void)state;
	squares_init(&squares);
	squares.bytes = 1000;
	squares.shrinks = true;
	ahead = ahead_new(&options);
	await_begun(&squares, WINDOW); /* or this would not end */
	assert_int_equal(squares.most, 1);
	ahead_free(ahead);
}

static void test_a_failure_is_of_its_item(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);
	struct ahead *ahead;
	struct err err = { 0 };

	(void)state;
	squares_init(&squares);
	squares.fails_from = 7;
	options.count = 10;
	ahead = ahead_new(&options);
	assert_int_equal(ahead_take(ahead, 8, &err), ERR_BUSY);
	assert_string_equal(err.msg, "item 8");
	assert_ok(ahead_take(ahead, 6, &err));
	assert_int_equal(ahead_take(ahead, 7, &err), ERR_BUSY);
	assert_string_equal(err.msg, "item 7");
	ahead_free(ahead);
	assert_int_equal(ahead_all(&options, &err), ERR_BUSY);
	assert_string_equal(err.msg, "item 7");
	squares.fails_from = 0;
	assert_ok(ahead_all(&options, &err));
	options.count = 0;
	assert_ok(ahead_all(&options, &err));
}

struct taker {
	struct ahead *ahead;
	struct squares *squares;
	atomic_size_t *next;
};

static void *take_some(void *user)
{
	struct taker *taker = user;
	size_t item;

	while ((item = atomic_fetch_add(taker->next, 1)) < ITEMS)
		take(taker->ahead, taker->squares, item);
	return NULL;
}

static void test_several_may_take(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);
	atomic_size_t next = 0;
	struct taker taker = { .squares = &squares, .next = &next };
	pthread_t threads[3];

	(void)state;
	squares_init(&squares);
	squares.bytes = 60;		/* one at a time: the next one is never in the window */
	taker.ahead = ahead_new(&options);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_some, &taker), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	ahead_free(taker.ahead);
	assert_int_equal(squares.begun, ITEMS);
}

/* One item is held up by its work; who wants the one behind it does not wait for that, though there
 * is no room in the window for it. */
static void test_nobody_waits_for_the_window(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);
	struct ahead *ahead;

	(void)state;
	squares_init(&squares);
	squares.bytes = 1000;
	ahead = ahead_new(&options);
	await_begun(&squares, 1);
	take(ahead, &squares, 1);
	take(ahead, &squares, 2);
	take(ahead, &squares, 0);
	ahead_free(ahead);
}

static void *let_go(void *user)
{
	struct squares *squares = user;

	await_begun(squares, AT_ONCE);
	(void)pthread_mutex_lock(&squares->lock);
	squares->held = false;
	(void)pthread_cond_broadcast(&squares->changed);
	(void)pthread_mutex_unlock(&squares->lock);
	return NULL;
}

static void test_the_end_waits_for_those_at_hand(void **state)
{
	struct squares squares;
	struct ahead_options options = options_of(&squares);
	pthread_t thread;
	struct ahead *ahead;

	(void)state;
	squares_init(&squares);
	squares.held = true;
	ahead = ahead_new(&options);
	assert_int_equal(pthread_create(&thread, NULL, let_go, &squares), 0);
	await_begun(&squares, AT_ONCE);
	ahead_free(ahead);
	assert_int_equal(squares.at_hand, 0);
	assert_in_range(squares.begun, 1, WINDOW);
	assert_int_equal(pthread_join(thread, NULL), 0);
	ahead_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_are_done_at_once),
		cmocka_unit_test(test_without_threads_each_is_done_when_it_is_taken),
		cmocka_unit_test(test_nobody_runs_away),
		cmocka_unit_test(test_bytes_are_bounded),
		cmocka_unit_test(test_what_is_done_may_hold_less),
		cmocka_unit_test(test_a_failure_is_of_its_item),
		cmocka_unit_test(test_several_may_take),
		cmocka_unit_test(test_nobody_waits_for_the_window),
		cmocka_unit_test(test_the_end_waits_for_those_at_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
