#include "base/cron.h"

#include "base/mem.h"
#include "base/slice.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MINUTE_S = 60, DAY_S = 86400, WEEKDAY_OF_1970 = 4 };

/* A Feb 29 that must be a certain weekday comes after 28 years, or 40 around a year as 2100. */
#define CRON_AHEAD_S ((int64_t)41 * 366 * DAY_S)

static const char *const month_names[] = { "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
					   "AUG", "SEP", "OCT", "NOV", "DEC", NULL };
static const char *const weekday_names[] = { "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT",
					     NULL };

static const struct field {
	const char *name;
	int least, most;
	const char *const *names;	/* of the values from `least` on, or NULL */
} fields[CRON_FIELDS] = {
	[CRON_MINUTE] = { "minute", 0, 59, NULL },
	[CRON_HOUR] = { "hour", 0, 23, NULL },
	[CRON_DAY] = { "day of the month", 1, 31, NULL },
	[CRON_MONTH] = { "month", 1, 12, month_names },
	[CRON_WEEKDAY] = { "weekday", 0, 7, weekday_names },
};

static const struct { const char *word, *line; } shorthands[] = {
	{ "@hourly", "0 * * * *" },  { "@daily", "0 0 * * *" },	  { "@midnight", "0 0 * * *" },
	{ "@weekly", "0 0 * * 0" },  { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
};

/* --- reading --------------------------------------------------------------- */

/* Where reading is. */
struct cron_reader {
	const char *text;
	const char *at;
	const struct field *field;
};

static enum err_code cron_refuse(const struct cron_reader *reader, const char *at, const char *why,
				 struct err *err)
{
	return err_set(err, ERR_USAGE, "\"%.80s\" is no cron expression: %s, at character %zu (%s)",
		       reader->text, why, (size_t)(at - reader->text) + 1, reader->field->name);
}

static enum err_code cron_refuse_value(const struct cron_reader *reader, const char *at,
				       struct err *err)
{
	const struct field *field = reader->field;
	char why[160];

	(void)snprintf(why, sizeof(why), "\"%.*s\" is not from %d to %d%s%s",
		       (int)strcspn(at, " \t,-/") > 20 ? 20 : (int)strcspn(at, " \t,-/"), at,
		       field->least, field->most, field->names ? " or a name such as " : "",
		       field->names ? field->names[0] : "");
	return cron_refuse(reader, at, why, err);
}

/* Digits; more than any field takes are 1000. */
static bool cron_number(struct cron_reader *reader, int *ret_value)
{
	const char *start = reader->at;
	int value = 0;

	for (; isdigit((unsigned char)*reader->at); reader->at++)
		if (value < 1000)
			value = 10 * value + (*reader->at - '0');
	*ret_value = value;
	return reader->at > start;
}

static bool cron_name(struct cron_reader *reader, int *ret_value)
{
	const struct field *field = reader->field;

	for (int i = 0; field->names && field->names[i]; i++) {
		if (strncasecmp(reader->at, field->names[i], 3) != 0 ||
		    isalnum((unsigned char)reader->at[3]))
			continue;
		reader->at += 3;
		*ret_value = field->least + i;
		return true;
	}
	return false;
}

static enum err_code cron_value(struct cron_reader *reader, int *ret_value, struct err *err)
{
	const struct field *field = reader->field;
	const char *start = reader->at;
	int value;

	if (!cron_number(reader, &value) && !cron_name(reader, &value))
		return cron_refuse_value(reader, start, err);
	if (value < field->least || value > field->most)
		return cron_refuse_value(reader, start, err);
	*ret_value = value;
	return ERR_OK;
}

/* The first and the last of "*", "a", "a-b", and of "a/…". */
static enum err_code cron_range(struct cron_reader *reader, int *ret_first, int *ret_last,
				struct err *err)
{
	const struct field *field = reader->field;
	const char *start = reader->at;

	if (*reader->at == '*') {
		reader->at++;
		*ret_first = field->least;
		*ret_last = field == &fields[CRON_WEEKDAY] ? 6 : field->most;
		return ERR_OK;
	}
	if (cron_value(reader, ret_first, err) != ERR_OK)
		return err->code;
	*ret_last = *reader->at == '/' ? field->most : *ret_first;
	if (*reader->at != '-')
		return ERR_OK;
	reader->at++;
	if (cron_value(reader, ret_last, err) != ERR_OK)
		return err->code;
	if (field == &fields[CRON_WEEKDAY] && *ret_last == 0 && *ret_first > 0)
		*ret_last = 7;	/* a week that ends with Sunday */
	if (*ret_last < *ret_first)
		return cron_refuse(reader, start, "the range ends before it begins", err);
	return ERR_OK;
}

/* A step over all of the field would be taken for "every 90 minutes", which no cron can say. */
static enum err_code cron_step(struct cron_reader *reader, int *ret_step, struct err *err)
{
	const char *start;
	char why[80];

	*ret_step = 1;
	if (*reader->at != '/')
		return ERR_OK;
	start = ++reader->at;
	if (cron_number(reader, ret_step) && *ret_step > 0 && *ret_step <= reader->field->most)
		return ERR_OK;
	(void)snprintf(why, sizeof(why), "a step is from 1 to %d", reader->field->most);
	return cron_refuse(reader, start, why, err);
}

/* One field, up to the blank behind it. */
static enum err_code cron_read_field(struct cron_reader *reader, uint64_t *ret_set, struct err *err)
{
	const char *start;
	int first = 0, last = 0, step = 1;

	for (;; reader->at++) {
		start = reader->at;
		if (cron_range(reader, &first, &last, err) != ERR_OK ||
		    cron_step(reader, &step, err) != ERR_OK)
			return err->code;
		for (int value = first; value <= last; value += step)
			*ret_set |= (uint64_t)1 << value;
		if (*reader->at != ',')
			break;
	}
	if (*reader->at && *reader->at != ' ' && *reader->at != '\t')
		return cron_refuse_value(reader, start, err);
	return ERR_OK;
}

static size_t cron_count_fields(const char *text)
{
	size_t count = 0;

	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		text += strcspn(text, " \t");
		count++;
	}
	return count;
}

