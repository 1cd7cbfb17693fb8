#include "flow/batch_find.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* PAGE_KEYS: what a listing of a service gives at once. */
enum { OBJECTS_MAX = 1000000, PAGE_KEYS = 1000 };

void batch_ids_init(struct batch_ids *ids, const struct lake_partition *where)
{
	lake_app_id(ids->progress, TOPIC_LOG, *where, NULL);
	(void)snprintf(ids->start, sizeof(ids->start), "%s/object", ids->progress);
	(void)snprintf(ids->bytes, sizeof(ids->bytes), "%s/bytes", ids->progress);
}

/* A partition as the table knows it, for the input. */
static enum err_code batch_add_part(const struct batch_finder *finder, struct lake_input *input,
				    struct lake_partition where, struct err *err)
{
	struct delta_progress done;
	struct batch_ids ids;
	uint64_t offset = 0;
	enum err_code code;

	for (size_t i = 0; i < input->part_count; i++)
		if (input->parts[i]->where.id == where.id &&
		    input->parts[i]->where.generation == where.generation)
			return ERR_OK;
	batch_ids_init(&ids, &where);
	code = delta_progress(finder->delta, ids.progress, &done, err);
	if (code == ERR_OK && done.any && !lake_offset(done.position, &offset))
		code = err_set(err, ERR_CORRUPT, "the progress of \"%s\" is no offset", ids.progress);
	if (code == ERR_OK)
		(void)lake_input_part(input, where, !done.any, done.any ? offset + 1 : 0);
	return code;
}

/* A listing of a topic's keys that ends where enough of one partition went by. */
struct partition_search {
	const struct batch_finder *finder;
	struct lake_input *input;
	char last[STORE_KEY_MAX + 2]; /* the key before */
	size_t path;		      /* where in it folders of times begin */
	struct lake_partition where;  /* its; topic NULL: it is no object of ours */
	size_t count;		      /* keys of that in a row, … */
	size_t enough;		      /* … of which so many … */
	bool skips;		      /* … have gone by */
	enum err_code code;
	struct err *err;
};

/* Objects in folders of times are of no partition here (id -1): groups tell whose they are. */
static bool find_where(struct partition_search *search, const char *key)
{
	struct lake_object_name manifest = { 0 };
	struct lake_file_name name;
	struct slice rest;

	if (lake_manifest_parse(key, &manifest, &rest)) {
		search->where = (struct lake_partition){ search->finder->table->topic,
							 manifest.partition, manifest.generation };
	} else if (lake_file_parse(key, &name)) {
		search->where = (struct lake_partition){ search->finder->table->topic,
							 name.plain ? name.partition : -1,
							 name.generation };
		search->path = (size_t)(name.path.ptr - key);
	}
	return search->where.topic;
}

/* On behind all of the folder that the last key is in: '0' comes right after '/'. Of objects in
 * folders of times, behind all that begin as this one. */
static void pass_folder(struct partition_search *search)
{
	char *slash = search->where.id >= 0 ? strrchr(search->last, '/')
					    : strchr(search->last + search->path, '/');

	(void)snprintf(slash, 2, "0");
}

static bool search_key(void *user, const struct store_entry *entry)
{
	struct partition_search *search = user;
	struct lake_partition before = search->where;

	(void)snprintf(search->last, sizeof(search->last), "%s", entry->key);
	search->where.topic = NULL;
	if (!find_where(search, entry->key))
		return true;
	if (!before.topic || before.id != search->where.id ||
	    before.generation != search->where.generation) {
		search->count = 0;
		if (search->where.id >= 0)
			search->code = batch_add_part(search->finder, search->input, search->where,
						      search->err);
	}
	search->skips = ++search->count >= search->enough;
	return search->code == ERR_OK && !search->skips;
}

/*
 * Each partition of the topic that has objects. A listing goes on behind all of a partition once it
 * knows that one: at once in a directory, after a page of keys where a request has so many.
 */
static enum err_code find_partitions(const struct batch_finder *finder, struct store *first,
				     struct lake_input *input, const char *place, struct err *err)
{
	struct partition_search search = { .finder = finder, .input = input, .err = err };
	char prefix[TOPIC_NAME_MAX + 16], after[sizeof(search.last)];
	enum err_code code;

	search.enough = store_at_once(finder->store) > 1 ? PAGE_KEYS : 1;
	(void)snprintf(prefix, sizeof(prefix), "%s/%s/", place, finder->table->topic);
	do {
		(void)snprintf(after, sizeof(after), "%s", search.last);
		search.skips = false;
		code = store_list_some(first, prefix, after, search.enough, search_key, &search,
				       err);
		if (code == ERR_OK)
			code = search.code;
		if (search.skips)
			pass_folder(&search);
	} while (code == ERR_OK && search.skips);
	return code;
}

