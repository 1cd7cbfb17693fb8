#include "flow/group.h"

#include "base/crc32c.h"
#include "base/gzip.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow/lake_search.h"

#include <assert.h>
#include <inttypes.h>

enum {
	TEXT_MAX = 64 << 20,
	OBJECT_MAX = 1 << 30,
	NAME_DIGITS = 20,
	NUMBER_DIGITS_MAX = 4,	 /* as GROUP_NUMBERS_MAX has */
	NOTHING_PACKED_MAX = 20, /* the shortest text, "1\n", makes 22 bytes */
	BAR_ROOM = 1024,	 /* more than zlib wants to make them */
};

static const char groups_place[] = "manifests";
static const char name_prefix[] = "group+";
static const char number_mark = '_'; /* it comes after the first name's "." */
static const char *const side_names[GROUP_SIDES] = { "keys", "headers" };

const char *group_side_name(enum group_side side) { return side_names[side]; }

/* --- writing --------------------------------------------------------------- */

size_t group_add_object(struct group *group, const char *key, uint64_t start)
{
	if (group->object_count == group->object_room) {
		group->object_room = group->object_room * 2 + 8;
		group->objects =
			xreallocarray(group->objects, group->object_room, sizeof(*group->objects));
	}
	group->objects[group->object_count] =
		(struct group_object){ .key = xstrdup(key), .start = start };
	return group->object_count++;
}

static void add_run(struct group *group, int32_t object, uint64_t count)
{
	while (count > 0) {
		uint32_t part = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;

		if (group->run_count == group->run_room) {
			group->run_room = group->run_room * 2 + 16;
			group->runs =
				xreallocarray(group->runs, group->run_room, sizeof(*group->runs));
		}
		group->runs[group->run_count++] = (struct group_run){ object, part };
		count -= part;
	}
}

void group_add_line(struct group *group, size_t object, uint64_t offset)
{
	struct group_run *last = group->run_count ? &group->runs[group->run_count - 1] : NULL;

	assert(object < group->object_count);
	if (!last && !group->amended)
		group->first = group->end = offset;
	assert(offset >= group->end);
	if (last && offset == group->end && last->object == (int32_t)object &&
	    last->count < UINT32_MAX) {
		last->count++;
	} else {
		add_run(group, GROUP_NO_RECORD, offset - group->end);
		add_run(group, (int32_t)object, 1);
	}
	group->objects[object].lines++;
	group->end = offset + 1;
}

uint64_t group_first_line(const struct group *group)
{
	uint64_t offset = group->first;

	for (size_t i = 0; i < group->run_count && group->runs[i].object < 0; i++)
		offset += group->runs[i].count;
	return offset;
}

void group_lose(struct group *group, uint64_t first, uint64_t count, enum group_none why)
{
	group_pass(group, first);
	add_run(group, (int32_t)why, count);
	group->end += count;
}

void group_pass(struct group *group, uint64_t offset)
{
	assert(offset >= group->end);
	add_run(group, GROUP_NO_RECORD, offset - group->end);
	group->end = offset;
}

void group_clear(struct group *group)
{
	struct group empty = { .objects = group->objects,
			       .object_room = group->object_room,
			       .runs = group->runs,
			       .run_room = group->run_room };

	for (size_t i = 0; i < group->object_count; i++)
		free(group->objects[i].key);
	*group = empty;
}

void group_release(struct group *group)
{
	group_clear(group);
	free(group->objects);
	free(group->runs);
	*group = (struct group){ 0 };
}

size_t group_prefix(struct buf *prefix, struct lake_partition where)
{
	size_t folder;

	lake_partition_prefix(prefix, groups_place, where);
	folder = prefix->len;
	buf_add_str(prefix, name_prefix);
	return folder;
}

void group_key(struct buf *key, struct lake_partition where, uint64_t first, uint32_t number)
{
	(void)group_prefix(key, where);
	buf_addf(key, "%020" PRIu64, first);
	if (number > 1)
		buf_addf(key, "%c%" PRIu32, number_mark, number);
	buf_add_str(key, ".json");
}

