#include "flow/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_MAX = STORE_KEY_MAX + 1, LINEAGE_DIGITS = 32 };

static const char history_place[] = "manifests";

struct history_listing {
	struct history history;
	const char *uid;
	size_t prefix;
};

/* "<g>.json" or "<g>+<uid>.json" */
static bool history_take(struct slice text, uint32_t *ret_generation, struct slice *ret_uid)
{
	uint32_t generation = 0;
	size_t at = 0;

	for (; at < text.len && at < 4 && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		generation = generation * 10 + (uint32_t)(text.ptr[at] - '0');
	text = slice_from(text, at);
	if (generation == 0 || text.len < 5 || !slice_is(slice_from(text, text.len - 5), ".json"))
		return false;
	*ret_uid = slice_of(text.ptr, text.len - 5);
	*ret_generation = generation;
	return ret_uid->len == 0 || ret_uid->ptr[0] == '+';
}

static bool note_history(void *user, const struct store_entry *entry)
{
	struct history_listing *listing = user;
	struct history *history = &listing->history;
	struct slice uid;
	uint32_t generation;

	if (!history_take(slice_from(slice_str(entry->key), listing->prefix), &generation, &uid) ||
	    generation < history->generation)
		return true;
	if (generation > history->generation)
		*history = (struct history){ .generation = generation };
	if (uid.len == 0)
		history->named = true;
	else if (slice_is(slice_from(uid, 1), listing->uid))
		history->has_uid = true;
	return true;
}

static void history_key(struct buf *key, const char *topic, uint32_t generation)
{
	buf_clear(key);
	buf_addf(key, "%s/%s/generation=%" PRIu32, history_place, topic, generation);
}

static void history_text(struct buf *text, const char *uid)
{
	buf_clear(text);
	buf_addf(text, "{\"uid\":\"%s\"}\n", uid);
}

/* Whether the generation's own name is the topic's. */
static enum err_code history_compare(struct store *store, const char *topic, const char *uid,
				     struct history *history, struct err *err)
{
	struct buf key, text, expected;
	enum err_code code;

	buf_init(&key, KEY_MAX);
	buf_init(&text, 4096);
	buf_init(&expected, 4096);
	history_key(&key, topic, history->generation);
	buf_add_str(&key, ".json");
	history_text(&expected, uid);
	code = store_get(store, buf_cstr(&key), 0, UINT64_MAX, &text, err);
	history->has_uid = code == ERR_OK && slice_eq(buf_slice(&text), buf_slice(&expected));
	buf_release(&key);
	buf_release(&text);
	buf_release(&expected);
	return code;
}

enum err_code history_load(struct store *store, const char *topic, const char *uid,
			   struct history *ret, struct err *err)
{
	struct history_listing listing = { .history.generation = 1, .uid = uid };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, KEY_MAX);
	buf_addf(&prefix, "%s/%s/generation=", history_place, topic);
	listing.prefix = prefix.len;
	code = store_list(store, buf_cstr(&prefix), "", note_history, &listing, err);
	buf_release(&prefix);
	if (code == ERR_OK && listing.history.named && !listing.history.has_uid)
		code = history_compare(store, topic, uid, &listing.history, err);
	if (code == ERR_OK)
		*ret = listing.history;
	return code;
}

struct history_names {
	size_t prefix;
	void (*each)(void *user, uint32_t generation, struct slice uid);
	void *user;
};

static bool give_history(void *user, const struct store_entry *entry)
{
	const struct history_names *names = user;
	struct slice uid;
	uint32_t generation;

	if (history_take(slice_from(slice_str(entry->key), names->prefix), &generation, &uid))
		names->each(names->user, generation, uid.len ? slice_from(uid, 1) : uid);
	return true;
}

enum err_code history_list(struct store *store, const char *topic,
			   void (*each)(void *user, uint32_t generation, struct slice uid),
			   void *user, struct err *err)
{
	struct history_names names = { .each = each, .user = user };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, KEY_MAX);
	buf_addf(&prefix, "%s/%s/generation=", history_place, topic);
	names.prefix = prefix.len;
	code = store_list(store, buf_cstr(&prefix), "", give_history, &names, err);
	buf_release(&prefix);
	return code;
}

