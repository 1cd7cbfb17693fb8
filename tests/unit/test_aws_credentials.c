/* Keys: each place that they can come from, their order, and how they are kept. */
#include "base/mem.h"
#include "base/time.h"
#include "net/aws_source.h"
#include "script_server.h"
#include "temp_dir.h"

#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define ANSWER(line, body) "HTTP/1.1 " line "\r\nConnection: close\r\n\r\n" body
#define KEYS_JSON(token) "{\"Code\":\"Success\",\"AccessKeyId\":\"IDJ\",\"SecretAccessKey\":\"SJ\"," \
	"\"" token "\":\"TJ\",\"Expiration\":\"2040-01-02T03:04:05Z\"}"
#define STS_ANSWER(id) ANSWER("200 OK", "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">" \
	"<AssumeRoleResult><Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>SS</SecretAccessKey>" \
	"<SessionToken>TS+/=</SessionToken><Expiration>2040-01-02T03:04:05Z</Expiration></Credentials>" \
	"</AssumeRoleResult></AssumeRoleResponse>")
#define EXPIRES_S 2209086245	/* of those */

static struct err err;
static struct temp_dir dir;
static struct aws_keys keys;

/* No AWS_… but those of these tests: nothing of this machine's, and nobody is asked. */
static int set_up(void **state)
{
	(void)state;
	for (char **at = environ; *at;) {
		char name[128];

		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(*at, "="), *at);
		if (strncmp(name, "AWS_", 4) != 0 || unsetenv(name) != 0)
			at++;
	}
	temp_dir_make(&dir);
	(void)setenv("HOME", dir.path, 1);
	(void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

PRINTF(2, 3) static void write_file(const char *name, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/.aws", dir.path);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s", dir.path, name);
	out = fopen(path, "we");
	assert_non_null(out);
	va_start(ap, fmt);
	(void)vfprintf(out, fmt, ap);
	va_end(ap);
	(void)fclose(out);
}

static void expect(const char *profile, const char *id, const char *token)
{
	assert_ok(aws_chain_read(profile, &keys, &err));
	assert_string_equal(keys.id, id);
	assert_string_equal(keys.token, token);
}

static void expect_error(const char *profile, enum err_code code, const char *message)
{
	enum err_code got = aws_chain_read(profile, &keys, &err);

	if (got != code || !strstr(err.msg, message))
		fail_msg("%s with \"%s\" expected, got %s: %s", err_name(code), message,
			 err_name(got), got ? err.msg : keys.id);
}

static void test_environment(void **state)
{
	(void)state;
	(void)setenv("AWS_ACCESS_KEY_ID", "IDE", 1);
	expect_error(NULL, ERR_USAGE, "the environment: a key without its secret");
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SE", 1);
	expect(NULL, "IDE", "");
	assert_string_equal(keys.secret, "SE");
	assert_string_equal(keys.place, "the environment");
	assert_int_equal(keys.expires_s, 0);
	(void)setenv("AWS_SESSION_TOKEN", "TE", 1);
	expect(NULL, "IDE", "TE");
	(void)setenv("AWS_ACCESS_KEY_ID", "ID\r\nx: y", 1);
	expect_error(NULL, ERR_USAGE, "has blanks in it");
}

static void test_nothing_anywhere(void **state)
{
	(void)state;
	expect_error(NULL, ERR_AUTH, "there are no AWS keys");
	assert_non_null(strstr(err.msg, "the profile \"default\" has no keys"));
	assert_non_null(strstr(err.msg, "the machine's metadata is disabled"));
}

