#include "flow/batch_find.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/trace.h"
#include "flow/batch_chain.h"
#include "flow/raw_kept.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OBJECTS_MAX = 1000000 };

void batch_ids_init(struct batch_ids *ids, const struct lake_partition *where)
{
	lake_app_id(ids->progress, TOPIC_LOG, *where, NULL);
	(void)snprintf(ids->start, sizeof(ids->start), "%s/object", ids->progress);
	(void)snprintf(ids->bytes, sizeof(ids->bytes), "%s/bytes", ids->progress);
}

void batch_known_add_txn(struct batch_known *known, const char *app_id, int64_t version)
{
	known->txns = xreallocarray(known->txns, known->txn_count + 1, sizeof(*known->txns));
	known->txns[known->txn_count++] = (struct batch_txn){ xstrdup(app_id), version };
}

void batch_known_clear_txns(struct batch_known *known)
{
	for (size_t i = 0; i < known->txn_count; i++)
		free(known->txns[i].app_id);
	known->txn_count = 0;
}

void batch_known_release(struct batch_known *known)
{
	batch_known_clear_txns(known);
	free(known->txns);
	free(known->marks);
	*known = (struct batch_known){ 0 };
}

static int64_t find_txn(const struct batch_finder *finder, const char *app_id)
{
	const struct batch_known *known = finder->known;

	if (finder->delta)
		return delta_txn_version(finder->delta, app_id);
	for (size_t i = 0; known && i < known->txn_count; i++)
		if (strcmp(known->txns[i].app_id, app_id) == 0)
			return known->txns[i].version;
	return -1;
}

/* The last offset that is done with; *ret_any false: none is. */
static enum err_code find_progress(const struct batch_finder *finder, const char *app_id,
				   bool *ret_any, uint64_t *ret_offset, struct err *err)
{
	struct delta_progress done;
	int64_t version;

	if (!finder->delta) {
		version = find_txn(finder, app_id);
		*ret_any = version >= 0;
		*ret_offset = (uint64_t)version;
		return ERR_OK;
	}
	if (delta_progress(finder->delta, app_id, &done, err) != ERR_OK)
		return err->code;
	*ret_any = done.any;
	if (done.any && !lake_offset(done.position, ret_offset))
		return err_set(err, ERR_CORRUPT, "the progress of \"%s\" is no offset", app_id);
	return ERR_OK;
}

/* --- partitions --------------------------------------------------------------- */

/* Of what nothing was ever cleaned: where the objects begin that are kept; else 0. */
static enum err_code find_beginning(const struct batch_finder *finder, struct lake_partition where,
				    uint64_t *ret_from, struct err *err)
{
	enum err_code code = raw_kept_find(finder->store, where, ret_from, err);

	if (code == ERR_OK && *ret_from > 0)
		trace_info("topic \"%s\" partition %d: objects are kept from offset %" PRIu64
			   " on, those before it went by raw.retention",
			   where.topic, where.id, *ret_from);
	return code;
}

/* A partition as the table knows it, for the input. */
static enum err_code batch_add_part(const struct batch_finder *finder, struct lake_input *input,
				    struct lake_partition where, struct err *err)
{
	struct batch_ids ids;
	uint64_t offset = 0;
	bool any = false;
	enum err_code code;

	for (size_t i = 0; i < input->part_count; i++)
		if (input->parts[i]->where.id == where.id &&
		    input->parts[i]->where.generation == where.generation)
			return ERR_OK;
	batch_ids_init(&ids, &where);
	code = find_progress(finder, ids.progress, &any, &offset, err);
	if (code == ERR_OK && !any)
		code = find_beginning(finder, where, &offset, err);
	if (code == ERR_OK)
		(void)lake_input_part(input, where, !any, any ? offset + 1 : offset);
	return code;
}

/* A look at the folders of a topic. */
struct partition_search {
	const struct batch_finder *finder;
	struct lake_input *input;
	bool others; /* there are folders that are of no partition */
	enum err_code code;
	struct err *err;
};

