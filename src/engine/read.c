#include "engine/read.h"

#include "base/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

/* The bounds are those of docs/models.md, within which Spark's arithmetic (spark/functions.sql) is
 * exact, too. */
enum {
	EXPONENT_MAX = 9999,
	NUMBER_LEN_MAX = 400,
	WHOLE_DIGITS_MAX = 20,	       /* of an integer: before the point, … */
	WHOLE_DECIMALS_MAX = 18,       /* … behind it, … */
	WHOLE_EXPONENT_DIGITS_MAX = 2, /* … and of its exponent */
	COUNT_DIGITS_MAX = 18,
	COUNT_DECIMALS_MAX = 9,
	ZONE_MINUTES_MAX = 18 * 60,
};

__extension__ typedef unsigned __int128 digits_t; /* 38 digits fit */
#define DIGITS_MAX (~(digits_t)0)

/* digits * 10^exponent */
struct decimal {
	bool negative;
	bool inexact;			/* more digits than fit */
	bool shrinks;			/* its exponent has a minus */
	digits_t digits;
	int exponent;
	size_t whole_digits;	/* as written, before the point and … */
	size_t decimals;	/* … behind it, … */
	size_t exponent_digits; /* … of the exponent; 0: none is written */
};

static bool read_is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads digits at *at into the decimal; false: there is none. */
static bool take_digits(struct slice text, size_t *at, struct decimal *decimal, bool fraction)
{
	size_t start = *at;

	for (; *at < text.len && read_is_digit(text.ptr[*at]); (*at)++) {
		if (decimal->digits > (DIGITS_MAX - 9) / 10) {
			decimal->inexact = true;
			continue;
		}
		decimal->digits = decimal->digits * 10 + (unsigned)(text.ptr[*at] - '0');
		decimal->exponent -= fraction;
	}
	*(fraction ? &decimal->decimals : &decimal->whole_digits) = *at - start;
	return *at > start;
}

static bool take_exponent(struct slice text, size_t *at, struct decimal *decimal)
{
	bool negative = false;
	int exponent = 0;
	size_t start;

	if (*at < text.len && (text.ptr[*at] == '+' || text.ptr[*at] == '-'))
		negative = text.ptr[(*at)++] == '-';
	start = *at;
	for (; *at < text.len && read_is_digit(text.ptr[*at]); (*at)++)
		if (exponent < EXPONENT_MAX)
			exponent = exponent * 10 + (text.ptr[*at] - '0');
	decimal->exponent += negative ? -exponent : exponent;
	decimal->shrinks = negative;
	decimal->exponent_digits = *at - start;
	return *at > start;
}

static bool parse_decimal(struct slice text, struct decimal *ret)
{
	struct decimal decimal = { 0 };
	size_t at = 0;

	if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
		decimal.negative = text.ptr[at++] == '-';
	if (!take_digits(text, &at, &decimal, false))
		return false;
	if (at < text.len && text.ptr[at] == '.') {
		at++;
		if (!take_digits(text, &at, &decimal, true))
			return false;
	}
	if (at < text.len && (text.ptr[at] | 0x20) == 'e') {
		at++;
		if (!take_exponent(text, &at, &decimal))
			return false;
	}
	*ret = decimal;
	return at == text.len;
}

/* The number as an integer, if it is one and fits. */
static bool to_integer(struct decimal decimal, int64_t *ret)
{
	if (decimal.inexact)
		return false;
	for (; decimal.digits && decimal.exponent < 0; decimal.exponent++) {
		if (decimal.digits % 10)
			return false;
		decimal.digits /= 10;
	}
	for (; decimal.digits && decimal.exponent > 0; decimal.exponent--)
		if (__builtin_mul_overflow(decimal.digits, 10, &decimal.digits))
			return false;
	if (decimal.digits > (digits_t)INT64_MAX + decimal.negative)
		return false;
	/* Without a sign that the smallest of all could not lose. */
	*ret = (int64_t)(uint64_t)(decimal.negative ? 0 - decimal.digits : decimal.digits);
	return true;
}