static void group_put_object(struct buf *text, const struct group *group, size_t at)
{
	const struct group_object *object = &group->objects[at];

	buf_add_str(text, at ? ",{\"key\":" : "{\"key\":");
	json_put_string(text, slice_str(object->key));
	buf_addf(text, ",\"lines\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"crc\":\"%08" PRIx32 "\"",
		 object->lines, object->bytes, object->crc);
	for (int side = 0; side < GROUP_SIDES; side++)
		if (group->sides[side])
			buf_addf(text, ",\"%s\":\"%08" PRIx32 "\"", side_names[side],
				 object->side_crc[side]);
	buf_add_char(text, '}');
}

static void put_sides(struct buf *text, const struct group *group)
{
	bool any = false;

	buf_add_str(text, ",\"sides\":[");
	for (int side = 0; side < GROUP_SIDES; side++)
		if (group->sides[side]) {
			buf_addf(text, "%s\"%s\"", any ? "," : "", side_names[side]);
			any = true;
		}
	buf_add_char(text, ']');
}

void group_write(const struct group *group, struct lake_partition where, struct buf *key,
		 struct buf *text)
{
	group_key(key, where, group->first, group->number);
	buf_clear(text);
	if (group->has_after)
		buf_addf(text, "{\"after\":\"%020" PRIu64 "\"", group->after);
	else
		buf_add_str(text, "{\"after\":null");
	if (group->plain) {
		buf_add_str(text, ",\"plain\":true}\n");
		return;
	}
	if (group->amended)
		buf_add_str(text, ",\"amended\":true");
	if (group->letters)
		buf_add_str(text, ",\"letters\":true");
	put_sides(text, group);
	buf_add_str(text, ",\"objects\":[");
	for (size_t i = 0; i < group->object_count; i++)
		group_put_object(text, group, i);
	buf_add_str(text, "],\"runs\":[");
	for (size_t i = 0; i < group->run_count; i++) {
		if (i > 0)
			buf_add_char(text, ',');
		buf_add_i64(text, group->runs[i].object);
		buf_add_char(text, ',');
		buf_add_u64(text, group->runs[i].count);
	}
	buf_add_str(text, "]}\n");
}

void group_side_key(struct buf *key, const char *object, enum group_side side)
{
	size_t len = strlen(object);
	size_t tail = group_is_packed(object) ? sizeof(".json.gz") - 1 : sizeof(".json") - 1;

	assert(len > tail);
	buf_clear(key);
	buf_add(key, object, len - tail);
	buf_addf(key, ".%s%s", side_names[side], object + len - tail);
}

bool group_is_packed(const char *key)
{
	size_t len = strlen(key);

	return len > 3 && strcmp(key + len - 3, ".gz") == 0;
}

static uint64_t packed_times(bool packed, uint64_t size, uint64_t times)
{
	if (!packed)
		return size;
	return size < UINT64_MAX / times ? size * times : UINT64_MAX;
}

/* To know it would cost a request for each object (a gzip file ends with it). Lines of JSON that
 * are much alike pack to a tenth or so. */
uint64_t group_text_bytes(bool packed, uint64_t size) { return packed_times(packed, size, 16); }

/* Lines that are nearly the same pack to a hundredth. Only what is empty otherwise goes to a
 * thousandth, where deflate ends. */
uint64_t group_text_room(bool packed, uint64_t size) { return packed_times(packed, size, 128); }

/* One that is packed unpacks to nothing, so that other programs read it as any. */
enum err_code group_bar(struct store *store, const char *key, struct err *err)
{
	enum err_code code;
	struct buf body;

	buf_init(&body, BAR_ROOM);
	if (group_is_packed(key))
		gzip_pack(&body, slice_str(""), -1);
	assert(body.len <= NOTHING_PACKED_MAX);
	code = store_put(store, key, buf_slice(&body), STORE_CREATE, err);
	buf_release(&body);
	return code;
}

