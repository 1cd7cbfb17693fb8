/* Which object of the lake has a record, and in which of its lines. */
#include "base/mem.h"
#include "flow/group.h"
#include "flow/raw_kept.h"
#include "flow/where.h"

#include <stdio.h>

enum {
	OBJECT_BYTES_MAX = 1 << 30, /* as sink.flush_bytes */
	LEAP = 16,		    /* times as far back, until a name is met */
	NAMES = 1000,		    /* of groups, a listing */
};

/* --- names ------------------------------------------------------------------------ */

/* Names tell where objects begin, and a store lists from any on: so from a little before the
 * offset, and from ever farther before it, until one is there. `look` is told from where on. */
static enum err_code where_leap(uint64_t offset,
				enum err_code (*look)(void *user, int64_t after, bool *ret_found,
						      struct err *err),
				void *user, struct err *err)
{
	uint64_t step = LEAP;
	bool found = false;

	for (;;) {
		int64_t after = offset >= step ? (int64_t)(offset - step) : -1;
		enum err_code code = look(user, after, &found, err);

		if (code != ERR_OK || found || after < 0)
			return code;
		step *= LEAP;
	}
}

/* The last plain object that begins at the offset or before it. */
struct where_plain {
	struct store *store;
	struct lake_partition where;
	uint64_t offset;
	bool found;
	struct lake_entry entry;
	bool more; /* another one begins behind it */
};

static bool plain_look_at(void *user, const struct lake_entry *entry)
{
	struct where_plain *plain = user;

	if (entry->size == 0) /* a bar, or nothing that tells anything */
		return true;
	if (entry->start > plain->offset) {
		plain->more = true;
		return false;
	}
	plain->found = true;
	plain->entry = *entry;
	return true;
}

static enum err_code plain_look(void *user, int64_t after, bool *ret_found, struct err *err)
{
	struct where_plain *plain = user;
	enum err_code code =
		lake_list_objects(plain->store, plain->where, after, plain_look_at, plain, err);

	*ret_found = plain->found;
	return code;
}

/* The last group that begins at the offset or before it. */
struct where_grouped {
	struct store *store;
	struct lake_partition where;
	uint64_t offset;
	bool found;
	uint64_t first;
	bool more; /* another one begins behind it */
};

static enum err_code grouped_look(void *user, int64_t after, bool *ret_found, struct err *err)
{
	struct where_grouped *grouped = user;
	bool full = true;

	while (full && !grouped->more) {
		struct group_names names;
		enum err_code code =
			group_list(grouped->store, grouped->where, after, NAMES, &names, err);

		if (code != ERR_OK)
			return code;
		full = names.count == NAMES;
		for (size_t i = 0; i < names.count && !grouped->more; i++) {
			grouped->more = names.list[i].first > grouped->offset;
			if (grouped->more)
				break;
			grouped->found = true;
			grouped->first = names.list[i].first;
			after = (int64_t)names.list[i].first;
		}
		group_names_release(&names);
	}
	*ret_found = grouped->found;
	return ERR_OK;
}

/* --- groups ----------------------------------------------------------------------- */

static const char *group_loss(int32_t none)
{
	static const enum gap_reason reasons[] = {
		[-GROUP_NO_RECORD] = GAP_NONE,
		[-GROUP_LOST_RETENTION] = GAP_RETENTION,
		[-GROUP_LOST_REMOVED] = GAP_REMOVED,
		[-GROUP_LOST_DAMAGED] = GAP_DAMAGED,
	};

	return gap_reason_text(reasons[-none]);
}

/* An object that is named, and not put yet, is on its way. */
static enum err_code group_object_there(struct store *store, struct where_object *object,
					struct err *err)
{
	uint64_t size;
	enum err_code code = store_size(store, object->key, &size, err);

	if (code == ERR_ABSENT || (code == ERR_OK && group_is_bar(object->key, size)))
		object->state = WHERE_NO_OBJECT_YET;
	return code == ERR_ABSENT ? ERR_OK : code;
}

static enum err_code where_in_group(struct store *store, const struct group *group, uint64_t offset,
				    struct where_object *object, struct err *err)
{
	uint64_t *lines = xcalloc(group->object_count, sizeof(*lines)), at = group->first;
	const struct group_run *run = group->runs;

