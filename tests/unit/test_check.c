/* The check of the lake beside those who write it. */
#include "backends/backends.h"
#include "flow/check.h"
#include "broker_testing.h"
#include "racing_store.h"

static void say_fault(void *user, const char *what)
{
	(void)user;
	print_message("fault: %s\n", what);
}

/* The topic of pins with the records that racing_put_pins() puts. */
static struct broker *make_log(struct ended *ended)
{
	static const struct topic_ref pins = { TOPIC_LOG, "id.pin" };
	struct broker *broker = broker_memory_new(1 << 20, ended_done, ended);
	struct err err;

	assert_ok(create_topic(broker, pins, 1, &err));
	for (int i = 0; i < 3; i++) {
		char pin[32];

		(void)snprintf(pin, sizeof(pin), "{\"index\":%d}", i);
		assert_int_equal(append_text(broker, ended, pins, 0, pin).code, ERR_OK);
	}
	return broker;
}

static void test_an_object_put_while_a_listing_runs_is_no_fault(void **state)
{
	struct racing store = { .layer.base.ops = &racing_ops, .missed = RACING_PIN("1"),
				.listing = "topics/" };
	const struct duck_options duck_options = { .memory_bytes_max = 64 << 20, .threads = 1 };
	struct ended ended = ENDED_INIT;
	struct duck duck = { 0 };
	struct check_options options = { .store = &store.layer.base, .duck = &duck, .id = "id",
					 .fault = say_fault };
	struct check_topic topic = { TOPIC_LOG, "id.pin" };
	const struct check_topics topics = { &topic, 1 };
	struct check_counts counts;
	struct models models;
	struct err err;

	(void)state;
	store.layer.inner = store_memory_new(1 << 20);
	racing_put_pins(&store.layer.base);
	options.broker = make_log(&ended);
	assert_ok(duck_open(&duck_options, &duck, &err));
	assert_ok(models_load(TEST_MODELS, &models, &err));
	options.models = &models;
	assert_ok(check_all_topics(&options, &topics, &counts, &err));
	assert_null(store.missed);
	assert_int_equal(counts.faults, 0);
	assert_int_equal(counts.objects, 3);
	assert_int_equal(counts.in_log, 3);
	assert_int_equal(counts.behind, 3);	/* there is no table yet */
	models_free(&models);
	duck_close(&duck);
	broker_free(options.broker);
	store_free(&store.layer.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_put_while_a_listing_runs_is_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
