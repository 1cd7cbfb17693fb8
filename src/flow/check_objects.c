#include "flow/check_topic.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "flow/census.h"
#include "flow/lake_text.h"
#include "flow/raw_kept.h"

#include <inttypes.h>
#include <stdio.h>

enum { OBJECT_BYTES_MAX = 1 << 30, AHEAD_BYTES_MAX = 64 << 20, GROUP_PIECE_BYTES = 2 << 20 };

static void check_add_cover(struct check_part *part, const struct check_cover *cover)
{
	part->covers = xreallocarray(part->covers, part->cover_count + 1, sizeof(*cover));
	part->covers[part->cover_count++] = *cover;
}

/* --- what the listings of now show ----------------------------------------- */

static void note_front(struct check_part *part, uint64_t start)
{
	if (part && (int64_t)start > part->front)
		part->front = (int64_t)start;
}

/* Of objects that lie below their times groups tell. */
static bool note_object(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	struct lake_file_name name;

	if (!lake_file_parse(entry->key, &name))
		check_fault(checking, "\"%s\" is not the name of an object of the lake",
			    entry->key);
	else if (name.plain && !name.side.ptr && entry->size > 0)
		note_front(check_part_of(checking, name.partition, name.generation), name.start);
	return checking->code == ERR_OK;
}

static bool check_note_group(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	struct lake_object_name name;
	struct slice rest;
	uint64_t first;
	uint32_t number;

	if (lake_manifest_parse(entry->key, &name, &rest) &&
	    group_parse_name(rest, &first, &number))
		note_front(check_part_of(checking, name.partition, name.generation), first);
	return checking->code == ERR_OK;
}

/* The offset that an object of the sink's letters begins with. */
static bool letters_start(const struct dlq_key *key, uint64_t *ret_start)
{
	uint64_t from = 0;

	if (key->table.ptr)
		return false;
	if (!key->old && !key->range.begins && !lake_offset(key->range.from, &from))
		return false;
	*ret_start = key->old ? key->start : key->range.begins ? 0 : from + 1;
	return true;
}

static bool note_letters(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	struct dlq_key key;
	int32_t partition;
	uint64_t start;

	if (dlq_key_parse(entry->key, &key) &&
	    partition_parse(TOPIC_LOG, key.partition, &partition) && letters_start(&key, &start))
		note_front(check_part_of(checking, partition, key.generation), start);
	return checking->code == ERR_OK;
}

/* A listing may lack what is put while it runs, and show what is put after that. But what the sink
 * put before the newest that this one shows, a later listing will not lack. */
enum err_code check_find_fronts(struct checking *checking)
{
	char objects[STORE_KEY_MAX], groups[STORE_KEY_MAX], letters[STORE_KEY_MAX];
	const struct store_listing listings[] = {
		{ objects, note_object, checking },
		{ groups, check_note_group, checking },
		{ letters, note_letters, checking },
	};
	enum err_code code;

	if (checking->kind != TOPIC_LOG)
		return ERR_OK;
	(void)snprintf(objects, sizeof(objects), "topics/%s/", checking->topic);
	(void)snprintf(groups, sizeof(groups), "manifests/%s/", checking->topic);
	(void)snprintf(letters, sizeof(letters), "dlq/%s/", checking->topic);
	code = store_list_all(checking->options->store, listings, ARRAY_LEN(listings),
			      checking->err);
	return code == ERR_OK ? checking->code : code;
}

/* --- one object ------------------------------------------------------------ */

/* An object of a partition, or a group of them that begins at `entry.start` and whose manifest has
 * the number `entry.size`; what it holds is read ahead of the walk over all of them. */
struct walked {
	size_t part;
	struct lake_entry entry;
	bool is_group;
	bool is_last;			/* of all groups: it may still be on its way */
	struct object_read *read;
};

struct object_read {
	struct manifest manifest;
	uint64_t lines;
	struct group group;
	bool missing;			/* not all that the last group names is there */
};

/* The objects of all partitions, in order. */
struct check_walk {
	struct checking *checking;
	struct listed_part *parts;	/* as checking->parts */
	struct walked *objects;
	size_t count;
};

