/* The emulator on a source that is a service: it fails, and it is told ahead what will be asked. */
#include "base/mem.h"
#include "flow/emulate.h"
#include "testing.h"

enum { ROWS = 1000, WANTED_MAX = 4 * SOURCE_WANT_MAX };

enum { COUNT, POSTS, WANT, ROW };

struct source_far {
	struct source base;
	int fails_at;
	uint64_t wanted[WANTED_MAX];
	size_t wanted_count;
	uint64_t asked;			/* that many rows */
	bool unwanted;			/* one was asked for that was not wanted, in this order */
};

static struct source_far *far(struct source *source) { return (struct source_far *)source; }

static enum err_code far_fail(struct source *source, int at, struct err *err)
{
	return far(source)->fails_at == at ? err_set(err, ERR_TIMEOUT, "no answer at %d", at) : ERR_OK;
}

static enum err_code far_count(struct source *source, uint64_t *ret_count, struct err *err)
{
	*ret_count = ROWS;
	return far_fail(source, COUNT, err);
}

static enum err_code far_posts(struct source *source, uint64_t *ret_posts, struct err *err)
{
	*ret_posts = ROWS;
	return far_fail(source, POSTS, err);
}

static enum err_code far_want(struct source *source, enum source_by by, const uint64_t *numbers,
			      size_t count, struct err *err)
{
	(void)by;
	assert_in_range(count, 1, SOURCE_WANT_MAX);
	assert_true(far(source)->wanted_count + count <= WANTED_MAX);
	memcpy(far(source)->wanted + far(source)->wanted_count, numbers, count * sizeof(*numbers));
	far(source)->wanted_count += count;
	return far_fail(source, WANT, err);
}

/* Every third one is not there, so that the next one is drawn. The 100th ends it. */
static enum err_code far_row(struct source *source, uint64_t k, struct source_post *ret_post,
			     struct err *err)
{
	far(source)->unwanted |= far(source)->asked >= far(source)->wanted_count ||
				 far(source)->wanted[far(source)->asked] != k;
	if (far(source)->asked++ == 100)
		return far_fail(source, ROW, err);
	*ret_post = (struct source_post){ 0 };
	return far(source)->asked % 3 == 0 ? err_set(err, ERR_ABSENT, "no row") : ERR_OK;
}

static enum err_code far_post_at(struct source *source, uint64_t n, uint64_t *ret_k,
				 struct source_post *ret_post, struct err *err)
{
	*ret_k = n;
	far(source)->unwanted |= far(source)->wanted[far(source)->asked++] != n;
	*ret_post = (struct source_post){ 0 };
	return far(source)->asked == 100 ? far_fail(source, ROW, err) : ERR_OK;
}

static const struct source_ops far_ops = {
	.name = "far", .count = far_count, .want = far_want, .ready = source_always_ready,
	.row = far_row, .posts = far_posts, .post_at = far_post_at,
};

static enum err_code run(struct source_far *source, enum post_order_kind order, uint64_t posts,
			 int fails_at, struct err *err)
{
	struct emulate_result result;
	const struct emulate_options options = {
		.source = &source->base, .order = order, .posts = posts, .pace = EMULATE_UNPACED,
		.url = "http://127.0.0.1:9/topics/x.", .batch_size = 1, .connections = 1,
	};

	*source = (struct source_far){ .base = { &far_ops }, .fails_at = fails_at };
	return emulate_run(&options, &result, err);
}

static void test_every_call_of_the_source_may_fail(void **state)
{
	static const struct { enum post_order_kind order; int fails_at; } cases[] = {
		{ POST_ORDER_RANDOM, COUNT }, { POST_ORDER_ROWS, POSTS }, { POST_ORDER_RANDOM, WANT },
		{ POST_ORDER_ROWS, WANT }, { POST_ORDER_RANDOM, ROW }, { POST_ORDER_ROWS, ROW },
	};
	struct source_far source;
	char expected[40];
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(run(&source, cases[i].order, 0, cases[i].fails_at, &err),
				 ERR_TIMEOUT);
		(void)snprintf(expected, sizeof(expected), "no answer at %d", cases[i].fails_at);
		assert_non_null(strstr(err.msg, expected));
	}
}

static void test_rows_are_wanted_before_they_are_asked_for(void **state)
{
	static const enum post_order_kind orders[] = { POST_ORDER_RANDOM, POST_ORDER_ROWS };
	struct source_far source;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		assert_int_equal(run(&source, orders[i], 0, ROW, &err), ERR_TIMEOUT);
		assert_false(source.unwanted);
		assert_int_equal(source.wanted_count, 2 * SOURCE_WANT_MAX);
	}
	assert_ok(run(&source, POST_ORDER_ROWS, 5, COUNT, &err));
	assert_int_equal(source.wanted_count, 5);	/* no more than are posted */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call_of_the_source_may_fail),
		cmocka_unit_test(test_rows_are_wanted_before_they_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
