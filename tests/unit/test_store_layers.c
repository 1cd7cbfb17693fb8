/* The decorators of stores, and what store.c checks once for all backends. */
#include "backends/backends.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "moody_store.h"
#include "store/layer.h"
#include "store_helpers.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- for tests ------------------------------------------------------------- */

static void test_faulty_fails_the_call_it_was_told(void **state)
{
	struct store *store = store_faulty_new(store_memory_new(MEMORY_MAX), 2, ERR_BUSY, false);
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	put(store, "a", "x");
	assert_int_equal(store_put(store, "b", slice_str("x"), STORE_CREATE, &err), ERR_BUSY);
	assert_int_equal(store_size(store, "b", &size, &err), ERR_ABSENT);
	put(store, "b", "x");
	store_free(store);
}

static void test_faulty_can_lose_the_answer(void **state)
{
	struct store *store = store_faulty_new(store_memory_new(MEMORY_MAX), 1, ERR_UNKNOWN, true);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), ERR_UNKNOWN);
	assert_object(store, "a", "x");
	store_free(store);
}

static void test_memory_has_a_limit(void **state)
{
	struct store *store = store_memory_new(10);
	struct err err = { 0 };

	(void)state;
	put(store, "a", "12345678");
	assert_int_equal(store_put(store, "b", slice_str("123"), STORE_CREATE, &err), ERR_SPACE);
	assert_ok(store_put(store, "a", slice_str("1234567890"), STORE_REPLACE, &err));
	assert_ok(store_remove(store, "a", &err));
	put(store, "b", "123");
	store_free(store);
}

/* --- what is checked once ------------------------------------------------------ */

static bool see_key(void *user, const struct store_entry *entry)
{
	(void)entry;
	++*(int *)user;
	return true;
}

static void test_a_listing_out_of_order_is_an_error(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = &moody->layer.base;
	struct err err = { 0 };

	(void)state;
	put(store, "a/1", "x");
	put(store, "a/2", "x");
	for (int fault = BACKWARDS; fault <= ELSEWHERE; fault++) {
		int seen = 0;

		moody->fault = WELL;
		assert_ok(store_list(store, "a/", "", see_key, &seen, &err));
		assert_int_equal(seen, 2);
		moody->fault = (enum moody_fault)fault;
		assert_int_equal(store_list(store, "a/", fault == BEFORE ? "a/1" : "", see_key, &seen,
					    &err), ERR_CORRUPT);
		/* The wrong one is not given. */
		assert_int_equal(seen, fault == BEFORE ? 3 : 4);
	}
	store_free(store);
}

static void test_a_get_of_too_much_is_an_error(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = &moody->layer.base;
	struct err err = { 0 };
	struct buf out;

	(void)state;
	put(store, "a", "abc");
	buf_init(&out, 1000);
	buf_add_str(&out, "+");
	moody->fault = TOO_MUCH;
	assert_int_equal(store_get(store, "a", 0, 3, &out, &err), ERR_CORRUPT);
	assert_int_equal(out.len, 1);
	buf_release(&out);
	store_free(store);
}

/* A code that a call does not have is a bug of the backend. */
static void test_a_code_that_a_call_does_not_have_ends_the_program(void **state)
{
	static const enum err_code codes[] = { ERR_EXISTS, ERR_NO_TOPIC, ERR_UNKNOWN };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct moody *moody = moody_new();
			struct err err;
			uint64_t size;

			(void)signal(SIGABRT, SIG_DFL);
			(void)!freopen("/dev/null", "w", stderr);
			moody->moods[0] = codes[i];
			(void)!store_size(&moody->layer.base, "a", &size, &err);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

/* Of a backend under three decorators each call is counted once, with its time. */
static void test_calls_are_counted_once(void **state)
{
	struct store *slow = store_slow_new(store_memory_new(MEMORY_MAX), 0);
	struct store *store = store_trace_new(store_retry_new(slow, 0));
	int64_t puts = metric_get(METRIC_STORE_PUTS), gets = metric_get(METRIC_STORE_GETS);
	int64_t failed = metric_get(METRIC_STORE_FAILED);
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	put(store, "a", "x");
	assert_object(store, "a", "x");
	assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), ERR_EXISTS);
	assert_int_equal(store_size(store, "b", &size, &err), ERR_ABSENT);
	assert_int_equal(metric_get(METRIC_STORE_PUTS) - puts, 2);
	assert_int_equal(metric_get(METRIC_STORE_GETS) - gets, 1);
	assert_int_equal(metric_get(METRIC_STORE_FAILED) - failed, 0);
	store_free(store);
}