/* The search for new objects of one partition. */
struct new_objects {
	const struct batch_finder *finder;
	struct store *first; /* what is listed first is asked here */
	struct lake_part *part;
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
	return lake_list_objects(taking ? new->finder->store : new->first, new->part->where,
				 (int64_t)from - 1, take_object, new, err);
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
	start = delta_txn_version(finder->delta, ids.start);
	bytes = delta_txn_version(finder->delta, ids.bytes);
	/* After another's progress, which says nothing of objects, it may be any. */
	if (!part->fresh && start >= 0 && bytes > 0 && (uint64_t)start < part->next)
		*ret_held = (struct lake_entry){ .start = (uint64_t)start,
						 .size = (uint64_t)bytes };
}

/*
 * Lists twice. An object that the sink puts while a listing runs may be missing from it although
 * the next one, put later still, is there; what looks like a gap then is none. So the first
 * listing only says which object is the newest: those before it were put before the second began.
 * It may be the one that found the partitions.
 */
static enum err_code find_objects(struct new_objects *new, struct err *err)
{
	const struct lake_part *part = new->part;
	bool told;
	enum err_code code;

	batch_find_read_held(new->finder, part, &new->held);
	told = new->held.size > 0;
	code = list_objects(new, false, err);
	/* A group's manifest is put before its objects: none of those is taken for a plain one. */
	if (code == ERR_OK)
		code = group_find_first(new->first, part->where, &new->until, err);
	if (code != ERR_OK || (!part->fresh && part->next >= new->until))
		return code;
	if (!new->any && (part->fresh || !told || new->held_is_there))
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
	enum err_code code =
		group_list(new->first, part->where, (int64_t)from - 1, SIZE_MAX, &seen, err);

	if (code != ERR_OK)
		return code;
	if (seen.count > 0)
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
	return code == ERR_OK ? look_back_for_group(new, err) : code;
}

/* What comes next of a partition: plain objects, then groups. */
static enum err_code find_new(void *user, size_t item, struct err *err)
{
	struct new_objects *new = &((struct new_objects *)user)[item];
	enum err_code code;

	new->until = UINT64_MAX;
	code = find_objects(new, err);
	if (new->count == 0)
		new->bytes = 0;		/* of a first listing */
	if (code == ERR_OK && new->until < UINT64_MAX &&new->bytes < new->finder->bytes_max &&
	    new->count < OBJECTS_MAX)
		code = find_groups(new, err);
	return code;
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

/* Of each partition what comes next; `first`: what is asked for what is listed first. */
static enum err_code find_in_parts(struct batch_finder *finder, struct store *first,
				   struct lake_input *input, struct err *err)
{
	struct new_objects *parts = xcalloc(input->part_count, sizeof(*parts));
	enum err_code code;
	size_t count = 0;

	for (size_t i = 0; i < input->part_count; i++)
		if (!is_stopped(finder, input->parts[i]))
			parts[count++] = (struct new_objects){ .finder = finder,
							       .first = first,
							       .part = input->parts[i] };
	code = find_all(finder, input, parts, count, err);
	for (size_t i = 0; i < count; i++) {
		for (size_t g = 0; g < parts[i].group_count; g++)
			group_release(&parts[i].groups[g]);
		free(parts[i].groups);
		free(parts[i].list);
	}
	free(parts);
	return code;
}

/* Whether the listing of the topic that found the partitions has told all that they have. */
static bool told_all(const struct batch_finder *finder, struct store *recall)
{
	char prefix[TOPIC_NAME_MAX + 16];

	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", finder->table->topic);
	return store_recalls(recall, prefix);
}

enum err_code batch_find(struct batch_finder *finder, struct lake_input *input, struct err *err)
{
	struct store *recall = store_at_once(finder->store) > 1
				       ? store_recall_new(finder->store, PAGE_KEYS)
				       : NULL;
	struct store *first = recall ? recall : finder->store;
	enum err_code code = find_partitions(finder, first, input, "topics", err);

	/* Groups are never known from before the objects were listed. */
	if (code == ERR_OK && recall && !told_all(finder, recall))
		first = finder->store;
	if (code == ERR_OK)
		code = find_partitions(finder, first, input, "manifests", err);
	if (code == ERR_OK)
		code = find_in_parts(finder, first, input, err);
	store_free(recall);
	finder->all = input->bytes < finder->bytes_max && input->object_count < OBJECTS_MAX;
	return code == ERR_OK ? lake_input_find_manifests(input, err) : code;
}
