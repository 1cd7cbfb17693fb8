/* Two brokers as one, each for its kind: what the contract's suite does not ask. */
#include "backends/backends.h"
#include "broker/broker_kinds.h"
#include "broker_testing.h"

#include <poll.h>

static const struct topic_ref pin = { TOPIC_LOG, "pin" };
static const struct topic_ref stream = { TOPIC_STREAM, "pin" };
static const struct reader_start from_first = { .kind = START_FIRST };

/* A service that is away, or full, says nothing about the other; nor through what is above both. */
static void test_each_kind_is_ready_by_itself(void **state)
{
	struct ended ended = ENDED_INIT;
	const struct broker_fault none = { 0 };
	struct broker *kinds = broker_kinds_new(broker_memory_new(1 << 20, ended_done, &ended),
						broker_memory_new(0, ended_done, &ended));
	struct broker *broker = broker_faulty_new(kinds, &none, ended_done, &ended);
	struct err err = { 0 };

	(void)state;
	assert_ok(broker_ready(broker, TOPIC_LOG, 1, &err));
	assert_int_equal(broker_ready(broker, TOPIC_STREAM, 1, &err), ERR_SPACE);
	broker_free(broker);
}

/* One descriptor of two readers, of which one could not be had the first time: neither is left out
 * later. `late`: that one was opened after the descriptor was asked for. */
static void expect_both_watched(bool late)
{
	struct ended ended = ENDED_INIT;
	const struct broker_fault once = { .fd_at = 1, .outcome = ERR_LIMIT };
	const struct reader_options options = { .bytes_max = 1 << 20 };
	struct broker *faulty = broker_faulty_new(broker_memory_new(1 << 20, ended_done, &ended),
						  &once, ended_done, &ended);
	struct broker *kinds =
		broker_kinds_new(broker_memory_new(1 << 20, ended_done, &ended), faulty);
	struct pollfd polled = { .fd = -1, .events = POLLIN };
	struct broker_reader *reader;
	struct err err = { 0 };

	assert_ok(create_topic(kinds, pin, 1, &err));
	assert_ok(create_topic(kinds, stream, 1, &err));
	assert_ok(broker_reader_open(kinds, &options, &reader, &err));
	assert_ok(reader_seek(reader, pin, 0, from_first, &err));
	if (late)
		assert_ok(reader_fd(reader, &polled.fd, &err));
	assert_int_equal(reader_seek(reader, stream, 0, from_first, &err),
			 late ? ERR_LIMIT : ERR_OK);
	assert_int_equal(reader_fd(reader, &polled.fd, &err), late ? ERR_OK : ERR_LIMIT);
	assert_ok(reader_seek(reader, stream, 0, from_first, &err));
	assert_ok(reader_fd(reader, &polled.fd, &err));
	while (poll(&polled, 1, 0) == 1)
		assert_int_equal(event_now(reader).kind, READER_IDLE);
	for (int i = 0; i < 2; i++) {
		struct topic_ref topic = i ? pin : stream;

		assert_int_equal(append_text(kinds, &ended, topic, 0, "x").code, ERR_OK);
		assert_int_equal(poll(&polled, 1, 10000), 1);
		assert_int_equal(event_now(reader).kind, READER_RECORDS);
		while (poll(&polled, 1, 0) == 1)
			assert_int_equal(event_now(reader).kind, READER_IDLE);
	}
	reader_close(reader);
	broker_free(kinds);
}

static void test_no_reader_of_two_is_left_out(void **state)
{
	(void)state;
	expect_both_watched(false);
	expect_both_watched(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_is_ready_by_itself),
		cmocka_unit_test(test_no_reader_of_two_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