static enum err_code cron_read_fields(struct cron *cron, const char *text, struct err *err)
{
	struct cron_reader reader = { .text = text, .at = text };

	for (int i = 0; i < CRON_FIELDS; i++) {
		reader.field = &fields[i];
		reader.at += strspn(reader.at, " \t");
		cron->stars[i] = *reader.at == '*';
		if (cron_read_field(&reader, &cron->sets[i], err) != ERR_OK)
			return err->code;
	}
	if (cron->sets[CRON_WEEKDAY] >> 7 & 1)
		cron->sets[CRON_WEEKDAY] |= 1;
	return ERR_OK;
}

static bool cron_has(const struct cron *cron, int field, int value)
{
	return cron->sets[field] >> value & 1;
}

static bool cron_needs_both(const struct cron *cron)
{
	return cron->stars[CRON_DAY] || cron->stars[CRON_WEEKDAY];
}

/* A weekday comes in each month; a day not. */
static bool cron_can_be(const struct cron *cron)
{
	static const int days[] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	for (int month = 1; month <= 12; month++)
		for (int day = 1; day <= days[month]; day++)
			if (cron_has(cron, CRON_MONTH, month) && cron_has(cron, CRON_DAY, day))
				return true;
	return !cron_needs_both(cron);
}

enum err_code cron_parse(struct cron *cron, const char *text, struct err *err)
{
	struct cron parsed = { 0 };
	const char *line = text;
	size_t count;

	for (size_t i = 0; i < ARRAY_LEN(shorthands); i++)
		if (strcasecmp(text, shorthands[i].word) == 0)
			line = shorthands[i].line;
	count = cron_count_fields(line);
	if (count != CRON_FIELDS)
		return err_set(err, ERR_USAGE,
			       "\"%.80s\" is no cron expression: five fields are wanted (minute hour "
			       "day month weekday; none of seconds), or @hourly, @daily, @weekly, "
			       "@monthly, @yearly; it has %zu", text, count);
	if (cron_read_fields(&parsed, line, err) != ERR_OK)
		return err->code;
	if (!cron_can_be(&parsed))
		return err_set(err, ERR_USAGE,
			       "\"%.80s\" is never due: none of its months has one of its days", text);
	*cron = parsed;
	return ERR_OK;
}

/* --- what is due ------------------------------------------------------------- */

