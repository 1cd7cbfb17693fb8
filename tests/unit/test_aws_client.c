/* One call of a service: what is sent, what its answer means, when it is made again. */
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "net/aws_client.h"
#include "script_server.h"
#include "temp_dir.h"

#include <fcntl.h>
#include <strings.h>

enum { REPLY_MAX = 64 << 10 };

#define ANSWER(line, body) "HTTP/1.1 " line "\r\nConnection: close\r\n\r\n" body
#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define XML_ERROR(code) "<Error><Code>" code "</Code><Message>why</Message><RequestId>R1</RequestId></Error>"
#define ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static const struct step one_ok[] = { { OK_ANSWER, false } };
static struct err err;

struct fixture {
	struct server server;
	char endpoint[64];
	struct aws_client_options options;
	struct aws_credentials *credentials;
	struct aws_client *client;
	struct aws_call call;
};

static void fixture_client(struct fixture *f)
{
	f->options.credentials = f->credentials;
	f->options.endpoint = f->endpoint;
	assert_ok(aws_client_new(&f->options, &f->client, &err));
	aws_call_init(&f->call, REPLY_MAX);
	f->call.method = "GET";
	f->call.path = slice_str("/bucket/key");
	f->call.deadline_ms = 20000;
}

static void fixture_open(struct fixture *f, const struct step *steps, size_t count)
{
	memset(f, 0, sizeof(*f));
	server_open(&f->server, steps, count);
	(void)snprintf(f->endpoint, sizeof(f->endpoint), "http://127.0.0.1:%u", f->server.port);
	f->options = (struct aws_client_options){
		.service = "s3", .region = "eu-west-1", .calls_max = 4, .connect_ms = 2000,
		.try_ms = 10000, .first_wait_ms = 1, .max_wait_ms = 5,
	};
	f->credentials = aws_credentials_fixed(ID, SECRET, NULL);
	fixture_client(f);
}

static void fixture_close(struct fixture *f)
{
	aws_call_release(&f->call);
	aws_client_free(f->client);
	aws_credentials_free(f->credentials);
	server_close(&f->server);
}

static void expect(struct fixture *f, enum err_code expected)
{
	enum err_code code = aws_call(f->client, &f->call, &err);

	if (code != expected)
		fail_msg("%s expected, got %s: %s (status %d, %s)", err_name(expected),
			 err_name(code), code ? err.msg : "", f->call.status, f->call.error_code);
	if (code != ERR_OK)
		assert_int_equal(err.code, code);
}

/* A request as it came, for sigv4.h; the text is taken apart. */
struct received {
	struct sigv4_pair headers[SIGV4_HEADERS_MAX];
	struct sigv4_request request;
	struct slice body;
	char hash[SIGV4_HASH_LEN + 1];
};

static struct slice take_line(struct slice *text)
{
	const char *end = memmem(text->ptr, text->len, "\r\n", 2);
	struct slice line = slice_of(text->ptr, (size_t)(end - text->ptr));

	*text = slice_from(*text, line.len + 2);
	return line;
}

static void receive(struct slice text, enum sigv4_path rule, struct received *r)
{
	struct slice line = take_line(&text), target;
	const char *space = memchr(line.ptr, ' ', line.len), *question;

	*r = (struct received){ .request = { .headers = r->headers, .path_rule = rule } };
	r->request.method = slice_of(line.ptr, (size_t)(space - line.ptr));
	target = slice_from(line, r->request.method.len + 1);
	target.len -= strlen(" HTTP/1.1");
	question = memchr(target.ptr, '?', target.len);
	r->request.path = question ? slice_of(target.ptr, (size_t)(question - target.ptr)) : target;
	if (question)
		r->request.query = slice_from(target, r->request.path.len + 1);
	while ((line = take_line(&text)).len > 0) {
		const char *colon = memchr(line.ptr, ':', line.len);
		size_t name = (size_t)(colon - line.ptr);
		size_t skip = name + 1 + (name + 1 < line.len && colon[1] == ' ');

		r->headers[r->request.header_count++] = (struct sigv4_pair){
			slice_of(line.ptr, name), slice_from(line, skip) };
	}
	r->body = text;
	sigv4_hash(r->body, r->hash);
	r->request.payload = slice_str(r->hash);
}

