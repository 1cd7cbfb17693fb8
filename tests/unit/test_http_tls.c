/* TLS: what is spoken, its certificates, and what bounds its handshakes. */
#include "net/http_internal.h"
#include "unit/http_fixture.h"

#include "unit/http_cases.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>

static struct fixture fixture;

static struct http_limits small_limits(void)
{
	struct http_limits limits = http_limits_default;

	limits.header_bytes_max = HEADER_BYTES_MAX;
	limits.body_bytes_max = BODY_BYTES_MAX;
	return limits;
}

/* The connection is closed, after an answer of that status (0: after none). */
static void expect_end(int fd, int status)
{
	char start[32];
	struct buf out;

	buf_init(&out, 64 << 20);
	(void)snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
	client_drain(fd, &out);
	if (status == 0 ? out.len > 0 : !slice_starts(buf_slice(&out), start))
		fail_msg("%d expected, got \"%s\"", status, buf_cstr(&out));
	(void)close(fd);
	buf_release(&out);
}

static int open_saying(const char *text)
{
	int fd = client_open(&fixture);

	client_say(fd, text);
	return fd;
}

static void await_connections(int64_t count)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (metric_get(METRIC_CONNECTIONS) != count) {
		if (clock_mono_ms() > end_ms)
			fail_msg("%d connections awaited", (int)count);
		clock_sleep_ms(1);
	}
}

struct tls_files {
	char dir[32];
	char cert[64];
	char key[64];
};

static void write_pem(const char *path, EVP_PKEY *key, X509 *cert)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	if (cert)
		assert_int_equal(PEM_write_X509(file, cert), 1);
	else
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	(void)fclose(file);
}

/* Into files that are there already, or those of a new directory. */
static void write_certificate(const struct tls_files *files)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	(void)X509_set_issuer_name(cert, name);
	(void)X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	write_pem(files->cert, NULL, cert);
	write_pem(files->key, key, NULL);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void make_certificate(struct tls_files *files)
{
	(void)snprintf(files->dir, sizeof(files->dir), "/tmp/pinpipe-test.XXXXXX");
	assert_non_null(mkdtemp(files->dir));
	(void)snprintf(files->cert, sizeof(files->cert), "%s/cert.pem", files->dir);
	(void)snprintf(files->key, sizeof(files->key), "%s/key.pem", files->dir);
	write_certificate(files);
}

static void remove_certificate(const struct tls_files *files)
{
	(void)unlink(files->cert);
	(void)unlink(files->key);
	(void)rmdir(files->dir);
}

