/* The one table of errors: every code has a row, and messages keep what errno said. */
#include "base/err.h"
#include "testing.h"

#include <errno.h>
#include <string.h>

static void test_errno_picks_the_code(void **state)
{
	struct err err = { 0 };

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_errno(&err, "could not write \"%s\"", "x"), ERR_SPACE);
	assert_string_equal(err.msg, "could not write \"x\": No space left on device");
	assert_int_equal(err.sys, ENOSPC);
	assert_true(err_retry(err.code));
}

static void test_prefix_keeps_the_code(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, ERR_SHAPE, "no key"), ERR_SHAPE);
	assert_int_equal(err_prefix(&err, "record %d", 3), ERR_SHAPE);
	assert_string_equal(err.msg, "record 3: no key");
	assert_int_equal(err_http(err.code), 422);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno_picks_the_code),
		cmocka_unit_test(test_prefix_keeps_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