static struct slice received_header(const struct received *r, const char *name)
{
	for (size_t i = 0; i < r->request.header_count; i++)
		if (r->headers[i].name.len == strlen(name) &&
		    !strncasecmp(r->headers[i].name.ptr, name, strlen(name)))
			return r->headers[i].value;
	return (struct slice){ 0 };
}

/* The last request is signed, and by these keys. */
static void check_signed(struct fixture *f, enum sigv4_path rule, struct received *r)
{
	struct sigv4_claim claim;

	receive(buf_slice(&f->server.last), rule, r);
	assert_ok(sigv4_read(&r->request, &claim, &err));
	assert_true(slice_is(claim.id, ID));
	assert_ok(sigv4_verify(&r->request, &claim, slice_str(SECRET), clock_wall_ms() / 1000,
			       &err));
}

static void test_what_is_sent(void **state)
{
	static const struct sigv4_pair query[] = {
		{ { "uploads", 7 }, { "", 0 } }, { { "a b", 3 }, { "+=%&\xc3\xa4/", 7 } },
	};
	static const struct sigv4_pair headers[] = {
		{ { "x-amz-meta-start", 16 }, { "1", 1 } },
		{ { "x-amz-meta-start-x", 18 }, { "", 0 } },
		{ { "If-None-Match", 13 }, { "*", 1 } },
	};
	struct received r;
	struct fixture f;

	(void)state;
	fixture_open(&f, one_ok, 1);
	f.call.method = "PUT";
	f.call.path = slice_str("/bucket/a+b=c%d \xc3\xa4//e/./f");
	f.call.query = query;
	f.call.query_count = 2;
	f.call.headers = headers;
	f.call.header_count = 3;
	f.call.body = slice_str("body");
	f.call.unsigned_body = true;	/* which it never is over http */
	expect(&f, ERR_OK);
	check_signed(&f, SIGV4_PATH_S3, &r);
	assert_true(slice_is(r.request.method, "PUT"));
	assert_true(slice_is(r.request.path, "/bucket/a%2Bb%3Dc%25d%20%C3%A4//e/./f"));
	assert_true(slice_is(r.request.query, "uploads=&a%20b=%2B%3D%25%26%C3%A4%2F"));
	assert_true(slice_is(received_header(&r, "x-amz-content-sha256"), r.hash));
	assert_true(slice_is(received_header(&r, "x-amz-meta-start-x"), ""));
	assert_non_null(received_header(&r, "x-amz-meta-start-x").ptr);
	assert_true(slice_is(received_header(&r, "host"), f.endpoint + strlen("http://")));
	assert_true(slice_is(received_header(&r, "content-length"), "4"));
	assert_null(received_header(&r, "content-type").ptr);
	assert_true(slice_is(r.body, "body"));
	assert_string_equal(buf_cstr(&f.call.reply), "ok");
	fixture_close(&f);
}

static void test_other_services_and_hosts(void **state)
{
	struct received r;
	struct fixture f;

	(void)state;
	fixture_open(&f, one_ok, 1);
	aws_client_free(f.client);
	f.options.service = "kinesis";
	(void)snprintf(f.endpoint, sizeof(f.endpoint), "http://127.0.0.1:%u/stage/", f.server.port);
	fixture_client(&f);
	f.call.method = "POST";
	f.call.path = slice_str("/a b");
	expect(&f, ERR_OK);
	check_signed(&f, SIGV4_PATH_TWICE, &r);
	assert_true(slice_is(r.request.path, "/stage/a%20b"));
	assert_true(slice_is(received_header(&r, "content-length"), "0"));
	assert_null(received_header(&r, "x-amz-content-sha256").ptr);
	aws_call_release(&f.call);
	aws_client_free(f.client);
	f.options.service = "s3";
	(void)snprintf(f.endpoint, sizeof(f.endpoint), "http://localhost:%u", f.server.port);
	fixture_client(&f);
	f.call.host_prefix = "bucket";
	f.call.path = (struct slice){ 0 };
	expect(&f, ERR_OK);
	check_signed(&f, SIGV4_PATH_S3, &r);
	assert_true(slice_starts(received_header(&r, "host"), "bucket.localhost:"));
	assert_true(slice_is(r.request.path, "/"));
	fixture_close(&f);
}