bool group_is_bar(const char *key, uint64_t size)
{
	return size <= (group_is_packed(key) ? NOTHING_PACKED_MAX : 0);
}

/* --- names ------------------------------------------------------------------ */

static bool group_parse_digits(struct slice text, uint64_t *ret)
{
	struct position position;

	return text.len == NAME_DIGITS && position_parse(text, &position) &&
	       lake_offset(position, ret);
}

/* "_<number>", from 2 on; nothing: the first. False: it is neither. */
static bool group_parse_number(struct slice *rest, uint32_t *ret_number)
{
	uint32_t value = 0;
	size_t len = 1;

	*ret_number = 1;
	if (rest->len == 0 || rest->ptr[0] != number_mark)
		return true;
	for (; len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9'; len++)
		if (len <= NUMBER_DIGITS_MAX)
			value = value * 10 + (uint32_t)(rest->ptr[len] - '0');
	if (len == 1 || len > NUMBER_DIGITS_MAX + 1 || rest->ptr[1] == '0' || value < 2)
		return false;
	*rest = slice_from(*rest, len);
	*ret_number = value;
	return true;
}

bool group_parse_name(struct slice name, uint64_t *ret_first, uint32_t *ret_number)
{
	size_t prefix = sizeof(name_prefix) - 1;
	struct slice rest;

	if (name.len < prefix + NAME_DIGITS || !slice_starts(name, name_prefix))
		return false;
	rest = slice_from(name, prefix + NAME_DIGITS);
	return group_parse_number(&rest, ret_number) && slice_is(rest, ".json") &&
	       group_parse_digits(slice_of(name.ptr + prefix, NAME_DIGITS), ret_first);
}

struct group_listing {
	struct group_names *names;
	size_t prefix;
	size_t limit;
	int64_t after;
};

static bool group_note_name(void *user, const struct store_entry *entry)
{
	const struct group_listing *listing = user;
	struct group_names *names = listing->names;
	struct group_name *last = names->count > 0 ? &names->list[names->count - 1] : NULL;
	struct group_name name;

	if (!group_parse_name(slice_from(slice_str(entry->key), listing->prefix), &name.first,
			      &name.number) ||
	    (int64_t)name.first <= listing->after)
		return true;
	if (last && last->first == name.first) {
		last->number = last->number > name.number ? last->number : name.number;
		return true;
	}
	if (names->count == names->room) {
		names->room = names->room * 2 + 16;
		names->list = xreallocarray(names->list, names->room, sizeof(*names->list));
	}
	names->list[names->count++] = name;
	return names->count < listing->limit;
}

enum err_code group_list(struct store *store, struct lake_partition where, int64_t after,
			 size_t limit, struct group_names *ret_names, struct err *err)
{
	struct group_names names = { 0 };
	struct group_listing listing = { .names = &names, .limit = limit, .after = after };
	struct buf prefix, from;
	enum err_code code;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	buf_init(&from, STORE_KEY_MAX + 1);
	listing.prefix = group_prefix(&prefix, where);
	if (after >= 0)
		group_key(&from, where, (uint64_t)after, 1);
	code = store_list_some(store, buf_cstr(&prefix), buf_cstr(&from),
			       limit < SIZE_MAX ? limit : 0, group_note_name, &listing, err);
	buf_release(&prefix);
	buf_release(&from);
	if (code == ERR_OK)
		*ret_names = names;
	else
		group_names_release(&names);
	return code;
}

void group_names_release(struct group_names *names)
{
	free(names->list);
	*names = (struct group_names){ 0 };
}

struct last_group {
	struct lake_partition where;
	size_t prefix; /* the length of a name's folder */
	uint64_t most;
	bool found;
	uint64_t first;
};

static void put_group_key(void *user, struct buf *key, uint64_t first)
{
	const struct last_group *last = user;

	group_key(key, last->where, first, 1);
}

static bool look_at_group(void *user, const struct store_entry *entry, uint64_t *ret_first)
{
	struct last_group *last = user;
	uint64_t first;
	uint32_t number;

	if (!group_parse_name(slice_from(slice_str(entry->key), last->prefix), &first, &number) ||
	    first > last->most)
		return false;
	last->found = true;
	last->first = last->first > first ? last->first : first;
	*ret_first = first;
	return true;
}

enum err_code group_find_last(struct store *store, struct lake_partition where, uint64_t most,
			      bool *ret_found, uint64_t *ret_first, struct err *err)
{
	struct last_group last = { .where = where, .most = most };
	struct lake_search search = { .store = store,
				      .most = most,
				      .put_key = put_group_key,
				      .look = look_at_group,
				      .user = &last };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	last.prefix = group_prefix(&prefix, where);
	search.prefix = buf_cstr(&prefix);
	code = lake_search_end(&search, err);
	buf_release(&prefix);
	if (code != ERR_OK)
		return code;
	*ret_found = last.found;
	*ret_first = last.first;
	return ERR_OK;
}

/* Only the oldest one may say that the partition is plain. The listing ends with another first
 * offset, so it has all numbers of that one. */
enum err_code group_find_first(struct store *store, struct lake_partition where,
			       uint64_t *ret_first, struct err *err)
{
	struct group_names names;
	struct group group = { 0 };
	enum err_code code = group_list(store, where, -1, 2, &names, err);

	if (code != ERR_OK)
		return code;
	if (names.count > 0)
		code = group_load(store, where, names.list[0].first, names.list[0].number, &group,
				  err);
	if (code == ERR_OK) {
		size_t at = group.plain ? 1 : 0;

		*ret_first = at < names.count ? names.list[at].first : UINT64_MAX;
	}
	group_release(&group);
	group_names_release(&names);
	return code;
}

/* --- reading ---------------------------------------------------------------- */

static bool get_crc(struct json object, const char *name, uint32_t *ret)
{
	struct json value;
	struct slice text;
	uint32_t crc = 0;

	if (!json_member(object, name, &value) || !json_get_string(value, &text) || text.len != 8)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;

		if (digit < 0)
			return false;
		crc = crc << 4 | (uint32_t)digit;
	}
	*ret = crc;
	return true;
}