static void test_files(void **state)
{
	(void)state;
	write_file(".aws/credentials",
		   "# of mine\n[default]\naws_access_key_id = IDF\nAWS_Secret_Access_Key=SF\n\n"
		   "; and\n[ other ]\r\naws_access_key_id=IDO\r\naws_secret_access_key=SO=\r\n");
	write_file(".aws/config",
		   "[default]\naws_access_key_id = NOT\naws_secret_access_key = NOT\naws_session_token = TF\n"
		   "[profile third]\naws_access_key_id = ID3\naws_secret_access_key = S3\n[sso-session x]\na = b\n");
	expect(NULL, "IDF", "TF");
	assert_string_equal(keys.secret, "SF");
	expect("other", "IDO", "");
	assert_string_equal(keys.secret, "SO=");
	(void)setenv("AWS_PROFILE", "third", 1);
	expect(NULL, "ID3", "");
	expect("other", "IDO", "");
	/* Who names a profile wants that one; AWS_PROFILE is weaker than keys beside it. */
	(void)setenv("AWS_ACCESS_KEY_ID", "IDE", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SE", 1);
	expect(NULL, "IDE", "");
	expect("other", "IDO", "");
	expect_error("nobody", ERR_USAGE, "the profile \"nobody\" is in none of ");
}

static void test_files_elsewhere(void **state)
{
	char path[128];

	(void)state;
	write_file("mine", "[default]\naws_access_key_id=IDM\naws_secret_access_key=SM\n");
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", "~/mine", 1);
	expect(NULL, "IDM", "");
	(void)snprintf(path, sizeof(path), "%s/mine", dir.path);
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	expect(NULL, "IDM", "");
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", dir.path, 1);
	expect_error(NULL, ERR_USAGE, dir.path);
}

static void test_broken_files(void **state)
{
	static const char *const texts[] = {
		"[default\n", "aws_access_key_id=ID\n", "[default]\nnonsense\n", "[]\n", "[default]\n=x\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		write_file(".aws/credentials", "%s", texts[i]);
		expect_error(NULL, ERR_USAGE, "/.aws/credentials\": line ");
	}
	write_file(".aws/credentials", "[default]\naws_access_key_id=ID\n");
	expect_error(NULL, ERR_USAGE, "the profile \"default\": a key without its secret");
}

static void test_what_is_not_supported(void **state)
{
	(void)state;
	write_file(".aws/config",
		   "[profile sso]\nsso_session = s\nsso_account_id = 1\n[profile login]\nlogin_session = x\n"
		   "[profile mfa]\nrole_arn = r\nsource_profile = sso\nmfa_serial = m\n"
		   "[profile over]\nrole_arn = r\nsource_profile = sso\n");
	expect_error("sso", ERR_UNSUPPORTED, "the profile \"sso\" wants single sign-on");
	expect_error("login", ERR_UNSUPPORTED, "login session");
	expect_error("mfa", ERR_UNSUPPORTED, "mfa_serial");
	expect_error("over", ERR_UNSUPPORTED, "the profile \"sso\" wants single sign-on");
}

static void check_process(const char *command, enum err_code code, const char *message)
{
	write_file(".aws/config", "[default]\ncredential_process = %s\n", command);
	if (code == ERR_OK)
		expect(NULL, "IDJ", message);
	else
		expect_error(NULL, code, message);
}

static void kill_left_behind(void)
{
	char path[256];
	int pid = 0;
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/pid", dir.path);
	in = fopen(path, "re");
	assert_non_null(in);
	assert_int_equal(fscanf(in, "%d", &pid), 1);
	(void)fclose(in);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_process(void **state)
{
	(void)state;
	write_file("out", "%s", KEYS_JSON("SessionToken"));
	check_process("cat \"$HOME/out\"", ERR_OK, "TJ");
	assert_int_equal(keys.expires_s, EXPIRES_S);
	/* What it leaves behind keeps nobody waiting. */
	check_process("cat \"$HOME/out\"; sleep 600 & echo $! >\"$HOME/pid\"", ERR_OK, "TJ");
	kill_left_behind();
	/* Neither Ctrl-C nor what is ignored here is handed on. */
	(void)signal(SIGPIPE, SIG_IGN);
	check_process("read -r _ _ _ _ group _ </proc/$$/stat; test $group -eq $$ || exit 4; "
		      "yes | head -n 1 >/dev/null; cat \"$HOME/out\"",
		      ERR_OK, "TJ");
	check_process("kill -PIPE $$; cat \"$HOME/out\"", ERR_AUTH, "signal 13");
	(void)signal(SIGPIPE, SIG_DFL);
	check_process("echo 'not yet' >&2; exit 3", ERR_AUTH,
		      "the profile \"default\": credential_process: it ended with status 3: not yet");
	check_process("kill -9 $$", ERR_AUTH, "signal 9");
	check_process("/nonexistent/command", ERR_AUTH, "status 127");
	check_process("echo secret", ERR_USAGE, "is no JSON object");
	assert_null(strstr(err.msg, "secret"));
	check_process("echo '{\"AccessKeyId\":\"a\"}'", ERR_USAGE, "a key without its secret");
	check_process("head -c 70000 /dev/zero", ERR_USAGE, "printed too much");
	check_process("echo '{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"soon\"}'",
		      ERR_USAGE, "\"soon\" is no time");
}

static void serve(struct server *server, const struct step *steps, size_t count,
		  const char *variable, const char *path)
{
	char url[128];

	server_open(server, steps, count);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server->port, path);
	(void)setenv(variable, url, 1);
}

#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"

static void test_container(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("500 Oops", ""), true }, { ANSWER("200 OK", KEYS_JSON("Token")), true },
		{ ANSWER("403 Forbidden", ""), true },
	};
	struct server server;
	char path[128];

	(void)state;
	serve(&server, steps, 3, FULL, "/keys?x=1");
	(void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token1", 1);
	expect(NULL, "IDJ", "TJ");
	assert_int_equal(keys.expires_s, EXPIRES_S);
	assert_non_null(strstr(buf_cstr(&server.last), "GET /keys?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(buf_cstr(&server.last), "\r\nAuthorization: token1\r\n"));
	write_file("token", "token2\n");
	(void)snprintf(path, sizeof(path), "%s/token", dir.path);
	(void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
	expect_error(NULL, ERR_AUTH, "the container's endpoint answered with 403");
	assert_non_null(strstr(buf_cstr(&server.last), "\r\nAuthorization: token2\r\n"));
	write_file("token", "token2\nHost: x\n");
	expect_error(NULL, ERR_USAGE, "more than one line");
	server_close(&server);
}

static void test_container_out_of_reach(void **state)
{
	(void)state;
	(void)setenv(FULL, "http://example.com/keys", 1);
	expect_error(NULL, ERR_USAGE, "is not near");
	(void)setenv(FULL, "http://127.0.0.1:1/keys", 1);
	expect_error(NULL, ERR_BUSY, "127.0.0.1");
	(void)setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "keys", 1);
	expect_error(NULL, ERR_USAGE, "no path");
}

static void test_machine(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("200 OK", "TOKEN=="), true }, { ANSWER("200 OK", "the-role\nother\n"), true },
		{ ANSWER("200 OK", KEYS_JSON("Token")), true },
		{ ANSWER("200 OK", "TOKEN=="), true }, { ANSWER("404 Not Found", ""), true },
	};
	struct server server;

	(void)state;
	serve(&server, steps, 5, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "/");
	expect_error(NULL, ERR_AUTH, "the machine's metadata is disabled");
	(void)unsetenv("AWS_EC2_METADATA_DISABLED");
	expect(NULL, "IDJ", "TJ");
	assert_non_null(strstr(buf_cstr(&server.all), "PUT /latest/api/token HTTP/1.1\r\n"));
	assert_non_null(strstr(buf_cstr(&server.all), "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
	assert_non_null(strstr(buf_cstr(&server.all), "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n"));
	assert_non_null(strstr(buf_cstr(&server.last), "GET /latest/meta-data/iam/security-credentials/the-role HTTP"));
	assert_non_null(strstr(buf_cstr(&server.last), "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n"));
	expect_error(NULL, ERR_AUTH, "the machine has no role");
	server_close(&server);
	expect_error(NULL, ERR_AUTH, "the machine's metadata does not answer");
}

static void test_role(void **state)
{
	static const struct step steps[] = { { STS_ANSWER("IDR"), true } };
	struct server server;
	const char *sent;

	(void)state;
	write_file(".aws/credentials", "[base]\naws_access_key_id=IDB\naws_secret_access_key=SB\n");
	write_file(".aws/config",
		   "[profile r]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=base\nregion=eu-west-1\n"
		   "external_id=e x\nrole_session_name=me\nduration_seconds=900\n"
		   "[profile rr]\nrole_arn=arn:aws:iam::1:role/rr\nsource_profile=r\n"
		   "[profile env]\nrole_arn=arn:aws:iam::1:role/e\ncredential_source=Environment\n");
	serve(&server, steps, 1, "AWS_ENDPOINT_URL_STS", "");
	expect("r", "IDR", "TS+/=");
	assert_string_equal(keys.secret, "SS");
	assert_int_equal(keys.expires_s, EXPIRES_S);
	assert_string_equal(keys.place, "the role arn:aws:iam::1:role/r");
	sent = buf_cstr(&server.last);
	assert_non_null(strstr(sent, "POST / HTTP/1.1\r\n"));
	assert_non_null(strstr(sent, "Credential=IDB/"));
	assert_non_null(strstr(sent, "/eu-west-1/sts/aws4_request"));
	assert_non_null(strstr(sent, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_non_null(strstr(sent, "\r\n\r\nAction=AssumeRole&Version=2011-06-15"
				     "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
				     "&RoleSessionName=me&DurationSeconds=900&ExternalId=e%20x"));
	expect("rr", "IDR", "TS+/=");
	sent = buf_cstr(&server.last);
	assert_non_null(strstr(sent, "Credential=IDR/"));
	assert_non_null(strstr(sent, "\r\nX-Amz-Security-Token: TS+/=\r\n"));
	assert_non_null(strstr(sent, "role%2Frr&RoleSessionName=pinpipe-"));
	expect_error("env", ERR_AUTH, "the profile \"env\": the environment has no keys");
	(void)setenv("AWS_ACCESS_KEY_ID", "IDE", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SE", 1);
	expect("env", "IDR", "TS+/=");
	assert_non_null(strstr(buf_cstr(&server.last), "Credential=IDE/"));
	server_close(&server);
}

static void test_roles_that_cannot_be(void **state)
{
	(void)state;
	write_file(".aws/config",
		   "[profile none]\nrole_arn=r\n"
		   "[profile both]\nrole_arn=r\nsource_profile=a\ncredential_source=Environment\n"
		   "[profile gone]\nrole_arn=r\nsource_profile=nobody\n"
		   "[profile what]\nrole_arn=r\ncredential_source=Moon\n"
		   "[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n"
		   "[profile self]\nrole_arn=r\nsource_profile=self\n");
	expect_error("none", ERR_USAGE, "none of source_profile and credential_source");
	expect_error("both", ERR_USAGE, "both source_profile and credential_source");
	expect_error("gone", ERR_USAGE, "the source_profile \"nobody\" of the profile \"gone\" is not there");
	expect_error("what", ERR_USAGE, "credential_source \"Moon\" is none of");
	expect_error("a", ERR_USAGE, "more than 5");
	expect_error("self", ERR_AUTH, "the profile \"self\" has no keys");
}

static void test_role_is_denied(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("403 Forbidden", "<ErrorResponse><Error><Code>AccessDenied</Code><Message>may not</Message>"
			 "</Error></ErrorResponse>"), true },
		{ ANSWER("200 OK", "<html>"), true },
	};
	struct server server;

	(void)state;
	write_file(".aws/config", "[default]\nrole_arn=arn:r\nsource_profile=default\n"
				  "aws_access_key_id=IDB\naws_secret_access_key=SB\n");
	serve(&server, steps, 2, "AWS_ENDPOINT_URL_STS", "");
	expect_error(NULL, ERR_AUTH, "the role arn:r: POST 127.0.0.1");
	assert_non_null(strstr(err.msg, "403 AccessDenied: may not"));
	expect_error(NULL, ERR_USAGE, "the role arn:r: ");
	server_close(&server);
}

static void test_web_identity(void **state)
{
	static const struct step steps[] = { { STS_ANSWER("IDW"), true } };
	struct server server;
	char path[128];

	(void)state;
	serve(&server, steps, 1, "AWS_ENDPOINT_URL_STS", "");
	(void)snprintf(path, sizeof(path), "%s/token", dir.path);
	(void)setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
	expect_error(NULL, ERR_USAGE, "AWS_ROLE_ARN is not");
	(void)setenv("AWS_ROLE_ARN", "arn:w", 1);
	(void)setenv("AWS_ROLE_SESSION_NAME", "pod", 1);
	expect_error(NULL, ERR_USAGE, path);
	write_file("token", "eyJ.a+b\n");
	expect(NULL, "IDW", "TS+/=");
	assert_non_null(strstr(buf_cstr(&server.last),
			       "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aw"
			       "&RoleSessionName=pod&WebIdentityToken=eyJ.a%2Bb"));
	assert_null(strstr(buf_cstr(&server.last), "Authorization"));
	server_close(&server);
}

static void expect_endpoint(const char *profile, const char *expected)
{
	enum err_code code;
	struct buf url;

	buf_init(&url, 256);
	code = aws_endpoint_url(profile, "s3", &url, &err);
	assert_int_equal(code, expected ? ERR_OK : ERR_ABSENT);
	if (expected)
		assert_string_equal(buf_cstr(&url), expected);
	buf_release(&url);
}

static void test_region_and_endpoint(void **state)
{
	char region[AWS_REGION_MAX + 1];

	(void)state;
	assert_int_equal(aws_region(NULL, region, &err), ERR_ABSENT);
	expect_endpoint(NULL, NULL);
	write_file(".aws/config",
		   "[default]\nregion = eu-west-1\nservices = local\n[profile bad]\nregion=not/one\n"
		   "[services local]\ns3 =\n  endpoint_url = http://s3.local\n  addressing_style = path\n"
		   "sts =\n  endpoint_url = http://sts.local\n[profile all]\nendpoint_url = http://all.local\n");
	assert_ok(aws_region(NULL, region, &err));
	assert_string_equal(region, "eu-west-1");
	assert_int_equal(aws_region("bad", region, &err), ERR_USAGE);
	expect_endpoint(NULL, "http://s3.local");
	expect_endpoint("all", "http://all.local");
	(void)setenv("AWS_ENDPOINT_URL", "http://env.local", 1);
	expect_endpoint("all", "http://env.local");
	(void)setenv("AWS_ENDPOINT_URL_S3", "http://s3env.local", 1);
	expect_endpoint("all", "http://s3env.local");
	(void)setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE", 1);
	expect_endpoint("all", NULL);
	(void)setenv("AWS_DEFAULT_REGION", "us-east-2", 1);
	assert_ok(aws_region(NULL, region, &err));
	assert_string_equal(region, "us-east-2");
	(void)setenv("AWS_REGION", "us-east-1", 1);
	assert_ok(aws_region(NULL, region, &err));
	assert_string_equal(region, "us-east-1");
}

static void test_times(void **state)
{
	static const char *const bad[] = { "", "soon", "2040-01-02", "2040-01-02T03:04:05X",
					   "2040-01-02T03:04:05+1" };
	static const char *const good[] = { "2040-01-02T03:04:05Z", "2040-01-02T03:04:05.678Z",
					    "2040-01-02T03:04:05+00:00", "2040-01-02T05:04:05+0200",
					    "2040-01-02T02:04:05-01:00", "2040-01-02T03:04:05" };
	int64_t unix_s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(aws_time_read(slice_str(good[i]), &unix_s));
		assert_int_equal(unix_s, EXPIRES_S);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(aws_time_read(slice_str(bad[i]), &unix_s));
}

/*
 * A command that counts its calls, and prints ID1, ID2, … Before the second one it waits until a
 * line comes through the fifo "go"; that line says whether it fails.
 */
static void write_counting(int64_t lasts_s)
{
	char expires[32], path[128];
	time_t end = (time_t)(clock_wall_ms() / 1000 + lasts_s);
	struct tm tm;

	(void)gmtime_r(&end, &tm);
	(void)strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", &tm);
	write_file("count", "%s", "");
	write_file("run",
		   "echo x >>$HOME/count\nn=$(wc -l <$HOME/count)\n"
		   "if [ $n -gt 1 ]; then read line <$HOME/go; [ \"$line\" != fail ] || exit 1; fi\n"
		   "echo '{\"AccessKeyId\":\"ID'$n'\",\"SecretAccessKey\":\"S\",\"Expiration\":\"%s\"}'\n",
		   expires);
	write_file(".aws/config", "[default]\ncredential_process = . $HOME/run\n");
	(void)snprintf(path, sizeof(path), "%s/go", dir.path);
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void say(const char *line)
{
	char path[128];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/go", dir.path);
	out = fopen(path, "we");
	assert_non_null(out);
	(void)fprintf(out, "%s\n", line);
	(void)fclose(out);
}

static size_t readings(void)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/count", dir.path);
	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size / 2;
}

static void await_readings(size_t count)
{
	int64_t end_ms = clock_mono_ms() + 60000;

	while (readings() != count) {
		assert_true(clock_mono_ms() < end_ms);
		clock_sleep_ms(1);
	}
}

struct getter {
	struct aws_credentials *credentials;
	struct aws_keys keys;
	enum err_code code;
	struct err err;
	pthread_t thread;
};

static void *get(void *user)
{
	struct getter *getter = user;

	getter->code = aws_credentials_get(getter->credentials, &getter->keys, &getter->err);
	return NULL;
}

static void getter_start(struct getter *getter, struct aws_credentials *credentials)
{
	getter->credentials = credentials;
	assert_int_equal(pthread_create(&getter->thread, NULL, get, getter), 0);
}

static void getter_end(struct getter *getter, const char *id)
{
	assert_int_equal(pthread_join(getter->thread, NULL), 0);
	assert_int_equal(getter->code, ERR_OK);
	assert_string_equal(getter->keys.id, id);
}

static void expect_kept(struct aws_credentials *credentials, const char *id)
{
	assert_ok(aws_credentials_get(credentials, &keys, &err));
	assert_string_equal(keys.id, id);
}

static void test_others_go_on_while_one_reads(void **state)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);
	struct getter getter;

	(void)state;
	write_counting(3600);
	expect_kept(credentials, "ID1");
	aws_credentials_age(credentials, 3600 - AWS_CREDENTIALS_EARLY_S - 10);
	expect_kept(credentials, "ID1");
	assert_int_equal(readings(), 1);
	aws_credentials_age(credentials, 11);
	getter_start(&getter, credentials);
	await_readings(2);
	expect_kept(credentials, "ID1");
	say("go");
	getter_end(&getter, "ID2");
	aws_credentials_refused(credentials, 1);	/* told late: those before were meant */
	expect_kept(credentials, "ID2");
	assert_int_equal(readings(), 2);
	aws_credentials_free(credentials);
}

static void test_all_wait_for_one_where_there_are_none(void **state)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);
	struct getter getters[4];

	(void)state;
	write_counting(3600);
	expect_kept(credentials, "ID1");
	aws_credentials_age(credentials, 3601);
	for (size_t i = 0; i < 4; i++)
		getter_start(&getters[i], credentials);
	await_readings(2);
	say("go");
	for (size_t i = 0; i < 4; i++)
		getter_end(&getters[i], "ID2");
	assert_int_equal(readings(), 2);
	aws_credentials_free(credentials);
}

