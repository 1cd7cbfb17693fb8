/*
 * Lines of a crontab, and when they are due: the first byte is the zone, four the time after which
 * it is asked, the rest the line. What is due comes after that time and within 41 years, is a
 * minute of the clocks that the line's fields hold, or the minute at which they go on, and is the
 * same whatever time before it is asked from.
 */
#include "base/cron.h"
#include "fuzz.h"

#include <string.h>
#include <time.h>

static const char *const zones[] = { "UTC",
				     "Europe/Berlin",
				     "America/New_York",
				     "Australia/Lord_Howe",
				     "America/Sao_Paulo",
				     "Asia/Kathmandu" };

enum { LINE_MAX_BYTES = 256, YEARS_AHEAD = 41, DAY_S = 86400 };

static int64_t local_of(struct zone *zone, int64_t utc_s)
{
	int64_t local;

	zone_enter(zone);
	local = zone_local(utc_s);
	zone_leave(zone);
	return local;
}

static bool is_in_sets(const struct cron *cron, int64_t local_s)
{
	time_t seconds = (time_t)local_s;
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	return (cron->sets[CRON_MINUTE] >> tm.tm_min & 1) &&
	       (cron->sets[CRON_HOUR] >> tm.tm_hour & 1) &&
	       (cron->sets[CRON_MONTH] >> (tm.tm_mon + 1) & 1) &&
	       ((cron->sets[CRON_DAY] >> tm.tm_mday & 1) ||
		(cron->sets[CRON_WEEKDAY] >> tm.tm_wday & 1));
}

static void check_due(const struct cron *cron, struct zone *zone, int64_t after_s)
{
	int64_t due_s = cron_next(cron, zone, after_s), local_s = local_of(zone, due_s);
	bool goes_on = local_s - local_of(zone, due_s - 1) > 1;

	FUZZ_MUST(due_s > after_s && due_s - after_s < (int64_t)YEARS_AHEAD * 366 * DAY_S);
	FUZZ_MUST(goes_on || (local_s % 60 == 0 && is_in_sets(cron, local_s)));
	FUZZ_MUST(cron_next(cron, zone, after_s + (due_s - after_s) / 2) == due_s);
	FUZZ_MUST(cron_next(cron, zone, due_s - 1) == due_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char line[LINE_MAX_BYTES];
	struct zone zone;
	struct cron cron;
	struct err err;
	uint32_t after_s;

	if (len < 5 || len - 5 >= sizeof(line))
		return 0;
	memcpy(&after_s, data + 1, sizeof(after_s));
	memcpy(line, data + 5, len - 5);
	line[len - 5] = '\0';
	if (cron_parse(&cron, line, &err) != ERR_OK) {
		FUZZ_MUST(err.code == ERR_USAGE && *err.msg);
		return 0;
	}
	if (zone_init(&zone, zones[data[0] % (sizeof(zones) / sizeof(*zones))], &err) == ERR_OK)
		check_due(&cron, &zone, after_s);
	return 0;
}