static bool get_count(struct json object, const char *name, uint64_t *ret)
{
	struct json value;
	int64_t number;

	if (!json_member(object, name, &value) || !json_get_i64(value, &number) || number < 1)
		return false;
	*ret = (uint64_t)number;
	return true;
}

/* Its name is one that an object of this partition has, so that no manifest leads elsewhere. */
static bool group_take_object(struct json value, struct lake_partition where, struct group *group)
{
	struct group_object object = { 0 };
	struct lake_file_name name;
	struct json key;
	struct slice text;
	char *copy;
	size_t at;

	if (json_type(value) != JSON_OBJECT || !json_member(value, "key", &key) ||
	    !json_get_string(key, &text) || text.len > STORE_KEY_MAX ||
	    memchr(text.ptr, '\0', text.len) || !get_count(value, "lines", &object.lines) ||
	    !get_count(value, "bytes", &object.bytes) || !get_crc(value, "crc", &object.crc))
		return false;
	for (int side = 0; side < GROUP_SIDES; side++)
		if (group->sides[side] && !get_crc(value, side_names[side], &object.side_crc[side]))
			return false;
	copy = xstrndup(text.ptr, text.len);
	if (!lake_file_parse(copy, &name) || name.partition != where.id || name.side.ptr ||
	    !slice_is(name.topic, where.topic) ||
	    name.generation != (where.generation > 1 ? where.generation : 1)) {
		free(copy);
		return false;
	}
	at = group_add_object(group, copy, name.start);
	free(copy);
	object.start = name.start;
	object.key = group->objects[at].key;
	group->objects[at] = object;
	return true;
}