static void test_what_cannot_be_sent(void **state)
{
	struct sigv4_pair header = { slice_str("x-amz-meta-a"), slice_str("1\r\nx-amz-acl: public-read") };
	struct fixture f;

	(void)state;
	fixture_open(&f, one_ok, 1);
	f.call.headers = &header;
	f.call.header_count = 1;
	expect(&f, ERR_USAGE);
	header = (struct sigv4_pair){ slice_str("x amz"), slice_str("1") };
	expect(&f, ERR_USAGE);
	f.call.header_count = 0;
	f.call.host_prefix = "evil.example/";
	expect(&f, ERR_USAGE);
	assert_int_equal(atomic_load(&f.server.requests), 0);
	fixture_close(&f);
}

struct error_case {
	const char *answer;
	enum err_code code;
	const char *error_code;
};

static void test_errors(void **state)
{
	static const struct error_case cases[] = {
		{ ANSWER("404 Not Found", "<?xml version=\"1.0\"?>\n" XML_ERROR("NoSuchKey")),
		  ERR_ABSENT, "NoSuchKey" },
		{ ANSWER("412 Precondition Failed", XML_ERROR("PreconditionFailed")), ERR_EXISTS,
		  "PreconditionFailed" },
		{ ANSWER("403 Forbidden", XML_ERROR("AccessDenied")), ERR_DENIED, "AccessDenied" },
		{ ANSWER("403 Forbidden", XML_ERROR("SignatureDoesNotMatch")), ERR_AUTH,
		  "SignatureDoesNotMatch" },
		{ ANSWER("403 Forbidden", XML_ERROR("InvalidAccessKeyId")), ERR_AUTH,
		  "InvalidAccessKeyId" },
		{ ANSWER("400 Bad Request", XML_ERROR("InvalidBucketName")), ERR_USAGE,
		  "InvalidBucketName" },
		{ ANSWER("413 Large", ""), ERR_LIMIT, "" },
		{ ANSWER("507 Full", XML_ERROR("QuotaExceeded")), ERR_SPACE, "QuotaExceeded" },
		{ ANSWER("501 No", XML_ERROR("NotImplemented")), ERR_UNSUPPORTED, "NotImplemented" },
		{ ANSWER("403 Forbidden", "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
			 "</Error><RequestId>R1</RequestId></ErrorResponse>"), ERR_DENIED, "AccessDenied" },
		{ ANSWER("400 Bad Request", "{\"__type\":\"com.amazonaws.kinesis#ResourceNotFoundException\","
			 "\"message\":\"why\"}"), ERR_USAGE, "ResourceNotFoundException" },
		{ ANSWER("400 Bad Request\r\nx-amzn-ErrorType: ValidationException:http://x/", "{}"),
		  ERR_USAGE, "ValidationException" },
		{ ANSWER("404 Not Found", "<html><body>Not &nbsp; here"), ERR_ABSENT, "" },
		{ ANSWER("404 Not Found", "{\"message\":"), ERR_ABSENT, "" },
		{ ANSWER("302 Found", ""), ERR_USAGE, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct step step = { cases[i].answer, true };
		struct fixture f;

		fixture_open(&f, &step, 1);
		f.call.method = "PUT";
		expect(&f, cases[i].code);
		assert_string_equal(f.call.error_code, cases[i].error_code);
		assert_non_null(strstr(err.msg, cases[i].error_code));
		fixture_close(&f);
	}
}

static void test_what_an_error_says(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("301 Moved\r\nx-amz-bucket-region: us-west-2", XML_ERROR("PermanentRedirect")), true },
		{ ANSWER("404 Not Found", XML_ERROR("NoSuchKey")), true },
	};
	struct slice region;
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 2);
	expect(&f, ERR_USAGE);
	assert_non_null(strstr(err.msg, "the region \"us-west-2\", not \"eu-west-1\""));
	assert_true(aws_call_header(&f.call, "X-AMZ-bucket-region", &region));
	assert_true(slice_is(region, "us-west-2"));
	expect(&f, ERR_ABSENT);
	assert_string_equal(f.call.error_message, "why");
	assert_string_equal(f.call.request_id, "R1");
	assert_non_null(strstr(err.msg, "GET 127.0.0.1"));
	assert_non_null(strstr(err.msg, "/bucket/key: 404 NoSuchKey: why (request R1)"));
	fixture_close(&f);
}

