/* The gateway over a broker that fails as told: what clients are answered,
 * and who waits for whom. */
#include "base/mem.h"
#include "base/time.h"
#include "broker/completer.h"
#include "gateway_fixture.h"

#include <semaphore.h>

static void start_faulty(struct fixture *fixture, const struct gateway_options *options,
			 enum err_code refuse, enum err_code outcome)
{
	struct broker_fault fault = {
		.append_at = 1, .refuse = refuse, .outcome = outcome, .for_ever = true,
	};
	struct broker *memory;

	assert_ok(gateway_new(options, &fixture->gateway, &err));
	memory = broker_memory_new(BROKER_BYTES_MAX, gateway_done, fixture->gateway);
	start(fixture, broker_faulty_new(memory, &fault, gateway_done, fixture->gateway));
}

static int produce(struct fixture *fixture)
{
	return send_request(fixture, "POST /topics/me.pin", "application/vnd.kafka.json.v2+json",
			    "{\"records\":[{\"value\":1},{\"value\":2}]}");
}

static int put_record(struct fixture *fixture)
{
	return send_request(fixture, "PUT /streams/streaming-me-pin/record", "application/json",
			    "{\"Data\":1,\"PartitionKey\":\"k\"}");
}

static int put_records(struct fixture *fixture)
{
	return send_request(fixture, "PUT /streams/streaming-me-pin/records", "application/json",
			    "{\"records\":[{\"data\":1,\"partition-key\":\"k\"}]}");
}

static const struct {
	enum err_code refuse, outcome;
	int status;
	bool retry;
	const char *kafka, *kinesis;
} faults[] = {
	{ ERR_BUSY, ERR_OK, 503, true, "{\"error_code\":50003,\"message\":\"",
	  "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"" },
	{ ERR_SPACE, ERR_OK, 503, true, "{\"error_code\":50003,\"message\":\"",
	  "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"" },
	{ ERR_IO, ERR_OK, 500, false, "{\"error_code\":50002,\"message\":\"",
	  "{\"__type\":\"InternalFailure\",\"message\":\"" },
	{ ERR_OK, ERR_UNKNOWN, 503, true,
	  "{\"error_code\":50003,\"message\":\"the record may or may not have been stored\"}",
	  "{\"__type\":\"InternalFailure\",\"message\":\"the record may or may not have been stored\"}" },
	{ ERR_OK, ERR_IO, 500, false,
	  "{\"error_code\":50002,\"message\":\"the record could not be stored\"}",
	  "{\"__type\":\"InternalFailure\",\"message\":\"the record could not be stored\"}" },
};

static void test_nothing_kept_is_no_success(void **state)
{
	struct gateway_options options = defaults();

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct fixture fixture;

		start_faulty(&fixture, &options, faults[i].refuse, faults[i].outcome);
		check(&fixture, produce(&fixture), faults[i].status, faults[i].retry,
		      faults[i].kafka);
		check(&fixture, put_record(&fixture), faults[i].status, faults[i].retry,
		      faults[i].kinesis);
		check(&fixture, put_records(&fixture), faults[i].status, faults[i].retry,
		      faults[i].kinesis);
		stop(&fixture);
	}
}

static void test_status_200_as_the_originals(void **state)
{
	struct gateway_options options = defaults();
	static const enum err_code codes[][2] = { { ERR_BUSY, ERR_OK }, { ERR_OK, ERR_UNKNOWN } };

	(void)state;
	options.confluent_status = true;
	options.kinesis_ok_status = true;
	for (int i = 0; i < 2; i++) {
		struct fixture fixture;

		start_faulty(&fixture, &options, codes[i][0], codes[i][1]);
		check(&fixture, produce(&fixture), 200, false,
		      "{\"offsets\":[{\"partition\":null,\"offset\":null,\"error_code\":50003,\"error\":\"");
		check(&fixture, put_record(&fixture), 200, false, "{\"__type\":\"");
		stop(&fixture);
	}
}

/* The only two errors of a record that have a status there. */
static void test_rights_have_a_status_as_the_originals(void **state)
{
	struct gateway_options options = defaults();
	struct fixture fixture;

	(void)state;
	options.confluent_status = true;
	start_faulty(&fixture, &options, ERR_OK, ERR_DENIED);
	check(&fixture, produce(&fixture), 403, false,
	      "{\"offsets\":[{\"partition\":null,\"offset\":null,\"error_code\":40301,\"error\":\"no "
	      "right to write to the topic\"}");
	stop(&fixture);
	start_faulty(&fixture, &options, ERR_OK, ERR_AUTH);
	check(&fixture, produce(&fixture), 401, false,
	      "{\"offsets\":[{\"partition\":null,\"offset\":null,\"error_code\":40101,\"error\":\"");
	stop(&fixture);
	start_faulty(&fixture, &options, ERR_OK, ERR_SHAPE);
	check(&fixture, produce(&fixture), 200, false,
	      "{\"offsets\":[{\"partition\":null,\"offset\":null,\"error_code\":50002,\"error\":\"");
	stop(&fixture);
}

/* A broker whose list() waits until it is told to go on. */
struct slow_broker {
	struct broker base;
	sem_t entered;
	sem_t go_on;
};

static enum err_code slow_list(struct broker *broker, enum topic_kind kind,
			       bool (*each)(void *user, const char *name), void *user,
			       struct err *unused)
{
	struct slow_broker *slow = (struct slow_broker *)broker;

	(void)kind;
	(void)unused;
	(void)sem_post(&slow->entered);
	(void)sem_wait(&slow->go_on);
	(void)each(user, "slow");
	return ERR_OK;
}

static void slow_free(struct broker *broker)
{
	(void)broker;
}

static void slow_cork(struct broker *broker, bool corked)
{
	(void)broker;
	(void)corked;
}

static const struct broker_ops slow_ops = {
	.name = "slow", .list = slow_list, .cork = slow_cork, .free = slow_free,
};

static void test_a_slow_disk_holds_up_nobody_else(void **state)
{
	struct gateway_options options = defaults();
	struct slow_broker slow = { .base = { &slow_ops } };
	struct fixture fixture;
	int fd;

	(void)state;
	(void)sem_init(&slow.entered, 0, 0);
	(void)sem_init(&slow.go_on, 0, 0);
	options.auto_create = AUTO_CREATE_NONE;
	assert_ok(gateway_new(&options, &fixture.gateway, &err));
	start(&fixture, &slow.base);
	fd = send_request(&fixture, "GET /topics", "text/plain", "");
	(void)sem_wait(&slow.entered);
	check(&fixture, send_request(&fixture, "GET /healthz", "text/plain", ""), 200, false,
	      "{\"status\":\"ok\"}");
	(void)sem_post(&slow.go_on);
	check(&fixture, fd, 200, false, "[\"slow\"]");
	stop(&fixture);
	(void)sem_destroy(&slow.entered);
	(void)sem_destroy(&slow.go_on);
}

/* A broker without room. */
static enum err_code full_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				struct err *err_)
{
	(void)broker;
	(void)kind;
	return bytes ? err_set(err_, ERR_BUSY, "full") : ERR_OK;
}

