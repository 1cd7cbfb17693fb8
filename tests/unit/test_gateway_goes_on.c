/* A gateway that nobody took over goes on, and so do those who wait for a broker that is slow. */
#include "base/handoff.h"
#include "base/mem.h"
#include "base/time.h"
#include "gateway/missing.h"
#include "gateway/worker.h"
#include "gateway_fixture.h"
#include "temp_dir.h"

#include <semaphore.h>
#include <stdatomic.h>

/* Messages of takeover.c; more calls than the worker has threads, than topics are made at once. */
enum { HELLO = 1, SOCKETS, GO, CONNECTIONS, LOG, MESSAGE_BYTES = 436 };
enum { LISTS = 20, POSTS = 6, MESSAGE_MS = 60000, SETTLE_MS = 100 };

/* A broker whose calls about topics wait until it is told to go on. */
struct held_broker {
	struct broker base;
	struct broker *inner;
	sem_t entered, go_on;
};

static void held_wait(struct broker *broker)
{
	struct held_broker *held = (struct held_broker *)broker;

	(void)sem_post(&held->entered);
	(void)sem_wait(&held->go_on);
}

static enum err_code held_list(struct broker *broker, enum topic_kind kind,
			       bool (*each)(void *user, const char *name), void *user,
			       struct err *unused)
{
	(void)kind;
	(void)unused;
	held_wait(broker);
	(void)each(user, "held");
	return ERR_OK;
}

static enum err_code held_create(struct broker *broker, struct topic_ref topic,
				 const struct topic_options *options, struct err *err_)
{
	held_wait(broker);
	return broker_create(((struct held_broker *)broker)->inner, topic, options, err_);
}

static enum err_code held_append(struct broker *broker, struct append *append, struct err *err_)
{
	return broker_append(((struct held_broker *)broker)->inner, append, err_);
}

static enum err_code held_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				struct err *err_)
{
	return broker_ready(((struct held_broker *)broker)->inner, kind, bytes, err_);
}

static void held_cork(struct broker *broker, bool corked)
{
	broker_cork(((struct held_broker *)broker)->inner, corked);
}

static void held_free(struct broker *broker) { broker_free(((struct held_broker *)broker)->inner); }

static const struct broker_ops held_ops = {
	.name = "held",
	.list = held_list,
	.create = held_create,
	.append = held_append,
	.ready = held_ready,
	.cork = held_cork,
	.free = held_free,
};

/* The broker to open, once; then none, until there is another. */
static _Atomic(struct broker *) to_open;

static enum err_code open_next(void *user, struct gateway *gateway, struct broker **ret_broker,
			       struct err *err_)
{
	(void)user;
	(void)gateway;
	*ret_broker = atomic_exchange(&to_open, NULL);
	return *ret_broker ? ERR_OK : err_set(err_, ERR_IO, "the disk is not there");
}

static int meet(const char *dir)
{
	int fd;

	while (handoff_connect(dir, "gateway.sock", &fd, &err) != ERR_OK)
		clock_sleep_ms(1);
	return fd;
}

static void say(int fd, char word)
{
	char message[MESSAGE_BYTES] = "PINTAKE1";

	message[8] = word;
	assert_ok(handoff_send(fd, MESSAGE_MS, message, sizeof(message), NULL, 0, &err));
}

static void hear(int fd, char word)
{
	char message[MESSAGE_BYTES];
	int fds[HANDOFF_FDS_MAX];
	size_t count = 0;

	assert_ok(handoff_receive(fd, -1, MESSAGE_MS, message, sizeof(message), fds, &count, &err));
	while (count > 0)
		(void)close(fds[--count]);
	assert_int_equal(message[8], word);
}

static int connect_to(struct fixture *fixture)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(gateway_port(fixture->gateway)),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int get(struct fixture *fixture, const char *line)
{
	return send_request(fixture, line, "text/plain", "");
}

static int post(struct fixture *fixture, int topic)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "POST /topics/t%d", topic);
	return send_request(fixture, line, "application/x-ndjson", "{}\n");
}

