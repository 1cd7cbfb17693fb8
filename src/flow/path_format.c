#include "flow/path_format.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { QUARTER_MS = 15 * 60 * 1000, DAY_MS = 24 * 3600 * 1000, REPEAT_MAX = 20 };

static const char letters[] = "YyMdDHms";

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static int64_t floor_to(int64_t value, int64_t step)
{
	int64_t rest = value % step;

	return value - (rest < 0 ? rest + step : rest);
}

/* Quoted text, from behind its first quote on. Returns what follows the last; NULL: there is none.
 */
static const char *path_put_quoted(struct buf *out, const char *at)
{
	if (*at == '\'') {
		buf_add_char(out, '\'');
		return at + 1;
	}
	for (; *at; at++) {
		if (*at != '\'')
			buf_add_char(out, *at);
		else if (at[1] == '\'')
			buf_add_char(out, *at++);
		else
			return at + 1;
	}
	return NULL;
}

static int path_value_of(char letter, const struct tm *tm)
{
	switch (letter) {
	case 'M':
		return tm->tm_mon + 1;
	case 'd':
		return tm->tm_mday;
	case 'D':
		return tm->tm_yday + 1;
	case 'H':
		return tm->tm_hour;
	case 'm':
		return tm->tm_min;
	case 's':
		return tm->tm_sec;
	default:
		return tm->tm_year + 1900;
	}
}

static void put_field(struct buf *out, char letter, int count, const struct tm *tm)
{
	int value = path_value_of(letter, tm);

	if ((letter == 'Y' || letter == 'y') && count == 2)
		value %= 100;
	buf_addf(out, "%0*d", count, value);
}

/* False: quotes that do not end, or a letter that means nothing here (*ret_letter). */
static bool put_pattern(struct buf *out, const char *pattern, const struct tm *tm, char *ret_letter)
{
	const char *at = pattern;

	*ret_letter = '\'';
	while (*at) {
		int count = 1;

		if (*at == '\'') {
			at = path_put_quoted(out, at + 1);
			if (!at)
				return false;
			continue;
		}
		if (!is_letter(*at)) {
			buf_add_char(out, *at++);
			continue;
		}
		while (at[count] == *at)
			count++;
		*ret_letter = *at;
		if (!strchr(letters, *at) || count > REPEAT_MAX || (*at == 'M' && count > 2))
			return false;
		put_field(out, *at, count, tm);
		at += count;
	}
	return true;
}

/* A slash at an end is none of the path's. */
static void cut_slashes(struct buf *path)
{
	size_t front = 0;

	while (path->len > 0 && path->ptr[path->len - 1] == '/')
		path->len--;
	while (front < path->len && path->ptr[front] == '/')
		front++;
	if (front > 0)
		memmove(path->ptr, path->ptr + front, path->len - front);
	path->len -= front;
}

void path_format_put(const struct path_format *format, int64_t bucket_ms, char path[LAKE_PATH_MAX])
{
	time_t seconds = (time_t)(floor_to(bucket_ms, 1000) / 1000);
	struct buf out;
	struct tm tm;
	char letter;

	buf_init(&out, LAKE_PATH_MAX - 1);
	if (!gmtime_r(&seconds, &tm)) /* the bucket is local time already */
		tm = (struct tm){ .tm_mday = 1 };
	(void)put_pattern(&out, format->pattern, &tm, &letter);
	cut_slashes(&out);
	(void)snprintf(path, LAKE_PATH_MAX, "%.*s", SLICE_ARG(buf_slice(&out)));
	buf_release(&out);
}

static enum err_code path_check(const struct path_format *format, struct err *err)
{
	static const char *const taken[] = { "partition=", "generation=" };
	char path[LAKE_PATH_MAX];

	path_format_put(format, 0, path);
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (slice_starts(slice_str(path), taken[i]))
			return err_set(err, ERR_USAGE,
				       "path.format \"%s\" begins with \"%s\", as"
				       " other objects' folders do",
				       format->pattern, taken[i]);
	if (!path[0] || store_check_key(path, err) != ERR_OK)
		return err_set(err, ERR_USAGE,
			       "path.format \"%s\" gives \"%s\", which is no folder",
			       format->pattern, path);
	return ERR_OK;
}

enum err_code path_format_init(struct path_format *format, const char *pattern, int64_t duration_ms,
			       struct err *err)
{
	struct tm tm = { .tm_mday = 1 };
	struct buf out;
	char letter;
	bool good;

	if (strlen(pattern) >= PATH_PATTERN_MAX)
		return err_set(err, ERR_USAGE, "path.format is longer than %d bytes",
			       PATH_PATTERN_MAX - 1);
	if (duration_ms < 1)
		return err_set(err, ERR_USAGE, "path.format wants a partition.duration.ms");
	buf_init(&out, LAKE_PATH_MAX - 1);
	good = put_pattern(&out, pattern, &tm, &letter) && !buf_full(&out);
	buf_release(&out);
	if (!good)
		return err_set(err, ERR_USAGE,
			       "path.format \"%s\": \"%c\" means nothing here; years Y,"
			       " months M or MM, days d or D, hours H, minutes m and seconds s do,"
			       " and text stands in single quotes",
			       pattern, letter);
	*format = (struct path_format){ .duration_ms = duration_ms };
	(void)snprintf(format->pattern, sizeof(format->pattern), "%s", pattern);
	return path_check(format, err);
}

int64_t path_clock_local(struct path_clock *clock, int64_t utc_ms)
{
	int64_t quarter = floor_to(utc_ms, QUARTER_MS);
	time_t seconds = (time_t)(quarter / 1000);
	struct tm tm;

	if (!clock->any || clock->quarter != quarter) {
		clock->ahead_ms = localtime_r(&seconds, &tm) ? (int64_t)tm.tm_gmtoff * 1000 : 0;
		clock->quarter = quarter;
		clock->any = true;
	}
	return utc_ms + clock->ahead_ms;
}

int64_t path_bucket(const struct path_format *format, struct path_clock *clock, int64_t utc_ms)
{
	return floor_to(path_clock_local(clock, utc_ms), format->duration_ms);
}

int64_t path_clock_wait(struct path_clock *clock, int64_t utc_ms, int64_t interval_ms)
{
	int64_t local_ms = path_clock_local(clock, utc_ms);
	int64_t day_ms = local_ms - floor_to(local_ms, DAY_MS);
	int64_t wait_ms = interval_ms - day_ms % interval_ms;
	int64_t then_ms, moved_ms;

	if (wait_ms > DAY_MS - day_ms) /* they are counted from midnight on */
		wait_ms = DAY_MS - day_ms;
	then_ms = path_clock_local(clock, utc_ms + wait_ms);
	moved_ms = then_ms - (local_ms + wait_ms);
	day_ms = then_ms - floor_to(then_ms, DAY_MS);
	/* A day of 23 or 25 hours: the clocks are put on or back before the mark. */
	if (moved_ms != 0 && day_ms % interval_ms != 0 && wait_ms > moved_ms)
		wait_ms -= moved_ms;
	return wait_ms;
}
