/* What the configuration makes of things, where it depends on more than one option. */
#include "cmd/setup.h"
#include "testing.h"

#include <stdlib.h>

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

static void expect_group(const char *lake, const char *given, char group[SINK_GROUP_MAX])
{
	struct config *config = config_new();
	struct err err = { 0 };

	config_set_text(config, OPT_BROKER, "kafka");
	config_set_text(config, OPT_LAKE, lake);
	config_set_text(config, OPT_SINK_GROUP, given);
	assert_ok(setup_sink_group(config, group, &err));
	config_free(config);
}

/* Sinks of one lake share the partitions of a cluster, by whatever path they come to it; those of
 * two lakes must not. */
static void test_the_group_of_a_sink(void **state)
{
	char own[SINK_GROUP_MAX], same[SINK_GROUP_MAX], other[SINK_GROUP_MAX];

	(void)state;
	expect_group("s3://bucket/a", "", own);
	assert_int_equal(strncmp(own, "pinpipe-124df56aef51-sink-", 26), 0);
	expect_group("s3://bucket/a", "", same);
	assert_string_equal(own, same);
	expect_group("s3://bucket/b", "", other);
	assert_string_not_equal(own, other);
	expect_group("file:/usr/lib", "", own);
	expect_group("file:/usr/bin/../lib", "", same);
	assert_string_equal(own, same);
	(void)setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000", 1);
	expect_group("s3://bucket/a", "", same);
	expect_group("s3://bucket/b", "", own);
	assert_string_not_equal(own, other);
	assert_string_not_equal(own, same);
	(void)unsetenv("AWS_ENDPOINT_URL_S3");
	expect_group("s3://bucket/a", "ours", own);
	assert_string_equal(own, "ours");
}

/* Retention of an own log waits for the group of that name. */
static void test_the_group_of_an_own_log(void **state)
{
	struct config *config = config_new();
	char group[SINK_GROUP_MAX];
	struct err err = { 0 };

	(void)state;
	assert_ok(setup_sink_group(config, group, &err));
	assert_string_equal(group, "sink");
	config_set_text(config, OPT_SINK_GROUP, "ours");
	assert_int_equal(setup_sink_group(config, group, &err), ERR_USAGE);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_age_of_a_micro_batch),
		cmocka_unit_test(test_the_group_of_a_sink),
		cmocka_unit_test(test_the_group_of_an_own_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
