#include "source/mysql_text.h"

#include "base/json.h"
#include "base/mem.h"

#include <ctype.h>

enum {
	BINARY_CHARSET = 63,
	DIGITS_MAX = 100,     /* of a DECIMAL, which has 65 */
	NUMBER_LEN_MAX = 400, /* of a DOUBLE(255, 30), say */
	MICRO_DIGITS = 6,
	SECONDS_LEN = 19,
};

static const struct mysql_type {
	enum enum_field_types type;
	enum mysql_form form;
	const char *name;
} mysql_types[] = {
	{ MYSQL_TYPE_TINY, MYSQL_FORM_INT, "TINYINT" },
	{ MYSQL_TYPE_SHORT, MYSQL_FORM_INT, "SMALLINT" },
	{ MYSQL_TYPE_INT24, MYSQL_FORM_INT, "MEDIUMINT" },
	{ MYSQL_TYPE_LONG, MYSQL_FORM_INT, "INT" },
	{ MYSQL_TYPE_LONGLONG, MYSQL_FORM_INT, "BIGINT" },
	{ MYSQL_TYPE_YEAR, MYSQL_FORM_INT, "YEAR" },
	{ MYSQL_TYPE_FLOAT, MYSQL_FORM_DOUBLE, "FLOAT" },
	{ MYSQL_TYPE_DOUBLE, MYSQL_FORM_DOUBLE, "DOUBLE" },
	{ MYSQL_TYPE_DECIMAL, MYSQL_FORM_DECIMAL, "DECIMAL" },
	{ MYSQL_TYPE_NEWDECIMAL, MYSQL_FORM_DECIMAL, "DECIMAL" },
	{ MYSQL_TYPE_DATETIME, MYSQL_FORM_TIME, "DATETIME" },
	{ MYSQL_TYPE_TIMESTAMP, MYSQL_FORM_TIME, "TIMESTAMP" },
	{ MYSQL_TYPE_DATE, MYSQL_FORM_TEXT, "DATE" },
	{ MYSQL_TYPE_NEWDATE, MYSQL_FORM_TEXT, "DATE" },
	{ MYSQL_TYPE_JSON, MYSQL_FORM_TEXT, "JSON" },
	{ MYSQL_TYPE_NULL, MYSQL_FORM_TEXT, "NULL" },
	{ MYSQL_TYPE_TIME, MYSQL_FORM_NONE, "TIME" },
	{ MYSQL_TYPE_BIT, MYSQL_FORM_NONE, "BIT" },
	{ MYSQL_TYPE_GEOMETRY, MYSQL_FORM_NONE, "GEOMETRY" },
};

static const struct mysql_type *find_type(const MYSQL_FIELD *field)
{
	static const struct mysql_type text = { 0, MYSQL_FORM_TEXT, "TEXT" };
	static const struct mysql_type binary = { 0, MYSQL_FORM_NONE, "BINARY" };
	static const struct mysql_type blob = { 0, MYSQL_FORM_NONE, "BLOB" };

	for (size_t i = 0; i < ARRAY_LEN(mysql_types); i++)
		if (mysql_types[i].type == field->type)
			return &mysql_types[i];
	if (field->charsetnr != BINARY_CHARSET)
		return &text;
	return field->type == MYSQL_TYPE_STRING || field->type == MYSQL_TYPE_VAR_STRING ||
			       field->type == MYSQL_TYPE_VARCHAR ? &binary : &blob;
}

enum mysql_form mysql_form_of(const MYSQL_FIELD *field) { return find_type(field)->form; }
const char *mysql_type_name(const MYSQL_FIELD *field) { return find_type(field)->name; }

/* Without the zeros before it that ZEROFILL shows. */
static void put_whole(struct buf *out, struct slice text)
{
	if (text.len > 0 && *text.ptr == '-') {
		buf_add_char(out, '-');
		text = slice_from(text, 1);
	}
	while (text.len > 1 && *text.ptr == '0')
		text = slice_from(text, 1);
	buf_add_slice(out, text);
}

static void put_zeros(struct buf *out, int count)
{
	while (count-- > 0)
		buf_add_char(out, '0');
}

