/*
 * Paths, and the names in them: the first byte is the method, the rest a path as a request has it.
 * A route's parameters are segments of the path; names are what the rule says, no more, no less;
 * positions, partitions and spans of time are read back as they are written.
 */
#include "base/names.h"
#include "broker/position.h"
#include "delta/delta_interval.h"
#include "fuzz.h"
#include "gateway/listeners.h"
#include "gateway/route.h"

static struct buf value;

static bool allowed(struct slice name, size_t max)
{
	if (name.len == 0 || name.len > max || slice_is(name, ".") || slice_is(name, ".."))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static void check_name(struct slice name)
{
	struct err err = { 0 };

	FUZZ_MUST((name_check_topic(name, &err) == ERR_OK) == allowed(name, TOPIC_NAME_MAX));
	FUZZ_MUST((name_check_stream(name, &err) == ERR_OK) == allowed(name, STREAM_NAME_MAX));
}

static void check_position(struct slice text)
{
	char again[POSITION_TEXT_MAX];
	struct position position, copy;

	if (!position_parse(text, &position))
		return;
	FUZZ_MUST(position_parse(slice_of(again, position_text(position, again)), &copy));
	FUZZ_MUST(position_cmp(position, copy) == 0);
}

static void check_partition(enum topic_kind kind, struct slice text)
{
	char again[PARTITION_TEXT_MAX];
	int32_t partition, copy;

	if (!partition_parse(kind, text, &partition))
		return;
	FUZZ_MUST(partition >= 0);
	FUZZ_MUST(partition_parse(kind, slice_of(again, partition_text(kind, partition, again)),
				  &copy) && copy == partition);
}

static void check_interval(struct slice text)
{
	int64_t ms, again;

	if (!delta_interval_parse(text, &ms))
		return;
	FUZZ_MUST(ms >= 0);
	buf_clear(&value);
	delta_interval_put(&value, ms);
	FUZZ_MUST(delta_interval_parse(buf_slice(&value), &again) && again == ms);
}

static void check_param(struct slice path, struct slice param)
{
	if (!param.ptr)
		return;
	FUZZ_MUST(param.len > 0 && param.ptr >= path.ptr &&
		  param.ptr + param.len <= path.ptr + path.len);
	FUZZ_MUST(!memchr(param.ptr, '/', param.len));
	check_name(param);
	check_position(param);
	check_partition(TOPIC_LOG, param);
	check_partition(TOPIC_STREAM, param);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct route_match match;
	struct slice path;
	char allow[128];
	char *copy;

	if (len == 0)
		return 0;
	if (value.max == 0)
		buf_init(&value, 1 << 16);
	copy = fuzz_padded(data + 1, len - 1, 0);
	path = slice_of(copy, len - 1);
	match = route_find((enum http_method)(data[0] % (HTTP_METHOD_OTHER + 1)), path, "prod,dev",
			   FACES_ALL);
	for (size_t i = 0; match.route && i < CALL_PARAMS_MAX; i++)
		check_param(path, match.param[i]);
	if (match.methods) {
		route_put_allow(match.methods, allow, sizeof(allow));
		FUZZ_MUST(strlen(allow) < sizeof(allow) - 1);
	}
	check_name(path);
	check_position(path);
	check_partition(TOPIC_LOG, path);
	check_partition(TOPIC_STREAM, path);
	check_interval(path);
	(void)media_of(path);
	(void)media_admits(path, MEDIA_KAFKA);
	(void)media_admits(path, MEDIA_AMZ_JSON);
	buf_clear(&value);
	(void)http_query(path, "limit", &value);
	free(copy);
	return 0;
}
