#include "flow/raw_kept.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

static const char kept_name[] = "kept+";
static const char kept_end[] = ".json";

/* --- raw objects --------------------------------------------------------------- */

/* *ret_len: of the folder's name. */
static void raw_kept_prefix(struct buf *out, struct lake_partition where, size_t *ret_len)
{
	lake_partition_prefix(out, "manifests", where);
	*ret_len = out->len;
	buf_add_str(out, kept_name);
}

static void raw_kept_key(struct buf *out, struct lake_partition where, uint64_t from)
{
	size_t len;

	raw_kept_prefix(out, where, &len);
	buf_addf(out, "%020" PRIu64 "%s", from, kept_end);
}

static bool raw_kept_parse(struct slice name, uint64_t *ret_from)
{
	uint64_t from = 0;

	if (!slice_starts(name, kept_name))
		return false;
	name = slice_from(name, strlen(kept_name));
	if (name.len != POSITION_DIGITS + strlen(kept_end) ||
	    !slice_is(slice_from(name, POSITION_DIGITS), kept_end) || name.ptr[0] != '0')
		return false;
	for (size_t i = 0; i < POSITION_DIGITS; i++) {
		if (name.ptr[i] < '0' || name.ptr[i] > '9')
			return false;
		from = from * 10 + (uint64_t)(name.ptr[i] - '0');
	}
	*ret_from = from;
	return from <= INT64_MAX;
}

struct raw_kept_listing {
	size_t folder;
	uint64_t from;
};

static bool raw_kept_note(void *user, const struct store_entry *entry)
{
	struct raw_kept_listing *listing = user;
	uint64_t from;

	if (raw_kept_parse(slice_from(slice_str(entry->key), listing->folder), &from) &&
	    from > listing->from)
		listing->from = from;
	return true;
}

enum err_code raw_kept_find(struct store *store, struct lake_partition where, uint64_t *ret_from,
			    struct err *err)
{
	struct raw_kept_listing listing = { 0 };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	raw_kept_prefix(&prefix, where, &listing.folder);
	code = store_list_some(store, buf_cstr(&prefix), "", 2, raw_kept_note, &listing, err);
	buf_release(&prefix);
	if (code == ERR_OK)
		*ret_from = listing.from;
	return code;
}

static enum err_code raw_kept_drop(struct store *store, struct lake_partition where, uint64_t from,
				   struct err *err)
{
	enum err_code code;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	raw_kept_key(&key, where, from);
	code = store_remove(store, buf_cstr(&key), err);
	buf_release(&key);
	return code;
}

enum err_code raw_kept_put(struct store *store, struct lake_partition where, uint64_t from,
			   struct err *err)
{
	struct buf key, text;
	uint64_t before;
	enum err_code code = raw_kept_find(store, where, &before, err);

	if (code != ERR_OK || before >= from)
		return code;
	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&text, 64);
	raw_kept_key(&key, where, from);
	buf_addf(&text, "{\"from\":\"%020" PRIu64 "\"}\n", from);
	code = store_put_once(store, buf_cstr(&key), buf_slice(&text), err);
	buf_release(&key);
	buf_release(&text);
	return code == ERR_OK && before > 0 ? raw_kept_drop(store, where, before, err) : code;
}

/* --- letters --------------------------------------------------------------------- */

static bool letters_kept_take(struct slice *rest, char end, struct slice *ret)
{
	const char *at = memchr(rest->ptr, end, rest->len);

	if (!at)
		return false;
	*ret = slice_of(rest->ptr, (size_t)(at - rest->ptr));
	*rest = slice_from(*rest, ret->len + 1);
	return true;
}

/* "dlq/<topic>/kept/<partition>+<g>+<upto>+<table>" */
static bool letters_kept_parse(const char *key, struct letters_mark *mark)
{
	struct slice rest = slice_str(key), text;

	if (!letters_kept_take(&rest, '/', &text) || !letters_kept_take(&rest, '/', &mark->topic) ||
	    !letters_kept_take(&rest, '/', &text) || !slice_is(text, "kept") ||
	    !letters_kept_take(&rest, '+', &mark->partition) ||
	    !letters_kept_take(&rest, '+', &text) || text.len == 0 || text.len > 4)
		return false;
	mark->generation = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		mark->generation = mark->generation * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	mark->table = rest;
	return letters_kept_take(&mark->table, '+', &text) && position_parse(text, &mark->upto);
}

bool letters_kept_is_mark(const char *key)
{
	struct letters_mark mark;

	return letters_kept_parse(key, &mark);
}

static bool letters_kept_note(void *user, const struct store_entry *entry)
{
	struct letters_kept *kept = user;
	struct letters_mark mark = { .key = xstrdup(entry->key) };

	if (!letters_kept_parse(mark.key, &mark)) {
		free(mark.key);
		return true;
	}
	kept->list = xreallocarray(kept->list, kept->count + 1, sizeof(mark));
	kept->list[kept->count++] = mark;
	return true;
}

enum err_code letters_kept_find(struct store *store, const char *topic,
				struct letters_kept *ret_kept, struct err *err)
{
	char prefix[TOPIC_NAME_MAX + 16];
	struct letters_kept kept = { 0 };
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "dlq/%s/kept/", topic);
	code = store_list(store, prefix, "", letters_kept_note, &kept, err);
	if (code == ERR_OK)
		*ret_kept = kept;
	else
		letters_kept_release(&kept);
	return code;
}

void letters_kept_release(struct letters_kept *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		free(kept->list[i].key);
	free(kept->list);
	*kept = (struct letters_kept){ 0 };
}

bool letters_kept_upto(const struct letters_kept *kept, struct slice partition, uint32_t generation,
		       const char *table, struct position *ret_upto)
{
	bool any = false;

	for (size_t i = 0; i < kept->count; i++) {
		const struct letters_mark *mark = &kept->list[i];

		if (!slice_eq(mark->partition, partition) || mark->generation != generation ||
		    (table && !slice_is(mark->table, table)) ||
		    (any && position_cmp(mark->upto, *ret_upto) <= 0))
			continue;
		*ret_upto = mark->upto;
		any = true;
	}
	return any;
}

static enum err_code letters_kept_drop(struct store *store, const struct letters_kept *kept,
				       const struct letters_mark *mark, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < kept->count && code == ERR_OK; i++) {
		const struct letters_mark *its = &kept->list[i];

		if (slice_eq(its->partition, mark->partition) &&
		    its->generation == mark->generation && slice_eq(its->table, mark->table) &&
		    position_cmp(its->upto, mark->upto) < 0)
			code = store_remove(store, its->key, err);
	}
	return code;
}

enum err_code letters_kept_put(struct store *store, const struct letters_kept *kept,
			       const struct letters_mark *mark, struct err *err)
{
	char upto[POSITION_TEXT_MAX];
	enum err_code code;
	struct buf key;

	(void)position_text(mark->upto, upto);
	buf_init(&key, STORE_KEY_MAX + 1);
	buf_addf(&key, "dlq/%.*s/kept/%.*s+%" PRIu32 "+%s+%.*s", SLICE_ARG(mark->topic),
		 SLICE_ARG(mark->partition), mark->generation, upto, SLICE_ARG(mark->table));
	code = store_put_once(store, buf_cstr(&key), slice_of("", 0), err);
	buf_release(&key);
	return code == ERR_OK ? letters_kept_drop(store, kept, mark, err) : code;
}
