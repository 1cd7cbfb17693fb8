/* Several addresses on one loop: each request knows by which it came, all or none are listened on,
 * and a crowd at one keeps nobody from another. */
#include "base/mem.h"
#include "net/http_server.h"
#include "testing.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, DRAIN_MS = 3000, CROWD = 200 };

static struct err err;

static void tell_listener(void *user, struct http_server *server,
			  const struct http_request *request)
{
	struct http_reply reply = { .status = 200 };
	char text[32];

	(void)user;
	(void)snprintf(text, sizeof(text), "by %u.", request->listener);
	reply.body = slice_str(text);
	http_reply(server, request->ticket, &reply);
}

static struct http_server_options options_of(const char *const *also)
{
	return (struct http_server_options){
		.listen = "127.0.0.1:0",
		.listen_also = also,
		.limits = http_limits_default,
		.handle = tell_listener,
	};
}

static void *run_server(void *server)
{
	struct err stopped;

	assert_ok(http_server_run(server, DRAIN_MS, &stopped));
	return NULL;
}

static int open_to(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void check_answer(uint16_t port, const char *wanted)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char reply[1024] = "";
	size_t len = 0;
	ssize_t n;
	int fd = open_to(port);

	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while ((n = recv(fd, reply + len, sizeof(reply) - 1 - len, 0)) > 0)
		len += (size_t)n;
	(void)close(fd);
	if (!strstr(reply, wanted))
		fail_msg("wanted \"%s\" of port %u, got %s", wanted, port, reply);
}

static void test_each_request_knows_its_own(void **state)
{
	const char *const also[] = { "127.0.0.1:0", "localhost:0", NULL };
	struct http_server_options options = options_of(also);
	struct http_server *server;
	uint16_t ports[3];
	pthread_t thread;

	(void)state;
	assert_ok(http_server_new(&options, &server, &err));
	for (unsigned i = 0; i < 3; i++)
		ports[i] = http_server_port_of(server, i);
	assert_int_equal(http_server_port(server), ports[0]);
	assert_true(ports[0] != ports[1] && ports[1] != ports[2]);
	assert_int_equal(pthread_create(&thread, NULL, run_server, server), 0);
	for (int round = 0; round < 2; round++) {
		check_answer(ports[1], "by 1.");
		check_answer(ports[0], "by 0.");
	}
	http_server_stop(server);
	(void)pthread_join(thread, NULL);
	assert_int_equal(open_to(ports[0]), -1);
	assert_int_equal(open_to(ports[1]), -1);
	http_server_free(server);
}

static void test_a_crowd_at_one(void **state)
{
	const char *const also[] = { "127.0.0.1:0", NULL };
	struct http_server_options options = options_of(also);
	struct http_server *server;
	int crowd[CROWD];
	pthread_t thread;

	(void)state;
	assert_ok(http_server_new(&options, &server, &err));
	for (int i = 0; i < CROWD; i++)
		crowd[i] = open_to(http_server_port_of(server, i % 4 == 0));
	assert_int_equal(pthread_create(&thread, NULL, run_server, server), 0);
	check_answer(http_server_port_of(server, 1), "by 1.");
	check_answer(http_server_port_of(server, 0), "by 0.");
	for (int i = 0; i < CROWD; i++)
		(void)close(crowd[i]);
	http_server_stop(server);
	(void)pthread_join(thread, NULL);
	http_server_free(server);
}

static void test_all_or_none(void **state)
{
	char taken[32];
	const char *also[] = { "127.0.0.1:0", taken, NULL };
	struct http_server_options options = options_of(NULL);
	struct http_server *first, *second;

	(void)state;
	assert_ok(http_server_new(&options, &first, &err));
	(void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(first));
	options = options_of(also);
	assert_int_equal(http_server_new(&options, &second, &err), ERR_EXISTS);
	assert_non_null(strstr(err.msg, taken));
	also[1] = "nonsense";
	assert_int_equal(http_server_new(&options, &second, &err), ERR_USAGE);
	http_server_free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_request_knows_its_own),
		cmocka_unit_test(test_a_crowd_at_one),
		cmocka_unit_test(test_all_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