static bool dawdle(void *user, const struct store_entry *entry)
{
	(void)user;
	(void)entry;
	(void)usleep(50000);
	return true;
}

static void test_time_is_the_store_s_own(void **state)
{
	struct store *store = store_memory_new(MEMORY_MAX);
	int64_t before_us = metric_get(METRIC_STORE_LIST_US);
	struct err err = { 0 };

	(void)state;
	put(store, "a", "x");
	assert_ok(store_list(store, "", "", dawdle, NULL, &err));
	assert_in_range(metric_get(METRIC_STORE_LIST_US) - before_us, 0, 40000);
	store_free(store);
}

/* --- retry --------------------------------------------------------------------- */

enum { FOR_MS = 60000, SOON_MS = 100 };

static void test_what_is_refused_for_the_moment_is_asked_again(void **state)
{
	static const enum err_code moods[] = { ERR_BUSY, ERR_TIMEOUT, ERR_BUSY, ERR_OK };
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, FOR_MS);
	struct store_fetched fetched;
	struct err err = { 0 };
	uint64_t size;

	(void)state;
#define AGAIN (memcpy(moody->moods, moods, sizeof(moods)), moody->at = 0, moody->calls = 0)
	AGAIN;
	put(store, "a", "x");
	assert_int_equal(moody->calls, 4);
	AGAIN;
	assert_object(store, "a", "x");
	AGAIN;
	assert_ok(store_size(store, "a", &size, &err));
	AGAIN;
	assert_list(store, "", "", 0, "a\n");
	AGAIN;
	assert_ok(store_fetch(store, BY_KEY("a"), &fetched, &err));
	store_fetched_release(&fetched);
	AGAIN;
	assert_ok(store_remove(store, "a", &err));
	store_free(store);
}

/* An answer that was lost on the way: what reads is asked again, what writes is the caller's to
 * look after. */
static void test_an_error_on_the_way(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, FOR_MS);
	static const enum err_code codes[] = { ERR_IO, ERR_UNKNOWN };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		moody->moods[0] = codes[i];
		moody->at = 0;
		assert_int_equal(store_put(store, "a", slice_str("x"), STORE_CREATE, &err), codes[i]);
		assert_int_equal(moody->at, 1);
	}
	put(store, "a", "x");
	moody->moods[0] = moody->moods[1] = ERR_IO;
	moody->at = 0;
	assert_object(store, "a", "x");
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {	/* what is gone is not removed twice */
		moody->moods[0] = moody->moods[1] = codes[i];
		moody->at = moody->calls = 0;
		assert_ok(store_remove(store, "a", &err));
		assert_int_equal(moody->calls, 3);
	}
	store_free(store);
}

static void test_what_no_other_try_can_mend_is_told_at_once(void **state)
{
	static const enum err_code codes[] = { ERR_DENIED, ERR_AUTH, ERR_CORRUPT, ERR_LIMIT };
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, FOR_MS);
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		moody->moods[0] = codes[i];
		moody->at = moody->calls = 0;
		assert_int_equal(store_get(store, "a", 0, 1, &out, &err), codes[i]);
		assert_int_equal(moody->calls, 1);
	}
	buf_release(&out);
	store_free(store);
}