/* Objects in folders of times are of no partition here: groups tell whose they are. */
static bool search_folder(void *user, const struct store_entry *entry)
{
	struct partition_search *search = user;
	struct lake_partition where = { .topic = search->finder->table->topic };
	enum lake_folder kind = lake_folder_parse(entry->key, &where);

	search->others |= kind == LAKE_FOLDER_OTHER;
	if (kind == LAKE_FOLDER_PARTITION)
		search->code = batch_add_part(search->finder, search->input, where, search->err);
	else if (kind == LAKE_FOLDER_GENERATION)
		search->code = store_level(search->finder->store, entry->key, search_folder, search,
					   search->err);
	return search->code == ERR_OK;
}

/* Each partition of the topic that has a folder. *ret_others: there are folders of none. */
static enum err_code find_partitions(const struct batch_finder *finder, struct lake_input *input,
				     const char *place, bool *ret_others, struct err *err)
{
	struct partition_search search = { .finder = finder, .input = input, .err = err };
	char prefix[TOPIC_NAME_MAX + 16];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "%s/%s/", place, finder->table->topic);
	code = store_level(finder->store, prefix, search_folder, &search, err);
	*ret_others = search.others;
	return code == ERR_OK ? search.code : code;
}

/* The search for new objects of one partition. */
struct new_objects {
	const struct batch_finder *finder;
	struct lake_part *part;
	bool peeks;			/* only `news` is wanted */
	bool news;			/* there is something to take */
	bool looked;			/* that is known */
	struct store_mark mark;		/* of the folder, before it was listed */
	struct store_mark manifests;	/* likewise */
	struct batch_marks quiet;	/* where nothing was found: what to know of that */
	struct lake_entry held;		/* what the last offset is in, as the table has it; size 0:
					   it does not say */
	bool held_is_there;		/* and is what it was */
	bool taking;			/* the second listing, into `list`; else only `newest` and
					   `any` are wanted */
	struct lake_entry *list;
	size_t count;
	size_t room;
	uint64_t bytes;
	size_t empties;
	uint64_t empty; /* where the first of them begins */
	bool any;
	uint64_t until;			/* where groups begin, … */
	struct group *groups;		/* … those that come next */
	size_t group_count;
	uint64_t last_group;		/* where the last one of all begins */
	uint64_t newest;		/* the highest start offset; none beyond it is taken */
};

static void add_new(struct new_objects *new, const struct lake_entry *entry)
{
	if (new->count == new->room) {
		new->room = new->room * 2 + 64;
		new->list = xreallocarray(new->list, new->room, sizeof(*new->list));
	}
	new->list[new->count++] = *entry;
}

/* An object without a byte holds no record: taken along it would be found new for ever. */
static void pass_over(struct batch_finder *finder, const struct new_objects *new)
{
	if (new->empties > 0 && finder->empties == 0)
		trace_warn("topic \"%s\" partition %s: the object at offset %" PRIu64
			   " is empty and is passed over, as all such are",
			   finder->table->topic, new->part->text, new->empty);
	finder->empties += new->empties;
}

static bool take_object(void *user, const struct lake_entry *entry)
{
	struct new_objects *new = user;

	if (entry->size == 0) {
		if (!new->taking &&new->empties++ == 0)
			new->empty = entry->start;
		return true;
	}
	if (new->held.size > 0 && entry->start == new->held.start &&
	    entry->size == new->held.size) {
		new->held_is_there = true;
		return true;
	}
	if (entry->start >= new->until || (new->taking && entry->start > new->newest))
		return false;
	if (new->taking)
		add_new(new, entry);
	else
		new->newest = entry->start;
	new->any = true;
	new->bytes += group_text_bytes(entry->packed, entry->size);
	return new->bytes < new->finder->bytes_max &&new->count < OBJECTS_MAX;
}

/* From the object on that the last offset is in; where the table does not say which, from the next
 * offset on. */