static const struct broker_ops full_ops = {
	.name = "full", .cork = slow_cork, .ready = full_ready, .free = slow_free,
};

/* The body is no JSON, and nobody looks. */
static void test_a_long_body_without_room_is_refused_unread(void **state)
{
	struct gateway_options options = defaults();
	struct broker full = { &full_ops };
	struct fixture fixture;
	char body[10000];

	(void)state;
	memset(body, 'x', sizeof(body));
	body[sizeof(body) - 1] = '\0';
	options.auto_create = AUTO_CREATE_NONE;
	assert_ok(gateway_new(&options, &fixture.gateway, &err));
	start(&fixture, &full);
	check(&fixture, send_request(&fixture, "POST /topics/me.pin",
				     "application/vnd.kafka.json.v2+json", body), 503, true, faults[0].kafka);
	check(&fixture, send_request(&fixture, "PUT /streams/streaming-me-pin/records",
				     "application/json", body), 503, true, faults[0].kinesis);
	body[100] = '\0';
	check(&fixture, send_request(&fixture, "POST /topics/me.pin",
				     "application/vnd.kafka.json.v2+json", body), 400, false, "\"error_code\":400");
	stop(&fixture);
}

/* --- a broker far away: calls that wait until they are let go, and fail as told --- */

struct far_broker {
	struct broker base;
	struct broker *inner;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool holds;			/* calls about topics, until it does not any more */
	int held;			/* of them now */
	int creates;
	enum err_code create;		/* what creating ends with */
	enum err_code ready;
	bool late;			/* a missing topic is told in an outcome, … */
	int together;			/* … those of so many appends at once */
	struct append *waiting;		/* the loop's */
	int waiting_count;
	struct completer completer;
};