static bool take_objects(struct json list, struct lake_partition where, struct group *group)
{
	if (json_type(list) != JSON_ARRAY || json_count(list) > GROUP_OBJECTS_MAX)
		return false;
	for (struct json_iter iter = json_iter(list); json_next(&iter);)
		if (!group_take_object(iter.value, where, group))
			return false;
	return group->object_count > 0 || group->amended;
}

/* Each object has as many lines as it says, and begins where its name says. */
static bool runs_fit(const struct group *group)
{
	uint64_t *lines = xcalloc(group->object_count + 1, sizeof(*lines));
	uint64_t offset = group->first;
	bool fit = group->run_count > 0;

	for (size_t i = 0; i < group->run_count && fit; i++) {
		const struct group_run *run = &group->runs[i];

		if (run->object >= 0) {
			fit = lines[run->object] > 0 || group->objects[run->object].start == offset;
			lines[run->object] += run->count;
		}
		offset += run->count;
	}
	for (size_t i = 0; i < group->object_count && fit; i++)
		fit = lines[i] == group->objects[i].lines;
	free(lines);
	return fit;
}

static bool take_runs(struct json list, struct group *group)
{
	group->end = group->first;
	if (json_type(list) != JSON_ARRAY || json_count(list) % 2 != 0)
		return false;
	for (struct json_iter iter = json_iter(list); json_next(&iter);) {
		int64_t object, count;

		if (!json_get_i64(iter.value, &object) || !json_next(&iter) ||
		    !json_get_i64(iter.value, &count) || object < GROUP_LOST_DAMAGED ||
		    (object < GROUP_NO_RECORD && !group->amended) ||
		    object >= (int64_t)group->object_count || count < 1 || count > UINT32_MAX ||
		    group->end > (uint64_t)(INT64_MAX - count))
			return false;
		add_run(group, (int32_t)object, (uint64_t)count);
		group->end += (uint64_t)count;
	}
	return runs_fit(group) && (group->runs[group->run_count - 1].object >= 0 || group->amended);
}

static bool take_sides(struct json root, struct group *group)
{
	struct json sides;
	struct slice name;

	if (!json_member(root, "sides", &sides) || json_type(sides) != JSON_ARRAY)
		return false;
	for (struct json_iter iter = json_iter(sides); json_next(&iter);) {
		int side = 0;

		if (!json_get_string(iter.value, &name))
			return false;
		while (side < GROUP_SIDES && !slice_is(name, side_names[side]))
			side++;
		if (side == GROUP_SIDES)
			return false;
		group->sides[side] = true;
	}
	return true;
}

static bool take_group(struct json root, struct lake_partition where, struct group *group)
{
	struct json after, value;
	struct slice text;

	if (json_type(root) != JSON_OBJECT || !json_member(root, "after", &after))
		return false;
	group->has_after = json_type(after) != JSON_NULL;
	if (group->has_after &&
	    (!json_get_string(after, &text) || !group_parse_digits(text, &group->after) ||
	     group->after >= group->first))
		return false;
	if (json_member(root, "plain", &value) && json_get_bool(value, &group->plain) &&
	    group->plain) {
		group->end = group->first;
		return true;
	}
	if (json_member(root, "amended", &value) && !json_get_bool(value, &group->amended))
		return false;
	if (json_member(root, "letters", &value) && !json_get_bool(value, &group->letters))
		return false;
	return take_sides(root, group) && json_member(root, "objects", &value) &&
	       take_objects(value, where, group) && json_member(root, "runs", &value) &&
	       take_runs(value, group) && (!group->letters || group->object_count == 0);
}