static enum err_code list_objects(struct new_objects *new, bool taking, struct err *err)
{
	uint64_t from = new->held.size > 0 ? new->held.start : new->part->next;

	new->taking = taking;
	new->bytes = 0;
	new->held_is_there = false;
	return lake_list_objects(new->finder->store, new->part->where, (int64_t)from - 1,
				 take_object, new, err);
}

static bool take_before(void *user, const struct lake_entry *entry)
{
	struct new_objects *new = user;

	if (entry->start >= new->newest)
		return false;
	if (entry->size > 0)
		new->held = *entry;
	return true;
}

/*
 * The object before the first one that was found, if any: it may hold what seems to be missing,
 * since the sink need not end an object again where it ended before.
 */
static enum err_code look_back(struct new_objects *new, struct err *err)
{
	uint64_t first = new->count > 0 ? new->list[0].start : UINT64_MAX;
	enum err_code code;

	if (first <= new->part->next)
		return ERR_OK;
	new->newest = new->part->next;
	new->held.size = 0;
	code = lake_list_objects(new->finder->store, new->part->where, -1, take_before, new, err);
	if (code != ERR_OK || new->held.size == 0)
		return code;
	add_new(new, &new->held);
	memmove(&new->list[1], &new->list[0], (new->count - 1) * sizeof(new->held));
	new->list[0] = new->held;
	return ERR_OK;
}

static void batch_find_read_held(const struct batch_finder *finder, const struct lake_part *part,
			    struct lake_entry *ret_held)
{
	struct batch_ids ids;
	int64_t start, bytes;

	batch_ids_init(&ids, &part->where);
	start = find_txn(finder, ids.start);
	bytes = find_txn(finder, ids.bytes);
	/* After another's progress, which says nothing of objects, it may be any. */
	if (!part->fresh && start >= 0 && bytes > 0 && (uint64_t)start < part->next)
		*ret_held = (struct lake_entry){ .start = (uint64_t)start,
						 .size = (uint64_t)bytes };
}

/* What was known of the partition when nothing came after what the table has of it; or NULL. */
static const struct batch_marks *known_marks(const struct new_objects *new)
{
	const struct batch_known *known = new->finder->known;
	const struct lake_part *part = new->part;

	for (size_t i = 0; known && i < known->mark_count; i++)
		if (known->marks[i].partition == part->where.id &&
		    known->marks[i].generation == part->where.generation)
			return !part->fresh && known->marks[i].next <= part->next ? &known->marks[i]
										  : NULL;
	return NULL;
}

/* Whether the object that the last offset is in is what it was, by its key. */
static enum err_code look_at_held(struct new_objects *new, struct err *err)
{
	struct buf key;
	uint64_t size;
	enum err_code code = ERR_ABSENT;

	new->held_is_there = false;
	if (new->held.size == 0)
		return ERR_OK;
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_entry_key(&key, new->part->where, &new->held);
	code = store_size(new->finder->store, buf_cstr(&key), &size, err);
	buf_release(&key);
	new->held_is_there = code == ERR_OK &&size == new->held.size;
	return code == ERR_ABSENT ? ERR_OK : code;
}

/* Nothing changed in the folder since nothing was found. */
static bool is_quiet(const struct new_objects *new, const struct batch_marks *known)
{
	return known && known->objects != 0 && known->objects == new->mark.mark;
}

static bool has_same_manifests(const struct new_objects *new, const struct batch_marks *known)
{
	return known && known->manifests != 0 && known->manifests == new->manifests.mark;
}

/* Once something is known of the partition, a first group is one that has come since. */
static enum err_code find_new_until(struct new_objects *new, const struct batch_marks *known,
				    struct err *err)
{
	struct group_names names;
	enum err_code code;

	new->until = known->until;
	if (known->until < UINT64_MAX || has_same_manifests(new, known))
		return ERR_OK;
	code = group_list(new->finder->store, new->part->where, (int64_t) new->part->next - 1, 1,
			  &names, err);
	if (code != ERR_OK)
		return code;
	if (names.count > 0)
		new->until = names.list[0].first;
	group_names_release(&names);
	return ERR_OK;
}