enum err_code history_read(struct store *store, const char *topic, uint32_t generation,
			   char uid[HISTORY_UID_MAX], struct err *err)
{
	char text[HISTORY_UID_MAX];
	struct buf key, body;
	enum err_code code;

	buf_init(&key, KEY_MAX);
	buf_init(&body, 4096);
	history_key(&key, topic, generation);
	buf_add_str(&key, ".json");
	code = store_get(store, buf_cstr(&key), 0, UINT64_MAX, &body, err);
	if (code == ERR_OK && sscanf(buf_cstr(&body), "{\"uid\":\"%32[^\"]\"}", text) != 1)
		code = err_set(err, ERR_CORRUPT, "\"%s\" does not say of which topic it is",
			       buf_cstr(&key));
	if (code == ERR_OK)
		memcpy(uid, text, sizeof(text));
	buf_release(&key);
	buf_release(&body);
	return code;
}

void history_write(struct buf *key, struct buf *text, const char *topic, uint32_t generation,
		   const char *uid, bool first)
{
	history_key(key, topic, generation);
	if (!first)
		buf_addf(key, "+%s", uid);
	buf_add_str(key, ".json");
	history_text(text, uid);
}

/* --- lineages ----------------------------------------------------------------- */

static void lineage_prefix(struct buf *key, struct lake_partition where)
{
	lake_partition_prefix(key, history_place, where);
	buf_add_str(key, "lineage+");
}

void lineage_write(struct buf *key, struct buf *text, struct lake_partition where, uint64_t first,
		   struct lineage lineage)
{
	char hex[LINEAGE_DIGITS + 1];

	(void)snprintf(hex, sizeof(hex), "%016" PRIx64 "%016" PRIx64, lineage.high, lineage.low);
	lineage_prefix(key, where);
	buf_addf(key, "%020" PRIu64 "+%s.json", first, hex);
	buf_clear(text);
	buf_addf(text, "{\"lineage\":\"%s\"}\n", hex);
}

struct lineage_listing {
	size_t prefix;
	uint64_t at;
	uint64_t first;
	struct lineages *found;
};

/* "<first>+<lineage>.json" */
static bool take_lineage(const char *text, uint64_t *ret_first, struct lineage *ret)
{
	struct position position;
	int end = 0;

	return strlen(text) == POSITION_DIGITS + 1 + LINEAGE_DIGITS + 5 &&
	       position_parse(slice_of(text, POSITION_DIGITS), &position) &&
	       lake_offset(position, ret_first) &&
	       sscanf(text + POSITION_DIGITS, "+%16" SCNx64 "%16" SCNx64 ".json%n", &ret->high,
		      &ret->low, &end) == 2 &&
	       text[POSITION_DIGITS + end] == '\0';
}

static bool note_lineage(void *user, const struct store_entry *entry)
{
	struct lineage_listing *listing = user;
	struct lineages *found = listing->found;
	struct lineage lineage;
	uint64_t first;

	if (!take_lineage(entry->key + listing->prefix, &first, &lineage))
		return true;
	if (first > listing->at)
		return false;
	if (first != listing->first)
		found->count = 0;
	listing->first = first;
	if (found->count < LINEAGES_MAX)
		found->list[found->count++] = lineage;
	return true;
}

enum err_code lineage_load(struct store *store, struct lake_partition where, uint64_t at,
			   struct lineages *ret, struct err *err)
{
	struct lineages found = { .count = 0 };
	struct lineage_listing listing = { .at = at, .found = &found };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, KEY_MAX);
	lineage_prefix(&prefix, where);
	listing.prefix = prefix.len;
	code = store_list(store, buf_cstr(&prefix), "", note_lineage, &listing, err);
	buf_release(&prefix);
	if (code == ERR_OK)
		*ret = found;
	return code;
}

struct lineage_names {
	size_t prefix;
	void (*each)(void *user, uint64_t first, struct lineage lineage);
	void *user;
};

static bool give_lineage(void *user, const struct store_entry *entry)
{
	const struct lineage_names *names = user;
	struct lineage lineage;
	uint64_t first;

	if (take_lineage(entry->key + names->prefix, &first, &lineage))
		names->each(names->user, first, lineage);
	return true;
}

enum err_code lineage_list(struct store *store, struct lake_partition where,
			   void (*each)(void *user, uint64_t first, struct lineage lineage),
			   void *user, struct err *err)
{
	struct lineage_names names = { .each = each, .user = user };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, KEY_MAX);
	lineage_prefix(&prefix, where);
	names.prefix = prefix.len;
	code = store_list(store, buf_cstr(&prefix), "", give_lineage, &names, err);
	buf_release(&prefix);
	return code;
}

bool lineages_allow(const struct lineages *lineages, struct lineage lineage)
{
	for (size_t i = 0; i < lineages->count; i++)
		if (lineage_eq(lineages->list[i], lineage))
			return true;
	return lineages->count == 0 || lineages->count == LINEAGES_MAX;
}
