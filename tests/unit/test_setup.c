/* What the configuration makes of things, where it depends on more than one option. */
#include "cmd/setup.h"
#include "testing.h"

static int64_t age_of(const char *lake, const char *age)
{
	struct config *config = config_new();
	int64_t age_ms;

	config_set_text(config, OPT_LAKE, lake);
	if (age)
		config_set_text(config, OPT_TABLE_AGE, age);
	age_ms = setup_stream_age_ms(config);
	config_free(config);
	return age_ms;
}

/* Each micro-batch is some requests, which in a bucket are paid for. */
static void test_the_age_of_a_micro_batch(void **state)
{
	(void)state;
	assert_int_equal(age_of("", NULL), 250);
	assert_int_equal(age_of("file:/x", NULL), 250);
	assert_int_equal(age_of("s3://bucket/x", NULL), 1000);
	assert_int_equal(age_of("s3://bucket/x", "250ms"), 250);
	assert_int_equal(age_of("file:/x", "5s"), 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_age_of_a_micro_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