static struct far_broker *far_of(struct broker *broker)
{
	return (struct far_broker *)broker;
}

static void far_wait(struct far_broker *far)
{
	(void)pthread_mutex_lock(&far->lock);
	far->held++;
	(void)pthread_cond_broadcast(&far->changed);
	while (far->holds)
		(void)pthread_cond_wait(&far->changed, &far->lock);
	far->held--;
	(void)pthread_mutex_unlock(&far->lock);
}

static void far_hold(struct far_broker *far, bool holds)
{
	(void)pthread_mutex_lock(&far->lock);
	far->holds = holds;
	(void)pthread_cond_broadcast(&far->changed);
	(void)pthread_mutex_unlock(&far->lock);
}

/* Until so many calls are held. */
static void far_await(struct far_broker *far, int held)
{
	(void)pthread_mutex_lock(&far->lock);
	while (far->held < held)
		(void)pthread_cond_wait(&far->changed, &far->lock);
	(void)pthread_mutex_unlock(&far->lock);
}

static void far_set(struct far_broker *far, enum err_code create, enum err_code ready)
{
	(void)pthread_mutex_lock(&far->lock);
	far->create = create;
	far->ready = ready;
	(void)pthread_mutex_unlock(&far->lock);
}

static int far_creates(struct far_broker *far)
{
	int creates;

	(void)pthread_mutex_lock(&far->lock);
	creates = far->creates;
	(void)pthread_mutex_unlock(&far->lock);
	return creates;
}

static enum err_code far_create(struct broker *broker, struct topic_ref topic,
				const struct topic_options *options, struct err *err_)
{
	struct far_broker *far = far_of(broker);
	enum err_code code;

	far_wait(far);
	(void)pthread_mutex_lock(&far->lock);
	far->creates++;
	code = far->create;
	(void)pthread_mutex_unlock(&far->lock);
	return code == ERR_OK ? broker_create(far->inner, topic, options, err_)
			      : err_set(err_, code, "the service says no");
}

static enum err_code far_describe(struct broker *broker, struct topic_ref topic,
				  struct topic_info *ret_info, struct err *err_)
{
	return broker_describe(far_of(broker)->inner, topic, ret_info, err_);
}

static enum err_code far_settings(struct broker *broker, struct topic_ref topic,
				  bool (*each)(void *user, const char *name, const char *value),
				  void *user, struct err *err_)
{
	return broker_settings(far_of(broker)->inner, topic, each, user, err_);
}

static enum err_code far_list(struct broker *broker, enum topic_kind kind,
			      bool (*each)(void *user, const char *name), void *user,
			      struct err *err_)
{
	far_wait(far_of(broker));
	return broker_list(far_of(broker)->inner, kind, each, user, err_);
}

static void far_set_together(struct far_broker *far, int together)
{
	(void)pthread_mutex_lock(&far->lock);
	far->together = together;
	(void)pthread_mutex_unlock(&far->lock);
}

/* On the loop's thread. */
static void far_tell_late(struct far_broker *far, struct append *append)
{
	int together;

	(void)pthread_mutex_lock(&far->lock);
	together = far->together;
	(void)pthread_mutex_unlock(&far->lock);
	append->next = far->waiting;
	far->waiting = append;
	if (++far->waiting_count < together)
		return;
	while ((append = far->waiting)) {
		far->waiting = append->next;
		completer_push(&far->completer, append);
	}
	far->waiting_count = 0;
}

static enum err_code far_append(struct broker *broker, struct append *append, struct err *err_)
{
	struct far_broker *far = far_of(broker);
	enum err_code code = broker_append(far->inner, append, err_);

	if (code != ERR_NO_TOPIC || !far->late)
		return code;
	for (size_t i = 0; i < append->count; i++)
		append->outcomes[i] = (struct append_outcome){ .code = ERR_NO_TOPIC };
	far_tell_late(far, append);
	return ERR_OK;
}

static void far_cork(struct broker *broker, bool corked)
{
	broker_cork(far_of(broker)->inner, corked);
}

static enum err_code far_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
			       struct err *err_)
{
	struct far_broker *far = far_of(broker);
	enum err_code code;

	(void)pthread_mutex_lock(&far->lock);
	code = far->ready;
	(void)pthread_mutex_unlock(&far->lock);
	return code == ERR_OK ? broker_ready(far->inner, kind, bytes, err_)
			      : err_set(err_, code, "the service does not answer");
}

