#include "flow/manifest.h"

#include "base/crc32c.h"
#include "base/json.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>

enum { TEXT_MAX = 8 << 20, NAME_DIGITS = 20 };

static const char manifests_place[] = "manifests";

/* --- writing --------------------------------------------------------------- */

void manifest_add_run(struct manifest *manifest, uint64_t first, uint64_t count)
{
	if (manifest->run_count == 0)
		manifest->start = first;
	if (!manifest->runs || manifest->run_count == manifest->run_room) {
		manifest->run_room = manifest->run_room * 2 + 4;
		manifest->runs = xreallocarray(manifest->runs, manifest->run_room,
					       sizeof(*manifest->runs));
	}
	manifest->runs[manifest->run_count++] = (struct manifest_run){ first, count };
}

void manifest_add(struct manifest *manifest, uint64_t offset)
{
	struct manifest_run *last =
		manifest->run_count ? &manifest->runs[manifest->run_count - 1] : NULL;

	if (last && last->first + last->count == offset) {
		last->count++;
		return;
	}
	assert(!last || offset > last->first + last->count);
	manifest_add_run(manifest, offset, 1);
}

bool manifest_is_needed(const struct manifest *manifest)
{
	return manifest->run_count > 1 || manifest->has_after;
}

void manifest_clear(struct manifest *manifest)
{
	manifest->start = manifest->after = 0;
	manifest->has_after = false;
	manifest->run_count = 0;
}

void manifest_release(struct manifest *manifest)
{
	free(manifest->runs);
	*manifest = (struct manifest){ 0 };
}

static void manifest_put_name(struct buf *key, struct lake_partition where,
			      struct manifest_name name)
{
	lake_partition_prefix(key, manifests_place, where);
	buf_addf(key, "%020" PRIu64 "+%08" PRIx32 ".json", name.start, name.crc);
}

void manifest_write(const struct manifest *manifest, struct lake_partition where,
		    struct slice object, struct buf *key, struct buf *text)
{
	struct manifest_name name = { manifest->start, crc32c(0, object.ptr, object.len) };

	lake_object_key(key, where, manifest->start);
	buf_clear(text);
	buf_add_str(text, "{\"key\":");
	json_put_string(text, buf_slice(key));
	if (manifest->has_after)
		buf_addf(text, ",\"after\":\"%020" PRIu64 "\",\"runs\":[", manifest->after);
	else
		buf_add_str(text, ",\"after\":null,\"runs\":[");
	for (size_t i = 0; i < manifest->run_count; i++)
		buf_addf(text, "%s[\"%020" PRIu64 "\",%" PRIu64 "]", i ? "," : "",
			 manifest->runs[i].first, manifest->runs[i].count);
	buf_add_str(text, "]}\n");
	manifest_put_name(key, where, name);
}

/* --- names ------------------------------------------------------------------ */

static bool parse_digits(struct slice text, uint64_t *ret)
{
	struct position position;

	return text.len == NAME_DIGITS && position_parse(text, &position) &&
	       lake_offset(position, ret);
}

static bool parse_hex(struct slice text, uint32_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		const char *digit = memchr(digits, text.ptr[i], sizeof(digits) - 1);

		if (!digit)
			return false;
		value = value << 4 | (uint32_t)(digit - digits);
	}
	*ret = value;
	return text.len == 8;
}

/* "<start>+<crc>.json" */
static bool manifest_parse_name(struct slice text, struct manifest_name *ret)
{
	if (text.len != NAME_DIGITS + 1 + 8 + 5 || text.ptr[NAME_DIGITS] != '+' ||
	    !slice_is(slice_from(text, NAME_DIGITS + 9), ".json"))
		return false;
	return parse_digits(slice_of(text.ptr, NAME_DIGITS), &ret->start) &&
	       parse_hex(slice_of(text.ptr + NAME_DIGITS + 1, 8), &ret->crc);
}

struct manifest_listing {
	struct manifests *manifests;
	size_t prefix;		/* its length */
};

static bool note_name(void *user, const struct store_entry *entry)
{
	const struct manifest_listing *listing = user;
	struct manifests *manifests = listing->manifests;
	struct slice text = slice_from(slice_str(entry->key), listing->prefix);
	struct manifest_name name;

	if (text.len > 0 && text.ptr[0] > '9')
		return false; /* manifests of another kind, which may be many */
	if (!manifest_parse_name(text, &name))
		return true;
	if (manifests->count == manifests->room) {
		manifests->room = manifests->room * 2 + 16;
		manifests->names = xreallocarray(manifests->names, manifests->room,
						 sizeof(*manifests->names));
	}
	manifests->names[manifests->count++] = name;
	return true;
}

enum err_code manifests_load(struct store *store, struct lake_partition where, int64_t after,
			     struct manifests *ret, struct err *err)
{
	struct manifests manifests = { .where = where };
	struct manifest_listing listing = { .manifests = &manifests };
	enum err_code code;
	struct buf prefix, from;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	buf_init(&from, STORE_KEY_MAX + 1);
	lake_partition_prefix(&prefix, manifests_place, where);
	listing.prefix = prefix.len;
	if (after >= 0)		/* ',' comes right after '+' */
		buf_addf(&from, "%s%020" PRId64 ",", buf_cstr(&prefix), after);
	code = store_list(store, buf_cstr(&prefix), buf_cstr(&from), note_name, &listing, err);
	if (code == ERR_OK)
		*ret = manifests;
	else
		manifests_release(&manifests);
	buf_release(&prefix);
	buf_release(&from);
	return code;
}

