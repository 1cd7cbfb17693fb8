/*
 * retain_raw.c - of each partition the plain objects, then the groups. Both are gone through from
 * the oldest on until one stays, so a look at which nothing goes is a page of a listing each.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/stop.h"
#include "flow/batch_find.h"
#include "flow/group.h"
#include "flow/raw_kept.h"
#include "flow/retain_inside.h"

#include <inttypes.h>

enum { GROUPS_MAX = 1000 /* of a round */, GONE_MS = -1 };

struct retain_part {
	struct retaining *retaining;
	struct lake_partition where;
	uint64_t limit; /* every table has begun with what comes here */
	uint64_t kept;	/* the mark as it is, … */
	uint64_t from;	/* … and as it is to be */
	uint64_t until; /* where groups begin */
	bool met;	/* a plain object, which goes if the one behind it lets it: */
	struct lake_entry before;
	bool stays;		    /* something does */
	struct retain_keys objects; /* and their sides */
	struct retain_keys manifests;
};

static bool retain_is_old(const struct retain_part *part, int64_t modified_ms)
{
	const struct retaining *retaining = part->retaining;

	if (modified_ms == GONE_MS)
		return true;
	return modified_ms > 0 &&
	       retaining->now_ms - modified_ms >= retaining->options->keep.raw_ms;
}

static bool retain_is_full(const struct retain_part *part)
{
	return part->objects.count + part->manifests.count >= RETAIN_KEYS_MAX;
}

/* --- plain objects ----------------------------------------------------------------- */

/* What was met goes, as `next` begins behind it; or it stays. */
static void retain_take_plain(struct retain_part *part, uint64_t next)
{
	const struct lake_entry *entry = &part->before;
	struct buf key;

	if (!part->met || part->stays)
		return;
	part->met = false;
	if (entry->start >= part->kept &&
	    (next > part->limit || !retain_is_old(part, entry->modified_ms))) {
		part->stays = true;
		return;
	}
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_entry_key(&key, part->where, entry);
	retain_keys_add(&part->objects, buf_cstr(&key), entry->size);
	buf_release(&key);
	if (next > part->from && entry->start >= part->kept)
		part->from = next;
}

/* One without a byte bars somebody's way (group.h). */
static bool retain_meet_plain(void *user, const struct lake_entry *entry)
{
	struct retain_part *part = user;

	if (entry->start >= part->until)
		return false;
	if (entry->size == 0)
		return true;
	retain_take_plain(part, entry->start);
	if (part->stays || retain_is_full(part))
		return false;
	part->met = true;
	part->before = *entry;
	return true;
}

/* Behind the last one comes the first group, if there are any. */
static enum err_code retain_plain(struct retain_part *part, struct err *err)
{
	enum err_code code = lake_list_objects(part->retaining->options->store, part->where, -1,
					       retain_meet_plain, part, err);

	if (code != ERR_OK || retain_is_full(part))
		return code;
	if (part->met && part->until < UINT64_MAX)
		retain_take_plain(part, part->until);
	part->stays |= part->met;
	part->met = false;
	return ERR_OK;
}

/* --- groups ------------------------------------------------------------------------ */

/* Since `from`: a group that was made whole keeps what was there. */
static bool retain_has_object(const struct retain_part *part, size_t from, const char *key)
{
	for (size_t i = from; i < part->objects.count; i++)
		if (strcmp(part->objects.list[i].key, key) == 0)
			return true;
	return false;
}

static void retain_add_group(struct retain_part *part, size_t from, const struct group *group)
{
	struct buf side;

	buf_init(&side, STORE_KEY_MAX + 1);
	for (size_t i = 0; i < group->object_count; i++) {
		const struct group_object *object = &group->objects[i];

		if (group->number > 1 && retain_has_object(part, from, object->key))
			continue;
		for (int k = 0; k < GROUP_SIDES; k++) {
			if (!group->sides[k])
				continue;
			group_side_key(&side, object->key, (enum group_side)k);
			retain_keys_add(&part->objects, buf_cstr(&side), 0);
		}
		retain_keys_add(&part->objects, object->key, object->bytes);
	}
	buf_release(&side);
}

/* All manifests of that first offset: of those that were given up there are bars. The first group's
 * stay (raw_kept.h, 3). */
static enum err_code retain_add_numbers(struct retain_part *part, const struct group_name *name,
					struct err *err)
{
	enum err_code code = ERR_OK;
	size_t from = part->objects.count;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	for (uint32_t number = 1; number <= name->number && code == ERR_OK; number++) {
		struct group group = { 0 };

		code = group_load(part->retaining->options->store, part->where, name->first, number,
				  &group, err);
		if (code == ERR_ABSENT) {
			code = ERR_OK;
			continue;
		}
		if (code != ERR_OK)
			break;
		retain_add_group(part, from, &group);
		group_release(&group);
		group_key(&key, part->where, name->first, number);
		if (name->first > part->until)
			retain_keys_add(&part->manifests, buf_cstr(&key), 0);
	}
	buf_release(&key);
	return code;
}