static void far_free(struct broker *broker)
{
	struct far_broker *far = far_of(broker);

	broker_free(far->inner);
	completer_release(&far->completer);
	(void)pthread_mutex_destroy(&far->lock);
	(void)pthread_cond_destroy(&far->changed);
	free(far);
}

static enum err_code far_nodes(struct broker *broker, enum topic_kind kind,
			       bool (*each)(void *user, const struct broker_node *node), void *user,
			       struct err *err_)
{
	return broker_nodes(far_of(broker)->inner, kind, each, user, err_);
}

static const struct broker_ops far_ops = {
	.name = "far",
	.create = far_create,
	.describe = far_describe,
	.list = far_list,
	.append = far_append,
	.cork = far_cork,
	.ready = far_ready,
	.nodes = far_nodes,
	.settings = far_settings,
	.free = far_free,
};

static struct far_broker *far_new(struct gateway *gateway, bool late)
{
	struct far_broker *far = xcalloc(1, sizeof(*far));

	far->base.ops = &far_ops;
	far->inner = broker_memory_new(BROKER_BYTES_MAX, gateway_done, gateway);
	far->late = late;
	(void)pthread_mutex_init(&far->lock, NULL);
	(void)pthread_cond_init(&far->changed, NULL);
	completer_init(&far->completer, gateway_done, gateway);
	return far;
}

static struct far_broker *start_far(struct fixture *fixture, enum auto_create auto_create,
				    bool late)
{
	struct gateway_options options = defaults();
	struct far_broker *far;

	options.auto_create = auto_create;
	assert_ok(gateway_new(&options, &fixture->gateway, &err));
	far = far_new(fixture->gateway, late);
	start(fixture, &far->base);
	return far;
}

static int get(struct fixture *fixture, const char *path)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "GET %s", path);
	return send_request(fixture, line, "text/plain", "");
}

static int produce_value(struct fixture *fixture, const char *topic, int value)
{
	char line[64], body[64];

	(void)snprintf(line, sizeof(line), "POST /topics/%s", topic);
	(void)snprintf(body, sizeof(body), "{\"records\":[{\"value\":%d}]}", value);
	return send_request(fixture, line, "application/vnd.kafka.json.v2+json", body);
}

/* What the answer to one record is, at this offset. */
static void check_offset(struct fixture *fixture, int fd, int offset)
{
	char body[64];

	(void)snprintf(body, sizeof(body), "{\"offsets\":[{\"partition\":0,\"offset\":%d,", offset);
	check(fixture, fd, 200, false, body);
}

static const char *const is_alive = "{\"status\":\"ok\"}";

/* The first records for a topic wait until it is made, and nobody else does. */
static void test_a_topic_that_takes_long_to_make_holds_up_nobody_else(void **state)
{
	struct fixture fixture;

	(void)state;
	for (int late = 0; late < 2; late++) {
		struct far_broker *far = start_far(&fixture, AUTO_CREATE_ANY, late);
		int first, second;

		check_offset(&fixture, produce_value(&fixture, "there", 1), 0);
		far_hold(far, true);
		first = produce_value(&fixture, "new", 1);
		far_await(far, 1);
		second = produce_value(&fixture, "new", 2);
		check(&fixture, get(&fixture, "/healthz"), 200, false, is_alive);
		/* What is counted outlives who counts it. */
		check(&fixture, get(&fixture, "/metrics"), 200, false,
		      late ? "pinpipe_topic_records_total{topic=\"there\"} 3\n"
			   : "pinpipe_topic_records_total{topic=\"there\"} 1\n");
		check(&fixture, get(&fixture, "/topics/there"), 200, false, "\"name\":\"there\"");
		check_offset(&fixture, produce_value(&fixture, "there", 2), 1);
		far_hold(far, false);
		check_offset(&fixture, first, 0);
		check_offset(&fixture, second, 1);
		assert_int_equal(far_creates(far), 2);		/* "there" and "new" */
		stop(&fixture);
	}
}

/* Ten calls that do not come back leave threads for those that do. */
static void test_slow_calls_leave_room_for_others(void **state)
{
	struct fixture fixture;
	struct far_broker *far = start_far(&fixture, AUTO_CREATE_ANY, false);
	int fds[10];

	(void)state;
	check_offset(&fixture, produce_value(&fixture, "there", 1), 0);
	far_hold(far, true);
	for (int i = 0; i < 10; i++)
		fds[i] = get(&fixture, "/topics");
	far_await(far, 10);
	check(&fixture, get(&fixture, "/topics/there"), 200, false, "\"name\":\"there\"");
	far_hold(far, false);
	for (int i = 0; i < 10; i++)
		check(&fixture, fds[i], 200, false, "[\"there\"]");
	stop(&fixture);
}