static void check_add_run(struct check_part *part, uint64_t first, uint64_t count)
{
	if (part->run_count == part->run_room) {
		part->run_room = part->run_room * 2 + 64;
		part->runs = xreallocarray(part->runs, part->run_room, sizeof(*part->runs));
	}
	part->runs[part->run_count++] = (struct manifest_run){ first, count };
}

/* Letters of the sink whose offsets are those of a run of lines. */
static void meet_letters(struct checking *checking, struct check_part *part, uint64_t first,
			 uint64_t count)
{
	while (part->sink_at < part->sink_count && part->sink[part->sink_at] < first)
		part->sink_at++;
	for (size_t i = part->sink_at; i < part->sink_count && part->sink[i] - first < count; i++)
		check_fault(checking,
			    "partition %d of \"%s\": offset %" PRIu64
			    " is a dead letter and in an object",
			    part->where.id, checking->topic, part->sink[i]);
}

static void check_take_run(struct checking *checking, struct check_part *part, uint64_t first,
			   uint64_t count)
{
	check_add_run(part, first, count);
	meet_letters(checking, part, first, count);
}

/* Only where a manifest may tell the offsets of its lines: that is known by all of its bytes. */
static bool reads_whole(const struct manifests *manifests, const struct lake_entry *entry)
{
	return !entry->packed && manifests_may_have(manifests, entry->start);
}

/* Its lines, and which offsets they have. */
static enum err_code read_object(struct store *store, const struct manifests *manifests,
				 const char *key, const struct lake_entry *entry,
				 struct object_read *read, struct err *err)
{
	struct buf body;
	enum err_code code;

	read->manifest = (struct manifest){ .start = entry->start };
	if (!reads_whole(manifests, entry))
		return census_count_lines(store, key, entry->size, &read->lines, err);
	buf_init(&body, OBJECT_BYTES_MAX);
	code = store_get(store, key, 0, UINT64_MAX, &body, err);
	if (code == ERR_OK)
		code = manifests_find(manifests, store, entry->start, buf_slice(&body),
				      &read->manifest, err);
	read->lines = manifest_count_lines(buf_slice(&body));
	buf_release(&body);
	return code;
}

/* The object with the last line so far; the manifest is taken. */
static void note_newest(struct check_part *part, const char *key, uint64_t size,
			const struct manifest *manifest, uint64_t lines)
{
	manifest_release(&part->newest_manifest);
	part->newest_manifest = *manifest;
	free(part->newest_key);
	part->newest_key = xstrdup(key);
	part->newest_size = size;
	part->newest_lines = lines;
}

static void take_lines(struct checking *checking, struct check_part *part,
		       const struct lake_entry *entry, const struct object_read *read)
{
	const struct manifest *manifest = &read->manifest;
	struct buf key;

	if (manifest->run_count == 0)
		check_take_run(checking, part, entry->start, read->lines);
	for (size_t i = 0; i < manifest->run_count; i++)
		check_take_run(checking, part, manifest->runs[i].first, manifest->runs[i].count);
	check_add_cover(part, &(struct check_cover){
				      .kind = COVER_OBJECT,
				      .from = manifest_from(manifest),
				      .start = entry->start,
				      .end = manifest_offset(manifest, read->lines - 1) + 1 });
	checking->counts.objects++;
	checking->counts.lines += read->lines;
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_entry_key(&key, part->where, entry);
	note_newest(part, buf_cstr(&key), entry->size, manifest, read->lines);
	buf_release(&key);
}

/* --- one group --------------------------------------------------------------- */

static enum err_code read_group(struct store *store, struct lake_partition where,
				const struct walked *walked, struct err *err)
{
	struct object_read *read = walked->read;
	enum err_code code = group_load(store, where, walked->entry.start,
					(uint32_t)walked->entry.size, &read->group, err);

	for (size_t i = 0; i < read->group.object_count && code == ERR_OK; i++) {
		struct lake_text_sum sum;

		lake_text_sum_init(&sum);
		code = lake_text_each(store, read->group.objects[i].key, GROUP_PIECE_BYTES,
				      lake_text_sum_take, &sum, err);
		if (code == ERR_OK)
			code = group_check_sum(&read->group, i, sum.bytes, sum.crc, err);
		read->missing = code == ERR_ABSENT || (code == ERR_CORRUPT && sum.bytes == 0);
	}
	return code != ERR_OK && read->missing && walked->is_last ? ERR_OK : code;
}