static void test_tries_end(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, 0);
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	moody->moods[0] = moody->moods[1] = ERR_BUSY;
	assert_int_equal(store_size(store, "a", &size, &err), ERR_BUSY);
	assert_string_equal(err.msg, "try 1");
	store_free(store);
}

static enum err_code hanging_stat(struct store *store, const char *key,
				  struct store_stat *ret_stat, struct err *err)
{
	if (moody(store)->moods[moody(store)->at] != ERR_OK)
		(void)usleep(2 * SOON_MS * 1000);
	return moody_stat(store, key, ret_stat, err);
}

/* The time for more tries is not the one that the first of them took, unless that was all of it. */
static void test_a_try_that_hung_is_not_the_last(void **state)
{
	struct moody *moody = moody_new();
	struct store *store = store_retry_new(&moody->layer.base, SOON_MS);
	struct store_ops hanging = moody_ops;
	struct err err = { 0 };
	uint64_t size;

	(void)state;
	put(store, "a", "x");
	hanging.stat = hanging_stat;
	moody->layer.base.ops = &hanging;
	moody->moods[0] = ERR_BUSY;
	moody->calls = 0;
	assert_ok(store_size(store, "a", &size, &err));
	assert_int_equal(moody->calls, 2);
	moody->moods[0] = ERR_TIMEOUT;
	moody->at = moody->calls = 0;
	assert_int_equal(store_size(store, "a", &size, &err), ERR_TIMEOUT);
	assert_int_equal(moody->calls, 1);
	store_free(store);
}

/* No key twice, and none left out, wherever the listing breaks off. */
static void test_a_listing_goes_on_where_it_broke_off(void **state)
{
	for (size_t keys = 0; keys <= 3; keys++) {
		struct moody *moody = moody_new();
		struct store *store = store_retry_new(&moody->layer.base, FOR_MS);

		put(store, "k/1", "x");
		put(store, "k/2", "x");
		put(store, "k/3", "x");
		moody->moods[0] = moody->moods[1] = moody->moods[2] = ERR_BUSY;
		moody->keys = keys;
		assert_list(store, "k/", "", 0, "k/1\nk/2\nk/3\n");
		moody->at = 0;
		assert_list(store, "k/", "k/1", 1, "k/2\n");
		store_free(store);
	}
	(void)state;
}

static void test_a_level_goes_on_where_it_broke_off(void **state)
{
	for (size_t keys = 0; keys <= 3; keys++) {
		struct moody *moody = moody_new();
		struct store *store = store_retry_new(&moody->layer.base, FOR_MS);

		put(store, "k/1", "x");
		put(store, "k/2/1", "x");
		put(store, "k/3", "x");
		moody->moods[0] = moody->moods[1] = ERR_BUSY;
		moody->keys = keys;
		assert_level(store, "k/", "k/1\nk/2/\nk/3\n");
		store_free(store);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faulty_fails_the_call_it_was_told),
		cmocka_unit_test(test_faulty_can_lose_the_answer),
		cmocka_unit_test(test_memory_has_a_limit),
		cmocka_unit_test(test_a_listing_out_of_order_is_an_error),
		cmocka_unit_test(test_a_get_of_too_much_is_an_error),
		cmocka_unit_test(test_a_code_that_a_call_does_not_have_ends_the_program),
		cmocka_unit_test(test_calls_are_counted_once),
		cmocka_unit_test(test_time_is_the_store_s_own),
		cmocka_unit_test(test_what_is_refused_for_the_moment_is_asked_again),
		cmocka_unit_test(test_a_try_that_hung_is_not_the_last),
		cmocka_unit_test(test_an_error_on_the_way),
		cmocka_unit_test(test_what_no_other_try_can_mend_is_told_at_once),
		cmocka_unit_test(test_tries_end),
		cmocka_unit_test(test_a_listing_goes_on_where_it_broke_off),
		cmocka_unit_test(test_a_level_goes_on_where_it_broke_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
