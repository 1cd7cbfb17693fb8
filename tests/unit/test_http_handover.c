/* A server that leaves its sockets to another one, or goes on with them: no request is lost. */
#include "unit/http_fixture.h"

#include <signal.h>

#define ECHO "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
#define LATER "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
#define CLOSE "GET /close HTTP/1.1\r\nHost: a\r\n\r\n"
#define HALF "POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx"

enum { STOPS = 50 };

static struct fixture old, new;

/* Of each kind a client, all of the old server. */
struct clients {
	int idle, busy, half, late, slow;
	struct buf out;
};

static void say_and_await(int fd, struct buf *out, const char *request, const char *answer)
{
	buf_clear(out);
	client_say(fd, request);
	client_await(fd, out, answer);
}

static void await_answer(int fd, struct buf *out, const char *answer)
{
	buf_clear(out);
	client_await(fd, out, answer);
}

struct turn {
	struct http_task task;
	atomic_bool over;
};

static void end_turn(struct http_server *server, struct http_task *task)
{
	(void)server;
	((struct turn *)task)->over = true;
}

/* The loop has begun a turn since. */
static void await_turn(const struct fixture *fixture)
{
	struct turn turn = { .task = { .run = end_turn } };

	http_post(fixture->server, &turn.task, &turn.task);
	while (!turn.over)
		clock_sleep_ms(1);
}

/* Until the old server has left: what is in flight is answered, and nothing else; but all are
 * served until the slow one, which had begun before, has sent the rest. */
static void leave(struct clients *clients, const char *slow, const char *slow_rest)
{
	static const uint32_t first[] = { 0 };

	buf_init(&clients->out, 1 << 16);
	fixture_start(&old, &http_limits_default, NULL, NULL);
	clients->idle = client_open(&old);
	clients->busy = client_open(&old);
	clients->half = client_open(&old);
	clients->slow = client_open(&old);
	say_and_await(clients->idle, &clients->out, ECHO, "GET /echo ? ");
	client_say(clients->slow, slow);
	client_say(clients->busy, LATER);
	await_kept(&old, 1);
	http_server_leave(old.server);
	await_turn(&old);
	await_turn(&old); /* what was asked before the first it has begun by the second */
	say_and_await(clients->idle, &clients->out, ECHO, "GET /echo ? ");
	client_say(clients->half, HALF);
	await_turn(&old);
	await_turn(&old);
	say_and_await(clients->slow, &clients->out, slow_rest, "HTTP/1.1 200 ");
	await_turn(&old);
	await_turn(&old);
	clients->late = client_open(&old);
	client_say(clients->late, ECHO);
	client_say(clients->idle, ECHO);
	release(&old, first, 1);
	await_answer(clients->busy, &clients->out, "/later");
	say_and_await(clients->half, &clients->out, "y", "POST /half ? xy");
	assert_null(strstr(buf_cstr(&clients->out), "Connection: close"));
	(void)pthread_join(old.thread, NULL);
	assert_true(http_server_has_left(old.server));
	assert_int_equal(old.handled, 5);
}

/* Every one of them is answered on the connection that it had. */
static void go_on(struct clients *clients)
{
	await_answer(clients->idle, &clients->out, "GET /echo ? ");
	await_answer(clients->late, &clients->out, "GET /echo ? ");
	say_and_await(clients->busy, &clients->out, ECHO, "GET /echo ? ");
	buf_clear(&clients->out);
	client_say(clients->half, CLOSE);
	client_drain(clients->half, &clients->out);
	assert_non_null(strstr(buf_cstr(&clients->out), "GET /close ? "));
	(void)close(clients->idle);
	(void)close(clients->late);
	(void)close(clients->busy);
	(void)close(clients->half);
	(void)close(clients->slow);
	buf_release(&clients->out);
}