/* Whatever it is, what was refused for the moment is asked again. */
static void test_refusals_are_repeated(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("503 Slow", XML_ERROR("SlowDown")), true },
		{ ANSWER("429 Slow", ""), true },
		{ ANSWER("400 Slow", "{\"__type\":\"ThrottlingException\"}"), true },
		{ ANSWER("409 Conflict", XML_ERROR("ConditionalRequestConflict")), true },
		{ ANSWER("400 Slow", XML_ERROR("RequestTimeout")), true },
		{ OK_ANSWER, false },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	f.call.method = "PUT";
	expect(&f, ERR_OK);
	assert_int_equal(f.call.tries, ARRAY_LEN(steps));
	assert_int_equal(atomic_load(&f.server.requests), ARRAY_LEN(steps));
	assert_false(f.call.blind);
	assert_string_equal(f.call.error_code, "");
	assert_true(aws_client_calls_now(f.client) < 4);
	fixture_close(&f);
}

/* What may have been done is not done again, unless that is as good as once. */
static void test_what_is_not_repeated_blindly(void **state)
{
	static const char *const answers[] = {
		ANSWER("500 Oops", XML_ERROR("InternalError")), ANSWER("502 Oops", ""),
		ANSWER("503 Oops", "<html>"), ANSWER("504 Oops", ""), NULL,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		const struct step steps[] = { { answers[i], true },
					      { ANSWER("412 There", XML_ERROR("PreconditionFailed")), true } };
		struct fixture f;

		fixture_open(&f, steps, 2);
		f.call.method = "PUT";
		f.call.body = slice_str("b");
		expect(&f, ERR_UNKNOWN);
		assert_int_equal(f.call.tries, 1);
		assert_int_equal(atomic_load(&f.server.requests), 1);
		fixture_close(&f);
		fixture_open(&f, steps, 2);
		f.call.method = "PUT";
		f.call.body = slice_str("b");
		f.call.repeat = AWS_REPEAT_ALWAYS;
		expect(&f, ERR_EXISTS);
		assert_int_equal(f.call.tries, 2);
		assert_true(f.call.blind);
		fixture_close(&f);
	}
}

static void test_reads_are_repeated(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("500 Oops", ""), true }, { NULL, true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true }, { OK_ANSWER, true },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	expect(&f, ERR_OK);
	assert_int_equal(f.call.tries, 4);
	assert_false(f.call.blind);
	assert_string_equal(buf_cstr(&f.call.reply), "ok");
	fixture_close(&f);
}

/* After a try whose fate is unknown, a refusal says nothing of what was done. */
static void test_blind_and_refused_is_unknown(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("500 Oops", ""), true }, { ANSWER("503 Slow", XML_ERROR("SlowDown")), true },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 2);
	aws_client_free(f.client);
	f.options.tries_max = 3;
	fixture_client(&f);
	f.call.method = "PUT";
	f.call.repeat = AWS_REPEAT_ALWAYS;
	expect(&f, ERR_UNKNOWN);
	assert_int_equal(f.call.tries, 3);
	fixture_close(&f);
}

/* Nor does one for its keys or for what it asks, whose reason has nothing to do with the first. */
static void test_blind_and_denied_is_unknown(void **state)
{
	static const struct error_case cases[] = {
		{ ANSWER("403 No", XML_ERROR("AccessDenied")), ERR_UNKNOWN, NULL },
		{ ANSWER("403 No", XML_ERROR("InvalidAccessKeyId")), ERR_UNKNOWN, NULL },
		{ ANSWER("400 No", XML_ERROR("ExpiredToken")), ERR_UNKNOWN, NULL },
		{ ANSWER("400 No", XML_ERROR("InvalidRequest")), ERR_UNKNOWN, NULL },
		{ ANSWER("409 No", XML_ERROR("Whatever")), ERR_EXISTS, NULL },
		{ ANSWER("404 No", XML_ERROR("NoSuchUpload")), ERR_ABSENT, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct step steps[] = { { ANSWER("500 Oops", ""), true },
					      { cases[i].answer, true } };
		struct fixture f;

		fixture_open(&f, steps, ARRAY_LEN(steps));
		f.call.method = "PUT";
		f.call.repeat = AWS_REPEAT_ALWAYS;
		expect(&f, cases[i].code);
		assert_true(f.call.blind);
		fixture_close(&f);
	}
}

static void test_the_deadline(void **state)
{
	static const struct step never[] = { { NULL, false } };
	static const struct step later[] = { { ANSWER("503 Slow\r\nRetry-After: 3600", ""), true } };
	struct fixture f;

	(void)state;
	fixture_open(&f, never, 1);
	f.call.deadline_ms = 100;
	expect(&f, ERR_TIMEOUT);
	assert_int_equal(f.call.status, 0);
	f.call.method = "PUT";
	f.call.body = slice_str("b");
	expect(&f, ERR_UNKNOWN);
	fixture_close(&f);
	fixture_open(&f, later, 1);
	expect(&f, ERR_BUSY);
	assert_int_equal(f.call.tries, 1);
	fixture_close(&f);
}

static void test_nobody_listens(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, one_ok, 1);
	aws_client_free(f.client);
	f.options.tries_max = 3;
	(void)snprintf(f.endpoint, sizeof(f.endpoint), "http://127.0.0.1:1");
	fixture_client(&f);
	f.call.method = "PUT";
	expect(&f, ERR_BUSY);
	assert_int_equal(f.call.tries, 3);
	assert_int_equal(f.call.status, 0);
	fixture_close(&f);
}