static void test_where_reading_fails(void **state)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);
	struct getter getter;

	(void)state;
	write_counting(3600);
	expect_kept(credentials, "ID1");
	aws_credentials_age(credentials, 3600 - 10);
	getter_start(&getter, credentials);
	await_readings(2);
	say("fail");
	getter_end(&getter, "ID1");
	/* For a second nobody tries it again, and once they have run out that is told. */
	aws_credentials_age(credentials, 11);
	assert_int_equal(aws_credentials_get(credentials, &keys, &err), ERR_AUTH);
	assert_non_null(strstr(err.msg, "credential_process: it ended with status 1"));
	assert_int_equal(readings(), 2);
	aws_credentials_free(credentials);
}

static void test_refused_ones_are_read_anew(void **state)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);
	struct getter getter;
	uint64_t first;

	(void)state;
	write_counting(3600);
	expect_kept(credentials, "ID1");
	first = keys.generation;
	aws_credentials_refused(credentials, first);
	getter_start(&getter, credentials);
	await_readings(2);
	say("go");
	getter_end(&getter, "ID2");
	assert_true(getter.keys.generation > first);
	/* At once again: the places are not stormed. */
	aws_credentials_refused(credentials, getter.keys.generation);
	expect_kept(credentials, "ID2");
	assert_int_equal(readings(), 2);
	aws_credentials_free(credentials);
}