/* When the last of its objects came, or, without any, its manifest; GONE_MS: it is gone. */
static enum err_code retain_group_time(const struct retain_part *part,
				       const struct group_name *name, int64_t *ret_ms,
				       struct err *err)
{
	struct store *store = part->retaining->options->store;
	struct store_stat stat = { 0 };
	struct group group;
	enum err_code code = group_load(store, part->where, name->first, name->number, &group, err);
	struct buf key;

	if (code != ERR_OK)
		return code;
	buf_init(&key, STORE_KEY_MAX + 1);
	group_key(&key, part->where, name->first, name->number);
	code = store_stat(store,
			  group.object_count > 0 ? group.objects[group.object_count - 1].key
						 : buf_cstr(&key),
			  &stat, err);
	buf_release(&key);
	group_release(&group);
	if (code != ERR_OK && code != ERR_ABSENT)
		return code;
	*ret_ms = code == ERR_OK ? stat.modified_ms : GONE_MS;
	return ERR_OK;
}

/* *ret_goes; the first group of all, whose manifest stays, need not go once more. */
static enum err_code retain_judge_group(struct retain_part *part, const struct group_name *name,
					uint64_t next, bool *ret_goes, struct err *err)
{
	bool left = name->first < part->kept, anchor = name->first == part->until;
	int64_t time_ms = GONE_MS;
	enum err_code code = ERR_OK;

	*ret_goes = false;
	if (!left && next > part->limit) {
		part->stays = true;
		return ERR_OK;
	}
	if (!left || anchor)
		code = retain_group_time(part, name, &time_ms, err);
	if (code != ERR_OK)
		return code;
	*ret_goes = left ? !anchor || time_ms != GONE_MS : retain_is_old(part, time_ms);
	part->stays = !left && !*ret_goes;
	return ERR_OK;
}

static enum err_code retain_groups(struct retain_part *part, struct err *err)
{
	struct group_names names;
	enum err_code code = group_list(part->retaining->options->store, part->where,
					(int64_t)part->until - 1, GROUPS_MAX, &names, err);

	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i + 1 < names.count && code == ERR_OK; i++) {
		uint64_t next = names.list[i + 1].first;
		bool goes;

		code = retain_judge_group(part, &names.list[i], next, &goes, err);
		if (code != ERR_OK || part->stays || retain_is_full(part))
			break;
		if (goes)
			code = retain_add_numbers(part, &names.list[i], err);
		if (code == ERR_OK && goes && names.list[i].first >= part->kept)
			part->from = next;
	}
	part->stays |= names.count < GROUPS_MAX && !retain_is_full(part);
	group_names_release(&names);
	return code;
}

/* --- manifests of plain objects ------------------------------------------------------- */

/* "<start, 20 digits>+<crc>.json" */
static bool retain_manifest_start(const char *key, uint64_t *ret_start)
{
	struct lake_object_name name;
	struct slice rest, digits;
	struct position position;

	if (!lake_manifest_parse(key, &name, &rest) || rest.len <= POSITION_DIGITS ||
	    rest.ptr[POSITION_DIGITS] != '+')
		return false;
	digits = slice_of(rest.ptr, POSITION_DIGITS);
	return position_parse(digits, &position) && lake_offset(position, ret_start);
}

/* They come before all others of the folder. */
static bool retain_meet_manifest(void *user, const struct store_entry *entry)
{
	struct retain_part *part = user;
	uint64_t start;

	if (!retain_manifest_start(entry->key, &start) || start >= part->from)
		return false;
	retain_keys_add(&part->manifests, entry->key, entry->size);
	return !retain_is_full(part);
}

static enum err_code retain_manifests(struct retain_part *part, struct err *err)
{
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	lake_partition_prefix(&prefix, "manifests", part->where);
	code = store_list_some(part->retaining->options->store, buf_cstr(&prefix), "",
			       part->objects.count + 1, retain_meet_manifest, part, err);
	buf_release(&prefix);
	return code;
}

/* --- a partition ------------------------------------------------------------------------ */

/* Up to where all tables are; *ret_any false: one has nothing of it. */
static enum err_code retain_find_limit(const struct retaining *retaining,
				       struct lake_partition where, bool *ret_any,
				       uint64_t *ret_limit, struct err *err)
{
	uint64_t limit = UINT64_MAX;
	struct batch_ids ids;

	*ret_any = false;
	batch_ids_init(&ids, &where);
	for (size_t i = 0; i < retaining->table_count; i++) {
		const struct delta_table *delta = retaining->tables[i].delta;
		int64_t held = delta_txn_version(delta, ids.start);
		struct delta_progress done;
		uint64_t offset;

		if (delta_progress(delta, ids.progress, &done, err) != ERR_OK)
			return err->code;
		if (!done.any || !lake_offset(done.position, &offset))
			return ERR_OK;
		if (held >= 0 && (uint64_t)held < offset)
			offset = (uint64_t)held;
		limit = limit < offset ? limit : offset;
	}
	*ret_any = true;
	*ret_limit = limit;
	return ERR_OK;
}