static const char *const kafka_missing = "{\"error_code\":40401,\"message\":\"Topic not found.";
static const char *const kinesis_missing =
	"{\"__type\":\"ResourceNotFoundException\",\"message\":\"Stream streaming-me-pin under account";

/* Told at once or in an outcome: the same answer. */
static void test_a_missing_topic_is_the_same_told_late(void **state)
{
	struct fixture fixture;

	(void)state;
	for (int late = 0; late < 2; late++) {
		struct far_broker *far = start_far(&fixture, AUTO_CREATE_NONE, late);

		for (int i = 0; i < 2; i++) {
			check(&fixture, produce(&fixture), 404, false, kafka_missing);
			check(&fixture, put_record(&fixture), 400, false, kinesis_missing);
			check(&fixture, put_records(&fixture), 400, false, kinesis_missing);
		}
		assert_int_equal(far_creates(far), 0);
		/* Who makes it by a call of its own need not wait until that is forgotten. */
		check(&fixture, send_request(&fixture, "POST /streams/streaming-me-pin",
					     "application/json", "{\"ShardCount\":1}"), 200, false, "");
		check(&fixture, put_record(&fixture), 200, false, "\"SequenceNumber\":\"");
		stop(&fixture);
	}
}

/* What cannot be made now is not tried again for each request of that second. */
static void test_a_topic_that_cannot_be_made_is_refused_for_a_while(void **state)
{
	struct fixture fixture;

	(void)state;
	for (int late = 0; late < 2; late++) {
		struct far_broker *far = start_far(&fixture, AUTO_CREATE_ANY, late);

		far_set(far, ERR_LIMIT, ERR_OK);
		for (int i = 0; i < 20; i++)
			check(&fixture, produce_value(&fixture, "new", i), 413, false,
			      "the service says no");
		assert_in_range(far_creates(far), 1, 5);	/* one, or one a second */
		far_set(far, ERR_OK, ERR_OK);
		while (strstr(read_reply(&fixture, produce_value(&fixture, "new", 1)), " 413 "))
			;
		check_offset(&fixture, produce_value(&fixture, "new", 2), 1);
		stop(&fixture);
	}
}

/* Of its records only the broker had a copy, and they are the next request's by then. */
static void test_a_topic_that_goes_under_posts_in_flight_asks_for_them_again(void **state)
{
	enum { POSTS = 3 };
	static const struct topic_ref topic = { TOPIC_LOG, "there" };
	struct fixture fixture;
	struct far_broker *far = start_far(&fixture, AUTO_CREATE_ANY, true);
	int fds[POSTS];

	(void)state;
	check_offset(&fixture, produce_value(&fixture, "there", 1), 0);
	assert_ok(broker_remove(far->inner, topic, &err));
	far_set_together(far, POSTS);
	for (int i = 0; i < POSTS; i++)
		fds[i] = produce_value(&fixture, "there", 2);
	for (int i = 0; i < POSTS; i++)
		check(&fixture, fds[i], 503, true, "is not there any more: try again");
	far_set_together(far, 1);
	check(&fixture, produce_value(&fixture, "there", 2), 200, false, "\"offset\":");
	assert_int_equal(far_creates(far), 2);
	stop(&fixture);
}

/* Nothing waits for a broker that says that it is away. */
static void test_a_broker_that_is_away_is_not_asked_to_make_topics(void **state)
{
	struct fixture fixture;
	struct far_broker *far = start_far(&fixture, AUTO_CREATE_ANY, false);

	(void)state;
	far_set(far, ERR_TIMEOUT, ERR_BUSY);
	far_hold(far, true);
	check(&fixture, produce_value(&fixture, "new", 1), 503, true, "the service does not answer");
	check(&fixture, get(&fixture, "/readyz"), 503, true, "the service does not answer");
	assert_int_equal(far_creates(far), 0);
	far_set(far, ERR_OK, ERR_OK);
	far_hold(far, false);
	check_offset(&fixture, produce_value(&fixture, "new", 1), 0);
	check(&fixture, get(&fixture, "/readyz"), 200, false, "ready");
	stop(&fixture);
}

/* --- a broker that cannot be opened yet -------------------------------- */