static void check_each(struct fixture *fixture, const int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		const char *reply = read_reply(fixture, fds[i]);

		if (!strstr(reply, "HTTP/1.1 200 ") && !strstr(reply, "HTTP/1.1 503 "))
			fail_msg("%d of %d: \"%s\"", i, count, reply);
	}
}

/* Who takes over leaves when the log is closed. */
static void take_and_leave(struct fixture *fixture, const char *dir, struct held_broker *held,
			   int calls)
{
	int idle = connect_to(fixture); /* which goes along, right before the log is closed */
	int taker = meet(dir);

	check(fixture, get(fixture, "GET /healthz"), 200, false, "ok");
	say(taker, HELLO);
	hear(taker, SOCKETS);
	say(taker, GO);
	hear(taker, CONNECTIONS);
	clock_sleep_ms(SETTLE_MS); /* until the worker is to end */
	for (int i = 0; i < calls; i++)
		(void)sem_post(&held->go_on);
	hear(taker, LOG);
	(void)close(taker);
	(void)close(idle);
}

static struct broker *memory_new(struct fixture *fixture)
{
	return broker_memory_new(BROKER_BYTES_MAX, gateway_done, fixture->gateway);
}

static void start_held(struct fixture *fixture, struct held_broker *held, struct temp_dir *dir)
{
	struct gateway_options options = defaults();

	temp_dir_make(dir);
	options.auto_create = AUTO_CREATE_ANY;
	options.connections_max = 64;
	options.dir = dir->path;
	assert_ok(gateway_new(&options, &fixture->gateway, &err));
	*held = (struct held_broker){ .base = { &held_ops }, .inner = memory_new(fixture) };
	(void)sem_init(&held->entered, 0, 0);
	(void)sem_init(&held->go_on, 0, 0);
	to_open = &held->base;
	start_with(fixture, (struct gateway_opener){ open_next, NULL });
}

static void stop_held(struct fixture *fixture, struct held_broker *held, struct temp_dir *dir)
{
	stop(fixture);
	(void)sem_destroy(&held->entered);
	(void)sem_destroy(&held->go_on);
	temp_dir_remove(dir);
}

static void test_calls_that_no_thread_came_to_are_answered(void **state)
{
	struct held_broker held;
	struct fixture fixture;
	struct temp_dir dir;
	int fds[LISTS];

	(void)state;
	start_held(&fixture, &held, &dir);
	for (int i = 0; i < LISTS; i++)
		fds[i] = get(&fixture, "GET /topics");
	for (int i = 0; i < WORKER_THREADS_MAX; i++)
		(void)sem_wait(&held.entered);
	to_open = memory_new(&fixture);
	take_and_leave(&fixture, dir.path, &held, LISTS);
	check_each(&fixture, fds, LISTS);
	check(&fixture, post(&fixture, 0), 200, false, "\"offset\":0");
	stop_held(&fixture, &held, &dir);
}

/* Nothing is asked of a log that is not open again when they come back. */
static void test_posts_for_topics_that_were_not_made_are_answered(void **state)
{
	struct held_broker held;
	struct fixture fixture;
	struct temp_dir dir;
	int fds[POSTS];

	(void)state;
	start_held(&fixture, &held, &dir);
	for (int i = 0; i < POSTS; i++)
		fds[i] = post(&fixture, i);
	for (int i = 0; i < MISSING_AT_ONCE; i++)
		(void)sem_wait(&held.entered);
	take_and_leave(&fixture, dir.path, &held, POSTS);
	check_each(&fixture, fds, POSTS);
	check(&fixture, post(&fixture, 0), 503, true, "the disk is not there");
	to_open = memory_new(&fixture);
	while (!strstr(read_reply(&fixture, get(&fixture, "GET /readyz")), " 200 "))
		clock_sleep_ms(1);
	check(&fixture, post(&fixture, POSTS), 200, false, "\"offset\":0");
	stop_held(&fixture, &held, &dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_that_no_thread_came_to_are_answered),
		cmocka_unit_test(test_posts_for_topics_that_were_not_made_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
