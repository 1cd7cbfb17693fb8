/*
 * cron.h - when a line of a crontab is due, "minute hour day month weekday".
 *
 *	field	values		names		a field is a list, with commas, of
 *	minute	0-59				*	a	a-b	each with /step or not
 *	hour	0-23				("5/15": from 5 to the end)
 *	day	1-31
 *	month	1-12		JAN-DEC
 *	weekday	0-7		SUN-SAT		0 and 7 are Sunday, so FRI-SUN is a range
 *
 * or @hourly @daily @midnight @weekly @monthly @yearly @annually.
 *
 * As Vixie's cron has it: where day and weekday are both restricted one of them is enough; a field
 * that begins with * restricts nothing, so that of every other day and a weekday both must hold.
 *
 * What is due is what the clocks of a zone show:
 *	1. A time that they leave out is due when they go on, one that they show twice the first time.
 *	2. But of a line whose hours begin with * every minute counts that matches, shown twice or
 *	   left out.
 *	3. Between two calls that ask for what comes after the one before, none is lost or doubled.
 */
#ifndef BASE_CRON_H
#define BASE_CRON_H

#include "base/zone.h"

#include <stdbool.h>

enum { CRON_MINUTE, CRON_HOUR, CRON_DAY, CRON_MONTH, CRON_WEEKDAY, CRON_FIELDS };

struct cron {
	uint64_t sets[CRON_FIELDS];	/* bit n: the value n; Sunday is 0 */
	bool stars[CRON_FIELDS];	/* it begins with * */
};

/* ERR_USAGE: it is no such line, and where; or no day is ever due ("0 0 31 2 *"). */
MUST_USE enum err_code cron_parse(struct cron *cron, const char *text, struct err *err);
/* The first second after `after_s` (since 1970, UTC) at which it is due; never more than 41 years
 * ahead. */
int64_t cron_next(const struct cron *cron, struct zone *zone, int64_t after_s);

#endif
