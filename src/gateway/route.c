#include "gateway/route.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "gateway/ui.h"

enum { SEGMENT_MAX = 32 }; /* longer than any of ours by what may be mistyped */

/* The two that carry the load come first. */
static const struct route routes[] = {
	{ HTTP_METHOD_POST, "/topics/{topic}", FACE_KAFKA, SCOPE_POST, ROUTE_PRODUCES,
	  kafka_produce, "append records" },
	{ HTTP_METHOD_PUT, "/streams/{stream}/record", FACE_KINESIS, SCOPE_POST, ROUTE_STREAMS,
	  kinesis_put_record, "PutRecord" },
	{ HTTP_METHOD_PUT, "/streams/{stream}/records", FACE_KINESIS, SCOPE_POST, ROUTE_STREAMS,
	  kinesis_put_records, "PutRecords" },
	{ HTTP_METHOD_POST, "/topics/{topic}/partitions/{partition}", FACE_KAFKA, SCOPE_POST,
	  ROUTE_PRODUCES, kafka_produce, "append records to one partition" },

	{ HTTP_METHOD_GET, "/", FACE_KAFKA, SCOPE_NONE, 0, kafka_root, "answer {}" },
	{ HTTP_METHOD_POST, "/", FACE_KAFKA, SCOPE_NONE, ROUTE_BODILESS, kafka_root, "answer {}" },
	{ HTTP_METHOD_GET, "/topics", FACE_KAFKA, SCOPE_READ, ROUTE_BLOCKS, kafka_topics,
	  "list topics" },
	{ HTTP_METHOD_GET, "/topics/{topic}", FACE_KAFKA, SCOPE_READ, ROUTE_BLOCKS, kafka_topic,
	  "describe a topic" },
	{ HTTP_METHOD_GET, "/topics/{topic}/partitions", FACE_KAFKA, SCOPE_READ, ROUTE_BLOCKS,
	  kafka_partitions, "list its partitions" },
	{ HTTP_METHOD_GET, "/topics/{topic}/partitions/{partition}", FACE_KAFKA, SCOPE_READ,
	  ROUTE_BLOCKS, kafka_partition, "describe a partition" },
	{ HTTP_METHOD_GET, "/topics/{topic}/partitions/{partition}/offsets", FACE_KAFKA, SCOPE_READ,
	  ROUTE_BLOCKS, kafka_offsets, "first and next offset" },
	{ HTTP_METHOD_GET, "/brokers", FACE_KAFKA, SCOPE_READ, ROUTE_BLOCKS, kafka_brokers,
	  "list brokers" },

	{ HTTP_METHOD_GET, "/streams", FACE_KINESIS, SCOPE_READ, ROUTE_BLOCKS, kinesis_list_streams,
	  "ListStreams" },
	{ HTTP_METHOD_GET, "/streams/{stream}", FACE_KINESIS, SCOPE_READ, ROUTE_BLOCKS,
	  kinesis_describe_stream, "DescribeStream" },
	{ HTTP_METHOD_POST, "/streams/{stream}", FACE_KINESIS, SCOPE_ADMIN, ROUTE_BLOCKS,
	  kinesis_create_stream, "CreateStream" },
	{ HTTP_METHOD_DELETE, "/streams/{stream}", FACE_KINESIS, SCOPE_ADMIN, ROUTE_BLOCKS,
	  kinesis_delete_stream, "DeleteStream" },
	{ HTTP_METHOD_GET, "/streams/{stream}/sharditerator", FACE_KINESIS, SCOPE_READ,
	  ROUTE_BLOCKS, kinesis_get_shard_iterator, "GetShardIterator" },
	{ HTTP_METHOD_GET, "/streams/{stream}/records", FACE_KINESIS, SCOPE_READ, ROUTE_BLOCKS,
	  kinesis_get_records, "GetRecords" },

	{ HTTP_METHOD_GET, "/healthz", FACE_OPS, SCOPE_NONE, ROUTE_OPEN, ops_health,
	  "the process is alive" },
	{ HTTP_METHOD_GET, "/readyz", FACE_OPS, SCOPE_READ, 0, ops_ready,
	  "it would take records now" },
	{ HTTP_METHOD_GET, "/metrics", FACE_OPS, SCOPE_READ, 0, ops_metrics, "Prometheus metrics" },
	/* The same for everybody, and who has no key yet learns there that one is asked for. */
	{ HTTP_METHOD_GET, "/openapi.json", FACE_OPS, SCOPE_NONE, ROUTE_OPEN, ops_openapi,
	  "this API, in OpenAPI" },
};