static enum err_code load_name(struct store *store, struct lake_partition where, uint64_t first,
			       uint32_t number, struct group *ret_group, struct err *err)
{
	struct json_parser *parser = json_parser_new(TEXT_MAX);
	struct group group = { .first = first, .number = number };
	struct buf key, text;
	enum err_code code;
	struct json root;

	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&text, TEXT_MAX);
	group_key(&key, where, first, number);
	code = store_get(store, buf_cstr(&key), 0, UINT64_MAX, &text, err);
	if (code == ERR_OK && (json_parse(parser, buf_slice(&text), &root, err) != ERR_OK ||
			       !take_group(root, where, &group)))
		code = err_set(err, ERR_CORRUPT, "\"%s\" is not the manifest of a group",
			       buf_cstr(&key));
	buf_release(&text);
	buf_release(&key);
	json_parser_free(parser);
	if (code == ERR_OK)
		*ret_group = group;
	else
		group_release(&group);
	return code;
}

struct group_numbers {
	size_t prefix; /* the length of the folder's name */
	uint32_t highest;
};

static bool group_note_number(void *user, const struct store_entry *entry)
{
	struct group_numbers *listing = user;
	uint64_t first;
	uint32_t number;

	if (group_parse_name(slice_from(slice_str(entry->key), listing->prefix), &first, &number) &&
	    number > listing->highest)
		listing->highest = number;
	return true;
}

static enum err_code group_find_number(struct store *store, struct lake_partition where,
				       uint64_t first, uint32_t *ret_number, struct err *err)
{
	struct group_numbers listing = { .highest = 1 };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	listing.prefix = group_prefix(&prefix, where);
	buf_addf(&prefix, "%020" PRIu64, first);
	code = store_list(store, buf_cstr(&prefix), "", group_note_number, &listing, err);
	buf_release(&prefix);
	*ret_number = listing.highest;
	return code;
}

enum err_code group_load(struct store *store, struct lake_partition where, uint64_t first,
			 uint32_t number, struct group *ret_group, struct err *err)
{
	enum err_code code = ERR_OK;

	if (number == 0)
		code = group_find_number(store, where, first, &number, err);
	return code == ERR_OK ? load_name(store, where, first, number, ret_group, err) : code;
}

void group_manifest(const struct group *group, size_t object, struct manifest *ret_manifest)
{
	struct manifest manifest = { 0 };
	uint64_t offset = group->first;

	for (size_t i = 0; i < group->run_count; i++) {
		const struct group_run *run = &group->runs[i];

		if (run->object == (int32_t)object)
			manifest_add_run(&manifest, offset, run->count);
		offset += run->count;
	}
	*ret_manifest = manifest;
}

uint64_t group_bytes(const struct group *group)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < group->object_count; i++)
		bytes += group->objects[i].bytes;
	return bytes;
}

enum err_code group_get_text(struct store *store, const char *key, struct buf *text,
			     struct err *err)
{
	struct buf packed;
	enum err_code code;

	if (!group_is_packed(key))
		return store_get(store, key, 0, UINT64_MAX, text, err);
	buf_init(&packed, OBJECT_MAX);
	code = store_get(store, key, 0, UINT64_MAX, &packed, err);
	if (code == ERR_OK && packed.len > 0 &&
	    gzip_unpack(text, buf_slice(&packed), err) != ERR_OK)
		code = err_prefix(err, "object \"%s\"", key);
	buf_release(&packed);
	return code;
}

enum err_code group_check(const struct group *group, size_t object, struct slice text,
			  struct err *err)
{
	return group_check_sum(group, object, text.len, crc32c(0, text.ptr, text.len), err);
}

enum err_code group_check_sum(const struct group *group, size_t object, uint64_t bytes,
			      uint32_t crc, struct err *err)
{
	const struct group_object *its = &group->objects[object];

	if (bytes == its->bytes && crc == its->crc)
		return ERR_OK;
	return err_set(err, ERR_CORRUPT, "object \"%s\" is not what its group's manifest says",
		       its->key);
}

enum err_code group_get(struct store *store, const struct group *group, size_t object,
			struct buf *text, struct err *err)
{
	const struct group_object *its = &group->objects[object];
	size_t before = text->len;
	enum err_code code = group_get_text(store, its->key, text, err);

	return code == ERR_OK ? group_check(group, object, slice_from(buf_slice(text), before), err)
			      : code;
}
