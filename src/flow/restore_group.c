#include "flow/restore_inside.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>

enum { TEXT_BYTES_MAX = 1 << 30, LINE_BYTES_MAX = 64 << 20, HEADERS_MAX = 100000 };

/* One of its objects. */
struct restore_lines {
	bool there;
	struct buf text;
	struct buf sides[GROUP_SIDES];
	struct slice rest;
	struct slice side_rest[GROUP_SIDES];
};

struct restore_group {
	struct group group;
	struct restore_lines *objects;
	size_t run;			/* that comes next, or is being gone through … */
	uint32_t line;			/* … from this line of it on */
	uint64_t offset;		/* of that */
	struct json_parser *parser;
	struct arena arena;		/* of a record's key and headers */
	struct buf bytes;
};

/* --- bringing ------------------------------------------------------------------ */

static enum err_code bring_side(struct store *store, struct restore_group *group, size_t object,
				enum group_side side, struct err *err)
{
	struct restore_lines *lines = &group->objects[object];
	enum err_code code;
	struct buf key;

	if (!group->group.sides[side])
		return ERR_OK;
	buf_init(&key, STORE_KEY_MAX + 1);
	group_side_key(&key, group->group.objects[object].key, side);
	code = group_get_text(store, buf_cstr(&key), &lines->sides[side], err);
	lines->side_rest[side] = buf_slice(&lines->sides[side]);
	buf_release(&key);
	return code;
}

/* Without it, or without what belongs to it, its records are lost. */
static enum err_code bring_lines(struct store *store, struct restore_group *group, size_t object,
				 struct err *err)
{
	struct restore_lines *lines = &group->objects[object];
	enum err_code code;

	buf_init(&lines->text, TEXT_BYTES_MAX);
	for (int side = 0; side < GROUP_SIDES; side++)
		buf_init(&lines->sides[side], TEXT_BYTES_MAX);
	code = group_get(store, &group->group, object, &lines->text, err);
	for (int side = 0; side < GROUP_SIDES && code == ERR_OK; side++)
		code = bring_side(store, group, object, (enum group_side)side, err);
	/* What bars a plain sink's way is without a byte, and under the name of an object. */
	if (code == ERR_CORRUPT && lines->text.len == 0)
		code = ERR_ABSENT;
	lines->there = code == ERR_OK;
	lines->rest = buf_slice(&lines->text);
	return code == ERR_ABSENT ? ERR_OK : code;
}

enum err_code restore_group_bring(struct store *store, struct lake_partition where, uint64_t first,
				  struct restore_group **ret_group, struct err *err)
{
	struct restore_group *group = xcalloc(1, sizeof(*group));
	enum err_code code = group_load(store, where, first, 0, &group->group, err);

	arena_init(&group->arena, SIZE_MAX / 2);
	buf_init(&group->bytes, LINE_BYTES_MAX);
	group->parser = json_parser_new(LINE_BYTES_MAX);
	group->offset = first;
	group->objects = xcalloc(group->group.object_count, sizeof(*group->objects));
	for (size_t i = 0; i < group->group.object_count && code == ERR_OK; i++)
		code = bring_lines(store, group, i, err);
	if (code == ERR_OK)
		*ret_group = group;
	else
		restore_group_free(group);
	return code;
}

void restore_group_free(struct restore_group *group)
{
	if (!group)
		return;
	for (size_t i = 0; i < group->group.object_count; i++) {
		buf_release(&group->objects[i].text);
		for (int side = 0; side < GROUP_SIDES; side++)
			buf_release(&group->objects[i].sides[side]);
	}
	free(group->objects);
	json_parser_free(group->parser);
	arena_release(&group->arena);
	buf_release(&group->bytes);
	group_release(&group->group);
	free(group);
}

uint64_t restore_group_bytes(const struct restore_group *group)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < group->group.object_count; i++) {
		bytes += group->objects[i].text.len;
		for (int side = 0; side < GROUP_SIDES; side++)
			bytes += group->objects[i].sides[side].len;
	}
	return bytes;
}

uint64_t restore_group_from(const struct restore_group *group) { return group_from(&group->group); }

/* --- keys and headers -------------------------------------------------------------- */

static bool side_decode(struct restore_group *group, struct json value, struct slice *ret)
{
	struct slice text;

	buf_clear(&group->bytes);
	if (!json_get_string(value, &text) || !base64_decode(&group->bytes, text))
		return false;
	*ret = arena_copy(&group->arena, buf_slice(&group->bytes));
	if (!ret->ptr)
		*ret = slice_str("");
	return true;
}

