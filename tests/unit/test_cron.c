/* When lines of a crontab are due: a table of times that others got wrong, what is refused, and an
 * oracle that looks at every minute of the weeks in which clocks are set. */
#include "base/cron.h"
#include "base/mem.h"
#include "testing.h"

#include <string.h>
#include <time.h>

static int64_t utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%dT%H:%M", &tm));
	return (int64_t)timegm(&tm);
}

static void test_next(void **state)
{
	static const struct { const char *zone, *line, *after, *next; } table[] = {
		{ "UTC", "*/15 * * * *", "2026-01-01T00:00", "2026-01-01T00:15" },
		{ "UTC", "5/15 * * * *", "2026-01-01T00:05", "2026-01-01T00:20" },
		{ "UTC", "@weekly", "2026-01-01T00:00", "2026-01-04T00:00" },
		{ "UTC", "0 0 * JAN-MAR,dec fri-sun", "2026-04-01T00:00", "2026-12-04T00:00" },
		{ "UTC", "0 0 * * 7", "2026-01-01T00:00", "2026-01-04T00:00" },
		/* croniter#55, #131: a leap day. */
		{ "UTC", "0 9 29 2 *", "2016-02-29T09:00", "2020-02-29T09:00" },
		/* A century without one, and a certain weekday. */
		{ "UTC", "0 0 29 2 */7", "2088-03-01T00:00", "2128-02-29T00:00" },
		/* croniter#41, cronie#215: one of two restricted days will do; not with a star. */
		{ "UTC", "0 16 1,2,3 * FRI", "2023-05-03T16:00", "2023-05-05T16:00" },
		{ "UTC", "0 0 */2 * 1", "2024-12-31T23:59", "2025-01-13T00:00" },
		{ "UTC", "0 0 * * */2", "2026-01-02T00:00", "2026-01-03T00:00" },
		{ "UTC", "0 0 31 2 1", "2026-02-01T00:00", "2026-02-02T00:00" },
		/* cronie#218, #217: a day of 23 hours, and a month with another offset. */
		{ "Europe/Berlin", "0 12 * * 0", "2022-03-24T11:00", "2022-03-27T10:00" },
		{ "America/New_York", "* * * */3 *", "2015-02-15T05:00", "2015-04-01T04:00" },
		/* node-cron#518, airflow#38098: a time that is left out, and the day after. */
		{ "America/New_York", "30 2 * * *", "2026-03-08T06:30", "2026-03-08T07:00" },
		{ "America/New_York", "30 2 * * *", "2026-03-08T07:00", "2026-03-09T06:30" },
		{ "Europe/Berlin", "15,45 2 * * *", "2026-03-28T23:00", "2026-03-29T01:00" },
		{ "Europe/Berlin", "15,45 2 * * *", "2026-03-29T01:00", "2026-03-30T00:15" },
		/* node-cron#563: one that comes twice; every hour is every hour. */
		{ "Europe/Berlin", "30 2 * * *", "2026-10-24T23:00", "2026-10-25T00:30" },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25T00:30", "2026-10-26T01:30" },
		{ "Europe/Berlin", "30 * * * *", "2026-10-25T00:30", "2026-10-25T01:30" },
		/* airflow#7999: several hours on the day when the clocks are set. */
		{ "America/Los_Angeles", "0 7-8 * * *", "2020-03-07T16:00", "2020-03-08T14:00" },
		/* prefect#5957, dragonmantank#220: a midnight that is left out, the one after. */
		{ "America/Santiago", "0 0 * * 0", "2022-09-11T04:00", "2022-09-18T03:00" },
		{ "America/Santiago", "0 0 * * 0", "2022-09-04T04:00", "2022-09-11T04:00" },
		{ "Europe/Prague", "0 0 * * *", "2026-03-28T23:30", "2026-03-29T22:00" },
		/* croniter#258: half an hour. */
		{ "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T14:00", "2026-10-03T15:30" },
		{ "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T14:45", "2026-04-05T15:15" },
		/* A day that a country left out. */
		{ "Pacific/Apia", "0 12 * * *", "2011-12-30T00:00", "2011-12-30T10:00" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct cron cron;
		struct zone zone;
		struct err err;
		int64_t next;

		assert_ok(zone_init(&zone, table[i].zone, &err));
		assert_ok(cron_parse(&cron, table[i].line, &err));
		next = cron_next(&cron, &zone, utc(table[i].after));
		if (next != utc(table[i].next))
			fail_msg("%s \"%s\" after %s: not %s but %lld", table[i].zone, table[i].line,
				 table[i].after, table[i].next, (long long)next);
	}
}

static void test_refused(void **state)
{
	static const struct { const char *line, *why; } table[] = {
		{ "", "it has 0" },
		{ "* * * *", "it has 4" },
		{ "0 0 5 31 2 ?", "it has 6" },
		{ "@reboot", "it has 1" },
		{ "60 * * * *", "\"60\" is not from 0 to 59, at character 1 (minute)" },
		{ "0 24 * * *", "at character 3 (hour)" },
		{ "0 0 0 * *", "\"0\" is not from 1 to 31" },
		{ "0 0 1 MAI *", "\"MAI\" is not from 1 to 12 or a name such as JAN" },
		{ "0 0 * * 8", "(weekday)" },
		{ "0 0 ? * *", "\"?\" is not from 1 to 31" },
		{ "0 0 L * *", "\"L\" is not" },
		{ "0 0 * * 5-1", "the range ends before it begins, at character 9" },
		{ "*/90 * * * *", "a step is from 1 to 59, at character 3" },
		{ "*/0 * * * *", "a step is from 1 to 59" },
		{ "1, * * * *", "(minute)" },
		{ "99999999999999999999 * * * *", "is not from 0 to 59" },
		{ "-1 * * * *", "is not from 0 to 59" },
		/* croniter#141, ccronexpr#5, cronosjs#37 */
		{ "0 0 31 2 *", "is never due: none of its months has one of its days" },
		{ "0 0 31 2,4,6 *", "is never due" },
		{ "0 0 30 2 */2", "is never due" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct cron cron;
		struct err err = { 0 };

		assert_int_equal(cron_parse(&cron, table[i].line, &err), ERR_USAGE);
		if (!strstr(err.msg, table[i].why))
			fail_msg("\"%s\": %s", table[i].line, err.msg);
	}
}

static void test_zones(void **state)
{
	static const char *const none[] = { "", "Europe/Nowhere", "/etc/passwd", "../zoneinfo/UTC",
					    "CET-1CEST", "Europe", ":UTC" };
	struct zone zone;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(zone_init(&zone, none[i], &err), ERR_USAGE);
	assert_int_equal(setenv("TZ", "Asia/Tokyo", 1), 0);
	assert_ok(zone_init(&zone, "Europe/Berlin", &err));
	zone_enter(&zone);
	assert_int_equal(zone_local(0), 3600);
	zone_leave(&zone);
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
}

/* --- the oracle -------------------------------------------------------------- */

enum { ORACLE_DAYS = 6, ORACLE_MINUTES = ORACLE_DAYS * 1440 };

/* What the clocks of the zone show in each minute. */
static void oracle_clocks(int64_t from_s, struct zone *zone, int64_t clocks[ORACLE_MINUTES])
{
	zone_enter(zone);
	for (int i = 0; i < ORACLE_MINUTES; i++)
		clocks[i] = zone_local(from_s + 60 * i);
	zone_leave(zone);
}

/* By the definition: the first minute at which the clocks have come to a time that matches. */
static void oracle_fixed(int64_t from_s, const int64_t clocks[ORACLE_MINUTES], int minute, int hour,
			 bool due[ORACLE_MINUTES])
{
	int64_t first = from_s / 86400 - 1, last = first + ORACLE_DAYS + 3;

	for (int64_t day = first; day <= last; day++) {
		int64_t wanted = day * 86400 + hour * 3600 + minute * 60;

		for (int i = 0; i < ORACLE_MINUTES; i++)
			if (clocks[i] >= wanted) {
				due[i] = due[i] || i > 0;
				break;
			}
	}
}

static void oracle_hourly(const int64_t clocks[ORACLE_MINUTES], int minute,
			  bool due[ORACLE_MINUTES])
{
	for (int i = 1; i < ORACLE_MINUTES; i++)
		due[i] = clocks[i] / 60 % 60 == minute;
}

static void test_oracle(void **state)
{
	static const struct { const char *zone, *from; } weeks[] = {
		{ "Europe/Berlin", "2026-03-26T00:00" }, { "Europe/Berlin", "2026-10-22T00:00" },
		{ "America/New_York", "2026-03-06T00:00" },
		{ "America/New_York", "2026-10-30T00:00" },
		{ "Australia/Lord_Howe", "2026-04-02T00:00" },
		{ "Australia/Lord_Howe", "2026-10-01T00:00" },
		{ "America/Santiago", "2022-09-02T00:00" }, { "America/Havana", "2026-10-29T00:00" },
		{ "UTC", "2026-03-26T00:00" },
	};
	static bool due[ORACLE_MINUTES];
	static int64_t clocks[ORACLE_MINUTES];
	struct zone zone;
	struct cron cron;
	struct err err;
	char line[32];

	(void)state;
	for (size_t w = 0; w < ARRAY_LEN(weeks); w++) {
		assert_ok(zone_init(&zone, weeks[w].zone, &err));
		oracle_clocks(utc(weeks[w].from), &zone, clocks);
		for (int n = -1; n < 4 * 48; n++) {
			int64_t from_s = utc(weeks[w].from), at_s = from_s;
			int hour = n / 48, minute = n % 48 * 5 / 4;

			memset(due, 0, sizeof(due));
			if (n < 0)
				oracle_hourly(clocks, 30, due);
			else
				oracle_fixed(from_s, clocks, minute, hour, due);
			(void)snprintf(line, sizeof(line), n < 0 ? "30 * * * *" : "%d %d * * *",
				       minute, hour);
			assert_ok(cron_parse(&cron, line, &err));
			for (int i = 1; i < ORACLE_MINUTES; i++) {
				if (!due[i])
					continue;
				at_s = cron_next(&cron, &zone, at_s);
				if (at_s != from_s + 60 * i)
					fail_msg("%s \"%s\": %lld, not %lld", weeks[w].zone, line,
						 (long long)at_s, (long long)from_s + 60 * i);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
