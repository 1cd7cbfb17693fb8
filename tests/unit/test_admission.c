/* Who and what is let in: media types, API keys, routes. */
#include "base/mem.h"
#include "gateway/auth.h"
#include "gateway/media.h"
#include "gateway/route.h"
#include "testing.h"

static struct err err;

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

static void test_auth(void **state)
{
	struct auth auth;

	(void)state;
	assert_ok(auth_init(&auth, "", &err));
	assert_true(auth_allows(&auth, slice_of(NULL, 0)));
	/* printf secret | sha256sum, in upper case */
	assert_ok(auth_init(&auth, "2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B",
			    &err));
	assert_true(auth_allows(&auth, slice_str("secret")));
	assert_false(auth_allows(&auth, slice_str("secreT")));
	assert_false(auth_allows(&auth, slice_str("")));
	assert_false(auth_allows(&auth, slice_of(NULL, 0)));
	assert_int_equal(auth_init(&auth, "2bb8", &err), ERR_USAGE);
	assert_int_equal(auth_init(&auth, "xbb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
				   &err), ERR_USAGE);
}

static const char *found(enum http_method method, const char *path, struct slice *ret_param)
{
	struct route_match match = route_find(method, slice_str(path));

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

static void test_allowed_methods(void **state)
{
	struct route_match match = route_find(HTTP_METHOD_PUT, slice_str("/topics/a"));
	char line[CALL_EXTRA_MAX];

	(void)state;
	assert_null(match.route);
	route_put_allow(match.methods, line, sizeof(line));
	assert_string_equal(line, "Allow: GET, HEAD, POST\r\n");
	route_put_allow(~0u, line, sizeof(line));
	assert_string_equal(line, "Allow: GET, HEAD, POST, PUT, DELETE\r\n");
	assert_int_equal(route_find(HTTP_METHOD_PUT, slice_str("/x")).methods, 0);
	assert_int_equal(route_find(HTTP_METHOD_PUT, slice_str("/streams/x/y/z")).face, FACE_KINESIS);
	assert_int_equal(route_find(HTTP_METHOD_PUT, slice_str("/streamsx")).face, FACE_KAFKA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_allowed_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
