/* What the backend of Kafka does of its own: settings, and a cluster that is away or refuses. The
 * contract of all brokers is tests/contract's. */
#include "base/stop.h"
#include "broker/kafka/producer.h"
#include "kafka_fixture.h"

enum { AT_ONCE_MS = 100 };
enum { PRODUCE = 0, OFFSET_COMMIT = 8, JOIN_GROUP = 11 }; /* requests of Kafka's protocol */

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
	expect_refused("group.instance.id", "me", "cannot be set");
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
	while (!strstr(err.msg, "no broker of the Kafka cluster is reached: ")) /* and why, soon */
		assert_int_equal(broker_ready(f->broker, TOPIC_LOG, 1, &err), ERR_BUSY);
	began_ms = clock_mono_ms();
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "b").code, ERR_BUSY);
	assert_true(clock_mono_ms() - began_ms < AT_ONCE_MS);
	assert_int_equal(rd_kafka_mock_broker_set_up(f->cluster, 1), 0);
	await_ready(f, ERR_OK);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "c").code, ERR_OK);
}

/* The cluster has been sent so many requests to append since they are counted. */
static void await_sent(struct kafka_fixture *f, size_t want)
{
	int64_t until_ms = clock_mono_ms() + SOON_MS;
	size_t sent = 0;

	while (sent < want) {
		size_t count;
		rd_kafka_mock_request_t **requests = rd_kafka_mock_get_requests(f->cluster, &count);

		assert_true(clock_mono_ms() < until_ms);
		sent = 0;
		for (size_t i = 0; i < count; i++)
			sent += rd_kafka_mock_request_api_key(requests[i]) == PRODUCE;
		rd_kafka_mock_request_destroy_array(requests, count);
		clock_sleep_ms(1);
	}
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
	rd_kafka_mock_start_request_tracking(f->cluster);
	for (int i = 0; i < APPENDS; i++) {
		appends[i] = (struct append){ .topic = pin, .records = &record, .count = 1,
					      .outcomes = &outcomes[i], .user = &flags[i] };
		assert_ok(broker_append(f->broker, &appends[i], &err));
		if (i == APPENDS / 2)
			await_sent(f, 1); /* some are sent, some wait behind them */
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
		rd_kafka_mock_start_request_tracking(f->cluster);
		assert_ok(broker_append(f->broker, &append, &err));
		await_sent(f, 1);
		(void)rd_kafka_test_fatal_error(producer_client(producer),
						RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
						"as a test wants it");
		assert_int_equal(ended_wait(&f->ended, &flag), 1);
		assert_int_equal(outcome.code, ERR_UNKNOWN);
		rd_kafka_mock_stop_request_tracking(f->cluster);
		assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 0), 0);
		await_ready(f, ERR_OK);
		assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "c").code, ERR_OK);
	}
}

/* What broke it says nothing of the brokers, none of which need be reached just then. */
static void test_a_fatal_error_is_no_links(void **state)
{
	struct links links;
	struct err err = { 0 };

	(void)state;
	links_init(&links);
	kafka_note_error(NULL, &links, RD_KAFKA_RESP_ERR__FATAL, "Fatal error: out of order");
	assert_ok(links_check(&links, &err));
	kafka_note_error(NULL, &links, RD_KAFKA_RESP_ERR__TRANSPORT, "Connection refused");
	assert_int_equal(links_check(&links, &err), ERR_BUSY);
	links_release(&links);
}

/* --- appends of a turn -------------------------------------------------------------------- */

static size_t requests_to_produce(rd_kafka_mock_cluster_t *cluster)
{
	size_t count, found = 0;
	rd_kafka_mock_request_t **requests = rd_kafka_mock_get_requests(cluster, &count);

	for (size_t i = 0; i < count; i++)
		found += rd_kafka_mock_request_api_key(requests[i]) == PRODUCE;
	rd_kafka_mock_request_destroy_array(requests, count);
	return found;
}

/* The appends of one turn, with their flags. */
struct turn {
	char bytes[8]; /* of each record in turn, and then of something else */
	struct append_record records[8];
	struct append_outcome outcomes[8];
	struct append appends[8];
	int flags[8];
};