static void take_group_lines(struct checking *checking, struct check_part *part,
			     const struct group *group)
{
	uint64_t offset = group->first;
	int32_t last = GROUP_NO_RECORD;
	struct manifest manifest;

	for (size_t i = 0; i < group->run_count; i++) {
		if (group->runs[i].object >= 0) {
			check_take_run(checking, part, offset, group->runs[i].count);
			last = group->runs[i].object;
		}
		offset += group->runs[i].count;
	}
	for (size_t i = 0; i < group->object_count; i++)
		checking->counts.lines += group->objects[i].lines;
	checking->counts.objects += group->object_count;
	check_add_cover(part, &(struct check_cover){ .kind = COVER_OBJECT,
						     .from = group_from(group),
						     .start = group->first,
						     .end = group->end });
	if (last == GROUP_NO_RECORD)
		return;
	group_manifest(group, (size_t)last, &manifest);
	note_newest(part, group->objects[last].key, group->objects[last].bytes, &manifest,
		    group->objects[last].lines);
}

/* --- all of them, and the letters between them ------------------------------ */

static int compare_covers(const void *a, const void *b)
{
	const struct check_cover *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* What an object holds no other one may hold. Letters may be there in several objects, when two
 * were at work; readers take each once. */
static void compare_cover(struct checking *checking, struct check_part *part,
			  const struct check_cover *cover, uint64_t next, uint64_t object_end)
{
	if (cover->from > next) {
		check_fault(checking,
			    "partition %d of \"%s\": offsets %" PRIu64 " to %" PRIu64
			    " are in no object",
			    part->where.id, checking->topic, next, cover->from - 1);
		part->holes = true;
	}
	if (cover->kind == COVER_OBJECT && cover->start < object_end) {
		check_fault(checking,
			    "partition %d of \"%s\": offsets from %" PRIu64
			    " on are in two places",
			    part->where.id, checking->topic, cover->start);
		part->holes = true;
	}
}

/*
 * Where the lake has to begin: with the first record of the topic, but for what the log had let
 * go of before there was a sink. Without the log nothing can be said.
 */
static uint64_t first_of(const struct checking *checking, const struct check_part *part)
{
	const struct partition_info *info = topic_info_partition(&checking->info, part->where.id);
	uint64_t born = 0, first = 0, begins = part->covers[0].from;

	if (!info || part->where.generation > 1 || !lake_offset(info->born, &born) ||
	    !lake_offset(info->first, &first))
		return begins;
	first = first > born ? first : born;
	return first < begins ? first : begins;
}

static void check_covers(struct checking *checking, struct check_part *part)
{
	uint64_t object_end = 0;

	if (part->cover_count == 0)
		return;
	qsort(part->covers, part->cover_count, sizeof(*part->covers), compare_covers);
	part->any_end = true;
	part->end = first_of(checking, part);
	part->end = part->end > part->kept ? part->end : part->kept;
	for (size_t i = 0; i < part->cover_count; i++) {
		const struct check_cover *cover = &part->covers[i];

		/* The sink's, put after the listing of the objects before it; or not kept. */
		if ((int64_t)cover->from > part->front || cover->end <= part->kept)
			continue;
		compare_cover(checking, part, cover, part->end, object_end);
		part->end = cover->end > part->end ? cover->end : part->end;
		if (cover->kind == COVER_OBJECT && cover->end > object_end)
			object_end = cover->end;
	}
}

static bool cover_by_name(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	struct check_part *part;
	struct dlq_key key;
	int32_t partition;
	uint64_t start, upto;

	if (!dlq_key_parse(entry->key, &key) || key.old || !letters_start(&key, &start) ||
	    !lake_offset(key.range.upto, &upto) ||
	    !partition_parse(TOPIC_LOG, key.partition, &partition))
		return true;
	part = check_part_of(checking, partition, key.generation);
	if (part && start <= upto)
		check_add_cover(part, &(struct check_cover){ .kind = COVER_LETTERS,
							     .from = start,
							     .end = upto + 1 });
	return part != NULL;
}

/* The names of the sink's letters say what it went over, records or not. */
static enum err_code cover_by_names(struct checking *checking)
{
	char prefix[STORE_KEY_MAX];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "dlq/%s/", checking->topic);
	code = store_list(checking->options->store, prefix, "", cover_by_name, checking,
			  checking->err);
	return code == ERR_OK ? checking->code : code;
}