bool read_long(struct slice text, int64_t *ret)
{
	struct decimal decimal;

	return parse_decimal(text, &decimal) && decimal.whole_digits <= WHOLE_DIGITS_MAX &&
	       decimal.decimals <= WHOLE_DECIMALS_MAX && !decimal.shrinks &&
	       decimal.exponent_digits <= WHOLE_EXPONENT_DIGITS_MAX && to_integer(decimal, ret);
}

bool read_int(struct slice text, int32_t *ret)
{
	int64_t value;

	if (!read_long(text, &value))
		return false;
	if (value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret = (int32_t)value;
	return true;
}

bool read_boolean(struct slice text, bool *ret)
{
	static const struct { const char *text; bool value; } words[] = {
		{ "true", true }, { "false", false }, { "1", true }, { "0", false },
		{ "t", true }, { "f", false }, { "yes", true }, { "no", false },
		{ "y", true }, { "n", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (text.len == strlen(words[i].text) &&
		    strncasecmp(text.ptr, words[i].text, text.len) == 0) {
			*ret = words[i].value;
			return true;
		}
	return false;
}

bool read_count(struct slice text, int64_t *ret)
{
	struct decimal decimal;
	int suffix = 0;

	if (text.len == 0)
		return false;
	switch (text.ptr[text.len - 1]) {
	case 'k': case 'K':
		suffix = 3;
		break;
	case 'm': case 'M':
		suffix = 6;
		break;
	default:
		break;
	}
	text.len -= suffix != 0;
	if (!parse_decimal(text, &decimal) || decimal.negative || decimal.exponent_digits > 0 ||
	    decimal.whole_digits > COUNT_DIGITS_MAX || decimal.decimals > COUNT_DECIMALS_MAX)
		return false;
	decimal.exponent += suffix;
	return to_integer(decimal, ret);
}

/* The C library's answer for what has too many digits to be exact in one multiplication. */
static bool slow_double(struct slice text, double *ret)
{
	char copy[NUMBER_LEN_MAX + 1];
	double value;

	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	value = strtod(copy, NULL);
	if (!isfinite(value))
		return false;
	*ret = value;
	return true;
}

bool read_double(struct slice text, double *ret)
{
	/* Both factors are exact doubles, so the one rounding is the right one (Clinger 1990). */
	static const double power[] = {
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
	};
	struct decimal decimal;
	double value;

	if (text.len > NUMBER_LEN_MAX || !parse_decimal(text, &decimal))
		return false;
	if (decimal.inexact || decimal.digits > (digits_t)1 << 53 || abs(decimal.exponent) > 22)
		return slow_double(text, ret);
	value = (double)decimal.digits;
	value = decimal.exponent < 0 ? value / power[-decimal.exponent] :
		value * power[decimal.exponent];
	*ret = decimal.negative ? -value : value;
	return true;
}

/* At least `min` digits at *at, at most `max`. */
static bool take_number(struct slice text, size_t *at, size_t min, size_t max, int *ret)
{
	int value = 0;
	size_t len = 0;

	for (; len < max && *at < text.len && read_is_digit(text.ptr[*at]); len++)
		value = value * 10 + (text.ptr[(*at)++] - '0');
	*ret = value;
	return len >= min;
}

static bool take_char(struct slice text, size_t *at, char c)
{
	if (*at == text.len || text.ptr[*at] != c)
		return false;
	(*at)++;
	return true;
}

static bool take_zone_name(struct slice text, size_t *at, const char *word)
{
	if (!slice_starts(slice_from(text, *at), word))
		return false;
	*at += strlen(word);
	return true;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar; years count from March. */
static bool days_of(int year, int month, int day, int64_t *ret)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	if (year < 1 || month < 1 || month > 12 || day < 1 ||
	    day > lengths[month - 1] + (leap && month == 2))
		return false;
	*ret = y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
	return true;
}

/* "08/28/2020, ", which a clock follows. */
static bool take_american_date(struct slice text, size_t *at, int64_t *ret_days)
{
	int year, month, day;

	return take_number(text, at, 2, 2, &month) && take_char(text, at, '/') &&
	       take_number(text, at, 2, 2, &day) && take_char(text, at, '/') &&
	       take_number(text, at, 4, 4, &year) && take_char(text, at, ',') &&
	       take_char(text, at, ' ') && days_of(year, month, day, ret_days);
}

/* Year first, split by - or :. A year alone, or with a month, is left to be a number or a text. */
static bool take_date(struct slice text, size_t *at, int64_t *ret_days)
{
	char separator = text.len > 4 && text.ptr[4] == ':' ? ':' : '-';
	int year, month, day;

	return take_number(text, at, 4, 4, &year) && take_char(text, at, separator) &&
	       take_number(text, at, 1, 2, &month) && take_char(text, at, separator) &&
	       take_number(text, at, 1, 2, &day) && days_of(year, month, day, ret_days);
}

static bool take_fraction(struct slice text, size_t *at, int64_t *ret_us)
{
	int64_t unit_us = 100000;

	if (!take_char(text, at, '.'))
		return true;
	if (*at == text.len || !read_is_digit(text.ptr[*at]))
		return false;
	for (; *at < text.len && read_is_digit(text.ptr[*at]); unit_us /= 10)
		*ret_us += unit_us * (text.ptr[(*at)++] - '0');
	return true;
}

/* Hours, minutes, and perhaps seconds and a fraction of one. */
static bool take_clock(struct slice text, size_t *at, int64_t *ret_us)
{
	int hour, minute, second = 0;
	int64_t fraction_us = 0;

	if (!take_number(text, at, 1, 2, &hour) || !take_char(text, at, ':') ||
	    !take_number(text, at, 1, 2, &minute))
		return false;
	if (take_char(text, at, ':') && (!take_number(text, at, 1, 2, &second) ||
					 !take_fraction(text, at, &fraction_us)))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*ret_us = (hour * INT64_C(3600) + minute * 60 + second) * 1000000 + fraction_us;
	return true;
}

/* What the zone is ahead of UTC; nothing there: 0. */
static bool take_zone(struct slice text, size_t *at, int64_t *ret_us)
{
	int hour, minute = 0;
	bool behind;

	*ret_us = 0;
	if (*at < text.len)
		(void)take_char(text, at, ' ');
	if (*at == text.len || take_char(text, at, 'Z') || take_zone_name(text, at, "UTC") ||
	    take_zone_name(text, at, "GMT"))
		return true;
	behind = take_char(text, at, '-');
	if ((!behind && !take_char(text, at, '+')) || !take_number(text, at, 1, 2, &hour))
		return false;
	if ((take_char(text, at, ':') || *at < text.len) && !take_number(text, at, 2, 2, &minute))
		return false;
	if (minute > 59 || hour * 60 + minute > ZONE_MINUTES_MAX)
		return false;
	*ret_us = (hour * INT64_C(3600) + minute * 60) * 1000000;
	if (behind)
		*ret_us = -*ret_us;
	return true;
}

static struct slice without_blanks(struct slice text)
{
	while (text.len && isspace((unsigned char)text.ptr[0]))
		text = slice_from(text, 1);
	while (text.len && isspace((unsigned char)text.ptr[text.len - 1]))
		text.len--;
	return text;
}

bool read_timestamp(struct slice text, int64_t *ret_us)
{
	int64_t days, clock_us = 0, zone_us = 0;
	size_t at = 0;
	bool american;

	text = without_blanks(text);
	american = text.len > 2 && text.ptr[2] == '/';
	if (!(american ? take_american_date : take_date)(text, &at, &days))
		return false;
	if (american || at < text.len) {
		if (!american && !take_char(text, &at, ' ') && !take_char(text, &at, 'T'))
			return false;
		if (!take_clock(text, &at, &clock_us) || !take_zone(text, &at, &zone_us))
			return false;
	}
	if (at != text.len)
		return false;
	*ret_us = days * INT64_C(86400000000) + clock_us - zone_us;
	return true;
}