struct later {
	pthread_mutex_t lock;
	struct broker *broker;		/* NULL: not yet */
	enum err_code code;		/* then this */
	int tries;
};

static enum err_code open_later(void *user, struct gateway *gateway, struct broker **ret_broker,
				struct err *err_)
{
	struct later *later = user;
	enum err_code code = ERR_OK;

	(void)gateway;
	(void)pthread_mutex_lock(&later->lock);
	later->tries++;
	if (later->broker)
		*ret_broker = later->broker;
	else
		code = err_set(err_, later->code, "the disk is not mounted");
	(void)pthread_mutex_unlock(&later->lock);
	return code;
}

static void test_a_gateway_starts_without_its_broker(void **state)
{
	static const char *const own[] = { "me.pin" };
	struct later later = { PTHREAD_MUTEX_INITIALIZER, NULL, ERR_ABSENT, 0 };
	struct gateway_options options = defaults();
	struct fixture fixture;
	struct far_broker *far;

	(void)state;
	options.own[TOPIC_LOG] = (struct gateway_own){ own, 1 };
	assert_ok(gateway_new(&options, &fixture.gateway, &err));
	start_with(&fixture, (struct gateway_opener){ open_later, &later });
	check(&fixture, get(&fixture, "/healthz"), 200, false, is_alive);
	check(&fixture, get(&fixture, "/readyz"), 503, true, "the disk is not mounted");
	check(&fixture, produce(&fixture), 503, true, "the disk is not mounted");
	check(&fixture, put_record(&fixture), 503, true, "the disk is not mounted");
	check(&fixture, get(&fixture, "/topics"), 503, true, "the disk is not mounted");
	check(&fixture, get(&fixture, "/metrics"), 200, false, "pinpipe_http_requests_5xx_total");

	/* It can be opened, but not asked for anything yet. */
	far = far_new(fixture.gateway, false);
	far->create = ERR_TIMEOUT;
	(void)pthread_mutex_lock(&later.lock);
	later.broker = &far->base;
	(void)pthread_mutex_unlock(&later.lock);
	while (far_creates(far) == 0)
		clock_sleep_ms(1);
	while (!strstr(read_reply(&fixture, get(&fixture, "/readyz")), "the service says no"))
		;
	far_set(far, ERR_OK, ERR_OK);
	while (!strstr(read_reply(&fixture, get(&fixture, "/readyz")), " 200 "))
		;
	check(&fixture, produce(&fixture), 200, false, "\"offset\":0");
	check(&fixture, get(&fixture, "/metrics"), 200, false, "{topic=\"me.pin\"} 2\n");
	stop(&fixture);
}

/* What a person must settle ends it; what passes does not, nor does it keep it from ending. */
static void test_which_failures_end_the_start(void **state)
{
	struct later later = { PTHREAD_MUTEX_INITIALIZER, NULL, ERR_LOCKED, 0 };
	struct gateway_opener opener = { open_later, &later };
	struct gateway_options options = defaults();
	struct fixture fixture;
	static const enum err_code ends[] = { ERR_LOCKED, ERR_CORRUPT, ERR_USAGE };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		later.code = ends[i];
		assert_ok(gateway_new(&options, &fixture.gateway, &err));
		assert_int_equal(gateway_open(fixture.gateway, &opener, &err), ends[i]);
		gateway_free(fixture.gateway);
	}
	later.code = ERR_IO;
	assert_ok(gateway_new(&options, &fixture.gateway, &err));
	start_with(&fixture, opener);
	stop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_kept_is_no_success),
		cmocka_unit_test(test_status_200_as_the_originals),
		cmocka_unit_test(test_rights_have_a_status_as_the_originals),
		cmocka_unit_test(test_a_slow_disk_holds_up_nobody_else),
		cmocka_unit_test(test_a_long_body_without_room_is_refused_unread),
		cmocka_unit_test(test_a_topic_that_takes_long_to_make_holds_up_nobody_else),
		cmocka_unit_test(test_slow_calls_leave_room_for_others),
		cmocka_unit_test(test_a_missing_topic_is_the_same_told_late),
		cmocka_unit_test(test_a_topic_that_cannot_be_made_is_refused_for_a_while),
		cmocka_unit_test(test_a_topic_that_goes_under_posts_in_flight_asks_for_them_again),
		cmocka_unit_test(test_a_broker_that_is_away_is_not_asked_to_make_topics),
		cmocka_unit_test(test_a_gateway_starts_without_its_broker),
		cmocka_unit_test(test_which_failures_end_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