/* Our clock may be wrong: what a place has just given is tried. */
static void test_keys_that_seem_old(void **state)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);

	(void)state;
	write_counting(-3600);
	expect_kept(credentials, "ID1");
	expect_kept(credentials, "ID1");
	assert_int_equal(readings(), 1);
	aws_credentials_free(credentials);
}

static void test_fixed_ones(void **state)
{
	struct aws_credentials *credentials = aws_credentials_fixed("ID", "S", NULL);

	(void)state;
	expect_kept(credentials, "ID");
	aws_credentials_refused(credentials, keys.generation);
	expect_kept(credentials, "ID");
	aws_credentials_free(credentials);
	credentials = aws_credentials_fixed("ID", "S\n", NULL);
	assert_int_equal(aws_credentials_get(credentials, &keys, &err), ERR_USAGE);
	aws_credentials_free(credentials);
}

/* The token's file changes once a day, the keys end each hour: it is their end that counts, and
 * then the file is read as it is. */
static void test_web_identity_is_renewed_by_its_end(void **state)
{
	static const struct step steps[] = { { STS_ANSWER("IDW1"), true },
					     { STS_ANSWER("IDW2"), true },
					     { STS_ANSWER("IDW3"), true } };
	struct aws_credentials *credentials = aws_credentials_new(NULL);
	struct server server;
	char path[128];

	(void)state;
	serve(&server, steps, ARRAY_LEN(steps), "AWS_ENDPOINT_URL_STS", "");
	(void)snprintf(path, sizeof(path), "%s/token", dir.path);
	(void)setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
	(void)setenv("AWS_ROLE_ARN", "arn:w", 1);
	write_file("token", "today");
	expect_kept(credentials, "IDW1");
	write_file("token", "tomorrow");
	expect_kept(credentials, "IDW1");
	assert_int_equal(atomic_load(&server.requests), 1);
	aws_credentials_age(credentials, EXPIRES_S - clock_wall_ms() / 1000 - 60);
	expect_kept(credentials, "IDW2");
	assert_non_null(strstr(buf_cstr(&server.last), "&WebIdentityToken=tomorrow"));
	/* The file as it was: the keys end all the same. */
	aws_credentials_age(credentials, EXPIRES_S - clock_wall_ms() / 1000 - 60);
	expect_kept(credentials, "IDW3");
	assert_non_null(strstr(buf_cstr(&server.last), "&WebIdentityToken=tomorrow"));
	server_close(&server);
	aws_credentials_free(credentials);
}