/* `point` of the digits, or of the zeros around them, stand before the dot. */
static void mysql_put_plain(struct buf *out, struct slice digits, int point)
{
	int count = (int)digits.len;

	if (point <= 0) {
		buf_add_str(out, "0.");
		put_zeros(out, -point);
		buf_add_slice(out, digits);
		return;
	}
	buf_add(out, digits.ptr, (size_t)(point < count ? point : count));
	put_zeros(out, point - count);
	buf_add_char(out, '.');
	if (point < count)
		buf_add_slice(out, slice_from(digits, (size_t)point));
	else
		buf_add_char(out, '0');
}

/* As repr(float(text)): with an exponent below 1e-4 and from 1e16 on. */
static void mysql_put_double(struct buf *out, struct slice text)
{
	char number[NUMBER_LEN_MAX + 1], shortest[JSON_NUMBER_MAX], digits[JSON_NUMBER_MAX];
	size_t len, count = 0;
	int exponent;
	double value;

	(void)snprintf(number, sizeof(number), "%.*s", SLICE_ARG(text));
	value = strtod(number, NULL);
	if (value == 0) {
		buf_add_str(out, *number == '-' ? "-0.0" : "0.0");
		return;
	}
	len = json_scientific(value, shortest);
	shortest[len] = '\0';
	exponent = (int)strtol(strchr(shortest, 'e') + 1, NULL, 10);
	if (exponent < -4 || exponent >= 16) {
		buf_add(out, shortest, len);
		return;
	}
	for (const char *c = shortest; *c != 'e'; c++)
		if (isdigit((unsigned char)*c))
			digits[count++] = *c;
	if (value < 0)
		buf_add_char(out, '-');
	mysql_put_plain(out, slice_of(digits, count), exponent + 1);
}

/* As str(Decimal(text)): with an exponent where more than five zeros would follow "0.". */
static void put_decimal(struct buf *out, struct slice text)
{
	const char *dot = text.len > 0 ? memchr(text.ptr, '.', text.len) : NULL;
	int scale = dot ? (int)(text.len - 1 - (size_t)(dot - text.ptr)) : 0;
	char digits[DIGITS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < text.len && count < DIGITS_MAX; i++)
		if (isdigit((unsigned char)text.ptr[i]) && (text.ptr[i] != '0' || count > 0))
			digits[count++] = text.ptr[i];
	if (count == 0)
		digits[count++] = '0';
	if ((int)count - 1 - scale >= -6) {
		buf_addf(out, "\"%.*s\"", SLICE_ARG(text));
		return;
	}
	buf_addf(out, "\"%s%c", *text.ptr == '-' ? "-" : "", digits[0]);
	if (count > 1)
		buf_addf(out, ".%.*s", (int)count - 1, digits + 1);
	buf_addf(out, "E%d\"", (int)count - 1 - scale);
}

static bool is_zeros(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '0')
			return false;
	return true;
}

/* "2020-00-10 …" is no date, and stays as it is. */
static bool is_date(struct slice text)
{
	return !is_zeros(slice_of(text.ptr, 4)) && !is_zeros(slice_of(text.ptr + 5, 2)) &&
	       !is_zeros(slice_of(text.ptr + 8, 2));
}

static void mysql_put_time(struct buf *out, struct slice text)
{
	buf_add_char(out, '"');
	if (text.len <= SECONDS_LEN + 1 || !is_date(text)) {
		buf_add_slice(out, text);
	} else if (is_zeros(slice_from(text, SECONDS_LEN + 1))) {
		buf_add(out, text.ptr, SECONDS_LEN);
	} else {
		buf_add_slice(out, text);
		put_zeros(out, MICRO_DIGITS - (int)(text.len - SECONDS_LEN - 1));
	}
	buf_add_char(out, '"');
}

void mysql_text_put(struct buf *out, enum mysql_form form, struct slice text)
{
	if (!text.ptr)
		buf_add_str(out, "null");
	else if (form == MYSQL_FORM_INT)
		put_whole(out, text);
	else if (form == MYSQL_FORM_DOUBLE)
		mysql_put_double(out, text);
	else if (form == MYSQL_FORM_DECIMAL)
		put_decimal(out, text);
	else if (form == MYSQL_FORM_TIME)
		mysql_put_time(out, text);
	else
		json_put_string(out, text);
}
