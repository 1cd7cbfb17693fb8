#include "gateway/velocity.h"

#include <math.h>
#include <stdlib.h>

/* The shortest digits of a number without its point; returns the exponent of the first one. */
static int split(double value, char digits[JSON_NUMBER_MAX], size_t *ret_len)
{
	char text[JSON_NUMBER_MAX + 1];
	size_t len = json_scientific(fabs(value), text);
	char *e;

	text[len] = '\0';
	e = strchr(text, 'e');
	*e = '\0';
	digits[0] = text[0];
	*ret_len = 1;
	for (char *p = text + 1; *p; p++)
		if (*p != '.')
			digits[(*ret_len)++] = *p;
	return (int)strtol(e + 1, NULL, 10);
}

/* Double.toString(): plain from 10^-3 up to 10^7, else d.ddE±n; always a digit after the point. */
static void put_java_double(struct buf *out, double value)
{
	char digits[JSON_NUMBER_MAX];
	size_t len;
	int exponent = split(value, digits, &len);
	bool plain = value == 0 || (fabs(value) >= 1e-3 && fabs(value) < 1e7);
	int whole = plain ? exponent + 1 : 1;	/* digits before the point */

	if (signbit(value))
		buf_add_char(out, '-');
	if (whole <= 0)
		buf_add(out, "0.0000", (size_t)(2 - whole));
	for (int i = 0; i < (int)len || i <= whole; i++) {
		if (i == whole && i > 0)
			buf_add_char(out, '.');
		buf_add_char(out, i < (int)len ? digits[i] : '0');
	}
	if (!plain)
		buf_addf(out, "E%d", exponent);
}

static void put_scalar(struct buf *out, struct json value)
{
	struct slice string;
	double number;

	if (json_get_string(value, &string))
		buf_add_slice(out, string);
	else if (json_type(value) == JSON_DOUBLE && json_get_double(value, &number))
		put_java_double(out, number);
	else
		buf_add_slice(out, json_text(value));
}

/* The next member of the innermost object, or its end. False: the end. */
static bool velocity_step(struct buf *out, struct json_iter *object, bool first)
{
	if (!json_next(object)) {
		buf_add_char(out, '}');
		return false;
	}
	if (!first)
		buf_add_str(out, ", ");
	buf_add_slice(out, object->key);
	buf_add_char(out, '=');
	return true;
}

/* Without recursion: how deep a value is nested is the client's choice. */
void velocity_put(struct buf *out, struct json value)
{
	struct json_iter objects[JSON_DEPTH_MAX];
	size_t depth = 0;

	for (;;) {
		bool first = json_type(value) == JSON_OBJECT;

		if (first) {
			buf_add_char(out, '{');
			objects[depth++] = json_iter(value);
		} else if (json_type(value) == JSON_ARRAY) {
			json_put(out, value);
		} else {
			put_scalar(out, value);
		}
		for (; depth && !velocity_step(out, &objects[depth - 1], first); first = false)
			depth--;
		if (depth == 0)
			return;
		value = objects[depth - 1].value;
	}
}
