/* Who and what is let in: media typess, routes. */
#include "base/mem.h"
#include "gateway/guard.h"
#include "gateway/listeners.h"
#include "gateway/media.h"
#include "gateway/route.h"
#include "testing.h"

static struct err err;
static const char *const here[] = { "127.0.0.1:0", "here:0", NULL };
static const char *const loopback[] = { "127.0.0.1:0", NULL };

static void test_media(void **state)
{
	static const struct { const char *text; enum media media; } types[] = {
		{ "application/json", MEDIA_JSON },
		{ "Application/JSON ; charset=UTF-8", MEDIA_JSON },
		{ "application/json;charset=\"utf-8\"; x=y", MEDIA_JSON },
		{ "application/json; charset=latin1", MEDIA_OTHER },
		{ "application/x-amz-json-1.1", MEDIA_AMZ_JSON },
		{ "application/vnd.kafka.v2+json", MEDIA_KAFKA },
		{ "\tapplication/vnd.kafka.json.v2+json ", MEDIA_KAFKA_JSON },
		{ "application/vnd.kafka.binary.v2+json", MEDIA_KAFKA_BINARY },
		{ "application/vnd.kafka.json.v2+jsonx", MEDIA_OTHER },
		{ "", MEDIA_OTHER },
		{ ";", MEDIA_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (media_of(slice_str(types[i].text)) != types[i].media)
			fail_msg("%s", types[i].text);
	assert_int_equal(media_of(slice_of(NULL, 0)), MEDIA_NONE);
}

static void test_accept(void **state)
{
	static const struct { const char *text; bool json, kafka; } accepts[] = {
		{ "*/*", true, true },
		{ "", true, true },
		{ "application/*", true, true },
		{ "text/plain", false, false },
		{ "application/json", true, false },
		{ "text/html;q=0.9, application/json;q=0.1 ,,", true, false },
		{ "*/*;q=0", false, false },
		{ "*/*;q=0, application/json", true, false },
		{ "application/json;q=0.0, */*", false, true },
		{ "application/vnd.kafka.v2+json;q=0.001", false, true },
		{ "Application/VND.kafka.v2+JSON", false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(accepts); i++)
		if (media_admits(slice_str(accepts[i].text), MEDIA_JSON) != accepts[i].json ||
		    media_admits(slice_str(accepts[i].text), MEDIA_KAFKA) != accepts[i].kafka)
			fail_msg("%s", accepts[i].text);
	assert_true(media_admits(slice_of(NULL, 0), MEDIA_JSON));
}

static const char *found(enum http_method method, const char *path, struct slice *ret_param)
{
	struct route_match match = route_find(method, slice_str(path), "prod,dev", FACES_ALL);

	memcpy(ret_param, match.param, sizeof(match.param));
	return match.route ? match.route->pattern : NULL;
}

static void test_routes(void **state)
{
	struct slice param[CALL_PARAMS_MAX];

	(void)state;
	assert_string_equal(found(HTTP_METHOD_POST, "/topics/a.b", param), "/topics/{topic}");
	assert_true(slice_is(param[0], "a.b") && !param[1].ptr);
	assert_string_equal(found(HTTP_METHOD_HEAD, "/topics/a/partitions/3/offsets/", param),
			    "/topics/{topic}/partitions/{partition}/offsets");
	assert_true(slice_is(param[0], "a") && slice_is(param[1], "3"));
	assert_string_equal(found(HTTP_METHOD_PUT, "/streams/s/record", param),
			    "/streams/{stream}/record");
	assert_string_equal(found(HTTP_METHOD_GET, "/", param), "/");
	assert_null(found(HTTP_METHOD_GET, "/topics//", param));
	assert_null(found(HTTP_METHOD_GET, "/topicsx", param));
	assert_null(found(HTTP_METHOD_GET, "/topics/a/partitions/3/offsets/x", param));
	assert_null(found(HTTP_METHOD_OTHER, "/topics", param));
}

/* Names of stages that public pipelines have. */
static void test_stages(void **state)
{
	static const char *const names[] = {
		"prod", "production", "Dev", "test_stage", "milestone5", "kinesis", "v1", "%24default",
	};
	struct slice param[CALL_PARAMS_MAX];
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "/%s/topics/a.pin", names[i]);
		assert_string_equal(found(HTTP_METHOD_POST, path, param), "/topics/{topic}");
		assert_true(slice_is(param[0], "a.pin"));
		(void)snprintf(path, sizeof(path), "/%s/streams/s/record", names[i]);
		assert_string_equal(found(HTTP_METHOD_PUT, path, param), "/streams/{stream}/record");
		(void)snprintf(path, sizeof(path), "/%s/streams", names[i]);
		assert_string_equal(found(HTTP_METHOD_GET, path, param), "/streams");
	}
	assert_string_equal(found(HTTP_METHOD_GET, "/dev/metrics", param), "/metrics");
	assert_string_equal(found(HTTP_METHOD_GET, "/dev", param), "/");
	assert_null(found(HTTP_METHOD_GET, "/other/metrics", param));
	assert_null(found(HTTP_METHOD_GET, "/other", param));
	assert_null(found(HTTP_METHOD_POST, "/a/b/topics/x", param));
	assert_null(found(HTTP_METHOD_POST, "//topics/x", param));
	/* What a route begins with is no stage: the topic "streams", and no topic "x" of a stage "topics". */
	assert_string_equal(found(HTTP_METHOD_POST, "/topics/streams", param), "/topics/{topic}");
	assert_true(slice_is(param[0], "streams"));
	assert_null(found(HTTP_METHOD_POST, "/topics/topics/x", param));
	assert_null(found(HTTP_METHOD_POST, "/brokers/topics/x", param));
}

static struct http_request from(const char *host, const char *origin)
{
	return (struct http_request){
		.host = host ? slice_str(host) : slice_of(NULL, 0),
		.origin = slice_str(origin),
	};
}

static void test_hosts(void **state)
{
	static const char *const good[] = {
		"127.0.0.1:8082", "127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8082", "[2001:db8::1]",
		"10.1.2.3", "here", "here:80", "data.example", "DATA.example:8082", "other", "",
	};
	static const char *const bad[] = {
		"evil.example", "evil.example:8082", "localhost.evil.example", "127.0.0.1.evil.example",
		"xdata.example", "data.example.", "1a", "a1", ":8082", "[::1].evil.example", "[",
	};
	struct guard guard;

	(void)state;
	assert_ok(guard_init(&guard, here, " data.example, other", NULL, &err));
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!guard_admits_host(&guard, slice_str(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (guard_admits_host(&guard, slice_str(bad[i])))
			fail_msg("admitted: %s", bad[i]);
	assert_true(guard_admits_host(&guard, slice_of(NULL, 0)));
	guard_release(&guard);
	assert_ok(guard_init(&guard, loopback, "*", NULL, &err));
	assert_true(guard_admits_host(&guard, slice_str("evil.example")));
	guard_release(&guard);
}

static void test_origins(void **state)
{
	const struct guard_origin *page;
	struct http_request request;
	struct guard guard;

	(void)state;
	assert_ok(guard_init(&guard, loopback, "", "https://app.example,http://localhost:3000",
			     &err));
	request = from("127.0.0.1:8082", "http://127.0.0.1:8082");
	assert_true(guard_admits_origin(&guard, &request, &page));
	assert_null(page);
	request = from("gateway:1", "https://Gateway:1");
	assert_true(guard_admits_origin(&guard, &request, &page));
	request = from("127.0.0.1:8082", "https://app.example");
	assert_true(guard_admits_origin(&guard, &request, &page));
	assert_non_null(strstr(page->answer, "Access-Control-Allow-Origin: https://app.example\r\n"));
	assert_null(strstr(page->answer, "Allow-Methods"));
	assert_non_null(strstr(page->preflight, "Allow-Methods"));
	static const char *const foreign[] = {
		"null", "", "http://127.0.0.1:8083", "http://127.0.0.1", "https://evil.example", "http://app.example",
		"https://app.example.evil", "127.0.0.1:8082", "://", "http://localhost:30000",
	};
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		request = from("127.0.0.1:8082", foreign[i]);
		if (guard_admits_origin(&guard, &request, &page))
			fail_msg("admitted: %s", foreign[i]);
	}
	request = from(NULL, "http://");
	assert_false(guard_admits_origin(&guard, &request, &page));
	guard_release(&guard);
	assert_ok(guard_init(&guard, loopback, "", "*", &err));
	request = from("127.0.0.1:8082", "null");
	assert_true(guard_admits_origin(&guard, &request, &page));
	guard_release(&guard);
}

static void test_origins_that_are_none(void **state)
{
	static const char *const bad[] = {
		"app.example", "https://", "://x", "https://app.example/", "https://a b", "https://a\r\nX: y",
		"null", "https://a, b",
	};
	struct guard guard;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (guard_init(&guard, loopback, "", bad[i], &err) != ERR_USAGE)
			fail_msg("taken: %s", bad[i]);
		guard_release(&guard);
	}
}

static void test_allowed_methods(void **state)
{
	struct route_match match =
		route_find(HTTP_METHOD_PUT, slice_str("/topics/a"), "", FACES_ALL);
	char line[CALL_EXTRA_MAX];

	(void)state;
	assert_null(match.route);
	route_put_allow(match.methods, line, sizeof(line));
	assert_string_equal(line, "Allow: GET, HEAD, POST\r\n");
	route_put_allow(~0u, line, sizeof(line));
	assert_string_equal(line, "Allow: GET, HEAD, POST, PUT, DELETE\r\n");
	assert_int_equal(route_find(HTTP_METHOD_PUT, slice_str("/x"), "", FACES_ALL).methods, 0);
	assert_int_equal(
		route_find(HTTP_METHOD_PUT, slice_str("/streams/x/y/z"), "", FACES_ALL).face,
		FACE_KINESIS);
	assert_int_equal(route_find(HTTP_METHOD_PUT, slice_str("/streamsx"), "", FACES_ALL).face,
			 FACE_KAFKA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_origins_that_are_none),
		cmocka_unit_test(test_allowed_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