static enum err_code find_until(struct new_objects *new, struct err *err)
{
	const struct batch_marks *known = known_marks(new);
	struct buf folder;

	buf_init(&folder, STORE_KEY_MAX + 1);
	lake_partition_prefix(&folder, "manifests", new->part->where);
	new->manifests = store_mark(new->finder->store, buf_cstr(&folder));
	buf_release(&folder);
	if (known)
		return find_new_until(new, known, err);
	return group_find_first(new->finder->store, new->part->where, &new->until, err);
}

/*
 * The first look, which does not read a folder that is as it was, nor a long one while the chain of
 * objects goes on. A group's manifest is put before its objects: so that none of those is taken for
 * a plain one, groups are looked for afterwards.
 */
static enum err_code look_for_objects(struct new_objects *new, bool *ret_chained, struct err *err)
{
	const struct batch_finder *finder = new->finder;
	struct buf folder;
	enum err_code code;

	buf_init(&folder, STORE_KEY_MAX + 1);
	lake_partition_prefix(&folder, "topics", new->part->where);
	new->mark = store_mark(finder->store, buf_cstr(&folder));
	buf_release(&folder);
	new->until = UINT64_MAX;
	if (new->mark.bytes == 0)
		return list_objects(new, false, err);
	code = look_at_held(new, err);
	if (code == ERR_OK && new->held_is_there &&new->mark.bytes >= LONG_FOLDER_BYTES)
		code = batch_chain(finder->store, new->part, new->peeks ? 1 : finder->bytes_max,
				   &new->list, &new->count, err);
	*ret_chained = new->any = new->count > 0;
	new->room = new->count;
	if (code != ERR_OK || new->any || (new->held_is_there &&is_quiet(new, known_marks(new))))
		return code;
	return list_objects(new, false, err);
}

/*
 * Lists twice. An object that the sink puts while a listing runs may be missing from it although
 * the next one, put later still, is there; what looks like a gap then is none. So the first
 * listing only says which object is the newest: those before it were put before the second began.
 * A chain has no gap.
 */
static enum err_code find_objects(struct new_objects *new, struct err *err)
{
	const struct lake_part *part = new->part;
	const struct batch_marks *known = known_marks(new);
	bool told, chained = false;
	enum err_code code;

	new->until = known ? known->until : UINT64_MAX;
	if (part->next >= new->until) /* grouped, as it is for ever */
		return find_until(new, err);
	batch_find_read_held(new->finder, part, &new->held);
	told = new->held.size > 0;
	code = look_for_objects(new, &chained, err);
	if (code == ERR_OK)
		code = find_until(new, err);
	if (chained && new->until < UINT64_MAX) {
		new->count = 0;
		chained = false;
		if (code == ERR_OK)
			code = list_objects(new, false, err);
	}
	new->news = chained;
	if (code != ERR_OK || chained || (!part->fresh && part->next >= new->until))
		return code;
	if (!new->any && (part->fresh || !told || new->held_is_there)) {
		new->quiet.objects = new->mark.mark;
		return code;
	}
	new->news = true;
	if (new->peeks)
		return code;
	if (new->any)
		code = list_objects(new, true, err);
	if (code == ERR_OK && !part->fresh && !new->held_is_there)
		code = look_back(new, err);
	return code;
}

static enum err_code batch_load_group(struct new_objects *new, const struct group_name *name,
				      struct err *err)
{
	struct group group;
	enum err_code code = group_load(new->finder->store, new->part->where, name->first,
					name->number, &group, err);

	if (code != ERR_OK)
		return code;
	new->groups = xreallocarray(new->groups, new->group_count + 1, sizeof(group));
	new->groups[new->group_count++] = group;
	new->bytes += group_bytes(&group);
	return ERR_OK;
}