static void turn_append(struct kafka_fixture *f, struct turn *turn, int i, struct topic_ref topic,
			int32_t partition)
{
	struct err err = { 0 };

	turn->bytes[i] = (char)('a' + i);
	turn->records[i] = (struct append_record){ .value = slice_of(&turn->bytes[i], 1),
						   .partition = partition };
	turn->appends[i] = (struct append){ .topic = topic,
					    .records = &turn->records[i],
					    .count = 1,
					    .outcomes = &turn->outcomes[i],
					    .user = &turn->flags[i] };
	assert_ok(broker_append(f->broker, &turn->appends[i], &err));
	turn->bytes[i] = '?';
	turn->records[i].value = slice_str("?");
}

static void turn_await(struct kafka_fixture *f, struct turn *turn, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(ended_wait(&f->ended, &turn->flags[i]), 1);
}

/* True: nothing held it up for so long that its records went before it was over. */
static bool turn_is_whole(struct kafka_fixture *f, size_t *ret_requests)
{
	enum { HELD_MS = 20, ROOM_MS = 2 };
	struct turn turn = { 0 };
	int64_t start_ms = clock_mono_ms();
	bool whole;

	rd_kafka_mock_start_request_tracking(f->cluster);
	broker_cork(f->broker, true);
	for (int i = 0; i < 4; i++)
		turn_append(f, &turn, i, pin, PARTITION_ANY);
	broker_cork(f->broker, false);
	whole = clock_mono_ms() - start_ms < HELD_MS - ROOM_MS;
	turn_await(f, &turn, 4);
	*ret_requests = requests_to_produce(f->cluster);
	rd_kafka_mock_stop_request_tracking(f->cluster);
	return whole;
}

/* One request to the cluster, of what the records were when they were appended. librdkafka's thread
 * may look just while it is given them: of a few turns one is not cut in two. */
static void test_a_turn_is_one_request(void **state)
{
	enum { TURNS_MAX = 100, WHOLE_MAX = 5 };
	struct kafka_fixture *f = *state;
	struct broker_reader *reader;
	int turns = 0, whole = 0;
	size_t requests = 0;
	char text[32];

	while (requests != 1 && turns++ < TURNS_MAX && whole < WHOLE_MAX)
		whole += turn_is_whole(f, &requests);
	assert_int_equal(requests, 1);
	reader = reader_at(f->broker, pin, 0, from_first);
	for (; turns > 0; turns--) {
		read_texts(reader, 4, text, sizeof(text));
		assert_string_equal(text, "a b c d");
	}
	reader_close(reader);
}

/* The records of a turn are spread over all partitions, though they came together. */
static void test_records_without_a_key_go_in_turn(void **state)
{
	struct kafka_fixture *f = *state;
	struct turn turn = { 0 };
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, geo, 2, &err));
	assert_int_equal(append_text(f->broker, &f->ended, geo, 0, "x").code, ERR_OK);
	broker_cork(f->broker, true);
	for (int i = 0; i < 4; i++)
		turn_append(f, &turn, i, geo, PARTITION_ANY);
	broker_cork(f->broker, false);
	turn_await(f, &turn, 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(turn.outcomes[i].code, ERR_OK);
		assert_int_equal(turn.outcomes[i].partition,
				 i % 2 ? !turn.outcomes[0].partition : turn.outcomes[0].partition);
	}
}

/* What cannot be held does not overtake what is. */
static void test_a_turn_keeps_its_order(void **state)
{
	struct kafka_fixture *f = *state;
	struct turn turn = { 0 };

	broker_cork(f->broker, true);
	turn_append(f, &turn, 0, pin, PARTITION_ANY);
	turn_append(f, &turn, 1, pin, PARTITION_ANY);
	turn_append(f, &turn, 2, pin, 0);
	turn_append(f, &turn, 3, pin, PARTITION_ANY);
	broker_cork(f->broker, false);
	turn_await(f, &turn, 4);
	for (uint64_t i = 0; i < 4; i++) {
		assert_int_equal(turn.outcomes[i].code, ERR_OK);
		assert_int_equal(position_ordinal(turn.outcomes[i].position), i);
	}
}

/* What is refused when its turn ends was taken: it ends with the reason, and the others go on. */
static void test_a_turn_with_what_is_refused(void **state)
{
	struct kafka_fixture *f = *state;
	struct turn turn = { 0 };

	producer_refresh(((struct kafka *)f->broker)->producer, geo.name); /* it is not there */
	broker_cork(f->broker, true);
	turn_append(f, &turn, 0, pin, PARTITION_ANY);
	turn_append(f, &turn, 1, geo, PARTITION_ANY);
	turn_append(f, &turn, 2, pin, PARTITION_ANY);
	broker_cork(f->broker, false);
	turn_await(f, &turn, 3);
	assert_int_equal(turn.outcomes[0].code, ERR_OK);
	assert_int_equal(turn.outcomes[1].code, ERR_NO_TOPIC);
	assert_int_equal(turn.outcomes[2].code, ERR_OK);
}