static int64_t cron_floor(int64_t value, int64_t unit)
{
	int64_t rest = value % unit;

	return value - (rest < 0 ? rest + unit : rest);
}

/* The day and the month of a day since 1970: Howard Hinnant's civil_from_days. */
static void cron_date(int64_t day, int *ret_month, int *ret_day)
{
	int64_t shifted = day + 719468;	/* from the first of March of the year 0 on */
	int64_t era_day = shifted - cron_floor(shifted, 146097);
	int64_t year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	int64_t year_day = era_day - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * year_day + 2) / 153;

	*ret_day = (int)(year_day - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
}

static bool cron_has_day(const struct cron *cron, int64_t local_s)
{
	int64_t days = cron_floor(local_s, DAY_S) / DAY_S;
	int64_t sunday = days + WEEKDAY_OF_1970;
	int month, day, weekday = (int)(sunday - cron_floor(sunday, 7));
	bool by_day, by_weekday;

	cron_date(days, &month, &day);
	by_day = cron_has(cron, CRON_DAY, day);
	by_weekday = cron_has(cron, CRON_WEEKDAY, weekday);
	return cron_has(cron, CRON_MONTH, month) &&
	       (cron_needs_both(cron) ? by_day && by_weekday : by_day || by_weekday);
}

static bool cron_has_minute(const struct cron *cron, int64_t local_s)
{
	int64_t second = local_s - cron_floor(local_s, DAY_S);

	return cron_has(cron, CRON_HOUR, (int)(second / 3600)) &&
	       cron_has(cron, CRON_MINUTE, (int)(second / MINUTE_S % 60)) &&
	       cron_has_day(cron, local_s);
}

/* The walk minute by minute, and over days on which nothing is due and no clock is set. */
struct cron_walk {
	const struct cron *cron;
	int64_t at_s;	 /* UTC */
	int64_t local_s; /* what the clocks show then */
	int64_t shown_s; /* the latest that they have shown before */
};

static void cron_walk_to(struct cron_walk *walk, int64_t at_s)
{
	walk->at_s = at_s;
	walk->local_s = cron_floor(zone_local(at_s), MINUTE_S);
}

/* Of a line of fixed hours what counts is the first time that the clocks show a minute, or go past
 * it. */
static bool cron_is_due(const struct cron_walk *walk)
{
	const struct cron *cron = walk->cron;

	if (cron->stars[CRON_HOUR])
		return cron_has_minute(cron, walk->local_s);
	for (int64_t s = walk->shown_s + MINUTE_S; s <= walk->local_s; s += MINUTE_S)
		if (cron_has_minute(cron, s))
			return true;
	return false;
}

static bool clocks_are_set(int64_t from_s, int64_t upto_s)
{
	return zone_local(upto_s) - zone_local(from_s) != upto_s - from_s;
}

static void cron_walk_on(struct cron_walk *walk)
{
	int64_t since_s = walk->local_s - cron_floor(walk->local_s, DAY_S);
	int64_t midnight_s = walk->at_s + DAY_S - since_s;
	bool over = !cron_has_day(walk->cron, walk->local_s) &&
		    walk->shown_s <= walk->local_s && !clocks_are_set(walk->at_s, midnight_s);

	if (walk->shown_s < walk->local_s)
		walk->shown_s = walk->local_s;
	if (over)
		walk->shown_s += midnight_s - walk->at_s - MINUTE_S;
	cron_walk_to(walk, over ? midnight_s : walk->at_s + MINUTE_S);
}

int64_t cron_next(const struct cron *cron, struct zone *zone, int64_t after_s)
{
	struct cron_walk walk = { .cron = cron };
	int64_t from_s = cron_floor(after_s, MINUTE_S);

	zone_enter(zone);
	/* What the clocks have shown is known from a day before they were last set. */
	if (clocks_are_set(from_s - DAY_S, from_s))
		from_s -= 2 * (int64_t)DAY_S;
	cron_walk_to(&walk, from_s);
	walk.shown_s = walk.local_s - MINUTE_S;
	while (walk.at_s <= after_s || !cron_is_due(&walk)) {
		if (walk.at_s - after_s > CRON_AHEAD_S)
			break;
		cron_walk_on(&walk);
	}
	zone_leave(zone);
	return walk.at_s;
}