void manifests_release(struct manifests *manifests)
{
	free(manifests->names);
	*manifests = (struct manifests){ 0 };
}

/* The first name at or above `start`. */
static size_t search_names(const struct manifests *manifests, uint64_t start)
{
	size_t low = 0, high = manifests->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (manifests->names[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool manifests_may_have(const struct manifests *manifests, uint64_t start)
{
	size_t at = search_names(manifests, start);

	return at < manifests->count && manifests->names[at].start == start;
}

/* --- reading ---------------------------------------------------------------- */

static bool get_digits(struct json value, uint64_t *ret)
{
	struct slice text;

	return json_get_string(value, &text) && parse_digits(text, ret);
}

/* Appends ["<first>",<count>], which must lie behind the run before. */
static bool take_run(struct json value, struct manifest *manifest)
{
	const struct manifest_run *last =
		manifest->run_count ? &manifest->runs[manifest->run_count - 1] : NULL;
	struct json_iter iter;
	uint64_t first;
	int64_t count;

	if (json_type(value) != JSON_ARRAY || json_count(value) != 2)
		return false;
	iter = json_iter(value);
	if (!json_next(&iter) || !get_digits(iter.value, &first) || !json_next(&iter) ||
	    !json_get_i64(iter.value, &count) || count < 1 || count > INT64_MAX - (int64_t)first ||
	    (last && first < last->first + last->count))
		return false;
	manifest_add_run(manifest, first, (uint64_t)count);
	return true;
}

static bool manifest_take(struct json root, struct manifest *manifest)
{
	uint64_t start = manifest->start;
	struct json after, runs;

	if (json_type(root) != JSON_OBJECT || !json_member(root, "after", &after) ||
	    !json_member(root, "runs", &runs) || json_type(runs) != JSON_ARRAY)
		return false;
	manifest->has_after = json_type(after) != JSON_NULL;
	if (manifest->has_after && !get_digits(after, &manifest->after))
		return false;
	for (struct json_iter iter = json_iter(runs); json_next(&iter);)
		if (!take_run(iter.value, manifest))
			return false;
	return manifest->run_count > 0 && manifest->runs[0].first == start &&
	       (!manifest->has_after || manifest->after < manifest->start);
}

static uint64_t manifest_lines(const struct manifest *manifest)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < manifest->run_count; i++)
		lines += manifest->runs[i].count;
	return lines;
}

uint64_t manifest_count_lines(struct slice object)
{
	uint64_t count = 0;

	for (const char *at; object.len && (at = memchr(object.ptr, '\n', object.len)); count++)
		object = slice_from(object, (size_t)(at - object.ptr) + 1);
	return count + (object.len > 0);
}

static enum err_code manifest_read(struct store *store, const char *key, uint64_t lines,
				   struct manifest *manifest, struct err *err)
{
	struct json_parser *parser = json_parser_new(TEXT_MAX);
	enum err_code code;
	struct json root;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	code = store_get(store, key, 0, UINT64_MAX, &text, err);
	if (code == ERR_OK && (json_parse(parser, buf_slice(&text), &root, err) != ERR_OK ||
			       !manifest_take(root, manifest)))
		code = err_set(err, ERR_CORRUPT, "\"%s\" is not the manifest of an object", key);
	if (code == ERR_OK && manifest_lines(manifest) != lines)
		code = err_set(err, ERR_CORRUPT, "\"%s\" tells of %" PRIu64 " lines, and its object"
			       " has %" PRIu64, key, manifest_lines(manifest), lines);
	buf_release(&text);
	json_parser_free(parser);
	return code;
}

enum err_code manifests_find(const struct manifests *manifests, struct store *store, uint64_t start,
			     struct slice object, struct manifest *ret_manifest, struct err *err)
{
	struct manifest manifest = { .start = start };
	size_t at = search_names(manifests, start);
	uint32_t crc = manifests_may_have(manifests, start) ? crc32c(0, object.ptr, object.len) : 0;
	enum err_code code = ERR_OK;
	struct buf key;

	while (at < manifests->count && manifests->names[at].start == start &&
	       manifests->names[at].crc != crc)
		at++;
	if (at < manifests->count && manifests->names[at].start == start) {
		buf_init(&key, STORE_KEY_MAX + 1);
		manifest_put_name(&key, manifests->where, manifests->names[at]);
		code = manifest_read(store, buf_cstr(&key), manifest_count_lines(object), &manifest,
				     err);
		buf_release(&key);
	}
	if (code == ERR_OK)
		*ret_manifest = manifest;
	else
		manifest_release(&manifest);
	return code;
}

uint64_t manifest_next(struct manifest_cursor *cursor)
{
	const struct manifest *manifest = cursor->manifest;

	if (manifest->run_count == 0)
		return manifest->start + cursor->line++;
	assert(cursor->run < manifest->run_count);
	if (cursor->line == manifest->runs[cursor->run].count) {
		cursor->line = 0;
		cursor->run++;
		assert(cursor->run < manifest->run_count);
	}
	return manifest->runs[cursor->run].first + cursor->line++;
}

uint64_t manifest_offset(const struct manifest *manifest, uint64_t line)
{
	size_t run = 0;

	if (manifest->run_count == 0)
		return manifest->start + line;
	while (line >= manifest->runs[run].count) {
		line -= manifest->runs[run++].count;
		assert(run < manifest->run_count);
	}
	return manifest->runs[run].first + line;
}