static void test_it_goes_on_as_if_nothing_had_been(void **state)
{
	struct clients clients;

	(void)state;
	leave(&clients, HALF, "y");
	http_server_return(old.server);
	assert_false(http_server_has_left(old.server));
	assert_int_equal(pthread_create(&old.thread, NULL, run_server, &old), 0);
	go_on(&clients);
	assert_int_equal(old.handled, 9);
	fixture_stop(&old);
}

static int copy_one(struct http_server *server)
{
	int fds[HTTP_LISTENERS_MAX];
	unsigned count = 0;
	struct err err;

	assert_ok(http_server_copy_sockets(server, fds, &count, &err));
	assert_int_equal(count, 1);
	return fds[0];
}

/* Copies, as another process gets them. */
static void take_all(int *taken)
{
	unsigned listener;
	uint32_t at = 0;
	int fd;

	*taken = copy_one(old.server);
	new.taken = taken;
	new.taken_count = 1;
	fixture_prepare(&new, &http_limits_default, NULL, NULL);
	assert_int_equal(*taken, -1);
	assert_int_equal(http_server_port(new.server), http_server_port(old.server));
	while ((fd = http_server_parked(old.server, &at, &listener)) >= 0)
		assert_true(http_server_adopt(new.server, dup(fd), listener));
}

static void test_another_one_takes_over(void **state)
{
	struct clients clients;
	int taken;

	(void)state;
	leave(&clients, "GET /ec", "ho HTTP/1.1\r\nHost: a\r\n\r\n");
	take_all(&taken);
	http_server_free(old.server);
	fixture_run(&new);
	go_on(&clients);
	assert_int_equal(new.handled, 4);
	fixture_stop(&new);
	fixture_release(&old);
}

static void test_an_address_that_does_not_fit_is_not_taken(void **state)
{
	struct http_server_options options = { .listen = "127.0.0.2:0",
					       .limits = http_limits_default,
					       .taken_count = 1 };
	struct http_server *server;
	struct err err;
	int taken;

	(void)state;
	fixture_start(&old, &http_limits_default, NULL, NULL);
	taken = copy_one(old.server);
	options.taken = &taken;
	assert_ok(http_server_new(&options, &server, &err));
	assert_true(taken >= 0);
	assert_int_not_equal(http_server_port(server), 0);
	http_server_free(server);
	(void)close(taken);
	fixture_stop(&old);
}

/* Opens descriptors as fast as they are closed: a number has soon another meaning. */
static void *reuse_numbers(void *user)
{
	atomic_bool *over = user;

	while (!*over)
		(void)close(dup(STDERR_FILENO));
	return NULL;
}

static void check_listens(int fd)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len), 0);
	assert_true(listens);
	(void)close(fd);
}

/* They are asked for on a thread of its own, and may be closed at any moment. */
static void test_sockets_are_copied_whole_or_not_at_all(void **state)
{
	enum err_code code = ERR_OK;
	atomic_bool over = false;
	pthread_t reuser;

	(void)state;
	assert_int_equal(pthread_create(&reuser, NULL, reuse_numbers, &over), 0);
	for (int i = 0; i < STOPS; i++) {
		fixture_start(&old, &http_limits_default, NULL, NULL);
		check_listens(copy_one(old.server));
		http_server_stop(old.server);
		for (code = ERR_OK; code == ERR_OK;) {
			int fds[HTTP_LISTENERS_MAX];
			unsigned count = 0;
			struct err err;

			code = http_server_copy_sockets(old.server, fds, &count, &err);
			while (count > 0)
				check_listens(fds[--count]);
		}
		assert_int_equal(code, ERR_STOPPED);
		fixture_stop(&old);
	}
	over = true;
	(void)pthread_join(reuser, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_goes_on_as_if_nothing_had_been),
		cmocka_unit_test(test_another_one_takes_over),
		cmocka_unit_test(test_sockets_are_copied_whole_or_not_at_all),
		cmocka_unit_test(test_an_address_that_does_not_fit_is_not_taken),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
