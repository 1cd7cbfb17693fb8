#include "gateway/media.h"

#include "base/mem.h"
#include "net/http_chars.h"

static const char *const names[] = {
	[MEDIA_NONE] = "",
	[MEDIA_JSON] = "application/json",
	[MEDIA_AMZ_JSON] = "application/x-amz-json-1.1",
	[MEDIA_KAFKA] = "application/vnd.kafka.v2+json",
	[MEDIA_KAFKA_JSON] = "application/vnd.kafka.json.v2+json",
	[MEDIA_KAFKA_BINARY] = "application/vnd.kafka.binary.v2+json",
	[MEDIA_NDJSON] = "application/x-ndjson",
};

/* No registry has a name for it, so everybody has one of his own. */
static const char *const ndjson_names[] = { "application/ndjson", "application/jsonl",
					    "application/x-jsonlines" };

/* Takes what stands before the next `separator`, trimmed, off *rest. False: nothing is left. */
static bool media_take(struct slice *rest, char separator, struct slice *ret)
{
	const char *at;
	size_t len;

	if (!rest->ptr || !rest->len)
		return false;
	at = memchr(rest->ptr, separator, rest->len);
	len = at ? (size_t)(at - rest->ptr) : rest->len;
	*ret = slice_trim(slice_of(rest->ptr, len));
	*rest = slice_from(*rest, at ? len + 1 : len);
	return true;
}

static bool charset_is_utf8(struct slice value)
{
	if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
		value = slice_of(value.ptr + 1, value.len - 2);
	return slice_is_nocase(value, "utf-8") || slice_is_nocase(value, "utf8") || slice_is_nocase(value, "us-ascii");
}

const char *media_name(enum media media)
{
	return names[media];
}

static bool is_ndjson(struct slice type)
{
	for (size_t i = 0; i < ARRAY_LEN(ndjson_names); i++)
		if (slice_is_nocase(type, ndjson_names[i]))
			return true;
	return false;
}

enum media media_of(struct slice content_type)
{
	enum media media = MEDIA_JSON;
	struct slice type, parameter, name;

	if (!content_type.ptr)
		return MEDIA_NONE;
	if (!media_take(&content_type, ';', &type))
		return MEDIA_OTHER;
	while (media < MEDIA_OTHER && !slice_is_nocase(type, names[media]))
		media++;
	if (media == MEDIA_OTHER && is_ndjson(type))
		media = MEDIA_NDJSON;
	while (media_take(&content_type, ';', &parameter))
		if (media_take(&parameter, '=', &name) && slice_is_nocase(name, "charset") &&
		    !charset_is_utf8(parameter))
			return MEDIA_OTHER;
	return media;
}

static bool is_zero(struct slice number)
{
	for (size_t i = 0; i < number.len; i++)
		if (number.ptr[i] != '0' && number.ptr[i] != '.')
			return false;
	return true;
}

/* "q=0", "q=0.000": not wanted. */
static bool quality_is_zero(struct slice parameters)
{
	struct slice parameter, name;

	while (media_take(&parameters, ';', &parameter))
		if (media_take(&parameter, '=', &name) && slice_is_nocase(name, "q"))
			return is_zero(parameter);
	return false;
}

bool media_lists(struct slice list, const char *word)
{
	struct slice range, name;

	while (media_take(&list, ',', &range))
		if (media_take(&range, ';', &name) && slice_is_nocase(name, word))
			return !quality_is_zero(range);
	return false;
}

bool media_admits(struct slice accept, enum media media)
{
	int best = 0;		/* the most specific range decides: 1 any,
				   2 the family, 3 the type */
	bool admitted = accept.len == 0;
	struct slice range, type;

	while (media_take(&accept, ',', &range)) {
		int match = 0;

		if (!media_take(&range, ';', &type))
			continue;
		if (slice_is_nocase(type, "*/*"))
			match = 1;
		else if (slice_is_nocase(type, "application/*"))
			match = 2;
		else if (slice_is_nocase(type, names[media]))
			match = 3;
		if (match > best) {
			best = match;
			admitted = !quality_is_zero(range);
		}
	}
	return admitted;
}
