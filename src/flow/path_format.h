/*
 * path_format.h - the folder of an object from a time, by a pattern as
 * Confluent's TimeBasedPartitioner takes them (Joda's):
 *
 *	'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH
 *
 *	Y y	year; of two letters its last two digits
 *	M d H m s	month (a number), day of the month, hour 0-23, minute, second
 *	D	day of the year
 *	'…'	text as it is, '' a quote in it; so is all that is no letter
 *
 * so many letters, at least so many digits. The time is brought down to a whole multiple of the
 * duration first, in the local time of the process (TZ).
 *
 * Threads: one a path_clock; a path_format is only read.
 */
#ifndef FLOW_PATH_FORMAT_H
#define FLOW_PATH_FORMAT_H

#include "base/buf.h"
#include "flow/lake.h"

enum { PATH_PATTERN_MAX = 256 };

struct path_format {
	char pattern[PATH_PATTERN_MAX]; /* "": there is none */
	int64_t duration_ms;
};

/* ERR_USAGE: a letter that means nothing here, or a path that no object can have. */
MUST_USE enum err_code path_format_init(struct path_format *format, const char *pattern,
					int64_t duration_ms, struct err *err);

/* How far local time is ahead of UTC, remembered: it changes on quarters of an hour only. */
struct path_clock {
	bool any;
	int64_t quarter;
	int64_t ahead_ms;
};

int64_t path_clock_local(struct path_clock *clock, int64_t utc_ms);
/* How long until the next whole multiple of the interval after midnight. */
int64_t path_clock_wait(struct path_clock *clock, int64_t utc_ms, int64_t interval_ms);
/* The local time that the bucket of `utc_ms` begins at. */
int64_t path_bucket(const struct path_format *format, struct path_clock *clock, int64_t utc_ms);
/* The folder of a bucket, in place of what `path` holds. */
void path_format_put(const struct path_format *format, int64_t bucket_ms, char path[LAKE_PATH_MAX]);

#endif