/* --- the walk ------------------------------------------------------------------ */

/* What the listings say of a partition. */
struct listed_part {
	const struct check_part *part;
	struct lake_entry *entries;
	size_t count;
	size_t room;
	struct manifests manifests;
	uint64_t until;			/* where groups begin */
	size_t group_count;		/* of them, with the ends of `entries` */
};

static bool list_part_entry(void *user, const struct lake_entry *entry)
{
	struct listed_part *listed = user;

	if ((int64_t)entry->start > listed->part->front || entry->start >= listed->until)
		return false;
	if (entry->size == 0)
		return true; /* it says nothing of its offset */
	if (listed->count == listed->room) {
		listed->room = listed->room * 2 + 64;
		listed->entries = xreallocarray(listed->entries, listed->room,
						sizeof(*listed->entries));
	}
	listed->entries[listed->count++] = *entry;
	return true;
}

/* Behind the plain ones. */
static enum err_code list_groups(struct store *store, struct listed_part *listed, struct err *err)
{
	struct group_names names = { 0 };
	enum err_code code = ERR_OK;
	uint64_t until = listed->until;

	if (until < UINT64_MAX)
		code = group_list(store, listed->part->where, (int64_t)until - 1, SIZE_MAX, &names,
				  err);
	listed->until = UINT64_MAX;
	for (size_t i = 0; i < names.count; i++) {
		size_t before = listed->count;

		(void)list_part_entry(listed, &(struct lake_entry){ .start = names.list[i].first,
								    .size = names.list[i].number });
		listed->group_count += listed->count - before;
	}
	group_names_release(&names);
	return code;
}

/* Manifests are put before their objects; those of later ones are not looked for. */
static enum err_code list_part_objects(struct store *store, struct listed_part *listed,
				       struct err *err)
{
	struct lake_partition where = listed->part->where;
	enum err_code code = group_find_first(store, where, &listed->until, err);

	if (code == ERR_OK)
		code = lake_list_objects(store, where, -1, list_part_entry, listed, err);
	return code == ERR_OK ? list_groups(store, listed, err) : code;
}

/* Two works a partition: its manifests, and its objects. */
static enum err_code list_part(void *user, size_t item, struct err *err)
{
	struct check_walk *walk = user;
	struct store *store = walk->checking->options->store;
	struct listed_part *listed = &walk->parts[item / 2];

	if (item % 2 == 0)
		return manifests_load(store, listed->part->where, -1, &listed->manifests, err);
	return list_part_objects(store, listed, err);
}

static enum err_code list_parts(struct check_walk *walk)
{
	struct checking *checking = walk->checking;
	struct ahead_options options = { .count = 2 * checking->part_count,
					 .at_once = store_at_once(checking->options->store),
					 .work = list_part,
					 .user = walk };
	enum err_code code;

	for (size_t i = 0; i < checking->part_count; i++)
		walk->parts[i].part = &checking->parts[i];
	code = ahead_all(&options, checking->err);
	for (size_t i = 0; i < checking->part_count; i++)
		walk->count += walk->parts[i].count;
	return code;
}

static void walk_key(const struct check_walk *walk, const struct walked *object, struct buf *out)
{
	struct lake_partition where = walk->parts[object->part].part->where;

	if (object->is_group)
		group_key(out, where, object->entry.start, (uint32_t)object->entry.size);
	else
		lake_entry_key(out, where, &object->entry);
}

static enum err_code walk_read(void *user, size_t item, struct err *err)
{
	const struct check_walk *walk = user;
	struct walked *object = &walk->objects[item];
	struct buf key;
	enum err_code code;

	object->read = xcalloc(1, sizeof(*object->read));
	if (object->is_group)
		return read_group(walk->checking->options->store,
				  walk->parts[object->part].part->where, object, err);
	buf_init(&key, STORE_KEY_MAX + 1);
	walk_key(walk, object, &key);
	code = read_object(walk->checking->options->store, &walk->parts[object->part].manifests,
			   buf_cstr(&key), &object->entry, object->read, err);
	buf_release(&key);
	return code;
}

