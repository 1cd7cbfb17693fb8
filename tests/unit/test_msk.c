/* Clients of MSK: nobody but librdkafka waits for a place of keys that is slow. */
#include "broker/kafka/msk.h"

#include "base/time.h"
#include "broker/kafka/kafka.h"
#include "scratch.h"

enum { READING_MS = 1000, AT_ONCE_MS = 500, SOON_MS = 15000 };

static char dir[SCRATCH_NAME_MAX];

static void write_file(const char *name, const char *text)
{
	char path[SCRATCH_NAME_MAX + 32];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "we");
	assert_non_null(out);
	(void)fputs(text, out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(setenv(name, path, 1), 0);
}

/* The place tells each time that it has been asked, a byte more in a file, before it answers. */
static void set_place(void)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		       "[default]\ncredential_process = printf x >>%s/asked; sleep %d.%d; "
		       "echo '{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"S\"}'\n",
		       dir, READING_MS / 1000, READING_MS % 1000 / 100);
	write_file("AWS_CONFIG_FILE", text);
	write_file("AWS_SHARED_CREDENTIALS_FILE", "");
	(void)unsetenv("AWS_ACCESS_KEY_ID");
	(void)unsetenv("AWS_PROFILE");
	(void)unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	assert_int_equal(setenv("AWS_REGION", "eu-west-1", 1), 0);
}

static off_t asked(void)
{
	char path[SCRATCH_NAME_MAX + 32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/asked", dir);
	return stat(path, &st) == 0 ? st.st_size : 0;
}

static void await_asked(off_t times)
{
	int64_t until_ms = clock_mono_ms() + SOON_MS;

	while (asked() < times) {
		assert_true(clock_mono_ms() < until_ms);
		clock_sleep_ms(10);
	}
	assert_int_equal(asked(), times);
}

static rd_kafka_t *client_new(struct links *links)
{
	struct config_setting settings[] = {
		{ .name = "bootstrap.servers", .text = "127.0.0.1:1", .place = "here" },
		{ .name = "security.protocol", .text = "sasl_plaintext", .place = "here" },
		{ .name = "sasl.mechanism", .text = "AWS_MSK_IAM", .place = "here" },
	};
	const struct broker_kafka_options options = { .settings = settings, .setting_count = 3 };
	rd_kafka_conf_t *conf;
	rd_kafka_t *client;
	struct err err = { 0 };

	assert_ok(kafka_conf_new(&options, KAFKA_ASKS, &conf, &err));
	assert_ok(kafka_client_new(conf, KAFKA_ASKS, links, &client, &err));
	return client;
}

static void refuse(rd_kafka_t *client, struct links *links)
{
	int64_t began_ms = clock_mono_ms();

	kafka_note_error(client, links, RD_KAFKA_RESP_ERR__AUTHENTICATION, "Access denied");
	assert_true(clock_mono_ms() - began_ms < AT_ONCE_MS);
}

/* While there are none, and once there are: then they are read anew. */
static void test_nobody_waits_for_keys(void **state)
{
	struct links links;
	rd_kafka_t *client;

	(void)state;
	scratch_dir(dir);
	set_place();
	links_init(&links);
	client = client_new(&links);
	await_asked(1);
	refuse(client, &links);
	clock_sleep_ms(2 * READING_MS);
	await_asked(1);
	refuse(client, &links);
	await_asked(2);
	clock_sleep_ms(2 * READING_MS);
	kafka_note_error(client, &links, RD_KAFKA_RESP_ERR__AUTHENTICATION,
			 "Failed to acquire SASL OAUTHBEARER token: there are no AWS keys");
	clock_sleep_ms(2 * READING_MS);
	await_asked(2);
	rd_kafka_destroy(client);
	links_release(&links);
	scratch_remove(dir);
}

/* A refusal is put down to the keys of the client's own token, not to newer ones of another. */
static void test_the_keys_refused_are_the_clients_own(void **state)
{
	struct links links[2];
	rd_kafka_t *clients[2];
	off_t times; /* none where an earlier test has read keys */

	(void)state;
	scratch_dir(dir);
	set_place();
	for (size_t i = 0; i < 2; i++) {
		links_init(&links[i]);
		clients[i] = client_new(&links[i]);
	}
	clock_sleep_ms(2 * READING_MS);
	times = asked();
	refuse(clients[0], &links[0]);
	await_asked(times + 1);
	clock_sleep_ms(2 * READING_MS);
	refuse(clients[1], &links[1]);
	clock_sleep_ms(3 * READING_MS);
	await_asked(times + 1);
	refuse(clients[1], &links[1]);
	await_asked(times + 2);
	for (size_t i = 0; i < 2; i++) {
		rd_kafka_destroy(clients[i]);
		links_release(&links[i]);
	}
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits_for_keys),
		cmocka_unit_test(test_the_keys_refused_are_the_clients_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