/* One partition that has no leader just now holds up what comes for the others for a moment only.
 */
static void test_a_turn_beside_a_partition_that_is_stuck(void **state)
{
	struct kafka_fixture *f = *state;
	struct turn turn = { 0 };
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, geo, 2, &err));
	assert_int_equal(append_text(f->broker, &f->ended, geo, 0, "x").code, ERR_OK);
	assert_int_equal(rd_kafka_mock_partition_set_leader(f->cluster, geo.name, 1, -1), 0);
	producer_refresh(((struct kafka *)f->broker)->producer, geo.name);
	turn_append(f, &turn, 0, geo, 1);
	broker_cork(f->broker, true);
	turn_append(f, &turn, 1, geo, PARTITION_ANY);
	broker_cork(f->broker, false);
	assert_int_equal(ended_wait(&f->ended, &turn.flags[1]), 1);
	assert_int_equal(turn.outcomes[1].code, ERR_OK);
	assert_int_equal(turn.flags[0], 0);
	assert_int_equal(rd_kafka_mock_partition_set_leader(f->cluster, geo.name, 1, 1), 0);
	assert_int_equal(ended_wait(&f->ended, &turn.flags[0]), 1);
}

/* A producer that breaks while some are held gives them back. */
static void test_a_turn_of_a_producer_that_breaks(void **state)
{
	struct kafka_fixture *f = *state;
	struct producer *producer = ((struct kafka *)f->broker)->producer;
	struct turn turn = { 0 };

	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "x").code, ERR_OK);
	broker_cork(f->broker, true);
	turn_append(f, &turn, 0, pin, PARTITION_ANY);
	(void)rd_kafka_test_fatal_error(producer_client(producer),
					RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
					"as a test wants it");
	broker_cork(f->broker, false);
	turn_await(f, &turn, 1);
	assert_int_equal(turn.outcomes[0].code, ERR_BUSY);
	await_ready(f, ERR_OK);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "y").code, ERR_OK);
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

/* --- what the cluster says ------------------------------------------------------------ */

/* As Kafka's own clients have it: what they try again is no fault of who asks. */
static void test_what_passes_by_itself(void **state)
{
	static const rd_kafka_resp_err_t codes[] = {
		RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
		RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
		RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
		RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
		RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND,
		RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
		RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
		RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
		RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (kafka_code(codes[i]) != ERR_BUSY)
			fail_msg("%s", rd_kafka_err2name(codes[i]));
	assert_int_equal(kafka_code(RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP), ERR_SHAPE);
	assert_int_equal(kafka_code(RD_KAFKA_RESP_ERR_INVALID_RECORD), ERR_SHAPE);
}

/* Two records in one request, which is answered so. If librdkafka's thread took the first before it
 * had the second, they are appended once more. */
static void refuse_two(struct kafka_fixture *f, const struct append_record records[2],
		       rd_kafka_resp_err_t code, struct append_outcome outcomes[2])
{
	enum { TRIES = 20 };
	size_t requests = 0;
	struct err err = { 0 };

	for (int i = 0; i < TRIES && requests != 1; i++) {
		rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 2, code, code);
		rd_kafka_mock_start_request_tracking(f->cluster);
		assert_ok(append_and_wait(f->broker, &f->ended, pin, records, 2, outcomes, &err));
		requests = requests_to_produce(f->cluster);
		rd_kafka_mock_stop_request_tracking(f->cluster);
		rd_kafka_mock_clear_request_errors(f->cluster, PRODUCE);
	}
	assert_int_equal(requests, 1);
}

/* The producer believes that a topic has so many partitions. */
static void believe(struct kafka_fixture *f, const char *topic, int32_t partitions)
{
	struct producer *producer = ((struct kafka *)f->broker)->producer;

	producer_refresh(producer, topic);
	(void)pthread_mutex_lock(&producer->lock);
	for (size_t i = 0; i < producer->known_count; i++)
		if (strcmp(producer->known[i].name, topic) == 0)
			producer->known[i].partitions = partitions;
	(void)pthread_mutex_unlock(&producer->lock);
}

/* A topic that somebody made anew with fewer partitions: what was stored is not told to be of a
 * topic that is gone, as it would be sent again. */