/*
 * The group that the next offset is in, if one begins before it: another's progress may end
 * anywhere. Where what comes next follows right on there is none.
 */
static enum err_code look_back_for_group(struct new_objects *new, struct err *err)
{
	const struct lake_part *part = new->part;
	struct group_name before = { 0 }; /* number 0: the one that counts */
	struct group *last;
	enum err_code code;
	bool found;

	if (part->fresh || part->next <= new->until ||
	    (new->group_count > 0 && group_from(&new->groups[0]) <= part->next))
		return ERR_OK;
	code = group_find_last(new->finder->store, part->where, part->next - 1, &found,
			       &before.first, err);
	if (code != ERR_OK || !found)
		return code;
	code = batch_load_group(new, &before, err);
	if (code != ERR_OK)
		return code;
	last = &new->groups[new->group_count - 1];
	if (last->end > part->next) {
		struct group straddling = *last;

		memmove(&new->groups[1], &new->groups[0], (new->group_count - 1) * sizeof(*last));
		new->groups[0] = straddling;
	} else {
		new->bytes -= group_bytes(last);
		group_release(last);
		new->group_count--;
	}
	return ERR_OK;
}

/* Groups, too, are listed twice, and then those that the first listing had are read. */
static enum err_code find_groups(struct new_objects *new, struct err *err)
{
	const struct lake_part *part = new->part;
	uint64_t from = part->next > new->until ? part->next : new->until;
	struct group_names seen, names = { 0 };
	enum err_code code = group_list(new->finder->store, part->where, (int64_t)from - 1,
					new->peeks ? 1 : SIZE_MAX, &seen, err);

	if (code != ERR_OK)
		return code;
	new->news |= seen.count > 0;
	if (seen.count > 0 && !new->peeks)
		code = group_list(new->finder->store, part->where, (int64_t)from - 1, SIZE_MAX,
				  &names, err);
	if (names.count > 0)
		new->last_group = names.list[names.count - 1].first;
	for (size_t i = 0; code == ERR_OK && i < names.count &&
			   names.list[i].first <= seen.list[seen.count - 1].first &&
			   new->bytes < new->finder->bytes_max;
	     i++)
		code = batch_load_group(new, &names.list[i], err);
	group_names_release(&seen);
	group_names_release(&names);
	return code == ERR_OK && !new->peeks ? look_back_for_group(new, err) : code;
}

/* What comes next of a partition: plain objects, then groups. */
static enum err_code find_new(void *user, size_t item, struct err *err)
{
	struct new_objects *new = &((struct new_objects *)user)[item];
	bool same;
	enum err_code code = find_objects(new, err);

	same = has_same_manifests(new, known_marks(new));
	if (new->count == 0)
		new->bytes = 0;		/* of a first listing */
	if (code == ERR_OK && !same && new->until < UINT64_MAX && !(new->peeks &&new->news) &&
	    new->bytes < new->finder->bytes_max &&new->count < OBJECTS_MAX)
		code = find_groups(new, err);
	new->news |= new->group_count > 0;
	if (!new->news)
		new->quiet.manifests = new->manifests.mark;
	new->looked = code == ERR_OK;
	return code;
}

/* For those who look next. What was found is taken first, and then it is not quiet any more. */
static void note_marks(struct batch_known *known, const struct new_objects *new)
{
	struct batch_marks marks = new->quiet;
	size_t i = 0;

	marks.partition = new->part->where.id;
	marks.generation = new->part->where.generation;
	marks.next = new->part->next;
	marks.until = new->until;
	while (i < known->mark_count && (known->marks[i].partition != marks.partition ||
					 known->marks[i].generation != marks.generation))
		i++;
	if (i == known->mark_count)
		known->marks = xreallocarray(known->marks, ++known->mark_count, sizeof(marks));
	else if (new->news) { /* what is known of before still is */
		known->marks[i].until = marks.until;
		return;
	}
	known->marks[i] = marks;
}