static enum err_code retain_take_away(struct retain_part *part, struct err *err)
{
	struct retaining *retaining = part->retaining;
	struct retained *retained = &retaining->report->raw;
	enum err_code code = ERR_OK;

	if (!retaining->options->dry_run && part->from > part->kept)
		code = raw_kept_put(retaining->options->store, part->where, part->from, err);
	if (code == ERR_OK && part->from > part->kept)
		code = retain_fail_at(FAILPOINT("retain-marked"), err);
	if (code == ERR_OK)
		code = retain_remove(retaining, &part->objects, retained, err);
	if (code == ERR_OK && part->from > part->kept)
		code = retain_fail_at(FAILPOINT("retain-removed"), err);
	if (code == ERR_OK)
		code = retain_remove(retaining, &part->manifests, retained, err);
	return code;
}

/* One round: so much as is removed at once. */
static enum err_code retain_round(struct retain_part *part, struct err *err)
{
	struct store *store = part->retaining->options->store;
	enum err_code code = group_find_first(store, part->where, &part->until, err);

	if (code == ERR_OK)
		code = raw_kept_find(store, part->where, &part->kept, err);
	part->from = part->kept;
	if (code == ERR_OK)
		code = retain_plain(part, err);
	if (code == ERR_OK && !part->stays && !retain_is_full(part) && part->until < UINT64_MAX)
		code = retain_groups(part, err);
	if (code == ERR_OK && part->from > 0 && !retain_is_full(part))
		code = retain_manifests(part, err);
	if (code == ERR_OK)
		code = retain_take_away(part, err);
	retain_keys_release(&part->objects);
	retain_keys_release(&part->manifests);
	return code;
}

static enum err_code retain_partition(struct retaining *retaining, struct lake_partition where,
				      struct err *err)
{
	bool any, more = true;
	uint64_t limit;
	enum err_code code = retain_find_limit(retaining, where, &any, &limit, err);

	while (code == ERR_OK && any && more && !stop_requested()) {
		struct retain_part part = { .retaining = retaining,
					    .where = where,
					    .limit = limit };

		code = retain_round(&part, err);
		more = !part.stays && part.from > part.kept && !retaining->options->dry_run;
	}
	return code;
}

/* --- a topic ------------------------------------------------------------------------------ */

/* The partitions that have a folder, each once. */
struct retain_search {
	struct store *store;
	const char *topic;
	struct lake_partition *list;
	size_t count;
	enum err_code code;
	struct err *err;
};

static void retain_add_partition(struct retain_search *search, struct lake_partition where)
{
	for (size_t i = 0; i < search->count; i++)
		if (search->list[i].id == where.id &&
		    search->list[i].generation == where.generation)
			return;
	search->list = xreallocarray(search->list, search->count + 1, sizeof(where));
	search->list[search->count++] = where;
}

static bool retain_meet_folder(void *user, const struct store_entry *entry)
{
	struct retain_search *search = user;
	struct lake_partition where = { .topic = search->topic };
	enum lake_folder kind = lake_folder_parse(entry->key, &where);

	if (kind == LAKE_FOLDER_PARTITION)
		retain_add_partition(search, where);
	else if (kind == LAKE_FOLDER_GENERATION)
		search->code = store_level(search->store, entry->key, retain_meet_folder, search,
					   search->err);
	return search->code == ERR_OK;
}

static enum err_code retain_find_partitions(struct retain_search *search, struct err *err)
{
	static const char *const places[] = { "topics", "manifests" };
	enum err_code code = ERR_OK;
	struct buf folder;

	search->err = err;
	buf_init(&folder, STORE_KEY_MAX + 1);
	for (size_t i = 0; i < ARRAY_LEN(places) && code == ERR_OK; i++) {
		buf_clear(&folder);
		buf_addf(&folder, "%s/%s/", places[i], search->topic);
		code = store_level(search->store, buf_cstr(&folder), retain_meet_folder, search,
				   err);
		if (code == ERR_OK)
			code = search->code;
	}
	buf_release(&folder);
	return code;
}

/* A broken model may be one that reads the topic. */
static enum err_code retain_check_models(const struct retaining *retaining, struct err *err)
{
	const struct models *models = retaining->options->models;

	for (size_t i = 0; i < models->broken_count; i++)
		if (models->broken[i].kind == MODEL_CLEAN)
			return err_set(err, ERR_SHAPE,
				       "no raw object of \"%s\" goes while clean model \"%s\" is"
				       " broken, which may read it",
				       retaining->table->topic, models->broken[i].name);
	return ERR_OK;
}

enum err_code retain_raw(struct retaining *retaining, struct err *err)
{
	struct retain_search search = { .store = retaining->options->store,
					.topic = retaining->table->topic };
	enum err_code code = retain_check_models(retaining, err);

	if (code == ERR_OK)
		code = retain_find_partitions(&search, err);
	for (size_t i = 0; i < search.count && code == ERR_OK; i++)
		code = retain_partition(retaining, search.list[i], err);
	free(search.list);
	return code == ERR_OK && stop_requested() ? err_set(err, ERR_STOPPED, "asked to stop")
						  : code;
}