/* The Date of the answer sets the clock, for this call and those that come. */
static void test_the_clock(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("403 Forbidden\r\nDate: Fri, 04 Jan 2047 10:00:00 GMT",
			 XML_ERROR("RequestTimeTooSkewed")), true },
		{ OK_ANSWER, false },
	};
	struct received r;
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 2);
	f.call.method = "PUT";
	for (int i = 0; i < 2; i++) {
		expect(&f, ERR_OK);
		receive(buf_slice(&f.server.last), SIGV4_PATH_S3, &r);
		assert_true(slice_starts(received_header(&r, "x-amz-date"), "20470104T10"));
	}
	assert_int_equal(atomic_load(&f.server.requests), 3);
	fixture_close(&f);
}

/* Of HEAD there is only the status: a clock that is far off is why. Once; then it is what it is. */
static void test_the_clock_of_head(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("403 Forbidden\r\nDate: Fri, 04 Jan 2047 10:00:00 GMT", ""), true },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 1);
	f.call.method = "HEAD";
	expect(&f, ERR_DENIED);
	assert_int_equal(f.call.tries, 2);
	fixture_close(&f);
}

/* A command whose keys are another each time that it is asked. */
static void write_counting_profile(const struct temp_dir *dir)
{
	char path[128];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/credentials", dir->path);
	out = fopen(path, "we");
	assert_non_null(out);
	(void)fprintf(out, "[default]\ncredential_process = echo x >>%s/count; "
		      "echo \"{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"ID$(wc -l <%s/count)\\\","
		      "\\\"SecretAccessKey\\\":\\\"S\\\",\\\"SessionToken\\\":\\\"T\\\"}\"\n",
		      dir->path, dir->path);
	(void)fclose(out);
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	(void)setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	(void)unsetenv("AWS_ACCESS_KEY_ID");
	(void)unsetenv("AWS_SECRET_ACCESS_KEY");
	(void)unsetenv("AWS_PROFILE");
}

static void test_keys_are_read_anew_once(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("400 Bad Request", XML_ERROR("ExpiredToken")), true },
		{ OK_ANSWER, false },
		{ ANSWER("403 Forbidden", XML_ERROR("InvalidAccessKeyId")), true },
	};
	struct temp_dir dir;
	struct received r;
	struct fixture f;

	(void)state;
	temp_dir_make(&dir);
	write_counting_profile(&dir);
	fixture_open(&f, steps, 3);
	aws_client_free(f.client);
	aws_credentials_free(f.credentials);
	f.credentials = aws_credentials_new(NULL);
	fixture_client(&f);
	f.call.method = "PUT";
	expect(&f, ERR_OK);
	receive(buf_slice(&f.server.last), SIGV4_PATH_S3, &r);
	assert_true(slice_starts(received_header(&r, "authorization"),
				 "AWS4-HMAC-SHA256 Credential=ID2/"));
	assert_true(slice_is(received_header(&r, "x-amz-security-token"), "T"));
	expect(&f, ERR_AUTH);
	assert_int_equal(f.call.tries, 2);
	assert_string_equal(f.call.error_code, "InvalidAccessKeyId");
	fixture_close(&f);
	temp_dir_remove(&dir);
}

