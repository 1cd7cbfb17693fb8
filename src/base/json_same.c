#include "base/json_same.h"

enum { MEMBERS_MAX = 10000 }; /* each is looked for among all */

/* Values nest no deeper than JSON_DEPTH_MAX, so that the functions here may call each other. */

static bool same_numbers(struct json a, struct json b)
{
	int64_t x, y;
	double p, q;

	if (json_get_i64(a, &x) && json_get_i64(b, &y))
		return x == y;
	if (json_get_double(a, &p) && json_get_double(b, &q))
		return p <= q && p >= q;
	return slice_eq(json_text(a), json_text(b));
}

static bool same_arrays(struct json a, struct json b)
{
	struct json_iter x = json_iter(a), y = json_iter(b);

	if (json_count(a) != json_count(b))
		return false;
	while (json_next(&x) && json_next(&y))
		if (!json_same(x.value, y.value))
			return false;
	return true;
}

static bool last_member(struct json object, struct slice name, struct json *ret)
{
	bool found = false;

	for (struct json_iter iter = json_iter(object); json_next(&iter);)
		if (slice_eq(iter.key, name)) {
			*ret = iter.value;
			found = true;
		}
	return found;
}

/* Every member of `a` is in `b`, and the same there. */
static bool has_members(struct json a, struct json b)
{
	for (struct json_iter iter = json_iter(a); json_next(&iter);) {
		struct json x, y;

		if (!last_member(a, iter.key, &x) || !last_member(b, iter.key, &y) ||
		    !json_same(x, y))
			return false;
	}
	return true;
}

static bool same_names(struct json a, struct json b)
{
	for (struct json_iter iter = json_iter(a); json_next(&iter);) {
		struct json unused;

		if (!last_member(b, iter.key, &unused))
			return false;
	}
	return true;
}

static bool means_number(enum json_type type)
{
	return type == JSON_INT || type == JSON_UINT || type == JSON_DOUBLE || type == JSON_BIG;
}

bool json_same(struct json a, struct json b)
{
	enum json_type type = json_type(a);
	struct slice x, y;
	bool p, q;

	if (means_number(type) && means_number(json_type(b)))
		return same_numbers(a, b);
	if (type != json_type(b))
		return false;
	switch (type) {
	case JSON_BOOL:
		return json_get_bool(a, &p) && json_get_bool(b, &q) && p == q;
	case JSON_STRING:
		return json_get_string(a, &x) && json_get_string(b, &y) && slice_eq(x, y);
	case JSON_ARRAY:
		return same_arrays(a, b);
	case JSON_OBJECT:
		return json_count(a) <= MEMBERS_MAX && json_count(b) <= MEMBERS_MAX &&
		       same_names(b, a) && has_members(a, b);
	default:
		return true;
	}
}
