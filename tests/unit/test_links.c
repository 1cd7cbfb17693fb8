/* Which brokers a client reaches, and why none: what is down, what is refused, and one text for one
 * reason. */
#include "broker/kafka/links.h"

#include "base/mem.h"
#include "base/time.h"
#include "testing.h"

static struct err err;

static void expect_reason(const char *said, const char *wanted)
{
	struct links links;

	links_init(&links);
	links_say(&links, false, said);
	assert_int_equal(links_check(&links, &err), ERR_BUSY);
	assert_string_equal(err.msg, wanted);
	links_release(&links);
}

static void test_a_reason_is_the_same_each_time(void **state)
{
	(void)state;
	expect_reason(
		"sasl_ssl://kafka1:9092/bootstrap: SASL authentication error: Access denied (after 31ms in "
		"state AUTH_REQ, 2 identical error(s) suppressed)",
		"no broker of the Kafka cluster is reached: SASL authentication error: Access denied");
	expect_reason(
		"kafka1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
		"no broker of the Kafka cluster is reached: kafka1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: "
		"Connection refused");
	expect_reason(
		"Failed to acquire SASL OAUTHBEARER token: there are no AWS keys",
		"no broker of the Kafka cluster is reached: Failed to acquire SASL OAUTHBEARER token: there are no "
		"AWS keys");
	expect_reason("", "no broker of the Kafka cluster is reached");
}

/* A broker is tried, and is down. */
static void fail_once(struct links *links)
{
	links_change(links, 1, "kafka1", 9092, "CONNECT");
	links_change(links, 1, "kafka1", 9092, "DOWN");
}

static void test_refused_for_a_second(void **state)
{
	struct links links;
	int64_t began_ms = clock_mono_ms();

	(void)state;
	links_init(&links);
	assert_ok(links_refused(&links, &err));
	fail_once(&links);
	links_say(&links, true, "Access denied");
	while (links_refused(&links, &err) == ERR_OK)
		clock_sleep_ms(10);
	assert_true(clock_mono_ms() - began_ms >= 1000);
	assert_int_equal(err.code, ERR_AUTH);
	assert_string_equal(err.msg, "the Kafka cluster cannot be entered: Access denied");
	links_say(&links, false, "Connection refused"); /* it is down now: that passes */
	assert_ok(links_refused(&links, &err));
	links_say(&links, true, "Access denied");
	assert_int_equal(links_refused(&links, &err), ERR_AUTH);
	links_change(&links, 1, "kafka1", 9092, "UP");
	assert_ok(links_refused(&links, &err));
	assert_ok(links_check(&links, &err));
	links_release(&links);
}

/* A broker that is asked for a login without a token is never tried. */
static void test_what_is_said_while_none_is_up_is_a_failure(void **state)
{
	struct links links;

	(void)state;
	links_init(&links);
	assert_ok(links_check(&links, &err));
	assert_int_equal(links_down_ms(&links), -1);
	links_say(&links, true, "no token");
	assert_int_equal(links_check(&links, &err), ERR_BUSY);
	assert_true(links_down_ms(&links) >= 0);
	links_change(&links, 1, "kafka1", 9092, "UP");
	links_say(&links, true, "no token");
	assert_ok(links_check(&links, &err));
	links_release(&links);
}

/* One broker of several is away, and was tried first: nobody need be told. */
static void test_a_moment_is_not_told(void **state)
{
	struct links links;

	(void)state;
	links_init(&links);
	fail_once(&links);
	links_say(&links, false, "Connection refused");
	assert_false(links.told);
	links_change(&links, 2, "kafka2", 9092, "UP");
	links_change(&links, 2, "kafka2", 9092, "DOWN");
	assert_ok(links_check(&links, &err)); /* closed because it was idle */
	fail_once(&links);
	links_say(&links, false, "Connection refused");
	while (!links.told)
		fail_once(&links);
	assert_true(links_down_ms(&links) >= 500);
	links_release(&links);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reason_is_the_same_each_time),
		cmocka_unit_test(test_refused_for_a_second),
		cmocka_unit_test(test_what_is_said_while_none_is_up_is_a_failure),
		cmocka_unit_test(test_a_moment_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