static void test_an_error_in_an_answer_of_200(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("200 OK", "<?xml version=\"1.0\"?>\n \n" XML_ERROR("SlowDown")), true },
		{ ANSWER("200 OK", " \n<?xml version=\"1.0\"?>" XML_ERROR("InternalError")), true },
		{ ANSWER("200 OK", "<CompleteMultipartUploadResult><Key>Error</Key></CompleteMultipartUploadResult>"),
		  true },
		{ ANSWER("200 OK", XML_ERROR("PreconditionFailed")), true },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, ARRAY_LEN(steps));
	f.call.method = "POST";
	f.call.ok_may_be_error = true;
	expect(&f, ERR_UNKNOWN);
	assert_int_equal(f.call.tries, 2);
	assert_int_equal(f.call.status, 500);
	assert_string_equal(f.call.error_code, "InternalError");
	expect(&f, ERR_OK);
	assert_int_equal(f.call.status, 200);
	f.call.repeat = AWS_REPEAT_ALWAYS;	/* which mends nothing */
	expect(&f, ERR_EXISTS);
	assert_int_equal(f.call.status, 412);
	assert_int_equal(f.call.tries, 1);
	fixture_close(&f);
}

static void test_bodies_of_files(void **state)
{
	static const struct step steps[] = {
		{ ANSWER("500 Oops", ""), true }, { OK_ANSWER, true },
		{ ANSWER("404 Not Found", XML_ERROR("NoSuchKey")), true }, { OK_ANSWER, true },
	};
	char path[] = "/tmp/pinpipe_aws.XXXXXX", text[16] = "";
	struct http_file file = { mkstemp(path), 2, 4 };
	struct received r;
	struct fixture f;

	(void)state;
	assert_int_equal(write(file.fd, "..body..", 8), 8);
	fixture_open(&f, steps, 4);
	f.call.method = "PUT";
	f.call.repeat = AWS_REPEAT_ALWAYS;
	f.call.body_file = &file;
	expect(&f, ERR_OK);
	check_signed(&f, SIGV4_PATH_S3, &r);
	assert_true(slice_is(r.body, "body"));
	f.call.method = "GET";
	f.call.body_file = NULL;
	f.call.reply_file = &file;
	expect(&f, ERR_ABSENT);
	assert_int_equal(f.call.reply_file_len, 0);
	expect(&f, ERR_OK);
	assert_int_equal(f.call.reply_file_len, 2);
	assert_int_equal(pread(file.fd, text, 8, 0), 8);
	assert_string_equal(text, "..okdy..");
	fixture_close(&f);
	(void)close(file.fd);
	(void)unlink(path);
}

/* A reply's maximum is of what was asked for; what is wrong is told all the same. */
static void test_long_replies(void **state)
{
	static char long_ok[12000], long_error[12000];
	struct step steps[] = { { long_ok, true }, { long_error, true } };
	struct fixture f;
	int len;

	(void)state;
	len = snprintf(long_ok, sizeof(long_ok), ANSWER("200 OK", ""));
	memset(long_ok + len, 'x', 9000);
	len = snprintf(long_error, sizeof(long_error), ANSWER("404 Not Found", XML_ERROR("NoSuchKey")));
	memset(long_error + len, ' ', 9000);
	fixture_open(&f, steps, 2);
	f.call.reply.max = 8000;
	expect(&f, ERR_LIMIT);
	expect(&f, ERR_ABSENT);
	assert_string_equal(f.call.error_code, "NoSuchKey");
	fixture_close(&f);
}

static void test_presign(void **state)
{
	struct sigv4_claim claim;
	struct received r;
	struct fixture f;
	char text[2048];
	struct buf url;

	(void)state;
	fixture_open(&f, one_ok, 1);
	buf_init(&url, 4096);
	f.call.path = slice_str("/bucket/a b");
	assert_ok(aws_presign(f.client, &f.call, 60, &url, &err));
	assert_true(slice_starts(buf_slice(&url), f.endpoint));
	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
		       buf_cstr(&url) + strlen(f.endpoint), f.endpoint + strlen("http://"));
	receive(slice_str(text), SIGV4_PATH_S3, &r);
	r.request.payload = slice_str(SIGV4_UNSIGNED);
	assert_ok(sigv4_read(&r.request, &claim, &err));
	assert_ok(sigv4_verify(&r.request, &claim, slice_str(SECRET), clock_wall_ms() / 1000,
			       &err));
	buf_release(&url);
	fixture_close(&f);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *region;
		const char *host;
	} cases[] = {
		{ "eu-west-1", "s3.eu-west-1.amazonaws.com" },
		{ "cn-north-1", "s3.cn-north-1.amazonaws.com.cn" },
		{ "us-gov-west-1", "s3.us-gov-west-1.amazonaws.com" },
		{ "us-iso-east-1", "s3.us-iso-east-1.c2s.ic.gov" },
		{ "us-isob-east-1", "s3.us-isob-east-1.sc2s.sgov.gov" },
		{ "", NULL }, { "evil.example/", NULL }, { "EU", NULL }, { "-eu", NULL },
	};
	struct buf host;

	(void)state;
	buf_init(&host, 256);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum err_code code = aws_host("s3", cases[i].region, &host, &err);

		assert_int_equal(code, cases[i].host ? ERR_OK : ERR_USAGE);
		if (cases[i].host)
			assert_string_equal(buf_cstr(&host), cases[i].host);
		buf_clear(&host);
	}
	(void)setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
	assert_int_equal(aws_host("s3", "us-east-1", &host, &err), ERR_UNSUPPORTED);
	(void)unsetenv("AWS_USE_FIPS_ENDPOINT");
	buf_release(&host);
}

