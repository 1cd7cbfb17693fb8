/* What the backend of Kafka does of its own: settings, and a cluster that is away or refuses. The
 * contract of all brokers is tests/contract's. */
#include "broker/kafka/kafka.h"
#include "broker_fixture.h"

#include <rdkafka.h>
#include <rdkafka_mock.h>

enum { AT_ONCE_MS = 100, SOON_MS = 10000 };

struct kafka_fixture {
	struct broker *broker;
	rd_kafka_mock_cluster_t *cluster;
	struct ended ended;
};

static int open_mock(void **state)
{
	struct kafka_fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	f->broker = broker_kafka_mock_new(ended_done, &f->ended);
	f->cluster = broker_kafka_mock_cluster(f->broker);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	*state = f;
	return 0;
}

static int close_mock(void **state)
{
	struct kafka_fixture *f = *state;

	broker_free(f->broker);
	free(f);
	return 0;
}

/* --- settings ------------------------------------------------------------------- */

static void expect_refused(const char *name, const char *text, const char *words)
{
	struct config_setting settings[] = {
		{ .name = "bootstrap.servers", .text = "127.0.0.1:1", .place = "here" },
		{ .name = name, .text = text, .place = "pinpipe.yaml:7" },
	};
	const struct broker_kafka_options options = { .settings = settings, .setting_count = 2 };
	struct broker *broker;
	struct err err = { 0 };

	assert_int_equal(broker_kafka_new(&options, &broker, &err), ERR_USAGE);
	if (!strstr(err.msg, words))
		fail_msg("%s", err.msg);
}

static void test_settings_that_are_refused(void **state)
{
	(void)state;
	expect_refused("acks", "1", "\"acks\" cannot be set: a record is acknowledged once all");
	expect_refused("enable.idempotence", "false", "cannot be set");
	expect_refused("auto.offset.reset", "latest", "cannot be set");
	expect_refused("enable.auto.commit", "true", "cannot be set");
	expect_refused("isolation.level", "read_uncommitted", "cannot be set");
	expect_refused("plugin.library.paths", "/x.so", "cannot be set");
	expect_refused("linger.mss", "1", "pinpipe.yaml:7: librdkafka has no setting "
					  "\"linger.mss\"; did you mean \"linger.ms\"?");
	expect_refused("mesage.timeout.ms", "1", "did you mean \"message.timeout.ms\"?");
	expect_refused("linger.ms", "soon", "pinpipe.yaml:7: \"linger.ms\"");
	expect_refused("message.timeout.ms", "60000", "must be 1 to 25000");
	expect_refused("message.timeout.ms", "0", "must be 1 to 25000");
}

static void test_settings_pass_through(void **state)
{
	struct config_setting settings[] = {
		{ .name = "bootstrap.servers", .text = "127.0.0.1:1", .place = "here" },
		{ .name = "linger.ms", .text = "2", .place = "here" },
		{ .name = "compression.type", .text = "zstd", .place = "here" },
		{ .name = "sasl.username", .text = "ann", .place = "here" },
	};
	struct broker_kafka_options options = { .settings = settings, .setting_count = 4 };
	struct broker *broker;
	struct err err = { 0 };

	(void)state;
	assert_ok(broker_kafka_new(&options, &broker, &err));
	broker_free(broker);
	options.settings++;
	options.setting_count--;
	assert_int_equal(broker_kafka_new(&options, &broker, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "bootstrap.servers"));
}

/* --- a cluster that is away --------------------------------------------------------- */

static void await_ready(struct kafka_fixture *f, enum err_code want)
{
	int64_t until_ms = clock_mono_ms() + SOON_MS;
	struct err err = { 0 };

	while (broker_ready(f->broker, TOPIC_LOG, 1, &err) != want) {
		assert_true(clock_mono_ms() < until_ms);
		clock_sleep_ms(5);
	}
}

/* Who comes while no broker is there is told so at once, and by itself it is over. */
static void test_a_cluster_that_is_away(void **state)
{
	struct kafka_fixture *f = *state;
	struct err err = { 0 };
	int64_t began_ms;

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	assert_int_equal(rd_kafka_mock_broker_set_down(f->cluster, 1), 0);
	await_ready(f, ERR_BUSY);
	assert_int_equal(broker_ready(f->broker, TOPIC_LOG, 1, &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, "no broker of the Kafka cluster is reached: "));
	began_ms = clock_mono_ms();
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "b").code, ERR_BUSY);
	assert_true(clock_mono_ms() - began_ms < AT_ONCE_MS);
	assert_int_equal(rd_kafka_mock_broker_set_up(f->cluster, 1), 0);
	await_ready(f, ERR_OK);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "c").code, ERR_OK);
}