/* What the work on it holds; nothing is left of that when it is done. */
static uint64_t walk_bytes(void *user, size_t item)
{
	const struct check_walk *walk = user;
	const struct walked *object = &walk->objects[item];

	if (object->read)
		return 0;
	if (object->is_group)
		return GROUP_PIECE_BYTES;
	return reads_whole(&walk->parts[object->part].manifests, &object->entry)
		       ? object->entry.size
		       : census_bytes_held(object->entry.size);
}

/* Unless retention has let go of it meanwhile. */
static enum err_code tell_unreadable(struct check_walk *walk, const struct walked *object)
{
	struct checking *checking = walk->checking;
	struct check_part *part = &checking->parts[object->part];
	struct buf key;
	struct err err;

	if (raw_kept_find(checking->options->store, part->where, &part->kept, &err) != ERR_OK) {
		*checking->err = err;
		return err.code;
	}
	if (object->entry.start < part->kept)
		return ERR_OK;

	buf_init(&key, STORE_KEY_MAX + 1);
	walk_key(walk, object, &key);
	check_fault(checking, "object \"%s\": %s", buf_cstr(&key), checking->err->msg);
	part->holes = true;
	buf_release(&key);
	return ERR_OK;
}

static enum err_code walk_take(struct check_walk *walk, struct ahead *ahead)
{
	struct checking *checking = walk->checking;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < walk->count && code == ERR_OK; i++) {
		struct walked *object = &walk->objects[i];

		code = ahead_take(ahead, i, checking->err);
		if (code == ERR_OK && !object->is_group) {
			take_lines(checking, &checking->parts[object->part], &object->entry,
				   object->read);
		} else if (code == ERR_OK) {
			if (!object->read->missing)
				take_group_lines(checking, &checking->parts[object->part],
						 &object->read->group);
		} else if (code == ERR_CORRUPT || code == ERR_ABSENT) {
			code = tell_unreadable(walk, object);
		}
		group_release(&object->read->group);
		free(object->read);
		object->read = NULL;
	}
	return code;
}

static struct walked walked_of(const struct listed_part *listed, size_t part, size_t at)
{
	return (struct walked){ .part = part,
				.entry = listed->entries[at],
				.is_group = at >= listed->count - listed->group_count,
				.is_last = at + 1 == listed->count };
}

static enum err_code walk_read_all(struct check_walk *walk)
{
	struct store *store = walk->checking->options->store;
	struct walked *next = walk->objects = xcalloc(walk->count, sizeof(*walk->objects));
	struct ahead *ahead;
	enum err_code code;

	for (size_t i = 0; i < walk->checking->part_count; i++)
		for (size_t at = 0; at < walk->parts[i].count; at++)
			*next++ = walked_of(&walk->parts[i], i, at);
	ahead = ahead_new(&(struct ahead_options){ .count = walk->count,
						   .at_once = store_at_once(store),
						   .bytes_max = AHEAD_BYTES_MAX,
						   .bytes = walk_bytes,
						   .work = walk_read,
						   .user = walk });
	code = walk_take(walk, ahead);
	ahead_free(ahead);
	for (size_t i = 0; i < walk->count; i++) {
		if (walk->objects[i].read) {
			manifest_release(&walk->objects[i].read->manifest);
			group_release(&walk->objects[i].read->group);
		}
		free(walk->objects[i].read);
	}
	free(walk->objects);
	return code;
}

enum err_code check_objects(struct checking *checking)
{
	struct check_walk walk = { .checking = checking };
	enum err_code code = cover_by_names(checking);
	size_t count = checking->part_count;

	walk.parts = xcalloc(count, sizeof(*walk.parts));
	if (code == ERR_OK)
		code = list_parts(&walk);
	if (code == ERR_OK)
		code = walk_read_all(&walk);
	for (size_t i = 0; i < count; i++) {
		manifests_release(&walk.parts[i].manifests);
		free(walk.parts[i].entries);
	}
	free(walk.parts);
	if (code == ERR_OK)
		code = check_find_kept(checking);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		check_covers(checking, &checking->parts[i]);
	return code;
}