static void test_endpoints_that_cannot_be(void **state)
{
	static const char *const urls[] = {
		"", "s3.example.com", "ftp://host", "http://", "http://:80", "http:///path",
		"https://user:secret@host", "http://host?x", "http://host#x", "http://ho st",
	};
	struct aws_client_options options = { .service = "s3", .region = "eu-west-1", .calls_max = 1 };
	struct aws_client *client;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		options.endpoint = urls[i];
		assert_int_equal(aws_client_new(&options, &client, &err), ERR_USAGE);
		assert_null(strstr(err.msg, "secret"));
	}
}

struct asker {
	struct fixture *f;
	struct aws_call call;
	enum err_code code;
	pthread_t thread;
};

static void *ask(void *user)
{
	struct asker *asker = user;
	struct err failure;

	for (int i = 0; i < 20 && asker->code == ERR_OK; i++)
		asker->code = aws_call(asker->f->client, &asker->call, &failure);
	return NULL;
}

static void test_from_many_threads(void **state)
{
	static const struct step steps[] = {
		{ OK_ANSWER, false }, { ANSWER("503 Slow", XML_ERROR("SlowDown")), true },
		{ OK_ANSWER, false },
	};
	struct asker askers[8];
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 3);
	for (size_t i = 0; i < 8; i++) {
		askers[i] = (struct asker){ .f = &f };
		aws_call_init(&askers[i].call, REPLY_MAX);
		askers[i].call.method = "GET";
		askers[i].call.deadline_ms = 60000;
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		assert_int_equal(askers[i].code, ERR_OK);
		aws_call_release(&askers[i].call);
	}
	assert_int_equal(atomic_load(&f.server.requests), 8 * 20 + 1);
	fixture_close(&f);
}

/* The last one: a stop is for ever. What is drained is still sent, but not again. */
static void test_a_stop(void **state)
{
	static const struct step steps[] = {
		{ OK_ANSWER, true }, { ANSWER("503 Slow", XML_ERROR("SlowDown")), true },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, steps, 2);
	stop_init();
	stop_request();
	expect(&f, ERR_OK);
	expect(&f, ERR_BUSY);
	assert_int_equal(f.call.tries, 1);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sent),
		cmocka_unit_test(test_other_services_and_hosts),
		cmocka_unit_test(test_what_cannot_be_sent),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_what_an_error_says),
		cmocka_unit_test(test_refusals_are_repeated),
		cmocka_unit_test(test_what_is_not_repeated_blindly),
		cmocka_unit_test(test_reads_are_repeated),
		cmocka_unit_test(test_blind_and_refused_is_unknown),
		cmocka_unit_test(test_blind_and_denied_is_unknown),
		cmocka_unit_test(test_the_deadline),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_the_clock),
		cmocka_unit_test(test_the_clock_of_head),
		cmocka_unit_test(test_keys_are_read_anew_once),
		cmocka_unit_test(test_an_error_in_an_answer_of_200),
		cmocka_unit_test(test_bodies_of_files),
		cmocka_unit_test(test_long_replies),
		cmocka_unit_test(test_presign),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_endpoints_that_cannot_be),
		cmocka_unit_test(test_from_many_threads),
		cmocka_unit_test(test_a_stop),
	};

	return cmocka_run_group_tests_name("aws_client", tests, NULL, NULL);
}