static const char *const method_names[] = {
	[HTTP_METHOD_GET] = "GET",
	[HTTP_METHOD_HEAD] = "HEAD",
	[HTTP_METHOD_POST] = "POST",
	[HTTP_METHOD_PUT] = "PUT",
	[HTTP_METHOD_DELETE] = "DELETE",
	/* OPTIONS has no route: it is answered for all of a path. */
};

static size_t segment_len(struct slice path)
{
	const char *slash = path.len ? memchr(path.ptr, '/', path.len) : NULL;

	return slash ? (size_t)(slash - path.ptr) : path.len;
}

static bool matches(const char *pattern, struct slice path, struct slice *param)
{
	while (*pattern && path.len) {
		size_t len;

		if (*pattern != '{') {
			if (*pattern++ != path.ptr[0])
				return false;
			path = slice_from(path, 1);
			continue;
		}
		len = segment_len(path);
		if (len == 0)
			return false;
		*param++ = slice_of(path.ptr, len);
		path = slice_from(path, len);
		pattern = strchr(pattern, '}') + 1;
	}
	return !*pattern && (path.len == 0 || slice_is(path, "/"));
}

static bool is_under(struct slice path, struct slice prefix)
{
	return path.len >= prefix.len && memcmp(path.ptr, prefix.ptr, prefix.len) == 0 &&
	       (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

static enum face face_of(struct slice path)
{
	if (is_under(path, slice_str("/ui")))
		return FACE_PAGE;
	return is_under(path, slice_str("/streams")) ? FACE_KINESIS : FACE_KAFKA;
}

static struct route_match find_path(enum http_method method, struct slice path, unsigned faces)
{
	struct route_match match = { .face = face_of(path) };
	const struct route *list = match.face == FACE_PAGE ? ui_routes : routes;
	size_t count = match.face == FACE_PAGE ? ui_route_count : ARRAY_LEN(routes);

	if (method == HTTP_METHOD_HEAD)
		method = HTTP_METHOD_GET;
	for (size_t i = 0; i < count; i++) {
		struct slice param[CALL_PARAMS_MAX] = { 0 };

		if (!(faces & 1u << list[i].face) || !matches(list[i].pattern, path, param))
			continue;
		match.methods |= 1u << list[i].method;
		match.face = list[i].face;
		if (list[i].method != method)
			continue;
		match.route = &list[i];
		memcpy(match.param, param, sizeof(param));
		break;
	}
	return match;
}

/* Whether a route begins with that segment: then it is no stage. */
static bool begins_a_route(struct slice segment)
{
	if (face_of(segment) == FACE_PAGE)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (is_under(slice_str(routes[i].pattern), segment))
			return true;
	return slice_is(segment, "/ui");
}

static bool is_listed(const char *list, struct slice name)
{
	while (*list && name.len) {
		size_t len = strcspn(list, ",");

		if (slice_eq(slice_of(list, len), name))
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

/* The path behind its stage; false: it has none. */
static bool strip_stage(struct slice path, const char *stages, struct slice *ret)
{
	struct slice name, rest;

	if (!slice_starts(path, "/"))
		return false;
	name = slice_of(path.ptr + 1, segment_len(slice_from(path, 1)));
	rest = slice_from(path, 1 + name.len);
	*ret = rest.len ? rest : slice_str("/");
	if (is_listed(stages, name))
		return true;
	return name.len && (is_under(rest, slice_str("/topics")) || is_under(rest, slice_str("/streams"))) &&
	       !begins_a_route(slice_of(path.ptr, 1 + name.len));
}

struct route_match route_find(enum http_method method, struct slice path, const char *stages,
			      unsigned faces)
{
	struct route_match match = find_path(method, path, faces);
	struct slice rest;

	if (!match.methods && strip_stage(path, stages, &rest))
		match = find_path(method, rest, faces);
	if (match.face == FACE_PAGE && !(faces & 1u << FACE_PAGE))
		match.face = FACE_KAFKA; /* nor do its rules show that it is elsewhere */
	return match;
}

void route_put_help(struct buf *out, enum face face, unsigned faces)
{
	const char *separator = "the routes are ";

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		bool alone = face == FACE_KINESIS || face == FACE_PAGE;

		if (!(faces & 1u << routes[i].face))
			continue;
		if (alone ? routes[i].face != face : routes[i].face == FACE_PAGE)
			continue;
		buf_addf(out, "%s%s %s", separator, method_names[routes[i].method],
			 routes[i].pattern);
		separator = ", ";
	}
}

/* How far a segment of a path is from one of a pattern; SIZE_MAX: it was never meant. */
static size_t segment_distance(struct slice meant, struct slice given)
{
	char a[SEGMENT_MAX + 1] = "", b[SEGMENT_MAX + 1] = "";
	size_t distance;

	if (meant.len > 0 && meant.ptr[0] == '{')
		return given.len ? 0 : SIZE_MAX;
	if (meant.len > SEGMENT_MAX || given.len > SEGMENT_MAX)
		return SIZE_MAX;
	memcpy(a, meant.ptr, meant.len);
	memcpy(b, given.ptr, given.len);
	distance = word_distance(a, b);
	return distance <= (meant.len + 2) / 3 ? distance : SIZE_MAX;
}

/* SIZE_MAX: the path is not like the pattern. */
static size_t path_distance(struct slice pattern, struct slice path)
{
	size_t sum = 0;

	while (pattern.len && path.len) {
		size_t meant_len = segment_len(slice_from(pattern, 1));
		size_t given_len = segment_len(slice_from(path, 1));
		size_t distance = segment_distance(slice_of(pattern.ptr + 1, meant_len),
						   slice_of(path.ptr + 1, given_len));

		if (distance == SIZE_MAX)
			return SIZE_MAX;
		sum += distance;
		pattern = slice_from(pattern, 1 + meant_len);
		path = slice_from(path, 1 + given_len);
	}
	return pattern.len || (path.len && !slice_is(path, "/")) ? SIZE_MAX : sum;
}

void route_put_nearest(struct buf *out, enum http_method method, struct slice path, unsigned faces)
{
	const struct route *best = NULL;
	size_t best_distance = SIZE_MAX;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		size_t distance = path_distance(slice_str(routes[i].pattern), path);

		if (!(faces & 1u << routes[i].face))
			continue;
		if (distance < best_distance ||
		    (best && distance == best_distance && best->method != method &&
		     routes[i].method == method)) {
			best = &routes[i];
			best_distance = distance;
		}
	}
	if (best && best_distance > 0) /* else it is one of them, but of another method */
		buf_addf(out, "did you mean %s %s? ", method_names[best->method], best->pattern);
}

void route_put_table(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		buf_addf(out, "%-6s  %-46s  %-5s  %s\n", method_names[routes[i].method],
			 routes[i].pattern,
			 routes[i].flags & ROUTE_OPEN ? "-" : scope_name(routes[i].scope),
			 routes[i].summary);
}

void route_put_allow(unsigned methods, char *line, size_t room)
{
	const char *separator = "Allow: ";
	size_t len = 0;

	if (methods & 1u << HTTP_METHOD_GET)
		methods |= 1u << HTTP_METHOD_HEAD;
	for (unsigned i = 0; i < ARRAY_LEN(method_names); i++) {
		if (!(methods & 1u << i))
			continue;
		len += (size_t)snprintf(line + len, room - len, "%s%s", separator,
					method_names[i]);
		separator = ", ";
	}
	(void)snprintf(line + len, room - len, "\r\n");
}
