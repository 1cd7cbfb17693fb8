/* The gateway over a broker that fails as told: what clients are answered,
 * and who waits for whom. */
#include "backends/backends.h"
#include "gateway/gateway.h"

#include "testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BROKER_BYTES_MAX = 1 << 20, REPLY_BYTES_MAX = 1 << 16, DRAIN_MS = 1000, PATIENCE_S = 30 };

struct fixture {
	struct gateway *gateway;
	struct broker *broker;
	pthread_t thread;
	struct buf reply;
};

static struct err err;

static struct gateway_options defaults(void)
{
	return (struct gateway_options){
		.listen = "127.0.0.1:0",
		.api_key_sha256 = "",
		.id = "me",
		.stages = "",
		.auto_create = AUTO_CREATE_OWN,
		.partitions = 1,
		.shards = 1,
		.body_bytes_max = 1 << 20,
		.record_bytes_max = 1 << 16,
		.connections_max = 16,
		.header_ms = 10000,
		.body_ms = 60000,
		.write_ms = 30000,
		.idle_ms = 60000,
	};
}

static void *serve(void *arg)
{
	struct fixture *fixture = arg;
	struct err stopped;

	return gateway_run(fixture->gateway, DRAIN_MS, &stopped) == ERR_OK ? NULL : fixture;
}

static void start(struct fixture *fixture, struct broker *broker)
{
	fixture->broker = broker;
	assert_ok(gateway_open(fixture->gateway, broker, &err));
	assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
	buf_init(&fixture->reply, REPLY_BYTES_MAX);
}

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

static void stop(struct fixture *fixture)
{
	void *failed;

	gateway_stop(fixture->gateway);
	assert_int_equal(pthread_join(fixture->thread, &failed), 0);
	assert_null(failed);
	broker_free(fixture->broker);
	gateway_free(fixture->gateway);
	buf_release(&fixture->reply);
}

/* A connection of its own for one request; returns the socket. */
static int send_request(struct fixture *fixture, const char *line, const char *type,
			const char *body)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(gateway_port(fixture->gateway)),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf request;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	buf_init(&request, REPLY_BYTES_MAX);
	buf_addf(&request, "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\n"
		 "Content-Length: %zu\r\n\r\n%s", line, type, strlen(body), body);
	assert_int_equal(send(fd, request.ptr, request.len, MSG_NOSIGNAL), request.len);
	buf_release(&request);
	return fd;
}

static const char *read_reply(struct fixture *fixture, int fd)
{
	char bytes[4096];
	ssize_t n;

	buf_clear(&fixture->reply);
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		buf_add(&fixture->reply, bytes, (size_t)n);
	(void)close(fd);
	return buf_cstr(&fixture->reply);
}

static void check(struct fixture *fixture, int fd, int status, bool retry, const char *body)
{
	const char *reply = read_reply(fixture, fd);
	char line[32];

	(void)snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	if (strncmp(reply, line, strlen(line)) != 0 ||
	    retry != (strstr(reply, "\r\nRetry-After: 1\r\n") != NULL) || !strstr(reply, body))
		fail_msg("wanted %d %s\n%s", status, body, reply);
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
static enum err_code full_ready(struct broker *broker, size_t bytes, struct err *err_)
{
	(void)broker;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_kept_is_no_success),
		cmocka_unit_test(test_status_200_as_the_originals),
		cmocka_unit_test(test_a_slow_disk_holds_up_nobody_else),
		cmocka_unit_test(test_a_long_body_without_room_is_refused_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