static void test_a_topic_that_is_gone_is_said_of_all_or_none(void **state)
{
	const struct append_record records[] = {
		{ .partition = 6, .value = slice_str("a") },
		{ .partition = 0, .value = slice_str("b") },
		{ .partition = 7, .value = slice_str("c") },
	};
	struct kafka_fixture *f = *state;
	struct append_outcome outcomes[3] = { 0 };
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, geo, 2, &err));
	believe(f, geo.name, 8);
	assert_ok(append_and_wait(f->broker, &f->ended, geo, records, 3, outcomes, &err));
	assert_int_equal(outcomes[0].code, ERR_BUSY);
	assert_int_equal(outcomes[1].code, ERR_OK);
	assert_int_equal(outcomes[2].code, ERR_BUSY);
	assert_int_equal(append_text(f->broker, &f->ended, geo, 6, "d").code, ERR_NO_TOPIC);
}

/* A partition that goes with its topic takes records with it that were never sent. */
static void test_a_record_whose_partition_goes(void **state)
{
	struct kafka_fixture *f = *state;
	struct producer *producer = ((struct kafka *)f->broker)->producer;
	rd_kafka_message_t report = { .err = RD_KAFKA_RESP_ERR__DESTROY, .partition = 1 };
	struct err err = { 0 };

	report.rkt = rd_kafka_topic_new(producer_client(producer), geo.name, NULL);
	assert_int_equal(producer_code_of_report(producer, &report), ERR_NO_PARTITION);
	assert_ok(create_topic(f->broker, geo, 2, &err));
	assert_ok(broker_remove(f->broker, geo, &err));
	assert_int_equal(producer_code_of_report(producer, &report), ERR_NO_TOPIC);
	rd_kafka_topic_destroy(report.rkt);
}

/* A topic takes so many bytes at a time. What is too large alone is told so for ever; what was sent
 * beside others may be sent again. */
static void test_a_batch_that_is_too_large(void **state)
{
	const struct append_record records[] = { { .value = slice_str("a") },
						 { .value = slice_str("b") } };
	struct kafka_fixture *f = *state;
	struct append_outcome outcomes[2] = { 0 };
	struct err err = { 0 };

	refuse_two(f, records, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, outcomes);
	assert_int_equal(outcomes[0].code, ERR_BUSY);
	assert_int_equal(outcomes[1].code, ERR_BUSY);
	rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1,
					  RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	assert_int_equal(append_text(f->broker, &f->ended, pin, 0, "a").code, ERR_LIMIT);
	assert_ok(append_and_wait(f->broker, &f->ended, pin, records, 2, outcomes, &err));
	assert_int_equal(outcomes[1].code, ERR_OK);
}

/* A topic that keeps the newest of each key takes no record without one, nor a batch with such a
 * record. */
static void test_a_batch_with_a_record_without_a_key(void **state)
{
	struct kafka_fixture *f = *state;
	const struct append_record records[] = {
		{ .key = slice_str("k"), .value = slice_str("a") }, { .value = slice_str("b") }
	};
	struct append_outcome outcomes[2] = { 0 };

	refuse_two(f, records, RD_KAFKA_RESP_ERR_INVALID_RECORD, outcomes);
	assert_int_equal(outcomes[0].code, ERR_BUSY);
	assert_int_equal(outcomes[1].code, ERR_SHAPE);
}

/* The cluster has it, and remembers no more where: it was acknowledged, and is no other record. */
static void test_a_record_that_was_there_already(void **state)
{
	struct kafka_fixture *f = *state;
	struct append_outcome outcome;

	rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1,
					  RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER);
	outcome = append_text(f->broker, &f->ended, pin, 0, "a");
	assert_int_equal(outcome.code, ERR_OK);
	assert_int_equal(outcome.partition, 0);
	assert_int_equal(position_cmp(outcome.position, POSITION_NONE), 0);
}

