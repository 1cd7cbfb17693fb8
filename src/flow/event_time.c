#include "flow/event_time.h"

#include "base/time.h"
#include "engine/read.h"

enum { NAME_MAX_LEN = 256, DIGITS_MAX = 18 };
#define TIME_MIN (-INT64_C(62135596800000)) /* of the year 1 */
#define TIME_MAX INT64_C(253402300799999)   /* of the year 9999 */

static bool parse_millis(struct slice text, int64_t *ret_ms)
{
	bool minus = text.len > 0 && text.ptr[0] == '-';
	int64_t value = 0;

	text = slice_from(text, minus);
	if (text.len == 0 || text.len > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (text.ptr[i] - '0');
	}
	*ret_ms = minus ? -value : value;
	return true;
}

bool event_time_parse(struct slice text, int64_t *ret_ms)
{
	int64_t us;

	if (parse_millis(text, ret_ms))
		return true;
	if (!read_timestamp(text, &us))
		return false;
	*ret_ms = us / 1000 - (us % 1000 < 0);
	return true;
}

/* The member that "a.b" leads to; a name with dots in it comes before. */
static bool event_find_field(struct json value, const char *path, struct json *ret)
{
	char name[NAME_MAX_LEN];
	const char *dot;

	while (json_type(value) == JSON_OBJECT) {
		if (json_member(value, path, ret))
			return true;
		dot = strchr(path, '.');
		if (!dot || dot - path >= NAME_MAX_LEN)
			return false;
		memcpy(name, path, (size_t)(dot - path));
		name[dot - path] = '\0';
		if (!json_member(value, name, &value))
			return false;
		path = dot + 1;
	}
	return false;
}

static bool time_of_field(struct json value, const char *field, int64_t *ret_ms)
{
	struct json found;
	struct slice text;

	if (!event_find_field(value, field, &found))
		return false;
	return json_get_i64(found, ret_ms) ||
	       (json_get_string(found, &text) && event_time_parse(text, ret_ms));
}

bool event_time_of(const struct event_time *time, const struct record *record, struct json value,
		   int64_t *ret_ms)
{
	int64_t ms = record->timestamp_ms;

	if (time->kind == EVENT_TIME_WALL)
		ms = clock_wall_ms();
	else if (time->kind == EVENT_TIME_FIELD && !time_of_field(value, time->field, &ms))
		return false;
	*ret_ms = ms;
	return ms >= TIME_MIN && ms <= TIME_MAX;
}