/* What waits to be sent when the last broker goes is given back, long before its time is over; and
 * what may have arrived is not called a refusal. */
static void test_what_waits_is_given_back(void **state)
{
	enum { APPENDS = 20 };
	struct kafka_fixture *f = *state;
	struct append_record record = { .value = slice_str("x") };
	struct append_outcome outcomes[APPENDS] = { 0 };
	struct append appends[APPENDS];
	int flags[APPENDS] = { 0 };
	int64_t began_ms = clock_mono_ms();
	struct err err = { 0 };

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 5000), 0);
	for (int i = 0; i < APPENDS; i++) {
		appends[i] = (struct append){ .topic = pin, .records = &record, .count = 1,
					      .outcomes = &outcomes[i], .user = &flags[i] };
		assert_ok(broker_append(f->broker, &appends[i], &err));
		if (i == APPENDS / 2)
			clock_sleep_ms(50); /* some are sent, some wait behind them */
	}
	assert_int_equal(rd_kafka_mock_broker_set_down(f->cluster, 1), 0);
	for (int i = 0; i < APPENDS; i++) {
		assert_int_equal(ended_wait(&f->ended, &flags[i]), 1);
		assert_true(outcomes[i].code == ERR_BUSY || outcomes[i].code == ERR_UNKNOWN);
	}
	assert_int_equal(outcomes[0].code, ERR_UNKNOWN);
	assert_true(clock_mono_ms() - began_ms < SOON_MS / 2);
	assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 0), 0);
	assert_int_equal(rd_kafka_mock_broker_set_up(f->cluster, 1), 0);
	await_ready(f, ERR_OK);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "c").code, ERR_OK);
}

/* A fault after which librdkafka's producer takes nothing more: its records end with what is known
 * of them, and another producer goes on. */
static void test_a_producer_that_breaks(void **state)
{
	struct kafka_fixture *f = *state;
	const struct producer *producer = ((struct kafka *)f->broker)->producer;
	struct append_record record = { .value = slice_str("b") };
	struct append_outcome outcome = { 0 };
	int flag = 0;
	struct append append = { .topic = pin, .records = &record, .count = 1,
				 .outcomes = &outcome, .user = &flag };
	struct err err = { 0 };

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	for (int i = 0; i < 2; i++) { /* the second time it is to wait a while before */
		flag = 0;
		assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 5000), 0);
		assert_ok(broker_append(f->broker, &append, &err));
		clock_sleep_ms(20);
		(void)rd_kafka_test_fatal_error(producer_client(producer),
						RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
						"as a test wants it");
		assert_int_equal(ended_wait(&f->ended, &flag), 1);
		assert_int_equal(outcome.code, ERR_UNKNOWN);
		assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 0), 0);
		await_ready(f, ERR_OK);
		assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "c").code, ERR_OK);
	}
}

/* --- readers --------------------------------------------------------------------------- */

/* A question that gets no answer is asked again: what was fetched is not given before, and not
 * lost. */
static void test_a_question_that_fails(void **state)
{
	enum { METADATA = 3 };
	struct kafka_fixture *f = *state;
	struct broker_reader *reader = reader_at(f->broker, pin, 0, from_first);
	char text[16];

	rd_kafka_mock_push_request_errors(f->cluster, METADATA, 3,
					  RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
					  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
					  RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "b").code, ERR_OK);
	read_texts(reader, 2, text, sizeof(text));
	assert_string_equal(text, "a b");
	reader_close(reader);
}

/* A reader outlives a cluster that is away. */
static void test_a_reader_waits_for_the_cluster(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *reader = reader_at(f->broker, pin, 0, from_first);
	char text[16];

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_OK);
	read_texts(reader, 1, text, sizeof(text));
	assert_int_equal(rd_kafka_mock_broker_set_down(f->cluster, 1), 0);
	await_ready(f, ERR_BUSY);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	assert_int_equal(rd_kafka_mock_broker_set_up(f->cluster, 1), 0);
	await_ready(f, ERR_OK);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "b").code, ERR_OK);
	read_texts(reader, 1, text, sizeof(text));
	assert_string_equal(text, "b");
	reader_close(reader);
}

#define MOCK(test) cmocka_unit_test_setup_teardown(test, open_mock, close_mock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_that_are_refused),
		cmocka_unit_test(test_settings_pass_through),
		MOCK(test_a_cluster_that_is_away),
		MOCK(test_what_waits_is_given_back),
		MOCK(test_a_producer_that_breaks),
		MOCK(test_a_question_that_fails),
		MOCK(test_a_reader_waits_for_the_cluster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
