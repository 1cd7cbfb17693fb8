#include "flow/batch_find.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OBJECTS_MAX = 1000000, PAGE_KEYS = 1000 };

void batch_ids_init(struct batch_ids *ids, const struct lake_partition *where)
{
	size_t len;

	lake_app_id(ids->progress, TOPIC_LOG, where->topic, where->id, NULL);
	len = strlen(ids->progress);
	if (where->generation > 1)
		(void)snprintf(ids->progress + len, sizeof(ids->progress) - len, "/g%04" PRIu32,
			       where->generation);
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
	struct lake_partition where;  /* its; topic NULL: it is no object of ours */
	size_t count;		      /* keys of that in a row, … */
	size_t enough;		      /* … of which so many … */
	bool skips;		      /* … have gone by */
	enum err_code code;
	struct err *err;
};

static bool search_key(void *user, const struct store_entry *entry)
{
	struct partition_search *search = user;
	struct lake_partition before = search->where;
	struct lake_object_name name;

	(void)snprintf(search->last, sizeof(search->last), "%s", entry->key);
	search->where.topic = NULL;
	if (!lake_object_parse(entry->key, &name))
		return true;
	search->where = (struct lake_partition){ search->finder->table->topic, name.partition,
						 name.generation };
	if (!before.topic || before.id != name.partition || before.generation != name.generation) {
		search->count = 0;
		search->code =
			batch_add_part(search->finder, search->input, search->where, search->err);
	}
	search->skips = ++search->count >= search->enough;
	return search->code == ERR_OK && !search->skips;
}

/*
 * Each partition of the topic that has objects. A listing goes on behind all of a partition once it
 * knows that one: at once in a directory, after a page of keys where a request has so many.
 */
static enum err_code find_partitions(const struct batch_finder *finder, struct lake_input *input,
				     struct err *err)
{
	struct partition_search search = { .finder = finder, .input = input, .err = err };
	char prefix[TOPIC_NAME_MAX + 16], after[sizeof(search.last)];
	enum err_code code;

	search.enough = store_at_once(finder->store) > 1 ? PAGE_KEYS : 1;
	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", finder->table->topic);
	do {
		(void)snprintf(after, sizeof(after), "%s", search.last);
		search.skips = false;
		code = store_list_some(finder->store, prefix, after, search.enough, search_key,
				       &search, err);
		if (code == ERR_OK)
			code = search.code;
		/* '0' comes right after '/', so this is behind all of the partition and before
		 * the next. */
		if (search.skips)
			(void)snprintf(strrchr(search.last, '/'), 2, "0");
	} while (code == ERR_OK && search.skips);
	return code;
}

/* The search for new objects of one partition. */
struct new_objects {
	const struct batch_finder *finder;
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
	if (new->taking && entry->start > new->newest)
		return false;
	if (new->taking)
		add_new(new, entry);
	else
		new->newest = entry->start;
	new->any = true;
	new->bytes += entry->size;
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
 */
static enum err_code find_objects(void *user, size_t item, struct err *err)
{
	struct new_objects *new = &((struct new_objects *)user)[item];
	const struct lake_part *part = new->part;
	bool told;
	enum err_code code;

	batch_find_read_held(new->finder, part, &new->held);
	told = new->held.size > 0;
	code = list_objects(new, false, err);
	if (code != ERR_OK || (!new->any && (part->fresh || !told || new->held_is_there)))
		return code;
	if (new->any)
		code = list_objects(new, true, err);
	if (code == ERR_OK && !part->fresh && !new->held_is_there)
		code = look_back(new, err);
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
}

/* Several partitions are searched at a time, none of them once a commit's worth is found. */
static enum err_code find_all(struct batch_finder *finder, struct lake_input *input,
			      struct new_objects *parts, size_t count, struct err *err)
{
	struct ahead *ahead = ahead_new(&(struct ahead_options){
		.count = count,
		.at_once = store_at_once(finder->store),
		.work = find_objects,
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

enum err_code batch_find(struct batch_finder *finder, struct lake_input *input, struct err *err)
{
	enum err_code code = find_partitions(finder, input, err);
	struct new_objects *parts = xcalloc(input->part_count, sizeof(*parts));
	size_t count = 0;

	for (size_t i = 0; i < input->part_count; i++)
		if (!is_stopped(finder, input->parts[i]))
			parts[count++] =
				(struct new_objects){ .finder = finder, .part = input->parts[i] };
	if (code == ERR_OK)
		code = find_all(finder, input, parts, count, err);
	for (size_t i = 0; i < count; i++)
		free(parts[i].list);
	free(parts);
	return code == ERR_OK ? lake_input_find_manifests(input, err) : code;
}
