/* Libraries that are loaded when they are asked for: which one, and what is wrong with it. */
#include "base/library.h"
#include "testing.h"

#include <string.h>
#include <unistd.h>

struct math {
	double (*square_root)(double of);
	double (*cube_root)(double of);
};

static struct library library_of(const char *const *files, const struct library_function *functions,
				 struct math *math)
{
	return (struct library){ .files = files, .functions = functions, .api = math,
				 .lock = PTHREAD_MUTEX_INITIALIZER };
}

static const struct library_function roots[] = {
	{ "sqrt", offsetof(struct math, square_root) },
	{ "cbrt", offsetof(struct math, cube_root) },
	{ 0 },
};

static void test_the_first_that_is_there(void **state)
{
	static const char *const files[] = { "libnone-of-this-name.so", "libm.so.6", NULL };
	struct math math = { 0 };
	struct library library = library_of(files, roots, &math);
	struct err err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_ok(library_load(&library, &err));
		assert_true(math.square_root(9) > 2.9 && math.cube_root(27) > 2.9);
	}
}

static void test_each_that_was_tried_is_named(void **state)
{
	const char *files[] = { "libnone-of-this-name.so", "/nowhere/libm.so.6", NULL };
	struct math math = { 0 };
	struct library library = library_of(files, roots, &math);
	struct err err;

	(void)state;
	assert_int_equal(library_load(&library, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "libnone-of-this-name.so"));
	assert_non_null(strstr(err.msg, "/nowhere/libm.so.6"));
	files[1] = "libm.so.6";		/* it is there now */
	assert_ok(library_load(&library, &err));
	assert_true(math.square_root(9) > 2.9);
}

static void test_beside_the_program(void **state)
{
	static const char *const files[] = { "../nowhere/libm.so.6",
					     "../../.cache/duckdb/libduckdb.so", NULL };
	static const struct library_function functions[] = {
		{ "duckdb_library_version", offsetof(struct math, square_root) }, { 0 }
	};
	struct math math = { 0 };
	struct library library = library_of(files, functions, &math);
	struct err err;

	(void)state;
	assert_int_equal(chdir("/"), 0); /* it is not looked for from here */
	assert_ok(library_load(&library, &err));
	assert_true(math.square_root != NULL);
}

static void test_a_function_that_it_lacks(void **state)
{
	static const char *const files[] = { "libm.so.6", NULL };
	static const struct library_function functions[] = {
		{ "sqrt", offsetof(struct math, square_root) },
		{ "no_such_root", offsetof(struct math, cube_root) },
		{ 0 },
	};
	struct math math = { 0 };
	struct library library = library_of(files, functions, &math);
	struct err err;

	(void)state;
	assert_int_equal(library_load(&library, &err), ERR_USAGE);
	assert_string_equal(err.msg, "libm.so.6 has no function no_such_root");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_that_is_there),
		cmocka_unit_test(test_each_that_was_tried_is_named),
		cmocka_unit_test(test_beside_the_program),
		cmocka_unit_test(test_a_function_that_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