/* Who administers a cluster wants to see above all what nobody leads. */
static void test_a_partition_without_a_leader(void **state)
{
	struct kafka_fixture *f = *state;
	const struct reader_options options = { .bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct topic_info info = { 0 };
	struct err err = { 0 };
	int64_t began_ms;

	assert_ok(create_topic(f->broker, geo, 2, &err));
	assert_int_equal(append_text(f->broker, &f->ended, geo, 1, "a").code, ERR_OK);
	assert_int_equal(rd_kafka_mock_partition_set_leader(f->cluster, geo.name, 0, -1), 0);
	began_ms = clock_mono_ms();
	assert_ok(broker_describe(f->broker, geo, &info, &err));
	assert_int_equal(info.partitions[0].leader, NODE_NONE);
	assert_false(info.partitions[0].next_known);
	assert_true(info.partitions[1].next_known);
	assert_int_equal(position_ordinal(info.partitions[1].next), 1);
	topic_info_release(&info);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(reader_seek(reader, geo, 0, from_first, &err), ERR_BUSY);
	assert_ok(reader_seek(reader, geo, 1, from_first, &err));
	assert_true(clock_mono_ms() - began_ms < SOON_MS / 2);
	reader_close(reader);
}

/* Where the leader of the only partition is gone, though it was just named, librdkafka finds no
 * entry; so it does where the topic is gone. */
static void test_a_leader_that_goes_while_it_is_asked(void **state)
{
	const struct partition_info partition = { .id = 0, .leader = 1 };
	struct kafka_fixture *f = *state;
	int64_t began_ms = clock_mono_ms(), offset;
	rd_kafka_t *client;
	struct err err = { 0 };

	assert_ok(create_topic(f->broker, geo, 1, &err));
	assert_ok(kafka_admin((struct kafka *)f->broker, &client, &err));
	assert_int_equal(rd_kafka_mock_partition_set_leader(f->cluster, geo.name, 0, -1), 0);
	assert_int_equal(kafka_list_offsets(client, geo.name, &partition, 1,
					    RD_KAFKA_OFFSET_SPEC_LATEST, SOON_MS, &offset, &err),
			 ERR_BUSY);
	assert_non_null(strstr(err.msg, "has no leader"));
	assert_int_equal(kafka_list_offsets(client, "not.there", &partition, 1,
					    RD_KAFKA_OFFSET_SPEC_LATEST, SOON_MS, &offset, &err),
			 ERR_NO_TOPIC);
	assert_true(clock_mono_ms() - began_ms < SOON_MS / 2);
}

/* --- groups ------------------------------------------------------------------------------ */

/* librdkafka would ask again for ever; it may have, before the first refusal is told. */
static void test_a_group_that_takes_no_member(void **state)
{
	enum { REFUSALS = 20 };
	struct kafka_fixture *f = *state;
	struct reader_event event = { .kind = READER_IDLE };
	enum err_code code = ERR_OK;
	struct err err = { 0 };
	struct broker_reader *reader;

	for (int i = 0; i < REFUSALS; i++)
		rd_kafka_mock_push_request_errors(f->cluster, JOIN_GROUP, 1,
						  RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT);
	reader = join(f, pin);
	while (code == ERR_OK && event.kind != READER_ASSIGNED)
		code = reader_next(reader, clock_mono_ms() + SOON_MS, &event, &err);
	assert_int_equal(code, ERR_USAGE);
	assert_non_null(strstr(err.msg, "group \"g\": JoinGroup failed: "));
	reader_close(reader);
}

/* Others of the group share partitions in another way, until they leave. */
static void test_a_group_that_takes_a_member_later(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *reader;

	rd_kafka_mock_push_request_errors(f->cluster, JOIN_GROUP, 1,
					  RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL);
	reader = join(f, pin);
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_non_null(strstr(((struct reader_kafka *)reader)->told, "Inconsistent"));
	reader_close(reader);
}

/* A commit that the cluster did not take is made again, though nothing more was read. */
static void test_a_commit_that_fails(void **state)
{
	struct kafka_fixture *f = *state;
	struct broker_reader *reader = join(f, pin);
	struct position next, committed = { { 0 } };
	int64_t until_ms = clock_mono_ms() + SOON_MS;
	struct err err = { 0 };

	next = append_text(f->broker, &f->ended, pin, 0, "a").position;
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(next_event(reader).kind, READER_RECORDS);
	rd_kafka_mock_push_request_errors(f->cluster, OFFSET_COMMIT, 1,
					  RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
	next.word[2] = 1;
	assert_ok(reader_commit(reader, pin, 0, next, &err));
	while (position_cmp(committed, next) != 0) {
		assert_true(clock_mono_ms() < until_ms);
		(void)event_now(reader);
		kafka_forget_told((struct kafka *)f->broker, pin.name);
		(void)!broker_committed(f->broker, "g", pin, 0, &committed, &err);
	}
	reader_close(reader);
}

/* --- who does not answer ------------------------------------------------------------- */

static void test_questions_to_a_cluster_that_is_away(void **state)
{
	struct kafka_fixture *f = *state;
	struct topic_info info;
	struct err err = { 0 };
	int64_t began_ms = clock_mono_ms();

	assert_int_equal(rd_kafka_mock_broker_set_down(f->cluster, 1), 0);
	/* The first may end with the connection. */
	assert_int_equal(broker_describe(f->broker, pin, &info, &err), ERR_BUSY);
	assert_int_equal(broker_describe(f->broker, pin, &info, &err), ERR_BUSY);
	assert_non_null(strstr(err.msg, "no broker of the Kafka cluster is reached: "));
	assert_true(clock_mono_ms() - began_ms < KAFKA_ANSWER_MS);
}

/* librdkafka 2.15.1 went on with what was freed, once there was somebody to ask again: see
 * tools/librdkafka.patch. */
static void test_a_question_that_ended_before_the_cluster_came_back(void **state)
{
	struct kafka_fixture *f = *state;
	rd_kafka_ListConsumerGroupOffsets_t *question =
		rd_kafka_ListConsumerGroupOffsets_new("g", NULL);
	int64_t until_ms = clock_mono_ms() + SOON_MS;
	enum err_code code = ERR_BUSY;
	rd_kafka_event_t *answer;
	struct position unused;
	struct kafka_ask ask;
	rd_kafka_t *client;
	struct err err = { 0 };
	char why[128];

	assert_ok(kafka_admin((struct kafka *)f->broker, &client, &err));
	assert_int_equal(rd_kafka_mock_broker_set_down(f->cluster, 1), 0);
	kafka_ask_init(&ask, client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	(void)rd_kafka_AdminOptions_set_request_timeout(ask.options, 100, why, sizeof(why));
	rd_kafka_ListConsumerGroupOffsets(client, &question, 1, ask.options, ask.queue);
	answer = rd_kafka_queue_poll(ask.queue, SOON_MS);
	assert_int_equal(rd_kafka_event_error(answer), RD_KAFKA_RESP_ERR__TIMED_OUT);
	rd_kafka_event_destroy(answer);
	kafka_ask_release(&ask);
	rd_kafka_ListConsumerGroupOffsets_destroy(question);
	assert_int_equal(rd_kafka_mock_broker_set_up(f->cluster, 1), 0);
	while (code == ERR_BUSY && clock_mono_ms() < until_ms)
		code = broker_committed(f->broker, "g", pin, 0, &unused, &err);
	assert_int_equal(code, ERR_ABSENT);
}

/* The last one: nobody takes the request to end back. */
static void test_who_is_asked_to_end_waits_for_no_answer(void **state)
{
	struct kafka_fixture *f = *state;
	struct topic_info info;
	struct err err = { 0 };
	int64_t began_ms = clock_mono_ms();

	assert_int_equal(rd_kafka_mock_broker_set_rtt(f->cluster, 1, 60000), 0);
	stop_request();
	assert_int_equal(broker_describe(f->broker, pin, &info, &err), ERR_BUSY);
	assert_true(clock_mono_ms() - began_ms < KAFKA_ANSWER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_that_are_refused),
		cmocka_unit_test(test_settings_pass_through),
		MOCK(test_a_cluster_that_is_away),
		MOCK(test_what_waits_is_given_back),
		MOCK(test_a_producer_that_breaks),
		cmocka_unit_test(test_a_fatal_error_is_no_links),
		MOCK(test_a_turn_is_one_request),
		MOCK(test_records_without_a_key_go_in_turn),
		MOCK(test_a_turn_keeps_its_order),
		MOCK(test_a_turn_with_what_is_refused),
		MOCK(test_a_turn_beside_a_partition_that_is_stuck),
		MOCK(test_a_turn_of_a_producer_that_breaks),
		MOCK(test_a_question_that_fails),
		MOCK(test_a_reader_waits_for_the_cluster),
		cmocka_unit_test(test_what_passes_by_itself),
		MOCK(test_a_topic_that_is_gone_is_said_of_all_or_none),
		MOCK(test_a_record_whose_partition_goes),
		MOCK(test_a_batch_that_is_too_large),
		MOCK(test_a_batch_with_a_record_without_a_key),
		MOCK(test_a_record_that_was_there_already),
		MOCK(test_a_partition_without_a_leader),
		MOCK(test_a_leader_that_goes_while_it_is_asked),
		MOCK(test_a_group_that_takes_no_member),
		MOCK(test_a_group_that_takes_a_member_later),
		MOCK(test_a_commit_that_fails),
		MOCK(test_questions_to_a_cluster_that_is_away),
		MOCK(test_a_question_that_ended_before_the_cluster_came_back),
		MOCK(test_who_is_asked_to_end_waits_for_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
