/* http_request.c - what handlers ask of a request. */
#include "net/http_chars.h"

struct slice http_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (slice_is_nocase(request->headers[i].name, name))
			return request->headers[i].value;
	return slice_of(NULL, 0);
}

struct slice http_client(const struct http_request *request, const char *name)
{
	struct slice list = slice_of(NULL, 0);

	for (size_t i = 0; i < request->header_count; i++)
		if (slice_is_nocase(request->headers[i].name, name))
			list = request->headers[i].value;
	for (size_t i = list.len; i > 0; i--)
		if (list.ptr[i - 1] == ',')
			return slice_trim(slice_from(list, i));
	return list;
}

/* "name=value" up to the next "&", which is taken off `query`. */
static struct slice next_pair(struct slice *query)
{
	const char *end = memchr(query->ptr, '&', query->len);
	struct slice pair = *query;

	if (!end) {
		*query = slice_from(*query, query->len);
		return pair;
	}
	pair.len = (size_t)(end - query->ptr);
	*query = slice_from(*query, pair.len + 1);
	return pair;
}

/* The first of that name, as it is encoded. */
static bool query_find(struct slice query, const char *name, struct slice *ret)
{
	size_t name_len = strlen(name);

	while (query.len > 0) {
		struct slice pair = next_pair(&query);

		if (!slice_starts(pair, name) || (pair.len > name_len && pair.ptr[name_len] != '='))
			continue;
		*ret = slice_from(pair, pair.len > name_len ? name_len + 1 : name_len);
		return true;
	}
	return false;
}

bool http_query(struct slice query, const char *name, struct buf *out)
{
	struct slice value;
	char *room;
	size_t len;

	if (!query_find(query, name, &value))
		return false;
	room = buf_room(out, value.len);
	if (!room || !http_unescape(value, true, room, &len))
		return false;
	buf_grew(out, len);
	return true;
}

bool http_query_names(struct slice query, const char *name)
{
	struct slice value;

	return query_find(query, name, &value);
}