	while (at + run->count <= offset) {
		if (run->object >= 0)
			lines[run->object] += run->count;
		at += run->count;
		run++;
	}
	if (run->object >= 0) {
		object->state = WHERE_IN_OBJECT;
		object->line = lines[run->object] + (offset - at) + 1;
		(void)snprintf(object->key, sizeof(object->key), "%s",
			       group->objects[run->object].key);
	} else if (run->object == GROUP_NO_RECORD) {
		object->state = WHERE_PASSED;
	} else {
		object->state = WHERE_LOST;
		object->lost = group_loss(run->object);
	}
	free(lines);
	return object->state == WHERE_IN_OBJECT ? group_object_there(store, object, err) : ERR_OK;
}

/* *ret_plain: no group says anything of the offset, and plain objects may. */
static enum err_code where_grouped_find(struct store *store, const struct lake_partition *where,
					uint64_t offset, struct where_object *object,
					bool *ret_plain, struct err *err)
{
	struct where_grouped grouped = { .store = store, .where = *where, .offset = offset };
	struct group group = { 0 };
	enum err_code code = where_leap(offset, grouped_look, &grouped, err);

	*ret_plain = !grouped.found;
	if (code != ERR_OK || !grouped.found)
		return code;
	code = group_load(store, *where, grouped.first, 0, &group, err);
	if (code == ERR_OK && group.plain)
		*ret_plain = true;
	else if (code == ERR_OK && offset < group.end)
		code = where_in_group(store, &group, offset, object, err);
	else if (code == ERR_OK)
		object->state = grouped.more ? WHERE_PASSED : WHERE_NO_OBJECT_YET;
	group_release(&group);
	return code;
}

/* --- plain objects ---------------------------------------------------------------- */

/* The line of an offset, of `lines`, whose offsets rise; 0: none is it. */
static uint64_t where_line_of(const struct manifest *manifest, uint64_t lines, uint64_t offset)
{
	uint64_t low = 0, high = lines;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (manifest_offset(manifest, middle) < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < lines && manifest_offset(manifest, low) == offset ? low + 1 : 0;
}

/* How far the object reaches only its text tells. */
static enum err_code where_in_plain(const struct where_plain *plain, struct where_object *object,
				    struct err *err)
{
	struct manifests manifests = { 0 };
	struct manifest manifest = { 0 };
	uint64_t start = plain->entry.start, lines = 0;
	enum err_code code;
	struct buf key, text;

	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&text, OBJECT_BYTES_MAX);
	lake_entry_key(&key, plain->where, &plain->entry);
	code = manifests_load(plain->store, plain->where, (int64_t)start - 1, &manifests, err);
	if (code == ERR_OK)
		code = group_get_text(plain->store, buf_cstr(&key), &text, err);
	if (code == ERR_OK)
		code = manifests_find(&manifests, plain->store, start, buf_slice(&text), &manifest,
				      err);
	if (code == ERR_OK) {
		lines = manifest_count_lines(buf_slice(&text));
		object->line = where_line_of(&manifest, lines, plain->offset);
	}
	if (object->line > 0) {
		object->state = WHERE_IN_OBJECT;
		(void)snprintf(object->key, sizeof(object->key), "%s", buf_cstr(&key));
	} else if (plain->more ||
		   (lines > 0 && manifest_offset(&manifest, lines - 1) > plain->offset)) {
		object->state = WHERE_PASSED;
	}
	manifest_release(&manifest);
	manifests_release(&manifests);
	buf_release(&text);
	buf_release(&key);
	return code;
}

static enum err_code where_plain_find(struct store *store, const struct lake_partition *where,
				      uint64_t offset, struct where_object *object, struct err *err)
{
	struct where_plain plain = { .store = store, .where = *where, .offset = offset };
	enum err_code code = where_leap(offset, plain_look, &plain, err);

	if (code == ERR_OK && plain.found)
		return where_in_plain(&plain, object, err);
	if (code == ERR_OK && plain.more)
		object->state = WHERE_PASSED;
	return code;
}

/* ---------------------------------------------------------------------------------- */

enum err_code where_object_find(struct store *store, const struct where_record *record,
				struct where_object *ret_object, struct err *err)
{
	struct where_object object = { .state = WHERE_NO_OBJECT_YET };
	uint64_t offset, kept = 0;
	bool plain = false;
	enum err_code code = ERR_OK;

	if (record->where.generation > 0 && lake_offset(record->position, &offset)) {
		code = raw_kept_find(store, record->where, &kept, err);
		if (code == ERR_OK && offset < kept)
			object.state = WHERE_LET_GO;
		else if (code == ERR_OK)
			code = where_grouped_find(store, &record->where, offset, &object, &plain,
						  err);
		if (code == ERR_OK && plain)
			code = where_plain_find(store, &record->where, offset, &object, err);
	}
	if (code == ERR_OK)
		*ret_object = object;
	return code;
}
