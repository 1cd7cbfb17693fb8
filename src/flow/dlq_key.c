#include "flow/dlq_key.h"

#include "flow/lake.h"

#include <inttypes.h>

static const char none[] = "none";
static const char extension[] = ".ndjson";

struct dlq_range dlq_range_of(const struct position *from, struct position upto)
{
	struct dlq_range range = { .begins = !from, .upto = upto };

	if (from)
		range.from = *from;
	return range;
}

int dlq_range_cmp(const struct dlq_range *a, const struct dlq_range *b)
{
	int order = (int)b->begins - (int)a->begins;

	if (order == 0 && !a->begins)
		order = position_cmp(a->from, b->from);
	return order ? order : position_cmp(a->upto, b->upto);
}

void dlq_key_dir(struct buf *out, const struct dlq_place *place)
{
	char part[PARTITION_TEXT_MAX];

	(void)partition_text(place->topic.kind, place->partition, part);
	buf_clear(out);
	buf_addf(out, "dlq/%s/", place->topic.name);
	if (place->generation > 1)
		buf_addf(out, "generation=%" PRIu32 "/", place->generation);
	buf_addf(out, "partition=%s/", part);
}

void dlq_key_put(struct buf *out, const struct dlq_place *place, const struct dlq_range *range,
		 uint32_t number, const char *table)
{
	char from[POSITION_TEXT_MAX], upto[POSITION_TEXT_MAX];

	(void)position_text(range->from, from);
	(void)position_text(range->upto, upto);
	dlq_key_dir(out, place);
	buf_addf(out, "%s-%s", range->begins ? none : from, upto);
	if (number > 1)
		buf_addf(out, ".%" PRIu32, number);
	buf_addf(out, "%s%s%s", table ? "+" : "", table ? table : "", extension);
}

bool dlq_key_is_of(const struct dlq_key *key, const char *table)
{
	return table ? slice_is(key->table, table) : key->table.ptr == NULL;
}

/* The text before a mark; `rest` moves behind it. False: the mark is not there. */
static bool dlq_key_take(struct slice *rest, char mark, struct slice *ret)
{
	const char *at = rest->len ? memchr(rest->ptr, mark, rest->len) : NULL;

	if (!at)
		return false;
	*ret = slice_of(rest->ptr, (size_t)(at - rest->ptr));
	*rest = slice_from(*rest, ret->len + 1);
	return true;
}

static bool dlq_key_parse_u64(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len == 0 || text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*ret = value;
	return true;
}

/* Ten digits or, without a zero in front, more. */
static bool parse_start(struct slice text, uint64_t *ret)
{
	return text.len >= 10 && (text.len == 10 || text.ptr[0] != '0') &&
	       dlq_key_parse_u64(text, ret);
}

/* "<topic>+<p>+<start>", which begins with what the directory says. */
static bool parse_old(struct slice name, struct dlq_key *key)
{
	struct slice text, rest = name;

	if (!dlq_key_take(&rest, '+', &text) || !slice_eq(text, key->topic) ||
	    !dlq_key_take(&rest, '+', &text) || !slice_eq(text, key->partition) ||
	    !parse_start(rest, &key->start))
		return false;
	key->old = true;
	return true;
}

/* A position in the one form that it is written in. */
static bool parse_position(struct slice text, struct position *ret)
{
	char again[POSITION_TEXT_MAX];

	return position_parse(text, ret) && position_text(*ret, again) == text.len &&
	       memcmp(again, text.ptr, text.len) == 0;
}

/* "<from>-<upto>[.<number>]" */
static bool parse_range(struct slice name, struct dlq_key *key)
{
	struct dlq_range *range = &key->range;
	struct slice from, upto, rest = name;
	uint64_t number = 1;

	if (!dlq_key_take(&rest, '-', &from))
		return false;
	if (!dlq_key_take(&rest, '.', &upto))
		upto = rest;
	else if (!dlq_key_parse_u64(rest, &number) || number < 2 || number > UINT32_MAX ||
		 rest.ptr[0] == '0')
		return false;
	key->number = (uint32_t)number;
	range->begins = slice_is(from, none);
	return parse_position(upto, &range->upto) &&
	       (range->begins || (parse_position(from, &range->from) &&
				  position_cmp(range->from, range->upto) <= 0));
}

static bool dlq_key_parse_name(struct slice name, struct dlq_key *key)
{
	struct slice rest = name, whole = name;

	if (parse_old(name, key) || parse_range(name, key))
		return true;
	/* Neither: a table comes behind it. A name of a topic or a table has no "+" in it. */
	for (size_t i = name.len; i > 0 && !key->table.ptr; i--)
		if (name.ptr[i - 1] == '+') {
			key->table = slice_from(rest, i);
			whole = slice_of(name.ptr, i - 1);
		}
	return key->table.len > 0 && (parse_old(whole, key) || parse_range(whole, key));
}

/* "generation=<g>/", g from 2 on; nothing: the first. */
static bool dlq_key_take_generation(struct slice *rest, uint32_t *ret)
{
	static const char name[] = "generation=";
	struct slice text;
	uint64_t value;

	*ret = 1;
	if (!slice_starts(*rest, name))
		return true;
	*rest = slice_from(*rest, sizeof(name) - 1);
	if (!dlq_key_take(rest, '/', &text) || !dlq_key_parse_u64(text, &value) ||
	    text.ptr[0] == '0' || value < 2 || value > LAKE_GENERATIONS_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

bool dlq_key_parse(const char *key, struct dlq_key *ret)
{
	size_t len = strlen(key), tail = sizeof(extension) - 1;
	struct dlq_key parsed = { .number = 1 };
	struct slice rest, text;

	if (len < tail || strcmp(key + len - tail, extension) != 0)
		return false;
	rest = slice_of(key, len - tail);
	if (!dlq_key_take(&rest, '/', &text) || !slice_is(text, "dlq") ||
	    !dlq_key_take(&rest, '/', &parsed.topic) ||
	    !dlq_key_take_generation(&rest, &parsed.generation) ||
	    !dlq_key_take(&rest, '=', &text) || !slice_is(text, "partition") ||
	    !dlq_key_take(&rest, '/', &parsed.partition) || parsed.topic.len == 0 ||
	    parsed.partition.len == 0 || memchr(rest.ptr, '/', rest.len) ||
	    !dlq_key_parse_name(rest, &parsed))
		return false;
	*ret = parsed;
	return true;
}