/* A client's handshake; what it offers by ALPN; NULL when refused. */
static SSL *tls_connect(SSL_CTX *client, int fd, const char *alpn, int version_max)
{
	SSL *ssl = SSL_new(client);

	assert_non_null(ssl);
	(void)SSL_set_fd(ssl, fd);
	(void)SSL_set_max_proto_version(ssl, version_max);
	if (alpn)
		(void)SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
	if (SSL_connect(ssl) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

static void tls_await(SSL *ssl, struct buf *out, size_t len)
{
	char bytes[16384];

	while (out->len < len) {
		int n = SSL_read(ssl, bytes, sizeof(bytes));

		if (n <= 0)
			fail_msg("closed after %zu bytes", out->len);
		buf_add(out, bytes, (size_t)n);
	}
}

static void talk_tls(SSL_CTX *client, int version_max)
{
	static const char first[] = "GET /big?1000000 HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\n";
	static const char rest[] = "Host: a\r\n\r\n";
	static const uint32_t numbers[] = { 0 };
	int fd = client_open(&fixture);
	SSL *ssl = tls_connect(client, fd, "\x08http/1.1\x02h2", version_max);
	const unsigned char *chosen;
	unsigned chosen_len;
	struct buf out;

	assert_non_null(ssl);
	SSL_get0_alpn_selected(ssl, &chosen, &chosen_len);
	assert_int_equal(chosen_len, 8);
	buf_init(&out, 4 << 20);
	fixture.kept_count = 0;
	assert_true(SSL_write(ssl, first, sizeof(first) - 1) > 0);
	tls_await(ssl, &out, 1000000);
	assert_true(SSL_write(ssl, rest, sizeof(rest) - 1) > 0);
	await_kept(&fixture, 1);
	release(&fixture, numbers, 1);
	while (!strstr(buf_cstr(&out) + 900000, "\r\n\r\n/later"))
		tls_await(ssl, &out, out.len + 1);
	buf_release(&out);
	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	(void)close(fd);
}

static void test_tls(void **state)
{
	struct http_limits limits = small_limits();
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	struct tls_files files;
	int fd;

	(void)state;
	make_certificate(&files);
	limits.header_ms = 300;
	fixture_start(&fixture, &limits, files.cert, files.key);
	talk_tls(client, TLS1_3_VERSION);
	talk_tls(client, TLS1_2_VERSION);
	fd = client_open(&fixture);
	assert_null(tls_connect(client, fd, "\x02h2", TLS1_3_VERSION));
	(void)close(fd);
	(void)SSL_CTX_set_min_proto_version(client, TLS1_VERSION);
	SSL_CTX_set_security_level(client, 0);
	fd = client_open(&fixture);
	assert_null(tls_connect(client, fd, NULL, TLS1_1_VERSION));
	(void)close(fd);
	expect_end(open_saying("\026\003\001"), 0);	/* a handshake that stops is ended in time */
	fixture_stop(&fixture);
	remove_certificate(&files);
	SSL_CTX_free(client);
}

/* Who only connects, and says nothing of its handshake, is closed for who does. */
static void test_full_server_closes_the_slowest_handshake(void **state)
{
	struct http_limits limits = small_limits();
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	struct tls_files files;
	int fds[3];
	SSL *ssl;

	(void)state;
	make_certificate(&files);
	limits.connections_max = 2;
	fixture_start(&fixture, &limits, files.cert, files.key);
	fds[0] = open_saying("");
	fds[1] = open_saying("");
	await_connections(2);
	fds[2] = client_open(&fixture);
	ssl = tls_connect(client, fds[2], NULL, TLS1_3_VERSION);
	assert_non_null(ssl);
	expect_end(fds[0], 0);
	SSL_free(ssl);
	(void)close(fds[1]);
	(void)close(fds[2]);
	fixture_stop(&fixture);
	remove_certificate(&files);
	SSL_CTX_free(client);
}

static void test_tls_files_that_do_not_fit(void **state)
{
	struct http_server_options options = { .listen = "127.0.0.1:0", .limits = small_limits() };
	struct http_server *server;
	struct tls_files files;
	struct tls_files other;
	struct err err;

	(void)state;
	make_certificate(&files);
	make_certificate(&other);
	options.tls_cert = files.cert;
	assert_int_equal(http_server_new(&options, &server, &err), ERR_USAGE);
	options.tls_key = other.key;
	assert_int_equal(http_server_new(&options, &server, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, other.key));
	options.tls_key = files.key;
	options.tls_cert = "/nonexistent.pem";
	assert_int_equal(http_server_new(&options, &server, &err), ERR_USAGE);
	assert_non_null(strstr(err.msg, "certificate \"/nonexistent.pem\""));
	remove_certificate(&files);
	remove_certificate(&other);
}

/* Whatever the method; it is answered in plain, or its sender would never know. */
static void test_a_plain_request_is_told(void **state)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "OPTIONS", "X",
	};
	struct http_limits limits = small_limits();
	struct tls_files files;
	struct buf out;

	(void)state;
	make_certificate(&files);
	fixture_start(&fixture, &limits, files.cert, files.key);
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		int fd = open_saying(requests[i]);

		buf_clear(&out);
		client_await(fd, &out, "this port speaks TLS: use https://");
		client_drain(fd, &out);
		assert_true(slice_starts(buf_slice(&out), "HTTP/1.1 400 "));
		(void)close(fd);
	}
	assert_int_equal(fixture.handled, 0);
	buf_release(&out);
	fixture_stop(&fixture);
	remove_certificate(&files);
}

/* --- a server whose loop the test itself turns -------------------------- */

static struct http_server *open_server(const struct tls_files *files,
				       const struct http_limits *limits)
{
	struct http_server_options options = {
		.listen = "127.0.0.1:0", .tls_cert = files->cert, .tls_key = files->key,
		.limits = *limits, .handle = handle,
	};
	struct http_server *server;
	struct err err;

	assert_ok(http_server_new(&options, &server, &err));
	fixture.server = server;
	return server;
}

