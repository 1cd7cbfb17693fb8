#include "delta/delta_interval.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name; /* an "s" may follow */
	int64_t us;
};

/* The largest first: a text is put in the first of which it is a whole number. */
static const struct unit units[] = {
	{ "week", INT64_C(604800000000) },
	{ "day", INT64_C(86400000000) },
	{ "hour", INT64_C(3600000000) },
	{ "minute", 60000000 },
	{ "second", 1000000 },
	{ "millisecond", 1000 },
	{ "microsecond", 1 },
};

enum { WORD_SIZE = 24 };

/* The next word, in lower case, or what there is room for of it; "": there is none. */
static void interval_word(struct slice *text, char word[static WORD_SIZE])
{
	size_t len = 0;

	while (text->len > 0 && isspace((unsigned char)*text->ptr))
		*text = slice_from(*text, 1);
	for (; text->len > 0 && !isspace((unsigned char)*text->ptr); *text = slice_from(*text, 1))
		if (len < WORD_SIZE - 1)
			word[len++] = (char)tolower((unsigned char)*text->ptr);
	word[len] = '\0';
}

static bool interval_number(const char *word, int64_t *ret)
{
	const char *digits = word + (*word == '-' || *word == '+');
	size_t count = strspn(digits, "0123456789");

	if (count == 0 || count > 18 || digits[count] != '\0')
		return false;
	*ret = strtoll(word, NULL, 10);
	return true;
}

static bool interval_unit(const char *word, int64_t *ret_us)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(word, units[i].name, len) != 0 ||
		    (strcmp(word + len, "") != 0 && strcmp(word + len, "s") != 0))
			continue;
		*ret_us = units[i].us;
		return true;
	}
	return false;
}

bool delta_interval_parse(struct slice text, int64_t *ret_ms)
{
	int64_t sum = 0;
	char word[WORD_SIZE];
	bool any = false;

	interval_word(&text, word);
	if (strcmp(word, "interval") == 0)
		interval_word(&text, word);
	while (*word) {
		int64_t number, us;

		if (!interval_number(word, &number))
			return false;
		interval_word(&text, word);
		if (!interval_unit(word, &us) || __builtin_mul_overflow(number, us, &us) ||
		    __builtin_add_overflow(sum, us, &sum))
			return false;
		any = true;
		interval_word(&text, word);
	}
	if (!any || sum < 0)
		return false;
	*ret_ms = sum / 1000;
	return true;
}

void delta_interval_put(struct buf *out, int64_t ms)
{
	const struct unit *unit = units;

	while (unit->us > 1000 && (ms == 0 || ms % (unit->us / 1000) != 0))
		unit++;
	buf_addf(out, "interval %" PRId64 " %s%s", ms / (unit->us / 1000), unit->name,
		 ms == unit->us / 1000 ? "" : "s");
}