static bool is_stopped(const struct batch_finder *finder, const struct lake_part *part)
{
	for (size_t i = 0; i < finder->stopped_count; i++)
		if (finder->stopped[i].id == part->where.id &&
		    finder->stopped[i].generation == part->where.generation)
			return true;
	return false;
}

/* As many as a commit takes. */
static void take_new(struct batch_finder *finder, struct lake_input *input,
		     const struct new_objects *new)
{
	pass_over(finder, new);
	for (size_t i = 0; i < new->count; i++)
		if (input->bytes < finder->bytes_max && input->object_count < OBJECTS_MAX)
			lake_input_add(input, new->part, &new->list[i]);
	for (size_t i = 0; i < new->group_count; i++)
		if (input->bytes < finder->bytes_max && input->object_count < OBJECTS_MAX)
			lake_input_add_group(input, new->part, &new->groups[i],
					     new->groups[i].first >= new->last_group);
}

/* Several partitions are searched at a time, none of them once a commit's worth is found. */
static enum err_code find_all(struct batch_finder *finder, struct lake_input *input,
			      struct new_objects *parts, size_t count, struct err *err)
{
	struct ahead *ahead = ahead_new(&(struct ahead_options){
		.count = count,
		.at_once = store_at_once(finder->store),
		.work = find_new,
		.user = parts,
	});
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < count && code == ERR_OK && input->bytes < finder->bytes_max; i++) {
		code = ahead_take(ahead, i, err);
		if (code == ERR_OK)
			take_new(finder, input, &parts[i]);
	}
	ahead_free(ahead);
	return code;
}

static void new_objects_free(struct new_objects *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t g = 0; g < parts[i].group_count; g++)
			group_release(&parts[i].groups[g]);
		free(parts[i].groups);
		free(parts[i].list);
	}
	free(parts);
}

/* Of each partition what comes next. *ret_any: there is something. */
static enum err_code find_in_parts(struct batch_finder *finder, struct lake_input *input,
				   bool peeks, bool *ret_any, struct err *err)
{
	struct new_objects *parts = xcalloc(input->part_count, sizeof(*parts));
	enum err_code code;
	size_t count = 0;

	for (size_t i = 0; i < input->part_count; i++)
		if (!is_stopped(finder, input->parts[i]))
			parts[count++] = (struct new_objects){ .finder = finder,
							       .peeks = peeks,
							       .part = input->parts[i] };
	code = find_all(finder, input, parts, count, err);
	*ret_any = false;
	for (size_t i = 0; i < count; i++) {
		*ret_any |= parts[i].news;
		if (parts[i].looked && finder->known)
			note_marks(finder->known, &parts[i]);
	}
	new_objects_free(parts, count);
	return code;
}

/* A partition whose objects are in folders of times shows by its manifests alone; whoever only
 * looks whether there is anything need not look for those where there is no such folder. */
static enum err_code find_everywhere(struct batch_finder *finder, struct lake_input *input,
				     bool peeks, bool *ret_any, struct err *err)
{
	bool others;
	enum err_code code = find_partitions(finder, input, "topics", &others, err);

	if (code == ERR_OK && (others || !peeks))
		code = find_partitions(finder, input, "manifests", &others, err);
	return code == ERR_OK ? find_in_parts(finder, input, peeks, ret_any, err) : code;
}

enum err_code batch_find(struct batch_finder *finder, struct lake_input *input, struct err *err)
{
	bool any;
	enum err_code code = find_everywhere(finder, input, false, &any, err);

	finder->all = input->bytes < finder->bytes_max && input->object_count < OBJECTS_MAX;
	return code == ERR_OK ? lake_input_find_manifests(input, err) : code;
}

enum err_code batch_find_any(struct batch_finder *finder, bool *ret_any, struct err *err)
{
	struct lake_input input;
	enum err_code code;

	lake_input_init(&input, finder->store, finder->table);
	code = find_everywhere(finder, &input, true, ret_any, err);
	lake_input_release(&input);
	return code;
}