static void turn(struct http_server *server)
{
	struct err err;

	assert_ok(http_server_turn(server, 0, &err));
}

/* Looks at the files now, whenever it did the last time. */
static bool reads_anew(struct http_server *server)
{
	const SSL_CTX *before = server->tls;

	server->tls_check_ms = server->now_ms;
	turn(server);
	return server->tls != before;
}

static void test_a_certificate_is_read_anew(void **state)
{
	struct http_limits limits = small_limits();
	struct http_server *server;
	struct tls_files files;

	(void)state;
	make_certificate(&files);
	server = open_server(&files, &limits);
	assert_false(reads_anew(server));
	write_certificate(&files);
	assert_true(reads_anew(server));
	assert_false(reads_anew(server));
	/* What is none, or not there, leaves the old one; the next whole pair is taken. */
	assert_int_equal(truncate(files.cert, 10), 0);
	assert_false(reads_anew(server));
	(void)unlink(files.key);
	assert_false(reads_anew(server));
	write_certificate(&files);
	assert_true(reads_anew(server));
	http_server_free(server);
	remove_certificate(&files);
}

/* A client that has sent the first part of its handshake, and does not wait. */
static SSL *begin_handshake(SSL_CTX *client)
{
	SSL *ssl = SSL_new(client);
	int fd = client_open(&fixture);

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	(void)SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_get_error(ssl, SSL_connect(ssl)), SSL_ERROR_WANT_READ);
	return ssl;
}

static void end_client(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_free(ssl);
	(void)close(fd);
}

static uint32_t count_answered(SSL *const *clients, uint32_t count)
{
	uint32_t answered = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct pollfd poll_fd = { .fd = SSL_get_fd(clients[i]), .events = POLLIN };

		answered += poll(&poll_fd, 1, 0) == 1;
	}
	return answered;
}

/* A turn of the loop signs for so many only, so others never wait for a flood of them. */
static void test_a_turn_has_few_handshakes(void **state)
{
	enum { COUNT = 5 * HANDSHAKE_STEPS_MAX };
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	struct http_limits limits = small_limits();
	struct http_server *server;
	struct tls_files files;
	SSL *clients[COUNT];
	uint32_t before = 0;

	(void)state;
	make_certificate(&files);
	server = open_server(&files, &limits);
	for (uint32_t i = 0; i < COUNT; i++)
		clients[i] = begin_handshake(client);
	for (uint32_t turns = 0; before < COUNT; turns++) {
		uint32_t answered;

		turn(server);
		answered = count_answered(clients, COUNT);
		assert_true(answered - before <= HANDSHAKE_STEPS_MAX && turns < 1000);
		before = answered;
	}
	for (uint32_t i = 0; i < COUNT; i++)
		end_client(clients[i]);
	http_server_free(server);
	remove_certificate(&files);
	SSL_CTX_free(client);
}

/* No more than so many at a time; the others wait in the kernel for one that ends, or is slow. */
static void test_handshakes_are_bounded(void **state)
{
	struct http_limits limits = small_limits();
	struct http_server *server;
	struct tls_files files;
	int fds[6];

	(void)state;
	limits.handshakes_max = 2;
	make_certificate(&files);
	server = open_server(&files, &limits);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = client_open(&fixture);
	for (int i = 0; i < 20; i++)
		turn(server);
	assert_int_equal(server->handshakes, 2);
	assert_int_equal(server->open, 2);
	/* As after a second: they have said nothing. */
	for (int i = 0; i < 20; i++) {
		for (struct http_timer *t = server->timers.lists[WAIT_HANDSHAKE].next;
		     t != &server->timers.lists[WAIT_HANDSHAKE]; t = t->next)
			t->deadline_ms -= 1000;
		server->accept_after_ms = 0;
		turn(server);
		assert_true(server->handshakes <= 2);
	}
	assert_int_equal(server->accept_ready, false);	/* all came in */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
	http_server_free(server);
	remove_certificate(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_full_server_closes_the_slowest_handshake),
		cmocka_unit_test(test_tls_files_that_do_not_fit),
		cmocka_unit_test(test_a_plain_request_is_told),
		cmocka_unit_test(test_a_certificate_is_read_anew),
		cmocka_unit_test(test_a_turn_has_few_handshakes),
		cmocka_unit_test(test_handshakes_are_bounded),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