/* A string, null, or bytes that are none. */
static bool side_take_key(struct restore_group *group, struct json value, struct slice *ret)
{
	struct json member;

	if (json_type(value) == JSON_OBJECT)
		return json_member(value, "base64", &member) && side_decode(group, member, ret);
	*ret = slice_of(NULL, 0);
	if (json_type(value) == JSON_NULL)
		return true;
	if (!json_get_string(value, ret))
		return false;
	*ret = ret->len ? arena_copy(&group->arena, *ret) : slice_str("");
	return true;
}

static bool restore_take_header(struct restore_group *group, struct json value,
				struct record_header *ret)
{
	struct json member;

	if (json_type(value) != JSON_OBJECT || !json_member(value, "key", &member) ||
	    !side_take_key(group, member, &ret->name) || !ret->name.ptr)
		return false;
	if (json_member(value, "base64", &member))
		return side_decode(group, member, &ret->value);
	return json_member(value, "value", &member) && side_take_key(group, member, &ret->value);
}

static bool side_take_headers(struct restore_group *group, struct json value,
			 struct append_record *record)
{
	struct record_header *headers;
	size_t count, at = 0;

	if (json_type(value) != JSON_ARRAY)
		return false;
	count = json_count(value);
	if (count > HEADERS_MAX)
		return false;
	headers = arena_alloc(&group->arena, (count + 1) * sizeof(*headers));
	for (struct json_iter iter = json_iter(value); json_next(&iter);)
		if (!restore_take_header(group, iter.value, &headers[at++]))
			return false;
	record->headers = headers;
	record->header_count = count;
	return true;
}

/* False: there is no further line. */
static bool restore_line(struct slice *rest, struct slice *ret)
{
	const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;

	if (!end)
		return false;
	*ret = slice_of(rest->ptr, (size_t)(end - rest->ptr));
	*rest = slice_from(*rest, ret->len + 1);
	return true;
}

static bool take_side(struct restore_group *group, struct restore_lines *lines,
		      enum group_side side, struct append_record *record)
{
	struct slice line;
	struct json value;
	struct err ignored;

	if (!group->group.sides[side])
		return true;
	if (!restore_line(&lines->side_rest[side], &line) ||
	    json_parse(group->parser, line, &value, &ignored) != ERR_OK)
		return false;
	return side == GROUP_KEYS ? side_take_key(group, value, &record->key)
				  : side_take_headers(group, value, record);
}

static enum err_code take_record(struct restore_group *group, size_t object,
				 struct append_record *record, struct err *err)
{
	struct restore_lines *lines = &group->objects[object];
	bool taken;

	*record = (struct append_record){ .timestamp_ms = TIMESTAMP_NOW };
	arena_reset(&group->arena);
	taken = restore_line(&lines->rest, &record->value);
	for (int side = 0; side < GROUP_SIDES && taken; side++)
		taken = take_side(group, lines, (enum group_side)side, record);
	if (taken)
		return ERR_OK;
	return err_set(err, ERR_CORRUPT, "object \"%s\", or what is beside it, has not the lines that "
		       "its group's manifest says, at offset %" PRIu64,
		       group->group.objects[object].key, group->offset);
}

/* --- in order ------------------------------------------------------------------------ */

enum err_code restore_group_next(struct restore_group *group, uint64_t *ret_first,
				 uint64_t *ret_last, bool *ret_lost,
				 struct append_record *ret_record, bool *ret_any, struct err *err)
{
	const struct group_run *run = NULL;

	while (group->run < group->group.run_count) {
		run = &group->group.runs[group->run];
		if (run->object >= 0 && group->line < run->count)
			break;
		group->offset += run->count - group->line;
		group->line = 0;
		group->run++;
	}
	*ret_any = group->run < group->group.run_count;
	if (!*ret_any)
		return ERR_OK;
	*ret_first = *ret_last = group->offset;
	*ret_lost = !group->objects[run->object].there;
	if (*ret_lost) {
		*ret_last += run->count - group->line - 1;
		group->offset = *ret_last + 1;
		group->line = run->count;
		return ERR_OK;
	}
	if (take_record(group, (size_t)run->object, ret_record, err) != ERR_OK)
		return err->code;
	group->offset++;
	group->line++;
	return ERR_OK;
}