/* Somebody writes the file anew every quarter of an hour, and its keys say nothing of their end. */
static void test_a_file_that_somebody_writes_anew(void **state)
{
	struct aws_credentials *credentials = aws_credentials_new(NULL);

	(void)state;
	write_file(".aws/credentials", "[default]\naws_access_key_id=ID1\naws_secret_access_key=S\n"
				       "aws_session_token=T1\n");
	expect_kept(credentials, "ID1");
	write_file(".aws/credentials", "[default]\naws_access_key_id=ID2\naws_secret_access_key=S\n"
				       "aws_session_token=T2\n");
	expect_kept(credentials, "ID1");
	aws_credentials_refused(credentials, keys.generation);
	expect_kept(credentials, "ID2");
	assert_string_equal(keys.token, "T2");
	aws_credentials_free(credentials);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_environment),
		UNIT(test_nothing_anywhere),
		UNIT(test_files),
		UNIT(test_files_elsewhere),
		UNIT(test_broken_files),
		UNIT(test_what_is_not_supported),
		UNIT(test_process),
		UNIT(test_container),
		UNIT(test_container_out_of_reach),
		UNIT(test_machine),
		UNIT(test_role),
		UNIT(test_roles_that_cannot_be),
		UNIT(test_role_is_denied),
		UNIT(test_web_identity),
		UNIT(test_region_and_endpoint),
		UNIT(test_times),
		UNIT(test_others_go_on_while_one_reads),
		UNIT(test_all_wait_for_one_where_there_are_none),
		UNIT(test_where_reading_fails),
		UNIT(test_refused_ones_are_read_anew),
		UNIT(test_keys_that_seem_old),
		UNIT(test_web_identity_is_renewed_by_its_end),
		UNIT(test_a_file_that_somebody_writes_anew),
		UNIT(test_fixed_ones),
	};

	return cmocka_run_group_tests_name("aws_credentials", tests, NULL, NULL);
}
